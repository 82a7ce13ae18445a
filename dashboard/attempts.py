"""Owns how often a password may be tried from one place: rows of the accounts database, which every server shares.

It knows no password and no HTTP; addresses come in as text.
"""

from __future__ import annotations

import ipaddress
import sqlite3
import time

from ..accounts import storage
from ..messages import AccountsError, _

ATTEMPTS = 10
ATTEMPTS_MINUTES = 15
_WINDOW_MS = ATTEMPTS_MINUTES * 60_000
_MOST_PLACES = 10_000
_THIS_MACHINE = "127.0.0.0/8"
_ELSEWHERE = "elsewhere"


class TooManyAttempts(AccountsError):
    """Nobody may try a password from this address for the next `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        minutes = max(1, -(-retry_after // 60))
        super().__init__(
            _("too many wrong passwords; try again in {minutes} min", minutes=minutes),
            _("a browser that is signed in, and the API token, still work"),
        )
        self.retry_after = retry_after


class Attempts:
    """Counts tries at a password: 10 in 15 minutes for each place, whatever they are sent to, in bounded room.

    A restart forgets nothing, and several servers on one home count together.
    """

    def count(self, kind: str, address: str = "") -> None:
        """Count one try before anything is compared. Raises TooManyAttempts."""
        with storage.writing(durable=False, secrets=False) as connection:
            # Not before this: whoever waited for the others must not take theirs for the future's.
            now = int(time.time() * 1000)
            # What lies in the future was counted before the clock was put right.
            connection.execute("DELETE FROM attempts WHERE at <= ? OR at > ?", (now - _WINDOW_MS, now))
            place = _counted_as(connection, kind, place_of(address))
            mine = "FROM attempts WHERE kind = ? AND place = ?"
            times = [int(row["at"]) for row in connection.execute(f"SELECT at {mine} ORDER BY at", (kind, place))]  # noqa: S608
            if len(times) < ATTEMPTS:
                connection.execute("INSERT INTO attempts VALUES (?, ?, ?)", (kind, place, now))
                return
        raise TooManyAttempts(max(1, (times[-ATTEMPTS] + _WINDOW_MS - now) // 1000 + 1))

    def forget(self, kind: str, address: str = "") -> None:
        """Start again from zero after the right password."""
        with storage.writing(durable=False, secrets=False) as connection:
            place = _counted_as(connection, kind, place_of(address))
            connection.execute("DELETE FROM attempts WHERE kind = ? AND place = ?", (kind, place))


def place_of(address: str) -> str:
    """Return what counts as one place: this machine, an IPv4 address, an IPv6 network that one customer has whole."""
    try:
        found: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    if found.is_loopback:
        # Whoever is on this machine has 2^24 of these addresses.
        return _THIS_MACHINE
    return str(found) if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))


def _counted_as(connection: sqlite3.Connection, kind: str, place: str) -> str:
    """Return the place, or, when there are too many of them, the one that newcomers share."""
    if place == _THIS_MACHINE:
        return place
    known = connection.execute("SELECT 1 FROM attempts WHERE kind = ? AND place = ? LIMIT 1", (kind, place)).fetchone()
    if known is None:
        (places,) = connection.execute("SELECT count(DISTINCT place) FROM attempts WHERE kind = ?", (kind,)).fetchone()
        if places >= _MOST_PLACES:
            # A flood from everywhere shares one count rather than taking all the room.
            return _ELSEWHERE
    return place

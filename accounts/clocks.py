"""Owns the three clocks of an account, which must never be mistaken for each other, and when to speak of them.

The access token's end (harmless where it is renewed), the login's end (about 30 days after signing in, whatever is
renewed), and a setup token's end (a year). It reads nothing and writes nothing.
"""

from __future__ import annotations

import functools
import re
import time

from ..messages import Misuse, _, language, plural, printable
from .rows import Account, now_ms

_DAY_MS = 24 * 3600 * 1000
SOON_MS = 3 * _DAY_MS
URGENT_MS = _DAY_MS
# Days in both languages, whichever the reader's is: a script runs under any locale.
_UNITS_MS = {"d": _DAY_MS, "j": _DAY_MS, "h": 3600 * 1000, "m": 60 * 1000, "min": 60 * 1000}
_LATEST_SECONDS = 253_402_300_799  # the end of the year 9999


def kind(account: Account) -> str:
    """Return what ends at `account.ends_at`: `login`, `token` (one that nobody can renew), or `none`."""
    if not account.ends_at:
        return "none"
    return "login" if account.has_refresh else "token"


def urgency(account: Account, at_ms: int | None = None) -> str:
    """Return how near the end is that only a new login moves: ``, `soon` (3 days), `urgent` (1 day) or `over`."""
    if not account.ends_at:
        return ""
    left = account.ends_at - (now_ms() if at_ms is None else at_ms)
    if left <= 0:
        return "over"
    return "urgent" if left <= URGENT_MS else "soon" if left <= SOON_MS else ""


def warning(account: Account) -> str:
    """Return the line that says an end is near, empty when none is."""
    if urgency(account) in ("", "over"):
        return ""
    name = printable(account.name)
    left = span_words(account.ends_at - now_ms())
    if kind(account) == "login":
        return _("the login of {name} ends in {time}: claude-accounts login --new {name}", name=name, time=left)
    return _("the token of {name} ends in {time}: claude setup-token makes a new one", name=name, time=left)


def span_ms(text: str) -> int:
    """Return the milliseconds of a span such as `3d` (or `3j`), `12h` or `90m`. Raises Misuse."""
    match = re.fullmatch(r"(\d{1,5}) ?(d|j|h|min|m)", text.strip().lower())
    if match is None:
        shown = repr(printable(text)[:20])
        raise Misuse(_("{text} is not a span of time", text=shown), _("write 3d, 12h or 90m"))
    return int(match[1]) * _UNITS_MS[match[2]]


def time_left(moment_ms: int) -> str:
    """Return the span until `moment_ms` (epoch milliseconds), in two units at most: `45s`, `12m`, `3h59m`, `12d3h`;
    `0s` when it is over."""
    seconds = max(0, (moment_ms - now_ms()) // 1000)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return _("{days}d{hours}h", days=days, hours=hours % 24)
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m" if minutes else f"{seconds}s"


def span_words(span_ms: int) -> str:
    """Return a span of either sign as people say it, in its one fitting unit: `45 seconds`, `2 days`."""
    return _words(*_rounded(span_ms), language())


@functools.cache
def _words(count: int, unit: str, _language: str) -> str:
    """Return the words, made once for all lines of a list."""
    return {
        "s": plural("{count} second", "{count} seconds", count),
        "min": plural("{count} minute", "{count} minutes", count),
        "h": plural("{count} hour", "{count} hours", count),
        "d": plural("{count} day", "{count} days", count),
        "mo": plural("{count} month", "{count} months", count),
        "y": plural("{count} year", "{count} years", count),
    }[unit]


def span_short(span_ms: int) -> str:
    """Return what `span_words` does, where there is little room: `45 s`, `2 d`."""
    count, unit = _rounded(span_ms)
    words = {"s": _("s"), "min": _("min"), "h": _("h"), "d": _("d"), "mo": _("mo"), "y": _("y")}
    return f"{count} {words[unit]}"


def when(moment_ms: int, *, short: bool = False) -> str:
    """Return a moment as seen from now: `3 minutes ago`, `in 2 days`, `now`; `-` for 0, which is no moment."""
    if not moment_ms:
        return "-"
    left = moment_ms - now_ms()
    if -2000 < left < 1000:
        return _("now")
    span = span_short(left) if short else span_words(left)
    return _("in {time}", time=span) if left > 0 else _("{time} ago", time=span)


def exactly(moment_ms: int) -> str:
    """Return a moment on this machine's own clock, with its zone: `2026-11-26 16:40:35 +0100`."""
    # What no calendar of this machine has is no reason to fail.
    seconds = min(max(moment_ms / 1000, 0), _LATEST_SECONDS - 86400)
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))


def iso(moment: object) -> str | None:
    """Return a moment as programs read it, ISO 8601 in UTC; None for no moment.

    It is epoch milliseconds (0: none), or the UTC text that SQLite writes.
    """
    moment_ms = moment if isinstance(moment, int) else of_text(moment)
    if not 0 < moment_ms // 1000 <= _LATEST_SECONDS:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment_ms / 1000))


def of_text(text: object) -> int:
    """Return the epoch milliseconds of the UTC text that SQLite writes (`2026-11-26 16:40:35`), 0 for any other."""
    if not isinstance(text, str) or not text.isascii():
        return 0
    # Only a look at accounts pays for this import.
    from datetime import datetime, timezone

    try:
        return max(0, int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp())) * 1000
    except (ValueError, OverflowError):
        return 0


def _rounded(span_ms: int) -> tuple[int, str]:
    """Return a span as a count of its one fitting unit, rounded to the nearest."""
    seconds = abs(span_ms) / 1000
    for unit, size, below in (("s", 1, 60), ("min", 60, 60), ("h", 3600, 48), ("d", 86400, 60), ("mo", 2629746, 24)):
        count = int(seconds / size + 0.5)
        if count < below:
            return count, unit
    return int(seconds / 31556952 + 0.5), "y"

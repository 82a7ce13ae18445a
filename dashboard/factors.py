"""Owns the second factor as one: which are set, what a sign-in still lacks, sign-ins that wait for it, the end of all.

What a code or a passkey is, totp.py, passkeys.py and recovery.py know. It knows no route.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any, NamedTuple

from ..accounts import storage
from ..messages import AccountsError, _
from . import passkeys, recovery, sign_in, totp
from .passkeys import Place
from .random_secrets import digest

TRIES = 5
PENDING_SECONDS = 600
_MOST_PENDING = 200
TOTP, PASSKEY, RECOVERY = "totp", "passkey", "recovery"


class WrongFactor(AccountsError):
    """The code or the passkey is not the right one; `field` names which of them it was."""

    def __init__(self, field: str) -> None:
        sentences = {
            "totp": (_("the code is wrong, or was used already"), _("wait for the next one of your app")),
            "recovery_code": (_("the recovery code is wrong, or was used already"), ""),
            "passkey": (_("this passkey was not accepted"), _("try again, or use something else")),
        }
        super().__init__(*sentences[field])
        self.field = field


class FactorRequired(AccountsError):
    """The password was right, and there is more to show: one of `ways`, together with `pending`, which is good once."""

    def __init__(self, ways: list[str], pending: str) -> None:
        hint = _("POST /api/auth/login/factor with pending and one of: totp, passkey, recovery_code")
        if not ways:
            hint = _("your passkeys belong to another name: open the dashboard there")
        super().__init__(_("a second factor is asked for"), hint)
        self.ways = ways
        self.pending = pending


class SignInExpired(AccountsError):
    """The sign-in that waited for its second step is over."""

    def __init__(self) -> None:
        super().__init__(_("this sign-in is over"), _("begin again with the password"))


class Pending(NamedTuple):
    """A sign-in that waits: after the right password, or (`alone`) for a passkey that knows its user, and no more."""

    alone: bool
    password_mark: str
    until: float
    tries: int


class SignIns:
    """The sign-ins of one server that wait for their second step."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Pending] = {}

    def begin(self, *, alone: bool = False) -> str:
        """Return the id of a new one, known to its author alone."""
        pending = secrets.token_urlsafe(32)
        entry = Pending(alone, sign_in.password_mark(), time.monotonic() + PENDING_SECONDS, 0)
        with self._lock:
            # Strangers make their own kind only, and cannot push out those who know the password.
            rivals = [key for key, other in self._waiting.items() if other.alone == alone]
            for key in rivals[: max(0, len(rivals) - _MOST_PENDING + 1)]:
                del self._waiting[key]
            self._waiting[digest(pending)] = entry
        return pending

    def find(self, pending: str) -> Pending:
        """Return one that still waits. Raises SignInExpired."""
        with self._lock:
            found = self._waiting.get(digest(pending))
        if found is None or time.monotonic() >= found.until or found.password_mark != sign_in.password_mark():
            raise SignInExpired
        return found

    def count(self, pending: str) -> None:
        """Count one try; the fifth is the last. Raises SignInExpired."""
        key = digest(pending)
        with self._lock:
            found = self._waiting.get(key)
            if found is None:
                raise SignInExpired
            if found.tries + 1 >= TRIES:
                del self._waiting[key]
            else:
                self._waiting[key] = found._replace(tries=found.tries + 1)

    def end(self, pending: str = "") -> None:
        """Let one, or all of them, be over."""
        with self._lock:
            if pending:
                self._waiting.pop(digest(pending), None)
            else:
                self._waiting.clear()


def are_set() -> bool:
    """Tell whether a password alone signs nobody in."""
    with storage.reading() as connection:
        return bool(
            connection.execute("SELECT EXISTS (SELECT 1 FROM totp) OR EXISTS (SELECT 1 FROM passkeys)").fetchone()[0]
        )


def ways(place: Place | None) -> list[str]:
    """Return what can be shown at a page there (None: by a program): passkeys only where they fit."""
    found = [TOTP] if totp.since() else []
    if place is not None and passkeys.listed(place.rp_id):
        found.append(PASSKEY)
    return [*found, RECOVERY] if recovery.left() else found


def check_code(given: dict[str, Any]) -> str:
    """Spend the code of an app, or a recovery code, and return which it was, "" for neither. Raises WrongFactor."""
    for field, accept in (("totp", totp.accept), ("recovery_code", recovery.accept)):
        if field in given:
            if not accept(given[field]):
                raise WrongFactor(field)
            return field
    return ""


def codes_for_first() -> list[str]:
    """Return recovery codes when the first factor was set: none where there are some already."""
    return [] if recovery.left() else recovery.make()


def drop_codes_of_none() -> None:
    """Forget the recovery codes once there is no factor for which they could stand in."""
    with storage.writing(secrets=False) as connection:
        connection.execute(
            "DELETE FROM recovery_codes WHERE NOT EXISTS (SELECT 1 FROM totp) AND NOT EXISTS (SELECT 1 FROM passkeys)"
        )


def reset() -> None:
    """Forget every factor and end every session: the password alone signs in again."""
    with storage.writing(secrets=False) as connection:
        for table in ("totp", "passkeys", "recovery_codes", "sessions"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names

"""Owns the second factor as one: which are set, what a sign-in still lacks, sign-ins that wait for it, the end of all.

What a code or a passkey is, totp.py, passkeys.py and recovery.py know. It knows no route.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import NamedTuple

from ..accounts import storage
from ..messages import AccountsError, _
from . import passkeys, recovery, sign_in, totp
from .passkeys import Place, Question
from .random_secrets import digest

TRIES = 5
PENDING_SECONDS = 600
_MOST_PENDING = 200
_MOST_OF_PLACE = 20
# As the fields are named that they come in.
TOTP, PASSKEY, RECOVERY = "totp", "passkey", "recovery_code"


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
            hint = _("your passkeys belong to another address: open the dashboard there")
        super().__init__(_("a second factor is asked for"), hint)
        self.ways = ways
        self.pending = pending


class SignInExpired(AccountsError):
    """The sign-in that waited for its second step is over."""

    def __init__(self) -> None:
        super().__init__(_("this sign-in is over"), _("begin again with the password"))


class Pending(NamedTuple):
    """A sign-in that waits: after the right password, or (`alone`) for a passkey that knows its user, and no more.

    `asked` is the question to a passkey that was put last, None for none.
    """

    alone: bool
    place: str
    password_mark: str
    until: float
    tries: int = 0
    asked: Question | None = None


class SignIns:
    """The sign-ins of one server that wait for their second step, in bounded room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Pending] = {}

    def begin(self, place: str, mark: str, *, alone: bool = False) -> str:
        """Return the id of a new one, known to its author alone, who asks from this place; `mark` is the password's."""
        pending = secrets.token_urlsafe(32)
        entry = Pending(alone, place, mark, time.monotonic() + PENDING_SECONDS)
        with self._lock:
            # Strangers make their own kind only, and cannot push out those who know the password; those of one place
            # push out each other first.
            self._make_room([key for key, other in self._waiting.items() if other[:2] == entry[:2]], _MOST_OF_PLACE)
            self._make_room([key for key, other in self._waiting.items() if other.alone == alone], _MOST_PENDING)
            self._waiting[digest(pending)] = entry
        return pending

    def find(self, pending: str) -> Pending:
        """Return one that still waits. Raises SignInExpired."""
        with self._lock:
            return self._find(digest(pending))

    def ask(self, pending: str, place: Place) -> bytes:
        """Return a new challenge for a passkey, in place of the last one. Raises SignInExpired."""
        question = Question.new(place)
        with self._lock:
            found = self._find(digest(pending))
            self._waiting[digest(pending)] = found._replace(asked=question)
        return question.challenge

    def take(self, pending: str, place: Place | None) -> bytes:
        """Return the challenge and forget it. Raises SignInExpired, Refused where none was put to this place."""
        with self._lock:
            found = self._find(digest(pending))
            self._waiting[digest(pending)] = found._replace(asked=None)
        return passkeys.challenge_of(found.asked, place)

    def count(self, pending: str) -> None:
        """Count one try; the fifth is the last. Raises SignInExpired."""
        with self._lock:
            found = self._find(digest(pending))
            if found.tries >= TRIES:
                del self._waiting[digest(pending)]
                raise SignInExpired
            self._waiting[digest(pending)] = found._replace(tries=found.tries + 1)

    def end(self, pending: str = "") -> None:
        """Let one, or all of them, be over."""
        with self._lock:
            if pending:
                self._waiting.pop(digest(pending), None)
            else:
                self._waiting.clear()

    def _find(self, key: str) -> Pending:
        found = self._waiting.get(key)
        if found is None or time.monotonic() >= found.until or found.password_mark != sign_in.password_mark():
            self._waiting.pop(key, None)
            raise SignInExpired
        return found

    def _make_room(self, rivals: list[str], most: int) -> None:
        for key in rivals[: max(0, len(rivals) - most + 1)]:
            del self._waiting[key]


def are_set() -> bool:
    """Tell whether a password alone signs nobody in."""
    with storage.reading() as connection:
        return bool(
            connection.execute("SELECT EXISTS (SELECT 1 FROM totp) OR EXISTS (SELECT 1 FROM passkeys)").fetchone()[0]
        )


def ways(place: Place | None) -> list[str]:
    """Return what can be shown at a page there (None: by a program): passkeys only where they fit."""
    found = [TOTP] if totp.since() else []
    if place is not None and passkeys.listed(place):
        found.append(PASSKEY)
    return [*found, RECOVERY] if recovery.left() else found


def check_code(way: str, code: str) -> None:
    """Spend the code of an app, or a recovery code. Raises WrongFactor."""
    accept = totp.accept if way == TOTP else recovery.accept
    if not accept(code):
        raise WrongFactor(way)


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

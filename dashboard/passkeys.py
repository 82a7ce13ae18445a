"""Owns the passkeys: what a browser is asked for, the check of what it answers, the stored public halves.

A passkey belongs to the origin that it was made under, which has a host name (its RP ID) and never a bare address, and
is taken from no other. It knows no sign-in; where a page lies is read from a request whose Origin the gate has checked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sqlite3
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ..accounts import storage
from ..messages import Conflict, InvalidInput, NotFound, _
from . import addresses
from .origin import origin_of
from .totp import ISSUER

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CHALLENGE_SECONDS = 120
MOST_PASSKEYS = 50
_MOST_CHALLENGES = 1000
_LONGEST_NAME = 60
_USER_ID = "passkey_user_id"
_USER_NAME = "claude-accounts"

# webauthn is imported where it is used: it costs a fifth of a second, and most visits need it not.


class Place(NamedTuple):
    """Where a page lies: its host name, which browsers know its passkeys by, and its origin, which they belong to."""

    rp_id: str
    origin: str


class Passkey(NamedTuple):
    """One passkey; times are epoch milliseconds, 0 for never."""

    credential_id: str
    name: str
    rp_id: str
    origin: str
    created_at: int
    last_used_at: int
    sign_count: int
    public_key: bytes


class Refused(Exception):
    """What the browser brought is no answer to the question, or of no passkey of ours."""


class Question(NamedTuple):
    """A challenge that waits for its answer from one place, until a moment (monotonic seconds)."""

    challenge: bytes
    place: Place
    until: float

    @classmethod
    def new(cls, place: Place) -> Question:
        """Return a new one, good once and for two minutes."""
        return cls(os.urandom(32), place, time.monotonic() + CHALLENGE_SECONDS)


def challenge_of(question: Question | None, place: Place | None) -> bytes:
    """Return the challenge of a question that can be answered from this place now. Raises Refused."""
    if question is None or question.place != place or time.monotonic() >= question.until:
        raise Refused("no such challenge (any more)")
    return question.challenge


class Challenges:
    """Questions to those who are signed in: each for one asker and purpose, and in place of his last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], Question] = {}

    def new(self, asker: str, purpose: str, place: Place) -> bytes:
        """Return a new challenge."""
        question = Question.new(place)
        with self._lock:
            self._open.pop((asker, purpose), None)
            while len(self._open) >= _MOST_CHALLENGES:
                del self._open[next(iter(self._open))]
            self._open[asker, purpose] = question
        return question.challenge

    def take(self, asker: str, purpose: str, place: Place | None) -> bytes:
        """Return the challenge and forget it. Raises Refused where there is none, or it is late or of another place."""
        with self._lock:
            found = self._open.pop((asker, purpose), None)
        return challenge_of(found, place)

    def forget(self) -> None:
        """Let no open question be answered any more."""
        with self._lock:
            self._open.clear()


def place_of(environ: WSGIEnvironment) -> Place | None:
    """Return where the page of a request lies, None where passkeys do not work: an address, or no page at all."""
    _scheme, host = origin_of(environ)
    if host is None or addresses.plain(host.name):
        return None
    return Place(host.name, str(environ["HTTP_ORIGIN"]))


def require_place(environ: WSGIEnvironment) -> Place:
    """Return where the page of a request lies. Raises Conflict where passkeys do not work."""
    place = place_of(environ)
    if place is None:
        raise Conflict(
            _("passkeys work only in a browser, under a host name"),
            _("open the dashboard under a name, on this machine http://localhost"),
        )
    return place


def listed(place: Place | None = None) -> list[Passkey]:
    """Return the passkeys, the oldest first; those of one place where one is given.

    A browser gives them out to every port of their host name. Another program's page there may ask for one with a
    challenge of ours; what tells it apart is the origin that the browser signs.
    """
    with storage.reading() as connection:
        rows = connection.execute(
            "SELECT credential_id, name, rp_id, origin, created_at, last_used_at, sign_count, public_key "
            "FROM passkeys ORDER BY created_at, credential_id"
        ).fetchall()
    return [key for key in (storage.made(Passkey, row) for row in rows) if place is None or key.origin == place.origin]


def options_to_add(place: Place, challenge: bytes) -> dict[str, Any]:
    """Return what navigator.credentials.create is asked for, as JSON has it."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    # Dashboards on several ports of one host share its name: what tells them apart is the user's id and these words.
    where = place.origin.partition("://")[2]
    options = generate_registration_options(
        rp_id=place.rp_id,
        rp_name=f"{ISSUER} ({where})",
        user_id=_user_id(place),
        user_name=_USER_NAME,
        user_display_name=f"{ISSUER} ({where})",
        challenge=challenge,
        timeout=CHALLENGE_SECONDS * 1000,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=_raw(key.credential_id)) for key in listed(place)],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
    )
    return dict(json.loads(options_to_json(options)))


def add(name: str, credential: dict[str, Any], place: Place, challenge: bytes) -> None:
    """Store a new passkey. Raises Refused, InvalidInput for its name, Conflict when it is there already."""
    from webauthn import verify_registration_response

    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidInput(_("a passkey's name has 1 to {count} characters", count=_LONGEST_NAME), field="name")
    try:
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=place.rp_id,
            expected_origin=place.origin,
        )
    except Exception as error:
        # The library has many words for what is malformed, and its own libraries have others.
        raise Refused(str(error)) from error
    text = base64.urlsafe_b64encode(verified.credential_id).rstrip(b"=").decode()
    row = (text, verified.credential_public_key, verified.sign_count, name, place.rp_id, place.origin, _now_ms())
    with storage.writing(secrets=False) as connection:
        (count,) = connection.execute("SELECT count(*) FROM passkeys").fetchone()
        if count >= MOST_PASSKEYS:
            raise Conflict(_("there are {count} passkeys already", count=count), _("remove one of them"))
        try:
            connection.execute("INSERT INTO passkeys VALUES (?, ?, ?, ?, ?, ?, ?, 0)", row)
        except sqlite3.IntegrityError as error:
            raise Conflict(_("this passkey is there already")) from error


def remove(credential_id: str) -> Passkey:
    """Forget one passkey and return what it was. Raises NotFound."""
    found = [key for key in listed() if key.credential_id == credential_id]
    if not found:
        raise NotFound(_("there is no such passkey (any more)"))
    with storage.writing(secrets=False) as connection:
        connection.execute("DELETE FROM passkeys WHERE credential_id = ?", (credential_id,))
    return found[0]


def options_to_use(place: Place, challenge: bytes, *, verified: bool, named: bool = True) -> dict[str, Any]:
    """Return what navigator.credentials.get is asked for, as JSON has it.

    With `verified` the authenticator must know its user (PIN, finger, face); without `named` it finds the passkey
    itself, so that nothing is told of those there are.
    """
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    keys = listed(place) if named else []
    options = generate_authentication_options(
        rp_id=place.rp_id,
        challenge=challenge,
        timeout=CHALLENGE_SECONDS * 1000,
        allow_credentials=[PublicKeyCredentialDescriptor(id=_raw(key.credential_id)) for key in keys],
        user_verification=UserVerificationRequirement.REQUIRED if verified else UserVerificationRequirement.PREFERRED,
    )
    return dict(json.loads(options_to_json(options)))


def use(credential: dict[str, Any], place: Place | None, challenge: bytes, *, verified: bool) -> Passkey:
    """Return the passkey that has answered the challenge. Raises Refused."""
    from webauthn import verify_authentication_response

    if place is None:
        raise Refused("no place for a passkey")
    found = [key for key in listed(place) if key.credential_id == credential.get("id")]
    if not found:
        raise Refused("no passkey of ours")
    (key,) = found
    try:
        answer = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=place.rp_id,
            expected_origin=place.origin,
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count,
            require_user_verification=verified,
        )
    except Exception as error:
        raise Refused(str(error)) from error
    # A count of 0 is that of a synced key, which has none; every other one only grows, whoever else is at it just now.
    with storage.writing(secrets=False) as connection:
        changed = connection.execute(
            "UPDATE passkeys SET sign_count = ?, last_used_at = ? "
            "WHERE credential_id = ? AND (sign_count < ? OR (sign_count = 0 AND ? = 0))",
            (answer.new_sign_count, _now_ms(), key.credential_id, answer.new_sign_count, answer.new_sign_count),
        ).rowcount
    if changed != 1:
        raise Refused("the count did not grow")
    return key


def _user_id(place: Place) -> bytes:
    """Return the id that authenticators keep their passkey under: another one for each data folder and origin."""
    with storage.writing(secrets=False) as connection:
        with suppress(sqlite3.IntegrityError):
            connection.execute("INSERT INTO settings VALUES (?, ?)", (_USER_ID, os.urandom(32).hex()))
        row = connection.execute("SELECT value FROM settings WHERE key = ?", (_USER_ID,)).fetchone()
    return hashlib.sha256(bytes.fromhex(row["value"]) + place.origin.encode()).digest()


def _raw(credential_id: str) -> bytes:
    return base64.urlsafe_b64decode(credential_id + "=" * (-len(credential_id) % 4))


def _now_ms() -> int:
    return int(time.time() * 1000)

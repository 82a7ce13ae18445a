"""Owns who may use the dashboard: its password, its sessions, its API token.

All of it are rows of the accounts database, hashed. It knows no HTTP: addresses and secrets come in as text.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import threading
import time
import unicodedata
from typing import NamedTuple

from werkzeug.security import check_password_hash, generate_password_hash

from ..accounts import storage
from ..messages import AccountsError, Conflict, InvalidInput, _
from .attempts import Attempts as Attempts, TooManyAttempts as TooManyAttempts

SESSION_SECONDS = 7 * 24 * 3600
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD_BYTES = 1024
_METHOD = "pbkdf2:sha256:600000"
_MOST_SESSIONS = 100
_SEEN_EVERY_MS = 60_000
# The token that the first set-up gives.
_FIRST_TOKEN = "first"  # noqa: S105 - its name
# The stems of what is tried first everywhere; digits and signs around them, or in place of letters, help nobody.
_COMMON_WORDS = (
    "password passwords passwort motdepasse contrasena letmein letmeinplease welcome iloveyou iloveyouforever sunshine "
    "princess football baseball basketball superman trustno trustnoone qwertyuiop qwertyuio qwertzuiop azertyuiop "
    "asdfghjkl zxcvbnm qwerty azerty asdf abcdefghij abcdefghijk administrator admin root user login changeme default "
    "master dragon monkey shadow michael jennifer whatever starwars 1q2w3e4r5t q1w2e3r4t5 1qaz2wsx3edc"
)
_COMMON = frozenset(_COMMON_WORDS.split())
_LOOK_ALIKES = str.maketrans("0134@5$", "oleaass")

_hashing = threading.BoundedSemaphore(max(1, min(2, (os.cpu_count() or 2) - 1)))


class WrongPassword(AccountsError):
    """The password, or the setup code, is not the right one."""

    def __init__(self, message: str, hint: str = "", field: str = "password") -> None:
        super().__init__(message, hint)
        self.field = field


class Session(NamedTuple):
    """One that has signed in; `id_hash` names its row, times are epoch milliseconds.

    A browser's session has a second secret, a program's none ("").
    """

    id_hash: str
    created_at: int
    last_seen: int
    expires_at: int
    address: str
    user_agent: str
    page_secret_hash: str = ""
    proved_at: int = 0


def is_setup_done() -> bool:
    """Tell whether the dashboard has a password."""
    return _setting("password_hash") != ""


def set_up(password: str) -> str:
    """Store the first password and return the API token, shown this once.

    Of many first visitors one wins: the others get Conflict. Raises InvalidInput for a weak password.
    """
    if is_setup_done():
        raise _already_set_up()
    hashed = _hash(check_strength(password, "password"))
    token = secrets.token_urlsafe(32)
    with storage.writing() as connection:
        try:
            connection.execute("INSERT INTO settings VALUES ('password_hash', ?)", (hashed,))
        except sqlite3.IntegrityError as error:
            raise _already_set_up() from error
        _replace_first_token(connection, token)
    return token


def check_password(password: str, field: str = "password") -> None:
    """Raise WrongPassword unless this is the dashboard's password; few are compared at a time."""
    stored = _setting("password_hash")
    if not stored:
        raise AccountsError(_("the dashboard has no password yet"), _("open it in a browser and choose one"))
    text = _normalised(password)
    fits = len(text.encode()) <= LONGEST_PASSWORD_BYTES
    if fits:
        with _hashing:
            fits = check_password_hash(stored, text)
    if not fits:
        raise WrongPassword(_("the password is wrong"), field=field)


def change_password(new_password: str) -> list[str]:
    """Store another password, end every session and return the hashes of those ended."""
    hashed = _hash(check_strength(new_password, "new_password"))
    with storage.writing() as connection:
        connection.execute("UPDATE settings SET value = ? WHERE key = 'password_hash'", (hashed,))
        return _delete_sessions(connection)


def rotate_token() -> str:
    """Make a new API token, end the old one and return the new one, shown this once."""
    token = secrets.token_urlsafe(32)
    with storage.writing() as connection:
        _replace_first_token(connection, token)
    return token


def is_api_token(text: str) -> bool:
    """Tell whether this is the API token; compares hashes in constant time."""
    with storage.reading() as connection:
        row = connection.execute("SELECT hash FROM api_tokens WHERE name = ?", (_FIRST_TOKEN,)).fetchone()
    return row is not None and hmac.compare_digest(str(row["hash"]), digest(text))


def open_session(address: str, user_agent: str, *, replaces: str = "") -> str:
    """Start a session, end the one it replaces (a cookie's value) and return the new cookie's value."""
    session_id = secrets.token_urlsafe(32)
    now = _now_ms()
    row = (digest(session_id), now, now, now + SESSION_SECONDS * 1000, address, user_agent[:200])
    with storage.writing() as connection:
        connection.execute("DELETE FROM sessions WHERE id_hash = ? OR expires_at <= ?", (digest(replaces), now))
        connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, '', 0)", row)
        connection.execute(
            "DELETE FROM sessions WHERE id_hash NOT IN (SELECT id_hash FROM sessions ORDER BY created_at DESC LIMIT ?)",
            (_MOST_SESSIONS,),
        )
    return session_id


def find_session(session_id: str, page_secret: str = "") -> Session | None:
    """Return the live session of a cookie's value; one that has a second secret wants it too."""
    if not session_id:
        return None
    with storage.reading() as connection:
        row = connection.execute(
            "SELECT * FROM sessions WHERE id_hash = ? AND expires_at > ?", (digest(session_id), _now_ms())
        ).fetchone()
    session = Session(*row) if row else None
    if session and session.page_secret_hash and not hmac.compare_digest(session.page_secret_hash, digest(page_secret)):
        return None
    return session


def list_sessions() -> list[Session]:
    """Return the live sessions, the newest first."""
    with storage.reading() as connection:
        rows = connection.execute(
            "SELECT * FROM sessions WHERE expires_at > ? ORDER BY created_at DESC, id_hash", (_now_ms(),)
        ).fetchall()
    return [Session(*row) for row in rows]


def note_seen(session: Session) -> None:
    """Note that a session was used, at most once a minute."""
    now = _now_ms()
    if now - session.last_seen >= _SEEN_EVERY_MS:
        with storage.writing(durable=False) as connection:
            connection.execute("UPDATE sessions SET last_seen = ? WHERE id_hash = ?", (now, session.id_hash))


def close_session(id_hash: str) -> None:
    """End one session."""
    with storage.writing() as connection:
        connection.execute("DELETE FROM sessions WHERE id_hash = ?", (id_hash,))


def close_all_sessions() -> list[str]:
    """End every session and return the hashes of those ended."""
    with storage.writing() as connection:
        return _delete_sessions(connection)


def new_setup_code() -> str:
    """Return a code to print on the server's own terminal: 12 letters and digits that cannot be mistaken, 58 bits."""
    letters = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _place in range(12))
    return "-".join(letters[place : place + 4] for place in (0, 4, 8))


def check_setup_code(given: str, code_hash: str) -> None:
    """Raise WrongPassword unless `given` is the printed code; case, spaces and dashes do not matter."""
    if not code_hash or not hmac.compare_digest(hash_setup_code(given), code_hash):
        raise WrongPassword(
            _("the setup code is missing or wrong"),
            _("the server printed it on its own terminal when it started"),
            field="setup_code",
        )


def hash_setup_code(code: str) -> str:
    """Return what a server keeps of the code it has printed."""
    return digest(re.sub(r"[\s-]", "", code).upper())


def check_strength(password: str, field: str) -> str:
    """Return the password in the one form that is stored. Raises InvalidInput for one too short, long or common."""
    text = _normalised(password)
    if len(text) < SHORTEST_PASSWORD:
        raise InvalidInput(
            _("the password must have at least {count} characters", count=SHORTEST_PASSWORD),
            _("a few words in a row are easy to remember"),
            field=field,
        )
    if len(text.encode()) > LONGEST_PASSWORD_BYTES:
        raise InvalidInput(_("the password is too long"), field=field)
    if _is_common(text.lower()):
        raise InvalidInput(
            _("this password is one of the first that anyone would try"),
            _("a few words in a row are easy to remember"),
            field=field,
        )
    return text


def digest(secret: str) -> str:
    """Return the SHA-256 of a random secret of ours; 256 bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _is_common(text: str) -> bool:
    stem = re.sub(r"^[^a-z]+|[^a-z]+$", "", text)
    readings = {text, re.sub(r"[^a-z]", "", text), re.sub(r"[^a-z]", "", stem.translate(_LOOK_ALIKES))}
    is_row = text.isdecimal() and len({(int(b) - int(a)) % 10 for a, b in zip(text, text[1:], strict=False)}) == 1
    repeats = re.fullmatch(r"(.{1,5}?)\1+.{0,2}", text) is not None
    return is_row or repeats or len(set(text)) < 4 or not readings.isdisjoint(_COMMON)


def _hash(text: str) -> str:
    with _hashing:
        return generate_password_hash(text, method=_METHOD)


def _normalised(password: str) -> str:
    # The same keys give different code points on different systems.
    return unicodedata.normalize("NFC", password)


def _setting(key: str) -> str:
    with storage.reading() as connection:
        row = connection.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
    return str(row["value"]) if row else ""


def _delete_sessions(connection: sqlite3.Connection) -> list[str]:
    ended = [str(row["id_hash"]) for row in connection.execute("SELECT id_hash FROM sessions")]
    connection.execute("DELETE FROM sessions")
    return ended


def _replace_first_token(connection: sqlite3.Connection, token: str) -> None:
    connection.execute("DELETE FROM api_tokens WHERE name = ?", (_FIRST_TOKEN,))
    connection.execute(
        "INSERT INTO api_tokens (name, hash, scope, created_at) VALUES (?, ?, 'admin', ?)",
        (_FIRST_TOKEN, digest(token), _now_ms()),
    )


def _already_set_up() -> Conflict:
    return Conflict(_("the dashboard already has a password"), _("sign in with it"))


def _now_ms() -> int:
    return int(time.time() * 1000)

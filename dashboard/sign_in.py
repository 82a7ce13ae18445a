"""Owns who may use the dashboard: its password and its sessions.

All of it are rows of the accounts database, hashed. It knows no HTTP: addresses and secrets come in as text. The API
tokens, which end with the password, are in tokens.py.
"""

from __future__ import annotations

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
from . import first_setup, tokens
from .attempts import Attempts as Attempts, TooManyAttempts as TooManyAttempts
from .random_secrets import digest as digest, hash_code, new_code

SESSION_SECONDS = 7 * 24 * 3600
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD_BYTES = 1024
_METHOD = "pbkdf2:sha256:600000"
_MOST_SESSIONS = 100
_SEEN_EVERY_MS = 60_000
STEP_UP_MS = 10 * 60_000
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


# The code of a first set-up is one of ours that are typed.
new_setup_code, hash_setup_code = new_code, hash_code


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

    @property
    def is_browsers(self) -> bool:
        """Tell whether a browser signed in for it: then it has a page secret."""
        return self.page_secret_hash != ""

    def unlocked_until(self, now_ms: int) -> int:
        """Return until when (epoch milliseconds) the last proof is good, 0 when it is no longer."""
        # A clock that was set back must not make a proof last.
        return self.proved_at + STEP_UP_MS if 0 <= now_ms - self.proved_at < STEP_UP_MS else 0


def is_setup_done() -> bool:
    """Tell whether the dashboard has a password. Raises StorageFailed when it had one and the database knows none."""
    if _setting("password_hash"):
        return True
    if not first_setup.is_marked():
        return False
    # Somebody's set-up stores the password, then the mark: it may have done so just now.
    if not _setting("password_hash"):
        raise first_setup.password_lost()
    return True


def remember_setup() -> None:
    """See to it that what was set up is remembered beside the database too; older programs did not."""
    if _setting("password_hash"):
        first_setup.mark()


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
        tokens.replace_first(connection, token)
    first_setup.mark()
    return token


def reset_password() -> None:
    """Forget the password, every session and every API token: the next visit chooses another password."""
    # In this order nobody who asks in between is told that the password was lost.
    first_setup.unmark()
    with storage.writing() as connection:
        connection.execute("DELETE FROM settings WHERE key = 'password_hash'")
        tokens.end_all(connection)
        _delete_sessions(connection)


def check_password(password: str, field: str = "password") -> str:
    """Return the mark of the dashboard's password when this is it; few are compared at a time. Raises WrongPassword.

    Comparing takes its time: what is done with the proof holds for as long as the password has this mark.
    """
    stored = _setting("password_hash")
    if not stored and not is_setup_done():
        raise _no_password()
    text = _normalised(password)
    fits = len(text.encode()) <= LONGEST_PASSWORD_BYTES
    if fits:
        with _hashing:
            fits = check_password_hash(stored, text)
    if not fits:
        raise WrongPassword(_("the password is wrong"), field=field)
    return digest(stored)


def require_mark(connection: sqlite3.Connection, mark: str, field: str = "password") -> None:
    """Raise WrongPassword, inside the open transaction, where there is no password of this mark any more."""
    row = connection.execute("SELECT value FROM settings WHERE key = 'password_hash'").fetchone()
    if row is None or not hmac.compare_digest(digest(str(row["value"])), mark):
        raise WrongPassword(_("the password is wrong"), field=field)


def change_password(new_password: str, mark: str) -> list[str]:
    """Store another password for that of this mark; end every session and API token and return whose sockets those had.

    Raises WrongPassword where somebody else has changed it meanwhile.
    """
    hashed = _hash(check_strength(new_password, "new_password"))
    with storage.writing() as connection:
        require_mark(connection, mark, "old_password")
        connection.execute("UPDATE settings SET value = ? WHERE key = 'password_hash'", (hashed,))
        return tokens.end_all(connection) + _delete_sessions(connection)


def rotate_token(mark: str) -> tuple[str, list[str]]:
    """Make the first API token anew; return it, shown this once, and the owners that have ended.

    Raises WrongPassword where the password of this mark is no longer the one.
    """
    token = secrets.token_urlsafe(32)
    with storage.writing() as connection:
        require_mark(connection, mark)
        return token, tokens.replace_first(connection, token)


def require_password() -> str:
    """Return the password's mark. Raises AccountsError where none is chosen."""
    if not is_setup_done():
        raise _no_password()
    return password_mark()


def _no_password() -> AccountsError:
    return AccountsError(_("the dashboard has no password yet"), _("open it in a browser and choose one"))


def password_mark() -> str:
    """Return what changes whenever the password does, and tells nothing of it."""
    return digest(_setting("password_hash"))


class Opened(NamedTuple):
    """The secrets of a new session: the cookie's value and, for a browser's, the page secret (else "")."""

    cookie: str
    page_secret: str


def open_session(address: str, user_agent: str, mark: str, *, replaces: str = "", browser: bool = False) -> Opened:
    """Start a session, end the one it replaces (a cookie's value) and return the new one's secrets.

    Whoever signs in has just proved who he is, while the password had this mark. Raises WrongPassword where another one
    was chosen meanwhile.
    """
    session_id = secrets.token_urlsafe(32)
    page_secret = secrets.token_urlsafe(32) if browser else ""
    now = _now_ms()
    page_secret_hash = digest(page_secret) if browser else ""
    ends = now + SESSION_SECONDS * 1000
    row = (digest(session_id), now, now, ends, address, user_agent[:200], page_secret_hash, now)
    with storage.writing() as connection:
        require_mark(connection, mark)
        # A dashboard of before it was remembered beside the database is from now on.
        first_setup.mark()
        connection.execute("DELETE FROM sessions WHERE id_hash = ? OR expires_at <= ?", (digest(replaces), now))
        connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute(
            "DELETE FROM sessions WHERE id_hash NOT IN (SELECT id_hash FROM sessions ORDER BY created_at DESC LIMIT ?)",
            (_MOST_SESSIONS,),
        )
    return Opened(session_id, page_secret)


def find_session(session_id: str, page_secret: str = "") -> Session | None:
    """Return the live session of a cookie's value; a browser's only to who has its page secret too."""
    session = _find_session(session_id)
    if session is None or not session.is_browsers:
        return session
    return session if hmac.compare_digest(session.page_secret_hash, digest(page_secret)) else None


def has_session(session_id: str) -> bool:
    """Tell whether a cookie's value belongs to a live session; that alone opens nothing."""
    return _find_session(session_id) is not None


def note_proof(session: Session) -> int:
    """Note that the session's owner has just proved who he is, and return until when (ms) that is good."""
    now = _now_ms()
    with storage.writing() as connection:
        connection.execute("UPDATE sessions SET proved_at = ? WHERE id_hash = ?", (now, session.id_hash))
    return now + STEP_UP_MS


def forget_proofs(id_hash: str = "") -> None:
    """Let one session, or every one, ask again at once."""
    with storage.writing() as connection:
        connection.execute("UPDATE sessions SET proved_at = 0 WHERE ? IN ('', id_hash)", (id_hash,))


def _find_session(session_id: str) -> Session | None:
    if not session_id:
        return None
    with storage.reading() as connection:
        row = connection.execute(
            "SELECT * FROM sessions WHERE id_hash = ? AND expires_at > ?", (digest(session_id), _now_ms())
        ).fetchone()
    return storage.made(Session, row) if row else None


def list_sessions() -> list[Session]:
    """Return the live sessions, the newest first."""
    with storage.reading() as connection:
        rows = connection.execute(
            "SELECT * FROM sessions WHERE expires_at > ? ORDER BY created_at DESC, id_hash", (_now_ms(),)
        ).fetchall()
    return [storage.made(Session, row) for row in rows]


def note_seen(session: Session) -> None:
    """Note that a session was used, at most once a minute; where nothing can be written it is used all the same."""
    now = _now_ms()
    if now - session.last_seen >= _SEEN_EVERY_MS:
        with storage.noting(), storage.writing(durable=False, secrets=False) as connection:
            connection.execute("UPDATE sessions SET last_seen = ? WHERE id_hash = ?", (now, session.id_hash))


def close_session(id_hash: str) -> None:
    """End one session."""
    with storage.writing() as connection:
        connection.execute("DELETE FROM sessions WHERE id_hash = ?", (id_hash,))


def close_all_sessions() -> list[str]:
    """End every session and return the hashes of those ended."""
    with storage.writing() as connection:
        return _delete_sessions(connection)


def check_setup_code(given: str, *code_hashes: str) -> None:
    """Raise WrongPassword unless `given` is one of the codes; case, spaces and dashes do not matter."""
    found = hash_code(given)
    if not any([code_hash and hmac.compare_digest(found, code_hash) for code_hash in code_hashes]):
        raise WrongPassword(
            _("the setup code is missing or wrong"),
            _("the server printed it on its own terminal when it started"),
            field="setup_code",
        )


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


def _already_set_up() -> Conflict:
    return Conflict(_("the dashboard already has a password"), _("sign in with it"))


def _now_ms() -> int:
    return int(time.time() * 1000)

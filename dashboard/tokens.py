"""Owns the API tokens: several, each with a name, a scope, perhaps an end, and the moment of its last use.

They are rows of the accounts database, hashed. It knows no HTTP and no route; what a scope opens says scopes.py.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
import time
from typing import NamedTuple

from ..accounts import storage
from ..messages import Conflict, InvalidInput, NotFound, _
from .random_secrets import digest

# The token that the first set-up gives, and that POST /api/auth/rotate-token makes anew.
FIRST = "first"
SCOPES = ("read", "launch", "admin")
MOST_TOKENS = 100
_LONGEST_NAME = 60
_USED_EVERY_MS = 60_000
_OWNER = "token:"
_COLUMNS = "id, name, scope, created_at, expires_at, last_used_at"


class Token(NamedTuple):
    """One API token without its secret; times are epoch milliseconds, 0 for never."""

    id: int
    name: str
    scope: str
    created_at: int
    expires_at: int
    last_used_at: int

    @property
    def owner(self) -> str:
        """Return what the sockets that it opened are known by."""
        return f"{_OWNER}{self.id}"


def find(text: str) -> Token | None:
    """Return the live token of this secret; hashes are compared in constant time."""
    if not text:
        return None
    hashed = digest(text)
    with storage.reading() as connection:
        row = connection.execute(
            f"SELECT hash, {_COLUMNS} FROM api_tokens WHERE hash = ? AND (expires_at = 0 OR expires_at > ?)",  # noqa: S608
            (hashed, _now_ms()),
        ).fetchone()
    return storage.made(Token, row[1:]) if row is not None and hmac.compare_digest(str(row[0]), hashed) else None


def listed() -> list[Token]:
    """Return every token, the oldest first; those whose end has come too, so that their owner sees it."""
    with storage.reading() as connection:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM api_tokens ORDER BY id").fetchall()  # noqa: S608
    return [storage.made(Token, row) for row in rows]


def live_owners() -> set[str]:
    """Return the owners whose sockets may stay open."""
    now = _now_ms()
    return {token.owner for token in listed() if not token.expires_at or token.expires_at > now}


def add(name: str, scope: str, expires_at: int = 0) -> tuple[Token, str]:
    """Make a token and return it with its secret, shown this once.

    Raises InvalidInput for a name or an end that makes no sense, Conflict for a name that is taken.
    """
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidInput(
            _("a token's name has 1 to {count} characters", count=_LONGEST_NAME), _("for example: backup"), field="name"
        )
    if name == FIRST:
        raise InvalidInput(_("this is the name of the token that the set-up gives"), field="name")
    if expires_at and expires_at <= _now_ms():
        raise InvalidInput(_("this end is over already"), field="expires_at")
    secret = secrets.token_urlsafe(32)
    with storage.writing(secrets=False) as connection:
        (count,) = connection.execute("SELECT count(*) FROM api_tokens").fetchone()
        if count >= MOST_TOKENS:
            raise Conflict(_("there are {count} API tokens already", count=count), _("revoke one of them"))
        try:
            token = _insert(connection, name, secret, scope, expires_at)
        except sqlite3.IntegrityError as error:
            raise Conflict(_("there is a token of this name already"), _("choose another name")) from error
    return token, secret


def replace_first(connection: sqlite3.Connection, secret: str) -> list[str]:
    """Let the first token have another secret, inside the open transaction; return the owner that has ended."""
    ended = [f"{_OWNER}{row['id']}" for row in connection.execute("SELECT id FROM api_tokens WHERE name = ?", (FIRST,))]
    connection.execute("DELETE FROM api_tokens WHERE name = ?", (FIRST,))
    _insert(connection, FIRST, secret, "admin", 0)
    return ended


def revoke(token_id: int) -> Token:
    """End one token and return what it was. Raises NotFound."""
    with storage.writing(secrets=False) as connection:
        row = connection.execute(f"SELECT {_COLUMNS} FROM api_tokens WHERE id = ?", (token_id,)).fetchone()  # noqa: S608
        if row is None:
            raise NotFound(_("there is no such API token (any more)"))
        connection.execute("DELETE FROM api_tokens WHERE id = ?", (token_id,))
    return Token(*row)


def end_all(connection: sqlite3.Connection) -> list[str]:
    """End every token inside the open transaction and return their owners."""
    ended = [f"{_OWNER}{row['id']}" for row in connection.execute("SELECT id FROM api_tokens")]
    connection.execute("DELETE FROM api_tokens")
    return ended


def note_used(token: Token) -> None:
    """Note that a token was used, at most once a minute; where nothing can be written it is used all the same."""
    now = _now_ms()
    if 0 <= now - token.last_used_at < _USED_EVERY_MS:
        return
    with storage.noting(), storage.writing(durable=False, secrets=False) as connection:
        connection.execute("UPDATE api_tokens SET last_used_at = ? WHERE id = ?", (now, token.id))


def _insert(connection: sqlite3.Connection, name: str, secret: str, scope: str, expires_at: int) -> Token:
    now = _now_ms()
    cursor = connection.execute(
        "INSERT INTO api_tokens (name, hash, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        (name, digest(secret), scope, now, expires_at),
    )
    return Token(int(cursor.lastrowid or 0), name, scope, now, expires_at, 0)


def _now_ms() -> int:
    return int(time.time() * 1000)

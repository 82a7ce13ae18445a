"""Owns the private credentials store of a durable account: where it lies, and which of store and database is ahead.

Claude Code renews the login in it by itself, under its own locks, and so do we under the same. Of a refresh the store
always comes first: a running session must never find a token there that has been spent. No endpoint is asked from here.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..claude import credentials_file, store_locks
from ..messages import AccountsError, Conflict, LoginEnded, _, plural, printable
from ..system.folders import data_folder
from ..system.private_files import make_private_folder
from . import rows as account_rows, standing, storage
from .rows import LACKS_LOGIN, Stored


def folder_of(account_id: str) -> str:
    """Return the store folder of a durable account, whether it exists or not."""
    return os.path.join(data_folder(), "stores", account_id)


def write(stored: Stored) -> None:
    """Put the account's login into its store, which is made where there is none. Raises StoreBusy, StorageFailed.

    One that is made now begins with the sign-ins of MCP servers that the shared store has. They are copied this once:
    from then on each store has its own, and one that was signed out of stays so.
    """
    begin_with = {}
    if not os.path.isdir(folder_of(stored.id)):
        begin_with = credentials_file.sign_ins_of_servers(credentials_file.store_folder(os.environ))
    with locked(stored.id) as folder:
        credentials_file.write_login(folder, account_rows.login_of(stored), begin_with)


def sign_ins_text(account_id: str) -> str:
    """Return the line about the sign-ins of MCP servers in a store that has just been made, empty without any."""
    count = credentials_file.count_sign_ins(folder_of(account_id))
    if not count:
        return ""
    return plural(
        "  {count} sign-in of an MCP server was copied into it; from now on it has its own",
        "  {count} sign-ins of MCP servers were copied into it; from now on it has its own",
        count,
    )


@contextmanager
def locked(account_id: str, wait_seconds: float = 12.0) -> Iterator[str]:
    """Hold Claude Code's locks of the account's store, whose folder is made where there is none, and give the folder.

    Raises StoreBusy.
    """
    folder = folder_of(account_id)
    for path in (os.path.dirname(folder), folder):
        make_private_folder(path)
    with store_locks.locked(folder, wait_seconds=wait_seconds):
        yield folder


def remove(account_id: str) -> None:
    """Remove the account's store with every login in it. Raises StorageFailed when something of it stays."""
    if os.path.isdir(folder_of(account_id)):
        credentials_file.remove_store(folder_of(account_id))


def is_in_step(stored: Stored) -> bool:
    """Tell, without a lock, whether store and database hold the same tokens."""
    login = None if stored.store_lacks else _login_in(stored)
    return login is not None and _ahead(stored, login) is standing.Ahead.NEITHER


def bring_in_step(stored: Stored) -> Stored:
    """Copy the newer of store and database over the other, and return the account's row as it is then.

    To be called inside the locks of the store. Raises LoginEnded when Claude Code has found the login over, Conflict
    when somebody else has signed in there, InvalidInput when the store is not understood.
    """
    folder = folder_of(stored.id)
    name = printable(stored.name)
    if credentials_file.is_ended(folder) and not stored.store_lacks:
        with storage.writing() as connection:
            account_rows.update(connection, "login_id = ?", stored.login_id, {"login_ended": 1})
        raise LoginEnded(_("the login of {name} has ended", name=name), account_rows.login_again(stored))
    login = credentials_file.read_tokens(folder)
    if login is None or stored.store_lacks == LACKS_LOGIN:
        # Signed out in there, put back from a copy without its stores, or a pair that ours should have replaced has
        # been found over: what we hold is all there is.
        return _give(folder, stored)
    _refuse_somebody_else(stored, login)
    with storage.reading() as connection:
        newest = _ahead(stored, login, connection)
    if newest is standing.Ahead.STORE:
        return _take(stored, login)
    # Of a login that has ended a session may still use the access token that the store holds.
    in_step = newest is standing.Ahead.NEITHER and not stored.store_lacks
    return stored if in_step or stored.login_ended else _give(folder, stored)


def _give(folder: str, stored: Stored) -> Stored:
    """Write the account's login into its store, and note that it is there."""
    credentials_file.write_login(folder, account_rows.login_of(stored))
    if not stored.store_lacks:
        return stored
    with storage.writing() as connection:
        # Not of a login that has been captured meanwhile.
        account_rows.update(connection, "refresh_digest = ?", stored.refresh_digest, {"store_lacks": ""})
        return account_rows.of_id(connection, stored.id)


def _take(stored: Stored, login: credentials_file.Login) -> Stored:
    """Take over what the store holds, and remember what that replaces as spent."""
    with storage.writing() as connection:
        changes = account_rows.token_columns(
            connection, login.access_token, login.refresh_token, login.expires_at, stored.login_id
        )
        # Older clients keep less than we know.
        changes |= {column: value for column, value in account_rows.login_columns(login).items() if value}
        # Every account that was given this login goes on with it.
        changes |= {"login_ended": 0, "store_lacks": ""} | account_rows.tried_columns(account_rows.WORKS)
        account_rows.update(connection, "login_id = ?", stored.login_id, changes)
        return account_rows.of_id(connection, stored.id)


def _ahead(
    stored: Stored, login: credentials_file.Login, connection: sqlite3.Connection | None = None
) -> standing.Ahead:
    """Compare store and database; without a `connection` only NEITHER is sure."""
    digest = storage.digest(login.refresh_token)
    return standing.ahead(
        stored,
        login,
        digest,
        same_access=login.access_token == storage.decrypt(stored.access_token_enc),
        replaced=connection is not None and account_rows.is_replaced(connection, digest),
    )


def as_seen(connection: sqlite3.Connection, stored: Stored) -> account_rows.Account:
    """Return an account as everybody may see it, a durable one as its store tells it now.

    Looking writes nothing and takes no lock.
    """
    account = account_rows.account_of(stored)
    if not account.durable or sys.platform == "darwin":
        # The Keychain asks its owner before it answers: no list may cause that.
        return account
    folder = folder_of(account.id)
    try:
        if credentials_file.is_ended(folder):
            return account if stored.store_lacks else account._replace(login_ended=True)
        login = credentials_file.read_tokens(folder)
        if login is None or _ahead(stored, login, connection) is not standing.Ahead.STORE:
            return account
    except AccountsError:
        # The next launch says what is wrong with it.
        return account
    ends = login.login_expires_at or account.login_expires_at
    return account._replace(expires_at=login.expires_at, login_expires_at=ends, login_ended=False)


def marks() -> str:
    """Return a text that differs after any of the stores has been written, by whatever program."""
    parent = os.path.join(data_folder(), "stores")
    try:
        names = sorted(os.listdir(parent))
    except OSError:
        # What the stores that cannot be seen hold, whoever launches their accounts is told.
        return ""
    found = []
    for name in names:
        try:
            found.append(str(os.stat(credentials_file.credentials_path(os.path.join(parent, name))).st_mtime_ns))
        except OSError:
            found.append("-")
    return " ".join(found)


def _login_in(stored: Stored) -> credentials_file.Login | None:
    try:
        return credentials_file.read_tokens(folder_of(stored.id))
    except AccountsError:
        return None


def _refuse_somebody_else(stored: Stored, login: credentials_file.Login) -> None:
    if standing.is_somebody_else(stored, login):
        name = printable(stored.name)
        raise Conflict(
            _("somebody else has signed in inside a session of {name}", name=name),
            _("sign in again as {name}: claude-accounts login --new {name}", name=name),
        )

"""Owns the private credentials store of a durable account: where it lies, and which of store and database is ahead.

Claude Code renews the login in it by itself, under its own locks, and so do we under the same. The store always comes
first: a running session must never find a token there that has been spent. No endpoint is asked from here.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..claude import credentials_store
from ..messages import AccountsError, Conflict, LoginEnded, _, printable
from ..system.folders import data_folder
from ..system.private_files import make_private_folder
from . import rows as account_rows, storage


def folder_of(account_id: str) -> str:
    """Return the store folder of a durable account, whether it exists or not."""
    return os.path.join(data_folder(), "stores", account_id)


def write(row: sqlite3.Row) -> None:
    """Put the account's login into its store, which is made where there is none. Raises StoreBusy, StorageFailed."""
    with locked(row["id"]) as folder:
        credentials_store.write_login(folder, account_rows.login_of(row))


@contextmanager
def locked(account_id: str, wait_seconds: float = 12.0) -> Iterator[str]:
    """Hold Claude Code's locks of the account's store, whose folder is made where there is none, and give the folder.

    Raises StoreBusy.
    """
    folder = folder_of(account_id)
    for path in (os.path.dirname(folder), folder):
        make_private_folder(path)
    with credentials_store.locked(folder, wait_seconds=wait_seconds):
        yield folder


def remove(account_id: str) -> None:
    """Remove the account's store with every login in it. Raises StorageFailed when something of it stays."""
    if os.path.isdir(folder_of(account_id)):
        credentials_store.remove_store(folder_of(account_id))


def is_in_step(row: sqlite3.Row) -> bool:
    """Tell, without a lock, whether store and database hold the same tokens."""
    login = _login_in(row)
    return (
        login is not None
        and login.expires_at == row["expires_at"]
        and storage.digest(login.refresh_token) == row["refresh_digest"]
    )


def bring_in_step(row: sqlite3.Row) -> sqlite3.Row:
    """Copy the newer of store and database over the other, and return the account's row as it is then.

    To be called inside the locks of the store. Raises LoginEnded when Claude Code has found the login over, Conflict
    when somebody else has signed in there, InvalidInput when the store is not understood.
    """
    folder = folder_of(row["id"])
    name = printable(row["name"])
    if credentials_store.is_ended(folder):
        with storage.writing() as connection:
            account_rows.update(connection, "login_id = ?", row["login_id"], {"login_ended": 1})
        raise LoginEnded(_("the login of {name} has ended", name=name), account_rows.login_again(row))
    login = credentials_store.read_tokens(folder)
    if login is None:
        # Signed out in there, or put back from a copy without its stores: what we hold is all there is.
        credentials_store.write_login(folder, account_rows.login_of(row))
        return row
    _refuse_somebody_else(row, login)
    if storage.digest(login.refresh_token) == row["refresh_digest"] and login.expires_at == row["expires_at"]:
        return row
    if login.expires_at < row["expires_at"] and not row["login_ended"]:
        credentials_store.write_login(folder, account_rows.login_of(row))
        return row
    with storage.writing() as connection:
        changes = account_rows.token_columns(
            connection, login.access_token, login.refresh_token, login.expires_at, row["login_id"]
        )
        # Older clients keep less than we know.
        changes |= {column: value for column, value in account_rows.login_columns(login).items() if value}
        # Every account that was given this login goes on with it.
        account_rows.update(connection, "login_id = ?", row["login_id"], changes | {"login_ended": 0})
        return account_rows.row_of(connection, row["id"])


def as_seen(account: account_rows.Account) -> account_rows.Account:
    """Return a durable account as its store tells it now; looking writes nothing and takes no lock."""
    if not account.durable or sys.platform == "darwin":
        # The Keychain asks its owner before it answers: no list may cause that.
        return account
    folder = folder_of(account.id)
    try:
        if credentials_store.is_ended(folder):
            return account._replace(login_ended=True)
        login = credentials_store.read_tokens(folder)
    except AccountsError:
        # The next launch says what is wrong with it.
        return account
    if login is None or login.expires_at < account.expires_at:
        return account
    ends = login.login_expires_at or account.login_expires_at
    return account._replace(expires_at=login.expires_at, login_expires_at=ends, login_ended=False)


def marks() -> str:
    """Return a text that differs after any of the stores has been written, by whatever program."""
    parent = os.path.join(data_folder(), "stores")
    try:
        names = sorted(os.listdir(parent))
    except FileNotFoundError:
        return ""
    found = []
    for name in names:
        try:
            found.append(str(os.stat(credentials_store.credentials_path(os.path.join(parent, name))).st_mtime_ns))
        except OSError:
            found.append("-")
    return " ".join(found)


def _login_in(row: sqlite3.Row) -> credentials_store.Login | None:
    try:
        return credentials_store.read_tokens(folder_of(row["id"]))
    except AccountsError:
        return None


def _refuse_somebody_else(row: sqlite3.Row, login: credentials_store.Login) -> None:
    for column, found in (("account_uuid", login.account_uuid), ("organization_uuid", login.organization_uuid)):
        if row[column] and found and row[column] != found:
            name = printable(row["name"])
            raise Conflict(
                _("somebody else has signed in inside a session of {name}", name=name),
                _("sign in again as {name}: claude-accounts login --new {name}", name=name),
            )

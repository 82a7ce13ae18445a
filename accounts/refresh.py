"""Owns the refresh of one login: its lock, the one question to the token endpoint, and the write back.

It knows nothing of launching, of the dashboard or of how a login was captured.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..claude import credentials_store
from ..messages import AccountsError, EndpointFailed, LoginEnded, StoreBusy, _, printable
from ..system.folders import data_folder
from ..system.private_files import cannot_write, make_private_folder
from . import durable_store, rows as account_rows, storage

if TYPE_CHECKING:
    from ..claude import oauth

REFRESH_BEFORE_MS = 5 * 60 * 1000
_LOCK_SECONDS = 60.0


def refreshed(seen: sqlite3.Row) -> sqlite3.Row:
    """Return the account's row after its login has been refreshed by us or by whoever held the lock before us."""
    with login_lock(seen):
        row = account_rows.reread(seen["id"])
        owner = _durable_owner(row)
        if owner is not None:
            return _refreshed_in_its_store(owner, seen)
        if row["access_token_enc"] != seen["access_token_enc"] and _lasts(row):
            return row
        if row["login_ended"]:
            raise LoginEnded(
                _("the login of {name} has ended", name=printable(row["name"])), account_rows.login_again(row)
            )
        folder = credentials_store.store_folder(os.environ)
        if not _is_same_login(row, _readable_login(folder)):
            return _ask_and_store(row)
        # Claude Code refreshes this very login too: under its locks, one of us does and the other one sees it.
        with credentials_store.locked(folder):
            login = _readable_login(folder)
            if login is None or not _is_same_login(row, login):
                return _ask_and_store(row)
            if storage.digest(login.refresh_token) == row["spent_digest"]:
                _mend(folder, login, row)
            row = _adopt_newer(row, login)
            return row if _lasts(row) else _ask_and_store(row, folder)


def current(row: sqlite3.Row, *, wait_seconds: float = 12.0) -> sqlite3.Row:
    """Return the account's row with the newest tokens that any store of this machine holds of its login.

    A write back that a crash cut off is made up for. Raises what durable_store.bring_in_step does, and StoreBusy.
    """
    if row["durable"]:
        if durable_store.is_in_step(row):
            return row
        with login_lock(row):
            return current_within_lock(row, wait_seconds)
    folder = credentials_store.store_folder(os.environ)
    login = _readable_login(folder) if row["spent_digest"] else None
    if login is not None and storage.digest(login.refresh_token) == row["spent_digest"]:
        with login_lock(row), credentials_store.locked(folder, wait_seconds=wait_seconds):
            _mend(folder, login, account_rows.reread(row["id"]))
    return row


def current_within_lock(row: sqlite3.Row, wait_seconds: float = 12.0) -> sqlite3.Row:
    """Do what `current` does for a durable account, for a caller that holds the login's lock already."""
    with durable_store.locked(row["id"], wait_seconds):
        return durable_store.bring_in_step(account_rows.reread(row["id"]))


def is_in_live_store(row: sqlite3.Row) -> bool:
    """Tell whether Claude Code's own store holds this very login, and so renews it as well."""
    return _is_same_login(row, _readable_login(credentials_store.store_folder(os.environ)))


def _durable_owner(row: sqlite3.Row) -> sqlite3.Row | None:
    """Return the durable account of this login: the account itself, or one that was given the same tokens before."""
    with storage.reading() as connection:
        found: sqlite3.Row | None = connection.execute(
            "SELECT * FROM accounts WHERE login_id = ? AND durable ORDER BY id != ?", (row["login_id"], row["id"])
        ).fetchone()
    return found


def _refreshed_in_its_store(owner: sqlite3.Row, seen: sqlite3.Row) -> sqlite3.Row:
    """Refresh in the durable account's store, where sessions look, and return the row of the account that asked."""
    with durable_store.locked(owner["id"]) as folder:
        durable_store.bring_in_step(owner)
        row = account_rows.reread(seen["id"])
        if row["access_token_enc"] != seen["access_token_enc"] and _lasts(row):
            return row
        _ask_and_store(account_rows.reread(owner["id"]), folder)
        return account_rows.reread(seen["id"])


def _mend(folder: str, login: credentials_store.Login, row: sqlite3.Row) -> None:
    """Give Claude Code's store the tokens that a crash between our two files kept from it."""
    if storage.digest(login.refresh_token) == row["spent_digest"]:
        credentials_store.write_back(folder, login.refresh_token, account_rows.login_of(row))


def _ask_and_store(row: sqlite3.Row, folder: str = "") -> sqlite3.Row:
    """Spend the refresh token, commit what came back, then write it back to Claude Code's store in `folder`."""
    # Refreshing is the one thing that needs an HTTP client; every other command must not pay for its import.
    from ..claude import oauth

    storage.check_room()
    spent = storage.decrypt(row["refresh_token_enc"])
    try:
        tokens = oauth.refresh(spent, tuple(row["scopes"].split()))
    except LoginEnded as error:
        _mark_ended(row)
        raise LoginEnded(f"{printable(row['name'])}: {error.message}", account_rows.login_again(row)) from error
    except EndpointFailed as error:
        raise EndpointFailed(f"{printable(row['name'])}: {error.message}", error.hint) from error
    if row["account_uuid"] and tokens.account_uuid and row["account_uuid"] != tokens.account_uuid:
        _mark_ended(row)
        raise LoginEnded(
            _("the token endpoint answered for another identity than {name}'s; nothing was stored", name=row["name"]),
            account_rows.login_again(row),
        )
    new = account_rows.login_of(row)._replace(
        access_token=tokens.access_token, refresh_token=tokens.refresh_token or spent, expires_at=tokens.expires_at
    )
    if row["durable"]:
        # A session that runs reads its store alone: even when that cannot be written, the tokens must be somewhere.
        try:
            credentials_store.write_back(folder, spent, new)
        finally:
            stored = _store(row, tokens, new)
        return stored
    stored = _store(row, tokens, new)
    if folder:
        credentials_store.write_back(folder, spent, account_rows.login_of(stored))
    return stored


def _store(row: sqlite3.Row, tokens: oauth.Tokens, new: credentials_store.Login) -> sqlite3.Row:
    """Commit the answered tokens and return the account's row."""
    with storage.writing() as connection:
        changes = account_rows.token_columns(
            connection, new.access_token, new.refresh_token, new.expires_at, row["login_id"]
        )
        changes |= {column: value for column, value in account_rows.answered_columns(tokens).items() if value}
        if new.refresh_token != account_rows.login_of(row).refresh_token:
            changes["spent_digest"] = row["refresh_digest"]
        # Every account that holds this login gets the new pair, and none that has been given another one meanwhile.
        account_rows.update(connection, "refresh_digest = ?", row["refresh_digest"], changes)
    return account_rows.reread(row["id"])


def _adopt_newer(row: sqlite3.Row, login: credentials_store.Login) -> sqlite3.Row:
    """Take over what Claude Code has made of this very login since it was captured."""
    known = login.refresh_token == storage.decrypt(row["refresh_token_enc"])
    if known or login.expires_at < row["expires_at"]:
        return row
    with storage.writing() as connection:
        tokens = account_rows.token_columns(
            connection, login.access_token, login.refresh_token, login.expires_at, row["login_id"]
        )
        changes = tokens | account_rows.login_columns(login)
        account_rows.update(connection, "refresh_digest = ?", row["refresh_digest"], changes)
    return account_rows.reread(row["id"])


def _lasts(row: sqlite3.Row) -> bool:
    return not 0 < row["expires_at"] <= account_rows.now_ms() + REFRESH_BEFORE_MS


def _is_same_login(row: sqlite3.Row, login: credentials_store.Login | None) -> bool:
    """Tell whether Claude Code's store holds this account's own login.

    Its token proves it; so does its owner, for an account that was captured from there.
    """
    if login is None or not login.refresh_token:
        return False
    if storage.digest(login.refresh_token) in (row["refresh_digest"], row["spent_digest"]):
        return True
    same_owner = login.account_uuid != "" and (login.account_uuid, login.organization_uuid) == (
        row["account_uuid"],
        row["organization_uuid"],
    )
    # The end of a login does not move when it is refreshed: another end is another login of the same person.
    same_end = 0 in (login.login_expires_at, row["login_expires_at"]) or (
        login.login_expires_at == row["login_expires_at"]
    )
    return bool(row["from_live_store"]) and same_owner and same_end


def _readable_login(folder: str) -> credentials_store.Login | None:
    try:
        return credentials_store.read_login(folder)
    except AccountsError:
        # A store that we do not understand or may not open is nobody's login to us, and stays as it is.
        return None


def _mark_ended(row: sqlite3.Row) -> None:
    with storage.writing() as connection:
        account_rows.update(connection, "refresh_digest = ?", row["refresh_digest"], {"login_ended": 1})


@contextmanager
def login_lock(row: sqlite3.Row) -> Iterator[None]:
    """Hold the lock of one login, across processes and threads; the system lets go of a killed holder's.

    Raises StoreBusy after a minute.
    """
    make_private_folder(os.path.dirname(lock_path(row["login_id"])))
    try:
        descriptor = os.open(lock_path(row["login_id"]), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise cannot_write(lock_path(row["login_id"]), error) from error
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreBusy(
                        _("another process has been refreshing {name} for too long", name=printable(row["name"])),
                        _("end it, then try again"),
                    ) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def lock_path(login_id: str) -> str:
    return os.path.join(data_folder(), "locks", login_id)

"""Owns the refresh of one login: its lock, the one question to the token endpoint, and the write back.

It knows nothing of launching, of the dashboard or of how a login was captured.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..claude import credentials_file, store_locks
from ..messages import AccountsError, EndpointFailed, LoginEnded, StoreBusy, _, printable
from ..system.access import cannot_write
from ..system.folders import data_folder
from ..system.private_files import give_to_owner_of, lock, make_private_folder
from . import durable_store, rows as account_rows, standing, storage
from .rows import Stored

if TYPE_CHECKING:
    from ..claude import oauth

_LOCK_SECONDS = 60.0


def refreshed(seen: Stored) -> Stored:
    """Return the account's row after its login has been refreshed by us or by whoever held the lock before us."""
    with login_lock(seen):
        stored = account_rows.reread(seen.id)
        owner = _durable_owner(stored)
        if owner is not None:
            return _refreshed_in_its_store(owner, seen)
        if stored.access_token_enc != seen.access_token_enc and standing.lasts(stored, account_rows.now_ms()):
            return stored
        folder = credentials_file.store_folder(os.environ)
        if not _holds(stored, _readable_login(folder)):
            return _ask_and_store(stored)
        # Claude Code refreshes this very login too: under its locks, one of us does and the other one sees it.
        with store_locks.locked(folder):
            login = _readable_login(folder)
            if login is None or not _holds(stored, login):
                return _ask_and_store(stored)
            stored = _in_step_with_live_store(folder, stored, login)
            return stored if standing.lasts(stored, account_rows.now_ms()) else _ask_and_store(stored, folder)


def current(stored: Stored, *, wait_seconds: float = 12.0) -> Stored:
    """Return the account's row with the newest tokens that any store of this machine holds of its login.

    A write back that a crash cut off is made up for. Raises what durable_store.bring_in_step does, and StoreBusy;
    InvalidInput for a live store that the login came from and that is not understood.
    """
    if stored.durable:
        if durable_store.is_in_step(stored):
            return stored
        with login_lock(stored):
            return current_within_lock(stored, wait_seconds)
    # The Keychain may ask its owner before it answers: only for what we know to be wrong there.
    captured = stored.from_live_store and sys.platform != "darwin"
    if not (stored.spent_digest or captured):
        return stored
    folder = credentials_file.store_folder(os.environ)
    found = credentials_file.read_tokens(folder)
    if found is None or storage.digest(found.refresh_token) == stored.refresh_digest:
        return stored
    if not _holds(stored, credentials_file.read_login(folder)):
        return stored
    with login_lock(stored), store_locks.locked(folder, wait_seconds=wait_seconds):
        stored = account_rows.reread(stored.id)
        login = credentials_file.read_login(folder)
        if login is None or stored.durable or not _holds(stored, login):
            return stored
        return _in_step_with_live_store(folder, stored, login)


def current_within_lock(stored: Stored, wait_seconds: float = 12.0) -> Stored:
    """Do what `current` does for a durable account, for a caller that holds the login's lock already."""
    with durable_store.locked(stored.id, wait_seconds):
        return durable_store.bring_in_step(account_rows.reread(stored.id))


def is_in_live_store(stored: Stored) -> bool:
    """Tell whether Claude Code's own store holds this very login, and so renews it as well."""
    return _holds(stored, _readable_login(credentials_file.store_folder(os.environ)))


def _durable_owner(stored: Stored) -> Stored | None:
    """Return the durable account of this login: the account itself, or one that was given the same tokens before."""
    with storage.reading() as connection:
        owners = account_rows.select(connection, "login_id = ? AND durable", stored.login_id)
    return next((owner for owner in owners if owner.id == stored.id), owners[0] if owners else None)


def _refreshed_in_its_store(owner: Stored, seen: Stored) -> Stored:
    """Refresh in the durable account's store, where sessions look, and return the row of the account that asked."""
    with durable_store.locked(owner.id) as folder:
        durable_store.bring_in_step(account_rows.reread(owner.id))
        stored = account_rows.reread(seen.id)
        if stored.access_token_enc != seen.access_token_enc and standing.lasts(stored, account_rows.now_ms()):
            return stored
        _ask_and_store(account_rows.reread(owner.id), folder)
        return account_rows.reread(seen.id)


def _in_step_with_live_store(folder: str, stored: Stored, login: credentials_file.Login) -> Stored:
    """Take over what Claude Code has made of this very login, or give its store what a crash has kept from it.

    To be called inside the locks of the store. As for a durable account, what was spent decides, never an end.
    """
    digest = storage.digest(login.refresh_token)
    if digest == stored.refresh_digest:
        return stored
    with storage.reading() as connection:
        spent = digest == stored.spent_digest or account_rows.is_spent(connection, digest, stored)
        replaced = account_rows.is_replaced(connection, digest)
    if spent:
        credentials_file.write_back(folder, login.refresh_token, account_rows.login_of(stored))
    # A token that only another login of this account has replaced is none of ours to overwrite, nor to go back to.
    return stored if spent or replaced else _adopt(stored, login)


def _ask_and_store(stored: Stored, folder: str = "") -> Stored:
    """Spend the refresh token, commit what came back, then write it back to Claude Code's store in `folder`.

    Raises LoginEnded without asking for a login that is known to be over.
    """
    # Refreshing is the one thing that needs an HTTP client; every other command must not pay for its import.
    from ..claude import oauth

    if stored.login_ended:
        raise LoginEnded(
            _("the login of {name} has ended", name=printable(stored.name)), account_rows.login_again(stored)
        )
    storage.check_room()
    spent = storage.decrypt(stored.refresh_token_enc)
    try:
        tokens = oauth.refresh(spent, tuple(stored.scopes.split()))
    except LoginEnded as error:
        _mark_ended(stored)
        raise LoginEnded(f"{printable(stored.name)}: {error.message}", account_rows.login_again(stored)) from error
    except EndpointFailed as error:
        raise EndpointFailed(f"{printable(stored.name)}: {error.message}", error.hint) from error
    if stored.account_uuid and tokens.account_uuid and stored.account_uuid != tokens.account_uuid:
        _mark_ended(stored)
        raise LoginEnded(
            _("the token endpoint answered for another identity than {name}'s; nothing was stored", name=stored.name),
            account_rows.login_again(stored),
        )
    new = account_rows.login_of(stored)._replace(
        access_token=tokens.access_token, refresh_token=tokens.refresh_token or spent, expires_at=tokens.expires_at
    )
    if stored.durable:
        return _store_its_store_first(stored, tokens, new, folder, spent)
    stored = _store(stored, tokens, new)
    if folder:
        credentials_file.write_back(folder, spent, account_rows.login_of(stored))
    return stored


def _store_its_store_first(
    stored: Stored, tokens: oauth.Tokens, new: credentials_file.Login, folder: str, spent: str
) -> Stored:
    """Write the new pair into the durable account's own store, where sessions look, then commit it.

    Even when the store cannot be written the tokens must be somewhere, and the store known to be without them.
    """
    lacks = stored.store_lacks or account_rows.LACKS_TOKENS
    try:
        if credentials_file.write_back(folder, spent, new):
            lacks = ""
    finally:
        stored = _store(stored, tokens, new, lacks)
    return stored


def _store(stored: Stored, tokens: oauth.Tokens, new: credentials_file.Login, lacks: str = "") -> Stored:
    """Commit the answered tokens, with what the account's own store lacks of them, and return the account's row."""
    with storage.writing() as connection:
        changes = account_rows.token_columns(
            connection, new.access_token, new.refresh_token, new.expires_at, stored.login_id
        )
        changes |= {column: value for column, value in account_rows.answered_columns(tokens).items() if value}
        if new.refresh_token != account_rows.login_of(stored).refresh_token:
            changes["spent_digest"] = stored.refresh_digest
        changes |= {"store_lacks": lacks} | account_rows.tried_columns(account_rows.WORKS)
        # Every account that holds this login gets the new pair, and none that has been given another one meanwhile.
        account_rows.update(connection, "refresh_digest = ?", stored.refresh_digest, changes)
    return account_rows.reread(stored.id)


def _adopt(stored: Stored, login: credentials_file.Login) -> Stored:
    with storage.writing() as connection:
        tokens = account_rows.token_columns(
            connection, login.access_token, login.refresh_token, login.expires_at, stored.login_id
        )
        changes = tokens | account_rows.login_columns(login) | {"login_ended": 0}
        # Claude Code has been given them for the ones that we hold.
        changes |= account_rows.tried_columns(account_rows.WORKS)
        account_rows.update(connection, "refresh_digest = ?", stored.refresh_digest, changes)
    return account_rows.reread(stored.id)


def _holds(stored: Stored, login: credentials_file.Login | None) -> bool:
    return login is not None and standing.is_same_login(stored, login, storage.digest(login.refresh_token))


def _readable_login(folder: str) -> credentials_file.Login | None:
    try:
        return credentials_file.read_login(folder)
    except AccountsError:
        # A store that we do not understand or may not open is nobody's login to us, and stays as it is.
        return None


def _mark_ended(stored: Stored) -> None:
    with storage.writing() as connection:
        account_rows.update(connection, "refresh_digest = ?", stored.refresh_digest, {"login_ended": 1})


@contextmanager
def login_lock(stored: Stored) -> Iterator[None]:
    """Hold the lock of one login, across processes and threads; the system lets go of a killed holder's.

    Raises StoreBusy after a minute.
    """
    make_private_folder(os.path.dirname(lock_path(stored.login_id)))
    try:
        descriptor = os.open(lock_path(stored.login_id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_to_owner_of(os.path.dirname(lock_path(stored.login_id)), descriptor)
    except OSError as error:
        raise cannot_write(lock_path(stored.login_id), error) from error
    try:
        busy = _("another process has been refreshing {name} for too long", name=printable(stored.name))
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                knows_locks = lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreBusy(busy, _("end it, then try again")) from None
                time.sleep(0.02)
        if knows_locks:
            yield
        else:
            # A disk of a network without locks: a folder, which only one can make, is one too.
            with store_locks.folder_locked(lock_path(stored.login_id), busy, _LOCK_SECONDS):
                yield
    finally:
        os.close(descriptor)


def lock_path(login_id: str) -> str:
    return os.path.join(data_folder(), "locks", login_id)

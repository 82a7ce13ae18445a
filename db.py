"""Owns accounts and their credentials: adding, listing, the environment of a launch, refresh, capture.

It knows no command line and no HTTP; account_rows.py knows what a row looks like, login_refresh.py how one is renewed.
"""

from importlib import import_module

if not __package__:
    import_module("bare_names").adopt(globals())

import os
import sqlite3
from contextlib import suppress
from typing import Any, NamedTuple

from .accounts import (
    bindings,
    durable_store,
    entries,
    refresh as login_refresh,
    rows as account_rows,
    sessions,
    standing,
    storage,
)
from .accounts.entries import API_KEY, OAUTH, VARIABLES, clean_name
from .accounts.rows import Account, Stored
from .claude import credentials_file
from .messages import (
    AccountsError,
    Conflict,
    InvalidInput,
    LoginEnded,
    NotFound,
    StorageFailed,
    StoreBusy,
    _,
    printable,
)

__all__ = ["API_KEY", "OAUTH", "VARIABLES", "Account", "Stored", "clean_name"]


class Imported(NamedTuple):
    """The names an import stored, and those it left alone because an account of that name was there."""

    imported: list[str]
    skipped: list[str]


class Chosen(NamedTuple):
    """What one look into the database brings for a launch: the account with its login, and whom the folder is bound to.

    It is handed along; whoever learns something newer of the login hands a newer one on.
    """

    stored: Stored
    account: Account
    bound: bindings.Binding | None


def choose(folder: str, *, name: str | None = None, account_id: str = "") -> Chosen | None:
    """Return the account of this name as typed, or of this id, for a launch in `folder`.

    With neither it is the one that the folder is bound to, None where it is bound to nobody. Raises NotFound.
    """
    with storage.reading() as connection:
        bound = bindings.nearest_in(connection, folder)
        if name is not None:
            stored = account_rows.of_name(connection, name)
        elif account_id or bound:
            stored = account_rows.of_id(connection, account_id or (bound.account_id if bound else ""))
        else:
            return None
        return Chosen(stored, account_rows.account_of(stored), bound)


def list_accounts() -> list[Account]:
    """Return all accounts, oldest first."""
    with storage.reading() as connection:
        found = account_rows.select(connection)
        return [durable_store.as_seen(connection, stored) for stored in found]


def account_names() -> list[str]:
    """Return the names of all accounts, oldest first, without looking at a credential."""
    with storage.reading() as connection:
        return account_rows.names(connection)


def get_account(account_id: str) -> Account:
    """Return one account by its id. Raises NotFound."""
    with storage.reading() as connection:
        return durable_store.as_seen(connection, account_rows.of_id(connection, account_id))


def find_account(name: str) -> Account:
    """Return one account by its name as typed. Raises NotFound, with the likeliest name in the hint."""
    with storage.reading() as connection:
        return durable_store.as_seen(connection, account_rows.of_name(connection, name))


def refuse_taken_name(name: str) -> None:
    """Raise Conflict when an account of that name exists; adding it is still what decides."""
    with storage.reading() as connection:
        if connection.execute("SELECT 1 FROM accounts WHERE name = ?", (storage.kept(name),)).fetchone():
            raise account_rows.taken(name)


def add_account(
    name: str,
    auth_type: str,
    *,
    api_key: str = "",
    access_token: str = "",
    refresh_token: str = "",
    expires_at: int = 0,
    approve_key: bool = False,
) -> Account:
    """Store a new account; an `oauth` account may come without tokens and get them by a capture.

    With `approve_key` a launch may tell Claude Code to use the API key without asking.

    Raises InvalidInput (its `field` says which value) and Conflict when the name is taken.
    """
    entry = entries.checked_entry(
        {
            "name": name,
            "auth_type": auth_type,
            "api_key": api_key,
            "access_token": access_token,
            "refresh_token": refresh_token,
            "expires_at": expires_at,
            "approve_key": approve_key,
        }
    )
    with storage.writing() as connection:
        try:
            account_id = account_rows.insert(connection, entry)
        except sqlite3.IntegrityError as error:
            raise account_rows.taken(entry["name"]) from error
        return account_rows.account_of(account_rows.of_id(connection, account_id))


def update_account(
    account_id: str,
    *,
    name: str | None = None,
    api_key: str | None = None,
    access_token: str | None = None,
    refresh_token: str | None = None,
    expires_at: int | None = None,
    approve_key: bool | None = None,
) -> Account:
    """Change what is given of one account; a new token starts a new login.

    Raises NotFound, InvalidInput and Conflict.
    """
    with storage.writing() as connection:
        stored = account_rows.of_id(connection, account_id)
        changes: dict[str, object] = {}
        if name is not None and name != stored.name:
            changes["name"] = clean_name(name)
        if api_key is not None:
            account_rows.require_type(stored, API_KEY, "api_key")
            changes["api_key_enc"] = storage.encrypt(entries.checked_secret(api_key, "api_key", API_KEY))
        if approve_key is not None:
            account_rows.require_type(stored, API_KEY, "approve_key")
            changes["approve_key"] = int(approve_key)
        if access_token is not None or refresh_token is not None or expires_at is not None:
            account_rows.require_type(stored, OAUTH, "access_token")
            if stored.durable:
                raise InvalidInput(
                    _("the tokens of {name} renew themselves in a store of their own", name=printable(stored.name)),
                    f"claude-accounts login --new {printable(stored.name)}",
                    field="access_token",
                )
            changes |= account_rows.changed_tokens(connection, access_token, refresh_token, expires_at)
        try:
            account_rows.update(connection, "id = ?", account_id, changes)
        except sqlite3.IntegrityError as error:
            raise account_rows.taken(str(changes.get("name"))) from error
        return account_rows.account_of(account_rows.of_id(connection, account_id))


def allow_host(account_id: str, host: str, allowed: bool) -> Account:
    """Let a project send this account's credential to `host`, or no longer. Raises NotFound and InvalidInput."""
    checked = entries.checked_host(host)
    with storage.writing(secrets=False) as connection:
        hosts = set(account_rows.of_id(connection, account_id).allowed_hosts.split())
        hosts = hosts | {checked} if allowed else hosts - {checked}
        account_rows.update(connection, "id = ?", account_id, {"allowed_hosts": " ".join(sorted(hosts))})
        return account_rows.account_of(account_rows.of_id(connection, account_id))


def delete_account(account_id: str) -> None:
    """Remove an account; its ciphertext leaves the files too. Raises NotFound."""
    with storage.writing() as connection:
        login_id = account_rows.of_id(connection, account_id).login_id
        connection.execute("DELETE FROM accounts WHERE id = ?", (account_id,))
        connection.execute("DELETE FROM recent_folders WHERE account_id = ?", (account_id,))
        last = not connection.execute("SELECT 1 FROM accounts WHERE login_id = ?", (login_id,)).fetchone()
        if last:
            connection.execute("DELETE FROM spent_tokens WHERE login_id = ?", (login_id,))
    storage.forget_removed_pages()
    durable_store.remove(account_id)
    if last:
        with suppress(OSError):
            os.unlink(login_refresh.lock_path(login_id))


def get_launch_env(account_id: str) -> dict[str, str]:
    """Return the one variable that makes a process use this account, refreshed first when it ends within 5 minutes.

    Stamps `last_used`. Raises NotFound and what `injected` raises.
    """
    environment, _stored = injected(account_rows.reread(account_id))
    sessions.stamp(account_id)
    return environment


def get_durable_env(account_id: str) -> dict[str, str]:
    """Return the one variable that makes claude use a durable account's own store, in which it renews its login.

    Stamps `last_used`. Raises NotFound and what `durable` raises.
    """
    environment, _stored = durable(account_rows.reread(account_id))
    sessions.stamp(account_id)
    return environment


def injected(stored: Stored) -> tuple[dict[str, str], Stored]:
    """Return the variable that gives a session this account's key or token, and the account as it is after a refresh.

    Raises LoginEnded, EndpointFailed, StoreBusy, and AccountsError for an account that has no credential yet.
    """
    if stored.auth_type == OAUTH and stored.access_token_enc:
        stored = _newest_known(stored)
    now = account_rows.now_ms()
    if standing.wants_refresh(stored, now):
        stored = login_refresh.refreshed(stored)
    elif standing.has_expired(stored, now):
        raise LoginEnded(
            _("the access token of {name} has ended and there is no refresh token", name=printable(stored.name)),
            f"claude-accounts login {printable(stored.name)}",
        )
    secret = storage.decrypt(stored.api_key_enc if stored.auth_type == API_KEY else stored.access_token_enc)
    if not secret:
        raise account_rows.no_credential(stored)
    return {VARIABLES[stored.auth_type]: secret}, stored


def _newest_known(stored: Stored) -> Stored:
    """Return the account with what is newest in the store that renews it, as far as that can be had now."""
    if stored.durable:
        return login_refresh.current(stored)
    with suppress(AccountsError):
        return login_refresh.current(stored, wait_seconds=1.0)
    # What hinders a look into Claude Code's own store hinders no token that lasts; a refresh looks again, and says so.
    return stored


def durable(stored: Stored) -> tuple[dict[str, str], Stored]:
    """Return the variable that gives a session this account's own store, and the account with what is newest in it.

    Raises LoginEnded when only a new login helps, Conflict when somebody else has signed in inside a session of this
    account, and AccountsError for an account that has no login yet.
    """
    if not stored.refresh_token_enc:
        raise account_rows.no_credential(stored)
    try:
        stored = login_refresh.current(stored, wait_seconds=1.0)
    except StoreBusy:
        # A session is renewing the login right now; what it writes is for this one too.
        pass
    except StorageFailed:
        # What cannot be written down here stands in the store, which is what a session reads.
        if stored.store_lacks:
            raise
    if standing.is_over(stored, account_rows.now_ms()):
        raise LoginEnded(
            _("the login of {name} has ended", name=printable(stored.name)), account_rows.login_again(stored)
        )
    return {credentials_file.STORE_VARIABLE: durable_store.folder_of(stored.id)}, stored


def set_durable(account_id: str, durable: bool) -> Account:
    """Give the account's login a store of its own, in which Claude Code renews it, or take that away again.

    Raises InvalidInput for what cannot be renewed, Conflict for a login that somebody else renews too, and what
    durable_store.bring_in_step and the locks raise.
    """
    stored = account_rows.reread(account_id)
    account_rows.require_type(stored, OAUTH, "durable")
    with login_refresh.login_lock(stored):
        stored = account_rows.reread(account_id)
        if durable == bool(stored.durable):
            return account_rows.account_of(stored)
        if durable:
            _refuse_durable(stored)
            if stored.refresh_token_enc:
                durable_store.write(stored)
        elif stored.refresh_token_enc:
            stored = login_refresh.current_within_lock(stored)
        with storage.writing() as connection:
            # Another login may have been captured since the store was written.
            same = account_rows.of_id(connection, account_id).refresh_digest == stored.refresh_digest
            lacks = account_rows.LACKS_LOGIN if durable and not same else ""
            changes = {"durable": int(durable), "from_live_store": 0, "store_lacks": lacks}
            account_rows.update(connection, "id = ?", account_id, changes)
            stored = account_rows.of_id(connection, account_id)
        if not durable:
            durable_store.remove(account_id)
    return account_rows.account_of(stored)


def _refuse_durable(stored: Stored) -> None:
    """Raise for a login that cannot be renewed, or that has another owner: two who renew it end it for both."""
    name = printable(stored.name)
    again = f"claude-accounts login --new --durable {name}"
    if stored.access_token_enc and not stored.refresh_token_enc:
        raise InvalidInput(_("{name} holds a token that cannot be renewed", name=name), again, field="durable")
    others = accounts_of_login(stored.id) if stored.refresh_token_enc else []
    if others:
        raise Conflict(
            _("{name} and {others} are one login, which only one can renew", name=name, others=", ".join(others)),
            again,
        )
    if stored.refresh_token_enc and login_refresh.is_in_live_store(stored):
        raise Conflict(_("the login of {name} is Claude Code's own too, and both would renew it", name=name), again)


def holds(account_id: str, secret: str) -> bool:
    """Tell whether this very secret is the credential of the account."""
    stored = account_rows.reread(account_id)
    return secret != "" and secret == storage.decrypt(stored.api_key_enc or stored.access_token_enc)


def refresh_oauth_token(account_id: str) -> Account:
    """Replace the account's tokens by new ones, asking the endpoint at most once, and return the account.

    Whoever waits for another process's refresh of the same login finds its result and asks nobody. Raises
    InvalidInput for an account that has no refresh token, LoginEnded, EndpointFailed, StoreBusy.
    """
    with storage.reading() as connection:
        stored = account_rows.of_id(connection, account_id)
    account_rows.require_type(stored, OAUTH, "auth_type")
    if not stored.access_token_enc:
        raise account_rows.no_credential(stored)
    if not stored.refresh_token_enc:
        raise InvalidInput(
            _("{name} has no refresh token", name=printable(stored.name)),
            f"claude-accounts login {printable(stored.name)}",
        )
    return account_rows.account_of(login_refresh.refreshed(stored))


def capture_oauth_tokens(
    account_id: str, *, login: credentials_file.Login | None = None, force: bool = False
) -> Account:
    """Store `login`, or the one in Claude Code's live store, as this account's and return the account.

    Raises NotFound; AccountsError when there is no login to capture; Conflict (unless `force`) when the account
    already is somebody else, or this is an earlier state of its login; StorageFailed when a durable account's store
    cannot be written (the login is kept, and the next look makes up for it).
    """
    live = login is None
    found = login or credentials_file.read_login(credentials_file.store_folder(os.environ))
    with storage.writing() as connection:
        stored = account_rows.of_id(connection, account_id)
        account_rows.require_type(stored, OAUTH, "auth_type")
        if live and stored.durable:
            raise Conflict(
                _("the login of {name} must be its own, and this one is Claude Code's", name=printable(stored.name)),
                f"claude-accounts login --new {printable(stored.name)}",
            )
        if found is None:
            raise AccountsError(
                _("Claude Code has no login to capture for {name}", name=printable(stored.name)),
                f"claude-accounts login --new {printable(stored.name)}",
            )
        digest = storage.digest(found.refresh_token)
        if not force:
            spent = account_rows.is_spent(connection, digest, stored)
            account_rows.refuse_other_identity(stored, found, spent=spent)
        renewed = live and standing.is_same_login(stored, found, digest)
        stored = _replace_login(connection, stored, found, live=live, renewed=renewed)
    if stored.durable:
        with suppress(StoreBusy):
            # A session is renewing the login before this one; the next look gives the store what it lacks.
            stored = login_refresh.current(stored)
    return account_rows.account_of(stored)


def _replace_login(
    connection: sqlite3.Connection, stored: Stored, found: credentials_file.Login, *, live: bool, renewed: bool
) -> Stored:
    """Store a captured login and return the account's row; a durable account's own store lacks it from now on."""
    changes = account_rows.token_columns(connection, found.access_token, found.refresh_token, found.expires_at)
    changes |= account_rows.login_columns(found) | {"from_live_store": int(live), "login_ended": 0, "spent_digest": ""}
    changes["store_lacks"] = account_rows.LACKS_LOGIN if stored.durable else ""
    if renewed or not live:
        # It has just been given out, by a refresh or by a sign-in.
        changes |= account_rows.tried_columns(account_rows.WORKS) | {"credential_at": account_rows.now_ms()}
    account_rows.update(connection, "id = ?", stored.id, changes)
    if renewed:
        # Claude Code has made this of the login that we held: what was spent of that one is spent of this one.
        earlier = (changes["login_id"], stored.login_id)
        connection.execute("UPDATE spent_tokens SET login_id = ? WHERE login_id = ?", earlier)
    return account_rows.of_id(connection, stored.id)


def get_token_status(account_id: str) -> dict[str, Any]:
    """Return status, auth_type, expires_at (ms), expires_in (s or None), has_refresh, login_expires_at, login_ended.

    `tried` and its two companions tell whether the credential was ever seen to work.
    """
    account = get_account(account_id)
    now = account_rows.now_ms()
    return {
        "status": account.status(now),
        "auth_type": account.auth_type,
        "expires_at": account.expires_at,
        "expires_in": max(0, (account.expires_at - now) // 1000) if account.expires_at else None,
        "has_refresh": account.has_refresh,
        "login_expires_at": account.login_expires_at,
        "login_ended": account.login_ended,
        "tried": account.tried,
        "tried_at": account.tried_at,
        "tried_reason": account.tried_reason,
    }


def accounts_of_login(account_id: str) -> list[str]:
    """Return the names of the other accounts that hold the very same login, and so refresh together with this one."""
    with storage.reading() as connection:
        stored = account_rows.of_id(connection, account_id)
        others = account_rows.select(connection, "login_id = ? AND id != ?", stored.login_id, account_id)
    return sorted(other.name for other in others)


class Behind(NamedTuple):
    """An account whose newest tokens could not be taken over from the store that renews them, and why."""

    name: str
    error: AccountsError

    def told(self) -> str:
        """Return the sentence that says so."""
        return _(
            "the tokens of {name} may have been replaced since: {reason}",
            name=printable(self.name),
            reason=self.error.message,
        )


class Exported(list[dict[str, Any]]):
    """The exported accounts; the tokens of those in `behind` may have been spent already."""

    behind: tuple[Behind, ...] = ()


def bring_in_step(account_id: str, wait_seconds: float = 12.0) -> bool:
    """Take over what sessions have renewed of this account's login, and tell whether anything was.

    Raises NotFound and what login_refresh.current does.
    """
    stored = account_rows.reread(account_id)
    if not stored.refresh_token_enc:
        return False
    return login_refresh.current(stored, wait_seconds=wait_seconds).access_token_enc != stored.access_token_enc


def bring_all_in_step(wait_seconds: float = 12.0) -> list[Behind]:
    """Take over what sessions have renewed of any account's login; return the accounts for which that failed."""
    with storage.reading() as connection:
        found = account_rows.select(connection, "refresh_token_enc != '' AND (durable OR from_live_store)")
    behind = []
    for stored in found:
        try:
            bring_in_step(stored.id, wait_seconds)
        except NotFound:
            continue
        except AccountsError as error:
            behind.append(Behind(stored.name, error))
    return behind


def export_accounts(*, refresh_tokens: bool = True, current: bool = True) -> Exported:
    """Return every account with its decrypted credential: the earlier program's keys, plus what is known of the login.

    Without `refresh_tokens` the copy cannot refresh, and so cannot spend what this machine needs. With `current`, what
    sessions have renewed since is taken over first; where that fails the copy has what we hold, and says so.
    """
    behind = bring_all_in_step() if current else []
    with storage.reading() as connection:
        found = account_rows.select(connection)
    exported = Exported(account_rows.exported(stored, refresh_tokens) for stored in found)
    exported.behind = tuple(behind)
    return exported


def import_accounts(data: object) -> Imported:
    """Store the accounts of an exported list, all or (when an entry is wrong) none; an existing name stays as it is.

    Raises InvalidInput that names the entry (counted from 1) and the field.
    """
    return store_entries(entries.checked_entries(data))


def store_entries(checked: list[dict[str, Any]]) -> Imported:
    """Store checked entries of an import, all in one go; whoever has a name that is taken is skipped."""
    imported, skipped = [], []
    with storage.writing() as connection:
        taken = set(account_rows.names(connection))
        for entry in checked:
            if entry["name"] in taken:
                skipped.append(entry["name"])
                continue
            account_rows.insert(connection, entry)
            taken.add(entry["name"])
            imported.append(entry["name"])
    return Imported(imported, skipped)


def change_mark() -> str:
    """Return a text that differs after any change to the accounts, by whatever process."""
    with storage.reading() as connection:
        counter = connection.execute("SELECT value FROM change_counter").fetchone()[0]
    return f"{counter} {durable_store.marks()}"

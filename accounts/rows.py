"""Owns one account's row: how it is read, masked and written.

It opens no connection and decides nothing: db.py and login_refresh.py do.
"""

import os
import sqlite3
import time
from typing import Any, NamedTuple

from ..claude import credentials_file
from ..messages import AccountsError, Conflict, InvalidInput, NotFound, _, printable
from . import storage
from .entries import API_KEY, DETAILS, OAUTH, checked_entry, checked_secret

# What of an account has not reached its own store: the tokens of a refresh, or a whole login that replaces another.
LACKS_TOKENS = "tokens"
LACKS_LOGIN = "login"

# What is known of whether a credential works: nobody tried it; claude is signed in with it, which proves little;
# whoever it is meant for has taken it, or not.
UNTRIED, SIGNED_IN, WORKS, REFUSED = "untried", "signed_in", "works", "refused"

_SHORTEST_SHOWN = 24
# No login lives that long, so nobody can come with one of its tokens any more.
_REMEMBER_SPENT_MS = 90 * 24 * 3600 * 1000
_KINDS = ("sk-ant-api03-", "sk-ant-oat01-", "sk-ant-ort01-", "sk-ant-")

_masks: dict[str, str] = {}


class Account(NamedTuple):
    """One named identity without its secrets. Times: `expires_at` and `login_expires_at` in epoch milliseconds, 0
    unknown or never; `created_at` and `last_used` as UTC `YYYY-MM-DD HH:MM:SS`. `tried` is what is known of whether the
    credential works, `tried_at` since when, `tried_reason` the code of a refusal."""

    id: str
    name: str
    auth_type: str
    masked_key: str
    has_refresh: bool
    expires_at: int
    login_expires_at: int
    login_ended: bool
    email: str
    organization: str
    subscription_type: str
    created_at: str
    last_used: str | None
    durable: bool
    approve_key: bool
    allowed_hosts: tuple[str, ...]
    tried: str
    tried_at: int
    tried_reason: str

    def status(self, at_ms: int | None = None) -> str:
        """Return `valid`, `expired` (a refresh or login helps) or `needs_login` (only a login helps)."""
        now = now_ms() if at_ms is None else at_ms
        if not self.masked_key or self.login_ended or 0 < self.login_expires_at <= now:
            return "needs_login"
        # Claude Code renews the token of a durable account by itself.
        return "expired" if not self.durable and 0 < self.expires_at <= now else "valid"

    @property
    def ends_at(self) -> int:
        """Return when only a new login helps, in epoch milliseconds: the login's or setup token's end; 0 unknown."""
        if self.auth_type != OAUTH:
            return 0
        return self.login_expires_at if self.has_refresh else self.expires_at


class Stored(NamedTuple):
    """One account as the database holds it: every column of its stored, the secrets still encrypted. Immutable.

    `login_id` names the lineage of refresh tokens, `refresh_digest` the refresh token in it now, `spent_digest` the one
    that we have spent last, `store_lacks` what has not reached a durable account's store. `approve_key` is 1 when
    Claude Code may be told to use the key without asking, `allowed_hosts` (separated by spaces) is where a project may
    send it, `credential_at` when the credential was stored. Times as in `Account`.
    """

    id: str
    name: str
    auth_type: str
    api_key_enc: str
    access_token_enc: str
    refresh_token_enc: str
    expires_at: int
    created_at: str
    last_used: str | None
    login_id: str
    refresh_digest: str
    from_live_store: int
    login_ended: int
    login_expires_at: int
    scopes: str
    subscription_type: str
    rate_limit_tier: str
    account_uuid: str
    organization_uuid: str
    email: str
    organization: str
    durable: int
    spent_digest: str
    approve_key: int
    allowed_hosts: str
    store_lacks: str
    tried: str
    tried_at: int
    tried_reason: str
    credential_at: int


_SELECT = f"SELECT {', '.join('accounts.' + column for column in Stored._fields)} FROM accounts"  # noqa: S608


def exported(stored: Stored, refresh_tokens: bool) -> dict[str, Any]:
    """Return one account as an export holds it, secrets in clear."""
    entry: dict[str, Any] = {"name": stored.name, "auth_type": stored.auth_type}
    if stored.auth_type == API_KEY:
        # The earlier program's keys alone, unless there is more to say.
        wish = {"approve_key": True} if stored.approve_key else {}
        return entry | {"api_key": storage.decrypt(stored.api_key_enc)} | wish
    entry["access_token"] = storage.decrypt(stored.access_token_enc)
    entry["refresh_token"] = storage.decrypt(stored.refresh_token_enc) if refresh_tokens else ""
    entry["expires_at"] = stored.expires_at
    return entry | {column: getattr(stored, column) for column in DETAILS if getattr(stored, column)}


def require_type(stored: Stored, auth_type: str, field: str) -> None:
    if stored.auth_type != auth_type:
        kind = _("an API key account") if stored.auth_type == API_KEY else _("an OAuth account")
        raise InvalidInput(_("{name} is {kind}", name=printable(stored.name), kind=kind), field=field)


def refuse_other_identity(stored: Stored, found: credentials_file.Login, *, spent: bool) -> None:
    """Refuse a login of somebody else, and one that is known as `spent`: an earlier state of what is stored."""
    name = printable(stored.name)
    for known, new in (
        (stored.account_uuid, found.account_uuid),
        (stored.organization_uuid, found.organization_uuid),
        (stored.email.lower(), found.email.lower()),
    ):
        if known and new and known != new:
            raise Conflict(
                _(
                    "{name} is {known}, and this login is {found}",
                    name=name,
                    known=_identity(stored.email, stored.organization),
                    found=_identity(found.email, found.organization),
                ),
                _("claude-accounts login --force {name}, or capture it under another name", name=name),
            )
    if spent:
        raise Conflict(
            _("{name} already holds newer tokens than this login", name=name), f"claude-accounts login --force {name}"
        )


def insert(connection: sqlite3.Connection, entry: dict[str, Any]) -> str:
    """Insert a checked entry and return its id. Raises sqlite3.IntegrityError when the name is taken."""
    account_id = f"acc_{entry['name']}_{os.urandom(4).hex()}"
    columns: dict[str, object] = {"id": account_id, "name": entry["name"], "auth_type": entry["auth_type"]}
    columns["api_key_enc"] = storage.encrypt(entry.get("api_key", ""))
    columns["approve_key"] = int(entry.get("approve_key", False))
    columns |= token_columns(
        connection, entry.get("access_token", ""), entry.get("refresh_token", ""), entry.get("expires_at", 0)
    )
    columns |= {column: entry[column] for column in DETAILS if column in entry}
    columns |= _newest_of_login(connection, str(columns["refresh_digest"]))
    columns["credential_at"] = now_ms()
    places = ", ".join("?" * len(columns))
    statement = f"INSERT INTO accounts ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - our own column names
    connection.execute(statement, tuple(columns.values()))
    return account_id


def _newest_of_login(connection: sqlite3.Connection, digest: str) -> dict[str, object]:
    """Return the columns of the login as another account holds it, where this refresh token of it was spent here.

    A token endpoint may end the whole login for who shows a spent one. Nothing where none was spent.
    """
    known = (
        "SELECT access_token_enc, refresh_token_enc, refresh_digest, accounts.login_id, expires_at, login_expires_at,"
        " login_ended FROM spent_tokens JOIN accounts ON accounts.login_id = spent_tokens.login_id"
        " WHERE digest = ? AND refresh_digest != '' ORDER BY durable DESC"
    )
    row = connection.execute(known, (digest,)).fetchone() if digest else None
    return dict(row) if row else {}


def update(connection: sqlite3.Connection, condition: str, value: str, changes: dict[str, object]) -> None:
    """Change the accounts for which `condition` holds; a refresh token that is replaced is remembered as spent.

    Another credential has been tried by nobody, unless the changes themselves say that it was (`tried_columns`).
    """
    if changes.keys() & {"api_key_enc", "access_token_enc"} and "tried" not in changes:
        changes = changes | {"tried": UNTRIED, "tried_at": 0, "tried_reason": "", "credential_at": now_ms()}
    if "refresh_digest" in changes:
        _remember_spent(connection, condition, value, changes["refresh_digest"])
    if changes:
        assignments = ", ".join(f"{column} = ?" for column in changes)
        statement = f"UPDATE accounts SET {assignments} WHERE {condition}"  # noqa: S608 - our own column names
        connection.execute(statement, (*changes.values(), value))


def tried_columns(state: str, reason: str = "") -> dict[str, object]:
    """Return the columns of what has just been learnt of whether a credential works."""
    return {"tried": state, "tried_at": now_ms(), "tried_reason": reason}


def _remember_spent(connection: sqlite3.Connection, condition: str, value: str, newest: object) -> None:
    now = now_ms()
    connection.execute(
        "INSERT OR REPLACE INTO spent_tokens SELECT refresh_digest, login_id, ? FROM accounts"  # noqa: S608 - our own
        f" WHERE ({condition}) AND refresh_digest NOT IN ('', ?)",
        (now, value, newest),
    )
    connection.execute("DELETE FROM spent_tokens WHERE spent_at < ?", (now - _REMEMBER_SPENT_MS,))


def is_replaced(connection: sqlite3.Connection, digest: str) -> bool:
    """Tell whether this was the refresh token of any account before; of a replaced login it may be alive elsewhere."""
    return connection.execute("SELECT 1 FROM spent_tokens WHERE digest = ?", (digest,)).fetchone() is not None


def is_spent(connection: sqlite3.Connection, digest: str, stored: Stored) -> bool:
    """Tell whether this is the refresh token of an earlier state of the very login that the account holds."""
    if digest == stored.refresh_digest:
        return False
    known = "SELECT 1 FROM spent_tokens WHERE digest = ? AND login_id = ?"
    return connection.execute(known, (digest, stored.login_id)).fetchone() is not None


def token_columns(
    connection: sqlite3.Connection, access_token: str, refresh_token: str, expires_at: int, login_id: str = ""
) -> dict[str, object]:
    """Return the columns of one token pair; a refresh token already stored elsewhere joins that login."""
    found = storage.digest(refresh_token)
    if found and not login_id:
        other = connection.execute("SELECT login_id FROM accounts WHERE refresh_digest = ?", (found,)).fetchone()
        login_id = other["login_id"] if other else ""
    return {
        "access_token_enc": storage.encrypt(access_token),
        "refresh_token_enc": storage.encrypt(refresh_token),
        "refresh_digest": found,
        "login_id": login_id or os.urandom(16).hex(),
        "expires_at": expires_at,
    }


def changed_tokens(
    connection: sqlite3.Connection, access_token: str | None, refresh_token: str | None, expires_at: int | None
) -> dict[str, object]:
    """Return the columns for tokens typed in by hand: what belonged to the login before is no longer known."""
    if access_token is None:
        raise InvalidInput(_("a refresh token or an end needs its access token"), field="access_token")
    checked = checked_entry(
        {
            "name": "any",
            "auth_type": OAUTH,
            "access_token": checked_secret(access_token, "access_token", OAUTH),
            "refresh_token": refresh_token,
            "expires_at": expires_at,
        }
    )
    forgotten: dict[str, object] = dict.fromkeys(DETAILS, "") | {"login_expires_at": 0}
    columns = token_columns(connection, checked["access_token"], checked["refresh_token"], checked["expires_at"])
    return forgotten | columns | {"login_ended": 0, "from_live_store": 0}


def login_columns(login: credentials_file.Login) -> dict[str, object]:
    return {
        "scopes": " ".join(login.scopes),
        "subscription_type": login.subscription_type,
        "rate_limit_tier": login.rate_limit_tier,
        "login_expires_at": login.login_expires_at,
        "account_uuid": login.account_uuid,
        "organization_uuid": login.organization_uuid,
        "email": login.email,
        "organization": login.organization,
    }


def answered_columns(tokens: Any) -> dict[str, object]:
    """Return what a refresh says besides the tokens (oauth.Tokens; that module is imported only to refresh)."""
    return {
        "scopes": " ".join(tokens.scopes),
        "account_uuid": tokens.account_uuid,
        "organization_uuid": tokens.organization_uuid,
        "email": tokens.email,
        "organization": tokens.organization,
    }


def login_of(stored: Stored) -> credentials_file.Login:
    return credentials_file.Login(
        access_token=storage.decrypt(stored.access_token_enc),
        refresh_token=storage.decrypt(stored.refresh_token_enc),
        expires_at=stored.expires_at,
        scopes=tuple(stored.scopes.split()),
        subscription_type=stored.subscription_type,
        rate_limit_tier=stored.rate_limit_tier,
        login_expires_at=stored.login_expires_at,
        account_uuid=stored.account_uuid,
        organization_uuid=stored.organization_uuid,
        email=stored.email,
        organization=stored.organization,
    )


def account_of(stored: Stored) -> Account:
    return Account(
        id=stored.id,
        name=stored.name,
        auth_type=stored.auth_type,
        masked_key=_mask(stored.api_key_enc if stored.auth_type == API_KEY else stored.access_token_enc),
        has_refresh=bool(stored.refresh_token_enc),
        expires_at=stored.expires_at if stored.auth_type == OAUTH else 0,
        login_expires_at=stored.login_expires_at,
        login_ended=bool(stored.login_ended),
        email=stored.email,
        organization=stored.organization,
        subscription_type=stored.subscription_type,
        created_at=stored.created_at,
        last_used=stored.last_used,
        durable=bool(stored.durable),
        approve_key=bool(stored.approve_key),
        allowed_hosts=tuple(stored.allowed_hosts.split()),
        tried=stored.tried,
        tried_at=stored.tried_at,
        tried_reason=stored.tried_reason,
    )


def _mask(sealed: str) -> str:
    """Return what may be shown of a secret: its public prefix and last six characters, nothing at all of a short one.

    Masks are remembered by ciphertext: a page that lists a thousand accounts decrypts each once, not once a view.
    """
    if not sealed:
        return ""
    mask = _masks.get(sealed)
    if mask is None:
        secret = storage.decrypt(sealed)
        kind = next((prefix for prefix in _KINDS if secret.startswith(prefix)), "")
        mask = f"{kind}...{secret[-6:]}" if len(secret) >= _SHORTEST_SHOWN else "..."
        if len(_masks) > 50_000:
            _masks.clear()
        _masks[sealed] = mask
    return mask


def select(connection: sqlite3.Connection, condition: str = "", *values: object) -> list[Stored]:
    """Return the accounts for which `condition` (SQL, with a place for each value) holds, oldest first."""
    where = f" WHERE {condition}" if condition else ""
    # A name as typed may be no UTF-8; then it is nobody's.
    taken = [storage.kept(value) if isinstance(value, str) else value for value in values]
    found = connection.execute(f"{_SELECT}{where} ORDER BY created_at, accounts.rowid", taken)
    return [storage.made(Stored, row) for row in found]


def of_id(connection: sqlite3.Connection, account_id: str) -> Stored:
    """Return one account by its id. Raises NotFound."""
    for found in select(connection, "id = ?", account_id):
        return found
    raise NotFound(_("there is no account with the id {id}", id=repr(printable(account_id)[:60])))


def of_name(connection: sqlite3.Connection, name: str) -> Stored:
    """Return one account by its name as typed. Raises NotFound, with the likeliest name in the hint."""
    for candidate in (name, name.strip().lower().replace(" ", "-")):
        for found in select(connection, "name = ?", candidate):
            return found
    hint = likely_name(name, names(connection))
    raise NotFound(_("there is no account {name}", name=repr(printable(name)[:60])), hint)


def names(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all accounts, oldest first, without looking at a credential."""
    return [row["name"] for row in connection.execute("SELECT name FROM accounts ORDER BY created_at, rowid")]


def reread(account_id: str) -> Stored:
    """Return one account as it is now. Raises NotFound."""
    with storage.reading() as connection:
        return of_id(connection, account_id)


def likely_name(name: str, names: list[str]) -> str:
    # Only a mistyped name pays for this import.
    import difflib

    close = difflib.get_close_matches(name.lower(), names, 1)
    if close:
        return _("did you mean {name}?", name=printable(close[0]))
    return "claude-accounts list" if names else "claude-accounts add NAME"


def taken(name: str) -> Conflict:
    return Conflict(_("there is already an account {name}", name=name), "claude-accounts list")


def no_credential(stored: Stored) -> AccountsError:
    name = printable(stored.name)
    if stored.auth_type == API_KEY:
        return AccountsError(_("{name} has no API key", name=name), f"claude-accounts update {name} --key -")
    return AccountsError(_("{name} has no login yet", name=name), f"claude-accounts login {name}")


def login_again(stored: Stored) -> str:
    return f"claude-accounts login --new {printable(stored.name)}"


def _identity(email: str, organization: str) -> str:
    return printable(" / ".join(part for part in (email, organization) if part)) or _("somebody else")


def now_ms() -> int:
    return int(time.time() * 1000)

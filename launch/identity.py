"""Owns the answer to "who am I?": which account a claude started here and now would use, how, and what would override.

It reads the environment and Claude Code's settings, changes nothing and asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .. import db
from ..accounts import durable_store, rows as account_rows
from ..accounts.rows import VARIABLES
from ..claude import credentials_file, settings as claude_settings
from ..claude.program import ACCOUNT_MARKER, RIVAL_VARIABLES
from ..claude.variables import PROFILES_VARIABLE
from ..messages import AccountsError, NotFound, _, printable


class Identity(NamedTuple):
    """Who claude would be: our account's name (empty: none of ours), its kind, how it got here, what overrides it."""

    account: str
    kind: str
    source: str
    overrides: tuple[str, ...]


def here(environ: Mapping[str, str], cwd: str) -> Identity:
    """Return who a claude with this environment in this folder would be."""
    variable = next((name for name in _IN_ORDER if environ.get(name)), "")
    store = environ.get(credentials_file.STORE_VARIABLE, "")
    if not variable and store and credentials_file.is_ours(store):
        variable = credentials_file.STORE_VARIABLE
    overrides = _overrides(environ, cwd, variable)
    if variable == credentials_file.STORE_VARIABLE:
        account = next((each for each in db.list_accounts() if durable_store.folder_of(each.id) == store), None)
        name = account.name if account else ""
        return Identity(
            name, _("durable login"), _("its own credentials store, {path}", path=printable(store)), overrides
        )
    if variable:
        name = _owner_of(environ[variable], variable, environ.get(ACCOUNT_MARKER, ""))
        kind = "OAuth" if variable == VARIABLES[account_rows.OAUTH] else _("API key")
        source = _("the variable {variable}", variable=variable)
        if name and not environ.get(ACCOUNT_MARKER):
            source += " " + _("(not set by a launch of ours)")
        return Identity(name, kind, source, overrides)
    return _in_live_store(environ, overrides)


# Claude Code's own order.
_IN_ORDER = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN")


def _owner_of(secret: str, variable: str, marked: str) -> str:
    """Return the name of the account that holds this very secret; the name in the environment alone proves nothing."""
    if marked:
        try:
            account = db.find_account(marked)
        except NotFound:
            return ""
        return account.name if db.holds(account.id, secret) else ""
    return next((account.name for account in db.list_accounts() if db.holds(account.id, secret)), "")


def _in_live_store(environ: Mapping[str, str], overrides: tuple[str, ...]) -> Identity:
    folder = credentials_file.store_folder(environ)
    try:
        login = credentials_file.read_login(folder)
    except AccountsError as error:
        return Identity("", "", error.message, overrides)
    if login is None:
        return Identity("", "", _("no credential: claude would ask to sign in"), overrides)
    whose = " / ".join(part for part in (login.email, login.organization) if part)
    name = next((each.name for each in db.list_accounts() if db.holds(each.id, login.access_token)), "")
    source = _("Claude Code's own login in {folder}", folder=printable(folder))
    return Identity(name, "OAuth", f"{source} ({printable(whose)})" if whose else source, overrides)


def _overrides(environ: Mapping[str, str], cwd: str, variable: str) -> tuple[str, ...]:
    settings = claude_settings.read_settings(cwd=cwd, environ=environ, arguments=[])
    rivals = claude_settings.find_rivals(settings, variable, environ.get(variable, ""))
    if credentials_file.is_ours(environ.get(PROFILES_VARIABLE, "")):
        # Inside a session that is pinned.
        rivals = [rival for rival in rivals if not claude_settings.can_be_set_aside(rival)]
    found = [rival.place() for rival in rivals]
    others = sorted(name for name in RIVAL_VARIABLES if environ.get(name) and name != variable and name in _IN_ORDER)
    return (*found, *(_("the variable {variable}", variable=name) for name in others))

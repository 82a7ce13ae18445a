"""The commands about OAuth logins: login (capture one) and refresh."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import claude_code
import credentials_store
import db
from commands import add_command, keep_aliases_current
from commands.tables import time_left
from messages import AccountsError, InvalidInput, NotFound, _, printable, say

if TYPE_CHECKING:
    import argparse

    from commands import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add `login` and `refresh`."""
    parser = add_command(
        subparsers,
        "login",
        help=_("capture a Claude Code login into an account, which is created if missing"),
        example="claude-accounts login client",
    )
    parser.add_argument("name", metavar=_("NAME"))
    parser.add_argument("--new", action="store_true", help=_("sign in afresh, in private: ~/.claude stays as it is"))
    parser.add_argument("--force", action="store_true", help=_("accept another identity than the account has"))
    parser.set_defaults(run=login)
    parser = add_command(
        subparsers,
        "refresh",
        help=_("replace an account's OAuth tokens by new ones"),
        example="claude-accounts refresh client",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar=_("NAME"), nargs="?")
    which.add_argument("--all", action="store_true", help=_("refresh every account that can be"))
    parser.set_defaults(run=refresh)


def login(arguments: argparse.Namespace) -> None:
    """Capture the login of Claude Code's own store, or one made in private, and say whose it is."""
    existing = _existing(arguments.name)
    name = existing.name if existing else db.clean_name(arguments.name)
    if existing and existing.auth_type != db.OAUTH:
        raise InvalidInput(
            _("{name} is {kind}", name=name, kind=_("an API key account")), f"claude-accounts update {name} --key -"
        )
    found = None if arguments.new else credentials_store.read_login(credentials_store.store_folder(os.environ))
    private = found is None
    if found is None:
        found = _private_login(name, asked=arguments.new)
    account = existing or db.add_account(name, db.OAUTH)
    try:
        account = db.capture_oauth_tokens(account.id, login=found if private else None, force=arguments.force)
    except BaseException:
        if not existing:
            # Whoever could not log in did not ask for an empty account.
            db.delete_account(account.id)
        raise
    keep_aliases_current()
    _describe_login(account, private)


def refresh(arguments: argparse.Namespace) -> int:
    """Refresh one account or all; with all, one failure does not keep the others from it."""
    if not arguments.all:
        _describe_refresh(db.refresh_oauth_token(db.find_account(arguments.name).id))
        return 0
    failures = 0
    for account in db.list_accounts():
        if account.has_refresh and not account.login_ended:
            try:
                _describe_refresh(db.refresh_oauth_token(account.id), prefix=f"{printable(account.name)}: ")
            except AccountsError as error:
                failures += 1
                say(f"✗ {error.message}")
    return 1 if failures else 0


def _existing(name: str) -> db.Account | None:
    try:
        return db.find_account(name)
    except NotFound:
        return None


def _private_login(name: str, *, asked: bool) -> credentials_store.Login:
    """Run `claude auth login` in a private folder and return what it left there; the folder is removed."""
    if not asked and not sys.stdin.isatty():
        raise AccountsError(
            _("Claude Code has no login to capture for {name}", name=name), f"claude-accounts login --new {name}"
        )
    program = claude_code.find_claude(os.environ)
    say(_("signing in for {name} with claude itself, in private: ~/.claude stays as it is", name=name))
    with credentials_store.private_login_folder() as folder:
        code = claude_code.private_login(program, os.environ, folder)
        found = credentials_store.read_login(folder, config_folder=folder)
    if found is None:
        raise AccountsError(
            _("no login was made for {name} (claude ended with {code})", name=name, code=code),
            f"claude-accounts login --new {name}",
        )
    return found


def _describe_login(account: db.Account, private: bool) -> None:
    name = printable(account.name)
    say(_("✓ Token captured: {token}", token=account.masked_key))
    if account.email or account.organization:
        whose = " / ".join(part for part in (account.email, account.organization) if part)
        say(_("✓ Identity: {whose}", whose=printable(whose)))
    if account.has_refresh:
        say(_("✓ Refresh token: present"))
    if account.expires_at:
        say(_("⏰ Expires in: {time}", time=time_left(account.expires_at)))
    others = db.accounts_of_login(account.id)
    if others:
        say(_("  The same login is stored as {names}; they refresh together.", names=printable(", ".join(others))))
    if not private:
        say(_("  It is shared with ~/.claude: `claude auth logout` there ends it here too."))
    say(_("  Use it: claude-{name}", name=name))


def _describe_refresh(account: db.Account, prefix: str = "") -> None:
    say(prefix + _("✓ Token refreshed: {token}", token=account.masked_key))
    if account.expires_at:
        say(prefix + _("⏰ Expires in: {time}", time=time_left(account.expires_at)))

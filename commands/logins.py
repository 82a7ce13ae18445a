"""The commands about OAuth logins: login (capture one) and refresh."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .. import db
from ..accounts import durable_store, sessions as running_sessions
from ..accounts.clocks import time_left
from ..claude import credentials_file, private_login, program as claude_code
from ..messages import AccountsError, InvalidInput, NotFound, _, plural, printable, say
from .console import add_command, chosen, keep_aliases_current, tell_missing_alias, typed_name

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers


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
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--durable", action="store_true", help=_("sessions renew the login themselves, in a private store")
    )
    way.add_argument("--injected", action="store_true", help=_("sessions get one access token, as long as it lasts"))
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
    name = existing.name if existing else typed_name(arguments.name)
    if existing and existing.auth_type != db.OAUTH:
        raise InvalidInput(
            _("{name} is {kind}", name=name, kind=_("an API key account")), f"claude-accounts update {name} --key -"
        )
    found = None if arguments.new else credentials_file.read_login(credentials_file.store_folder(os.environ))
    durable = _wants_durable(existing, arguments, found)
    # A login that renews itself must have no second owner: Claude Code's own one is never taken for it.
    asked = arguments.new or durable
    private = found is None or durable
    if found is None or durable:
        found = _private_login(name, asked=asked)
    account = existing or db.add_account(name, db.OAUTH)
    try:
        account = db.capture_oauth_tokens(account.id, login=found if private else None, force=arguments.force)
        if durable != account.durable:
            account = db.set_durable(account.id, durable)
    except BaseException:
        if not existing:
            # Whoever could not log in did not ask for an empty account.
            db.delete_account(account.id)
        raise
    keep_aliases_current()
    _describe_login(account, private)
    copied = durable_store.sign_ins_text(account.id) if durable and not (existing and existing.durable) else ""
    if copied:
        say(copied)


def _wants_durable(
    existing: db.Account | None, arguments: argparse.Namespace, living: credentials_file.Login | None
) -> bool:
    """Tell which way the account's sessions shall get their login; a person is asked once, with the first login.

    `living` is what Claude Code itself is signed in with, which a script gets as it always did.
    """
    if arguments.durable or arguments.injected:
        return bool(arguments.durable)
    if existing and (existing.durable or existing.masked_key):
        return existing.durable
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    first = _("sign in for this account alone: its sessions renew the login themselves, for weeks (recommended)")
    if living is not None:
        whose = printable(living.email) or _("somebody")
        second = _(
            "take the login that Claude Code has now ({whose}): a session ends with its token, in hours", whose=whose
        )
    else:
        second = _("sign in, and give each session one token: it ends with it after about 8 hours")
    return chosen(_("How shall {name} sign in?", name=printable(arguments.name)), [first, second]) == 1


def refresh(arguments: argparse.Namespace) -> int:
    """Refresh one account or all; with all, one failure does not keep the others from it."""
    if not arguments.all:
        account = db.find_account(arguments.name)
        _describe_refresh(db.refresh_oauth_token(account.id))
        _describe_sessions(account)
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


def _private_login(name: str, *, asked: bool) -> credentials_file.Login:
    """Run `claude auth login` in a private folder and return what it left there; the folder is removed."""
    if not asked and not sys.stdin.isatty():
        raise AccountsError(
            _("Claude Code has no login to capture for {name}", name=name), f"claude-accounts login --new {name}"
        )
    program = claude_code.find_claude(os.environ)
    say(_("signing in for {name} with claude itself, in private: ~/.claude stays as it is", name=name))
    with private_login.folder() as folder:
        code = private_login.sign_in(program, os.environ, folder)
        found = credentials_file.read_login(folder, config_folder=folder)
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
    if account.durable:
        say(_("  Sessions renew it by themselves, in a private store of this account."))
    if not private:
        say(_("  It is shared with ~/.claude: `claude auth logout` there ends it here too."))
    if name == "accounts":
        tell_missing_alias(name)
    else:
        say(_("  Use it: claude-{name}", name=name))


def _describe_sessions(account: db.Account) -> None:
    """Say what a refresh means for sessions that are running."""
    sessions = running_sessions.listed(account.id)
    if not sessions:
        return
    name = printable(account.name)
    if account.durable:
        text = plural(
            "  {count} session of {name} is running and takes the new token up by itself",
            "  {count} sessions of {name} are running and take the new token up by themselves",
            len(sessions),
            name=name,
        )
    else:
        text = plural(
            "  {count} session of {name} is running on: it keeps the token that it was started with",
            "  {count} sessions of {name} are running on: they keep the token that they were started with",
            len(sessions),
            name=name,
        )
    say(text)


def _describe_refresh(account: db.Account, prefix: str = "") -> None:
    say(prefix + _("✓ Token refreshed: {token}", token=account.masked_key))
    if account.expires_at:
        say(prefix + _("⏰ Expires in: {time}", time=time_left(account.expires_at)))

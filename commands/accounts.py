"""The commands about the accounts themselves: add, list, status, rename, update, remove."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import db
from commands import add_command, confirmed, keep_aliases_current, read_secret
from commands.tables import coloured, table, time_left
from messages import AccountsError, InvalidInput, _, printable, say, warn

if TYPE_CHECKING:
    import argparse

    from commands import Subparsers

_YEAR_MS = 365 * 24 * 3600 * 1000


def register(subparsers: Subparsers) -> None:
    """Add the six commands."""
    _register_add(subparsers)
    parser = add_command(
        subparsers,
        "list",
        aliases=["ls"],
        help=_("list all accounts with their status"),
        example="claude-accounts list",
    )
    parser.add_argument("--json", action="store_true", help=_("print JSON"))
    parser.set_defaults(run=list_all)
    parser = add_command(
        subparsers, "status", help=_("show one account and when its token ends"), example="claude-accounts status work"
    )
    parser.add_argument("name", metavar=_("NAME"))
    parser.add_argument("--json", action="store_true", help=_("print JSON"))
    parser.set_defaults(run=status)
    parser = add_command(
        subparsers, "rename", help=_("give an account another name"), example="claude-accounts rename work office"
    )
    parser.add_argument("name", metavar=_("NAME"))
    parser.add_argument("new_name", metavar=_("NEW"))
    parser.set_defaults(run=rename)
    _register_update(subparsers)
    parser = add_command(
        subparsers, "remove", aliases=["rm"], help=_("remove an account"), example="claude-accounts remove work"
    )
    parser.add_argument("name", metavar=_("NAME"))
    parser.add_argument("--yes", "-y", action="store_true", help=_("do not ask"))
    parser.set_defaults(run=remove)


def _register_add(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "add",
        help=_("add an account: an API key (asked for without echo), or OAuth"),
        example="claude-accounts add work\n"
        "claude-accounts add work --key - < key.txt\n"
        "claude-accounts add client --oauth\n"
        "claude-accounts add ci --oauth --token -",
    )
    parser.add_argument("name", metavar=_("NAME"), help=_("2 to 32 of a-z, 0-9 and -"))
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--key", "-k", metavar=_("KEY"), help=_("the API key; - reads it from standard input"))
    kind.add_argument("--oauth", action="store_true", help=_("an OAuth account; its login is captured later"))
    parser.add_argument(
        "--token",
        metavar=_("TOKEN"),
        help=_("with --oauth: a token of `claude setup-token`; - reads it from standard input"),
    )
    parser.set_defaults(run=add)


def _register_update(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "update",
        help=_("replace an account's API key or setup token"),
        example="claude-accounts update work --key -",
    )
    parser.add_argument("name", metavar=_("NAME"))
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--key", "-k", metavar=_("KEY"), help=_("the API key; - reads it from standard input"))
    which.add_argument("--token", metavar=_("TOKEN"), help=_("a setup token; - reads it from standard input"))
    parser.set_defaults(run=update)


def add(arguments: argparse.Namespace) -> None:
    """Add an API key account, an OAuth account without tokens yet, or one with a setup token."""
    if arguments.token is not None and not arguments.oauth:
        raise InvalidInput(_("--token belongs to --oauth"), f"claude-accounts add {arguments.name} --oauth --token -")
    name = db.clean_name(arguments.name)
    # A key is asked for only when there will be an account to hold it.
    db.refuse_taken_name(name)
    if arguments.token is not None:
        token = read_secret(arguments.token, _("Setup token (sk-ant-oat01-...): "), "--token")
        account = db.add_account(name, db.OAUTH, access_token=token, expires_at=_in_a_year())
    elif arguments.oauth:
        account = db.add_account(name, db.OAUTH)
    else:
        account = db.add_account(
            name, db.API_KEY, api_key=read_secret(arguments.key, _("API key (sk-ant-...): "), "--key")
        )
    keep_aliases_current()
    kind = "OAuth" if account.auth_type == db.OAUTH else _("API key")
    say(_("✓ Account {name} added ({kind})", name=name, kind=kind))
    if account.auth_type == db.OAUTH and not account.masked_key:
        say(_("  Next, capture its login: claude-accounts login {name}", name=name))
    else:
        say(_("  Launch it: claude-accounts launch {name}", name=name))


def update(arguments: argparse.Namespace) -> None:
    """Replace the credential of an account that has one typed in."""
    account = db.find_account(arguments.name)
    if account.auth_type == db.API_KEY:
        if arguments.token is not None:
            raise InvalidInput(
                _("{name} is {kind}", name=printable(account.name), kind=_("an API key account")),
                f"claude-accounts update {printable(account.name)} --key -",
            )
        db.update_account(account.id, api_key=read_secret(arguments.key, _("API key (sk-ant-...): "), "--key"))
    elif arguments.key is not None:
        raise InvalidInput(
            _("{name} is {kind}", name=printable(account.name), kind=_("an OAuth account")),
            f"claude-accounts login {printable(account.name)}",
        )
    else:
        token = read_secret(arguments.token, _("Setup token (sk-ant-oat01-...): "), "--token")
        db.update_account(account.id, access_token=token, refresh_token="", expires_at=_in_a_year())
    say(_("✓ Account {name} updated", name=printable(account.name)))


def list_all(arguments: argparse.Namespace) -> None:
    """Print every account on one line, or as JSON."""
    accounts = db.list_accounts()
    if arguments.json:
        print(json.dumps({"schema_version": 1, "accounts": [_as_json(account) for account in accounts]}, indent=2))
        return
    if not accounts:
        say(_("no accounts yet; add one: claude-accounts add NAME"))
        return
    header = [_("NAME"), _("TYPE"), _("CREDENTIAL"), _("STATUS"), _("ENDS IN"), _("LAST USED")]
    lines = table(header, [_cells(account) for account in accounts]).splitlines()
    for number, account in enumerate(accounts, 1):
        if account.status() == "needs_login":
            lines[number] = coloured(lines[number], "red")
    print("\n".join(lines))


def status(arguments: argparse.Namespace) -> None:
    """Print what is known of one account."""
    account = db.find_account(arguments.name)
    if arguments.json:
        details = {"schema_version": 1} | _as_json(account) | db.get_token_status(account.id)
        print(json.dumps(details, indent=2))
        return
    lines = [
        (_("Account"), printable(account.name)),
        (_("Type"), "OAuth" if account.auth_type == db.OAUTH else _("API key")),
        (_("Credential"), account.masked_key or "-"),
        (_("Status"), _status_word(account)),
    ]
    if account.expires_at:
        lines.append((_("Expires in"), time_left(account.expires_at)))
    if account.login_expires_at:
        lines.append((_("Login ends in"), time_left(account.login_expires_at)))
    if account.auth_type == db.OAUTH:
        lines.append((_("Refresh token"), _("present") if account.has_refresh else _("none")))
    identity = " / ".join(part for part in (account.email, account.organization) if part)
    if identity:
        lines.append((_("Identity"), printable(identity)))
    lines.append((_("Last used"), account.last_used or "-"))
    for label, value in lines:
        print(_("{label}: {value}", label=label, value=value))


def rename(arguments: argparse.Namespace) -> None:
    """Give the account another name; its alias follows."""
    account = db.find_account(arguments.name)
    renamed = db.update_account(account.id, name=arguments.new_name)
    keep_aliases_current()
    say(_("✓ Account {name} is now {new}", name=printable(account.name), new=renamed.name))


def remove(arguments: argparse.Namespace) -> None:
    """Remove the account after a yes; without a terminal only `--yes` counts."""
    account = db.find_account(arguments.name)
    name = printable(account.name)
    if not arguments.yes and not confirmed(_("Remove account {name} and its credential?", name=name)):
        raise AccountsError(_("{name} was not removed", name=name), f"claude-accounts remove --yes {name}")
    db.delete_account(account.id)
    keep_aliases_current()
    say(_("✓ Account {name} removed", name=name))
    if sys.stdin.isatty() and account.has_refresh:
        warn(_("the login itself goes on until it ends; to end it now sign out of that session at claude.ai"))


def _as_json(account: db.Account) -> dict[str, object]:
    return account._asdict() | {"status": account.status()}


def _cells(account: db.Account) -> list[str]:
    return [
        printable(account.name),
        "oauth" if account.auth_type == db.OAUTH else "api_key",
        account.masked_key or "-",
        _status_word(account),
        time_left(account.expires_at) if account.expires_at else "-",
        account.last_used or "-",
    ]


def _status_word(account: db.Account) -> str:
    state = account.status()
    if state == "expired":
        return _("expired, refreshes at launch") if account.has_refresh else _("expired")
    return _("valid") if state == "valid" else _("needs login")


def _in_a_year() -> int:
    return int(time.time() * 1000) + _YEAR_MS

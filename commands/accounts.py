"""The commands about the accounts themselves: add, list, status, rename, update, remove."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .. import db
from ..accounts import bindings, clocks, durable_store, journal, proofs, sessions as running_sessions, usage
from ..accounts.entries import checked_host
from ..accounts.rows import now_ms
from ..messages import InvalidInput, Misuse, _, plural, printable, say, warn
from .console import (
    add_command,
    confirmed,
    keep_aliases_current,
    print_json,
    read_secret,
    require_yes,
    tell_missing_alias,
    typed_name,
)
from .tables import Column, coloured, moments, table

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers

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
    parser.add_argument(
        "--expiring",
        metavar=_("SPAN"),
        help=_("only what needs a new login within 3d, 12h or 90m; exit 1 when there is such an account"),
    )
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
    parser.add_argument(
        "--force", action="store_true", help=_("even if sessions run, or perhaps do elsewhere, on the login that goes")
    )
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
    parser.add_argument("--durable", action="store_true", help=_("with --oauth: sessions renew their login themselves"))
    _add_approve(parser)
    parser.set_defaults(run=add)


def _register_update(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "update",
        help=_("replace an account's API key or setup token, or the way its sessions get their login"),
        example="claude-accounts update work --key -\n"
        "claude-accounts update work --approve\n"
        "claude-accounts update client --durable",
    )
    parser.add_argument("name", metavar=_("NAME"))
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--key", "-k", metavar=_("KEY"), help=_("the API key; - reads it from standard input"))
    which.add_argument("--token", metavar=_("TOKEN"), help=_("a setup token; - reads it from standard input"))
    which.add_argument(
        "--durable", action="store_true", help=_("sessions renew their login themselves, in a private store")
    )
    which.add_argument("--injected", action="store_true", help=_("sessions get one access token, as long as it lasts"))
    which.add_argument("--allow-host", metavar=_("HOST"), help=_("a project may send the credential to this host"))
    which.add_argument("--forbid-host", metavar=_("HOST"), help=_("a project may no longer send it there"))
    parser.add_argument("--force", action="store_true", help=_("with --injected: even while sessions are running"))
    _add_approve(parser)
    parser.set_defaults(run=update)


def _add_approve(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--approve", action="store_true", default=None, help=_("claude may use the API key without asking")
    )
    which.add_argument("--no-approve", action="store_false", dest="approve", help=_("claude asks about the API key"))


def add(arguments: argparse.Namespace) -> None:
    """Add an API key account, an OAuth account without tokens yet, or one with a setup token."""
    if arguments.token is not None and not arguments.oauth:
        raise Misuse(_("--token belongs to --oauth"), f"claude-accounts add {arguments.name} --oauth --token -")
    if arguments.durable and (not arguments.oauth or arguments.token is not None):
        raise Misuse(
            _("--durable belongs to a login: --oauth without --token"),
            f"claude-accounts login --durable {printable(arguments.name)}",
        )
    if arguments.oauth and arguments.approve is not None:
        raise _not_approvable(typed_name(arguments.name), Misuse)
    name = typed_name(arguments.name)
    # A key is asked for only when there will be an account to hold it.
    db.refuse_taken_name(name)
    if arguments.token is not None:
        token = read_secret(arguments.token, _("Setup token (sk-ant-oat01-...): "), "--token", "access_token")
        account = db.add_account(name, db.OAUTH, access_token=token, expires_at=_in_a_year())
    elif arguments.oauth:
        account = db.add_account(name, db.OAUTH)
        if arguments.durable:
            account = db.set_durable(account.id, True)
    else:
        key = read_secret(arguments.key, _("API key (sk-ant-...): "), "--key", "api_key")
        approve = _may_be_used() if arguments.approve is None else arguments.approve
        account = db.add_account(name, db.API_KEY, api_key=key, approve_key=approve)
    keep_aliases_current()
    kind = "OAuth" if account.auth_type == db.OAUTH else _("API key")
    say(_("✓ Account {name} added ({kind})", name=name, kind=kind))
    if account.auth_type == db.OAUTH and not account.masked_key:
        say(_("  Next, capture its login: claude-accounts login {name}", name=name))
    else:
        say(_("  Launch it: claude-accounts launch {name}", name=name))
    tell_missing_alias(account.name)


def update(arguments: argparse.Namespace) -> None:
    """Replace the credential of an account that has one typed in."""
    if arguments.force and not arguments.injected:
        raise Misuse(_("--force belongs to --injected"), "claude-accounts update --help")
    account = db.find_account(arguments.name)
    if arguments.approve is not None and account.auth_type != db.API_KEY:
        raise _not_approvable(account.name, InvalidInput)
    if arguments.durable or arguments.injected:
        return _change_way(account, arguments)
    if arguments.allow_host is not None or arguments.forbid_host is not None:
        return _change_hosts(account, arguments)
    if account.auth_type == db.API_KEY:
        if arguments.token is not None:
            raise InvalidInput(
                _("{name} is {kind}", name=printable(account.name), kind=_("an API key account")),
                f"claude-accounts update {printable(account.name)} --key -",
            )
        _update_key(account, arguments)
    elif arguments.key is not None:
        raise InvalidInput(
            _("{name} is {kind}", name=printable(account.name), kind=_("an OAuth account")),
            f"claude-accounts login {printable(account.name)}",
        )
    else:
        token = read_secret(arguments.token, _("Setup token (sk-ant-oat01-...): "), "--token", "access_token")
        db.update_account(account.id, access_token=token, refresh_token="", expires_at=_in_a_year())
    say(_("✓ Account {name} updated", name=printable(account.name)))


def _change_hosts(account: db.Account, arguments: argparse.Namespace) -> None:
    allowed = arguments.allow_host is not None
    try:
        host = checked_host(arguments.allow_host if allowed else arguments.forbid_host)
    except InvalidInput as error:
        raise Misuse(error.message, error.hint) from error
    account = db.allow_host(account.id, host, allowed)
    hosts, name = ", ".join(account.allowed_hosts) or _("none"), printable(account.name)
    say(_("✓ Hosts that a project may send the credential of {name} to: {hosts}", name=name, hosts=hosts))


def _update_key(account: db.Account, arguments: argparse.Namespace) -> None:
    """Replace the key, or with `--approve` alone only say whether claude may use it without asking."""
    if arguments.approve is not None and arguments.key is None:
        db.update_account(account.id, approve_key=arguments.approve)
        return
    key = read_secret(arguments.key, _("API key (sk-ant-...): "), "--key", "api_key")
    approve = arguments.approve
    if approve is None and not account.approve_key:
        # Without a terminal it stays as it was.
        approve = _may_be_used()
    db.update_account(account.id, api_key=key, approve_key=approve)


def _may_be_used() -> bool:
    """Ask whether claude may use this key without its own question; without a terminal it may not."""
    return confirmed(_("May Claude Code use this key without asking again?"), default=True)


def _not_approvable(name: str, kind: type[InvalidInput]) -> InvalidInput:
    return kind(
        _("{name} is {kind}", name=printable(name), kind=_("an OAuth account")),
        _("--approve and --no-approve belong to an API key"),
    )


def _change_way(account: db.Account, arguments: argparse.Namespace) -> None:
    """Switch between a login that sessions renew themselves and a token that is injected into each."""
    name = printable(account.name)
    if arguments.injected and not arguments.force:
        running_sessions.refuse_while_running(account)
    db.set_durable(account.id, arguments.durable)
    if arguments.durable:
        say(_("✓ Sessions of {name} renew their login themselves from now on", name=name))
        copied = "" if account.durable else durable_store.sign_ins_text(account.id)
        if copied:
            say(copied)
    else:
        say(_("✓ Sessions of {name} get an access token from now on", name=name))


def list_all(arguments: argparse.Namespace) -> int:
    """Print accounts, a line each or as JSON; with `--expiring` those that need a new login, and return 1 for any."""
    accounts = db.list_accounts()
    code = 0
    if arguments.expiring is not None:
        until = now_ms() + clocks.span_ms(arguments.expiring)
        accounts = [
            account for account in accounts if account.status() == "needs_login" or 0 < account.ends_at <= until
        ]
        code = 1 if accounts else 0
    limits = usage.of_all()
    if arguments.json:
        print_json(accounts=[_as_json(account, limits.get(account.id, [])) for account in accounts])
        return code
    if not accounts:
        if arguments.expiring is None:
            say(_("no accounts yet; add one: claude-accounts add NAME"))
        return code
    header, rows = table(_columns(accounts, limits))
    print("\n".join([*header, *(_in_its_colour(account, row) for account, row in zip(accounts, rows, strict=True))]))
    for account in accounts:
        warning = clocks.warning(account)
        if warning:
            warn(warning)
    return code


def _in_its_colour(account: db.Account, row: str) -> str:
    refused = account.tried == proofs.REFUSED
    if refused or account.status() == "needs_login" or clocks.urgency(account) == "urgent":
        colour = "red"
    elif clocks.urgency(account):
        colour = "yellow"
    else:
        return row
    return "\n".join(coloured(line, colour) for line in row.split("\n"))


def status(arguments: argparse.Namespace) -> None:
    """Print what is known of one account."""
    account = db.find_account(arguments.name)
    if arguments.json:
        limits = list(usage.of_name(account.name).values())
        print_json(**(_as_json(account, limits) | db.get_token_status(account.id)))
        return
    lines = [
        (_("Account"), printable(account.name)),
        (_("Type"), "OAuth" if account.auth_type == db.OAUTH else _("API key")),
        (_("Credential"), account.masked_key or "-"),
        (_("Status"), _status_word(account)),
        (_("Credential works"), proofs.text(account) if account.masked_key else "-"),
    ]
    if account.auth_type == db.API_KEY:
        lines.append((_("Claude asks about the key"), _("no") if account.approve_key else _("yes")))
    if account.allowed_hosts:
        lines.append((_("A project may send it to"), ", ".join(account.allowed_hosts)))
    if account.expires_at:
        renewed = " " + _("(renewed by itself)") if account.durable else ""
        lines.append((_("Token ends"), _moment(account.expires_at) + renewed))
    if account.login_expires_at:
        lines.append((_("Login ends"), _moment(account.login_expires_at)))
    if account.auth_type == db.OAUTH:
        lines.append((_("Refresh token"), _("present") if account.has_refresh else _("none")))
        lines.append((_("Sessions get"), _("a login that renews itself") if account.durable else _("an access token")))
    identity = " / ".join(part for part in (account.email, account.organization) if part)
    if identity:
        lines.append((_("Identity"), printable(identity)))
    limits = list(usage.of_name(account.name).values())
    if limits:
        lines.append((_("Used"), f"{_used(limits)} ({clocks.when(min(each.seen_at for each in limits))})"))
    lines.append((_("Last used"), _moment(clocks.of_text(account.last_used))))
    for label, value in lines:
        print(_("{label}: {value}", label=label, value=value))


def rename(arguments: argparse.Namespace) -> None:
    """Give the account another name; its alias follows."""
    account = db.find_account(arguments.name)
    renamed = db.update_account(account.id, name=typed_name(arguments.new_name))
    keep_aliases_current()
    say(_("✓ Account {name} is now {new}", name=printable(account.name), new=renamed.name))
    tell_missing_alias(renamed.name)


def remove(arguments: argparse.Namespace) -> None:
    """Remove the account after a yes; without a terminal only `--yes` counts."""
    account = db.find_account(arguments.name)
    name = printable(account.name)
    if not arguments.force:
        running_sessions.refuse_while_running(account, removing=True)
    _tell_what_goes(account)
    if not arguments.yes:
        question = _("Remove account {name} and its credential?", name=name)
        require_yes(question, _("{name} was not removed", name=name), f"claude-accounts remove --yes {name}")
    db.delete_account(account.id)
    journal.note("account-removed", account=account.name, actor=journal.COMMAND_LINE)
    keep_aliases_current()
    say(_("✓ Account {name} removed", name=name))
    if sys.stdin.isatty() and account.has_refresh:
        warn(_("the login itself goes on until it ends; to end it now sign out of that session at claude.ai"))


def _tell_what_goes(account: db.Account) -> None:
    """Say what else a removal does: sessions that go on unlisted, folders that belong to nobody afterwards."""
    sessions = running_sessions.listed(account.id)
    if sessions:
        running = running_sessions.running_text(account.name, sessions)
        warn(_("{running}; `claude-accounts sessions` lists it no longer", running=running))
    bound = [printable(each.folder) for each in bindings.listed() if each.account_id == account.id]
    if bound:
        shown = ", ".join(bound[:5]) + (", …" if len(bound) > 5 else "")
        say(
            plural(
                "  {count} folder is bound to it, and will belong to no account: {folders}",
                "  {count} folders are bound to it, and will belong to no account: {folders}",
                len(bound),
                folders=shown,
            )
        )


def _as_json(account: db.Account, limits: list[usage.Usage]) -> dict[str, object]:
    return account._asdict() | {
        "status": account.status(),
        "ends_at": account.ends_at,
        "usage": [each._asdict() for each in limits],
    }


def _columns(accounts: list[db.Account], limits: dict[str, list[usage.Usage]]) -> list[Column]:
    """Return what `list` shows, each column in full and narrow."""
    kinds = [_kind(account) for account in accounts]
    token_ends = [_token_ends(account, short=False) for account in accounts]
    login_ends = [account.login_expires_at for account in accounts]
    used = [clocks.of_text(account.last_used) for account in accounts]
    columns = [
        Column(_("NAME"), [printable(account.name) for account in accounts]),
        Column(_("TYPE"), [" ".join(kind) for kind in kinds], "", [kind[-1] for kind in kinds]),
        Column(
            _("CREDENTIAL"),
            [account.masked_key or "-" for account in accounts],
            _("ENDING"),
            # The telling part: the last six characters.
            ["..." + account.masked_key[-6:].lstrip(".") if account.masked_key else "-" for account in accounts],
        ),
        Column(
            _("STATUS"),
            [_status_word(account) for account in accounts],
            "",
            [_status_word(account, short=True) for account in accounts],
        ),
        Column(_("TOKEN ENDS"), token_ends, _("TOKEN"), [_token_ends(account, short=True) for account in accounts]),
        moments(_("LOGIN ENDS"), _("LOGIN"), login_ends),
        moments(_("LAST USED"), _("LAST USE"), used),
    ]
    if limits:
        shares = [limits.get(account.id, []) for account in accounts]
        columns.append(Column(_("USED"), list(map(_used, shares))))
    return columns


def _kind(account: db.Account) -> list[str]:
    """Return an account's type and, of a login that can be renewed, the way sessions get it."""
    if account.auth_type == db.API_KEY:
        return ["api_key"]
    if account.durable:
        return ["oauth", _("durable")]
    return ["oauth", _("injected")] if account.has_refresh else ["oauth"]


def _token_ends(account: db.Account, *, short: bool) -> str:
    if account.durable and account.status() != "needs_login":
        return _("renewed") if short else _("renews itself")
    return clocks.when(account.expires_at, short=short)


def _moment(moment_ms: int) -> str:
    """Return a moment where there is room: as people say it, and exactly."""
    return f"{clocks.when(moment_ms)} ({clocks.exactly(moment_ms)})" if moment_ms else "-"


def _used(limits: list[usage.Usage]) -> str:
    """Return `5h 42% · 7d 13%`; a period that has started anew says nothing."""
    words = {"five_hour": _("5h"), "seven_day": _("7d")}
    current = [each for each in limits if not usage.is_over(each, now_ms())]
    return " · ".join(f"{words.get(each.period, each.period)} {each.percent:.0f}%" for each in current) or "-"


def _status_word(account: db.Account, *, short: bool = False) -> str:
    state = account.status()
    if state == "expired":
        return _("expired, refreshes at launch") if account.has_refresh and not short else _("expired")
    if state != "valid":
        return _("needs login")
    # Valid says only that nothing has ended.
    return proofs.text(account, short=short)


def _in_a_year() -> int:
    return now_ms() + _YEAR_MS

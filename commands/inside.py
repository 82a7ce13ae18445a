"""The commands about sessions: who am I in here, the status line, what runs, which folder belongs to whom."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from ..accounts import proofs, sessions as running_sessions, usage
from ..accounts.clocks import time_left
from ..accounts.rows import now_ms
from ..messages import AccountsError, Misuse, _, printable, say
from .console import add_command, given, print_json

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers

_LARGEST_STATUS = 1024 * 1024
_COLOURS = {"green": 32, "yellow": 33, "red": 31}


def register(subparsers: Subparsers) -> None:
    """Add `whoami`, `statusline`, `sessions`, `bind`, `unbind` and `bindings`."""
    parser = add_command(
        subparsers,
        "whoami",
        help=_("say which account claude would use here, and why"),
        example="claude-accounts whoami",
    )
    parser.add_argument("--json", action="store_true", help=_("print JSON"))
    parser.set_defaults(run=whoami)
    parser = add_command(
        subparsers,
        "statusline",
        help=_("print Claude Code's status line: account, model, used limits (reads its JSON on standard input)"),
        example="claude-accounts statusline < status.json",
    )
    parser.set_defaults(run=statusline)
    parser = add_command(
        subparsers, "sessions", help=_("list the running sessions that we started"), example="claude-accounts sessions"
    )
    parser.add_argument("--json", action="store_true", help=_("print JSON"))
    parser.set_defaults(run=sessions)
    parser = add_command(
        subparsers,
        "bind",
        help=_("let a folder and all below belong to an account"),
        example="claude-accounts bind work ~/projects/work",
    )
    parser.add_argument("name", metavar=_("NAME"))
    parser.add_argument("folder", type=given, metavar=_("DIR"), nargs="?", default=".")
    parser.set_defaults(run=bind)
    parser = add_command(
        subparsers,
        "unbind",
        help=_("let a folder belong to no account"),
        example="claude-accounts unbind ~/projects/work",
    )
    parser.add_argument("folder", type=given, metavar=_("DIR"), nargs="?", default=".")
    parser.set_defaults(run=unbind)
    parser = add_command(
        subparsers,
        "bindings",
        help=_("list the folders that belong to an account"),
        example="claude-accounts bindings",
    )
    parser.add_argument("--json", action="store_true", help=_("print JSON"))
    parser.set_defaults(run=bindings_list)


def whoami(arguments: argparse.Namespace) -> int:
    """Print the account of this session or shell; exit 1 when claude would use none that we know of."""
    from ..accounts import bindings
    from ..launch import identity

    cwd = os.getcwd()
    found = identity.here(os.environ, cwd)
    bound = bindings.nearest(cwd)
    if arguments.json:
        binding = {"folder": bound.folder, "account": bound.account_name} if bound else None
        print_json(**found._asdict(), binding=binding)
        return 0 if found.account else 1
    lines = [
        (_("Account"), printable(found.account) or _("none of ours")),
        (_("Type"), found.kind),
        (_("How it got here"), found.source),
    ]
    for label, value in lines:
        if value:
            print(_("{label}: {value}", label=label, value=value))
    if bound:
        value = _(
            "{folder} belongs to {name}: for `claude-accounts launch` and `exec`, not for a bare claude",
            folder=printable(bound.folder),
            name=printable(bound.account_name),
        )
        print(_("{label}: {value}", label=_("This folder"), value=value))
    for place in found.overrides:
        print(_("{label}: {value}", label=_("Overridden by"), value=place))
    return 0 if found.account else 1


def statusline(_arguments: argparse.Namespace | None = None) -> int:
    """Print one line for Claude Code's `statusLine` setting; whatever comes in, a line goes out."""
    if sys.stdin.isatty():
        raise Misuse(
            _("this is for Claude Code, which gives its status as JSON on standard input"),
            "claude-accounts install --statusline",
        )
    import json

    name = os.environ.get("CLAUDE_ACCOUNT", "")
    try:
        status = json.loads(sys.stdin.buffer.read(_LARGEST_STATUS))
    except (ValueError, RecursionError):
        status = {}
    status = status if isinstance(status, dict) else {}
    now = now_ms()
    told = usage.told(status, now)
    if name and told:
        # A status line has nowhere to say that something could not be kept; doctor does.
        with suppress(AccountsError):
            usage.remember(name, told)
    if name:
        pid = os.environ.get("CLAUDE_PID", "")
        with suppress(AccountsError):
            proofs.notice(name, int(pid[:18]) if pid.isascii() and pid.isdigit() else 0, status, bool(told), now)
    model = status.get("model")
    model_name = model.get("display_name") if isinstance(model, dict) else ""
    parts = [f"● {printable(name)}" if name else _("○ no account of ours")]
    if isinstance(model_name, str) and model_name:
        parts.append(printable(model_name)[:40])
    parts += [limit_text(each, now) for each in told if not usage.is_over(each, now)]
    print("  ".join(parts))
    return 0


def limit_text(each: usage.Usage, now: int) -> str:
    """Return one limit for a status line, in the colour of its urgency: `5h 42% ↻1h10m`."""
    label = {"five_hour": _("5h"), "seven_day": _("7d")}[each.period]
    colour = "red" if each.percent >= 90 else "yellow" if each.percent >= 70 else "green"
    resets = f" ↻{time_left(each.resets_at)}" if each.resets_at > now else ""
    text = f"{label} {each.percent:.0f}%{resets}"
    # Claude Code shows colours here although this is no terminal.
    return text if os.environ.get("NO_COLOR") else f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def sessions(arguments: argparse.Namespace) -> None:
    """Print the sessions that run now, or perhaps do where they cannot be seen from here."""
    # The status line, which comes after every answer, needs none of these.
    from ..claude import credentials_file
    from ..launch import pins

    pins.sweep(credentials_file.config_folder(os.environ))
    found = running_sessions.listed()
    if arguments.json:
        print_json(sessions=[each._asdict() for each in found])
        return
    if not found:
        say(_("no session is running that was started from here"))
        return
    from .tables import Column, moments, print_table

    print_table(
        [
            Column(_("PID"), [str(each.pid) for each in found]),
            Column(_("ACCOUNT"), [printable(each.account_name) for each in found]),
            Column(_("FOLDER"), [printable(each.folder) for each in found]),
            moments(_("SINCE"), "", [each.since for each in found]),
            Column(_("STARTED FROM"), [_started_from(each) for each in found], _("FROM")),
            moments(_("TOKEN ENDS"), _("TOKEN"), [each.token_ends for each in found]),
        ]
    )


def _started_from(session: running_sessions.Session) -> str:
    origins = {running_sessions.WEB: _("web"), running_sessions.BACKGROUND: _("background")}
    origin = origins.get(session.origin, _("shell"))
    return ", ".join(part for part in (origin, running_sessions.perhaps_text(session)) if part)


def bind(arguments: argparse.Namespace) -> None:
    """Bind a folder to an account."""
    from .. import db
    from ..accounts import bindings

    account, path = db.find_account(arguments.name), os.path.realpath(arguments.folder)
    before = next((each for each in bindings.listed() if each.folder == path), None)
    bound = bindings.bind(account.id, arguments.folder)
    name = printable(bound.account_name)
    say(_("✓ {folder} belongs to {name}", folder=printable(bound.folder), name=name))
    if before and before.account_id != account.id:
        say(_("  It belonged to {name} before.", name=printable(before.account_name)))
    say(
        _(
            "  There and below, `claude-accounts launch` and `exec` without a name are {name}; another one asks.",
            name=name,
        )
    )
    say(_("  A bare `claude` is not touched by it."))


def unbind(arguments: argparse.Namespace) -> None:
    """Take a folder's binding away."""
    from ..accounts import bindings

    bound = bindings.unbind(arguments.folder)
    say(_("✓ {folder} belongs to no account any more", folder=printable(bound.folder)))


def bindings_list(arguments: argparse.Namespace) -> None:
    """Print all bindings."""
    from ..accounts import bindings
    from .tables import Column, print_table

    found = bindings.listed()
    if arguments.json:
        print_json(bindings=[{"folder": each.folder, "account": each.account_name} for each in found])
    elif not found:
        say(_("no folder is bound; bind one: claude-accounts bind NAME DIR"))
    else:
        folders = Column(_("FOLDER"), [printable(each.folder) for each in found])
        print_table([folders, Column(_("ACCOUNT"), [printable(each.account_name) for each in found])])

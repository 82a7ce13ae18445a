"""The command that carries accounts to another machine: export, in the earlier program's JSON array."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from .. import db
from ..accounts import journal
from ..messages import _, plural, printable, say, warn
from ..system.private_files import write_private_file
from .console import add_command, require_yes

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add `export`."""
    parser = add_command(
        subparsers,
        "export",
        help=_("print all accounts as JSON, credentials in clear"),
        example="claude-accounts export --output accounts.json",
    )
    parser.add_argument("--output", "-o", metavar=_("FILE"), help=_("write a file only you can read"))
    parser.add_argument(
        "--no-refresh-tokens",
        action="store_true",
        help=_("leave refresh tokens out: a login refreshed on two machines dies on both"),
    )
    parser.add_argument("--yes", "-y", action="store_true", help=_("do not ask before printing to a terminal"))
    parser.set_defaults(run=export_all)


def export_all(arguments: argparse.Namespace) -> None:
    """Write every account to a private file or to standard output."""
    to_terminal = not arguments.output and sys.stdout.isatty()
    if to_terminal and not arguments.yes:
        question = _("Print all credentials in clear on this terminal?")
        require_yes(question, _("nothing was exported"), "claude-accounts export --output accounts.json")
    accounts = db.export_accounts(refresh_tokens=not arguments.no_refresh_tokens)
    for behind in accounts.behind:
        warn(behind.told())
    text = json.dumps(accounts, indent=2) + "\n"
    exported = journal.names([str(account["name"]) for account in accounts])
    journal.note("export", actor=journal.COMMAND_LINE, detail=exported)
    if not arguments.output:
        sys.stdout.write(text)
        return
    write_private_file(arguments.output, text.encode())
    counted = plural("{count} account", "{count} accounts", len(accounts))
    say(_("✓ {counted} exported to {path}", counted=counted, path=printable(arguments.output)))
    if any(account.get("refresh_token") for account in accounts):
        say(_("  Keep refreshing on one machine only: a refresh token works once."))

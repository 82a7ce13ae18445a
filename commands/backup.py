"""The command that carries accounts to another machine: export, in the earlier program's JSON array."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

from .. import db
from ..accounts import journal
from ..messages import AccountsError, _, plural, printable, say, warn
from ..system.access import exists, read_plain_file
from ..system.private_files import is_open_to_others, write_private_file
from .console import add_command, given, require_yes

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers


_LARGEST_EXPORT = 64 * 1024 * 1024


def register(subparsers: Subparsers) -> None:
    """Add `export`."""
    parser = add_command(
        subparsers,
        "export",
        help=_("print all accounts as JSON, credentials in clear"),
        example="claude-accounts export --output accounts.json",
    )
    parser.add_argument("--output", "-o", type=given, metavar=_("FILE"), help=_("write a file only you can read"))
    parser.add_argument(
        "--no-refresh-tokens",
        action="store_true",
        help=_("leave refresh tokens out: a login refreshed on two machines dies on both"),
    )
    parser.add_argument("--yes", "-y", action="store_true", help=_("do not ask before printing to a terminal"))
    parser.add_argument("--force", action="store_true", help=_("with --output: replace whatever is there"))
    parser.set_defaults(run=export_all)


def export_all(arguments: argparse.Namespace) -> None:
    """Write every account to a private file or to standard output."""
    to_terminal = not arguments.output and sys.stdout.isatty()
    if to_terminal and not arguments.yes:
        question = _("Print all credentials in clear on this terminal?")
        require_yes(question, _("nothing was exported"), "claude-accounts export --output accounts.json")
    if arguments.output:
        _refuse_output(arguments.output, arguments.force)
    accounts = db.export_accounts(refresh_tokens=not arguments.no_refresh_tokens)
    for behind in accounts.behind:
        warn(behind.told())
    if arguments.output and not accounts and _size(arguments.output):
        raise AccountsError(
            _("there is no account to export; {path} was left as it is", path=printable(arguments.output)),
            "claude-accounts list",
        )
    text = json.dumps(accounts, indent=2) + "\n"
    exported = journal.names([str(account["name"]) for account in accounts])
    journal.note("export", actor=journal.COMMAND_LINE, detail=exported)
    if not arguments.output:
        sys.stdout.write(text)
        return
    write_private_file(arguments.output, text.encode())
    if is_open_to_others(arguments.output):
        warn(_("the disk of {path} keeps no permissions: others may read it", path=printable(arguments.output)))
    counted = plural("{count} account", "{count} accounts", len(accounts))
    say(_("✓ {counted} exported to {path}", counted=counted, path=printable(arguments.output)))
    if any(account.get("refresh_token") for account in accounts):
        say(_("  Keep refreshing on one machine only: a refresh token works once."))


def _refuse_output(path: str, force: bool) -> None:
    """Raise unless the file may be written: what is there is replaced after a yes, an earlier export of ours, or force.

    A link is never followed unasked: it may lead anywhere.
    """
    if not os.path.lexists(path) and exists(os.path.dirname(path) or "."):
        return
    shown, linked = printable(path), os.path.islink(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise AccountsError(_("{path} is not a file", path=shown), "claude-accounts export > FILE")
    if force or (not linked and _size(path) == 0):
        return
    question = _("{path} is there already. Replace it?", path=shown)
    problem = _("{path} is there already, and is no earlier export", path=shown)
    if linked:
        target = printable(os.path.realpath(path))
        question = _("{path} is a link to {target}. Write there?", path=shown, target=target)
        problem = _("{path} is a link to {target}", path=shown, target=target)
    if sys.stdin.isatty():
        require_yes(question, _("nothing was exported"), f"claude-accounts export --force --output {shown}")
    elif linked or not _is_export(path):
        raise AccountsError(problem, f"claude-accounts export --force --output {shown}")


def _size(path: str) -> int:
    """Return how much is in a file, 0 where there is none."""
    return os.stat(path).st_size if os.path.exists(path) else 0


def _is_export(path: str) -> bool:
    """Tell whether a file is what an export of ours looks like. Raises StorageFailed where it cannot be read."""
    try:
        whole = json.loads(read_plain_file(path, _LARGEST_EXPORT) or b"")
    except (ValueError, RecursionError):
        return False
    return isinstance(whole, list) and all(
        isinstance(entry, dict) and {"name", "auth_type"} <= {*entry} for entry in whole
    )

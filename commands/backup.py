"""The commands that carry accounts to another machine: export and import, in the earlier program's JSON array."""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING

from .. import db
from ..accounts import journal
from ..messages import AccountsError, InvalidInput, _, plural, printable, say, warn
from ..system.private_files import write_private_file
from .console import add_command, keep_aliases_current, require_yes

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers

_LARGEST_IMPORT = 32 * 1024 * 1024


def register(subparsers: Subparsers) -> None:
    """Add `export` and `import`."""
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
    parser = add_command(
        subparsers,
        "import",
        help=_("add the accounts of an exported file, all or none"),
        example="claude-accounts import accounts.json",
    )
    parser.add_argument("file", metavar=_("FILE"), help=_("an exported file; - reads standard input"))
    parser.set_defaults(run=import_file)


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


def import_file(arguments: argparse.Namespace) -> None:
    """Add the file's accounts and say which were already there."""
    source = _("standard input") if arguments.file == "-" else printable(arguments.file)
    try:
        data = json.loads(_read(arguments.file))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(_("{source} is not a JSON file", source=source)) from error
    try:
        result = db.import_accounts(data)
    except InvalidInput as error:
        message = _("{source}: {message}; nothing was imported", source=source, message=error.message)
        raise InvalidInput(message, error.hint) from error
    journal.note("import", actor=journal.COMMAND_LINE, detail=journal.names(result.imported))
    keep_aliases_current()
    say("✓ " + plural("{count} account imported", "{count} accounts imported", len(result.imported)))
    if result.skipped:
        shown = ", ".join(result.skipped[:10]) + (", …" if len(result.skipped) > 10 else "")
        say(_("  Already there, left as they are: {names}", names=shown))


def _read(path: str) -> bytes:
    """Return the file's bytes; only a regular file of sensible size, so that a pipe or a device cannot hold us up."""
    if path == "-":
        if sys.stdin.isatty():
            say(_("reading standard input; Ctrl-D ends it"))
        data = sys.stdin.buffer.read(_LARGEST_IMPORT + 1)
    else:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            reason = error.strerror or str(error)
            raise AccountsError(_("cannot read {path}: {reason}", path=printable(path), reason=reason)) from error
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise AccountsError(_("{path} is not a file", path=printable(path)))
            data = file.read(_LARGEST_IMPORT + 1)
    if len(data) > _LARGEST_IMPORT:
        raise AccountsError(_("{path} is too large for an import", path=printable(path)))
    return data

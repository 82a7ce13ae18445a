"""The command `journal`: what happened to the accounts and to what lets one in."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from ..accounts import journal
from ..messages import InvalidInput, _, printable
from .console import add_command
from .tables import table

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "journal",
        help=_("show sign-ins, exports, reveals, imports, removals and changes of what lets one in"),
        example="claude-accounts journal --limit 20",
    )
    parser.add_argument("--json", action="store_true", help=_("print JSON"))
    parser.add_argument("--limit", type=int, default=50, metavar=_("N"), help=_("so many lines, the newest (50)"))
    parser.set_defaults(run=show)


def show(arguments: argparse.Namespace) -> None:
    """Print the newest lines, the last of them at the end."""
    if arguments.limit < 1:
        raise InvalidInput(_("--limit is a number from 1 on"), "claude-accounts journal --limit 50")
    entries = journal.listed(limit=arguments.limit)[::-1]
    if arguments.json:
        print(json.dumps({"schema_version": 1, "entries": [entry._asdict() for entry in entries]}, indent=2))
        return
    words = journal.events()
    rows = [
        [
            datetime.fromtimestamp(entry.at / 1000).strftime("%Y-%m-%d %H:%M:%S"),
            words.get(entry.event, printable(entry.event)),
            *(
                printable(text) or "-"
                for text in (entry.account, journal.told_actor(entry.actor), entry.address, entry.detail)
            ),
        ]
        for entry in entries
    ]
    header = [_("WHEN"), _("WHAT"), _("ACCOUNT"), _("WHO"), _("FROM"), _("MORE")]
    if rows:
        print(table(header, rows))

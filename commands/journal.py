"""The command `journal`: what happened to the accounts and to what lets one in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..accounts import clocks, journal
from ..messages import Misuse, _, printable
from .console import add_command, print_json
from .tables import Column, print_table

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
        raise Misuse(_("--limit is a number from 1 on"), "claude-accounts journal --limit 50")
    entries = journal.listed(limit=arguments.limit)[::-1]
    if arguments.json:
        print_json(entries=[entry._asdict() for entry in entries])
        return
    if not entries:
        return
    words = journal.events()
    moments = [entry.at for entry in entries]
    exact = [f"{clocks.exactly(moment)}, {clocks.when(moment)}" for moment in moments]
    print_table(
        [
            Column(_("WHEN"), exact, "", [clocks.when(moment, short=True) for moment in moments]),
            Column(_("WHAT"), [words.get(entry.event, printable(entry.event)) for entry in entries]),
            Column(_("ACCOUNT"), [printable(entry.account) or "-" for entry in entries]),
            Column(_("WHO"), [printable(journal.told_actor(entry.actor)) or "-" for entry in entries]),
            Column(_("FROM"), [printable(entry.address) or "-" for entry in entries]),
            Column(_("MORE"), [printable(entry.detail) or "-" for entry in entries]),
        ]
    )

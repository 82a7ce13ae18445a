"""The command `import`: accounts of an export, of Claude Code's own files, or of another tool; a dry run if wished."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..accounts import journal
from ..imports import plan as planning, reading, sources
from ..imports.claude_folder import shown as shown_place
from ..imports.plan import ADDED, LEFT_OUT, SKIPPED, Plan
from ..messages import InvalidInput, Misuse, _, plural, printable, say, warn
from .console import add_command, confirmed, given, keep_aliases_current, print_json
from .tables import Column, coloured, table

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers

_EXAMPLE = """claude-accounts import accounts.json
claude-accounts import accounts.json --dry-run
claude-accounts import ~/.claude-work --name work
claude-accounts import --from claude-swap
claude-accounts import --discover"""


def register(subparsers: Subparsers) -> None:
    """Add `import`."""
    parser = add_command(
        subparsers,
        "import",
        help=_("add accounts: an export (all or none), Claude Code's own files, or another tool's store"),
        example=_EXAMPLE,
    )
    parser.description = _about()
    parser.add_argument(
        "file", type=given, metavar=_("FILE"), nargs="?", help=_("a file, or a tool's folder; - reads standard input")
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--from",
        dest="tool",
        metavar=_("TOOL"),
        choices=list(sources.TOOLS),
        help=_("the tool that FILE is of, or whose usual places to look in: {tools}", tools=", ".join(sources.TOOLS)),
    )
    where.add_argument("--discover", action="store_true", help=_("look for all of them, and list what would come"))
    parser.add_argument("--dry-run", action="store_true", help=_("only say what would happen"))
    parser.add_argument("--json", action="store_true", help=_("print JSON"))
    parser.add_argument("--name", type=given, metavar=_("NAME"), help=_("what the only account in it shall be called"))
    parser.add_argument(
        "--move-logins", action="store_true", help=_("take logins with their tokens; the other tool must drop them")
    )
    parser.add_argument("--yes", "-y", action="store_true", help=_("with --discover: import without asking"))
    parser.set_defaults(run=import_accounts)


def _about() -> str:
    """Return what `--help` says of the command."""
    return " ".join(
        (
            _("add accounts: an export (all or none), Claude Code's own files, or another tool's store") + ".",
            _("API keys and setup tokens come whole. Of a login that another tool holds, only who it is comes:"),
            _("a refresh token works once, so two who hold it end the login for each other. Sign in afresh (see"),
            _("`claude-accounts login --help`), or take it along with --move-logins and use it here alone."),
            _("Nothing is written into the other tool's folder, and no account of yours is replaced."),
        )
    )


def import_accounts(arguments: argparse.Namespace) -> None:
    """Say what would come, and store it."""
    where = _where(arguments)
    try:
        found = _sources(arguments)
        plan = planning.foresee(found, name=arguments.name or "", move_logins=arguments.move_logins)
        plan = _with_asked_name(arguments, found, plan)
    except InvalidInput as error:
        raise _about_source(where, error) from error
    asks = arguments.discover and not arguments.yes
    only_told = arguments.dry_run or (asks and arguments.json)
    listed = arguments.dry_run or asks or any(row.tool != sources.OURS for row in plan.rows)
    if arguments.json and only_told:
        print_json(dry_run=True, **planning.as_json(plan))
    elif listed and not arguments.json:
        _list(found, plan)
    if plan.refusal is not None:
        raise _about_source(where, plan.refusal)
    if only_told or (asks and not _agreed(plan)):
        return
    done = planning.carry_out(plan)
    journal.note("import", actor=journal.COMMAND_LINE, detail=journal.names(done.imported))
    keep_aliases_current()
    if arguments.json:
        print_json(dry_run=False, **planning.as_json(plan))
    _tell(plan, done)


def _where(arguments: argparse.Namespace) -> str:
    """Return what is imported from, for people; misuse of the options is refused here."""
    if arguments.discover and arguments.file is not None:
        raise Misuse(_("--discover looks in the usual places"), f"claude-accounts import {printable(arguments.file)}")
    if arguments.file is None:
        if not (arguments.discover or arguments.tool):
            raise Misuse(_("there is no file to import"), "claude-accounts import --discover")
        return str(arguments.tool or _("the usual places"))
    return _("standard input") if arguments.file == "-" else printable(arguments.file)


def _sources(arguments: argparse.Namespace) -> list[sources.Source]:
    if arguments.discover:
        return sources.discovered(os.environ)
    if arguments.file == "-":
        if sys.stdin.isatty():
            say(_("reading standard input; Ctrl-D ends it"))
        return [sources.of_bytes(sys.stdin.buffer.read(reading.LARGEST_IMPORT + 1), called=arguments.name or "")]
    if arguments.tool:
        return sources.of_tool(arguments.tool, arguments.file, os.environ)
    return [sources.of_path(arguments.file)]


def _with_asked_name(arguments: argparse.Namespace, found: list[sources.Source], plan: Plan) -> Plan:
    """Ask on a terminal for the name of the only account, where it has none."""
    nameless = [row for row in plan.rows if row.field == "name" and not row.name and row.will == LEFT_OUT]
    if len(plan.rows) != 1 or not nameless:
        return plan
    if arguments.dry_run or arguments.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidInput(nameless[0].why, f"claude-accounts import {printable(arguments.file or '')} --name NAME")
    sys.stderr.write(_("What shall the account be called?") + " ")
    sys.stderr.flush()
    typed = sys.stdin.readline().strip()
    if not typed:
        raise InvalidInput(_("nothing was typed"))
    return planning.foresee(found, name=typed, move_logins=arguments.move_logins)


def _about_source(where: str, error: InvalidInput) -> InvalidInput:
    message = _("{source}: {message}; nothing was imported", source=where, message=error.message)
    return InvalidInput(message, error.hint, error.field)


def _agreed(plan: Plan) -> bool:
    """Ask whether what was found shall come."""
    count = plan.count(ADDED)
    if not count:
        return False
    if not sys.stdin.isatty():
        say(_("  To import them: claude-accounts import --discover --yes"))
        return False
    return confirmed(plural("Import {count} account?", "Import {count} accounts?", count), default=True)


def _list(found: list[sources.Source], plan: Plan) -> None:
    """Print a line for each account and what will become of it."""
    for source in found:
        if source.path and source.tool != sources.OURS:
            say(f"{source.tool}: {shown_place(source.path)}")
    if not plan.rows:
        say(_("there is no account in it"))
        return
    header, lines = table(
        [
            Column(_("NAME"), [row.name or row.called or "?" for row in plan.rows]),
            Column(_("TYPE"), list(map(_type, plan.rows))),
            Column(_("FROM"), list(map(_origin, plan.rows))),
            Column(_("WHAT WILL HAPPEN"), [row.told() for row in plan.rows]),
        ]
    )
    for number, row in enumerate(plan.rows):
        if row.will != ADDED:
            lines[number] = coloured(lines[number], "yellow" if row.will in (SKIPPED, LEFT_OUT) else "red")
    print("\n".join(header + lines))
    sys.stdout.flush()
    for row in plan.rows:
        for folder in row.folders:
            say(_("  {folder} will belong to {name}", folder=printable(folder), name=row.name))


def _type(row: planning.Row) -> str:
    return {"api_key": _("API key"), "oauth": "OAuth"}.get(row.auth_type, "-")


def _origin(row: planning.Row) -> str:
    if row.tool == sources.OURS:
        return _("an export")
    return row.tool if row.called in ("", row.name) else f"{row.tool} ({row.called})"


def _tell(plan: Plan, done: planning.Done) -> None:
    """Say what was done, and what is left to do."""
    say("✓ " + plural("{count} account imported", "{count} accounts imported", len(done.imported)))
    if done.skipped:
        shown = ", ".join(done.skipped[:10]) + (", …" if len(done.skipped) > 10 else "")
        say(_("  Already there, left as they are: {names}", names=shown))
    doubted = [row for row in plan.rows if row.will == ADDED and row.why]
    for row in doubted[:10]:
        warn(f"{row.name}: {row.why}")
    for folder in done.bound:
        say(_("  {folder} belongs to its account here too", folder=printable(folder)))
    moved = [name for name in plan.moved() if name in done.imported]
    if moved:
        warn(
            _(
                "take these logins out of the other tool now, or the first refresh there ends them here: {names}",
                names=", ".join(moved),
            )
        )
    if any(row.tool != sources.OURS for row in plan.rows):
        for name in plan.to_sign_in():
            if name in done.imported:
                say(_("  Next, sign in: {command}", command=f"claude-accounts login --new {name}"))

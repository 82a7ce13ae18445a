"""The commands for shells: aliases, install, uninstall, completion."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from .. import db, own_python
from ..install import aliases as shell_aliases, rc_files, shells, status_line
from ..messages import InvalidInput, StorageFailed, _, printable, say, warn
from ..system.folders import data_folder, home_folder
from .console import add_command, require_yes

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add the four commands and the hidden one that completion calls."""
    parser = add_command(
        subparsers,
        "aliases",
        help=_("print the shell aliases, one for each account, without any secret"),
        example="claude-accounts aliases --shell fish",
    )
    parser.add_argument("--shell", choices=shell_aliases.SHELLS, default="bash", help=_("bash, zsh or fish"))
    parser.set_defaults(run=print_aliases)
    parser = add_command(
        subparsers,
        "install",
        help=_("let your shells read the aliases, or Claude Code show whose session it is"),
        example="claude-accounts install --dry-run\nclaude-accounts install --statusline",
    )
    parser.add_argument("--dry-run", action="store_true", help=_("show what would change and change nothing"))
    parser.add_argument(
        "--statusline", action="store_true", help=_("set Claude Code's status line instead (asks first)")
    )
    parser.add_argument("--yes", "-y", action="store_true", help=_("with --statusline: do not ask"))
    parser.set_defaults(run=install)
    parser = add_command(
        subparsers,
        "uninstall",
        help=_("take the aliases out of your shells again"),
        example="claude-accounts uninstall --dry-run",
    )
    parser.add_argument("--dry-run", action="store_true", help=_("show what would change and change nothing"))
    parser.set_defaults(run=uninstall)
    parser = add_command(
        subparsers,
        "completion",
        help=_("print the completion for one shell"),
        example="claude-accounts completion zsh",
    )
    parser.add_argument("shell", choices=shell_aliases.SHELLS)
    parser.set_defaults(run=print_completion)
    subparsers.add_parser("__complete").set_defaults(run=complete)


def print_aliases(arguments: argparse.Namespace) -> None:
    """Print the alias file of one shell."""
    # Bytes, because a path on this machine need not be text in the locale's encoding.
    sys.stdout.buffer.write(os.fsencode(shell_aliases.alias_script(db.account_names(), arguments.shell)))


def install(arguments: argparse.Namespace) -> None:
    """Write the alias files and put one line into each shell's file. Raises StorageFailed for one that is read-only."""
    if arguments.statusline:
        _install_status_line(arguments)
        return
    changes = rc_files.plan_install(os.environ)
    names = db.account_names()
    if arguments.dry_run:
        for path in shell_aliases.outdated_files(names):
            print(_("{path} would be written", path=printable(path)))
        _show(changes, quiet=bool(shell_aliases.outdated_files(names)))
        return
    blocked = _blocked(changes)
    shell_aliases.write_aliases(names)
    changes = [change for change in changes if change.path not in [path for path, _reason in blocked]]
    rc_files.apply(changes)
    say(_("✓ Aliases: {path}", path=printable(shell_aliases.alias_path("bash"))))
    for change in changes:
        say(_("✓ Line added to {path}", path=printable(change.path)))
    for _path, reason in blocked[1:]:
        warn(reason.message)
    _tell_standings()
    _tell_this_shell(shells.login_shell(os.environ) or "bash")
    if blocked:
        # The others have what they need.
        raise blocked[0][1]


def _tell_this_shell(kind: str) -> None:
    """Say what to type for the aliases at once, where the shell can read them."""
    quoted = {"bash": shlex.quote, "zsh": shlex.quote, "fish": shell_aliases.fish_quote}.get(kind)
    if quoted:
        path = shell_aliases.alias_path(kind)
        # Most paths need no quotes; what cannot be printed cannot be typed either.
        say(_("  Use them now: source {path}", path=printable(path if shlex.quote(path) == path else quoted(path))))


def _blocked(changes: list[rc_files.Change]) -> list[tuple[str, StorageFailed]]:
    """Return the files that cannot be written: dotfiles that something else makes, often."""
    found = []
    for change in changes:
        try:
            rc_files.check(change.path)
        except StorageFailed as error:
            found.append((change.path, error))
    return found


def _tell_standings() -> None:
    """Say of each of the user's shells whether a new one has the aliases, and what is missing where."""
    for standing in rc_files.standings(os.environ):
        say(("✓ " if standing.works() else "! ") + standing.told())
        if standing.remedy():
            say("  " + standing.remedy())


def _install_status_line(arguments: argparse.Namespace) -> None:
    change = status_line.plan_install(os.environ)
    if change is None:
        say(_("  Claude Code shows it already."))
    elif arguments.dry_run:
        print(change.describe())
    else:
        if not arguments.yes:
            question = _("Set the status line in {path}?", path=printable(change.path))
            require_yes(question, _("nothing was changed"), "claude-accounts install --statusline --yes")
        rc_files.apply([change])
        say(_("✓ Claude Code shows the account in its status line: {path}", path=printable(change.path)))


def uninstall(arguments: argparse.Namespace) -> None:
    """Take our line out, byte for byte, the alias files away, and the status line where it is ours."""
    changes = rc_files.plan_uninstall(os.environ)
    with suppress(InvalidInput):
        # Settings that are no JSON hold nothing of ours.
        changes += [change for change in [status_line.plan_uninstall(os.environ)] if change]
    if arguments.dry_run:
        _show(changes)
        return
    rc_files.apply(changes)
    for change in changes:
        say(_("✓ Removed from {path}", path=printable(change.path)))
    if not changes:
        say(_("  There was nothing installed."))
    _tell_what_stays()


def _tell_what_stays() -> None:
    """Say what an uninstall leaves, where it is and how it goes."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(home_folder(), ".cache")
    libraries = os.path.join(cache, "claude-accounts")
    folder = data_folder()
    if os.path.isdir(folder) and (not os.access(folder, os.R_OK) or os.listdir(folder)):
        path = shlex.quote(printable(data_folder()))
        say(_("  Accounts, key and logins stay; to delete them for good: rm -r {path}", path=path))
    if os.path.exists(libraries):
        path = shlex.quote(printable(libraries))
        say(_("  The browser libraries stay: rm -r {path}", path=path))
    if os.path.exists(os.path.join(own_python.HERE, "start.sh")):
        path = shlex.quote(printable(own_python.HERE))
        say(_("  The program stays: rm -r {path} (its image: docker compose down --rmi local there)", path=path))
    else:
        say(_("  The program stays: uv tool uninstall claude-accounts, or pipx uninstall claude-accounts"))
    say(_("  Claude Code and its folder ~/.claude are as they were."))


def print_completion(arguments: argparse.Namespace) -> None:
    """Print one shell's completion script."""
    print(shell_aliases.completion_script(arguments.shell), end="")


def complete(arguments: argparse.Namespace) -> None:
    """Print what the word under the cursor can become, one candidate a line."""
    from .parsing import options_of

    words: list[str] = arguments.passed_on
    commands: list[str] = [name for name in arguments.commands if not name.startswith("_")]
    options: list[str] = []
    if len(words) > 1 and words[-1].startswith("-") and words[0] in commands:
        options = options_of(arguments.parser_of(words[0]), words[0])
    elif len(words) == 1 and words[0].startswith("-"):
        commands = options_of(arguments.parser_of(), "")
    names = db.account_names() if shell_aliases.takes_name(words) else []
    for candidate in shell_aliases.complete(words, commands, options, names):
        print(candidate)


def _show(changes: list[rc_files.Change], *, quiet: bool = False) -> None:
    for change in changes:
        print(change.describe())
    if not changes and not quiet:
        say(_("nothing would change"))

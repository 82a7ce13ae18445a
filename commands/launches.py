"""The commands that become another program: launch (claude) and exec (anything).

Nothing of ours stays running: what is started takes this process over, and its exit code is the one the shell sees.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from .. import db
from ..accounts import sessions as running_sessions
from ..claude import credentials_file, program as claude_code
from ..launch import pins
from ..launch.plan import BoundElsewhere, plan, refuse_foreign_folder
from ..messages import ClaudeMissing, Declined, Misuse, _, printable, say
from ..system import programs
from .console import add_command, confirmed

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add `launch` and `exec`."""
    parser = add_command(
        subparsers,
        "launch",
        aliases=["run"],
        help=_("start claude with an account's credential"),
        example="claude-accounts launch work --resume\nclaude-accounts launch -- --resume",
    )
    parser.add_argument("--force", action="store_true", help=_("start even if settings choose another credential"))
    parser.add_argument(
        "name",
        metavar=_("NAME"),
        nargs="?",
        help=_("the account (without one: whom this folder is bound to); everything behind it belongs to claude"),
    )
    parser.set_defaults(run=launch)
    parser = add_command(
        subparsers,
        "exec",
        help=_("start any program with an account's credential in its environment"),
        example="claude-accounts exec work -- python3 script.py\nclaude-accounts exec -- python3 script.py",
    )
    parser.add_argument(
        "--force", action="store_true", help=_("start even in a folder that belongs to another account")
    )
    parser.add_argument(
        "name",
        metavar=_("NAME"),
        nargs="?",
        help=_("the account (without one: whom this folder is bound to); everything behind it is the command"),
    )
    parser.set_defaults(run=execute)


def start(command: str, name: str, passed_on: list[str]) -> NoReturn:
    """Run `launch NAME …` or `exec NAME …` as typed without any option of ours."""
    if command == "exec":
        _execute(name, passed_on, force=False)
    _launch(name, passed_on, force=False)


def launch(arguments: argparse.Namespace) -> NoReturn:
    """Become claude."""
    _launch(arguments.name, arguments.passed_on, force=arguments.force)


def execute(arguments: argparse.Namespace) -> NoReturn:
    """Become the given command, with the account's variable and no rival in its environment."""
    _execute(arguments.name, arguments.passed_on, force=arguments.force)


def _launch(name: str | None, arguments: list[str], *, force: bool) -> NoReturn:
    cwd = os.getcwd()
    chosen = db.choose(cwd, name=name)
    if chosen is None:
        raise Misuse(
            _("launch whom? this folder belongs to no account"),
            _("name one: claude-accounts launch NAME; or bind the folder: claude-accounts bind NAME"),
        )
    try:
        launch, stored = plan(chosen, arguments, cwd=cwd, environ=os.environ, force=force, ask=confirmed)
    except BoundElsewhere as error:
        _ask_to_go_on(chosen, error)
        launch, stored = plan(chosen, arguments, cwd=cwd, environ=os.environ, anywhere=True, ask=confirmed)
    config_folder = credentials_file.config_folder(launch.env)
    pins.sweep(config_folder)
    pin = pins.place(launch)
    origin = running_sessions.BACKGROUND if launch.pin_outlives else running_sessions.SHELL
    running_sessions.record(stored, os.getpid(), cwd, origin, pin=pin.path, config_folder=config_folder)
    for notice in launch.notices:
        say(notice)
    try:
        programs.become(launch.program, pin.argv(launch, pin.inherit()), launch.env)
    finally:
        # Only a program that could not be started lets us come here.
        pin.remove()


def _execute(name: str | None, command: list[str], *, force: bool) -> NoReturn:
    if not command:
        raise Misuse(_("there is no command to start"), "claude-accounts exec NAME -- COMMAND")
    chosen = db.choose(_folder(), name=name)
    if chosen is None:
        raise Misuse(
            _("whose credential? this folder belongs to no account"),
            _("name one: claude-accounts exec NAME -- COMMAND; or bind the folder: claude-accounts bind NAME"),
        )
    program = programs.find(command[0], os.environ)
    if program is None:
        raise ClaudeMissing(_("there is no program {name}", name=printable(command[0])))
    if not force:
        try:
            refuse_foreign_folder(chosen, "exec")
        except BoundElsewhere as error:
            _ask_to_go_on(chosen, error)
    stored = chosen.stored
    programs.become(program, command, claude_code.child_env(os.environ, db.get_launch_env(stored.id), stored.name))


def _ask_to_go_on(chosen: db.Chosen, error: BoundElsewhere) -> None:
    """Ask whether it shall be this account in another's folder; without a terminal it shall not."""
    if not sys.stdin.isatty():
        raise error
    name = printable(chosen.stored.name)
    if not confirmed(_("{problem}. Go on as {name}?", problem=error.message, name=name)):
        raise Declined(_("nothing was started"))


def _folder() -> str:
    """Return where we are; a folder that is gone belongs to nobody, and a program can be started in it."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"

#!/usr/bin/env python3
"""The command line: which commands there are, how a failure is told, and with which code the program ends.

What a command does is in the module of its family under commands/; only the family that was asked for is imported.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Isolated, Python does not look beside the script it runs.
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    try:
        # Before anything is imported that another environment's folders could have too.
        __import__("own_python").isolate()
        # Run from its compiled copy: as a script, Python would compile this file again at every launch.
        _main = __import__("bare_names").member("cli").main
    except (ImportError, SyntaxError, ValueError, OSError) as _broken:
        # Without our words: they may be what is broken.
        sys.exit(f"claude-accounts: error: this installation is damaged: {_broken}")
    sys.exit(_main())

import errno
import gc
import io
from contextlib import suppress
from importlib import import_module

if not __package__:
    import_module("bare_names").adopt(globals())

from types import ModuleType
from typing import TYPE_CHECKING, TextIO

from . import messages
from .messages import VERSION, AccountsError, Declined, _, say

if TYPE_CHECKING:
    import argparse

FAMILIES = {
    "accounts": ("add", "list", "ls", "status", "rename", "update", "remove", "rm"),
    "logins": ("login", "refresh"),
    "launches": ("launch", "run", "exec"),
    "inside": ("whoami", "statusline", "sessions", "bind", "unbind", "bindings"),
    "shell_setup": ("aliases", "install", "uninstall", "completion", "__complete"),
    "backup": ("export",),
    "importing": ("import",),
    "doctor": ("doctor",),
    "serve": ("serve",),
    "dashboard": ("dashboard",),
    "journal": ("journal",),
    "checks": ("check",),
}
_COMMANDS = tuple(name for family in FAMILIES.values() for name in family)
# What follows the account's name belongs to the program that is started, whatever it looks like.
_PASSES_ARGUMENTS_ON = ("launch", "run", "exec")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 failed, 2 misused, 127 nothing to start, 130 interrupted."""
    collects = gc.isenabled()
    # A tenth of a launch, and nothing to collect in so short a life; `serve` turns it on again.
    gc.disable()
    try:
        return _main_of(sys.argv[1:] if argv is None else argv)
    finally:
        if collects:
            gc.enable()


def _main_of(argv: list[str]) -> int:
    words, debug = _without_debug(argv)
    _open_closed_streams()
    # The locale is looked up once, not for each of ten thousand words.
    messages.use_language(messages.language())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            # A console of a small character set shows a question mark rather than a traceback.
            stream.reconfigure(errors="replace")
    sys.unraisablehook = lambda about: _tell_aside(about.exc_value, words, debug)
    return _with_output_told(_code(words, debug))


def _code(words: list[str], debug: bool) -> int:
    """Run one command and return its exit code, whatever happens."""
    try:
        return _run(words, debug)
    except SystemExit as ended:
        # The parser has shown a help or the version.
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Declined as error:
        say(error.message)
        return error.exit_code
    except AccountsError as error:
        if debug:
            _family("mishaps").show(error, words)
        _print_error(error.message, error.hint)
        return error.exit_code
    except BrokenPipeError:
        return 141
    except KeyboardInterrupt:
        say("")
        return 130
    except OSError as error:
        if debug:
            _family("mishaps").show(error, words)
        if _output_problem() is None:
            _print_error(*((_("the current folder is gone"), "cd") if _folder_is_gone(error) else (_told(error), "")))
        return 1
    except ImportError as error:
        return _library_missing(error, words, debug)
    except Exception as error:  # The one place where nothing gets past: a traceback is no way to speak to people.
        _family("mishaps").tell(error, words, debug=debug)
        return 1


def _without_debug(words: list[str]) -> tuple[list[str], bool]:
    """Take our own `--debug` out of the words (not one that belongs to claude), and tell whether it was there."""
    debug = os.environ.get("CLAUDE_ACCOUNTS_DEBUG", "") not in ("", "0")
    while words[:1] == ["--debug"]:
        words, debug = words[1:], True
    ours, passed_on = split_passed_on(words)
    if "--debug" not in ours or words[:1] == ["__complete"]:
        return words, debug
    theirs = words[len(ours) :] if passed_on or len(words) > len(ours) else []
    return [word for word in ours if word != "--debug"] + theirs, True


def _open_closed_streams() -> None:
    """Put something in the place of a standard stream that whoever started us has closed.

    Otherwise the next file to be opened, the database perhaps, would get its number. It is not handed on to what is
    launched. To write on the output fails, as it should; talk goes nowhere.
    """
    for number, name, flags, mode in (
        (0, "stdin", os.O_RDONLY, "r"),
        (1, "stdout", os.O_RDONLY, "w"),
        (2, "stderr", os.O_WRONLY, "w"),
    ):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            if descriptor != number:
                with suppress(OSError):
                    os.dup2(descriptor, number, inheritable=False)
            stream = open(descriptor, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def _with_output_told(code: int) -> int:
    """Return the code of a command whose output has arrived; one whose output has not failed, quietly for a pipe."""
    problem = _output_problem()
    if problem:
        _abandon(sys.stdout)
        if isinstance(problem, BrokenPipeError):
            code = 141
        else:
            _print_error(_told(problem), "")
            code = code or 1
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        _abandon(sys.stderr)
    return code


def _folder_is_gone(error: OSError) -> bool:
    """Tell whether an error that names no file is about the folder we are in: somebody has removed it."""
    if error.errno != errno.ENOENT or error.filename:
        return False
    try:
        os.getcwd()
    except OSError:
        return True
    return False


def _told(error: OSError) -> str:
    reason = error.strerror or str(error)
    if error.filename:
        return f"{reason} ({messages.printable(messages.without_secrets(str(error.filename)))})"
    if error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO, errno.EDQUOT, errno.EFBIG):
        # Without a file's name it is what was printed, unbuffered.
        return _("cannot write the output: {reason}", reason=reason)
    return reason


def _output_problem() -> OSError | None:
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    except ValueError:
        # Closed, by whoever was given it.
        return None
    return None


def _abandon(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, or Python would complain about it at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _tell_aside(error: BaseException | None, words: list[str], debug: bool) -> None:
    # At the very end there may be nothing left to import.
    with suppress(Exception):
        _family("mishaps").tell_aside(error, words, debug=debug)


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """Return the parser: of one command's family when it is known, of everything otherwise."""
    parsing = _family("parsing")
    parser: argparse.ArgumentParser = parsing.Parser(
        prog="claude-accounts",
        description=_(
            "Several Claude Code accounts, one shared ~/.claude: encrypted credentials, one for each launch."
        ),
        epilog=_("example:") + "\n  claude-accounts add work\n  claude-accounts launch work",
        formatter_class=parsing.Formatter,
    )
    parser.add_argument(
        "--debug", action="store_true", help=_("show where it happened when something goes wrong; with any command")
    )
    parser.add_argument("-V", "--version", action="version", version=f"claude-accounts {VERSION}")
    subparsers = parser.add_subparsers(metavar=_("COMMAND"), title=_("commands"))
    family = next((name for name, commands in FAMILIES.items() if command in commands), "")
    for name in (family,) if family else FAMILIES:
        _family(name).register(subparsers)
    return parser


def split_passed_on(words: list[str]) -> tuple[list[str], list[str]]:
    """Split `launch [our options] [NAME] [theirs]` behind NAME; one `--` right there only separates."""
    if words[:1] == ["__complete"]:
        return words[:1], words[1:]
    if not words or words[0] not in _PASSES_ARGUMENTS_ON:
        return words, []
    for position, word in enumerate(words[1:], 1):
        if word == "--":
            # No name: the folder says whose it is.
            return words[:position], words[position + 1 :]
        if not word.startswith("-"):
            rest = words[position + 1 :]
            return words[: position + 1], rest[1:] if rest[:1] == ["--"] else rest
    return words, []


def _run(words: list[str], debug: bool) -> int:
    ours, passed_on = split_passed_on(words)
    if words == ["statusline"]:
        # Claude Code starts this after every answer: nothing is loaded that it does not need.
        return int(_family("inside").statusline())
    if len(ours) == 2 and ours[0] in _PASSES_ARGUMENTS_ON and not ours[1].startswith("-"):
        # There is no option of ours to parse, and the parser's import would be a tenth of a launch.
        _family("launches").start(*ours, passed_on)
    if not words and _family("picker").possible():
        return _picked(debug)
    _family("mishaps").watch(words, debug=debug)
    if ours and not ours[0].startswith("-") and ours[0] not in _COMMANDS:
        raise _unknown_command(ours[0])
    parser = build_parser(ours[0] if ours else "")
    if not words:
        parser.print_help(sys.stderr)
        return 2
    arguments, unknown = parser.parse_known_args(ours)
    if unknown or not hasattr(arguments, "run"):
        raise _unknown_arguments(parser, ours, unknown or ours)
    arguments.passed_on = passed_on
    # Completion asks about other commands; no family may import what puts them all together.
    arguments.parser_of = build_parser
    arguments.commands = list(_COMMANDS)
    return arguments.run(arguments) or 0


def _picked(debug: bool) -> int:
    """Let a person pick an account, and do with it what its command does."""
    action, name = _family("picker").pick()
    if action == "launch":
        _family("launches").start("launch", name, [])
    return _run([action, "--", name], debug)


def _unknown_command(word: str) -> AccountsError:
    from . import db

    names: list[str] = []
    with suppress(AccountsError, OSError):
        names = db.account_names()
    error: AccountsError = _family("parsing").unknown_command(word, _COMMANDS, names)
    return error


def _unknown_arguments(parser: argparse.ArgumentParser, ours: list[str], unknown: list[str]) -> AccountsError:
    command = next((word for word in ours if not word.startswith("-")), "")
    error: AccountsError = _family("parsing").unknown_options(parser, command, unknown)
    if command in _PASSES_ARGUMENTS_ON and "--help" in error.hint.split()[-1:]:
        # What belongs to claude stands behind the name, or behind two dashes where the folder says whose it is.
        name = next((word for word in ours[1:] if not word.startswith("-")), "NAME")
        theirs = messages.printable(messages.without_secrets(" ".join(unknown)))
        error.hint = f"claude-accounts {command} {messages.printable(name)} -- {theirs}"
    return error


def _family(name: str) -> ModuleType:
    return import_module(f".commands.{name}", __package__)


def _library_missing(error: ImportError, words: list[str], debug: bool) -> int:
    """Say which library this Python lacks, and how to start with one that has it; a module of ours is a fault."""
    import shlex

    from . import own_python

    library = (error.name or "").partition(".")[0]
    if library in ("", "claude_accounts"):
        _family("mishaps").tell(error, words, debug=debug)
        return 1
    start = os.path.join(own_python.HERE, "start.sh")
    hint = _("install the program again, for example: pipx reinstall claude-accounts")
    if os.path.exists(start):
        # What is typed behind a command may be a secret.
        known = next((word for names in FAMILIES.values() for word in names if word == words[0]), "") if words else ""
        hint = f"{shlex.quote(start)} {known}".rstrip()
    message = _(
        "{python} cannot use the library {library}: {reason}", python=sys.executable, library=library, reason=error
    )
    _print_error(messages.printable(message), hint)
    return 1


def _print_error(message: str, hint: str) -> None:
    say(_("claude-accounts: error: {message}", message=message))
    if hint:
        say(_("claude-accounts: hint: {hint}", hint=hint))

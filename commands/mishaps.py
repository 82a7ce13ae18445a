"""Owns what is said when something goes wrong that should not: one line, how to report it, and for who asks
(`--debug`) the traceback. No secret is in either. Nothing imports it before that happens.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from types import TracebackType

from ..messages import _, printable, say, without_secrets

_ISSUES = "https://github.com/ronylicha/claude-accounts/issues"
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SECRET_OPTIONS = ("--key", "-k", "--token")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|AUTH|CREDENTIAL")
_LONG_WORD = re.compile(r"[A-Za-z0-9_+=-]{24,}")


def tell(error: BaseException, words: list[str], *, debug: bool) -> None:
    """Say in two lines what went wrong and what to do about it; with `debug` the traceback stands before them.

    Of an error that nobody has thought of only the kind and the place are told: its text may hold anything.
    """
    if debug:
        show(error, words)
    if isinstance(error, MemoryError):
        problem, hint = _("there is not enough memory"), ""
    elif isinstance(error, (ImportError, SyntaxError)) and not isinstance(error, UnicodeError):
        reason = printable(without_secrets(str(error)))
        problem = _("this installation is damaged: {reason}", reason=reason)
        hint = _("install it again, or ask at {address}", address=_ISSUES)
    else:
        place = _place(error.__traceback__)
        problem = _("something went wrong that should not: {kind} ({place})", kind=type(error).__name__, place=place)
        hint = _("tell us what this shows: {command}; at {address}", command=_again(words), address=_ISSUES)
    say(_("claude-accounts: error: {message}", message=problem))
    if hint:
        say(_("claude-accounts: hint: {hint}", hint=hint))


def show(error: BaseException, words: list[str]) -> None:
    """Print the traceback, without what may be secret."""
    import traceback  # only --debug needs it

    lines = "".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines()
    for line in lines:
        say(_without(line, _secrets(words)))


def tell_aside(error: BaseException | None, words: list[str], *, debug: bool) -> None:
    """Say in one line that something beside the command (a thread, the end of the program) went wrong."""
    if error is None or isinstance(error, (BrokenPipeError, SystemExit)):
        return
    if debug:
        show(error, words)
    place = _place(error.__traceback__)
    problem = _("something went wrong beside: {kind} ({place})", kind=type(error).__name__, place=place)
    say(_("claude-accounts: warning: {text}", text=problem))


def _place(traceback_: TracebackType | None) -> str:
    """Return file and line, of the innermost code of ours."""
    found = ""
    while traceback_ is not None:
        path = traceback_.tb_frame.f_code.co_filename
        inside = os.path.relpath(path, _HERE) if path.startswith(_HERE + os.sep) else ""
        if (inside and not inside.startswith("venv")) or not found:
            found = f"{inside or os.path.basename(path)}:{traceback_.tb_lineno}"
        traceback_ = traceback_.tb_next
    return printable(found) or "?"


def _again(words: list[str]) -> str:
    """Return the command with `--debug`; what is typed behind it may be a secret, and is known to who typed it."""
    return "claude-accounts --debug " + (printable(shlex.quote(words[0])) + " …" if words else "")


def _secrets(words: list[str]) -> list[str]:
    """Return what is secret of the arguments and the environment, whatever it looks like."""
    given = [after for before, after in zip(words, words[1:], strict=False) if before in _SECRET_OPTIONS]
    given += [word.partition("=")[2] for word in words if word.partition("=")[0] in _SECRET_OPTIONS]
    given += [value for name, value in os.environ.items() if _SECRET_NAME.search(name.upper())]
    return [secret for secret in given if len(secret) >= 8]


def _without(line: str, secrets: list[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, "...")
    line = without_secrets(line)
    if line.startswith("  "):
        # Where it happened: file, line and our own source.
        return line
    return _LONG_WORD.sub(lambda found: "..." if any(map(str.isdigit, found[0])) else found[0], line)


def watch(words: list[str], *, debug: bool) -> None:
    """Let what goes wrong in threads be one line too."""
    import threading

    threading.excepthook = lambda given: tell_aside(given.exc_value, words, debug=debug)
    sys.excepthook = lambda _kind, error, _traceback: tell(error, words, debug=debug)

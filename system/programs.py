"""Owns starting other programs: found on PATH, run to their end, or become.

It knows none of them by name, and is the only place where a process starts (terminals have one of their own).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NoReturn

from ..messages import AccountsError, _, printable


def find(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the path of the program that a shell with this environment would start, or None."""
    if os.path.dirname(name):
        return name if _is_program(name) else None
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if _is_program(path):
            return path
    return None


def run(
    argv: list[str], environ: Mapping[str, str], *, stdin: bytes | None = None, seconds: float | None = None
) -> tuple[int, bytes]:
    """Run a program quietly to its end; return its exit code and standard output, (-1, b"") after `seconds`.

    Raises AccountsError when it cannot be started.
    """
    # No launch waits for another program as a rule; only what must do so pays for this import.
    import subprocess

    try:
        finished = subprocess.run(  # noqa: S603 - an argument list, no shell
            argv, env=dict(environ), input=stdin or b"", capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return -1, b""
    except OSError as error:
        raise cannot_start(argv[0], error) from error
    return finished.returncode, finished.stdout


def run_on_terminal(argv: list[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end on our own terminal and return its exit code. Raises AccountsError.

    Ctrl-C is the program's: this process waits until it has ended.
    """
    import signal  # only a private login runs something on the terminal and goes on afterwards

    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = os.posix_spawn(argv[0], argv, dict(environ), setsigdef=[signal.SIGINT])
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except OSError as error:
        raise cannot_start(argv[0], error) from error
    finally:
        signal.signal(signal.SIGINT, interrupt)


def become(program: str, argv: list[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the program. Raises AccountsError when that cannot be."""
    try:
        os.execve(program, argv, dict(environ))  # noqa: S606 - an argument list, no shell
    except OSError as error:
        raise cannot_start(program, error) from error


def cannot_start(program: str, error: OSError) -> AccountsError:
    """Return the one sentence for a program that did not start."""
    reason = error.strerror or str(error)
    return AccountsError(_("cannot start {program}: {reason}", program=printable(program), reason=reason))


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)

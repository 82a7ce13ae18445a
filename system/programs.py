"""Owns starting other programs: found on PATH, run to their end, or become.

It knows none of them by name, and is the only place where a process starts (terminals have one of their own). Nothing
of the current folder is found or started because of what PATH says.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from ..messages import AccountsError, _, printable
from .folders import expanded_or_same

if TYPE_CHECKING:
    from io import FileIO

_LOOK_SECONDS = 0.05
_CLOSING_SECONDS = 0.002
_SHELL = "/bin/sh"


def find(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the path of the program that a name stands for in this environment, or None.

    A name with a slash is returned as it is. Everything else is found by its absolute path, and only in the folders of
    `search_path`.
    """
    if os.path.dirname(name):
        return name if _is_program(name) else None
    paths = (os.path.join(folder, name) for folder in search_path(environ))
    return next((path for path in paths if _is_program(path)), None)


def search_path(environ: Mapping[str, str]) -> Iterator[str]:
    """Give the folders of PATH that are absolute.

    An empty, a `.` or another relative entry would start what lies around the current folder, which may be anybody's.
    """
    for entry in environ.get("PATH", os.defpath).split(os.pathsep):
        folder = expanded_or_same(entry, environ)
        if os.path.isabs(folder):
            yield folder


def relative_entries(environ: Mapping[str, str]) -> list[str]:
    """Return the entries of PATH that do not count: what each names depends on where one is."""
    entries = environ.get("PATH", os.defpath).split(os.pathsep)
    return [entry for entry in entries if not os.path.isabs(expanded_or_same(entry, environ))]


def handed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for what we start, whose PATH has no relative entry either.

    A script's first line (`#!/usr/bin/env node`) and a wrapper look their program up themselves, with our credential.
    """
    path = environ.get("PATH")
    if path is None:
        return dict(environ)
    # An empty PATH stands for the current folder.
    return {**environ, "PATH": os.pathsep.join(search_path(environ)) or os.defpath}


def trouble(path: str) -> str:
    """Return why what lies at a path cannot be started, the empty text when nothing is seen to be wrong."""
    if os.path.isdir(path):
        return _("it is a folder")
    if os.path.islink(path) and not os.path.exists(path):
        return _("it is a link to {target}, which is not there", target=printable(os.readlink(path)))
    if not os.path.isfile(path):
        return _("it is not a plain file")
    if not os.access(path, os.X_OK):
        return _("it is not executable")
    return _("it is empty") if os.path.getsize(path) == 0 else ""


def run(
    argv: list[str],
    environ: Mapping[str, str],
    *,
    stdin: bytes | None = None,
    seconds: float | None = None,
    cwd: str | None = None,
    own_session: bool = False,
) -> tuple[int, bytes]:
    """Run a program quietly to its end, in `cwd`; return its exit code and standard output, (-1, b"") after `seconds`.

    In a session of its own it has no terminal that it could ask on or take over.

    What it has started is ended with it after that time; otherwise what it leaves running is not waited for. Raises
    AccountsError when it cannot be started (in another folder: exit code 126 or 127).
    """
    # Not subprocess: a launch may have to ask a shim for its version, and that import would take a tenth of it.
    theirs, ours = os.pipe()
    back, out = os.pipe()
    with open(ours, "wb", 0) as writer, open(back, "rb", 0) as reader:
        try:
            child = _spawn(_within(argv, cwd), environ, stdin=theirs, stdout=out, own_session=own_session)
        finally:
            os.close(theirs)
            os.close(out)
        deadline = None if seconds is None else time.monotonic() + seconds
        status, output = None, bytearray()
        try:
            status = _converse(child, writer, reader, stdin or b"", output, deadline)
        finally:
            if status is None:
                _end_group(child)
    return (-1, b"") if status is None else (os.waitstatus_to_exitcode(status), bytes(output))


def run_on_terminal(argv: list[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end on our own terminal and return its exit code. Raises AccountsError.

    Ctrl-C is the program's: this process waits until it has ended.
    """
    import signal  # its enumerations would be a fiftieth of every launch, which needs none of them

    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = os.posix_spawn(argv[0], argv, handed_on(environ), setsigdef=[signal.SIGINT])
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except OSError as error:
        raise cannot_start(argv[0], error) from error
    finally:
        signal.signal(signal.SIGINT, interrupt)


def become(program: str, argv: list[str], environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the program. Raises AccountsError when that cannot be."""
    try:
        try:
            os.execve(program, argv, handed_on(environ))  # noqa: S606 - an argument list, no shell
        except OSError as error:
            if not _is_shell_script(program, error):
                raise
            os.execve(_SHELL, ["sh", program, *argv[1:]], handed_on(environ))  # noqa: S606
    except OSError as error:
        raise cannot_start(program, error) from error


def cannot_start(program: str, error: OSError) -> AccountsError:
    """Return the one sentence for a program that did not start."""
    reason = error.strerror or str(error)
    if error.errno == errno.ENOEXEC:
        reason = _("it is empty") if not _first_bytes(program) else _("it was made for another kind of machine")
    elif error.errno == errno.ENOENT and _first_bytes(program).startswith(b"#!"):
        interpreter = os.fsdecode(_first_bytes(program)[2:].splitlines()[0].strip().split(b" ")[0])
        reason = _("its interpreter {path} is not there", path=printable(interpreter))
    return AccountsError(_("cannot start {program}: {reason}", program=printable(program), reason=reason))


def _within(argv: list[str], cwd: str | None) -> list[str]:
    """Return what to start so that a program runs in a folder: posix_spawn cannot change it, a shell can."""
    with suppress(FileNotFoundError):
        if cwd is None or cwd == os.getcwd():
            return argv
    return [_SHELL, "-c", 'cd -- "$1" && shift && exec "$@"', "sh", cwd or os.sep, *argv]


def _spawn(argv: list[str], environ: Mapping[str, str], *, stdin: int, stdout: int, own_session: bool) -> int:
    """Start a program in a process group of its own and return its id. Raises AccountsError."""
    from signal import SIGPIPE, SIGXFSZ  # as above

    # Python has these ignored, and its children would inherit that.
    reset = (SIGPIPE, SIGXFSZ)
    actions = [
        (os.POSIX_SPAWN_DUP2, stdin, 0),
        (os.POSIX_SPAWN_DUP2, stdout, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]

    def start(program: str, argv: list[str]) -> int:
        environment = handed_on(environ)
        if own_session:
            return os.posix_spawn(program, argv, environment, file_actions=actions, setsid=True, setsigdef=reset)
        return os.posix_spawn(program, argv, environment, file_actions=actions, setpgroup=0, setsigdef=reset)

    try:
        try:
            return start(argv[0], argv)
        except OSError as error:
            if not _is_shell_script(argv[0], error):
                raise
            return start(_SHELL, ["sh", *argv])
    except OSError as error:
        raise cannot_start(argv[0], error) from error


def _converse(
    child: int, writer: FileIO, reader: FileIO, stdin: bytes, said: bytearray, deadline: float | None
) -> int | None:
    """Write to a program and add what it says to `said` until it ends; return its wait status, None when too late."""
    import select

    poll, left, pause = select.poll(), memoryview(stdin), _LOOK_SECONDS
    for file, event in ((reader, select.POLLIN), (writer, select.POLLOUT)):
        os.set_blocking(file.fileno(), False)
        poll.register(file, event)
    writing, status = writer.fileno(), None
    while status is None and (deadline is None or time.monotonic() < deadline):
        for descriptor, _event in poll.poll(pause * 1000):
            if descriptor == writing:
                left = _write_some(writer, left)
                if not left:
                    poll.unregister(writing)
                    writer.close()
            elif not _read_some(reader, said):
                poll.unregister(descriptor)
                # It has closed its side, and so is about to end.
                pause = _CLOSING_SECONDS
        status = _status_of(child)
    while status is not None and _read_some(reader, said):
        continue
    return status


def _write_some(writer: FileIO, left: memoryview) -> memoryview:
    """Return what is still to be written; nothing is when the program does not read any more."""
    try:
        return left[writer.write(left) or 0 :]
    except BrokenPipeError:
        return left[:0]


def _read_some(reader: FileIO, said: bytearray) -> bool:
    """Add what is there to read, and tell whether there was anything."""
    data = reader.read(65536)
    said += data or b""
    return bool(data)


def _status_of(child: int) -> int | None:
    """Return the wait status of a child that has ended, None while it runs."""
    try:
        ended, status = os.waitpid(child, os.WNOHANG)
    except ChildProcessError:
        # Whoever started us has the system reap our children; how they end is not known then.
        return 0
    return status if ended else None


def _end_group(child: int) -> None:
    from signal import SIGKILL  # as above

    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _is_shell_script(path: str, error: OSError) -> bool:
    """Tell whether the system did not start a file because it is a script without a first line, which a shell runs."""
    head = _first_bytes(path) if error.errno == errno.ENOEXEC else b""
    return head != b"" and b"\0" not in head


def _first_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(256)
    except OSError:
        # Whatever may be started need not be readable.
        return b""

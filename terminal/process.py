"""Owns one process on one pseudo-terminal: starting it, its bytes in and out, its size, its end.

It knows no account, no browser and no thread: `terminals.py` is the one that reads, waits and closes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import secrets
import signal
import struct
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from ..messages import AccountsError, _, printable
from ..system import limits, programs
from .replay import CAPACITY, PIECE, Replay
from .screen import RESET, Screen, attributes_at_end
from .signals import Attention

LARGEST_SIZE = 1000
INHERITED = 3
INPUT_LIMIT = 1024 * 1024
# Started in the background by a shell, a server is born with some of these ignored, and its children would be too:
# Ctrl-C would then do nothing in them.
_RESET_SIGNALS = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
# The terminal the server itself may run in, and the web server, are no concern of the program.
_OTHER_TERMINALS = frozenset(
    ["TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TMUX", "TMUX_PANE", "STY", "CLAUDECODE", "COLUMNS", "LINES", "WINDOWID"]
    + ["SERVER_SOFTWARE", "GUNICORN_FD", "GUNICORN_PID"]
)


class InputFull(AccountsError):
    """The program does not read what is typed, and as much as we keep for it is waiting."""


class Terminal:
    """A process in a session of its own, on a pty of its own. `end` counts the bytes it ever wrote.

    The program gets the descriptor `inherited` (-1: none) under the number `INHERITED`; it stays the caller's to close.
    `write`, `resize` and the attributes may be used from any thread; everything else belongs to the reading thread.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        *,
        program: str = "",
        inherited: int = -1,
        rows: int = 24,
        cols: int = 80,
        replay_bytes: int = CAPACITY,
    ) -> None:
        self.id = secrets.token_urlsafe(12)
        self.cwd = cwd
        self.since = int(time.time() * 1000)
        self.rows, self.cols = clamped(rows), clamped(cols)
        self.replay = Replay(replay_bytes)
        self.screen = Screen(self.rows, self.cols)
        # How many watch; `terminals.py` counts them.
        self.viewers = 0
        self.exit_code: int | None = None
        self.exit_signal: int | None = None
        self.ended = False
        self._lock = threading.Lock()
        self._input: deque[bytes] = deque()
        self._input_bytes = 0
        self.descriptor = -1
        try:
            self._start(program or argv[0], argv, env, cwd, inherited)
        except BaseException:
            self.replay.close()
            raise

    def _start(self, program: str, argv: Sequence[str], env: Mapping[str, str], cwd: str, inherited: int) -> None:
        master, slave = pty.openpty()
        try:
            os.set_blocking(master, False)
            _set_size(slave, self.rows, self.cols)
            self.pid = _spawn(program, argv, env, cwd, os.ttyname(slave), inherited)
        except OSError as error:
            os.close(master)
            reason = error.strerror or str(error)
            raise AccountsError(
                _("cannot start {program}: {reason}", program=printable(program), reason=reason)
            ) from error
        finally:
            os.close(slave)
        self.descriptor = master

    @property
    def end(self) -> int:
        """The number of bytes written so far."""
        return self.replay.end

    @property
    def title(self) -> str:
        """What the program calls itself."""
        return self.screen.signals.title

    @property
    def attention(self) -> Attention | None:
        """Why the program wants the user, until the user types something."""
        return self.screen.signals.attention

    @property
    def wants_to_write(self) -> bool:
        """Whether input is waiting for the program to read."""
        return bool(self._input)

    def write(self, data: bytes) -> bool:
        """Give input to the program without ever waiting for it; tell whether some of it has to wait.

        Raises InputFull, having taken nothing. After the end it is dropped.
        """
        with self._lock:
            if self.descriptor < 0 or not data:
                return False
            if self._input_bytes + len(data) > INPUT_LIMIT:
                raise InputFull(_("the program does not read its input"))
            self._input.append(data)
            self._input_bytes += len(data)
            self._write_some()
            return bool(self._input)

    def write_waiting(self) -> None:
        """Write what had to wait, as far as the program reads it."""
        with self._lock:
            if self.descriptor >= 0:
                self._write_some()

    def _write_some(self) -> None:
        while self._input:
            data = self._input[0]
            try:
                count = os.write(self.descriptor, data)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                # Nobody has the other side open any more: the end follows.
                self._input.clear()
                self._input_bytes = 0
                return
            self._input_bytes -= count
            if count == len(data):
                self._input.popleft()
            else:
                self._input[0] = data[count:]

    def read(self, between: Callable[[], None] | None = None) -> bytes:
        """Return what the program has written meanwhile, and keep it for replay; `between` is replay.fill's.

        Raises BlockingIOError when there is nothing, EOFError when the other side is closed.
        """
        try:
            data = self.replay.fill(self.descriptor, between=between)
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            raise EOFError
        return data

    def resize(self, rows: int, cols: int) -> bool:
        """Change the size, clamped to what a terminal can be; the program is told. Tell whether it changed."""
        rows, cols = clamped(rows), clamped(cols)
        with self._lock:
            if self.descriptor < 0 or (rows, cols) == (self.rows, self.cols):
                return False
            self.rows, self.cols = self.screen.size = rows, cols
            _set_size(self.descriptor, rows, cols)
            return True

    def set_size_for_a_moment(self, rows: int, cols: int) -> None:
        """Tell the program another size than viewers see, so that it repaints."""
        with self._lock:
            if self.descriptor >= 0:
                _set_size(self.descriptor, clamped(rows), clamped(cols))

    def late_start(self, offset: int) -> tuple[int, bytes]:
        """Return where a view can begin that missed what is before `offset`, and what it must be shown first.

        Where it begins is the beginning of a line if any was near, and neither inside a sequence nor a character.
        """
        replay = self.replay
        mark = self.screen.mark(offset) or self.screen.mark(replay.start + 1)
        if mark is None:
            line = replay.take(offset, 4096).find(b"\n") + 1
            return min(offset + line, self.end), RESET
        before, place = b"", max(replay.start, mark.offset - PIECE)
        while place < mark.offset and (part := replay.take(place, mark.offset - place)):
            before += part
            place += len(part)
        return mark.offset, mark.restoring + attributes_at_end(before)

    def clear_attention(self) -> bool:
        """Forget that the program wants the user; tell whether it did."""
        wanted = self.screen.signals.attention is not None
        self.screen.signals.attention = None
        return wanted

    def poll_exit(self) -> bool:
        """Reap the process if it has ended, and tell whether it has."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            # Somebody made the system reap for us; how it ended is not known.
            return True
        if pid == 0:
            return False
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            self.exit_signal = -code
        else:
            self.exit_code = code
        return True

    def close(self) -> None:
        """Close our side; the replay stays."""
        with self._lock:
            descriptor, self.descriptor = self.descriptor, -1
            self._input.clear()
            self._input_bytes = 0
            if descriptor >= 0:
                os.close(descriptor)


def clamped(size: int) -> int:
    """Return a number of rows or columns that a terminal can have."""
    return max(1, min(LARGEST_SIZE, size))


def terminal_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a program in our terminal: what it can show, nothing of the terminal we run in."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _OTHER_TERMINALS and not name.startswith("VSCODE_")
    }
    return kept | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def _spawn(
    program: str, argv: Sequence[str], env: Mapping[str, str], cwd: str, terminal_path: str, inherited: int
) -> int:
    """Start a program in `cwd` as the leader of a new session whose terminal is `terminal_path`; return its pid.

    posix_spawn never runs Python in the child, so a threaded server can use it and a failed start leaves nothing
    behind. It cannot change folder: a shell does that and becomes the program. The session gets its terminal by
    opening one, having none.
    """
    arguments = ["sh", "-c", f'{limits.lowered_again()}cd -- "$1" && shift && exec "$@"', "sh", cwd, program, *argv[1:]]
    return os.posix_spawn(
        "/bin/sh",
        arguments,
        programs.handed_on(env),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, terminal_path, os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
            # Every other descriptor of this process is closed in the program: those of other terminals above all.
            *([(os.POSIX_SPAWN_DUP2, inherited, INHERITED)] if inherited >= 0 else []),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=_RESET_SIGNALS,
    )


def _set_size(descriptor: int, rows: int, cols: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

"""Owns what becomes of the terminals' programs when the server is killed: a small process of its own ends them.

A killed server cannot end anything. Its terminals hang up, and a program that ignores that would go on unseen. The
watcher holds the one end of a pipe whose other end the server alone has: when that closes, the server has gone.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from ..system.process_ending import Ending, Process, process_table

_PRESS_SECONDS = 0.1
# The last of the signals, which nobody can ignore, comes long before.
_LONGEST_SECONDS = 20.0
_writer = -1


def watch() -> None:
    """Start the watcher; to be called once in the process that is to be watched, while it has no second thread."""
    global _writer
    reader, writer = os.pipe()
    if os.fork():
        os.close(reader)
        os.set_blocking(writer, False)
        _writer = writer
        return
    try:
        _leave_everything_but(reader)
        _end_all(_left(reader))
    finally:
        # Nothing of the server, whose copy this is, may run here.
        os._exit(0)


def began(pid: int) -> None:
    """Note a program that leads a session of its own."""
    _tell(b"+%d\n" % pid)


def ended(pid: int) -> None:
    """Note that nothing is left of a program's session."""
    _tell(b"-%d\n" % pid)


def _tell(line: bytes) -> None:
    if _writer >= 0:
        # Without its watcher a server goes on as well.
        with suppress(BrokenPipeError, BlockingIOError):
            os.write(_writer, line)


def _leave_everything_but(reader: int) -> None:
    """Let go of the server's sockets and files, its terminal and the signals that are meant for it."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for name in os.listdir("/dev/fd"):
        if int(name) > 2 and int(name) != reader:
            with suppress(OSError):
                os.close(int(name))


def _left(reader: int) -> set[int]:
    """Read what the server notes until it has gone, and return the programs that have begun and not ended."""
    running: set[int] = set()
    with open(reader, "rb") as lines:
        for line in lines:
            (running.add if line.startswith(b"+") else running.discard)(int(line[1:]))
    return running


def _end_all(leaders: set[int]) -> None:
    table = process_table()
    endings = {leader: Ending(leader, table) for leader in leaders}
    deadline = time.monotonic() + _LONGEST_SECONDS
    while endings and time.monotonic() < deadline:
        table = process_table()
        endings = {leader: ending for leader, ending in endings.items() if ending.press(table, _is_gone(leader, table))}
        time.sleep(_PRESS_SECONDS)


def _is_gone(leader: int, table: dict[int, Process]) -> bool:
    if table:
        return leader not in table
    try:
        os.kill(leader, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # Another user's by now, and so another process.
        return True
    return False

"""Owns ending a program with everything it started: whom it still has, and HUP, then TERM, then KILL for them.

It waits for nobody: whoever uses it calls `press` again and again until it says that nothing is left.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

_STEPS = ((0.0, signal.SIGHUP), (1.0, signal.SIGTERM), (3.0, signal.SIGKILL))


class Process:
    """One line of the process table: who started it, in which session, when (to know it from a later namesake)."""

    __slots__ = ("parent", "group", "session", "started", "dead")

    def __init__(self, parent: int, group: int, session: int, started: int, dead: bool) -> None:
        self.parent, self.group, self.session, self.started, self.dead = parent, group, session, started, dead


def process_table() -> dict[int, Process]:
    """Return every process of the machine by its id; empty where there is no /proc (macOS)."""
    table: dict[int, Process] = {}
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                # It may have ended since the folder was listed.
                with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{name}/stat", "rb") as file:
                    # The program's name, in brackets, may itself hold brackets and spaces.
                    fields = file.read().rpartition(b")")[2].split()
                    parent, group, session = (int(field) for field in fields[1:4])
                    table[int(name)] = Process(parent, group, session, int(fields[19]), fields[0] in (b"Z", b"X"))
    return table


class Ending:
    """The end of one session: its leader's process group, its other groups, and what else descends from it."""

    def __init__(self, leader: int, table: dict[int, Process], steps_done: int = 0) -> None:
        self._leader = leader
        self._begun = time.monotonic()
        self._steps_done = steps_done
        # A descendant may have left the session; once its parent is dead nothing tells where it came from.
        self._descendants = {pid: table[pid].started for pid in _descendants(leader, table)}

    def press(self, table: dict[int, Process], leader_gone: bool) -> bool:
        """Send what is due to those that are left, and tell whether anybody is."""
        left = self._left(table, leader_gone)
        if left or not leader_gone:
            elapsed = time.monotonic() - self._begun
            while self._steps_done < len(_STEPS) and elapsed >= _STEPS[self._steps_done][0]:
                self._signal(left, _STEPS[self._steps_done][1], whole_group=not (table and leader_gone))
                self._steps_done += 1
            if self._steps_done == len(_STEPS):
                # Somebody may have been started in the very moment of the last signal.
                self._signal(left, signal.SIGKILL, whole_group=not (table and leader_gone))
            return True
        return False

    def _left(self, table: dict[int, Process], leader_gone: bool) -> set[int]:
        if not table:
            if leader_gone and not _group_exists(self._leader):
                return set()
            return {self._leader}
        if not leader_gone:
            self._descendants |= {pid: table[pid].started for pid in _descendants(self._leader, table)}
        return {
            pid
            for pid, process in table.items()
            if not process.dead
            and (
                process.session == self._leader
                or (pid in self._descendants and self._descendants[pid] == process.started)
            )
        }

    def _signal(self, left: set[int], number: signal.Signals, *, whole_group: bool) -> None:
        # A stopped process takes no signal but KILL before it is continued.
        for sent in (number, signal.SIGCONT):
            if whole_group:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._leader, sent)
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, sent)


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS says so of a group of which only dead processes are left.
        return False
    return True


def _descendants(ancestor: int, table: dict[int, Process]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, process in table.items():
        children.setdefault(process.parent, []).append(pid)
    found: set[int] = set()
    waiting = [ancestor]
    while waiting:
        for pid in children.get(waiting.pop(), []):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return found

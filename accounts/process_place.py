"""Owns where a process number counts: on which machine, since which start of it, among which processes.

A data folder may be shared by containers of one machine, and by machines. What a number means there cannot be looked up
here. It knows no session.
"""

from __future__ import annotations

import os
import sys
from functools import cache

HERE, GONE, CONTAINER, MACHINE = "", "gone", "container", "machine"
# The kernel's fixed number of the first namespace of processes: in it, every process of the machine has a number.
_FIRST_NAMESPACE = "pid:[4026531836]"


@cache
def here() -> str:
    """Return our own place as one text: start of the machine, namespaces of processes and clocks, the machine."""
    return " ".join((_read("/proc/sys/kernel/random/boot_id"), _namespace(), _machine()))


def of(place: str, pid: int, started: str) -> str:
    """Return where a process noted in `place` would be now: HERE (its number counts), CONTAINER, MACHINE or GONE.

    `started` is its mark. GONE says that it cannot run any more: its machine has been started anew, or all processes
    of the machine are seen from here and it is none of them.
    """
    boot, namespace, machine = (place.split(" ", 2) + ["", "", ""])[:3]
    our_boot, our_namespace, our_machine = here().split(" ", 2)
    if not place:
        # Noted by an earlier version. Outside of all containers the number counts, for all that is known.
        return HERE if _sees_all(our_namespace) or sys.platform != "linux" else CONTAINER
    if boot != our_boot:
        return GONE if machine == our_machine else MACHINE
    if namespace == our_namespace:
        return HERE
    # A process is known by when it began, which another clock tells otherwise.
    same_clock = namespace.partition("+")[2] == our_namespace.partition("+")[2]
    if same_clock and _sees_all(our_namespace) and not _is_seen(pid, started):
        return GONE
    return CONTAINER


def _sees_all(namespace: str) -> bool:
    """Tell whether all processes of the machine are shown: outside of all containers, and where none is hidden."""
    return namespace.startswith(_FIRST_NAMESPACE) and os.access("/proc/1/stat", os.R_OK)


def _is_seen(pid: int, started: str) -> bool:
    """Tell whether a process that has this number in a namespace of its own, and began then, is among all processes."""
    moment = started.rpartition(" ")[2]
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                if file.read().rpartition(")")[2].split()[19] != moment:
                    continue
            with open(f"/proc/{name}/status", encoding="utf-8", errors="replace") as file:
                numbers = next((line.split() for line in file if line.startswith("NSpid:")), [])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if numbers[-1:] == [str(pid)]:
            return True
    return False


def _namespace() -> str:
    try:
        return f"{os.readlink('/proc/self/ns/pid')}+{os.readlink('/proc/self/ns/time')}"
    except OSError:
        return "-"


def _machine() -> str:
    return f"{os.uname().nodename} {_read('/etc/machine-id')}"


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(64).strip() or "-"
    except OSError:
        return "-"

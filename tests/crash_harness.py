"""A command of ours that ends in the middle: run as a warm process, where it counts the calls that our storage modules
make into C (files, SQLite, encryption) and is killed, or finds the disk full, before the chosen one."""

from __future__ import annotations

import os
import resource
import signal
import sys
from types import FrameType

import warm

OURS = {
    "storage.py",
    "private_files.py",
    "credentials_file.py",
    "store_locks.py",
    "refresh.py",
    "rows.py",
    "rc_files.py",
    "durable_store.py",
}


def command(end: str, at: str, *words: str) -> int:
    """Be that command; one that reaches its end prints how many calls it made."""
    count = 0

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        if event == "c_call" and os.path.basename(frame.f_code.co_filename) in OURS:
            count += 1
            if count == int(at) and end == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            elif count == int(at):
                resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    sys.setprofile(watch)
    code = warm.command(*words)
    sys.setprofile(None)
    print(count)
    return code

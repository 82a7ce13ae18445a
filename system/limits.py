"""Owns what a long-lived process of ours allows itself: many open files, and no copy of its memory on a disk."""

from __future__ import annotations

import resource
import sys

_PR_SET_DUMPABLE = 4
# The limit that programs of the user's are started with: some of them break where it is high.
_for_programs = ""


def raise_descriptor_limit() -> None:
    """Let this process have as many open files as the system allows it without asking anybody."""
    global _for_programs
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS names no number and takes none above this one.
    wanted = 10240 if sys.platform == "darwin" and hard == resource.RLIM_INFINITY else hard
    if soft != wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            # Then it stays as it is: everything is counted from what there is.
            return
        _for_programs = f"ulimit -S -n {soft}; "


def lowered_again() -> str:
    """Return what a shell does first so that the program it becomes has the limit that this process began with."""
    return _for_programs


def keep_memory_private() -> None:
    """Let no crash write this process's memory, which holds keys, to a disk; programs that it starts are as ever."""
    import ctypes

    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if sys.platform == "linux":
        # A limit would be inherited, and is not asked where dumps go to a program.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    elif soft:
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))

"""How a command of ours ends in the middle: it counts the calls that our storage modules make into C (files, SQLite,
encryption) and is killed, or finds the disk full, before the chosen one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROJECT

STEPS = 30
HARNESS = """
import os, resource, signal, sys
sys.path.insert(0, sys.argv[1])
end, at = sys.argv[2], int(sys.argv[3])
import cli
count = 0
OURS = {"storage.py", "private_files.py", "credentials_file.py", "store_locks.py", "refresh.py", "rows.py",
        "rc_files.py", "durable_store.py"}

def watch(frame, event, argument):
    global count
    if event == "c_call" and os.path.basename(frame.f_code.co_filename) in OURS:
        count += 1
        if count == at and end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif count == at:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

sys.setprofile(watch)
code = cli.main(sys.argv[4:])
sys.setprofile(None)
print(count)
sys.exit(code)
"""


def run(end: str, at: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is killed, or finds the disk full, before the call of that number; 0 is no call."""
    return subprocess.run(
        [sys.executable, "-c", HARNESS, str(PROJECT), end, str(at), *words],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def count_calls(*words: str) -> int:
    """Return how many calls the command makes when nothing happens to it."""
    finished = run("killed", 0, *words)
    assert finished.returncode == 0, finished.stderr
    return int(finished.stdout.split()[-1])


def sweep(total: int, steps: int = STEPS) -> Iterator[int]:
    """Give call numbers from the first to the last, evenly."""
    yield from sorted({1 + round(number * (total - 1) / (steps - 1)) for number in range(steps)})


def move_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> Path:
    """Go to an empty home of its own and return it."""
    home = tmp_path / name
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def age_locks(folder: Path) -> None:
    """Let a minute pass for the locks of a process that is gone."""
    for lock in (folder / ".oauth_refresh.lock", folder.with_name(folder.name + ".lock")):
        if lock.exists():
            os.utime(lock, (time.time() - 61, time.time() - 61))

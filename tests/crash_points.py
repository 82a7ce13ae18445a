"""How a command of ours ends in the middle, at each of many points in turn; crash_harness.py is that command."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm

STEPS = 30


def run(end: str, at: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that is killed, or finds the disk full, before the call of that number; 0 is no call."""
    return warm.run(end, str(at), *words, function="crash_harness:command")


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

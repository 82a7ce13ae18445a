"""What a server allows itself is not what the programs that it starts get, nor what a crash may keep."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from conftest import PROJECT

PRCTL = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
SET_UP = f"import sys; sys.path[:0] = [{str(PROJECT / 'tests')!r}]; import conftest, os, subprocess\n"
SET_UP += "from claude_accounts.system import limits\n"


def run(code: str, soft: int) -> list[str]:
    """Run code in a process that began with this soft limit for open files, and return the words it printed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    begin = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
    done = subprocess.run(
        [sys.executable, "-c", begin + SET_UP + code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a limit does it")
def test_a_server_leaves_no_memory_behind_and_its_programs_are_as_ever() -> None:
    child = f"subprocess.run([sys.executable, '-c', {PRCTL!r}])"
    code = f"{PRCTL}\nlimits.keep_memory_private()\n{PRCTL}\nsys.stdout.flush()\n{child}"
    assert run(code, 200) == ["1", "0", "1"]


def test_programs_have_the_descriptor_limit_that_the_server_began_with() -> None:
    shell = "subprocess.run(['sh', '-c', limits.lowered_again() + 'ulimit -S -n'])"
    code = f"limits.raise_descriptor_limit()\nprint(resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)\n{shell}"
    raised, of_program = run(code, 200)
    assert int(raised) > 200 and of_program == "200"

"""Claims about the place itself: a client starts in it alone, and it is cut off from every network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from client_namespace import HERE, LOOK, ClientNamespace

pytest_plugins = ["client_fixtures"]


def test_a_program_starts_where_there_is_nothing_but_loopback(namespace: ClientNamespace) -> None:
    asked = "import socket; print([name for _number, name in socket.if_nameindex()])"
    finished = subprocess.run(namespace.argv([sys.executable, "-c", asked]), capture_output=True, text=True, timeout=30)
    assert finished.stdout.strip() == "['lo']", finished


def test_a_program_does_not_start_where_there_is_another_interface(namespace: ClientNamespace) -> None:
    more = ["sh", "-c", 'ip link add other type dummy 2>/dev/null || exit 98; exec "$@"', "sh"]
    looked = ["sh", "-c", LOOK, "sh", "echo", "started"]
    # In one more namespace of its own, so that this one stays as it is.
    argv = ["unshare", "--user", "--map-root-user", "--net", *more, *looked]
    finished = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert finished.stdout == "", finished
    assert finished.returncode != 0, finished


def test_the_stub_does_not_start_outside(tmp_path: Path) -> None:
    argv = [sys.executable, str(HERE / "stub_api.py"), str(tmp_path)]
    finished = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert finished.returncode != 0, finished
    assert not (tmp_path / "ready").exists()

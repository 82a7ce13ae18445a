"""After kill -9 nothing of a server goes on unseen: no program of its terminals, no picture."""

from __future__ import annotations

import http.client
import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import write_program
from running_dashboard import ACCESS, PASSWORD, socket
from test_server import COLD, FAKE_CLAUDE, Running, _wait_for, _wait_until_gone, running
from warm import DEADLINE

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
def server_environment(tmp_path: Path, program_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a claude that ignores HUP and TERM, and a folder for temporary files of its own."""
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    write_program(program_folder / "claude", FAKE_CLAUDE)
    return temporary


def open_terminal(server: Running, pids: Path) -> tuple[dict[str, str], list[int]]:
    """Set up, start a terminal and return the headers of a program and the processes of the terminal."""
    auth = {"X-Auth-Token": server.request("POST", "/api/auth/setup", {"password": PASSWORD})[2]["api_token"]}
    new = {"name": "work", "auth_type": "oauth", "access_token": ACCESS}
    account_id = server.request("POST", "/api/accounts", new, auth)[2]["id"]
    with socket(f"http://127.0.0.1:{server.port}", auth) as client:
        client.emit("start_terminal", {"account_id": account_id})
        return auth, [int(pid) for pid in _wait_for(pids, r"(\d+ \d+)\n")[1].split()]


def wait_for_answer(server: Running) -> int:
    """Ask until there is a worker again, and return its status."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return server.request("GET", "/healthz")[0]
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def send_picture(server: Running, path: str, auth: dict[str, str]) -> int:
    """Send a picture to a terminal and return the status."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)) as connection:
        connection.request("POST", path, PNG, {"Content-Type": "image/png", **auth})
        return connection.getresponse().status


@pytest.mark.parametrize("killed", ["worker", "master and worker"])
def test_what_ran_in_terminals_of_a_killed_server_is_ended(
    tmp_path: Path, server_environment: Path, killed: str
) -> None:
    with running(tmp_path, how=COLD) as server:
        _auth, started = open_terminal(server, tmp_path / "pids")
        workers = server.workers()
        if killed != "worker":
            os.kill(server.process.pid, signal.SIGKILL)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        _wait_until_gone([*workers, *started])
        if killed == "worker":
            # Its successor has a watcher of its own, and the port.
            assert wait_for_answer(server) == 200


def test_pictures_of_a_killed_server_go_when_the_next_one_starts(tmp_path: Path, server_environment: Path) -> None:
    """Those of one that runs beside it stay."""

    def pictures() -> list[Path]:
        return sorted(server_environment.glob("*/*/picture-*.png"))

    mine = server_environment / "claude-accounts-pictures-of-the-cat"
    mine.mkdir()
    with running(tmp_path, how=COLD) as server:
        auth, _started = open_terminal(server, tmp_path / "pids")
        (terminal,) = server.request("GET", "/api/terminals", headers=auth)[2]
        path = f"/api/terminals/{terminal['terminal_id']}/images"
        assert send_picture(server, path, auth) == 201
        with running(tmp_path):
            assert len(pictures()) == 1
        assert len(pictures()) == 1
        workers = server.workers()
        for process in (server.process.pid, *workers):
            os.kill(process, signal.SIGKILL)
        _wait_until_gone(workers)
    assert len(pictures()) == 1
    with running(tmp_path):
        assert pictures() == [] and mine.exists()

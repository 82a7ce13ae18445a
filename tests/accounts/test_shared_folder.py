"""A data folder shared by containers and machines: sessions not seen from here are kept and told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, assert_fails_cleanly, command_line, lack, write_program
from stored import KEY, expired_account
from token_endpoint import TokenEndpoint

from claude_accounts import db
from claude_accounts.accounts import process_place, rows as account_rows, sessions as running_sessions, storage

STAYS = f"#!{sys.executable}\nimport sys\nprint('ready', flush=True)\nsys.stdin.read()\n"
CONTAINER = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
DAY_MS = 24 * 3600 * 1000


@pytest.fixture
def work(cli: Cli, program_folder: Path) -> db.Account:
    """Store an account, and let claude stay until it is told to go."""
    write_program(program_folder / "claude", STAYS)
    return db.add_account("work", db.API_KEY, api_key=KEY)


@pytest.fixture
def container() -> list[str]:
    """Return the words that start a program among processes of its own."""
    if not shutil.which("unshare") or subprocess.run([*CONTAINER, "true"], capture_output=True).returncode:
        lack("namespaces of processes (Linux, root)")
    return CONTAINER


class Session:
    """A claude that runs until the block is left."""

    def __init__(self, before: list[str], name: str) -> None:
        self._words = [*before, *command_line("launch", name)]

    def __enter__(self) -> int:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self._words, **pipes)  # type: ignore[call-overload]
        assert self._process.stdout and self._process.stdout.readline() == b"ready\n"
        return int(self._process.pid)

    def __exit__(self, *_exception: object) -> None:
        self._process.communicate()


def told(cli: Cli) -> list[tuple[str, str]]:
    """Return (state, elsewhere) of each session that is listed."""
    found: list[dict[str, Any]] = json.loads(cli("sessions", "--json").stdout)["sessions"]
    return [(each["state"], each["elsewhere"]) for each in found]


def note(account: db.Account, place: str, days_ago: int = 0, pid: int = 4711) -> None:
    """Note a session as another container or machine would have."""
    running_sessions.record(account_rows.reread(account.id), os.getpid(), "/there", running_sessions.SHELL)
    since = account_rows.now_ms() - days_ago * DAY_MS
    with storage.writing() as connection:
        connection.execute(
            "UPDATE running_sessions SET namespace = ?, since = ?, pid = ?, process_started = 'x 1' WHERE pid = ?",
            (place, since, pid, os.getpid()),
        )


def place(*, boot: str = "", namespace: str = "", machine: str = "") -> str:
    """Return our own place with something of it changed."""
    ours = process_place.here().split(" ", 2)
    return " ".join(new or old for new, old in zip((boot, namespace, machine), ours, strict=True))


# Real namespaces


def test_a_launch_in_a_container_keeps_the_records_of_the_host(
    cli: Cli, work: db.Account, container: list[str]
) -> None:
    with Session([], "work") as pid:
        with Session(container, "work"):
            assert sorted(told(cli)) == [("perhaps", "container"), ("running", "")]
            inside = subprocess.run([*container, *command_line("sessions")], capture_output=True, text=True).stdout
            assert inside.count("perhaps (another container)") == 2 and str(pid) in inside
            assert "perhaps (another container)" in cli("sessions").stdout
        # Outside of all containers every process is seen, and so is that this one has ended.
        assert told(cli) == [("running", "")]
    assert told(cli) == []


def test_a_session_of_a_container_keeps_the_login_that_it_runs_on(
    cli: Cli, endpoint: TokenEndpoint, program_folder: Path, container: list[str]
) -> None:
    answers = f"#!{sys.executable}\nimport sys\nif 'status' in sys.argv: print('{{\"loggedIn\": false}}'); sys.exit()\n"
    write_program(program_folder / "claude", answers + STAYS.partition("\n")[2])
    db.set_durable(expired_account(endpoint).id, True)
    with Session(container, "client"):
        for words in (["update", "client", "--injected"], ["remove", "client", "--yes"]):
            assert_fails_cleanly(cli(*words), "1 session of client is perhaps still running, in another", "--force")
        assert db.find_account("client").durable
        assert cli("update", "client", "--injected", "--force").returncode == 0


# Other places, as they are noted


@pytest.mark.skipif(sys.platform != "linux", reason="boots and namespaces are Linux's")
def test_what_cannot_be_seen_is_kept_for_a_bounded_time(cli: Cli, work: db.Account) -> None:
    elsewhere = place(boot="another-boot", machine="another-machine id")
    note(work, elsewhere, days_ago=29)
    assert told(cli) == [("perhaps", "machine")]
    assert "perhaps (another machine)" in cli("sessions").stdout
    assert "1 session of work is perhaps still running" in cli("remove", "work", "--yes").stderr


@pytest.mark.skipif(sys.platform != "linux", reason="boots and namespaces are Linux's")
def test_what_cannot_run_any_more_is_swept_out(cli: Cli, work: db.Account) -> None:
    gone = [
        (place(boot="another-boot", machine="another-machine id"), 31),
        (place(boot="an-earlier-boot"), 0),
        (process_place.here(), 0),
    ]
    for number, (where, days) in enumerate(gone):
        note(work, where, days, pid=4711 + number)
    assert told(cli) == []
    running_sessions.record(account_rows.reread(work.id), os.getpid(), "/", running_sessions.SHELL)
    with storage.reading() as connection:
        assert connection.execute("SELECT count(*) FROM running_sessions").fetchone()[0] == 1


def test_a_record_of_an_earlier_version_counts_as_ours(work: db.Account) -> None:
    running_sessions.record(account_rows.reread(work.id), os.getpid(), "/", running_sessions.SHELL)
    with storage.writing() as connection:
        connection.execute("UPDATE running_sessions SET namespace = ''")
    assert [session.pid for session in running_sessions.listed()] == [os.getpid()]


def test_a_session_that_perhaps_runs_keeps_a_durable_login(cli: Cli, endpoint: TokenEndpoint) -> None:
    account = db.set_durable(expired_account(endpoint).id, True)
    note(account, place(boot="another-boot", machine="another-machine id"))
    refused = cli("update", "client", "--injected")
    assert_fails_cleanly(refused, "perhaps still running", "update client --injected --force")
    assert_fails_cleanly(cli("remove", "client", "--yes"), "perhaps still running", "remove client --force")
    assert cli("remove", "client", "--yes", "--force").returncode == 0

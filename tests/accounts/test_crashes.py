"""Ends in the middle: a command is killed, or its disk is full, before any one of its calls to the system.

crash_points.py says how; the tests sweep evenly over its calls.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PROJECT, Cli, command_line
from crash_points import age_locks, count_calls, move_home, run, sweep
from stored import KEY, expired_account, stored_pair
from test_refresh import write_store
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db
from claude_accounts.accounts import storage


def test_first_command_killed_anywhere_leaves_a_home_that_works(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CRA-03: no half-made key, no half-made database."""
    move_home(monkeypatch, tmp_path, "counting")
    for at in sweep(count_calls("add", "first", "--key", KEY)):
        move_home(monkeypatch, tmp_path, f"killed-{at}")
        assert run("killed", at, "add", "first", "--key", KEY).returncode == -signal.SIGKILL
        added = cli("add", "second", "--key", "-", stdin=KEY)
        assert added.returncode == 0, (at, added.stderr)
        kept = {entry["name"]: entry["api_key"] for entry in db.export_accounts()}
        assert kept in ({"second": KEY}, {"first": KEY, "second": KEY}), at


def test_import_killed_anywhere_stores_all_or_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CRA-04"""
    file = tmp_path / "accounts.json"
    entries = [{"name": f"account-{number}", "auth_type": "api_key", "api_key": KEY} for number in range(400)]
    file.write_text(json.dumps(entries))
    move_home(monkeypatch, tmp_path, "counting")
    seen = set()
    for at in sweep(count_calls("import", str(file)), 15):
        move_home(monkeypatch, tmp_path, f"killed-{at}")
        assert run("killed", at, "import", str(file)).returncode == -signal.SIGKILL
        stored = db.export_accounts()
        assert len(stored) in (0, 400), at
        seen.add(len(stored))
    assert 0 in seen


@pytest.fixture
def shared(endpoint: TokenEndpoint, home: Path) -> Path:
    """Return Claude Code's credentials file, which holds the very login that is stored as `client`."""
    return share(endpoint, home, "family")


def share(endpoint: TokenEndpoint, home: Path, family: str) -> Path:
    """Store an expired account, and its login in Claude Code's own store too."""
    expired_account(endpoint, family=family)
    access, refresh = stored_pair()
    return write_store(home, accessToken=access, refreshToken=refresh, expiresAt=in_hours(-1))


@pytest.mark.parametrize("end", ["killed", "full"])
def test_refresh_that_ends_anywhere_leaves_one_whole_pair(
    endpoint: TokenEndpoint, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """CRA-01, CRA-07, CRA-11: in the database and in Claude Code's file, the old or the newest; no token sent twice."""
    share(endpoint, move_home(monkeypatch, tmp_path, "counting"), "counting")
    outcomes = set()
    for at in sweep(count_calls("refresh", "client")):
        family = f"family-{at}"
        file = share(endpoint, move_home(monkeypatch, tmp_path, f"{end}-{at}"), family)
        old, before = stored_pair(), json.loads(file.read_text())
        ended = run(end, at, "refresh", "client")
        if end == "killed":
            assert ended.returncode == -signal.SIGKILL
        else:
            assert ended.returncode in (0, 1) and "Traceback" not in ended.stderr, (at, ended.stderr)
        newest = endpoint.issued[-1] if family in endpoint.issued[-1][0] and endpoint.issued[-1][1] != old[1] else old
        pair = stored_pair()
        assert pair in (old, newest), at
        outcomes.add(pair == old)
        whole = json.loads(file.read_text())
        tokens = whole["claudeAiOauth"]["accessToken"], whole["claudeAiOauth"]["refreshToken"]
        assert tokens in (old, newest), at
        assert tokens == old or pair == newest, f"{at}: Claude Code's file is ahead of the database"
        assert {name: whole[name] for name in before if name != "claudeAiOauth"} == {
            name: before[name] for name in before if name != "claudeAiOauth"
        }
        age_locks(file.parent)
        again = cli("refresh", "client")
        if pair == newest:
            # What was stored is what works.
            assert again.returncode == 0, (at, again.stderr)
            assert endpoint.reused == [], at
            # What the crash kept from Claude Code's file is made up for.
            mended = json.loads(file.read_text())["claudeAiOauth"]
            assert (mended["accessToken"], mended["refreshToken"]) == stored_pair(), at
        else:
            # The answer was lost with the process: the endpoint says so, once, and so do we.
            assert again.returncode == 1 and "claude-accounts login" in again.stderr, (at, again.stderr)
            endpoint.reused.clear()
    assert outcomes == {True, False}


def test_refresh_killed_at_random_moments_leaves_one_whole_pair(endpoint: TokenEndpoint) -> None:
    """CRA-01 by the clock: inside SQLite's own writes too."""
    chance = random.Random(20)
    for number in range(20):
        account = expired_account(endpoint, name=f"client-{number}", family=f"family-{number}")
        old = stored_pair(account.name)
        answered = len(endpoint.requests)
        process = subprocess.Popen(command_line("refresh", account.name), stderr=subprocess.DEVNULL)
        while len(endpoint.requests) == answered and process.poll() is None:
            os.sched_yield()
        # Not a wait for anything: the moment of the end is what varies.
        end = time.perf_counter() + chance.uniform(0, 0.02)
        while time.perf_counter() < end:
            os.sched_yield()
        process.kill()
        process.wait()
        assert stored_pair(account.name) in (old, endpoint.issued[-1])
    with storage.reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_every_durable_write_reaches_the_disk_before_it_is_told(home: Path) -> None:
    """CRA-09: a file is synced before it is renamed into place and its folder after; the database syncs each commit."""
    program = (
        "import os, sys\nsys.path.insert(0, sys.argv[1])\nimport bare_names\n"
        "private_files = bare_names.member('system.private_files')\ncalls = []\n"
        "def watch(frame, event, function):\n"
        "    if event == 'c_call' and function.__name__ in ('fsync', 'replace', 'link'):\n"
        "        calls.append(function.__name__)\n"
        "sys.setprofile(watch)\n"
        "private_files.write_private_file(sys.argv[2] + '/replaced', b'x')\n"
        "private_files.create_private_file_once(sys.argv[2] + '/once', b'x')\n"
        "sys.setprofile(None)\nprint(*calls)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(PROJECT), str(home)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["fsync", "replace", "fsync", "fsync", "link", "fsync"]
    with storage.writing() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    with storage.writing(durable=False) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 1


def test_install_killed_anywhere_leaves_the_shell_file_whole(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CRA-10: the old file or the new one, never a part; and the next install mends the rest."""
    old = "export A=1\n" * 200
    monkeypatch.setenv("SHELL", "/bin/bash")
    (move_home(monkeypatch, tmp_path, "counting") / ".bashrc").write_text(old)
    for at in sweep(count_calls("install"), 15):
        bashrc = move_home(monkeypatch, tmp_path, f"killed-{at}") / ".bashrc"
        bashrc.write_text(old)
        assert run("killed", at, "install").returncode == -signal.SIGKILL
        text = bashrc.read_text()
        assert text.startswith(old) and (text == old or "claude-accounts" in text), at
        assert cli("install").returncode == 0
        assert cli("uninstall").returncode == 0
        assert bashrc.read_text() == old, at

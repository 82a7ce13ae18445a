"""Where a session's pin lies: in memory or in a private file that nobody keeps longer than its session lives."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Cli, command_line, write_program

from claude_accounts import db
from claude_accounts.claude.program import Launch
from claude_accounts.launch import pins
from claude_accounts.system.folders import data_folder

SECRET = "sk-ant-api03-" + "s" * 60
PLANNED = Launch("/bin/true", ["claude", "-p"], {}, [], pin=json.dumps({"env": {"ANTHROPIC_API_KEY": SECRET}}))
# Tells where its pin is and what stands in it, and stays.
STAYING = """#!/bin/sh
case "$*" in --version) echo "{version} (Claude Code)"; exit;; esac
shift; cat "$1" > "$READY.new"; mv "$READY.new" "$READY"; exec sleep 600
"""


@pytest.fixture(params=["runtime folder", "shared memory", "disk"])
def runtime(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let pins that need a file find this kind of place."""
    if request.param == "shared memory":
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "nowhere"))
    if request.param == "disk":
        monkeypatch.setattr(pins, "_is_in_memory", lambda _folder: False)
    return str(request.param)


def test_a_pin_in_a_file_is_private_and_goes_with_its_session(runtime: str, home: Path) -> None:
    pin = pins.place(PLANNED)
    try:
        on_disk = str(pin.path).startswith(str(home))
        assert on_disk == (runtime == "disk")
        assert stat.S_IMODE(os.stat(pin.path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(pin.path)).st_mode) == 0o700
        assert SECRET in Path(pin.path).read_text()
        with subprocess.Popen(["sleep", "600"], pass_fds=[pin.descriptor]) as session:
            pin.close()
            pins.sweep(str(home / ".claude"))
            assert os.path.exists(pin.path)
            session.kill()
        pins.sweep(str(home / ".claude"))
        assert not os.path.exists(pin.path)
    finally:
        if os.path.exists(pin.path):
            os.unlink(pin.path)


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors without a file are Linux's")
def test_a_pin_in_memory_is_no_file_and_cannot_be_changed() -> None:
    pin = pins.place(PLANNED._replace(pin_in_memory=True))
    try:
        number = pin.inherit()
        option, path = pin.argv(PLANNED, number)[1:3]
        assert option == "--settings" and pin.path == "" and number >= 10
        with subprocess.Popen(["cat", path], pass_fds=[number], stdout=subprocess.PIPE, text=True) as program:
            assert program.communicate()[0] == PLANNED.pin
        with pytest.raises(PermissionError):
            os.write(number, b"x")
        os.close(number)
    finally:
        pin.close()


def test_the_pin_of_a_background_job_stays_until_the_job_has_gone(runtime: str, home: Path) -> None:
    config = home / ".claude"
    pin = pins.place(PLANNED._replace(pin_outlives=True))
    pin.close()
    pins.sweep(str(config))
    assert os.path.exists(pin.path), "the service has not said yet that it has the job"
    job = config / "jobs" / "1a2b"
    job.mkdir(parents=True)
    state = {"state": "working", "respawnFlags": ["--settings", pin.path], "cwd": "/p", "sessionId": "s"}
    (job / "state.json").write_text(json.dumps(state))
    os.utime(pin.path, (1, 1))
    pins.sweep(str(config))
    assert os.path.exists(pin.path)
    (job / "state.json").write_text(json.dumps(state | {"state": "stopped"}))
    pins.sweep(str(config))
    assert os.path.exists(pin.path), "it can be started anew, and would then find another account"
    (job / "state.json").unlink()
    pins.sweep(str(config))
    assert not os.path.exists(pin.path)


def test_a_pin_that_somebody_else_prepared_a_place_for_lies_elsewhere(
    tmp_path: Path,
) -> None:
    folder = pins._candidates()[0]
    assert folder.startswith(os.environ["XDG_RUNTIME_DIR"])
    os.symlink(tmp_path, folder)
    pin = pins.place(PLANNED)
    pin.remove()
    assert not pin.path.startswith((folder, str(tmp_path / "session")))


def _start(tmp_path: Path, number: int) -> tuple[subprocess.Popen[bytes], Path]:
    ready = tmp_path / f"ready-{number}"
    started = subprocess.Popen(
        command_line("launch", "work"), env=os.environ | {"READY": str(ready)}, stderr=subprocess.DEVNULL
    )
    return started, ready


def test_nothing_is_left_of_sessions_that_were_killed(
    home: Path, program_folder: Path, tmp_path: Path, cli: Cli
) -> None:
    """A hundred of them, by signals that nobody can answer, some while they start."""
    write_program(program_folder / "claude", STAYING.format(version="2.1.197"))
    db.add_account("work", db.API_KEY, api_key=SECRET)
    chance = random.Random(1)
    for batch in range(10):
        sessions = [_start(tmp_path, 10 * batch + number) for number in range(10)]
        for started, ready in sessions:
            deadline = time.monotonic() + 60
            while chance.random() < 0.9 and not ready.exists():
                assert time.monotonic() < deadline and started.poll() is None
            started.send_signal(signal.SIGKILL)
            started.wait()
            assert not ready.exists() or SECRET in ready.read_text()
    assert "no session is running" in cli("sessions").stderr
    own = pins._candidates()[0], pins._candidates()[-1]
    left = [path for folder in own for path in Path(folder).glob("*")]
    assert left == []
    assert not any(SECRET.encode() in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_merged_settings_of_earlier_versions_go_with_their_sessions(home: Path) -> None:
    """They may hold a secret of the user's own `--settings`, and nothing else looks at them."""
    folder = Path(data_folder()) / "settings"
    folder.mkdir(parents=True)
    old, young = folder / f"{'a' * 32}.json", folder / f"{'b' * 32}.json"
    for path in (old, young):
        path.write_text("{}")
    os.utime(old, (0, time.time() - 31 * 86_400))
    pins.sweep(str(home / ".claude"))
    assert list(folder.iterdir()) == [young]
    os.utime(young, (0, time.time() - 31 * 86_400))
    pins.sweep(str(home / ".claude"))
    assert not folder.exists()

"""Our status line is known by its shape, so that an upgrade of Python or another copy of the program renews it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import Cli

from claude_accounts.install import rc_files, status_line
from claude_accounts.messages import Conflict

GONE = [
    "/nowhere/venv/bin/python /nowhere/cli.py statusline",
    "'/no where/bin/python3.9' -Es '/no where/lib/claude_accounts/cli.py' statusline",
]


def _settings(home: Path, command: str, **more: object) -> Path:
    path = home / ".claude" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    value = {"type": "command", "command": command, **more}
    path.write_text(f'{{ "model":   "x",\n "statusLine": {json.dumps(value)}}}')
    return path


@pytest.mark.parametrize("command", GONE)
def test_a_line_of_ours_is_renewed_wherever_it_pointed(home: Path, command: str) -> None:
    path = _settings(home, command, padding=0)
    before = path.read_text()
    change = status_line.plan_install(os.environ)
    assert change
    rc_files.apply([change])
    now = json.dumps(status_line.command())
    assert path.read_text() == before.replace(json.dumps(command), now), "all else has kept its bytes"
    assert status_line.plan_install(os.environ) is None
    taken = status_line.plan_uninstall(os.environ)
    assert taken and json.loads(taken.after or b"") == {"model": "x"}


def test_what_an_earlier_place_had_put_there_is_taken_out_byte_for_byte(home: Path) -> None:
    value = {"type": "command", "command": GONE[0]}
    path = home / ".claude" / "settings.json"
    path.parent.mkdir()
    path.write_text('{\n  "statusLine": ' + json.dumps(value) + ',\n  "model":   "x" }')
    taken = status_line.plan_uninstall(os.environ)
    assert taken and taken.after == b'{\n  "model":   "x" }'


@pytest.mark.parametrize(
    "command", ["ccusage statusline", "python3 {home}/cli.py statusline", "python3 statusline", "'"]
)
def test_another_programs_line_stays_whatever_it_is_called(home: Path, command: str) -> None:
    (home / "cli.py").write_text("print('theirs')\n")
    _settings(home, command.format(home=home))
    with pytest.raises(Conflict):
        status_line.plan_install(os.environ)
    assert status_line.plan_uninstall(os.environ) is None and status_line.installed_program(os.environ) == []


def test_doctor_looks_at_what_status_line_and_function_start(home: Path, cli: Cli) -> None:
    _settings(home, GONE[0])
    aliases = home / ".claude-accounts" / "aliases.sh"
    assert cli("install", env={"SHELL": "/bin/bash"}).returncode == 0
    aliases.write_text(aliases.read_text().replace('"program": ["', '"program": ["/nowhere'))
    checks = json.loads(cli("doctor", "--json").stdout)["checks"]
    found = {check["name"]: check for check in checks if "is gone" in check["message"]}
    assert "/nowhere/venv/bin/python" in found["status line"]["message"]
    assert found["status line"]["hint"] == "claude-accounts install --statusline"
    assert "/nowhere" in found["aliases"]["message"] and found["aliases"]["hint"] == "claude-accounts install"
    assert cli("install", "--statusline", "--yes").returncode == 0
    assert cli("install", env={"SHELL": "/bin/bash"}).returncode == 0
    assert "is gone" not in cli("doctor").stdout

"""Folders and names that are no UTF-8: a system allows them, so nothing breaks over them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import Cli, assert_fails_cleanly, command_line, write_program
from stored import KEY

from claude_accounts import db
from claude_accounts.accounts import bindings, sessions as running_sessions, storage

ODD = os.fsdecode(b"caf\xe9")
SHOWN = "caf\\udce9"


@pytest.fixture
def folder(cli: Cli, program_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, whose name is Latin-1; there is an account and a claude that prints where it is."""
    write_program(program_folder / "claude", '#!/bin/sh\npwd | od -An -tx1 | tr -d " \\n"\n')
    db.add_account("work", db.API_KEY, api_key=KEY)
    path = tmp_path / ODD
    path.mkdir()
    monkeypatch.chdir(path)
    return path


def test_launch_runs_there(cli: Cli, folder: Path) -> None:
    done = cli("launch", "work")
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert bytes.fromhex(done.stdout).rstrip() == os.fsencode(folder)


def test_a_session_there_is_listed(cli: Cli, folder: Path, program_folder: Path) -> None:
    write_program(program_folder / "claude", "#!/bin/sh\necho ready\nread line\n")
    pipe = subprocess.PIPE
    session = subprocess.Popen(command_line("launch", "work"), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
    assert session.stdout and session.stdout.readline() == b"ready\n"
    assert SHOWN in cli("sessions").stdout
    (told,) = json.loads(cli("sessions", "--json").stdout)["sessions"]
    assert os.fsencode(told["folder"]) == os.fsencode(folder)
    session.communicate(b"\n")


def test_such_a_folder_can_be_bound_and_unbound(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("bind", "work").returncode == 0
    assert [binding.folder for binding in bindings.listed()] == [str(folder)]
    assert SHOWN in cli("bindings").stdout
    assert json.loads(cli("bindings", "--json").stdout)["bindings"][0]["folder"] == str(folder)
    below = folder / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert bytes.fromhex(cli("launch").stdout).rstrip() == os.fsencode(below)
    assert cli("unbind", str(folder)).returncode == 0
    assert bindings.listed() == []


def test_a_terminals_folder_is_remembered(folder: Path) -> None:
    stored = db.choose(str(folder), name="work")
    assert stored
    running_sessions.record(stored.stored, os.getpid(), str(folder), running_sessions.WEB)
    assert running_sessions.recent_folders() == [(stored.stored.id, str(folder))]


# An account cannot be called so, which the arguments alone show.
NO_NAMES = (["rename", "work", ODD], ["login", ODD], ["add", ODD, "--key", "-"])


@pytest.mark.parametrize(
    "words",
    [
        ["launch", ODD],
        ["run", ODD, "-p"],
        ["exec", ODD, "--", "true"],
        ["status", ODD],
        ["bind", ODD],
        ["remove", "--yes", ODD],
        ["rename", ODD, "x1"],
        ["rename", "work", ODD],
        ["update", ODD, "--key", "-"],
        ["login", ODD],
        ["refresh", ODD],
        ["add", ODD, "--key", "-"],
        ["bind", "work", ODD],
        ["unbind", ODD],
        ["import", ODD],
        ["exec", "work", "--", ODD],
    ],
)
def test_a_name_that_is_no_text_is_nobodys(cli: Cli, folder: Path, words: list[str]) -> None:
    refused = cli(*words, stdin=KEY)
    code = 127 if words[0] == "exec" and words[-1] == ODD else 2 if words in NO_NAMES else 1
    assert_fails_cleanly(refused, code=code)
    assert "caf" in refused.stderr


def test_a_marker_that_is_no_text_breaks_neither_status_line_nor_whoami(cli: Cli, folder: Path) -> None:
    status = json.dumps({"rate_limits": {"five_hour": {"used_percentage": 3, "resets_at": 4_000_000_000}}})
    line = cli("statusline", stdin=status, env={"CLAUDE_ACCOUNT": ODD})
    assert (line.returncode, line.stderr) == (0, "") and SHOWN in line.stdout
    who = cli("whoami", env={"CLAUDE_ACCOUNT": ODD, "ANTHROPIC_API_KEY": KEY})
    assert "Traceback" not in who.stderr


@pytest.mark.parametrize("text", ["", "plain", "é", ODD, "\ud800", "a\udcffb"])
def test_what_is_kept_is_told_as_it_was(text: str) -> None:
    assert storage.told(storage.kept(text)) == text


def test_a_database_whose_texts_are_no_utf8_is_damaged(cli: Cli, home: Path, folder: Path) -> None:
    path = home / ".claude-accounts" / "accounts.db"
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET email = CAST(x'ff' AS TEXT)")
    assert_fails_cleanly(cli("list"), "damaged", str(path))

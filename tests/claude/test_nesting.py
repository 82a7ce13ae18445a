"""Started from inside Claude Code: what its session, hook or host left in the environment, and who gets it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, write_program

from claude_accounts import db
from claude_accounts.claude import nesting, private_login

KEY = "sk-ant-api03-" + "k" * 60
LINEAGE = {
    "CLAUDECODE": "1",
    "CLAUDE_CODE_CHILD_SESSION": "1",
    "CLAUDE_CODE_SESSION_ID": "s",
    "CLAUDE_CODE_SESSION_ATTENDED": "1",
    "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS": "s",
    "CLAUDE_CODE_CHILD_NOTES_DIR": "/notes",
    "CLAUDE_PID": "7",
    "AI_AGENT": "claude-code",
}
MOMENT = {
    "CLAUDE_ENV_FILE": "/env",
    "CLAUDE_PROJECT_DIR": "/project",
    "CLAUDE_PLUGIN_ROOT": "/plugin",
    "CLAUDE_CODE_EXECPATH": "/opt/claude",
    "CLAUDE_JOB_DIR": "/job",
    "CLAUDE_EFFORT": "high",
}
HOST = {
    "CLAUDE_CODE_ENTRYPOINT": "claude-vscode",
    "CLAUDE_AGENT_SDK_VERSION": "1",
    "CLAUDE_CODE_BRIDGE_SESSION_ID": "b",
    "CLAUDE_CODE_HOST_WORKTREE": "/w",
}
PROMISES = {
    "CLAUDE_CODE_SDK_HAS_OAUTH_REFRESH": "1",
    "CLAUDE_CODE_SDK_HAS_HOST_AUTH_REFRESH": "1",
    "CLAUDE_CODE_SDK_HAS_SOMETHING_NEW": "1",
    "CLAUDE_CODE_HOST_AUTH_ASK_AT_START": "1",
}
EDITOR = {"CLAUDE_CODE_SSE_PORT": "4711"}
ALL = LINEAGE | MOMENT | HOST | PROMISES | EDITOR
OWN = {
    "CLAUDE_CONFIG_DIR": "/config",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "1",
    "MINE": "1",
    "CLAUDE_CODE_TMPDIR": "/tmp/x",
}


@pytest.fixture
def work(cli: Cli, program_folder: Path) -> db.Account:
    """Store an account, and let claude print its environment."""
    text = f"#!{sys.executable}\nimport json, os\nprint(json.dumps(dict(os.environ)))\n"
    write_program(program_folder / "claude", text)
    return db.add_account("work", db.API_KEY, api_key=KEY)


def started(cli: Cli, *words: str, env: dict[str, str]) -> dict[str, Any]:
    """Return what a program started by us finds of all these in its environment."""
    seen: dict[str, str] = json.loads(cli(*words, env=env | {"CLAUDE_CONFIG_DIR": ""}).stdout)
    return {name: seen[name] for name in env if name in seen}


@pytest.mark.parametrize("arguments", [[], ["--resume"], ["hello"], ["--", "-p"], ["mcp", "list"]])
def test_a_session_that_somebody_talks_to_begins_something_of_its_own(
    cli: Cli, work: db.Account, arguments: list[str]
) -> None:
    """With them the client saves no transcript."""
    assert started(cli, "launch", "work", "--", *arguments, env=ALL | {"MINE": "1"}) == {"MINE": "1"}


def test_print_inside_a_session_keeps_its_lineage_alone(cli: Cli, work: db.Account) -> None:
    assert started(cli, "launch", "work", "-p", "hi", env=LINEAGE | MOMENT | HOST | PROMISES) == LINEAGE


@pytest.mark.parametrize("words", [["--input-format", "stream-json"], ["--input-format=stream-json"]])
def test_one_that_a_program_drives_keeps_the_word_of_its_host_but_no_promise_of_a_credential(
    cli: Cli, work: db.Account, words: list[str]
) -> None:
    kept = LINEAGE | MOMENT | HOST | EDITOR
    assert started(cli, "launch", "work", "-p", *words, env=ALL) == kept


def test_a_terminal_of_an_editor_is_no_session(cli: Cli, work: db.Account) -> None:
    """The port leads a claude there to the window around it."""
    assert started(cli, "launch", "work", env=EDITOR) == EDITOR


def test_exec_hands_no_promise_of_a_credential_on_and_no_rival(cli: Cli, work: db.Account) -> None:
    rivals = dict.fromkeys(("ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_OAUTH_TOKEN"), "rival")
    assert started(cli, "exec", "work", "--", "claude", env=LINEAGE | PROMISES | rivals) == LINEAGE


def test_what_is_the_users_own_stays() -> None:
    for arguments in ([], ["-p"], ["--input-format", "stream-json"]):
        assert nesting.for_launch(ALL | OWN, arguments).items() >= OWN.items()
    assert nesting.without(ALL | OWN) == OWN


def test_a_sign_in_begins_something_of_its_own() -> None:
    left = private_login.environment(dict(os.environ) | ALL, "/private")
    assert not ALL.keys() & left.keys()

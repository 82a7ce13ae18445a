"""Launching Claude Code: which program, which environment, which arguments, and when it is refused."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import write_program

from claude_accounts.claude import private_login, program as claude_code
from claude_accounts.claude.program import Launch
from claude_accounts.launch import pins
from claude_accounts.messages import AccountsError, InvalidInput, RivalCredential
from claude_accounts.system.folders import data_folder

KEY, OAUTH = "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"
API_KEY = "sk-ant-api03-" + "k" * 40 + "0123456789abcdefghij"
TOKEN = "sk-ant-oat01-" + "t" * 40
SECRETS = (API_KEY, TOKEN)
GUARD = "CLAUDE_SECURESTORAGE_CONFIG_DIR"

# Tells what it was started with; asked for its version, it counts the question and answers from a file beside it.
FAKE_CLAUDE = """#!{python}
import json, os, sys
if sys.argv[1:] == ["--version"]:
    with open({folder!r} + "/asked", "a") as file:
        file.write(json.dumps(dict(os.environ)) + "\\n")
    print(open({folder!r} + "/version").read())
else:
    told = {{"argv": sys.argv[1:], "env": dict(os.environ)}}
    if "--settings" in sys.argv and sys.argv[-1] != "x":
        told["settings"] = json.load(open(sys.argv[sys.argv.index("--settings") + 1]))
    print(json.dumps(told))
"""


class Machine:
    """A home with a fake claude on PATH, a project folder and no managed settings."""

    def __init__(self, home: Path, root: Path, programs: Path) -> None:
        self.home = home
        self.programs = programs
        self.project = root / "project"
        self.managed = root / "managed"
        for folder in (self.project / ".claude", self.managed, home / ".claude"):
            folder.mkdir(parents=True)
        self.claude = write_program(
            programs / "claude", FAKE_CLAUDE.format(python=sys.executable, folder=str(programs))
        )
        self.client_is("2.1.330 (Claude Code)")

    def client_is(self, answer: str) -> None:
        """Let claude answer so when it is asked for its version."""
        (self.programs / "version").write_text(answer)
        os.utime(self.claude)

    def times_asked(self) -> int:
        """Return how often claude was asked for its version."""
        path = self.programs / "asked"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def log_in(self, folder: Path | None = None) -> None:
        """Put somebody's login into a store."""
        login = {"accessToken": "sk-ant-oat01-somebody", "refreshToken": "sk-ant-ort01-somebody", "scopes": []}
        ((folder or self.home / ".claude") / ".credentials.json").write_text(json.dumps({"claudeAiOauth": login}))

    def configure(self, **keys: object) -> Path:
        """Write `~/.claude.json`."""
        path = self.home / ".claude.json"
        path.write_text(json.dumps(keys, indent=1))
        return path

    def settings(self, whole: object, name: str = ".claude/settings.json") -> Path:
        """Write a settings file of the project."""
        path = self.project / name
        path.write_text(json.dumps(whole, indent=1))
        return path

    def launch(
        self,
        *arguments: str,
        variable: str = KEY,
        force: bool = False,
        allowed_hosts: tuple[str, ...] = (),
        environ: dict[str, str] | None = None,
        **more: str,
    ) -> Launch:
        """Plan a launch of the account `work`."""
        return claude_code.prepare_launch(
            "work",
            {variable: API_KEY if variable == KEY else TOKEN},
            list(arguments),
            cwd=str(self.project),
            environ=dict(os.environ) | (environ or {}) | more,
            force=force,
            allowed_hosts=allowed_hosts,
            managed_folder=str(self.managed),
        )

    def started(self, planned: Launch) -> dict[str, Any]:
        """Start what was planned with its pin, and return what claude saw."""
        pin = pins.place(planned)
        try:
            finished = subprocess.run(
                pin.argv(planned, pin.descriptor),
                executable=planned.program,
                env=planned.env,
                cwd=self.project,
                capture_output=True,
                check=True,
                pass_fds=[pin.descriptor] if pin.descriptor >= 0 else [],
            )
        finally:
            pin.remove()
        seen: dict[str, Any] = json.loads(finished.stdout)
        return seen


@pytest.fixture
def machine(home: Path, tmp_path: Path, program_folder: Path) -> Machine:
    """Return a machine with claude on it."""
    return Machine(home, tmp_path, program_folder)


def text(planned: Launch) -> str:
    """Return all notices, and check that no secret stands in them or in the arguments."""
    said = "\n".join(planned.notices)
    for shown in (said, *planned.argv):
        assert not any(secret in shown for secret in SECRETS)
    return said


def planned_env(seen: dict[str, Any]) -> dict[str, str]:
    """Return what the pin that claude saw says of its environment."""
    environment: dict[str, str] = seen["settings"]["env"]
    return environment


def data_files() -> set[str]:
    """Return the paths of all files in the data folder, relative to it."""
    folder = Path(data_folder())
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# The child's environment


def test_claude_gets_exactly_the_chosen_account(machine: Machine) -> None:
    """SEC-07"""
    environ = dict(os.environ) | dict.fromkeys(claude_code.RIVAL_VARIABLES, "rival") | {"UNTOUCHED": "yes"}
    for variable in (KEY, OAUTH):
        seen = machine.started(machine.launch("-p", "hi", variable=variable, environ=environ))
        credential = API_KEY if variable == KEY else TOKEN
        assert "rival" not in seen["env"].values() and "rival" not in planned_env(seen).values()
        assert planned_env(seen)[variable] == credential and planned_env(seen)["CLAUDE_ACCOUNT"] == "work"
        assert {name: seen["env"][name] for name in claude_code.RIVAL_VARIABLES & set(seen["env"])} == {
            variable: credential
        }
        assert (seen["env"]["CLAUDE_ACCOUNT"], seen["env"]["UNTOUCHED"]) == ("work", "yes")


def test_the_known_rivals_are_all_cleared() -> None:
    """SEC-07: a name that is dropped from the list by accident is missed here."""
    assert {
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
        "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR",
        "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
        "CLAUDE_CODE_OAUTH_SCOPES",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_VERTEX",
        "CLAUDE_CODE_USE_FOUNDRY",
        "CLAUDE_CODE_USE_ANTHROPIC_AWS",
        "CLAUDE_CODE_USE_MANTLE",
        "CLAUDE_CODE_USE_GATEWAY",
        "ANTHROPIC_PROFILE",
        "ANTHROPIC_FEDERATION_RULE_ID",
        "ANTHROPIC_ORGANIZATION_ID",
        "ANTHROPIC_UNIX_SOCKET",
        "CLAUDE_CODE_ACCOUNT_UUID",
        "CLAUDE_CODE_USER_EMAIL",
        "CLAUDE_CODE_ORGANIZATION_UUID",
    } <= claude_code.RIVAL_VARIABLES


def test_a_credential_in_custom_headers_is_left_out_and_told(machine: Machine) -> None:
    planned = machine.launch("-p", ANTHROPIC_CUSTOM_HEADERS="X-Team: a\nauthorization: Bearer other")
    assert planned.env["ANTHROPIC_CUSTOM_HEADERS"] == "X-Team: a"
    assert "ANTHROPIC_CUSTOM_HEADERS" in text(planned)
    planned = machine.launch("-p", ANTHROPIC_CUSTOM_HEADERS="X-Team: a")
    assert planned.env["ANTHROPIC_CUSTOM_HEADERS"] == "X-Team: a" and "HEADERS" not in text(planned)


def test_the_simple_mode_that_takes_no_token_is_left_out_for_oauth_alone(machine: Machine) -> None:
    assert "CLAUDE_CODE_SIMPLE" not in machine.launch(variable=OAUTH, CLAUDE_CODE_SIMPLE="1").env
    assert machine.launch("-p", CLAUDE_CODE_SIMPLE="1").env["CLAUDE_CODE_SIMPLE"] == "1"
    assert "--bare" in text(machine.launch("--bare", variable=OAUTH))
    assert "--bare" not in text(machine.launch("--", "--bare", variable=OAUTH))


def test_another_destination_of_the_credential_is_told(machine: Machine) -> None:
    said = text(machine.launch("-p", ANTHROPIC_BASE_URL="https://user:pass@gateway.example:8/v1\x1b"))
    assert "gateway.example:8" in said and "pass" not in said and "\x1b" not in said
    assert "goes to" not in text(machine.launch("-p", ANTHROPIC_BASE_URL="https://api.anthropic.com"))
    users = str(machine.home / ".claude" / "settings.json")
    path = machine.settings({"env": {"ANTHROPIC_BASE_URL": "https://other.example"}}, users)
    planned = machine.launch("-p", ANTHROPIC_BASE_URL="https://gateway.example")
    assert f"other.example ({path}:3" in text(planned)
    assert json.loads(planned.pin)["env"]["ANTHROPIC_BASE_URL"] == "https://other.example"


def test_a_repository_that_sends_the_credential_elsewhere_is_refused_with_file_line_and_host(machine: Machine) -> None:
    path = machine.settings({"env": {"ANTHROPIC_BASE_URL": "https://other.example/v1"}})
    with pytest.raises(RivalCredential) as refused:
        machine.launch("-p")
    assert f"{path}:3 env.ANTHROPIC_BASE_URL" in refused.value.message and "other.example" in refused.value.message
    assert "launch --force work" in refused.value.hint
    assert "update work --allow-host other.example" in refused.value.hint
    planned = machine.launch("-p", force=True)
    assert "other.example" in text(planned)
    assert json.loads(planned.pin)["env"]["ANTHROPIC_BASE_URL"] == "https://other.example/v1"
    assert machine.launch("-p", allowed_hosts=("other.example",)).pin == planned.pin


# The arguments


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-p", "hi"],
        ["--resume"],
        ["--", "--help"],
        ["-p", "--", "--", "x"],
        ["mcp", "add", "x", "--", "npx", "--settings", "y"],
        ["", "two words", "é", "$(x)"],
    ],
)
def test_the_arguments_reach_claude_untouched_behind_the_pin(machine: Machine, arguments: list[str]) -> None:
    """CLI-04, SEC-02"""
    for variable in (KEY, OAUTH):
        planned = machine.launch(*arguments, variable=variable)
        option, _pin, *rest = machine.started(planned)["argv"]
        assert (option, rest) == ("--settings", arguments)
        assert text(planned).startswith(f"▶ Claude → work ({variable})")


@pytest.mark.parametrize("answer", ["", "2.1.332", "GNU bash, version 5.2"])
def test_a_program_that_does_not_call_itself_claude_code_gets_the_variable_and_its_arguments(
    machine: Machine, answer: str
) -> None:
    machine.client_is(answer)
    seen = machine.started(machine.launch("--settings", "nowhere.json", "x"))
    assert seen["argv"] == ["--settings", "nowhere.json", "x"] and seen["env"][KEY] == API_KEY
    assert "ANTHROPIC_CONFIG_DIR" not in seen["env"]


@pytest.mark.parametrize("word", ["attach", "logs", "stop", "kill", "rm", "respawn", "daemon"])
def test_words_that_look_after_jobs_stay_first_and_carry_no_credential(machine: Machine, word: str) -> None:
    """Claude Code takes them for a prompt behind an option; the service they may start pays for everybody's jobs."""
    for variable in (KEY, OAUTH):
        seen = machine.started(machine.launch(word, "1", variable=variable))
        assert seen["argv"] == [word, "1"]
        assert variable not in seen["env"] and "CLAUDE_ACCOUNT" not in seen["env"]


@pytest.mark.parametrize("arguments", [["--bg", "hi"], ["-p", "--background"], ["agents", "--json"]])
def test_background_jobs_have_their_account_from_the_pin_alone(machine: Machine, arguments: list[str]) -> None:
    planned = machine.launch(*arguments)
    assert planned.pin_outlives and not planned.pin_in_memory
    seen = machine.started(planned)
    assert planned_env(seen)[KEY] == API_KEY and planned_env(seen)["CLAUDE_ACCOUNT"] == "work"
    assert KEY not in seen["env"] and "CLAUDE_ACCOUNT" not in seen["env"]


def test_settings_stand_behind_remote_control(machine: Machine) -> None:
    seen = machine.started(machine.launch("remote-control", "--name", "x"))
    assert seen["argv"][:2] == ["remote-control", "--settings"]


@pytest.mark.parametrize("answer", ["2.1.196 (Claude Code)", "1.0.128 (Claude Code)"])
def test_a_client_that_was_never_seen_to_obey_a_pin_runs_no_background_sessions(machine: Machine, answer: str) -> None:
    machine.client_is(answer)
    planned = machine.launch("-p")
    assert planned.env["CLAUDE_CODE_DISABLE_AGENT_VIEW"] == "1" and "background" in text(planned)
    machine.client_is("2.1.197 (Claude Code)")
    assert "CLAUDE_CODE_DISABLE_AGENT_VIEW" not in machine.launch("-p").env


# Settings files


def test_a_rival_in_the_settings_is_told_in_one_line(machine: Machine) -> None:
    path = machine.settings({"apiKeyHelper": "echo x", "env": {"ANTHROPIC_AUTH_TOKEN": "other"}})
    planned = machine.launch("-p", "hi", variable=OAUTH)
    (line,) = [line for line in planned.notices if "set aside" in line]
    assert f"{path}:2 apiKeyHelper" in line and f"{path}:4 env.ANTHROPIC_AUTH_TOKEN" in line
    assert "other" not in text(planned)


def test_the_users_own_settings_are_merged_under_the_pin(machine: Machine) -> None:
    mine = {"model": "opus", "apiKeyHelper": "mine", "env": {"A": "1", "ANTHROPIC_AUTH_TOKEN": "mine"}}
    planned = machine.launch("-p", "--settings", json.dumps(mine), "--settings=" + json.dumps(mine | {"x": 1}))
    seen = machine.started(planned)
    assert seen["argv"][0] == "--settings" and seen["argv"][2:] == ["-p"]
    merged = seen["settings"]
    assert (merged["model"], merged["x"], merged["apiKeyHelper"]) == ("opus", 1, "")
    assert merged["env"]["A"] == "1" and merged["env"]["ANTHROPIC_AUTH_TOKEN"] == ""


def test_a_settings_file_of_the_user_never_becomes_an_argument(machine: Machine) -> None:
    """SEC-02"""
    mine = machine.settings({"env": {"SECRET": "of the user"}, "model": "opus"}, "mine.json")
    before = mine.read_bytes()
    planned = machine.launch("--settings", "mine.json", "-p")
    assert planned.argv == ["claude", "-p"]
    assert planned_env(machine.started(planned))["SECRET"] == "of the user"
    assert mine.read_bytes() == before


def test_settings_of_the_user_that_cannot_be_merged_are_refused(machine: Machine) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.json"):
        machine.launch("--settings", "nowhere.json")


@pytest.mark.parametrize("value", ["another key", ""])
def test_our_own_variable_in_a_settings_file_is_set_aside(machine: Machine, value: str) -> None:
    path = machine.settings({"env": {KEY: value}})
    planned = machine.launch("-p")
    assert f"{path}:3 env.{KEY}" in text(planned) and (value == "" or value not in text(planned))
    assert planned_env(machine.started(planned))[KEY] == API_KEY


def test_the_same_value_in_a_settings_file_is_no_rival(machine: Machine) -> None:
    machine.settings({"env": {KEY: API_KEY}})
    assert "set aside" not in text(machine.launch("-p"))


@pytest.mark.parametrize(
    "managed",
    [{"apiKeyHelper": "x"}, {"env": {"ANTHROPIC_AUTH_TOKEN": "x"}}, {"forceLoginMethod": "console"}],
)
def test_what_an_administrator_set_is_refused(machine: Machine, managed: dict[str, object]) -> None:
    path = machine.managed / "managed-settings.json"
    path.write_text(json.dumps(managed))
    for variable in (KEY, OAUTH):
        with pytest.raises(RivalCredential) as refused:
            machine.launch("-p", variable=variable)
        assert f"{path}:1" in refused.value.message
        assert machine.launch("-p", variable=variable, force=True).argv == ["claude", "-p"]


def test_a_settings_file_that_is_no_json_is_told_and_stops_nobody(machine: Machine) -> None:
    path = machine.project / ".claude" / "settings.json"
    path.write_text('{"apiKeyHelper": "x", // comment\n}')
    assert str(path) in text(machine.launch("-p"))


# An OAuth token must not fall back to another login


def test_an_old_client_is_kept_from_the_login_in_the_store(machine: Machine) -> None:
    machine.log_in()
    machine.client_is("2.1.224 (Claude Code)")
    planned = machine.launch(variable=OAUTH)
    folder = Path(planned.env[GUARD])
    assert folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) == 0o700 and os.listdir(folder) == []
    assert "claude update" in text(planned) and "MCP" in text(planned)


@pytest.mark.parametrize("answer", ["2.1.225 (Claude Code)", "2.2.0 (Claude Code)", "3.0.1-beta (Claude Code)"])
def test_a_newer_client_keeps_its_store(machine: Machine, answer: str) -> None:
    machine.log_in()
    machine.client_is(answer)
    planned = machine.launch(variable=OAUTH)
    assert GUARD not in planned.env and len(planned.notices) == 1


def test_what_a_shim_is_now_decides_about_the_guard_and_not_what_it_was(machine: Machine) -> None:
    machine.log_in()
    for answer, guarded in (("2.1.330", False), ("2.1.197", True), ("2.1.330", False)):
        machine.client_is(f"{answer} (Claude Code)")
        assert (GUARD in machine.launch(variable=OAUTH).env) == guarded
    assert machine.times_asked() == 3 and data_files() == set()


@pytest.mark.parametrize("content", ["", "{", '{"claudeAiOauth": 3}'])
def test_a_store_that_is_not_understood_may_hold_a_login(machine: Machine, content: str) -> None:
    machine.client_is("2.1.197 (Claude Code)")
    (machine.home / ".claude" / ".credentials.json").write_text(content)
    assert GUARD in machine.launch(variable=OAUTH).env


def test_without_a_login_in_the_store_nothing_is_hidden(machine: Machine) -> None:
    machine.client_is("2.1.197 (Claude Code)")
    (machine.home / ".claude" / ".credentials.json").write_text('{"mcpOAuth": {"a": 1}}')
    planned = machine.launch(variable=OAUTH)
    assert GUARD not in planned.env and data_files() == set()


def test_the_guard_is_empty_again_after_somebody_signed_in_inside_it(machine: Machine) -> None:
    machine.log_in()
    machine.client_is("2.1.197 (Claude Code)")
    folder = Path(machine.launch(variable=OAUTH).env[GUARD])
    machine.log_in(folder)
    assert machine.launch(variable=OAUTH).env[GUARD] == str(folder)
    assert os.listdir(folder) == []


# An API key that claude has not been told to use


def test_an_unapproved_key_cannot_end_in_another_login(machine: Machine) -> None:
    planned = machine.launch()
    assert GUARD not in planned.env and "answer Yes" in text(planned)
    machine.log_in()
    planned = machine.launch()
    assert os.listdir(planned.env[GUARD]) == [] and "answer Yes" in text(planned)


def test_an_approved_key_needs_no_word(machine: Machine) -> None:
    machine.log_in()
    path = machine.configure(customApiKeyResponses={"approved": [API_KEY[-20:]], "rejected": []})
    before = path.read_bytes()
    planned = machine.launch()
    assert GUARD not in planned.env and len(planned.notices) == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("arguments", [["-p", "hi"], ["--print"], ["mcp", "list"], ["--version"], ["auth", "status"]])
def test_without_a_conversation_nobody_is_asked(machine: Machine, arguments: list[str]) -> None:
    machine.log_in()
    machine.configure(customApiKeyResponses={"approved": [], "rejected": [API_KEY[-20:]]})
    planned = machine.launch(*arguments)
    assert GUARD not in planned.env and len(planned.notices) == 1


def test_a_prompt_behind_bare_dashes_is_a_conversation(machine: Machine) -> None:
    machine.log_in()
    assert GUARD in machine.launch("--", "-p").env


def reject(machine: Machine, **keys: object) -> Path:
    """Let the key be one that the user once said No to."""
    tails = {"approved": [API_KEY[-20:]], "rejected": ["x", API_KEY[-20:]]}
    return machine.configure(customApiKeyResponses=tails, **keys)


@pytest.mark.parametrize("other", ["a login", "a Console key"])
def test_a_rejected_key_that_would_end_in_another_account_is_refused(machine: Machine, other: str) -> None:
    path = reject(machine) if other == "a login" else reject(machine, primaryApiKey="sk-other")
    machine.log_in() if other == "a login" else None
    with pytest.raises(RivalCredential) as refused:
        machine.launch()
    assert f"{path}:6 customApiKeyResponses.rejected" in refused.value.message
    assert API_KEY[-20:] not in refused.value.message and "sk-other" not in refused.value.message
    assert str(path) in text(machine.launch(force=True))


def test_a_rejected_key_with_nobody_else_to_take_over_is_only_told(machine: Machine) -> None:
    path = reject(machine)
    assert f"{path}:6" in text(machine.launch())


def test_a_console_key_that_No_would_go_on_with_is_told(machine: Machine) -> None:
    path = machine.configure(primaryApiKey="sk-other")
    said = text(machine.launch())
    assert f"{path}:2 primaryApiKey" in said and "sk-other" not in said


ODD_CONFIGURATIONS: list[Callable[[Path], object]] = [
    os.mkfifo,
    Path.mkdir,
    lambda path: path.symlink_to(path),
    lambda path: path.write_text("{"),
    lambda path: path.write_text("[]"),
    lambda path: path.write_text('{"customApiKeyResponses": 3}'),
    lambda path: path.write_text('{"customApiKeyResponses": {"approved": "x", "rejected": {}}}'),
]


@pytest.mark.parametrize("make", ODD_CONFIGURATIONS)
def test_an_odd_configuration_neither_hangs_nor_breaks_a_launch(machine: Machine, make: Callable[[Path], None]) -> None:
    machine.log_in()
    make(machine.home / ".claude.json")
    assert GUARD in machine.launch().env


# The private sign-in


def test_the_private_sign_in_starts_claudes_own_command(machine: Machine, tmp_path: Path) -> None:
    write_program(
        machine.claude,
        f'#!/bin/sh\necho "$* $CLAUDE_CONFIG_DIR ${{{KEY}-none}}" > {tmp_path}/seen\nexit 3\n',
    )
    code = private_login.sign_in(str(machine.claude), dict(os.environ) | {KEY: "x"}, str(tmp_path / "private"))
    assert code == 3
    assert (tmp_path / "seen").read_text() == f"auth login {tmp_path}/private none\n"


def test_a_claude_that_cannot_be_started_is_one_clear_error(machine: Machine) -> None:
    machine.claude.write_text("#!/nowhere/at/all\n")
    with pytest.raises(AccountsError, match="cannot start"):
        private_login.sign_in(str(machine.claude), os.environ, "/x")

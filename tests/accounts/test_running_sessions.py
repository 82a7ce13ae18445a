"""Sessions: which run, whose they are, when their login ends, which folder belongs to whom, the status line."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import NAMELESS, PROJECT, Cli, assert_fails_cleanly, command_line, write_program
from hypothesis import given, strategies as st
from stored import KEY, expired_account
from test_prompts import person
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db
from claude_accounts.accounts import (
    bindings,
    clocks,
    durable_store,
    rows as account_rows,
    sessions as running_sessions,
    storage,
    usage,
)
from claude_accounts.messages import InvalidInput

STAYS = f"#!{sys.executable}\nimport sys\nprint('ready', flush=True)\nsys.stdin.read()\n"


def status() -> dict[str, Any]:
    """Return what Claude Code tells a status line: 42.4 % until in 90 minutes, 91 % until in 60 hours."""
    return {
        "model": {"id": "x", "display_name": "Opus"},
        "rate_limits": {
            "five_hour": {"used_percentage": 42.4, "resets_at": in_hours(1.5) // 1000},
            "seven_day": {"used_percentage": 91, "resets_at": in_hours(60) // 1000},
        },
    }


@pytest.fixture
def work(cli: Cli) -> db.Account:
    """Store one API key account."""
    return db.add_account("work", db.API_KEY, api_key=KEY)


def set_ends(name: str, **columns: int) -> db.Account:
    """Give an account's clocks other times."""
    with storage.writing() as connection:
        for column, value in columns.items():
            connection.execute(f"UPDATE accounts SET {column} = ? WHERE name = ?", (value, name))  # noqa: S608
    return db.find_account(name)


# Which sessions run


def test_running_session_is_listed_until_it_ends(
    cli: Cli, work: db.Account, program_folder: Path, tmp_path: Path
) -> None:
    write_program(program_folder / "claude", STAYS)
    folder = tmp_path / "project"
    folder.mkdir()
    session = subprocess.Popen(
        command_line("launch", "work"),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert session.stdout and session.stdout.readline() == b"ready\n"
    told = json.loads(cli("sessions", "--json").stdout)["sessions"]
    assert [(each["pid"], each["account_name"], each["folder"], each["origin"]) for each in told] == [
        (session.pid, "work", str(folder), "shell")
    ]
    assert re.search(rf"^{session.pid} +work +{folder}", cli("sessions").stdout, re.MULTILINE)
    removed = cli("remove", "work", "--yes")
    assert "1 session of work is still running" in removed.stderr
    session.communicate()
    assert json.loads(cli("sessions", "--json").stdout)["sessions"] == []
    assert "no session" in cli("sessions").stderr


def test_reused_process_id_is_never_shown(work: db.Account) -> None:
    """This test's own process has the number, but did not start when the record says."""
    running_sessions.record(account_rows.reread(work.id), os.getpid(), "/", running_sessions.SHELL)
    assert [session.pid for session in running_sessions.listed()] == [os.getpid()]
    with storage.writing() as connection:
        connection.execute("UPDATE running_sessions SET process_started = process_started || '1'")
    assert running_sessions.listed() == []
    running_sessions.record(account_rows.reread(work.id), os.getpid(), "/", running_sessions.SHELL)
    with storage.reading() as connection:
        assert connection.execute("SELECT count(*) FROM running_sessions").fetchone()[0] == 1


def test_dead_process_that_nobody_reaped_is_no_session(work: db.Account) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    running_sessions.record(account_rows.reread(work.id), child.pid, "/", running_sessions.SHELL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert running_sessions.listed() == []
    child.wait()


def test_refresh_and_switch_say_what_becomes_of_running_sessions(cli: Cli, endpoint: TokenEndpoint) -> None:
    account = expired_account(endpoint)
    running_sessions.record(account_rows.reread(account.id), os.getpid(), "/", running_sessions.SHELL)
    assert "keeps the token that it was started with" in cli("refresh", "client").stderr
    db.set_durable(account.id, True)
    assert "takes the new token up by itself" in cli("refresh", "client").stderr
    assert_fails_cleanly(cli("update", "client", "--injected"), "1 session of client", "--force")
    assert db.find_account("client").durable
    assert cli("update", "client", "--injected", "--force").returncode == 0


# Three clocks


def test_three_clocks_are_told_apart(cli: Cli, endpoint: TokenEndpoint, work: db.Account) -> None:
    expired_account(endpoint)
    set_ends("client", expires_at=in_hours(2), login_expires_at=in_hours(24 * 20))
    db.add_account("runner", db.OAUTH, access_token="sk-ant-oat01-" + "t" * 40, expires_at=in_hours(24 * 300))
    told = {each["name"]: each for each in json.loads(cli("list", "--json").stdout)["accounts"]}
    assert told["work"]["ends_at"] is None
    assert told["client"]["ends_at"] == told["client"]["login_expires_at"] > told["client"]["expires_at"]
    assert told["runner"]["ends_at"] == told["runner"]["expires_at"]
    assert [clocks.kind(db.find_account(name)) for name in ("work", "client", "runner")] == ["none", "login", "token"]
    lines = {line.split()[0]: line for line in cli("list").stdout.splitlines()}
    assert "in 2 hours" in lines["client"] and "in 20 days" in lines["client"] and "in 10 months" in lines["runner"]
    db.set_durable(db.find_account("client").id, True)
    (line,) = [line for line in cli("list").stdout.splitlines() if line.startswith("client")]
    assert "renews itself" in line and "in 20 days" in line and "hours" not in line


@pytest.mark.parametrize(
    ("hours", "urgency"), [(24 * 4, ""), (24 * 3 - 1, "soon"), (25, "soon"), (23, "urgent"), (-1, "over")]
)
def test_an_end_is_warned_of_at_three_days_and_one(
    cli: Cli, endpoint: TokenEndpoint, program_folder: Path, hours: int, urgency: str
) -> None:
    write_program(program_folder / "claude", NAMELESS)
    expired_account(endpoint)
    account = set_ends("client", expires_at=in_hours(2), login_expires_at=in_hours(hours))
    assert clocks.urgency(account) == urgency
    words = "the login of client ends in"
    warned = urgency in ("soon", "urgent")
    assert (words in cli("list").stderr) == warned
    assert (words in cli("launch", "client").stderr) == warned
    assert cli("list", "--expiring", "3d").returncode == (1 if urgency else 0)
    assert ("client" in cli("list", "--expiring", "90m").stdout) == (urgency == "over")


def test_expiring_is_quiet_when_there_is_nothing(cli: Cli, work: db.Account) -> None:
    finished = cli("list", "--expiring", "3d")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")
    assert_fails_cleanly(cli("list", "--expiring", "soon"), "3d, 12h or 90m", code=2)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("3d", 259_200_000), ("3J", 259_200_000), ("12H", 43_200_000), (" 90m ", 5_400_000), ("90 min", 5_400_000)],
)
def test_spans_are_understood(text: str, milliseconds: int) -> None:
    assert clocks.span_ms(text) == milliseconds


@given(st.text(max_size=8))
def test_no_text_breaks_a_span(text: str) -> None:
    with suppress(InvalidInput):
        assert clocks.span_ms(text) >= 0


# Who am I


def test_whoami_in_a_launched_session(cli: Cli, work: db.Account, program_folder: Path) -> None:
    write_program(program_folder / "claude", NAMELESS + f"exec {' '.join(command_line('whoami'))}\n")
    told = cli("launch", "work")
    assert told.returncode == 0
    assert "Account: work" in told.stdout and "ANTHROPIC_API_KEY" in told.stdout and KEY not in told.stdout


def test_whoami_in_a_durable_session(cli: Cli, endpoint: TokenEndpoint) -> None:
    account = db.set_durable(expired_account(endpoint).id, True)
    inside = {"CLAUDE_SECURESTORAGE_CONFIG_DIR": durable_store.folder_of(account.id), "CLAUDE_ACCOUNT": "client"}
    told = json.loads(cli("whoami", "--json", env=inside).stdout)
    assert told["account"] == "client" and durable_store.folder_of(account.id) in told["source"]


def test_a_name_in_the_environment_alone_proves_nothing(cli: Cli, work: db.Account) -> None:
    """Somebody exported another key since."""
    told = cli("whoami", env={"CLAUDE_ACCOUNT": "work", "ANTHROPIC_API_KEY": KEY[:-1] + "X"})
    assert told.returncode == 1 and "Account: work" not in told.stdout


def test_whoami_outside_tells_what_claude_would_use_and_what_overrides_it(
    cli: Cli, work: db.Account, home: Path
) -> None:
    assert "would ask to sign in" in cli("whoami").stdout
    assert "not set by a launch" in cli("whoami", env={"ANTHROPIC_API_KEY": KEY}).stdout
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"apiKeyHelper": "echo key"}')
    told = cli("whoami", env={"ANTHROPIC_API_KEY": KEY, "CLAUDE_ACCOUNT": "work"})
    assert f"Overridden by: {settings}:1 apiKeyHelper" in told.stdout
    (home / ".claude" / ".credentials.json").write_text(
        json.dumps(
            {"claudeAiOauth": {"accessToken": "sk-ant-oat01-own", "refreshToken": "r", "expiresAt": 1, "scopes": []}}
        )
    )
    assert "Claude Code's own login" in cli("whoami").stdout


# The status line


def test_status_line_shows_account_model_and_limits_and_remembers_them(cli: Cli, work: db.Account) -> None:
    given_status = status()
    line = cli("statusline", stdin=json.dumps(given_status), env={"CLAUDE_ACCOUNT": "work", "NO_COLOR": "1"})
    assert line.returncode == 0 and line.stderr == ""
    assert re.fullmatch(r"● work  Opus  5h 42% ↻1h\d\dm  7d 91% ↻2d1\dh\n", line.stdout), line.stdout
    assert [(each.period, each.percent) for each in usage.of_all()[work.id]] == [("five_hour", 42.4), ("seven_day", 91)]
    assert "5h 42% · 7d 91%" in cli("list").stdout and "Used: 5h 42%" in cli("status", "work").stdout
    told = json.loads(cli("list", "--json").stdout)["accounts"][0]["usage"]
    assert told[0]["resets_at"] == clocks.iso(given_status["rate_limits"]["five_hour"]["resets_at"] * 1000)


def test_status_line_colours_what_runs_out(cli: Cli, work: db.Account) -> None:
    shown = cli("statusline", stdin=json.dumps(status()), env={"CLAUDE_ACCOUNT": "work"}).stdout
    assert "\x1b[32m5h 42%" in shown and "\x1b[31m7d 91%" in shown


@pytest.mark.parametrize(
    "given",
    [
        "",
        "{",
        "[]",
        "null",
        '{"model": 7, "rate_limits": []}',
        '{"rate_limits": {"five_hour": {"used_percentage": "x"}}}',
    ],
)
def test_whatever_comes_in_a_line_goes_out(cli: Cli, given: str) -> None:
    line = cli("statusline", stdin=given, env={"CLAUDE_ACCOUNT": "ghost\x1b[2J"})
    assert line.returncode == 0 and line.stderr == ""
    assert line.stdout.count("\n") == 1 and "\x1b[2J" not in line.stdout
    assert "no account of ours" in cli("statusline", stdin=given).stdout


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["rate_limits", "five_hour", "used_percentage", "resets_at"]), inner, max_size=4
            )
        ),
        max_leaves=10,
    )
)
def test_no_status_breaks_what_is_told(status: object) -> None:
    for each in usage.told(status, 1):
        assert 0 <= each.percent <= 1000 and each.resets_at >= 0


def test_number_of_a_period_that_has_started_anew_is_not_shown(cli: Cli, work: db.Account) -> None:
    usage.remember("work", [usage.Usage("five_hour", 80, in_hours(-1), in_hours(-2))])
    assert "80%" not in cli("list").stdout


def test_status_line_loads_no_cryptography(cli: Cli, work: db.Account) -> None:
    """It runs after every answer: what costs 25 ms to load stays out."""
    program = (
        "import sys, io\nsys.path.insert(0, sys.argv[1])\n"
        "sys.stdin = io.TextIOWrapper(io.BytesIO(sys.argv[2].encode()))\n"
        "import cli\ncli.main(['statusline'])\n"
        "heavy = ('cryptography', 'argparse', 'requests', 'flask', 'subprocess')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(PROJECT), json.dumps(status())],
        env=os.environ | {"CLAUDE_ACCOUNT": "work"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert usage.of_all()[work.id]


# Its place in the settings


@pytest.mark.parametrize("content", [None, "", "{}", '{"model": "opus"}', '{\n  "env": {"A": "b"},\n  "x": [1]\n}\n'])
def test_status_line_is_put_into_the_settings_and_taken_out_byte_for_byte(
    cli: Cli, home: Path, content: str | None
) -> None:
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir()
    if content is not None:
        settings.write_text(content)
    assert "statusLine" in cli("install", "--statusline", "--dry-run").stdout
    assert (settings.read_text() if settings.exists() else None) == content
    for _twice in range(2):
        assert cli("install", "--statusline", "--yes").returncode == 0
    written = json.loads(settings.read_text())
    assert written.pop("statusLine")["command"].endswith("statusline")
    assert written == (json.loads(content) if content else {})
    assert cli("uninstall").returncode == 0
    if content:
        assert settings.read_text() == content
    else:
        assert not settings.exists() or settings.read_text().split() in ([], ["{", "}"])


def test_somebody_elses_status_line_stays(cli: Cli, home: Path) -> None:
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"statusLine": {"type": "command", "command": "mine"}}')
    assert_fails_cleanly(cli("install", "--statusline", "--yes"), "it stays", "statusline")
    assert cli("uninstall").returncode == 0
    assert settings.read_text() == '{"statusLine": {"type": "command", "command": "mine"}}'


def test_settings_that_are_no_json_are_left(cli: Cli, home: Path) -> None:
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text("// mine\n{}")
    assert_fails_cleanly(cli("install", "--statusline", "--yes"), str(settings), "nothing was changed")
    assert cli("uninstall").returncode == 0 and settings.read_text() == "// mine\n{}"


@pytest.mark.parametrize(("keys", "done"), [("y\r", True), ("\r", False)])
def test_status_line_is_set_only_after_a_yes(home: Path, keys: str, done: bool) -> None:
    with person("install", "--statusline") as somebody:
        somebody.reads("[y/N] ")
        somebody.types(keys)
        assert somebody.waits() == (0 if done else 1)
    assert (home / ".claude" / "settings.json").exists() == done


# Which folder belongs to whom


@pytest.fixture
def project(tmp_path: Path, work: db.Account, program_folder: Path) -> Path:
    """Return a folder inside one that is bound to `work`; a second account `other` is there too."""
    write_program(program_folder / "claude", NAMELESS + 'echo "$CLAUDE_ACCOUNT" "$@"\n')
    db.add_account("other", db.API_KEY, api_key=KEY)
    folder = tmp_path / "projects" / "app"
    folder.mkdir(parents=True)
    bindings.bind(work.id, str(folder.parent))
    return folder


def test_launch_without_a_name_uses_the_nearest_bound_folder(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    assert cli("launch").stdout == "work\n"
    assert cli("launch", "--", "--resume", "x").stdout == "work --resume x\n"
    assert cli("bind", "other").returncode == 0
    assert cli("launch").stdout == "other\n"
    assert cli("unbind").returncode == 0
    assert cli("launch").stdout == "work\n"
    monkeypatch.chdir(project.parent.parent)
    assert_fails_cleanly(cli("launch"), "belongs to no account", "claude-accounts bind", code=2)


def test_another_account_in_a_bound_folder_needs_a_yes(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    refused = cli("launch", "other")
    assert_fails_cleanly(refused, "belongs to work", "launch --force other")
    assert refused.stdout == ""
    assert cli("launch", "--force", "other").stdout == "other\n"
    assert cli("launch", "work").stdout == "work\n"
    for keys, code in (("n\r", 1), ("y\r", 0)):
        with person("launch", "other") as somebody:
            somebody.reads("[y/N] ")
            somebody.types(keys)
            assert somebody.waits() == code


def test_bindings_are_kept_by_real_path_and_nowhere_in_the_folder(
    cli: Cli, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    link.symlink_to(project)
    monkeypatch.chdir(link)
    assert cli("launch").stdout == "work\n"
    assert list(project.parent.rglob("*")) == [project]
    assert json.loads(cli("bindings", "--json").stdout)["bindings"] == [
        {"folder": str(project.parent), "account": "work"}
    ]
    assert str(project.parent) in cli("bindings").stdout


def test_bindings_go_with_their_account_and_follow_its_name(cli: Cli, project: Path) -> None:
    cli("rename", "work", "office")
    assert "office" in cli("bindings").stdout
    cli("remove", "office", "--yes")
    assert bindings.listed() == []
    assert_fails_cleanly(cli("unbind", str(project)), "is not bound")
    assert_fails_cleanly(cli("bind", "other", str(project / "missing")), "there is no folder")


def test_unbinding_inside_a_bound_folder_names_the_bound_one(cli: Cli, project: Path) -> None:
    assert_fails_cleanly(cli("unbind", str(project)), "is not bound", f"claude-accounts unbind {project.parent}")


def test_a_busy_database_keeps_nobody_from_working(
    work: db.Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another program holds the write lock for as long as this takes: only the note is left out, and that is told."""
    monkeypatch.setattr(storage, "_BUSY_SECONDS", 86_400.0)
    with closing(sqlite3.connect(storage.database_path(), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        stored = account_rows.reread(work.id)
        running_sessions.record(stored, os.getpid(), os.getcwd(), "shell")
        running_sessions.stamp(work.id)
    assert capsys.readouterr().err.count("claude-accounts: warning: ") == 2
    running_sessions.record(stored, os.getpid(), os.getcwd(), "shell")
    assert [session.pid for session in running_sessions.listed()] == [os.getpid()]


def test_names_of_a_damaged_database_drive_no_terminal(cli: Cli, work: db.Account) -> None:
    name = "wo\x1b]0;owned\x07\u202erk"
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET name = ?", (name,))
    for arguments in (["login", name], ["update", name, "--key", "-"], ["remove", name]):
        told = cli(*arguments, stdin=KEY).stderr
        assert "owned" in told, arguments
        assert not set(told) & set("\x1b\x07\u202e"), arguments

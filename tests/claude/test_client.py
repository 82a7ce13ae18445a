"""What is known of a claude: who it says it is, and of which file that is remembered."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from conftest import write_program
from native_claude import native_claude

from claude_accounts.claude import client, program as claude_code
from claude_accounts.messages import AccountsError
from claude_accounts.system.folders import data_folder

# One answer for both questions: `--version` and `auth status`.
BOTH = '{{"loggedIn": {state}, "authMethod": "{method}", "about": "{version} (Claude Code)"}}'


def answer(state: str = "false", method: str = "none", version: str = "2.1.330") -> str:
    return BOTH.format(state=state, method=method, version=version)


def identify(path: Path, cwd: Path | None = None, more: dict[str, str] | None = None) -> client.Client:
    return client.identify(str(path), dict(os.environ) | (more or {}), str(cwd) if cwd else None)


def memory() -> Path:
    return Path(data_folder()) / "client.json"


# Who it is


@pytest.mark.parametrize(
    ("said", "version", "is_claude_code"),
    [
        ("2.1.330 (Claude Code)", (2, 1, 330), True),
        ("3.0.1-beta (Claude Code)", (3, 0, 1), True),
        ("mise WARN  something\n2.1.330 (Claude Code)", (2, 1, 330), True),
        ("2.1.330", None, False),
        ("claude 1.2.3", None, False),
        ("Claude Code", None, False),
        ("", None, False),
        ("1.2.3.4 (Claude Code)", None, False),
        ("9" * 5000 + " (Claude Code)", None, False),
    ],
)
def test_only_what_says_so_is_claude_code(
    tmp_path: Path, said: str, version: tuple[int, int, int] | None, is_claude_code: bool
) -> None:
    path = write_program(tmp_path / "claude", f"#!/bin/sh\ncat <<'X'\n{said}\nX\n")
    assert identify(path) == (version, is_claude_code, False)
    assert not memory().exists()


def test_one_that_does_not_answer_is_taken_for_claude_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_VERSION_SECONDS", 0.3)
    path = write_program(tmp_path / "claude", "#!/bin/sh\nsleep 600\n")
    assert identify(path) == (None, True, False)


def test_one_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    with pytest.raises(AccountsError, match="cannot start"):
        identify(write_program(tmp_path / "claude", "#!/nowhere\n"))


def test_it_is_asked_without_any_credential_and_with_the_rest_of_the_childs_environment(tmp_path: Path) -> None:
    path = write_program(tmp_path / "claude", f"#!/bin/sh\nenv > {tmp_path}/seen\n")
    identify(path, more=dict.fromkeys(claude_code.RIVAL_VARIABLES, "secret") | {"MISE_ENV": "work"})
    seen = (tmp_path / "seen").read_text()
    assert "secret" not in seen and "MISE_ENV=work" in seen


# A shim or a wrapper is asked each time, where it will run


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/dash", "/bin/sh"])
def test_a_shim_is_asked_each_time_and_nothing_of_it_is_kept(tmp_path: Path, shell: str) -> None:
    """mise, asdf and their kind look for the version that a folder wants."""
    path = write_program(
        tmp_path / "claude", f'#!{shell}\nread version < .tool-version\necho "$version (Claude Code)"\n'
    )
    for name, version in (("old", "2.1.197"), ("new", "2.1.332")):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".tool-version").write_text(version + "\n")
    for _twice in range(2):
        assert identify(path, tmp_path / "old").version == (2, 1, 197)
        assert identify(path, tmp_path / "new").version == (2, 1, 332)
    assert not memory().exists() and client.known_version(str(path)) is None


def test_a_link_to_a_program_of_another_name_is_a_shim(tmp_path: Path) -> None:
    """What volta-shim or mise is for one of its names says nothing about the next."""
    shim = native_claude(tmp_path / "bin" / "mise", answer())
    (tmp_path / "claude").symlink_to(shim)
    assert identify(tmp_path / "claude") == ((2, 1, 330), True, False)
    assert client.honours_own_store(str(tmp_path / "claude"), os.environ)
    native_claude(shim, answer("true", "claude.ai", "2.1.299"))
    assert identify(tmp_path / "claude").version == (2, 1, 299)
    assert not client.honours_own_store(str(tmp_path / "claude"), os.environ)
    assert not memory().exists()


def test_a_second_name_of_such_a_program_is_a_shim_too(tmp_path: Path) -> None:
    os.link(native_claude(tmp_path / "volta-shim", answer()), tmp_path / "claude")
    assert not identify(tmp_path / "claude").is_itself and not memory().exists()


# Claude Code itself is remembered


def test_claude_itself_is_asked_once_and_again_when_its_file_changes(tmp_path: Path) -> None:
    path = native_claude(tmp_path / "claude", "2.1.330 (Claude Code)")
    assert identify(path) == ((2, 1, 330), True, True)
    native_claude(path, "2.1.331 (Claude Code)")
    assert identify(path).version == (2, 1, 330)
    os.utime(path, (1, 1))
    assert identify(path).version == (2, 1, 331)
    assert stat.S_IMODE(memory().stat().st_mode) == 0o600
    # An update that keeps size and time is another file all the same.
    native_claude(tmp_path / "next", "2.1.332 (Claude Code)")
    os.utime(tmp_path / "next", (1, 1))
    (tmp_path / "next").replace(path)
    assert identify(path).version == (2, 1, 332)


def test_another_program_by_that_name_is_not_remembered(tmp_path: Path) -> None:
    path = native_claude(tmp_path / "claude", "2.1.330 (another one)")
    assert identify(path) == (None, False, False) and not memory().exists()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', '{"PROGRAM": 3}', '{"PROGRAM": {"file": []}}'])
def test_a_broken_memory_is_ignored_and_written_anew(tmp_path: Path, content: str) -> None:
    path = native_claude(tmp_path / "claude", "2.1.330 (Claude Code)")
    identify(path)
    memory().write_text(content.replace("PROGRAM", str(path)))
    assert identify(path).version == (2, 1, 330)
    assert json.loads(memory().read_text())[str(path)]["version"] == "2.1.330"


def test_what_an_earlier_version_remembered_of_a_shim_counts_no_more(tmp_path: Path) -> None:
    path = write_program(tmp_path / "claude", "#!/bin/sh\necho '2.1.197 (Claude Code)'\n")
    status = path.stat()
    memory().parent.mkdir()
    known = {"file": [status.st_size, status.st_mtime_ns], "version": "2.1.332", "own_store": True}
    memory().write_text(json.dumps({str(path): known}))
    assert identify(path).version == (2, 1, 197)


def test_a_memory_that_cannot_be_written_keeps_nobody_from_working(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CLAUDE_ACCOUNTS_HOME", str(tmp_path / "file" / "folder"))
    assert identify(native_claude(tmp_path / "claude", "2.1.330 (Claude Code)")).version == (2, 1, 330)
    # The launch says it once, of its own note.
    assert capsys.readouterr().err == ""


# The installation says it


@pytest.mark.parametrize("path", ["share/claude/versions/2.1.224", "Caskroom/claude-code/2.1.224/claude"])
def test_the_version_is_read_off_the_path_of_the_installation(tmp_path: Path, path: str) -> None:
    native_claude(tmp_path / path, "9.9.9 (Claude Code)")
    (tmp_path / "claude").symlink_to(path)
    assert identify(tmp_path / "claude") == ((2, 1, 224), True, True)
    assert client.known_version(str(tmp_path / "claude")) == (2, 1, 224) and not memory().exists()


@pytest.mark.parametrize("path", [".pyenv/versions/3.11.2/bin/claude", ".nodenv/versions/20.11.1/bin/claude"])
def test_the_version_of_an_interpreter_is_not_taken_for_claudes(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    write_program(tmp_path / path, "#!/bin/sh\necho '2.1.100 (Claude Code)'\n")
    assert identify(tmp_path / path) == ((2, 1, 100), True, False)


def test_the_version_is_read_off_the_package(tmp_path: Path) -> None:
    package = tmp_path / ".nodenv" / "versions" / "20.11.1" / "node_modules" / "@anthropic-ai" / "claude-code"
    package.mkdir(parents=True)
    write_program(package / "cli.js", "#!/bin/sh\necho '2.1.330 (Claude Code)'\n")
    (tmp_path / "claude").symlink_to(package / "cli.js")
    (package / "package.json").write_text('{"name": "@anthropic-ai/claude-code", "version": "2.1.197"}')
    assert identify(tmp_path / "claude") == ((2, 1, 197), True, True)
    (package / "package.json").write_text('{"name": "another", "version": "9.9.9"}')
    assert identify(tmp_path / "claude") == ((2, 1, 330), True, False)


# A store of its own


def test_a_store_of_its_own_is_asked_for_with_nothing_else_that_could_sign_in(tmp_path: Path) -> None:
    text = f"#!/bin/sh\nenv > {tmp_path}/seen\necho '{answer()}'\n"
    path = write_program(tmp_path / "claude", text)
    names = ["ANTHROPIC_API_KEY", "ANTHROPIC_PROFILE", "CLAUDE_BG_AUTH_SNAPSHOT_PATH", "CLAUDE_CODE_HOST_CREDS_FILE"]
    names += ["CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST", "ANTHROPIC_IDENTITY_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"]
    environ = dict(os.environ) | dict.fromkeys(names, "rival") | {"CLAUDE_CONFIG_DIR": "/config", "MISE_ENV": "work"}
    assert client.honours_own_store(str(path), environ)
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines())
    assert "rival" not in seen.values() and seen["MISE_ENV"] == "work" and seen["CLAUDE_CONFIG_DIR"] == "/config"
    for name in ("CLAUDE_SECURESTORAGE_CONFIG_DIR", "ANTHROPIC_CONFIG_DIR"):
        folder = Path(seen[name])
        assert os.listdir(folder) == [] and stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert str(folder).startswith(data_folder())


def test_a_yes_is_remembered_and_a_no_never(tmp_path: Path) -> None:
    """A profile in the way at the first launch made every later one of a durable account a short one."""
    path = native_claude(tmp_path / "claude", answer("true", "claude.ai"))
    assert not client.honours_own_store(str(path), os.environ)
    native_claude(path, answer("false", "none    "))
    assert client.honours_own_store(str(path), os.environ)
    native_claude(path, answer("true", "claude.ai"))
    assert client.honours_own_store(str(path), os.environ)


def test_a_no_that_an_earlier_version_remembered_counts_no_more(tmp_path: Path) -> None:
    path = native_claude(tmp_path / "claude", answer())
    identify(path)
    known = json.loads(memory().read_text())
    known[str(path)]["own_store"] = False
    memory().write_text(json.dumps(known))
    assert client.honours_own_store(str(path), os.environ)


def test_an_older_one_is_not_asked(tmp_path: Path) -> None:
    assert not client.honours_own_store(str(native_claude(tmp_path / "claude", answer(version="2.1.196"))), os.environ)

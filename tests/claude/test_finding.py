"""Finding claude: on PATH as people write it, else where installers put it; what lies there and is none is told."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, Cli, assert_fails_cleanly, command_line, write_program

from claude_accounts.claude import finding, program as claude_code
from claude_accounts.messages import ClaudeMissing

CLAUDE = "#!/bin/sh\necho '2.1.330 (Claude Code)'\n"
# Of this machine's own claude the tests know nothing.
NOWHERE = "/usr/bin:/bin"


@pytest.fixture(autouse=True)
def no_claude_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing lie where the programs of everybody on the machine do."""
    monkeypatch.setattr(finding, "EVERYBODYS", ())


def lay(folder: Path, text: str = CLAUDE) -> Path:
    """Put a claude into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_program(folder / "claude", text)


def found(home: Path, path: str = NOWHERE, **more: str) -> finding.Found:
    """Find claude in an environment of that PATH."""
    return finding.find({"PATH": path, "HOME": str(home)} | more)


def test_the_first_on_path_is_the_one(home: Path, tmp_path: Path) -> None:
    first, _second = lay(tmp_path / "a"), lay(tmp_path / "b")
    lay(home / ".local" / "bin")
    assert found(home, f"{tmp_path}/a:{tmp_path}/b") == (str(first), True, ())
    assert claude_code.find_claude({"PATH": f"{tmp_path}/a", "HOME": str(home)}) == str(first)


def test_a_claude_of_the_current_folder_is_never_started(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be given the key."""
    lay(tmp_path / "project", f"#!/bin/sh\necho ran > {tmp_path}/ran\n")
    monkeypatch.chdir(tmp_path / "project")
    assert cli("add", "work", "--key", "-", stdin="sk-ant-api03-" + "k" * 60).returncode == 0
    for path in (f":{NOWHERE}", f".:{NOWHERE}", f"{NOWHERE}::", f"./:{NOWHERE}", ""):
        for command in (("launch", "work"), ("exec", "work", "--", "claude")):
            assert cli(*command, env={"PATH": path}).returncode == 127
    assert not (tmp_path / "ran").exists()


def test_a_tilde_is_understood_and_a_relative_entry_is_not(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tilde, _relative = lay(home / "tools"), lay(tmp_path / "project" / "node_modules" / ".bin")
    monkeypatch.chdir(tmp_path / "project")
    assert found(home, f"~/tools:{NOWHERE}").path == str(tilde)
    assert found(home, f"node_modules/.bin:~/tools:{NOWHERE}").path == str(tilde)


def test_a_claude_starts_no_interpreter_of_the_current_folder(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be given the key: the claude that npm installs begins with `#!/usr/bin/env node`."""
    lay(tmp_path / "bin", "#!/usr/bin/env some-node\n")
    project = tmp_path / "project"
    project.mkdir()
    write_program(project / "some-node", f"#!/bin/sh\necho ran > {tmp_path}/ran\n")
    monkeypatch.chdir(project)
    assert cli("add", "work", "--key", "-", stdin="sk-ant-api03-" + "k" * 60).returncode == 0
    for path in (f":{tmp_path}/bin:/usr/bin", f".:{tmp_path}/bin:/usr/bin", f"{tmp_path}/bin:/usr/bin:"):
        for command in (("launch", "work"), ("exec", "work", "--", "claude"), ("doctor",)):
            cli(*command, env={"PATH": path})
    assert not (tmp_path / "ran").exists()
    assert "PATH names folders" in cli("doctor", env={"PATH": f".:{tmp_path}/bin:/usr/bin"}).stdout


@pytest.mark.parametrize(
    ("folder", "more"),
    [
        (".local/bin", {}),
        (".claude/local", {}),
        (".npm-global/bin", {}),
        ("elsewhere/local", {"CLAUDE_CONFIG_DIR": "{home}/elsewhere"}),
        ("prefix/bin", {"npm_config_prefix": "{home}/prefix"}),
        ("prefix/bin", {"NPM_CONFIG_PREFIX": "~/prefix"}),
    ],
)
def test_it_is_found_where_installers_put_it(home: Path, folder: str, more: dict[str, str]) -> None:
    path = lay(home / folder)
    environ = {name: value.format(home=home) for name, value in more.items()}
    assert found(home, **environ) == (str(path), False, ())


@pytest.mark.parametrize(
    "line", ["prefix={home}/mine", "prefix = ~/mine", 'prefix="${{HOME}}/mine"', "prefix='{home}/mine'"]
)
def test_the_prefix_of_npm_is_read_and_npm_is_not_started(home: Path, line: str) -> None:
    (home / ".npmrc").write_text(f"registry=https://x.example\n{line.format(home=home)}\n")
    path = lay(home / "mine" / "bin")
    assert found(home).path == str(path)


def test_where_everybodys_programs_lie_is_looked_at_last(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "/usr/local/bin" in (PROJECT / "claude" / "finding.py").read_text()
    monkeypatch.setattr(finding, "EVERYBODYS", (str(tmp_path / "brew"),))
    everybodys = lay(tmp_path / "brew")
    assert found(home) == (str(everybodys), False, ())
    own = lay(home / ".local" / "bin")
    assert found(home).path == str(own)


def test_without_one_claudes_own_installer_is_named_first(home: Path) -> None:
    """CLI-06"""
    with pytest.raises(ClaudeMissing) as missing:
        found(home)
    assert missing.value.exit_code == 127
    hint = missing.value.hint
    assert hint.startswith("curl -fsSL https://claude.ai/install.sh | bash")
    assert "npm install -g @anthropic-ai/claude-code" in hint


def broken(place: str, folder: Path) -> str:
    """Lay something at `claude` that cannot be started, and return a word of what is told of it."""
    path = folder / "claude"
    if place == "folder":
        path.mkdir()
        return "folder"
    if place == "broken link":
        path.symlink_to("gone")
        return "gone"
    if place == "empty":
        path.touch(0o755)
        return "empty"
    write_program(path, CLAUDE).chmod(0o644)
    return "not executable"


@pytest.mark.parametrize("place", ["folder", "broken link", "empty", "closed"])
def test_what_cannot_be_started_is_told_and_a_good_one_behind_it_is_used(
    home: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "a").mkdir()
    word = broken(place, tmp_path / "a")
    with pytest.raises(ClaudeMissing, match=word) as missing:
        found(home, f"{tmp_path}/a")
    assert str(tmp_path / "a" / "claude") in missing.value.message
    assert ("chmod +x" in missing.value.hint) == (place == "closed")
    good = lay(tmp_path / "b")
    path, on_path, passed = found(home, f"{tmp_path}/a:{tmp_path}/b")
    assert (path, on_path) == (str(good), True) and word in passed[0][1]


OURS = [
    'exec claude-accounts launch work "$@"',
    'claude-accounts launch work "$@"',
    '"/opt/tools/claude-accounts" run work "$@"',
    "exec {cli} launch work",
    'exec {python} {cli} launch work "$@"',
    'exec python3 -m claude_accounts launch work "$@"',
    '. ~/.claude-accounts/aliases.sh; claude-work "$@"',
]


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash", "/usr/bin/env dash"])
@pytest.mark.parametrize("line", OURS)
def test_a_wrapper_that_starts_us_again_is_passed_over(home: Path, tmp_path: Path, shell: str, line: str) -> None:
    text = line.format(cli=PROJECT / "cli.py", python=sys.executable)
    lay(tmp_path / "a", f"#!{shell}\n# the account of this machine\n{text}\n")
    good = lay(tmp_path / "b")
    path, _on_path, passed = found(home, f"{tmp_path}/a:{tmp_path}/b")
    assert path == str(good) and len(passed) == 1
    with pytest.raises(ClaudeMissing, match="starts this program again"):
        found(home, f"{tmp_path}/a")


def test_a_link_to_us_is_passed_over(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for target in (PROJECT / "cli.py", write_program(tmp_path / "claude-accounts", "#!/bin/sh\n")):
        (tmp_path / "a" / "claude").unlink(missing_ok=True)
        (tmp_path / "a" / "claude").symlink_to(target)
        with pytest.raises(ClaudeMissing):
            found(home, f"{tmp_path}/a")


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\n# not by claude-accounts launch work\nexec /opt/claude\n",
        "#!/bin/sh\ncd ~/claude-accounts && exec /opt/x run\n",
    ],
)
def test_a_wrapper_of_another_kind_is_the_users_wish(home: Path, tmp_path: Path, text: str) -> None:
    path = lay(tmp_path / "a", text)
    assert found(home, f"{tmp_path}/a").path == str(path)


def test_a_wrapper_of_ours_does_not_go_round_for_ever(cli: Cli, tmp_path: Path) -> None:
    cli("add", "work", "--key", "-", stdin="sk-ant-api03-" + "k" * 60)
    lay(tmp_path / "a", f'#!/bin/sh\nexec {" ".join(command_line())} launch work "$@"\n')
    lay(tmp_path / "b", "#!/bin/sh\necho started\n")
    assert cli("launch", "work", env={"PATH": f"{tmp_path}/a:{tmp_path}/b:{NOWHERE}"}).stdout == "started\n"


def test_doctor_names_a_place_that_path_does_not_and_what_was_passed_over(cli: Cli, home: Path, tmp_path: Path) -> None:
    path = lay(home / ".local" / "bin")
    (tmp_path / "a").mkdir()
    broken("closed", tmp_path / "a")
    told = cli("doctor", env={"PATH": f"{tmp_path}/a:{NOWHERE}"}).stdout
    assert f"{path} is used" in told and f'export PATH={path.parent}:"$PATH"' in told
    assert f"{tmp_path}/a/claude is passed over: it is not executable" in told


def test_doctor_tells_a_claude_that_is_another_program(cli: Cli, tmp_path: Path) -> None:
    lay(tmp_path / "a", "#!/bin/sh\necho 'claude 1.2.3, a notebook'\n")
    told = cli("doctor", env={"PATH": f"{tmp_path}/a:{NOWHERE}"}).stdout
    assert "does not say that it is Claude Code" in told


def test_exec_starts_what_was_named_by_its_path(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("add", "work", "--key", "-", stdin="sk-ant-api03-" + "k" * 60)
    monkeypatch.chdir(tmp_path)
    write_program(tmp_path / "tool", '#!/bin/sh\necho "$0 $1"\n')
    assert cli("exec", "work", "--", "./tool", "x", env={"PATH": f".:{NOWHERE}"}).stdout == "./tool x\n"
    assert_fails_cleanly(cli("exec", "work", "--", "tool", env={"PATH": f".:{NOWHERE}"}), "no program tool", code=127)
    shutil.copy(tmp_path / "tool", home_bin := Path(os.environ["HOME"]) / "tool")
    assert cli("exec", "work", "--", "tool", "y", env={"PATH": f"~:{NOWHERE}"}).stdout == f"{home_bin} y\n"

"""The shells' own start files, read by the shells themselves: what we put there reaches who should and harms none."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import PROJECT, Cli, assert_fails_cleanly, lack, write_program
from test_prompts import person
from warm import DEADLINE

from claude_accounts import db
from claude_accounts.install import aliases as shell_aliases, rc_files, shells

KEY = "sk-ant-api03-" + "k" * 60
GONE = ["/nowhere/venv/bin/python", "-Es", "/nowhere/cli.py"]
# Shells that are neither bash nor zsh, and bash where it plays one.
OTHERS = {
    "dash": ["dash"],
    "busybox": ["busybox", "sh"],
    "ksh93": ["ksh93"],
    "mksh": ["mksh"],
    "yash": ["yash"],
    "posix": ["bash", "--posix"],
    "sh": ["bash-as-sh"],
}


def _shell(words: list[str], script: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*words, script],
        cwd=home,
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        start_new_session=True,
    )


@pytest.mark.parametrize("kind", shell_aliases.SHELLS)
@pytest.mark.parametrize("elsewhere", ["on PATH", "nowhere", "in the current folder"])
def test_where_the_program_has_gone_the_function_finds_another_or_says_so(
    kind: str, elsewhere: str, home: Path, program_folder: Path
) -> None:
    script = home / "aliases"
    script.write_text(shell_aliases.alias_script(["work"], kind, program=GONE))
    place = home if elsewhere == "in the current folder" else program_folder
    if elsewhere != "nowhere":
        write_program(place / "claude-accounts", '#!/bin/sh\necho "ran $*"\nexit 7\n')
    path = f".:{os.environ['PATH']}" if place == home else os.environ["PATH"]
    options = {"bash": ["--norc", "-O", "expand_aliases"], "zsh": ["-f"], "fish": ["--no-config"]}[kind]
    status = "$status" if kind == "fish" else "$?"
    words = f"source '{script}'\neval 'claude-work a b'\necho {status}"
    said = _shell([kind, *options, "-c"], words, home, PATH=path, CLAUDE_ACCOUNTS_LANG="fr")
    if elsewhere == "on PATH":
        assert said.stdout == "ran launch work a b\n7\n" and said.stderr == "", said
    else:
        assert said.stdout == "127\n", said
        assert "claude-accounts: erreur : ce que ce shell démarre a disparu : /nowhere/venv/bin/python" in said.stderr
        assert len(said.stderr.splitlines()) == 2
    english = _shell([kind, *options, "-c"], words, home, PATH=path, CLAUDE_ACCOUNTS_LANG="").stderr
    assert ("what this shell starts is gone" in english) == (elsewhere != "on PATH")


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("line", ["ours", "of an earlier version"])
def test_another_shell_that_reads_the_same_files_is_not_stopped(
    kind: str, line: str, home: Path, cli: Cli, tmp_path: Path
) -> None:
    """A graphical sign-in reads .profile by whatever /bin/sh is; an error there throws the person back."""
    words = OTHERS[kind]
    if kind == "sh":
        (tmp_path / "as").mkdir()
        (tmp_path / "as" / "sh").symlink_to(shutil.which("bash") or "")
        words = [str(tmp_path / "as" / "sh")]
    (home / ".profile").write_text(". ~/.bashrc\necho signed in\n")
    (home / ".bashrc").write_text("echo mine\n")
    db.add_account("work", db.API_KEY, api_key=KEY)
    assert cli("install", env={"SHELL": "/bin/bash"}).returncode == 0
    if line == "of an earlier version":
        content = (home / ".bashrc").read_bytes()
        path = shell_aliases.alias_path("bash").encode()
        old = b"if [ -r " + path + b" ]; then . " + path + b"; fi"
        (home / ".bashrc").write_bytes(content.replace(rc_files.posix_line(), old))
        assert old in (home / ".bashrc").read_bytes()
    finished = _shell([*words, "-c"], "set -e; . ~/.profile; echo on", home)
    assert (finished.stdout, finished.stderr) == ("mine\nsigned in\non\n", ""), finished
    assert cli("install", env={"SHELL": "/bin/bash"}).returncode == 0
    assert rc_files.posix_line() in (home / ".bashrc").read_bytes()
    cli("uninstall")
    assert (home / ".bashrc").read_text() == "echo mine\n"


STOCK = 'if [ -n "$BASH_VERSION" ]; then\n    if [ -f "$HOME/.bashrc" ]; then\n\t. "$HOME/.bashrc"\n    fi\nfi\n'
BASH_FORMS: dict[str, dict[str, str]] = {
    "nothing at all": {},
    "a profile without bashrc": {".profile": "export A=1\n"},
    "bash_login": {".bash_login": "A=1", ".profile": STOCK},
    "a comment": {".bash_profile": "# see ~/.bashrc; . ~/.bashrc\nA=1 # . ~/.bashrc\n", ".bashrc": "A=2\n"},
    "the system's own": {".bash_profile": ". /etc/bashrc 2>/dev/null\n"},
    "carriage returns": {".bash_profile": "A=1\r\n", ".bashrc": "alias ll='ls'\r\n"},
    "stock": {".profile": STOCK, ".bashrc": "A=1\n"},
    "by another one": {".bash_profile": '[ -r ~/.profile ] && source "${HOME}"/.profile\n', ".profile": STOCK},
    "in a branch not taken": {".bash_profile": "if false; then . ~/.bashrc; fi\n"},
}
KNOWS = "command -v _claude_accounts_forget >/dev/null && echo knows"


def _files(home: Path) -> dict[str, bytes]:
    ours = (".local", ".cache", ".claude-accounts")
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.relative_to(home).parts[0] not in ours
    }


def _dry_run_and_install(cli: Cli, home: Path, **environ: str) -> str:
    """Install, check that the dry run said so exactly, and return what the install said."""
    before = _files(home)
    said = cli("install", "--dry-run", env=environ).stdout
    assert _files(home) == before and not (home / ".claude-accounts").exists()
    named = set(re.findall(r"^\+\+\+ (\S+)$|^(\S+) would be written$", said, re.MULTILINE))
    finished = cli("install", env=environ)
    assert finished.returncode == 0, finished
    after = _files(home)
    written = {str(home / name) for name in after if after[name] != before.get(name)}
    written |= {str(path) for path in (home / ".claude-accounts").glob("aliases.*")}
    assert {first or second for first, second in named} == written
    assert "nothing would change" in cli("install", "--dry-run", env=environ).stderr
    return finished.stderr


@pytest.mark.parametrize("form", BASH_FORMS)
def test_a_new_bash_has_the_aliases_however_its_files_are_kept(form: str, home: Path, cli: Cli) -> None:
    for name, content in BASH_FORMS[form].items():
        (home / name).write_bytes(content.encode())
    before = _files(home)
    said = _dry_run_and_install(cli, home, SHELL="/bin/bash")
    reached = [_shell(["bash", *way, "-i", "-c"], KNOWS, home).stdout.endswith("knows\n") for way in ([], ["-l"])]
    if form == "in a branch not taken":
        # Words cannot tell; the shell itself did, and what is missing is named.
        assert reached == [True, False] and "not in login shells" in said
        assert f"add this line to {home}/.bash_profile: {rc_files.posix_line().decode()}" in said
        with (home / ".bash_profile").open("ab") as file:
            file.write(rc_files.posix_line() + b"\n")
        assert "✓ bash: works in new shells" in cli("install", env={"SHELL": "/bin/bash"}).stderr
        return
    assert reached == [True, True] and "✓ bash: works in new shells" in said, said
    if form in ("stock", "by another one"):
        assert (home / ".profile").read_text() == STOCK, "what reads .bashrc already stays as it is"
    cli("uninstall", env={"SHELL": "/bin/bash"})
    assert _files(home) == before


def test_zsh_is_asked_for_its_folder(home: Path, cli: Cli) -> None:
    """.zshenv names it, and tells nobody else."""
    (home / ".zshenv").write_text("echo hello\nZDOTDIR=$HOME/in/zsh\n")
    (home / "in" / "zsh").mkdir(parents=True)
    said = _dry_run_and_install(cli, home, SHELL=shutil.which("zsh") or "")
    assert "✓ zsh: works in new shells" in said and not (home / ".zshrc").exists()
    assert rc_files.posix_line() in (home / "in" / "zsh" / ".zshrc").read_bytes()
    checks = json.loads(cli("doctor", "--json", env={"SHELL": "/bin/zsh"}).stdout)["checks"]
    assert "zsh: works in new shells" in [check["message"] for check in checks]
    # A line where zsh does not look is no installation.
    (home / ".zshenv").write_text("ZDOTDIR=$HOME/elsewhere\n")
    checks = json.loads(cli("doctor", "--json", env={"SHELL": "/bin/zsh"}).stdout)["checks"]
    assert [check["message"] for check in checks if check["name"] == "aliases"][0] == "out of date"
    (home / ".zshenv").write_text("echo hello\nZDOTDIR=$HOME/in/zsh\n")
    cli("uninstall")
    assert set(_files(home)) == {".zshenv"}


def test_fish_gets_its_file_only_where_fish_is_used(home: Path, cli: Cli) -> None:
    (home / ".bashrc").write_text("")
    _dry_run_and_install(cli, home, SHELL="/bin/bash")
    assert shutil.which("fish") and not (home / ".config").exists()
    (home / ".config" / "fish").mkdir(parents=True)
    assert "✓ fish: works in new shells" in cli("install", env={"SHELL": "/bin/bash"}).stderr
    shutil.rmtree(home / ".config")
    chosen = {"SHELL": "/usr/bin/fish", "XDG_CONFIG_HOME": str(home / "settings")}
    assert "✓ fish: works in new shells" in cli("install", env=chosen).stderr
    assert not (home / ".config").exists()


@pytest.mark.parametrize("kind", ["ksh93", "mksh", "yash", "dash", "busybox", "nu", "tcsh"])
def test_each_shell_is_judged_by_itself(kind: str, home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other shells that work, and before and after the line that it says is added where it says."""
    path = shutil.which(kind)
    if kind == "nu" and path is None:
        pytest.skip("no nushell here")
    (home / ".config" / "fish").mkdir(parents=True)
    monkeypatch.delenv("ENV", raising=False)
    environ = {"SHELL": path or "/bin/tcsh"}
    if kind in ("dash", "busybox"):
        environ["ENV"] = str(home / "my rc")
    cli("install", env=environ)
    for said in (cli("install", env=environ).stderr, cli("doctor", env=environ).stdout):
        assert "fish: works in new shells" in said, said
        if kind == "tcsh":
            assert "tcsh: there are no aliases for this shell; what it starts: " in said
            continue
        name = {"ksh93": "ksh", "busybox": "ash"}.get(kind, kind)
        assert f"{name}: does not work in new shells" in said
        missing = re.search(r"add this line to (.+?): (alias .+)$", said, re.MULTILINE)
        assert missing, said
    if kind != "tcsh":
        Path(missing[1]).parent.mkdir(parents=True, exist_ok=True)  # type: ignore[index]
        Path(missing[1]).write_text(missing[2] + "\n")  # type: ignore[index]
        assert f"✓ {name}: works in new shells" in cli("install", env=environ).stderr


@pytest.mark.parametrize(
    ("rc", "answer"),
    [
        (b"echo hello; printf '<%s>' \"$PS1\"\n", True),
        (b"read -p 'Update? [y/N] ' answer\n", True),
        (b"# caf\xe9 \xff\nalias a='b'\r\n", True),
        (b"case $- in *i*) ;; *) return ;; esac\n", True),
        (b'[ -n "$TMUX" ] || exec cat\n', True),
        (b"set -eu\nfalse || :\n", True),
        (b"alias a='b' \\\n", True),
        (b"alias a='b' \\", True),
        (b"return\n", False),
        (b"[ -t 0 ] || exec cat\n", None),
        (b"exit 3\n", None),
        (b"sleep 1000\n", None),
    ],
)
def test_what_stands_in_a_start_file_above_our_line(
    rc: bytes, answer: bool | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if b"sleep" in rc:
        monkeypatch.setattr(shells, "SECONDS", 0.2)
    (home / ".bashrc").write_bytes(rc)
    environ = os.environ | {"SHELL": shutil.which("bash") or ""}
    rc_files.install([], environ)
    (found,) = rc_files.standings(environ)
    assert found.interactive is answer and found.works() is bool(answer)
    assert bool(found.remedy()) is (answer is not True)
    assert ("no answer" in found.told()) == (answer is None)
    rc_files.apply(rc_files.plan_uninstall(environ))
    assert (home / ".bashrc").read_bytes() == rc


def test_a_shell_that_is_asked_has_no_terminal(home: Path) -> None:
    (home / ".bashrc").write_text(
        f"if : 2>/dev/null </dev/tty; then touch {home}/had-one; fi; touch {home}/was-asked\n"
    )
    with person("install") as somebody:
        assert somebody.waits() == 0, somebody.seen
    assert (home / "was-asked").exists() and not (home / "had-one").exists()


def test_a_start_file_that_something_else_makes_holds_up_no_other_shell(home: Path, cli: Cli) -> None:
    """As of home-manager: a link to what nobody can write."""
    (home / ".bashrc").symlink_to("/dev/null")
    (home / ".zshrc").write_text("")
    finished = cli("install", env={"SHELL": "/bin/zsh"})
    assert finished.returncode == 1 and "cannot write" in finished.stderr and ".bashrc" in finished.stderr
    assert "✓ zsh: works in new shells" in finished.stderr
    assert os.readlink(home / ".bashrc") == "/dev/null"


def test_dotfiles_on_a_disk_that_is_not_there_hold_up_no_other_shell(home: Path, cli: Cli) -> None:
    (home / ".bashrc").symlink_to(home / "disk" / "bashrc")
    (home / ".zshrc").write_text("")
    finished = cli("install", env={"SHELL": "/bin/bash"})
    assert finished.returncode == 1 and f"is a link to {home / 'disk' / 'bashrc'}" in finished.stderr, finished
    assert "✓ zsh: works in new shells" in finished.stderr and not (home / "disk").exists()
    assert cli("uninstall").returncode == 0 and (home / ".zshrc").read_text() == ""


def test_what_is_proposed_for_this_shell_can_be_typed_there(
    home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = home / "it's a $HOME"
    monkeypatch.setenv("CLAUDE_ACCOUNTS_HOME", str(place))
    for kind in ("bash", "fish"):
        path = shutil.which(kind) or lack(f"no {kind} here")
        said = re.search(r"Use them now: (.+)$", cli("install", env={"SHELL": path}).stderr, re.MULTILINE)
        assert said
        typed = subprocess.run([path, "-c", f"{said[1]}\nclaude-accounts --version"], capture_output=True, text=True)
        assert typed.returncode == 0 and "claude-accounts 0" in typed.stdout, typed
    for other in ("/bin/ksh", "/bin/dash", "/bin/tcsh", "/usr/bin/nu"):
        assert "Use them now" not in cli("install", env={"SHELL": other}).stderr


def test_a_path_that_no_line_can_name_is_refused_before_anything_is_written(
    home: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".bashrc").write_text("a=1\n")
    monkeypatch.setenv("CLAUDE_ACCOUNTS_HOME", str(home / "two\nlines"))
    for words in (["install"], ["install", "--dry-run"]):
        assert_fails_cleanly(cli(*words), "two\\nlines", "line break")
    assert (home / ".bashrc").read_text() == "a=1\n" and not (home / "two\nlines").exists()


def test_an_uninstall_says_what_stays_and_where(home: Path, cli: Cli) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    (home / ".cache" / "claude-accounts").mkdir(parents=True)
    said = cli("uninstall").stderr
    for place in (home / ".claude-accounts", home / ".cache" / "claude-accounts", PROJECT):
        assert f"rm -r {place}" in said
    assert (home / ".claude-accounts" / "accounts.db").exists() and "~/.claude are as they were" in said
    assert "rm -r" not in cli("uninstall", "--dry-run").stderr
    shutil.rmtree(home / ".claude-accounts")
    assert "for good" not in cli("uninstall").stderr

"""The shells' own start files, read by the shells themselves: what we put there reaches who should and harms none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Cli, write_program
from warm import DEADLINE

from claude_accounts import db
from claude_accounts.install import aliases as shell_aliases, rc_files

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

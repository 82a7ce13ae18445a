"""Aliases and completion in real shells: they start the right account, hold no secret and run nothing by themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from conftest import NAMELESS, Cli, assert_fails_cleanly, write_program
from hypothesis import HealthCheck, example, given, settings, strategies as st

from claude_accounts import db
from claude_accounts.install import aliases as shell_aliases, rc_files
from claude_accounts.messages import StorageFailed

KEY = "sk-ant-api03-" + "k" * 60
HOSTILE = ["x;touch PWNED;#", "$(touch PWNED)", "`touch PWNED`", "a\ntouch PWNED", "'; touch PWNED; '"]
HOSTILE += ["a b", "été", "accounts"]


@pytest.fixture
def claude(program_folder: Path) -> Path:
    """Install a claude that says which account it was given."""
    return write_program(program_folder / "claude", NAMELESS + 'echo "$CLAUDE_ACCOUNT $ANTHROPIC_API_KEY $*"\n')


def run_in(kind: str, script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as an interactive user's shell would, so that aliases count."""
    argv = {
        "bash": ["bash", "--norc", "-O", "expand_aliases", "-c"],
        "zsh": ["zsh", "-f", "-c"],
        "fish": ["fish", "--no-config", "-c"],
    }[kind]
    return subprocess.run(
        [*argv, script], cwd=cwd, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize("kind", shell_aliases.SHELLS)
def test_an_alias_starts_claude_with_that_accounts_credential(
    kind: str, cli: Cli, claude: Path, tmp_path: Path
) -> None:
    """INP-06"""
    db.add_account("work", db.API_KEY, api_key=KEY)
    db.add_account("home", db.API_KEY, api_key=KEY + "2")
    cli("install")
    # Aliases count from the next line that is read on; eval is such a line.
    finished = run_in(kind, f"source '{shell_aliases.alias_path(kind)}'\neval 'claude-home -p \"two words\"'", tmp_path)
    assert finished.stdout == f"home {KEY}2 -p two words\n", finished.stderr


@pytest.mark.parametrize("kind", shell_aliases.SHELLS)
def test_aliases_follow_in_the_same_shell(kind: str, cli: Cli, claude: Path, tmp_path: Path) -> None:
    db.add_account("old", db.API_KEY, api_key=KEY)
    cli("install")
    script = (
        f"source '{shell_aliases.alias_path(kind)}'\neval 'claude-accounts rename old new'\n"
        "eval 'claude-new hello'\neval 'claude-old hello'"
    )
    finished = run_in(kind, script, tmp_path)
    assert finished.stdout == f"new {KEY} hello\n"
    assert "claude-old" in finished.stderr


@pytest.mark.parametrize("kind", shell_aliases.SHELLS)
def test_the_function_passes_the_exit_code_on(kind: str, cli: Cli, program_folder: Path, tmp_path: Path) -> None:
    write_program(program_folder / "claude", NAMELESS + "exit 7\n")
    db.add_account("work", db.API_KEY, api_key=KEY)
    cli("install")
    status = "$status" if kind == "fish" else "$?"
    finished = run_in(kind, f"source '{shell_aliases.alias_path(kind)}'\neval 'claude-work'\necho {status}", tmp_path)
    assert finished.stdout.strip() == "7"


def test_aliases_hold_no_secret(cli: Cli) -> None:
    """SEC-11"""
    db.add_account("work", db.API_KEY, api_key=KEY)
    for kind in shell_aliases.SHELLS:
        printed = cli("aliases", "--shell", kind).stdout
        assert "launch work" in printed and "sk-ant" not in printed


@pytest.mark.parametrize("kind", shell_aliases.SHELLS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_runs_nothing_and_gets_no_alias(kind: str, name: str, tmp_path: Path) -> None:
    """INP-05"""
    script = tmp_path / "aliases"
    script.write_text(shell_aliases.alias_script([name, "good"], kind))
    finished = run_in(kind, f"source '{script}'", tmp_path)
    assert finished.returncode == 0 and finished.stderr == ""
    assert not (tmp_path / "PWNED").exists()
    assert "# no alias for " in script.read_text()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=12) | st.sampled_from(HOSTILE), max_size=4))
def test_no_list_of_names_makes_a_script_do_anything(tmp_path: Path, names: list[str]) -> None:
    script = tmp_path / "aliases"
    script.write_text(shell_aliases.alias_script(names, "bash"))
    finished = run_in("bash", f"set -e; source '{script}'; compgen -a || :; touch {tmp_path}/reached", tmp_path)
    assert finished.stderr == "" and (tmp_path / "reached").exists() and not (tmp_path / "PWNED").exists()
    defined = set(finished.stdout.split())
    plain = {name for name in names if re.fullmatch("[a-z0-9][a-z0-9-]*", name)} - {"accounts"}
    assert defined == {f"claude-{name}" for name in plain}


def test_sourcing_starts_no_python(cli: Cli, tmp_path: Path, program_folder: Path) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    script = tmp_path / "aliases"
    text = shell_aliases.alias_script(["work"], "bash")
    stand_in = write_program(program_folder / "py", "#!/bin/sh\ntouch RAN\n")
    script.write_text(text.replace(shell_aliases.launcher()[0], str(stand_in)))
    run_in("bash", f"source '{script}'", tmp_path)
    assert not (tmp_path / "RAN").exists()


def test_completion_in_bash(cli: Cli, tmp_path: Path) -> None:
    db.add_account("perso", db.API_KEY, api_key=KEY)
    script = tmp_path / "aliases"
    script.write_text(shell_aliases.alias_script(["perso"], "bash"))
    for words, expected in (("la", "launch"), ("launch p", "perso"), ("export --out", "--output")):
        count = len(words.split())
        finished = run_in(
            "bash",
            f"source '{script}'; COMP_WORDS=(claude-accounts {words}); COMP_CWORD={count};"
            " _claude_accounts_complete; echo ${COMPREPLY[@]}",
            tmp_path,
        )
        assert finished.stdout.strip() == expected, finished.stderr


def test_completion_in_fish(cli: Cli, tmp_path: Path) -> None:
    db.add_account("perso", db.API_KEY, api_key=KEY)
    script = tmp_path / "aliases"
    script.write_text(shell_aliases.alias_script(["perso"], "fish"))
    finished = run_in("fish", f"source '{script}'; complete -C 'claude-accounts launch p'", tmp_path)
    assert finished.stdout.split() == ["perso"], finished.stderr


def test_completion_in_zsh(cli: Cli, tmp_path: Path) -> None:
    db.add_account("perso", db.API_KEY, api_key=KEY)
    script = tmp_path / "aliases"
    script.write_text(shell_aliases.alias_script(["perso"], "zsh"))
    # compadd works only inside the line editor; a stand-in shows what the function hands to it.
    finished = run_in(
        "zsh",
        "autoload -Uz compinit; compinit -u -d $PWD/dump; "
        f"source '{script}'; compadd() {{ print -r -- $@ }}; words=(claude-accounts launch p); CURRENT=3;"
        " $_comps[claude-accounts]",
        tmp_path,
    )
    assert finished.stdout.split() == ["--", "perso"], finished.stderr


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("bash", "set -euo pipefail; shopt -s failglob nullglob nocasematch; IFS=:"),
        ("zsh", "setopt nounset errexit warn_create_global ksh_arrays sh_word_split null_glob no_aliases"),
        ("zsh", "emulate ksh"),
    ],
)
def test_the_options_that_a_person_has_set_stop_nothing(kind: str, options: str, cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "aliases"
    script.write_text(shell_aliases.alias_script(["work"], kind))
    finished = run_in(kind, f"{options}; . '{script}'; claude-accounts --version", tmp_path)
    assert (finished.stdout[:16], finished.stderr) == ("claude-accounts ", ""), finished


def test_every_completion_script_parses(cli: Cli, tmp_path: Path) -> None:
    for kind in shell_aliases.SHELLS:
        text = cli("completion", kind).stdout
        (tmp_path / kind).write_text(text)
        assert text and run_in(kind, f"source '{tmp_path / kind}'", tmp_path).returncode == 0


def _files(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "content", [b"", b"one\n", b"no newline", b"crlf\r\nlines\r\n", b"\xff\xfe latin \xe9", b"\n\n\n", b"x\n\n"]
)
def test_uninstall_restores_byte_for_byte_and_twice_is_once(home: Path, cli: Cli, content: bytes) -> None:
    """FS-05"""
    for name in (".bashrc", ".zshrc"):
        (home / name).write_bytes(content)
        (home / name).chmod(0o640)
    assert cli("install").returncode == 0
    once = _files(home)
    assert cli("install").returncode == 0
    assert _files(home) == once and once[".bashrc"].startswith(content) and once[".bashrc"] != content
    assert (home / ".bashrc").stat().st_mode & 0o777 == 0o640
    assert cli("uninstall").returncode == 0
    assert _files(home) == {".bashrc": content, ".zshrc": content}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode), st.binary(max_size=20))
@example(b"alias a=b \\\n", b"").via("a last line that goes on")
@example(b"alias a=b \\\n", b"more")
@example(b"alias a=b \\", b"")
@example(b"alias a=b \\", b"more")
def test_lines_typed_after_the_install_survive_the_uninstall(home: Path, before: bytes, after: bytes) -> None:
    path = home / ".bashrc"
    path.write_bytes(before)
    rc_files.apply(rc_files.plan_install({"PATH": ""}))
    path.write_bytes(path.read_bytes() + after)
    rc_files.apply(rc_files.plan_uninstall({"PATH": ""}))
    # What had no line break at its end got one, what ends in a backslash one more; they stay where they part two lines.
    parted = (not before.endswith(b"\n")) + before.endswith((b"\\", b"\\\n")) if after and before else 0
    assert path.read_bytes() == before + b"\n" * parted + after


def test_a_dry_run_shows_the_change_and_makes_none(home: Path, cli: Cli) -> None:
    (home / ".bashrc").write_text("mine\n")
    finished = cli("install", "--dry-run", env={"PATH": ""})
    assert "+if [ -n " in finished.stdout and _files(home) == {".bashrc": b"mine\n"}


def test_a_linked_rc_file_stays_a_link(home: Path, cli: Cli) -> None:
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "bashrc").write_text("mine\n")
    (home / ".bashrc").symlink_to("dotfiles/bashrc")
    cli("install")
    assert (home / ".bashrc").is_symlink() and "claude-accounts" in (home / "dotfiles" / "bashrc").read_text()
    cli("uninstall")
    assert (home / ".bashrc").is_symlink() and (home / "dotfiles" / "bashrc").read_text() == "mine\n"


def test_only_the_users_shells_are_touched_and_the_login_shells_file_is_made(home: Path, cli: Cli) -> None:
    folder = home / "bin"
    folder.mkdir()
    cli("install", env={"SHELL": "/bin/zsh", "PATH": str(folder)})
    assert (home / ".zshrc").exists() and not (home / ".bashrc").exists() and not (home / ".config").exists()
    cli("uninstall", env={"SHELL": "/bin/zsh", "PATH": str(folder)})
    assert not (home / ".zshrc").exists()


def test_the_rc_line_survives_a_missing_alias_file(home: Path, cli: Cli, tmp_path: Path) -> None:
    (home / ".bashrc").write_text("")
    cli("install")
    os.unlink(shell_aliases.alias_path("bash"))
    finished = run_in("bash", "source ~/.bashrc; echo $?", tmp_path)
    assert (finished.stdout, finished.stderr) == ("0\n", "")


def test_a_new_login_shell_has_the_aliases(home: Path, cli: Cli, claude: Path, tmp_path: Path) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    cli("install", env={"SHELL": "/bin/bash"})
    script = "claude-work from-rc\nexit\n"
    finished = subprocess.run(
        ["bash", "-i"], input=script, cwd=tmp_path, capture_output=True, text=True, timeout=60, start_new_session=True
    )
    assert f"work {KEY} from-rc" in finished.stdout, finished.stderr


def test_the_shells_are_here() -> None:
    assert all(shutil.which(kind) for kind in shell_aliases.SHELLS)


def test_an_alias_file_of_another_place_goes_on_starting_what_it_did(home: Path, cli: Cli) -> None:
    """A container shares the data folder under another path: what it adds must not point the host's shells at it."""
    db.add_account("work", db.API_KEY, api_key=KEY)
    cli("install")
    host, program = (
        "/home/me/.claude-accounts/aliases.sh",
        ["/home/me/project/venv/bin/python", "/home/me/project/cli.py"],
    )
    path = home / ".claude-accounts" / "aliases.sh"
    path.write_text(shell_aliases.alias_script(["work"], "bash", path=host, program=program))
    assert cli("rename", "work", "office").returncode == 0
    assert path.read_text() == shell_aliases.alias_script(["office"], "bash", path=host, program=program)
    assert str(home) not in path.read_text()


@pytest.mark.parametrize("line", ["", "# For: nonsense", "# For: {}", "# For: []", '# For: {"path": 1, "program": 2}'])
def test_an_alias_file_that_says_no_place_is_written_for_this_one(home: Path, cli: Cli, line: str) -> None:
    cli("install")
    path = home / ".claude-accounts" / "aliases.sh"
    path.write_text(line + "\n")
    shell_aliases.rewrite_aliases(["new"])
    assert path.read_text() == shell_aliases.alias_script(["new"], "bash")


def test_nothing_is_written_where_no_alias_file_is_installed(home: Path, cli: Cli) -> None:
    cli("add", "work", "--key", KEY)
    assert not (home / ".claude-accounts" / "aliases.sh").exists()


@pytest.mark.parametrize("kind", shell_aliases.SHELLS)
def test_odd_folders_are_quoted(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder may hold what a shell would expand, and bytes that are no UTF-8."""
    folder = os.path.join(tmp_path, os.fsdecode(b"it's $(touch PWNED) \\ caf\xe9"))
    monkeypatch.setenv("CLAUDE_ACCOUNTS_HOME", folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SHELL", "/bin/bash")
    environ = {"SHELL": f"/bin/{kind}", "PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(tmp_path / "config")}
    changes = rc_files.install(["work"], environ)
    change = next(change for change in changes if change.path.endswith({"fish": ".fish"}.get(kind, f".{kind}rc")))
    check = "functions -q claude-work" if kind == "fish" else "alias claude-work"
    finished = run_in(
        kind,
        f"source '{change.path}'; {check}; and echo yes"
        if kind == "fish"
        else f"source '{change.path}'; {check} && echo yes",
        tmp_path,
    )
    assert finished.stdout.endswith("yes\n") and finished.stderr == ""
    assert not (tmp_path / "PWNED").exists()


def test_completion_offers_names_only_where_one_belongs(cli: Cli, home: Path) -> None:
    db.add_account("perso", db.API_KEY, api_key=KEY)
    for words, expected in (
        (["status", ""], ["perso"]),
        (["launch", "--force", "p"], ["perso"]),
        (["launch", "perso", ""], []),
        (["launch", "perso", "--"], []),
        (["rename", "perso", ""], []),
        (["add", ""], []),
        (["list", ""], []),
        (["completion", "z"], ["zsh"]),
        (["aliases", "--shell", "f"], ["fish"]),
        (["refresh", "--a"], ["--all"]),
        (["nonsense", ""], []),
    ):
        assert cli("__complete", *words).stdout.split() == expected, words
    (home / ".claude-accounts" / "accounts.db").write_bytes(b"damaged" * 1000)
    assert cli("__complete", "doc").stdout.split() == ["doctor"]


def test_completion_in_fish_offers_files_where_one_belongs_and_asks_once(tmp_path: Path, cli: Cli) -> None:
    db.add_account("perso", db.API_KEY, api_key=KEY)
    (tmp_path / "perso-backup.json").write_text("[]")
    script = tmp_path / "aliases"
    script.write_text(shell_aliases.alias_script(["perso"], "fish"))
    for words, expected in (
        ("status p", ["perso"]),
        ("launch p", ["perso"]),
        ("launch perso pe", ["perso-backup.json"]),
        ("import p", ["perso-backup.json"]),
        ("la", ["launch"]),
    ):
        finished = run_in("fish", f"source '{script}'; complete -C 'claude-accounts {words}'", tmp_path)
        assert finished.stdout.split() == expected, words
    finished = run_in("fish", f"source '{script}'; source '{script}'; complete -c claude-accounts", tmp_path)
    assert finished.stdout.count("__complete") == 1


def test_a_moved_data_folder_is_followed_by_the_line(home: Path, cli: Cli) -> None:
    (home / ".bashrc").write_text("mine")
    cli("install")
    cli("install", env={"CLAUDE_ACCOUNTS_HOME": str(home / "moved")})
    content = (home / ".bashrc").read_text()
    assert content.count("claude-accounts, ") == 1 and f"{home}/moved/aliases.sh" in content
    assert "/.claude-accounts/" not in content
    cli("uninstall")
    assert (home / ".bashrc").read_text() == "mine"


@pytest.mark.parametrize("content", ["", "export A=1\n"])
def test_a_profile_that_reads_no_bashrc_gets_the_line_and_gives_it_back(home: Path, cli: Cli, content: str) -> None:
    (home / ".bashrc").write_text("")
    profile = home / ".bash_profile"
    profile.write_text(content)
    assert ".bash_profile" in cli("install").stderr
    assert "aliases.sh" in profile.read_text()
    # By now it reads .bashrc as well: our line is found all the same.
    profile.write_text(profile.read_text() + ". ~/.bashrc\n")
    cli("uninstall")
    assert profile.read_text() == content + ". ~/.bashrc\n"


def test_a_profile_that_reads_bashrc_stays_as_it_is(home: Path, cli: Cli) -> None:
    (home / ".bashrc").write_text("")
    (home / ".bash_profile").write_text(". ~/.bashrc\n")
    cli("install")
    assert (home / ".bash_profile").read_text() == ". ~/.bashrc\n"


def test_the_users_own_fish_file_of_that_name_keeps_its_lines(home: Path, cli: Cli) -> None:
    path = home / ".config" / "fish" / "conf.d" / "claude-accounts.fish"
    path.parent.mkdir(parents=True)
    path.write_text("set -x MINE 1\n")
    cli("install")
    assert path.read_text().startswith("set -x MINE 1\n") and "aliases.fish" in path.read_text()
    cli("uninstall")
    assert path.read_text() == "set -x MINE 1\n"


def test_zsh_files_follow_zdotdir(home: Path, cli: Cli) -> None:
    (home / "zsh").mkdir()
    (home / "zsh" / ".zshrc").write_text("mine\n")
    cli("install", env={"ZDOTDIR": str(home / "zsh")})
    assert "aliases.sh" in (home / "zsh" / ".zshrc").read_text() and not (home / ".zshrc").exists()


def test_an_unreadable_shell_file_stops_the_install_before_anything_is_changed(home: Path, cli: Cli) -> None:
    (home / ".bashrc").write_text("mine\n")
    (home / ".zshrc").mkdir()
    assert_fails_cleanly(cli("install"), ".zshrc")
    assert _files(home) == {".bashrc": b"mine\n"}


def test_a_read_only_shell_file_stops_the_install_before_anything_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / ".bashrc").write_text("mine\n")
        (home / ".zshrc").write_text("mine\n")
        (home / ".zshrc").chmod(0o444)
        monkeypatch.setenv("HOME", name)
        as_root = os.geteuid() == 0
        if as_root:
            # Modes hold back nobody who is root.
            for path in (home, home / ".bashrc", home / ".zshrc"):
                os.chown(path, 65534, 65534)
            os.setresuid(65534, 65534, 0)
        try:
            with pytest.raises(StorageFailed, match=r"\.zshrc"):
                rc_files.install(["work"], {"PATH": ""})
        finally:
            if as_root:
                os.setresuid(0, 0, 0)
        assert _files(home) == {".bashrc": b"mine\n", ".zshrc": b"mine\n"}


def test_what_is_no_plain_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "rc").symlink_to("pipe")
    with pytest.raises(StorageFailed, match="plain file"):
        rc_files.apply([rc_files.Change(str(tmp_path / "rc"), b"", b"line\n")])
    assert (tmp_path / "pipe").is_fifo()


def test_without_any_shell_file_install_says_which_line_is_needed(home: Path, cli: Cli) -> None:
    finished = cli("install", env={"PATH": "", "SHELL": ""})
    assert finished.returncode == 0 and rc_files.posix_line().decode() in finished.stderr


def test_install_names_the_file_of_the_users_own_shell(home: Path, cli: Cli) -> None:
    assert "source " + shell_aliases.alias_path("fish") in cli("install", env={"SHELL": "/usr/bin/fish"}).stderr
    assert "source " + shell_aliases.alias_path("bash") in cli("install", env={"SHELL": "/bin/zsh"}).stderr


def test_the_dry_run_of_an_uninstall_changes_nothing(home: Path, cli: Cli) -> None:
    (home / ".bashrc").write_text("mine\n")
    cli("install")
    before = _files(home)
    assert "-if [ -n " in cli("uninstall", "--dry-run").stdout
    assert _files(home) == before


def test_installing_speaks_french(cli: Cli) -> None:
    french = {"LC_ALL": "fr_FR.UTF-8", "SHELL": "/bin/bash"}
    assert "✓ Alias : " in cli("install", env=french).stderr


def test_a_killed_rewrite_leaves_the_old_file_or_the_new_one(home: Path, cli: Cli) -> None:
    """CRA-10: what is read is never a truncated file, whoever writes at the moment."""
    cli("install")
    path = shell_aliases.alias_path("bash")
    number = os.stat(path).st_ino
    shell_aliases.rewrite_aliases(["work"])
    # Another file under the same name: nobody saw the old one half rewritten.
    assert os.stat(path).st_ino != number and os.stat(path).st_mode & 0o777 == 0o600
    assert [name for name in os.listdir(os.path.dirname(path)) if name.endswith(".tmp")] == []

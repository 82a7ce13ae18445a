"""Starting other programs: where one is looked for, what is told of one that cannot be started, how one is run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PROJECT, write_program
from warm import DEADLINE

from claude_accounts.messages import AccountsError
from claude_accounts.system import programs

SAYS = "#!/bin/sh\necho here\n"
# A program of a machine that nobody has: the header is whole, the machine's number is not given to any.
FOREIGN = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xee\xbe" + b"\x01\x00\x00\x00" + bytes(40)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a `tool` in it that nobody asked for."""
    folder = tmp_path / "here"
    folder.mkdir()
    write_program(folder / "tool", SAYS)
    monkeypatch.chdir(folder)
    return folder


# Where it is looked for


@pytest.mark.parametrize(
    "path",
    ["", ".", ":", ".:", ":/nowhere", "/nowhere:", "/nowhere::/none", "./", "././/", "sub/..", "loop", "./loop/."],
)
def test_the_current_folder_is_never_searched(here: Path, path: str) -> None:
    (here / "sub").mkdir()
    (here / "loop").symlink_to(".")
    assert programs.find("tool", {"PATH": path, "HOME": "/nowhere"}) is None


def test_the_current_folder_by_its_absolute_name_is_the_users_wish(here: Path) -> None:
    assert programs.find("tool", {"PATH": f".:{here}"}) == str(here / "tool")


@pytest.mark.parametrize("entry", ["node_modules/.bin", "./node_modules/.bin/", "../here/node_modules/.bin", "bin"])
def test_a_relative_entry_does_not_count(here: Path, entry: str) -> None:
    """What it names depends on where one is: it may have come with somebody else's project."""
    for folder in ("node_modules/.bin", "bin"):
        (here / folder).mkdir(parents=True)
        write_program(here / folder / "other", SAYS)
    assert programs.find("other", {"PATH": entry}) is None


@pytest.fixture
def script(here: Path, tmp_path: Path) -> str:
    """Return a program elsewhere whose interpreter only the current folder has."""
    write_program(tmp_path / "script", "#!/usr/bin/env tool\n")
    return str(tmp_path / "script")


UNSAFE = [
    "",
    ".",
    ":/usr/bin:/bin",
    ".:/usr/bin:/bin",
    "/usr/bin:/bin:",
    "../here:/usr/bin:/bin",
    "~/x:.:/usr/bin:/bin",
]


@pytest.mark.parametrize("path", UNSAFE)
def test_what_we_run_starts_nothing_of_the_current_folder(script: str, path: str) -> None:
    """A script's first line looks its program up with the PATH that it is given."""
    code, output = programs.run([script], {"PATH": path, "HOME": "/nowhere"}, seconds=DEADLINE)
    assert code == 127 and output == b""


@pytest.mark.parametrize("path", UNSAFE)
@pytest.mark.parametrize("way", ["become", "run_on_terminal"])
def test_what_we_become_starts_nothing_of_the_current_folder(script: str, path: str, way: str) -> None:
    give = f"({script!r}, [{script!r}], environ)" if way == "become" else f"([{script!r}], environ)"
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\nimport bare_names\nenviron = {{'PATH': {path!r}}}\n"
    code += f"bare_names.member('system.programs').{way}{give}"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=DEADLINE)
    assert finished.stdout == b"" and b"tool" in finished.stderr


def test_a_path_is_handed_on_without_its_relative_entries() -> None:
    def handed_on(path: str) -> str:
        return programs.handed_on({"PATH": path, "HOME": "/home/ada"})["PATH"]

    assert handed_on("/a:/b/:/c") == "/a:/b/:/c"
    assert handed_on(":/a:.:bin:~/bin:../x:/b:") == "/a:/home/ada/bin:/b"
    assert handed_on(".") == os.defpath
    assert programs.handed_on({"HOME": "/home/ada"}) == {"HOME": "/home/ada"}


def test_a_tilde_in_path_is_the_home_folder(here: Path, home: Path) -> None:
    folder = home / ".local" / "bin"
    folder.mkdir(parents=True)
    write_program(folder / "other", SAYS)
    (here / "~" / ".local" / "bin").mkdir(parents=True)
    write_program(here / "~" / ".local" / "bin" / "other", SAYS)
    assert programs.find("other", {"PATH": "~/.local/bin", "HOME": str(home)}) == str(folder / "other")
    for environ in ({"PATH": "~nobody-has-this-name/.local/bin"}, {"PATH": "~/.local/bin", "HOME": "here"}):
        assert programs.find("other", environ) is None


def test_what_cannot_be_started_is_passed_over(here: Path, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("folder", "broken", "closed", "good")]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "other").mkdir()
    (folders[1] / "other").symlink_to("gone")
    write_program(folders[2] / "other", SAYS).chmod(0o600)
    write_program(folders[3] / "other", SAYS)
    path = os.pathsep.join(map(str, folders))
    assert programs.find("other", {"PATH": path}) == str(folders[3] / "other")


def test_a_path_with_a_slash_is_the_users_own_wish(here: Path) -> None:
    assert programs.find("./tool", {"PATH": ""}) == "./tool"
    assert programs.find("./none", {"PATH": ""}) is None


def test_a_folder_that_is_gone_ends_no_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert programs.find("sh", {"PATH": "bin:/usr/bin:/bin"}) in ("/usr/bin/sh", "/bin/sh")


# What is wrong with it


def test_each_trouble_of_a_file_is_told_precisely(tmp_path: Path) -> None:
    folder, broken, closed, empty = (tmp_path / name for name in ("folder", "broken", "closed", "empty"))
    folder.mkdir()
    broken.symlink_to("gone")
    write_program(closed, SAYS).chmod(0o600)
    empty.touch(0o700)
    assert "folder" in programs.trouble(str(folder))
    assert "link" in programs.trouble(str(broken)) and "gone" in programs.trouble(str(broken))
    assert "executable" in programs.trouble(str(closed))
    assert "empty" in programs.trouble(str(empty))
    assert programs.trouble("/bin/sh") == ""


@pytest.mark.parametrize("way", ["run", "become"])
def test_a_program_for_another_machine_is_told(tmp_path: Path, way: str) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(FOREIGN)
    path.chmod(0o700)
    with pytest.raises(AccountsError, match="another kind of machine"):
        programs.run([str(path)], os.environ) if way == "run" else programs.become(str(path), ["x"], os.environ)


def test_an_interpreter_that_is_gone_is_named(tmp_path: Path) -> None:
    path = write_program(tmp_path / "script", "#!/nowhere/python3 -x\n")
    with pytest.raises(AccountsError, match="/nowhere/python3"):
        programs.run([str(path)], os.environ)


def test_a_script_without_a_first_line_is_started_as_a_shell_does(tmp_path: Path) -> None:
    path = write_program(tmp_path / "script", 'echo "$0 $1"\n')
    assert programs.run([str(path), "a b"], os.environ) == (0, f"{path} a b\n".encode())
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\nimport bare_names, os\n"
    code += f"bare_names.member('system.programs').become({str(path)!r}, ['claude', 'a b'], os.environ)"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.stdout == f"{path} a b\n", finished.stderr


# How it is run


def test_output_and_code_come_back_and_errors_stay_out(tmp_path: Path) -> None:
    path = write_program(tmp_path / "x", "#!/bin/sh\ncat\necho no >&2\nexit 3\n")
    large = os.urandom(300_000)
    assert programs.run([str(path)], os.environ, stdin=large) == (3, large)
    assert programs.run([str(path)], os.environ) == (3, b"")


def test_a_program_that_does_not_read_is_no_failure() -> None:
    assert programs.run(["/bin/echo", "x"], os.environ, stdin=bytes(1_000_000)) == (0, b"x\n")


@pytest.mark.parametrize("name", ["plain", "two words", "$(x)", "-dash"])
def test_it_runs_in_the_folder_that_was_asked_for(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    assert programs.run(["/bin/pwd"], os.environ, cwd=str(tmp_path / name)) == (0, f"{tmp_path / name}\n".encode())
    assert programs.run(["/bin/pwd"], os.environ, cwd=os.getcwd())[1].strip() == os.fsencode(os.getcwd())


def test_at_the_deadline_everything_that_it_started_is_ended(tmp_path: Path) -> None:
    path = write_program(tmp_path / "x", "#!/bin/sh\nsleep 600 &\necho $!\nwait\n")
    began = time.monotonic()
    assert programs.run([str(path)], os.environ, seconds=0.3) == (-1, b"")
    assert time.monotonic() - began < 5
    pid_file = tmp_path / "pid"
    write_program(path, f"#!/bin/sh\nsleep 600 &\necho $! > {pid_file}\nwait\n")
    programs.run([str(path)], os.environ, seconds=1.0, cwd="/")
    child = int(pid_file.read_text())
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{child}") and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the grandchild lives on"


def test_one_that_leaves_something_running_is_not_waited_for(tmp_path: Path) -> None:
    path = write_program(tmp_path / "x", f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/pid\necho done\n")
    began = time.monotonic()
    assert programs.run([str(path)], os.environ, seconds=30) == (0, b"done\n")
    assert time.monotonic() - began < 10
    os.kill(int((tmp_path / "pid").read_text()), 9)


def test_running_one_loads_no_subprocess() -> None:
    """A launch asks a shim for its version each time: it must not pay for this import."""
    code = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\nimport bare_names, os\n"
    code += "bare_names.member('system.programs').run(['/bin/true'], os.environ)\nprint('subprocess' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"

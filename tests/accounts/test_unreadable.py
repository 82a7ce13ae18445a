"""Unreadable, missing or odd is not "empty": what may not be read is an error, what cannot be written is read still."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import places
import pytest
import warm
from conftest import PROJECT, Cli, Finished, assert_fails_cleanly, command_line, lack, write_program
from cryptography.fernet import Fernet
from stored import KEY, earlier_database
from test_floors import modules

from claude_accounts import db
from claude_accounts.accounts import bindings, journal, sessions as running_sessions, storage
from claude_accounts.claude import credentials_file
from claude_accounts.dashboard import sign_in
from claude_accounts.messages import AccountsError, InvalidInput, StorageFailed
from claude_accounts.system import access, folders, private_files

READING = [
    ["list"],
    ["list", "--json"],
    ["status", "work"],
    ["sessions"],
    ["whoami"],
    ["export"],
    ["bindings"],
    ["journal"],
    ["aliases"],
]
ROUTES = ["/api/accounts", "/api/auth/status", "/api/sessions", "/api/export", "/api/journal", "/api/auth/sessions"]


@pytest.fixture(autouse=True)
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test a home that other users can reach, as homes are; pytest's own folders are root's alone."""
    with tempfile.TemporaryDirectory(prefix="home-") as folder:
        Path(folder).chmod(0o755)
        monkeypatch.setenv("HOME", folder)
        yield Path(folder)


@pytest.fixture
def program_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is first on PATH, which other users can reach too."""
    folder = home / "programs"
    folder.mkdir(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def data(home: Path, program_folder: Path) -> Path:
    """Return a data folder with one account, made by its user; there is a claude that says whose key it has."""
    write_program(program_folder / "claude", '#!/bin/sh\necho "$ANTHROPIC_API_KEY"\n').chmod(0o755)
    db.add_account("work", db.API_KEY, api_key=KEY)
    return home / ".claude-accounts"


@pytest.fixture
def as_somebody(home: Path) -> Callable[..., Finished]:
    """Return the command line of a user who is not root, whose home this is."""
    if os.getuid() != 0:
        lack("becoming another user needs root")
    shutil.chown(home, places.SOMEBODY, places.SOMEBODY)

    def run(*words: str, stdin: str | None = None) -> Finished:
        return warm.run(*words, function="places:as_somebody", stdin=stdin)

    return run


def give_away(folder: Path, *but: str) -> None:
    """Let all of a folder belong to the user who is not root, but for these names."""
    for path in (folder, *folder.rglob("*")):
        if path.name not in but:
            os.chown(path, places.SOMEBODY, places.SOMEBODY)


def mounted(kind: str, folder: Path, *words: str) -> Finished:
    """Run a command where a folder is read only, or full."""
    if os.getuid() != 0 or sys.platform != "linux" or not places.can_mount():
        lack("such a disk needs Linux, root and the right to mount")
    return warm.run(str(folder), *words, function=f"places:{kind}")


def test_what_another_user_has_is_an_error_with_path_and_owner(
    data: Path, home: Path, as_somebody: Callable[..., Finished]
) -> None:
    backup = home / "backup.json"
    backup.write_text('[{"name": "old", "auth_type": "api_key", "api_key": "k"}]')
    backup.chmod(0o666)
    for words in (
        *READING,
        ["launch", "work"],
        ["export", "--output", str(backup)],
        ["serve", "--no-browser", "--port", "0"],
    ):
        if words not in (["whoami"],):
            refused = as_somebody(*words)
            assert_fails_cleanly(refused, str(data), "Permission denied", "belongs to root", "chown")
            assert refused.stdout == "" and len(refused.stderr.splitlines()) == 2, words
    assert '"old"' in backup.read_text()
    doctor = as_somebody("doctor")
    assert doctor.returncode == 1 and "belongs to root" in doctor.stdout and "no accounts yet" not in doctor.stdout


def test_nobody_is_told_to_take_the_system_for_his_own(
    data: Path, as_somebody: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be made in `/`, say: `chown -R` there would ruin the machine."""
    for place in ("/nobody-has-made-this/accounts", "/usr/nobody-has-made-this", "/root/.claude-accounts"):
        monkeypatch.setenv("CLAUDE_ACCOUNTS_HOME", place)
        refused = as_somebody("add", "work", "--key", "-", stdin=KEY)
        assert_fails_cleanly(refused, "Permission denied", "belongs to root")
        assert "chown" not in refused.stderr, refused.stderr


def test_one_file_of_another_user_is_named(data: Path, as_somebody: Callable[..., Finished]) -> None:
    for name in (".key", "accounts.db"):
        give_away(data, name)
        os.chown(data / name, 0, 0)
        (data / name).chmod(0o600)
        assert_fails_cleanly(as_somebody("list"), str(data / name), "belongs to root")
        os.chown(data / name, places.SOMEBODY, places.SOMEBODY)


def test_a_log_of_another_user_is_never_passed_over(data: Path, as_somebody: Callable[..., Finished]) -> None:
    """What was written last stands in the log alone: without it an old state would be taken for the newest."""
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import bare_names; storage = bare_names.member("
        "'accounts.storage')\nwith storage.writing() as c: c.execute(\"UPDATE accounts SET name = 'newer'\")\n"
        "c = None\n"
    )
    # A second reader keeps the log from being emptied; both end without tidying up.
    with storage.reading():
        subprocess.run([sys.executable, "-c", script, str(PROJECT)], check=True)
        kept = {path.name: path.read_bytes() for path in data.glob("accounts.db*")}
    for name, content in kept.items():
        (data / name).write_bytes(content)
        (data / name).chmod(0o600)
    (data / "accounts.db-shm").unlink()
    give_away(data, "accounts.db-wal")
    assert_fails_cleanly(as_somebody("list"), "accounts.db-wal", "belongs to root")
    os.chown(data / "accounts.db-wal", places.SOMEBODY, places.SOMEBODY)
    data.chmod(0o500)
    assert "newer" in as_somebody("list").stdout


def test_a_folder_of_mode_0500_can_be_read(data: Path, as_somebody: Callable[..., Finished]) -> None:
    give_away(data)
    data.chmod(0o500)
    for words in READING:
        done = as_somebody(*words)
        assert "Traceback" not in done.stderr and done.returncode == (1 if words == ["whoami"] else 0), done
    launched = as_somebody("launch", "work")
    assert launched.stdout.strip() == KEY, launched
    warned = [line for line in launched.stderr.splitlines() if "warning" in line]
    assert len(warned) == 1 and "the last use was not noted" in warned[0]
    assert_fails_cleanly(as_somebody("add", "other", "--key", "-", stdin=KEY), "cannot write", str(data), "0500")
    assert {path.name for path in data.iterdir()} == {"accounts.db", ".key"}


@pytest.mark.parametrize("kind", ["read_only", "full"])
def test_reading_goes_on_where_writing_does_not(data: Path, home: Path, kind: str) -> None:
    token = sign_in.set_up("three horses on a roof")
    data.joinpath("client.json").write_text("{}")
    for words in READING:
        done = mounted(kind, data, *words)
        assert "Traceback" not in done.stderr and done.returncode == (1 if words == ["whoami"] else 0), done
    exported = mounted(kind, data, "export", "--output", str(home / "out.json"))
    assert exported.returncode == 0 and KEY in (home / "out.json").read_text()
    launched = mounted(kind, data, "launch", "work")
    assert (launched.returncode, launched.stdout.strip()) == (0, KEY), launched.stderr
    warned = [line for line in launched.stderr.splitlines() if "warning" in line]
    assert len(warned) == 1 and "the last use was not noted" in warned[0]
    doctor = mounted(kind, data, "doctor")
    assert "nothing new is noted" in doctor.stdout and "Traceback" not in doctor.stderr
    os.environ["TEST_TOKEN"] = token
    answers = json.loads(mounted(kind, data, "GET", *ROUTES).stdout)
    del os.environ["TEST_TOKEN"]
    assert {path: status for path, (status, _text) in answers.items()} == dict.fromkeys(ROUTES, 200)
    refused = mounted(kind, data, "rename", "work", "other")
    assert_fails_cleanly(refused, "accounts.db" if kind == "full" else "Read-only file system")


def test_an_earlier_programs_database_can_be_read_where_it_cannot_be_changed(home: Path) -> None:
    path = earlier_database(home, Fernet.generate_key())
    before = path.read_bytes()
    for kind in ("read_only", "full"):
        done = mounted(kind, path.parent, "list")
        assert done.returncode == 0 and "perso" in done.stdout, done
    assert path.read_bytes() == before


def test_the_first_set_up_is_not_offered_where_it_cannot_be_kept(home: Path) -> None:
    data = home / ".claude-accounts"
    data.mkdir(0o700)
    refused = mounted("read_only", data, "serve", "--no-browser", "--port", "0")
    assert_fails_cleanly(refused, str(data), "Read-only file system")
    assert "setup" not in refused.stderr


NO_SUCH_CALLS = """
#include <errno.h>
#include <sys/stat.h>
#include <sys/file.h>
int link(const char *a, const char *b) { errno = EPERM; return -1; }
int linkat(int a, const char *b, int c, const char *d, int e) { errno = EPERM; return -1; }
int chmod(const char *a, mode_t b) { errno = EPERM; return -1; }
int fchmod(int a, mode_t b) { errno = EPERM; return -1; }
int flock(int a, int b) { errno = ENOLCK; return -1; }
"""


def test_a_disk_without_links_permissions_and_locks_works_with_one_warning(
    home: Path, tmp_path: Path, program_folder: Path
) -> None:
    if shutil.which("gcc") is None or sys.platform != "linux":
        lack("such a disk is made by a library that gcc makes")
    write_program(program_folder / "claude", '#!/bin/sh\necho "$ANTHROPIC_API_KEY"\n')
    library = tmp_path / "plain.so"
    source = NO_SUCH_CALLS + "".join(
        # Everything on such a disk shows the mode that it was mounted with.
        "int mkdir(const char *p, mode_t m) { return mkdirat(-100, p, 0755); }\n"
        for _once in (1,)
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-o", library, "-x", "c", "-"], input=source.encode(), check=True)

    def run(*words: str) -> Finished:
        return subprocess.run(
            ["sh", "-c", 'umask 022; exec "$@"', "sh", "env", f"LD_PRELOAD={library}", *command_line(*words)],
            input=KEY,
            capture_output=True,
            text=True,
            timeout=warm.DEADLINE,
        )

    added = run("add", "work", "--key", "-")
    assert added.returncode == 0, added.stderr
    assert run("add", "other", "--key", "-").returncode == 0
    assert [account.name for account in db.list_accounts()] == ["work", "other"]
    assert run("launch", "work").stdout.strip() == KEY
    assert not list((home / ".claude-accounts").glob("*.tmp"))


def test_of_many_first_writers_without_link_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    path = str(tmp_path / "key")
    assert private_files.create_private_file_once(path, b"first") == b"first"
    assert private_files.create_private_file_once(path, b"second") == b"first"
    monkeypatch.setattr(private_files, "_FIRST_WRITER_SECONDS", 0)
    # Killed before it had written.
    Path(path).write_bytes(b"")
    assert private_files.create_private_file_once(path, b"third") == b"third"
    assert sorted(os.listdir(tmp_path)) == ["home", "key"]


def test_a_disk_whose_files_are_everybodys_is_told_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storage, "is_open_to_others", lambda _path: True)
    db.add_account("work", db.API_KEY, api_key=KEY)
    db.add_account("other", db.API_KEY, api_key=KEY)
    assert capsys.readouterr().err.count("keeps no permissions") == 1


def test_what_root_makes_for_a_user_is_that_users(data: Path, as_somebody: Callable[..., Finished], cli: Cli) -> None:
    """After a `sudo` the user gets at everything still."""
    give_away(data)
    assert cli("add", "second", "--key", "-", stdin=KEY).returncode == 0
    bashrc = data.parent / ".bashrc"
    bashrc.write_text("# mine\n")
    os.chown(bashrc, places.SOMEBODY, places.SOMEBODY)
    assert cli("install", env={"SHELL": "/bin/bash"}).returncode == 0
    shutil.rmtree(data)
    assert cli("add", "third", "--key", "-", stdin=KEY).returncode == 0
    owned = {path: path.stat().st_uid for path in (bashrc, data, *data.rglob("*"))}
    assert set(owned.values()) == {places.SOMEBODY}, owned
    assert "third" in as_somebody("list").stdout


@pytest.mark.parametrize("value", ["", "home", "./x", "~"])
def test_a_home_that_is_no_place_is_one_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for words in (["list"], ["add", "work", "--key", "-"], ["install"], ["launch", "x"], ["doctor"], ["export"]):
        refused = cli(*words, stdin=KEY, env={"HOME": value})
        if words == ["doctor"]:
            assert refused.returncode == 1 and "HOME is" in refused.stdout and "Traceback" not in refused.stderr
        else:
            assert_fails_cleanly(refused, "HOME is")
            assert len(refused.stderr.splitlines()) == 2
    assert list(folder.iterdir()) == []


def test_no_home_at_all_is_the_systems_list_of_users_or_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert folders.home_folder() == os.path.expanduser("~")
    monkeypatch.setattr(folders, "_home_of", lambda _uid: "")
    with pytest.raises(folders.NoHome, match="HOME is not set"):
        folders.data_folder()
    monkeypatch.setenv("CLAUDE_ACCOUNTS_HOME", "~nobody-has-this-name/x")
    with pytest.raises(folders.NoHome, match="there is no user"):
        folders.data_folder()


def test_one_place_knows_where_home_is() -> None:
    files = modules().values()
    found = [str(path) for path in files if re.search(r"expanduser|Path\.home\(|getpwuid\(.*pw_dir", path.read_text())]
    # What start.sh runs before there is a package looks for a file of pip.
    assert sorted(found) == [str(PROJECT / "own_python.py"), str(PROJECT / "system" / "folders.py")]


def test_one_place_knows_what_is_nothing() -> None:
    """Who asks `os.path.exists` of a file of ours takes "not allowed" for "none"."""
    for path in ("accounts/storage.py", "accounts/journal.py", "dashboard/first_setup.py", "commands/doctor.py"):
        assert "os.path.exists(database_path())" not in (PROJECT / path).read_text(), path
        assert "os.path.exists(storage.database_path())" not in (PROJECT / path).read_text(), path


@pytest.mark.parametrize("odd", ["folder", "pipe", "dangling", "loop", "long"])
@pytest.mark.parametrize("name", ["accounts.db", ".key"])
def test_what_lies_in_the_place_of_a_file_is_told(data: Path, cli: Cli, name: str, odd: str, tmp_path: Path) -> None:
    path = data / name
    path.unlink()
    target = {"dangling": tmp_path / "gone", "loop": path, "long": Path("x" * 300)}.get(odd)
    if target:
        path.symlink_to(target)
    elif odd == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    for words in (["list"], ["add", "second", "--key", "-"], ["export"]):
        assert_fails_cleanly(cli(*words, stdin=KEY), str(path))
    assert not (tmp_path / "gone").exists()


def test_a_data_folder_whose_disk_is_not_there_is_not_empty(data: Path, cli: Cli, tmp_path: Path) -> None:
    data.rename(tmp_path / "disk")
    data.symlink_to(tmp_path / "gone")
    assert_fails_cleanly(cli("list"), str(data), "which is not there")
    assert_fails_cleanly(cli("serve", "--no-browser", "--port", "0"), "which is not there")


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG])
def test_only_missing_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_arguments: object, **_more: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        # Whose it is must be asked of the system too.
        patch.setattr(os.path, "lexists", lambda _path: True)
        with pytest.raises(StorageFailed, match=os.strerror(code)):
            access.exists(str(tmp_path / "x"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        with pytest.raises(StorageFailed, match=os.strerror(code)):
            access.read_plain_file(str(tmp_path / "x"), 10)
        with pytest.raises(InvalidInput, match=os.strerror(code)):
            credentials_file.read_regular_file(str(tmp_path / "x"))


def test_missing_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "x", tmp_path / "file" / "x"):
        assert not access.exists(str(path)) and access.read_plain_file(str(path), 10) is None


def test_claudes_own_files_that_may_not_be_read_are_told(home: Path, as_somebody: Callable[..., Finished]) -> None:
    folder = home / ".claude"
    folder.mkdir()
    (folder / ".credentials.json").write_text("{}")
    (folder / ".credentials.json").chmod(0o600)
    assert_fails_cleanly(as_somebody("login", "work"), ".credentials.json", "belongs to root")
    folder.chmod(0o700)
    assert_fails_cleanly(as_somebody("login", "work"), str(folder), "belongs to root")


def test_shell_files_that_may_not_be_read_are_named_and_left(home: Path, as_somebody: Callable[..., Finished]) -> None:
    (home / ".bashrc").write_text("# mine\n")
    (home / ".bashrc").chmod(0o600)
    told = as_somebody("install")
    assert ".bashrc" in told.stderr and "belongs to root" in told.stderr and "Traceback" not in told.stderr
    assert (home / ".bashrc").read_text() == "# mine\n"


def test_a_login_is_locked_without_flock(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from claude_accounts.accounts import refresh, rows

    def unknown(*_arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", unknown)
    monkeypatch.setattr(refresh, "_LOCK_SECONDS", 0.1)
    stored = rows.reread(db.find_account("work").id)
    with refresh.login_lock(stored), pytest.raises(AccountsError, match="too long"), refresh.login_lock(stored):
        pass
    with refresh.login_lock(stored):
        pass


EXPORT = '[{"name": "old", "auth_type": "api_key", "api_key": "k"}]'


@pytest.mark.parametrize(
    ("content", "kind", "words", "replaced"),
    [
        (None, "file", [], True),
        ("", "file", [], True),
        (EXPORT, "file", [], True),
        ("[]", "file", [], True),
        ("my notes", "file", [], False),
        ('{"a": 1}', "file", [], False),
        ('["a"]', "file", [], False),
        ("my notes", "file", ["--yes"], False),
        ("my notes", "file", ["--force"], True),
        (EXPORT, "link", [], False),
        (EXPORT, "link", ["--force"], True),
        (None, "link", [], False),
        (None, "folder", ["--force"], False),
        (None, "pipe", ["--force"], False),
    ],
)
def test_an_export_replaces_only_an_export_unasked(
    data: Path, cli: Cli, home: Path, content: str | None, kind: str, words: list[str], replaced: bool
) -> None:
    path, target = home / "out.json", home / "out.json"
    if kind == "link":
        target = home / "elsewhere.json"
        path.symlink_to(target)
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    if content is not None:
        target.write_text(content)
    done = cli("export", "--output", str(path), *words, stdin="")
    if replaced:
        assert done.returncode == 0 and KEY in target.read_text() and stat.S_IMODE(target.stat().st_mode) == 0o600
    else:
        assert_fails_cleanly(done, str(path))
        assert not target.is_file() or target.read_text() == content
    assert path.is_symlink() == (kind == "link")


def test_an_empty_export_never_replaces_a_full_one(cli: Cli, home: Path) -> None:
    path = home / "out.json"
    path.write_text(EXPORT)
    for words in ([], ["--force"], ["--yes"]):
        assert_fails_cleanly(cli("export", "--output", str(path), *words, stdin=""), "no account to export")
    assert path.read_text() == EXPORT


def test_on_a_terminal_an_export_asks_before_it_replaces(
    data: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import bare_names

    path = home / "out.json"
    for answer in ("n", "y"):
        path.write_text(EXPORT)
        with pytest.MonkeyPatch.context() as patch:
            parent, child = os.openpty()
            os.write(parent, f"{answer}\n".encode())
            with os.fdopen(child) as terminal:
                patch.setattr(sys, "stdin", terminal)
                code = bare_names.member("cli").main(["export", "--output", str(path)])
            os.close(parent)
        assert "is there already. Replace it?" in capsys.readouterr().err
        assert code == (0 if answer == "y" else 1)
        assert (KEY in path.read_text()) == (answer == "y")


def test_what_is_only_noted_stops_nothing_and_is_told_once(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object, **_more: object) -> None:
        raise StorageFailed("the disk is full")

    monkeypatch.setattr(storage, "_told", set())
    monkeypatch.setattr(storage, "make_private_folder", fail)
    for _again in range(3):
        journal.note("export")
    assert capsys.readouterr().err.count("the disk is full") == 1
    running_sessions.stamp("x")
    assert "the last use was not noted" in capsys.readouterr().err


def test_a_database_whose_columns_hold_anything_is_damaged_and_nothing_worse(
    data: Path, cheap_hash: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """SQLite lets any type stand in any column: a row that cannot be ours is told as damage, by command and route."""
    client = db.add_account("client", db.OAUTH, access_token="sk-ant-oat01-" + "a" * 90, expires_at=4_000_000_000_000)
    token = sign_in.set_up("three horses on a roof")
    chosen = db.choose("/", name="client")
    assert chosen
    running_sessions.record(chosen.stored, os.getpid(), "/", running_sessions.WEB)
    bindings.bind(client.id, str(data.parent))
    journal.note("export")
    program, routes = places.bare("cli"), places.bare("server").create_app(places.bare("dashboard.api").Config())
    page = routes.test_client()
    path = data / "accounts.db"
    storage.forget_removed_pages()
    good = path.read_bytes()
    cases = [
        ("accounts", ("email", "expires_at", "name"), ["list"], ["/api/accounts", "/api/export"]),
        ("accounts", ("access_token_enc", "last_used"), ["export"], ["/api/accounts"]),
        ("running_sessions", ("folder", "since", "namespace"), ["sessions"], ["/api/sessions"]),
        ("api_tokens", ("last_used_at", "name"), ["list"], ["/api/accounts"]),
        ("journal", ("at", "detail"), ["journal"], ["/api/journal"]),
        ("recent_folders", ("folder",), ["bindings"], ["/api/recent-dirs"]),
        ("sessions", ("created_at",), ["list"], ["/api/auth/sessions"]),
    ]
    told = 0
    every = ((*case, column, value) for case in cases for column in case[1] for value in ODD_VALUES)
    for table, _columns, words, asked, column, value in every:
        path.write_bytes(good)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute("DROP TRIGGER IF EXISTS journal_stands")
            with suppress(sqlite3.IntegrityError):
                connection.execute(f"UPDATE {table} SET {column} = {value}")  # noqa: S608 - our own columns
        program.main(words)
        said = capsys.readouterr().err
        assert "should not" not in said and "Traceback" not in said, (table, column, value, said)
        answers = [page.get(route, headers={"X-Auth-Token": token}).status_code for route in asked]
        assert {*answers} <= {200, 401, 503}, (table, column, value, answers)
        told += "is damaged" in said
    assert told == 12


ODD_VALUES = ("x'ff00'", "9223372036854775807")

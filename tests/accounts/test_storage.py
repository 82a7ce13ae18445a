"""The data folder and its files: private from birth, whole after any failure, never opened with a wrong key."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT, Cli, assert_fails_cleanly, command_line, write_program
from cryptography.fernet import Fernet
from stored import KEY, earlier_database

from claude_accounts import db
from claude_accounts.accounts import schema, storage
from claude_accounts.messages import StorageFailed


def _folder(home: Path) -> Path:
    return home / ".claude-accounts"


def _modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in [folder, *folder.rglob("*")]}


def test_a_look_at_nothing_creates_nothing(home: Path, cli: Cli) -> None:
    assert cli("list").returncode == 0
    assert cli("list", "--json").stdout.replace(" ", "").replace("\n", "") == '{"schema_version":1,"accounts":[]}'
    assert not _folder(home).exists()


def test_every_file_is_private_with_umask_zero(home: Path) -> None:
    """FS-01"""
    script = f"umask 000; exec {' '.join(command_line('add', 'work', '--key', KEY))}"
    subprocess.run(["sh", "-c", script], check=True, capture_output=True)
    with storage.reading(), storage.writing():
        modes = _modes(_folder(home))
    assert modes.pop(".claude-accounts") == "0o700"
    assert {"accounts.db", ".key", "accounts.db-wal", "accounts.db-shm"} <= set(modes)
    assert set(modes.values()) == {"0o600"}


def test_no_secret_file_is_ever_born_open(home: Path) -> None:
    """FS-02: at the very moment of its birth each file has mode 0600, whatever the umask; temporary ones too."""
    trace = (
        "import os, stat, sys\nsys.path.insert(0, sys.argv[1])\nborn = []\nreal = os.open\n"
        "def watched(path, flags, mode=0o777, **more):\n"
        "    descriptor = real(path, flags, mode, **more)\n"
        "    if flags & os.O_CREAT: born.append(oct(stat.S_IMODE(os.fstat(descriptor).st_mode)))\n"
        "    return descriptor\n"
        "def hook(event, arguments):\n"
        "    by_name = event == 'open' and isinstance(arguments[0], (str, bytes)) and isinstance(arguments[1], str)\n"
        "    if by_name and set(arguments[1]) & set('wxa+'):\n"
        "        born.append(f'open {arguments[0]}')\n"
        "os.open = watched\nos.umask(0)\nsys.addaudithook(hook)\nimport cli\n"
        f"cli.main(['add', 'work', '--key', '{KEY}'])\n"
        "print(*born, sep='\\n')\n"
    )
    finished = subprocess.run([sys.executable, "-c", trace, str(PROJECT)], capture_output=True, text=True, check=True)
    # The key's temporary file, and the database, whose -wal and -shm take after it.
    assert finished.stdout.split("\n")[:-1] == ["0o600"] * 2


def test_missing_folders_above_the_data_folder_are_private_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_ACCOUNTS_HOME", str(home / "new" / "above" / "data"))
    before = os.umask(0)
    try:
        db.add_account("work", db.API_KEY, api_key=KEY)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((home / "new" / path).stat().st_mode) for path in ("", "above", "above/data")]
    assert modes == [0o700] * 3


def test_a_folder_found_too_open_is_tightened(home: Path, cli: Cli) -> None:
    """FS-03"""
    cli("add", "work", "--key", KEY)
    for path in [_folder(home), *_folder(home).iterdir()]:
        path.chmod(0o777)
    cli("list")
    assert stat.S_IMODE(_folder(home).stat().st_mode) == 0o700
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in _folder(home).iterdir()} == {"0o600"}


@pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")
def test_another_user_can_read_none_of_it(home: Path, cli: Cli) -> None:
    """FS-04"""
    cli("add", "work", "--key", KEY)
    for folder in [home, *home.parents]:
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    home.chmod(0o755)
    for name in ("accounts.db", ".key"):
        attempt = subprocess.run(
            ["cat", str(_folder(home) / name)], capture_output=True, text=True, user=65534, group=65534, extra_groups=[]
        )
        assert attempt.returncode != 0 and "Permission denied" in attempt.stderr


def test_a_lost_key_is_never_replaced(home: Path, cli: Cli, program_folder: Path) -> None:
    """FS-07"""
    write_program(program_folder / "claude", "#!/bin/sh\n")
    cli("add", "work", "--key", KEY)
    (_folder(home) / ".key").unlink()
    before = (_folder(home) / "accounts.db").read_bytes()
    for command in (["list"], ["add", "other", "--key", KEY], ["launch", "work"], ["export"], ["status", "work"]):
        assert_fails_cleanly(cli(*command), "key file", "missing")
    assert not (_folder(home) / ".key").exists()
    assert (_folder(home) / "accounts.db").read_bytes() == before


@pytest.mark.parametrize(
    "damage", [b"", b"not a key", b"\xff" * 44, b"A" * 43 + b"="], ids=["empty", "text", "bytes", "foreign"]
)
def test_a_damaged_or_foreign_key_changes_nothing(home: Path, cli: Cli, damage: bytes) -> None:
    """FS-08"""
    cli("add", "work", "--key", KEY)
    (_folder(home) / ".key").write_bytes(damage)
    before = (_folder(home) / "accounts.db").read_bytes()
    for command in (["list"], ["add", "other", "--key", KEY], ["export"]):
        assert_fails_cleanly(cli(*command), "key file")
    assert (_folder(home) / ".key").read_bytes() == damage
    assert (_folder(home) / "accounts.db").read_bytes() == before


@pytest.mark.parametrize("damage", ["text", "middle", "cut"])
def test_a_damaged_database_is_left_as_it_was(home: Path, cli: Cli, damage: str) -> None:
    """FS-09"""
    cli("add", "work", "--key", KEY)
    path = _folder(home) / "accounts.db"
    whole = path.read_bytes()
    broken = {
        "text": b"this is no database\n" * 500,
        "middle": whole[:100] + b"\xaa" * (len(whole) - 100),
        "cut": whole[: len(whole) // 3],
    }[damage]
    path.write_bytes(broken)
    for command in (["list"], ["add", "other", "--key", KEY], ["launch", "work"]):
        assert_fails_cleanly(cli(*command), "accounts database")
    assert path.read_bytes() == broken


def test_ordinary_work_leaves_no_temporary_file(home: Path, cli: Cli) -> None:
    """FS-10"""
    cli("add", "work", "--key", KEY)
    cli("rename", "work", "office")
    cli("export", "--output", str(home / "backup.json"))
    cli("remove", "office", "--yes")
    assert sorted(path.name for path in _folder(home).iterdir()) == [".key", "accounts.db"]
    assert sorted(path.name for path in home.iterdir()) == [".claude-accounts", "backup.json"]


def test_a_data_folder_that_cannot_be_made_is_one_clear_error(home: Path, cli: Cli) -> None:
    """FS-11"""
    (home / "file").write_text("in the way")
    for place in (str(home / "file"), str(home / "file" / "below"), "/proc/nowhere"):
        finished = cli("add", "work", "--key", KEY, env={"CLAUDE_ACCOUNTS_HOME": place})
        assert_fails_cleanly(finished, "cannot write")


def test_the_database_alone_holds_no_secret(home: Path, cli: Cli) -> None:
    """SEC-10"""
    cli("add", "work", "--key", KEY)
    with storage.reading(), storage.writing():
        content = b"".join(path.read_bytes() for path in _folder(home).glob("accounts.db*"))
    assert KEY.encode() not in content and KEY[-12:].encode() not in content


def test_a_deleted_accounts_ciphertext_is_gone_from_the_files(home: Path) -> None:
    """SEC-09"""
    account = db.add_account("work", db.API_KEY, api_key=KEY)
    db.add_account("other", db.API_KEY, api_key="sk-ant-api03-" + "o" * 60)
    with storage.reading() as connection:
        sealed = connection.execute("SELECT api_key_enc FROM accounts WHERE name = 'work'").fetchone()[0]
    db.delete_account(account.id)
    assert all(sealed.encode() not in path.read_bytes() for path in _folder(home).glob("accounts.db*"))


def test_an_earlier_programs_database_opens_and_loses_nothing(home: Path, cli: Cli) -> None:
    path = earlier_database(home, Fernet.generate_key())
    assert [account.name for account in db.list_accounts()] == ["perso", "Old Näme;"]
    exported = db.export_accounts()
    assert exported[0]["api_key"] == KEY
    assert exported[1]["refresh_token"] == "sk-ant-ort01-" + "r" * 40
    assert exported[1]["expires_at"] == 1700000000000
    assert db.find_account("Old Näme;").last_used == "2025-01-01 10:00:00"
    with storage.reading() as connection:
        kept = connection.execute("SELECT value FROM settings WHERE key = 'auth_password_hash'").fetchone()[0]
    assert kept == "pbkdf2:sha256:1$salt$hash"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert cli("rename", "Old Näme;", "new").returncode == 0


def test_an_earlier_database_without_its_key_is_not_migrated(home: Path, cli: Cli) -> None:
    path = earlier_database(home, Fernet.generate_key())
    (_folder(home) / ".key").unlink()
    assert_fails_cleanly(cli("list"), "key file", "missing")
    (_folder(home) / ".key").write_bytes(Fernet.generate_key())
    assert_fails_cleanly(cli("list"), "does not fit")
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 0
        assert "login_id" not in [row[1] for row in connection.execute("PRAGMA table_info(accounts)")]
        assert connection.execute("SELECT count(*) FROM accounts").fetchone()[0] == 2
    connection.close()


def test_a_newer_schema_is_refused_and_left(home: Path, cli: Cli) -> None:
    cli("add", "work", "--key", KEY)
    with sqlite3.connect(_folder(home) / "accounts.db") as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    assert_fails_cleanly(cli("list"), "newer version")


def test_a_failed_transaction_changes_nothing(home: Path) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    with pytest.raises(RuntimeError), storage.writing() as connection:
        connection.execute("DELETE FROM accounts")
        raise RuntimeError
    assert [account.name for account in db.list_accounts()] == ["work"]


def test_a_full_disk_is_one_clear_error_and_old_data_stays(home: Path, cli: Cli) -> None:
    """CRA-06: a limit on file size stands in for the full disk; SQLite and Python meet the same failing write."""
    cli("add", "work", "--key", KEY)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    for command in (["add", "b2", "--key", KEY], ["rename", "work", "office"], ["export", "--output", str(home / "e")]):
        finished = subprocess.run(
            command_line(*command), capture_output=True, text=True, preexec_fn=limit, stdin=subprocess.DEVNULL
        )
        if command[0] != "export":
            assert_fails_cleanly(finished)
    assert [account["name"] for account in db.export_accounts()] == ["work"]


def test_room_is_proven_before_a_token_is_spent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageFailed):
            storage.check_room()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(_folder(home).glob("*.tmp"))


def test_a_look_takes_no_lock_away_from_another_one_of_this_process(home: Path, cli: Cli) -> None:
    """A process loses its POSIX locks on a file with the first descriptor of it that it closes, SQLite's own as well.

    Without them another process takes itself for the last one and removes the log that is still in use here.
    """
    program = (
        "import fcntl, sys\n"
        "with open(sys.argv[1], 'r+b') as file:\n"
        "    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 1073741826)\n"
    )
    words = [sys.executable, "-c", program, str(_folder(home) / "accounts.db")]
    with storage.writing():
        # Made just now, by this very process.
        assert "BlockingIOError" in subprocess.run(words, capture_output=True, text=True).stderr
    with storage.reading():
        for look in (storage.reading, storage.writing):
            with look():
                pass
        assert "BlockingIOError" in subprocess.run(words, capture_output=True, text=True).stderr

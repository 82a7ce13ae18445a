"""Claude Code's own credentials store: what is read, refused, written back, locked, and left alone."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import write_program
from hypothesis import HealthCheck, given, settings, strategies as some

from claude_accounts import db
from claude_accounts.claude import credentials_file, keychain as keychain_module, private_login, store_locks
from claude_accounts.claude.credentials_file import Login
from claude_accounts.messages import AccountsError, InvalidInput, StoreBusy
from claude_accounts.system.folders import data_folder

ACCESS = "sk-ant-oat01-" + "a" * 40
REFRESH = "sk-ant-ort01-" + "r" * 40
NEW = Login("sk-ant-oat01-" + "n" * 40, "sk-ant-ort01-" + "m" * 40, expires_at=1_900_000_000_000)
STORED: dict[str, Any] = {
    "accessToken": ACCESS,
    "refreshToken": REFRESH,
    "expiresAt": 1_795_478_996_023,
    "refreshTokenExpiresAt": 1_798_042_196_023,
    "scopes": ["user:inference", "user:profile"],
    "subscriptionType": "max",
    "rateLimitTier": "default_claude_max_5x",
    "accountUuid": "account-1",
    "organizationUuid": "organization-1",
    "somethingNew": {"kept": [1, "é", None]},
}
# Damage to one field of the login that nobody can make sense of.
DAMAGES: list[dict[str, object]] = [
    {"accessToken": None},
    {"accessToken": ["x"]},
    {"accessToken": "two words"},
    {"accessToken": "line\nbreak"},
    {"accessToken": "é"},
    {"accessToken": "x" * 9000},
    {"accessToken": ""},
    {"refreshToken": 7},
    {"refreshToken": "nul\0"},
    {"expiresAt": "tomorrow"},
    {"expiresAt": -1},
    {"expiresAt": 1e300},
    {"expiresAt": True},
    {"scopes": "user:inference"},
    {"scopes": [1]},
    {"scopes": None},
    {"refreshTokenExpiresAt": {}},
]
NOT_UNDERSTOOD = [
    b"",
    b"{",
    b"[]",
    b'"text"',
    b"\xff\xfe\xfa",
    b'{"claudeAiOauth": []}',
    b'{"claudeAiOauth": {}}',
    b'{"claudeAiOauth": {"accessToken": "a", "expiresAt": NaN}}',
    json.dumps({"claudeAiOauth": STORED, "later": float("nan")}).encode(),
    b"[" * 200_000,
    b'{"a":"' + b"x" * 1_100_000 + b'"}',
    *(json.dumps({"claudeAiOauth": STORED | damage}).encode() for damage in DAMAGES),
]


@pytest.fixture
def store(home: Path) -> Path:
    """Return the default store folder, empty."""
    folder = home / ".claude"
    folder.mkdir()
    return folder


def put(folder: Path, **changes: object) -> Path:
    """Write a credentials file with one login, and what belongs to others."""
    path = folder / ".credentials.json"
    whole = {"mcpOAuth": {"server": {"token": "é"}}, "claudeAiOauth": STORED | changes, "later": [1, {"a": None}]}
    path.write_text(json.dumps(whole, separators=(",", ":"), ensure_ascii=False))
    path.chmod(0o600)
    return path


def put_identity(folder: Path, **changes: object) -> None:
    """Write `.claude.json` with the cache of the last profile."""
    cached = {"accountUuid": "account-1", "organizationUuid": "organization-1"} | {
        "emailAddress": "me@example.com",
        "organizationName": "Example",
    }
    (folder / ".claude.json").write_text(json.dumps({"oauthAccount": cached | changes}))


def files_below(folder: Path) -> dict[str, bytes]:
    """Return every file and folder below, with its content."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


# Reading


def test_a_login_is_read_with_everything_that_is_known_of_it(home: Path, store: Path) -> None:
    put(store)
    put_identity(home)
    before = files_below(home)
    assert credentials_file.read_login(str(store)) == Login(
        ACCESS,
        REFRESH,
        1_795_478_996_023,
        ("user:inference", "user:profile"),
        "max",
        "default_claude_max_5x",
        1_798_042_196_023,
        "account-1",
        "organization-1",
        "me@example.com",
        "Example",
    )
    assert files_below(home) == before


def test_the_login_of_an_older_client_takes_its_owner_from_the_cache(home: Path, store: Path) -> None:
    put(store, accountUuid=None, organizationUuid=None)
    put_identity(home)
    login = credentials_file.read_login(str(store))
    assert login and (login.account_uuid, login.email) == ("account-1", "me@example.com")


@pytest.mark.parametrize("other", [{"accountUuid": "account-2"}, {"organizationUuid": "organization-2"}])
def test_a_cache_about_somebody_else_names_nobody(home: Path, store: Path, other: dict[str, object]) -> None:
    put(store)
    put_identity(home, **other)
    login = credentials_file.read_login(str(store))
    assert login and (login.account_uuid, login.organization_uuid) == ("account-1", "organization-1")
    assert (login.email, login.organization) == ("", "")


def test_the_identity_of_a_private_login_comes_from_its_own_folder(home: Path, tmp_path: Path) -> None:
    put_identity(home, emailAddress="other@example.com")
    private = tmp_path / "private"
    private.mkdir()
    put(private)
    put_identity(private)
    login = credentials_file.read_login(str(private), config_folder=str(private))
    assert login and login.email == "me@example.com"


@pytest.mark.parametrize("cache", [b"", b"{", b"[]", b'{"oauthAccount": 3}', b"\xff", b"[" * 200_000])
def test_a_broken_cache_keeps_no_login_from_being_read(home: Path, store: Path, cache: bytes) -> None:
    put(store)
    (home / ".claude.json").write_bytes(cache)
    login = credentials_file.read_login(str(store))
    assert login and login.email == ""


def test_control_characters_of_an_identity_are_not_taken_over(home: Path, store: Path) -> None:
    """CLI-03"""
    put(store)
    put_identity(home, emailAddress="\x1b[31mred", organizationName="x" * 9999)
    login = credentials_file.read_login(str(store))
    assert login and login.email == "" and len(login.organization) == 256


def test_no_store_no_file_and_no_login_in_it_are_no_login(store: Path) -> None:
    assert credentials_file.read_login(str(store / "nowhere")) is None
    assert credentials_file.read_login(str(store)) is None
    path = store / ".credentials.json"
    for content in ("{}", '{"mcpOAuth": {"a": 1}}', '{"claudeAiOauth": null}'):
        path.write_text(content)
        assert credentials_file.read_login(str(store)) is None
    put(store, accessToken="", refreshToken="", expiresAt=0)
    assert credentials_file.read_login(str(store)) is None
    assert not credentials_file.may_hold_login(str(store))


@pytest.mark.parametrize("content", NOT_UNDERSTOOD, ids=lambda content: content[:60].decode("latin-1"))
def test_what_is_not_understood_is_refused_named_and_left_alone(store: Path, content: bytes) -> None:
    """OAU-06, OAU-07"""
    path = store / ".credentials.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"\.credentials\.json is not understood: .") as refused:
        credentials_file.read_login(str(store))
    assert ACCESS not in refused.value.message and REFRESH not in refused.value.message
    assert credentials_file.may_hold_login(str(store))
    assert credentials_file.write_back(str(store), REFRESH, NEW) is False
    assert path.read_bytes() == content
    assert os.listdir(store) == [".credentials.json"]


def test_a_pipe_a_folder_and_a_device_are_refused_at_once(store: Path) -> None:
    """INP-09"""
    path = store / ".credentials.json"
    makers: list[Callable[[], object]] = [
        lambda: os.mkfifo(path),
        path.mkdir,
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(path),
    ]
    for make in makers:
        make()
        with pytest.raises(InvalidInput, match="is not understood|cannot read"):
            credentials_file.read_login(str(store))
        assert credentials_file.write_back(str(store), REFRESH, NEW) is False
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(store: Path) -> None:
    put(store).chmod(0)
    with pytest.raises(InvalidInput, match="Permission denied"):
        credentials_file.read_login(str(store))


json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
any_file = some.one_of(
    some.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode()),
    some.dictionaries(some.sampled_from(sorted(STORED)), json_values).map(
        lambda changes: json.dumps({"claudeAiOauth": STORED | changes, "x": "\ud800"}).encode()
    ),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=any_file)
def test_no_content_raises_anything_but_the_one_refusal(store: Path, content: bytes) -> None:
    path = store / ".credentials.json"
    path.write_bytes(content)
    try:
        login = credentials_file.read_login(str(store))
    except InvalidInput:
        assert not credentials_file.write_back(str(store), REFRESH, NEW)
        assert path.read_bytes() == content
        return
    if login is None:
        return
    wrote = credentials_file.write_back(str(store), login.refresh_token, NEW)
    assert wrote == bool(login.refresh_token)
    assert not wrote or json.loads(path.read_bytes())["claudeAiOauth"]["accessToken"] == NEW.access_token


# Writing back


def test_writing_back_changes_the_tokens_and_nothing_else(store: Path) -> None:
    """OAU-04"""
    path = put(store)
    before = json.loads(path.read_text())
    assert credentials_file.write_back(str(store), REFRESH, NEW)
    after = json.loads(path.read_text())
    changed = {"accessToken": NEW.access_token, "refreshToken": NEW.refresh_token, "expiresAt": NEW.expires_at}
    assert after == before | {"claudeAiOauth": STORED | changed}
    assert [list(after), list(after["claudeAiOauth"])] == [list(before), list(STORED)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(store) == [".credentials.json"]


def test_scopes_and_the_end_of_the_login_are_written_when_they_are_known(store: Path) -> None:
    path = put(store)
    credentials_file.write_back(str(store), REFRESH, NEW._replace(scopes=("user:inference",), login_expires_at=5))
    stored = json.loads(path.read_text())["claudeAiOauth"]
    assert (stored["scopes"], stored["refreshTokenExpiresAt"]) == (["user:inference"], 5)


def test_another_login_stays_byte_for_byte(store: Path) -> None:
    """OAU-03"""
    path = put(store)
    before = (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
    assert credentials_file.write_back(str(store), REFRESH + "x", NEW) is False
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_nothing_is_created_where_there_was_no_store(home: Path, store: Path) -> None:
    """OAU-05"""
    assert credentials_file.write_back(str(store), REFRESH, NEW) is False
    assert credentials_file.write_back(str(home / "nowhere"), REFRESH, NEW) is False
    assert credentials_file.read_login(str(home / "nowhere")) is None
    assert files_below(home) == {str(store): b""}


def test_a_store_of_mcp_logins_or_an_ended_login_gets_no_tokens(store: Path) -> None:
    path = put(store, accessToken="", refreshToken="", expiresAt=0)
    before = path.read_bytes()
    assert credentials_file.write_back(str(store), "", NEW) is False
    assert path.read_bytes() == before


def test_a_linked_credentials_file_stays_a_link(store: Path, tmp_path: Path) -> None:
    path = put(store)
    target = tmp_path / "elsewhere.json"
    path.rename(target)
    path.symlink_to(target)
    assert credentials_file.write_back(str(store), REFRESH, NEW)
    assert path.is_symlink() and json.loads(target.read_text())["claudeAiOauth"]["accessToken"] == NEW.access_token


def test_a_reader_sees_the_old_file_or_the_new_one(store: Path) -> None:
    path = put(store, padding="x" * 200_000)
    done = threading.Event()
    torn: list[bytes] = []

    def look() -> None:
        while not done.is_set():
            content = path.read_bytes()
            try:
                json.loads(content)
            except ValueError:
                torn.append(content)

    reader = threading.Thread(target=look)
    reader.start()
    token = REFRESH
    for number in range(30):
        assert credentials_file.write_back(str(store), token, NEW._replace(refresh_token=f"token-{number}"))
        token = f"token-{number}"
    done.set()
    reader.join()
    assert not torn


# Which store


def test_the_store_follows_claude_codes_variables(home: Path) -> None:
    assert credentials_file.store_folder({}) == str(home / ".claude")
    assert credentials_file.store_folder({"CLAUDE_CONFIG_DIR": "/a"}) == "/a"
    assert credentials_file.store_folder({"CLAUDE_CONFIG_DIR": "/a", "CLAUDE_SECURESTORAGE_CONFIG_DIR": "/b"}) == "/b"
    assert credentials_file.store_folder({"CLAUDE_CONFIG_DIR": "/a", "CLAUDE_SECURESTORAGE_CONFIG_DIR": ""}) == "/a"
    assert credentials_file.config_file({}) == str(home / ".claude.json")
    assert credentials_file.config_file({"CLAUDE_CONFIG_DIR": "/a"}) == "/a/.claude.json"


# Locks


def lock_folders(store: Path) -> tuple[Path, Path]:
    """Return Claude Code's two locks of a store, in its order."""
    return store / ".oauth_refresh.lock", Path(os.path.realpath(store) + ".lock")


def make_old(path: Path, seconds: float) -> None:
    """Make a lock look as if nobody had touched it for that long."""
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


def test_both_locks_are_held_inside_and_gone_outside(home: Path, store: Path) -> None:
    with store_locks.locked(str(store)):
        assert all(path.is_dir() for path in lock_folders(store))
    assert files_below(home) == {str(store): b""}


def test_the_locks_are_gone_after_a_failure_inside(store: Path) -> None:
    with pytest.raises(ZeroDivisionError), store_locks.locked(str(store)):
        raise ZeroDivisionError
    assert not any(path.exists() for path in lock_folders(store))


def test_the_second_lock_lies_beside_the_real_folder_of_a_linked_store(home: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "store"
    real.mkdir(parents=True)
    (home / ".claude").symlink_to(real)
    with store_locks.locked(str(home / ".claude")):
        assert (real / ".oauth_refresh.lock").is_dir() and (tmp_path / "elsewhere" / "store.lock").is_dir()
        assert not (home / ".claude.lock").exists()
    assert files_below(tmp_path / "elsewhere") == {str(real): b""}


@pytest.mark.parametrize("which", [0, 1])
def test_a_lock_that_claude_code_holds_is_waited_for_and_respected(store: Path, which: int) -> None:
    """CON-06"""
    lock = lock_folders(store)[which]
    lock.mkdir()
    make_old(lock, 50)
    with (
        pytest.raises(StoreBusy, match="refreshing this login"),
        store_locks.locked(str(store), wait_seconds=0.3),
    ):
        pytest.fail("the lock of another process was ignored")
    assert lock.is_dir() and not lock_folders(store)[1 - which].exists()


def test_a_lock_that_is_released_meanwhile_is_taken(store: Path) -> None:
    lock = lock_folders(store)[0]
    lock.mkdir()
    threading.Timer(0.3, lock.rmdir).start()
    with store_locks.locked(str(store), wait_seconds=20):
        assert lock.is_dir()


@pytest.mark.parametrize("which", [0, 1])
def test_a_lock_that_nobody_touched_for_a_minute_is_taken_over(home: Path, store: Path, which: int) -> None:
    lock = lock_folders(store)[which]
    lock.mkdir()
    make_old(lock, 65)
    with store_locks.locked(str(store), wait_seconds=2):
        assert lock.is_dir() and time.time() - lock.stat().st_mtime < 60
    assert files_below(home) == {str(store): b""}


def test_what_is_no_lock_of_claude_codes_stays_and_nobody_waits_for_ever(store: Path) -> None:
    lock = lock_folders(store)[0]

    def full_folder() -> None:
        lock.mkdir()
        (lock / "file").write_text("x")

    makers: list[Callable[[], object]] = [
        full_folder,
        lambda: lock.write_text("a file"),
        lambda: lock.symlink_to(store / "nowhere"),
    ]
    for make in makers:
        make()
        moment = time.time() - 100
        os.utime(lock, (moment, moment), follow_symlinks=False)
        before = files_below(store)
        with pytest.raises(StoreBusy), store_locks.locked(str(store), wait_seconds=0.3):
            pytest.fail("that was no lock")
        assert files_below(store) == before
        (lock / "file").unlink(missing_ok=True) if lock.is_dir() else None
        lock.rmdir() if lock.is_dir() else lock.unlink()


def test_a_held_lock_is_touched_so_that_it_never_looks_stale(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_locks, "_HEARTBEAT_SECONDS", 0.05)
    with store_locks.locked(str(store)):
        first, second = lock_folders(store)
        marks = [path.stat().st_mtime_ns for path in (first, second)]
        deadline = time.monotonic() + 20
        while [path.stat().st_mtime_ns for path in (first, second)] == marks:
            assert time.monotonic() < deadline, "nobody touches the locks"
    assert store_locks._STALE_SECONDS == 60


def test_a_lock_that_was_taken_from_us_is_neither_touched_nor_removed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_locks, "_HEARTBEAT_SECONDS", 3600)
    lock = lock_folders(store)[0]
    with store_locks.locked(str(store)):
        # This is what another process does after we slept (a closed laptop) for more than a minute.
        lock.rmdir()
        lock.mkdir()
        os.utime(lock, (1, 1))
    assert lock.is_dir() and lock.stat().st_mtime == 1


def test_a_store_that_does_not_exist_is_not_made(home: Path) -> None:
    with pytest.raises(StoreBusy, match="cannot lock"), store_locks.locked(str(home / "nowhere")):
        pytest.fail("there was nothing to lock")
    assert files_below(home) == {}


def _fight(store: str, journal: str, rounds: int) -> None:
    """Take the locks again and again; write into the journal when we are in and when we are out."""
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    locks = [os.path.join(store, ".oauth_refresh.lock"), os.path.realpath(store) + ".lock"]
    for _round in range(rounds):
        with store_locks.locked(store, wait_seconds=60):
            os.write(descriptor, b"(")
            os.write(descriptor, b")")
        for lock in locks:
            # Leave a dead process's lock for the next one, unless somebody has it already.
            try:
                os.mkdir(lock)
                os.utime(lock, (1, 1))
            except FileExistsError:
                pass


def test_of_several_processes_one_at_a_time_takes_over_a_stale_lock(home: Path, store: Path, tmp_path: Path) -> None:
    """CON-06"""
    context = multiprocessing.get_context("spawn")
    journal = tmp_path / "journal"
    fighters = [context.Process(target=_fight, args=(str(store), str(journal), 15)) for _number in range(3)]
    for fighter in fighters:
        fighter.start()
    for fighter in fighters:
        fighter.join(120)
        assert fighter.exitcode == 0
    assert journal.read_bytes() == b"()" * 45
    assert not [name for name in os.listdir(store) + os.listdir(home) if name.endswith(".stale")]


# The private login folder


def private_logins() -> Path:
    """Return where private logins are made."""
    return Path(data_folder()) / "private-logins"


def test_a_private_folder_is_private_and_leaves_nothing(home: Path) -> None:
    """FS-10"""
    with private_login.folder() as folder:
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700 and os.listdir(folder) == []
        put(Path(folder))
        (Path(folder) / "projects" / "deep").mkdir(parents=True)
    assert not private_logins().exists()


def test_a_private_folder_is_removed_after_a_failure() -> None:
    with pytest.raises(KeyboardInterrupt), private_login.folder() as folder:
        put(Path(folder))
        raise KeyboardInterrupt
    assert not os.path.exists(folder)


def test_the_leftover_of_a_killed_run_is_swept_and_a_living_one_is_not() -> None:
    """CRA: a token must not stay behind for ever"""
    with private_login.folder() as living:
        make_old(Path(living), 3600)
        dead = private_logins() / "dead"
        dead.mkdir(mode=0o700)
        put(dead)
        make_old(dead, 3600)
        young = private_logins() / "young"
        young.mkdir()
        with private_login.folder() as second:
            assert second != living
            assert not dead.exists() and Path(living).is_dir() and young.is_dir()
        assert Path(living).is_dir()


def test_the_private_sign_in_knows_no_credential_and_no_store_of_the_callers() -> None:
    environ = {"ANTHROPIC_API_KEY": "x", "CLAUDE_SECURESTORAGE_CONFIG_DIR": "/a", "CLAUDE_CONFIG_DIR": "/b", "K": "v"}
    child = private_login.environment(environ, "/private")
    assert child == {"CLAUDE_CONFIG_DIR": "/private", "K": "v"}


# The macOS Keychain, played by a program that keeps its items in a folder


FAKE_SECURITY = """#!{python}
import os, shlex, sys
items = {items!r}
def path(words):
    return os.path.join(items, words[words.index("-s") + 1].replace("/", "_") + "@" + words[words.index("-a") + 1])
words = sys.argv[1:]
with open({journal!r}, "a") as journal:
    journal.write(repr(words) + "\\n")
if os.path.exists(os.path.join(items, "locked")):
    sys.exit(51)
if words == ["-i"]:
    words = shlex.split(sys.stdin.readline())
if words[0] == "add-generic-password":
    with open(path(words), "wb") as file:
        file.write(bytes.fromhex(words[words.index("-X") + 1]))
elif not os.path.exists(path(words)):
    sys.exit(44)
elif words[0] == "delete-generic-password":
    os.unlink(path(words))
else:
    content = open(path(words), "rb").read()
    sys.stdout.write((content.decode() if content.isascii() else content.hex()) + "\\n")
"""


class Keychain:
    """The items of the fake Keychain, and the argument lists of every call."""

    def __init__(self, folder: Path) -> None:
        self.items = folder / "items"
        self.items.mkdir()
        self.journal = folder / "journal"
        text = FAKE_SECURITY.format(python=sys.executable, items=str(self.items), journal=str(self.journal))
        self.program = write_program(folder / "security", text)

    def item(self, suffix: str = "", account: str = "me") -> Path:
        """Return the file in which an item is kept."""
        return self.items / f"Claude Code-credentials{suffix}@{account}"


@pytest.fixture
def keychain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keychain]:
    """Let the program believe that it runs on macOS with this Keychain."""
    folder = tmp_path / "keychain"
    folder.mkdir()
    found = Keychain(folder)
    monkeypatch.setenv("USER", "me")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(keychain_module, "SECURITY", str(found.program))
    yield found


def whole(**changes: object) -> bytes:
    """Return the content of an item."""
    return json.dumps({"claudeAiOauth": STORED | changes, "mcpOAuth": {"a": 1}}).encode()


def test_the_keychain_wins_over_the_file(store: Path, keychain: Keychain) -> None:
    put(store, accessToken="sk-ant-oat01-of-the-file")
    login = credentials_file.read_login(str(store))
    assert login and login.access_token == "sk-ant-oat01-of-the-file"
    keychain.item().write_bytes(whole())
    login = credentials_file.read_login(str(store))
    assert login and login.access_token == ACCESS


def test_an_item_that_the_program_prints_as_hexadecimal_is_read(store: Path, keychain: Keychain) -> None:
    keychain.item().write_bytes(json.dumps({"claudeAiOauth": STORED, "x": "é"}, ensure_ascii=False).encode())
    login = credentials_file.read_login(str(store))
    assert login and login.access_token == ACCESS


@pytest.mark.parametrize("padding", ["", "x" * 5000])
def test_an_item_is_written_back_whole_and_the_file_stays(store: Path, keychain: Keychain, padding: str) -> None:
    path = put(store)
    before = path.read_bytes()
    keychain.item().write_bytes(whole(padding=padding))
    assert credentials_file.write_back(str(store), REFRESH, NEW)
    stored = json.loads(keychain.item().read_bytes())
    assert stored["claudeAiOauth"]["accessToken"] == NEW.access_token
    assert stored["claudeAiOauth"]["padding"] == padding and stored["mcpOAuth"] == {"a": 1}
    assert path.read_bytes() == before


def test_a_token_of_ordinary_length_is_in_no_argument_list(store: Path, keychain: Keychain) -> None:
    """SEC-02"""
    keychain.item().write_bytes(whole())
    credentials_file.write_back(str(store), REFRESH, NEW)
    calls = keychain.journal.read_text()
    assert "['-i']" in calls
    assert NEW.access_token not in calls and NEW.access_token.encode().hex() not in calls


def test_a_locked_keychain_is_an_error_that_says_what_to_type(store: Path, keychain: Keychain) -> None:
    put(store)
    (keychain.items / "locked").touch()
    with pytest.raises(AccountsError) as refused:
        credentials_file.read_login(str(store))
    assert "unlock-keychain" in refused.value.hint
    assert credentials_file.may_hold_login(str(store))


def digest(text: str) -> str:
    """Return the suffix of a store that was named by `text`."""
    return "-" + hashlib.sha256(text.encode()).hexdigest()[:8]


def test_the_items_name_follows_the_exported_folder_as_it_was_written(home: Path) -> None:
    default = str(home / ".claude")
    item, exported_text = keychain_module.item, credentials_file.exported_text
    assert item(exported_text(default, {}), {"USER": "me"}) == ("Claude Code-credentials", "me")
    # Inside a session of ours the default store is still the default one.
    inside = {credentials_file.STORE_VARIABLE: str(home / ".claude-accounts" / "stores" / "a1")}
    assert exported_text(default, inside) == ""
    for exported in (default, "/some/../folder", "~/x", "/e\u0301"):
        environ = {"CLAUDE_CONFIG_DIR": exported, "USER": "odd name"}
        service, account = item(exported_text(credentials_file.store_folder(environ), environ), environ)
        assert service == "Claude Code-credentials" + digest(exported.replace("e\u0301", "\u00e9"))
        assert account == "claude-code-user"


def test_a_private_login_has_an_item_of_its_own_whatever_the_caller_exports(
    store: Path, keychain: Keychain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRM-16: the login that was already there is not taken for the new one."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(store))
    keychain.item(digest(str(store))).write_bytes(whole())
    with private_login.folder() as folder:
        assert credentials_file.read_login(folder, config_folder=folder) is None
        keychain.item(digest(folder)).write_bytes(whole(accessToken="sk-ant-oat01-private"))
        login = credentials_file.read_login(folder, config_folder=folder)
        assert login and login.access_token == "sk-ant-oat01-private"
    assert [path.name for path in keychain.items.iterdir()] == [keychain.item(digest(str(store))).name]


def test_a_durable_store_is_an_item_of_its_own_named_by_what_claude_is_given(
    keychain: Keychain, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = db.add_account(
        "client", db.OAUTH, access_token=ACCESS, refresh_token=REFRESH, expires_at=1_900_000_000_000
    )
    db.set_durable(account.id, True)
    given = db.get_durable_env(account.id)[credentials_file.STORE_VARIABLE]
    stored = json.loads(keychain.item(digest(given)).read_bytes())["claudeAiOauth"]
    assert (stored["accessToken"], stored["refreshToken"]) == (ACCESS, REFRESH)
    assert not (Path(given) / ".credentials.json").exists()
    # Listing asks the Keychain nothing.
    before = keychain.journal.read_text()
    assert db.list_accounts()[0].durable
    assert keychain.journal.read_text() == before
    db.delete_account(account.id)
    assert list(keychain.items.iterdir()) == []

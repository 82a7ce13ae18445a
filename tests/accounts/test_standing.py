"""Which copy of a login is ahead: what was spent and who wrote last decide, never which access token ends later.

The endpoint of these tests gives every token a shorter life than the one before.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
from pathlib import Path

import fake_claude
import pytest
from conftest import PROJECT, Cli, assert_fails_cleanly, write_program
from crash_points import age_locks, count_calls, run, sweep
from cryptography.fernet import Fernet
from hypothesis import given, strategies as st
from stored import expired_account
from test_refresh import write_store
from token_endpoint import Answer, TokenEndpoint, in_hours

from claude_accounts import db
from claude_accounts.accounts import durable_store, rows as account_rows, schema, standing, storage
from claude_accounts.claude.credentials_file import Login
from claude_accounts.messages import Conflict, LoginEnded, StoreBusy

Pair = tuple[str, str]
DAY_MS = 24 * 3600 * 1000


@pytest.fixture(autouse=True)
def shortening(endpoint: TokenEndpoint) -> None:
    """Let each token end before the one that it replaces; all of them end so soon that every session renews them."""
    lives = iter(range(290, 0, -1))

    def answer(request: dict[str, object]) -> Answer:
        endpoint.extra = {"expires_in": next(lives, 1)}
        return endpoint.exchange(request)

    endpoint.answer = answer


@pytest.fixture
def client(endpoint: TokenEndpoint) -> db.Account:
    """Store a durable account whose first access token outlives all that will be issued."""
    return durable(endpoint, "client", "family")


def durable(endpoint: TokenEndpoint, name: str, family: str) -> db.Account:
    account = db.set_durable(expired_account(endpoint, name, family).id, True)
    db.refresh_oauth_token(account.id)
    return account


def session(account: db.Account, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Let a session of the account use its login once, which renews it; None is "not logged in"."""
    with monkeypatch.context() as patch:
        patch.setenv("CLAUDE_SECURESTORAGE_CONFIG_DIR", durable_store.folder_of(account.id))
        patch.setattr(fake_claude, "ENDPOINT", os.environ["CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL"])
        return fake_claude.token()


def store_file(account: db.Account) -> Path:
    """Return the path of a durable account's credentials."""
    return Path(durable_store.folder_of(account.id), ".credentials.json")


def pair_in(account: db.Account) -> Pair:
    """Return the tokens in a durable account's store."""
    found = json.loads(store_file(account).read_text())["claudeAiOauth"]
    return found["accessToken"], found["refreshToken"]


def pair_held(account: db.Account) -> Pair:
    """Return the tokens in the database as they are, without a look at the store."""
    held = account_rows.login_of(account_rows.reread(account.id))
    return held.access_token, held.refresh_token


def newest(endpoint: TokenEndpoint, family: str = "family") -> Pair:
    """Return the pair of a family that was issued last."""
    return [pair for pair in endpoint.issued if f"-{family}-" in pair[0]][-1]


def spent_digests() -> set[str]:
    with storage.reading() as connection:
        return {row["digest"] for row in connection.execute("SELECT digest FROM spent_tokens")}


def sign_in_again(account: db.Account, endpoint: TokenEndpoint, family: str) -> None:
    """Capture a private login of the same person."""
    refresh = endpoint.new_login(family)
    login = Login(endpoint.issued[-1][0], refresh, in_hours(8), ("user:inference",))
    db.capture_oauth_tokens(account.id, login=login)


# The decision itself

MOMENTS = st.integers(0, 253_402_300_799_000)


@given(MOMENTS, MOMENTS, st.booleans(), st.sampled_from(["", "tokens", "login"]))
def test_no_end_of_an_access_token_decides_between_two_logins(
    stored_end: int, found_end: int, replaced: bool, lacks: str
) -> None:
    values = dict.fromkeys(account_rows.Stored._fields, "") | {"refresh_digest": "ours", "store_lacks": lacks}
    stored = account_rows.Stored(**values)._replace(expires_at=stored_end)  # type: ignore[arg-type]
    found = Login("access", "refresh", found_end)
    expected = standing.Ahead.DATABASE if replaced or lacks == "login" else standing.Ahead.STORE
    assert standing.ahead(stored, found, "other", same_access=False, replaced=replaced) is expected
    same = standing.ahead(stored, found, "ours", same_access=True, replaced=replaced)
    if stored_end == found_end:
        assert same is standing.Ahead.NEITHER
    else:
        assert same is (standing.Ahead.DATABASE if lacks else standing.Ahead.STORE)


# One login, two copies


def test_newer_token_that_ends_earlier_is_adopted_and_shown(
    client: db.Account, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = db.get_account(client.id).expires_at
    assert session(client, monkeypatch) == newest(endpoint)[0]
    assert db.get_account(client.id).expires_at < held
    db.get_durable_env(client.id)
    assert pair_held(client) == pair_in(client) == newest(endpoint)
    assert session(client, monkeypatch) and endpoint.reused == []


def test_store_put_back_from_an_older_copy_is_behind(
    client: db.Account, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many generations older, and though its token ends later."""
    copy = store_file(client).read_text()
    for _refresh in range(3):
        db.refresh_oauth_token(client.id)
    ends = db.get_account(client.id).expires_at
    store_file(client).write_text(copy)
    assert db.get_account(client.id).expires_at == ends
    db.get_durable_env(client.id)
    assert pair_in(client) == pair_held(client) == newest(endpoint)
    assert session(client, monkeypatch) and endpoint.reused == []


def test_database_put_back_from_an_older_copy_is_behind(
    client: db.Account, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    database = home / ".claude-accounts" / "accounts.db"
    storage.forget_removed_pages()
    shutil.copy(database, tmp_path / "copy")
    for _round in range(3):
        db.refresh_oauth_token(client.id)
        session(client, monkeypatch)
    storage.forget_removed_pages()
    shutil.copy(tmp_path / "copy", database)
    for log in ("accounts.db-wal", "accounts.db-shm"):
        database.with_name(log).unlink(missing_ok=True)
    db.refresh_oauth_token(client.id)
    assert pair_in(client) == pair_held(client) == newest(endpoint)
    assert endpoint.reused == []


def test_hundreds_of_rounds_of_shortening_tokens_lose_and_cross_nothing(
    endpoint: TokenEndpoint, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions and we in turn, some of us killed or without room on the disk in the middle of a refresh."""
    chance = random.Random(16)
    accounts = {family: durable(endpoint, family, family) for family in ("first", "second")}
    calls = count_calls("refresh", "first")
    lost = 0
    for number in range(200):
        family = chance.choice(list(accounts))
        account = accounts[family]
        if number % 40 == 39:
            before = newest(endpoint, family)
            run(chance.choice(["killed", "full"]), chance.randint(calls // 2, calls), "refresh", family)
            age_locks(store_file(account).parent)
            if newest(endpoint, family) not in (pair_in(account), pair_held(account)):
                # The answer was lost on its way to us, with the process.
                assert newest(endpoint, family) != before
                lost += 1
                sign_in_again(account, endpoint, family)
        elif number % 3:
            assert (session(account, monkeypatch) or "").startswith(f"sk-ant-oat01-{family}-"), number
        elif number % 2:
            assert db.refresh_oauth_token(account.id).status() == "valid"
        else:
            db.export_accounts()
        if number % 40 == 39 or chance.random() < 0.3:
            db.get_durable_env(account.id)
            assert pair_in(account) == pair_held(account) == newest(endpoint, family), number
        assert endpoint.reused == [], number
    assert lost < 5 and len(endpoint.requests) > 130


# What has not reached the store


def refresh_that_does_not_reach_the_store(
    account: db.Account, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refresh while the store's folder is away, as on a disk that went; it comes back as it was."""
    folder = Path(durable_store.folder_of(account.id))
    aside = folder.with_name("aside")
    with monkeypatch.context() as patch:
        patch.setattr(endpoint, "before_answer", lambda: folder.rename(aside))
        db.refresh_oauth_token(account.id)
    aside.rename(folder)
    age_locks(folder)
    assert pair_in(account) != pair_held(account) == newest(endpoint)


def test_store_that_a_refresh_did_not_reach_is_brought_in_step(
    endpoint: TokenEndpoint, client: db.Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its spent token ends later than ours."""
    refresh_that_does_not_reach_the_store(client, endpoint, monkeypatch)
    db.get_durable_env(client.id)
    assert pair_in(client) == pair_held(client) and session(client, monkeypatch) and endpoint.reused == []


def test_login_whose_store_was_blanked_for_want_of_our_write_goes_on(
    endpoint: TokenEndpoint, client: db.Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session spent what we had spent before, and Claude Code blanked the store."""
    refresh_that_does_not_reach_the_store(client, endpoint, monkeypatch)
    assert session(client, monkeypatch) is None
    # Not every server ends the whole login for it.
    endpoint.reused.clear()
    endpoint.revoked.clear()
    assert db.get_account(client.id).status() == "valid"
    db.get_durable_env(client.id)
    assert pair_in(client) == pair_held(client) == newest(endpoint)
    assert session(client, monkeypatch) is not None and endpoint.reused == []
    # Once it is there, a blanked store says that the login is over.
    endpoint.live.clear()
    assert session(client, monkeypatch) is None
    assert db.get_account(client.id).status() == "needs_login"
    with pytest.raises(LoginEnded):
        db.get_durable_env(client.id)


def test_capture_cut_off_anywhere_keeps_one_whole_login(
    cli: Cli,
    endpoint: TokenEndpoint,
    client: db.Account,
    monkeypatch: pytest.MonkeyPatch,
    program_folder: Path,
) -> None:
    """Sessions have renewed the old login unseen, before and after: what we hold of the new one prevails."""
    fake = PROJECT / "tests" / "fake_claude.py"
    write_program(program_folder / "claude", f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')
    outcomes = set()

    def new_login(family: str) -> None:
        refresh = endpoint.new_login(family)
        access = endpoint.issued[-1][0]
        whole = {"accessToken": access, "refreshToken": refresh, "expiresAt": in_hours(0.05)}
        monkeypatch.setenv("FAKE_LOGIN", json.dumps(whole | {"scopes": ["user:inference"]}))

    new_login("counted")
    calls = count_calls("login", "client")
    old = "counted"
    for at in list(sweep(calls, 14))[5:]:
        family = f"family-{at}"
        session(client, monkeypatch)
        new_login(family)
        assert run("killed", at, "login", "client").returncode == -signal.SIGKILL
        age_locks(store_file(client).parent)
        captured = family in pair_held(client)[0]
        if captured and family not in pair_in(client)[0]:
            outcomes.add("cut off")
            assert (session(client, monkeypatch) or "").startswith(f"sk-ant-oat01-{old}-")
        db.get_durable_env(client.id)
        old = family if captured else old
        assert pair_in(client) == pair_held(client) == newest(endpoint, old), at
        assert session(client, monkeypatch) and endpoint.reused == [], at
    assert outcomes == {"cut off"}


# What was replaced is remembered


def test_every_way_to_replace_a_refresh_token_remembers_it_as_spent(
    client: db.Account, endpoint: TokenEndpoint, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = storage.digest(pair_held(client)[1])
    db.refresh_oauth_token(client.id)
    assert before in spent_digests()
    before = storage.digest(pair_held(client)[1])
    session(client, monkeypatch)
    db.get_durable_env(client.id)
    assert before in spent_digests() and storage.digest(pair_held(client)[1]) not in spent_digests()
    before = storage.digest(pair_held(client)[1])
    sign_in_again(client, endpoint, "again")
    assert before in spent_digests()
    db.set_durable(client.id, False)
    before = storage.digest(pair_held(client)[1])
    db.update_account(client.id, access_token="sk-ant-oat01-typed-in", refresh_token="sk-ant-ort01-typed-in")
    assert before in spent_digests()
    with storage.writing() as connection:
        connection.execute("UPDATE spent_tokens SET spent_at = spent_at - ?", (91 * DAY_MS,))
    db.update_account(client.id, access_token="sk-ant-oat01-typed-anew", refresh_token="sk-ant-ort01-typed-anew")
    assert spent_digests() == {storage.digest("sk-ant-ort01-typed-in")}
    db.delete_account(client.id)
    assert spent_digests() <= {storage.digest("sk-ant-ort01-typed-in")}


def test_database_of_the_schema_before_opens_and_keeps_everything(home: Path, cli: Cli) -> None:
    folder = home / ".claude-accounts"
    folder.mkdir(mode=0o700)
    key = Fernet.generate_key()
    (folder / ".key").write_bytes(key)
    seal = Fernet(key)
    with sqlite3.connect(folder / "accounts.db") as connection:
        connection.executescript(schema.FIRST_TABLES + "".join(schema.STEPS[:2]))
        row = (
            "a1",
            "client",
            "oauth",
            *(seal.encrypt(text).decode() for text in (b"sk-ant-oat01-a", b"sk-ant-ort01-b")),
        )
        connection.execute(
            "INSERT INTO accounts (id, name, auth_type, access_token_enc, refresh_token_enc, expires_at, login_id,"
            " refresh_digest, spent_digest, durable, email) VALUES (?, ?, ?, ?, ?, 1700000000000, 'l1', 'd2', 'd1', 1,"
            " 'me@example.com')",
            row,
        )
        connection.execute("INSERT INTO bindings VALUES ('/here', 'a1')")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    stored = account_rows.reread("a1")
    assert (stored.login_id, stored.refresh_digest, stored.spent_digest, stored.durable) == ("l1", "d2", "d1", 1)
    assert (stored.store_lacks, stored.email, stored.expires_at) == ("", "me@example.com", 1700000000000)
    assert account_rows.login_of(stored).refresh_token == "sk-ant-ort01-b"
    with storage.reading() as connection:
        assert account_rows.is_spent(connection, "d1", stored) and account_rows.is_replaced(connection, "d1")
        assert connection.execute("SELECT account_id FROM bindings").fetchone()[0] == "a1"


# Claude Code's own store


def captured(endpoint: TokenEndpoint, home: Path) -> tuple[db.Account, Pair]:
    """Capture a login from the live store; return the account and its first pair."""
    refresh = endpoint.new_login()
    first = endpoint.issued[-1]
    write_store(
        home, accessToken=first[0], refreshToken=refresh, expiresAt=in_hours(0.1), accountUuid="u", organizationUuid="o"
    )
    return db.capture_oauth_tokens(db.add_account("client", db.OAUTH).id), first


def live(home: Path, pair: Pair, hours: float) -> None:
    write_store(
        home,
        accessToken=pair[0],
        refreshToken=pair[1],
        expiresAt=in_hours(hours),
        accountUuid="u",
        organizationUuid="o",
    )


def live_pair(home: Path) -> Pair:
    found = json.loads((home / ".claude" / ".credentials.json").read_text())["claudeAiOauth"]
    return found["accessToken"], found["refreshToken"]


def test_what_claude_code_renewed_is_adopted_though_it_ends_earlier(endpoint: TokenEndpoint, home: Path) -> None:
    account, first = captured(endpoint, home)
    endpoint.exchange({"refresh_token": first[1]})
    live(home, endpoint.issued[-1], 0.05)
    assert db.export_accounts()[0]["refresh_token"] == endpoint.issued[-1][1] == pair_held(account)[1]
    db.refresh_oauth_token(account.id)
    assert pair_held(account) == live_pair(home) == endpoint.issued[-1] and endpoint.reused == []


@pytest.mark.parametrize("generations", [1, 3])
def test_spent_pair_in_claude_codes_store_is_never_gone_back_to(
    endpoint: TokenEndpoint, home: Path, generations: int
) -> None:
    """Though it ends later than ours; it is mended there instead."""
    account, first = captured(endpoint, home)
    for _refresh in range(generations):
        with storage.writing() as connection:
            connection.execute("UPDATE accounts SET expires_at = 1000")
        db.refresh_oauth_token(account.id)
    live(home, first, 7)
    db.refresh_oauth_token(account.id)
    assert endpoint.reused == [] and pair_held(account) == live_pair(home) == endpoint.issued[-1]


def test_capture_refuses_what_is_known_as_spent_and_nothing_for_its_end(endpoint: TokenEndpoint, home: Path) -> None:
    account, first = captured(endpoint, home)
    endpoint.exchange({"refresh_token": first[1]})
    live(home, endpoint.issued[-1], 0.01)
    db.capture_oauth_tokens(account.id)
    assert pair_held(account) == endpoint.issued[-1]
    live(home, first, 7)
    with pytest.raises(Conflict, match="newer tokens"):
        db.capture_oauth_tokens(account.id)
    db.capture_oauth_tokens(account.id, force=True)
    assert pair_held(account) == first


def test_login_that_another_one_replaced_can_be_captured_again(endpoint: TokenEndpoint, home: Path) -> None:
    """It lives on in ~/.claude, which nobody but Claude Code writes for it."""
    account, first = captured(endpoint, home)
    sign_in_again(account, endpoint, "private")
    before = (home / ".claude" / ".credentials.json").read_bytes()
    db.get_launch_env(account.id)
    assert (home / ".claude" / ".credentials.json").read_bytes() == before
    assert pair_held(account) == newest(endpoint, "private")
    db.capture_oauth_tokens(account.id)
    assert pair_held(account) == first


# Whoever looks brings the database in step, or says that it could not


def test_export_warns_of_an_account_that_could_not_be_brought_in_step(
    client: db.Account, cli: Cli, endpoint: TokenEndpoint
) -> None:
    assert "warning" not in cli("export").stderr
    store_file(client).write_text("{")
    exported = cli("export")
    assert exported.returncode == 0 and json.loads(exported.stdout)[0]["refresh_token"] == pair_held(client)[1]
    assert "warning: the tokens of client may have been replaced since" in exported.stderr


def test_busy_store_is_told_by_whoever_copies(
    client: db.Account, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(client, monkeypatch)
    (store_file(client).parent / ".oauth_refresh.lock").mkdir()
    (behind,) = db.bring_all_in_step(wait_seconds=0.2)
    assert behind.name == "client" and isinstance(behind.error, StoreBusy)
    (store_file(client).parent / ".oauth_refresh.lock").rmdir()
    assert db.bring_all_in_step() == [] and pair_held(client) == newest(endpoint)


def test_doctor_takes_over_and_says_so(
    client: db.Account, cli: Cli, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(client, monkeypatch)
    assert "client: took over what its sessions have renewed" in cli("doctor").stdout
    assert pair_held(client) == newest(endpoint)
    assert "took over" not in cli("doctor").stdout


def test_somebody_elses_login_in_the_store_is_a_finding(client: db.Account, cli: Cli) -> None:
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET account_uuid = 'me'")
    whole = json.loads(store_file(client).read_text())
    whole["claudeAiOauth"] |= {"accountUuid": "you", "refreshToken": "sk-ant-ort01-stranger"}
    store_file(client).write_text(json.dumps(whole))
    assert_fails_cleanly(cli("refresh", "client"), "somebody else")
    assert "somebody else has signed in" in cli("doctor").stdout
    assert "stranger" not in cli("export").stdout


def test_forced_login_of_another_person_replaces_what_the_store_holds(
    client: db.Account, endpoint: TokenEndpoint
) -> None:
    """Also when its write was cut off: it is not taken for somebody who has signed in inside."""
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET account_uuid = 'me'")
    whole = store_file(client).read_text()
    refresh = endpoint.new_login("other")
    other = Login(endpoint.issued[-1][0], refresh, in_hours(8), ("user:inference",), account_uuid="you")
    with pytest.raises(Conflict):
        db.capture_oauth_tokens(client.id, login=other)
    db.capture_oauth_tokens(client.id, login=other, force=True)
    assert account_rows.reread(client.id).store_lacks == ""
    stranger = json.loads(whole)
    stranger["claudeAiOauth"] |= {"accountUuid": "me", "refreshToken": "sk-ant-ort01-renewed-unseen"}
    store_file(client).write_text(json.dumps(stranger))
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET store_lacks = 'login'")
    db.get_durable_env(client.id)
    assert pair_in(client) == pair_held(client) == newest(endpoint, "other")


def test_login_that_ended_here_and_lives_on_in_claude_codes_store_is_adopted(
    endpoint: TokenEndpoint, home: Path
) -> None:
    account, first = captured(endpoint, home)
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET login_ended = 1")
    endpoint.exchange({"refresh_token": first[1]})
    live(home, endpoint.issued[-1], 1)
    assert db.refresh_oauth_token(account.id).status() == "valid"
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET login_ended = 1")
    endpoint.exchange({"refresh_token": endpoint.issued[-1][1]})
    live(home, endpoint.issued[-1], 1)
    assert db.get_launch_env(account.id) == {"CLAUDE_CODE_OAUTH_TOKEN": endpoint.issued[-1][0]}
    assert db.get_account(account.id).status() == "valid"

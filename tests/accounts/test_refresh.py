"""Refreshing one login: what is stored, what is written back to Claude Code's store, and what ends a login."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import NAMELESS, Cli, assert_fails_cleanly, write_program
from stored import expired_account, stored_pair
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db
from claude_accounts.claude import store_locks
from claude_accounts.messages import Conflict, EndpointFailed, InvalidInput, LoginEnded, StoreBusy


def write_store(home: Path, **login: object) -> Path:
    """Write Claude Code's credentials file with one login and things that are nobody's business of ours."""
    folder = home / ".claude"
    folder.mkdir(exist_ok=True)
    path = folder / ".credentials.json"
    whole = {
        "accessToken": "sk-ant-oat01-store-access-" + "s" * 20,
        "refreshToken": "sk-ant-ort01-store-refresh-" + "s" * 20,
        "expiresAt": in_hours(-1),
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
        "somethingNew": {"kept": True},
    } | login
    path.write_text(json.dumps({"claudeAiOauth": whole, "mcpOAuth": {"server": {"token": "mcp"}}, "later": [1]}))
    path.chmod(0o600)
    return path


def test_a_refresh_stores_the_new_pair_and_the_new_end(endpoint: TokenEndpoint) -> None:
    """OAU-01"""
    account = expired_account(endpoint)
    refreshed = db.refresh_oauth_token(account.id)
    assert stored_pair() == endpoint.issued[-1]
    assert refreshed.status() == "valid" and refreshed.expires_at > in_hours(7)


def test_an_answer_without_a_refresh_token_keeps_the_stored_one(endpoint: TokenEndpoint) -> None:
    """OAU-02"""
    account = expired_account(endpoint)
    kept = stored_pair()[1]
    for answer in ({}, {"refresh_token": ""}, {"refresh_token": None}):
        body = {"access_token": "sk-ant-oat01-new" + "n" * 20, "expires_in": 3600} | answer
        endpoint.answer = lambda _request, body=body: (200, json.dumps(body).encode())
        db.refresh_oauth_token(account.id)
        assert stored_pair() == (body["access_token"], kept)


def test_launching_an_expired_account_refreshes_once(endpoint: TokenEndpoint) -> None:
    """OAU-15"""
    account = expired_account(endpoint)
    first = db.get_launch_env(account.id)
    assert first == {"CLAUDE_CODE_OAUTH_TOKEN": endpoint.issued[-1][0]}
    assert db.get_launch_env(account.id) == first
    assert len(endpoint.requests) == 1


def test_a_token_that_ends_within_five_minutes_is_refreshed_first(endpoint: TokenEndpoint) -> None:
    account = expired_account(endpoint)
    db.update_account(
        account.id, access_token="sk-ant-oat01-short", refresh_token=endpoint.new_login(), expires_at=in_hours(0.05)
    )
    db.get_launch_env(account.id)
    assert len(endpoint.requests) == 1


def test_invalid_grant_ends_the_login_keeps_the_data_and_is_not_tried_again(
    endpoint: TokenEndpoint, cli: Cli, program_folder: Path
) -> None:
    """OAU-11, OAU-12"""
    write_program(program_folder / "claude", NAMELESS)
    account = expired_account(endpoint)
    pair = stored_pair()
    endpoint.revoked.add("family")
    for _attempt in range(3):
        with pytest.raises(LoginEnded) as caught:
            db.refresh_oauth_token(account.id)
    assert caught.value.hint == "claude-accounts login --new client"
    assert len(endpoint.requests) == 1
    assert stored_pair() == pair
    assert db.get_account(account.id).status() == "needs_login"
    assert_fails_cleanly(cli("launch", "client"), "client", "login --new client", code=None)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(("status", "word"), [(500, "500"), (403, "403"), (429, "slow down")])
def test_a_server_error_is_said_as_such_and_keeps_the_pair(endpoint: TokenEndpoint, status: int, word: str) -> None:
    """OAU-13"""
    account = expired_account(endpoint)
    pair = stored_pair()
    endpoint.answer = lambda _request: (status, b"oops")
    with pytest.raises(EndpointFailed, match=word):
        db.refresh_oauth_token(account.id)
    assert stored_pair() == pair and db.get_account(account.id).status() == "expired"
    endpoint.answer = None
    db.refresh_oauth_token(account.id)


def test_an_answer_for_somebody_else_is_not_stored(endpoint: TokenEndpoint, home: Path) -> None:
    write_store(home, refreshToken=endpoint.new_login(), accountUuid="u-1", organizationUuid="o-1")
    account = db.capture_oauth_tokens(db.add_account("client", db.OAUTH).id)
    endpoint.extra = {"account": {"uuid": "u-2", "email_address": "other@example.com"}}
    pair = stored_pair()
    with pytest.raises(LoginEnded, match="another identity"):
        db.refresh_oauth_token(account.id)
    assert stored_pair() == pair


def test_accounts_without_a_refresh_token_say_what_to_type(endpoint: TokenEndpoint, cli: Cli) -> None:
    db.add_account("setup", db.OAUTH, access_token="sk-ant-oat01-" + "s" * 40)
    db.add_account("key", db.API_KEY, api_key="sk-ant-api03-" + "k" * 40)
    with pytest.raises(InvalidInput):
        db.refresh_oauth_token(db.find_account("key").id)
    assert_fails_cleanly(cli("refresh", "setup"), "no refresh token", "claude-accounts login setup")


def test_another_login_in_the_store_stays_byte_for_byte(endpoint: TokenEndpoint, home: Path) -> None:
    """OAU-03"""
    account = expired_account(endpoint)
    path = write_store(home)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    db.refresh_oauth_token(account.id)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_the_accounts_own_login_is_written_back_and_all_else_kept(endpoint: TokenEndpoint, home: Path) -> None:
    """OAU-04"""
    path = write_store(home, refreshToken=endpoint.new_login())
    account = db.capture_oauth_tokens(db.add_account("client", db.OAUTH).id)
    db.refresh_oauth_token(account.id)
    written = json.loads(path.read_text())
    access, refresh = endpoint.issued[-1]
    assert written["claudeAiOauth"]["accessToken"] == access
    assert written["claudeAiOauth"]["refreshToken"] == refresh
    assert written["claudeAiOauth"]["expiresAt"] == db.get_account(account.id).expires_at
    assert written["claudeAiOauth"]["somethingNew"] == {"kept": True}
    assert written["claudeAiOauth"]["scopes"] == ["user:inference", "user:profile"]
    assert written["mcpOAuth"] == {"server": {"token": "mcp"}} and written["later"] == [1]
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".credentials.json"]


def test_no_credentials_file_is_created(endpoint: TokenEndpoint, home: Path) -> None:
    """OAU-05"""
    db.refresh_oauth_token(expired_account(endpoint).id)
    assert not (home / ".claude").exists()


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", '{"claudeAiOauth": 5}', '{"claudeAiOauth": {"accessToken": 1}}', "{}"]
)
def test_a_store_that_is_not_understood_stays_as_it_is(endpoint: TokenEndpoint, home: Path, text: str) -> None:
    """OAU-06"""
    path = write_store(home)
    path.write_text(text)
    account = expired_account(endpoint)
    db.refresh_oauth_token(account.id)
    assert path.read_text() == text and stored_pair() == endpoint.issued[-1]


def test_what_claude_code_refreshed_itself_is_adopted_instead_of_spending(endpoint: TokenEndpoint, home: Path) -> None:
    """The client rotated the login that was captured from its store; our stored token is spent by then."""
    first = endpoint.new_login()
    write_store(home, refreshToken=first, accountUuid="u-1", organizationUuid="o-1")
    account = db.capture_oauth_tokens(db.add_account("client", db.OAUTH).id)
    endpoint.exchange({"refresh_token": first})
    access, refresh = endpoint.issued[-1]
    write_store(
        home, accessToken=access, refreshToken=refresh, expiresAt=in_hours(8), accountUuid="u-1", organizationUuid="o-1"
    )
    assert db.get_launch_env(account.id) == {"CLAUDE_CODE_OAUTH_TOKEN": access}
    assert stored_pair() == (access, refresh) and endpoint.requests == [] and endpoint.reused == []


def test_another_persons_newer_login_is_not_adopted(endpoint: TokenEndpoint, home: Path) -> None:
    write_store(home, refreshToken=endpoint.new_login(), accountUuid="u-1", organizationUuid="o-1")
    account = db.capture_oauth_tokens(db.add_account("client", db.OAUTH).id)
    path = write_store(home, expiresAt=in_hours(8), accountUuid="u-1", organizationUuid="o-2")
    before = path.read_bytes()
    assert db.get_launch_env(account.id) == {"CLAUDE_CODE_OAUTH_TOKEN": endpoint.issued[-1][0]}
    assert path.read_bytes() == before


def test_while_claude_code_holds_its_locks_its_login_is_neither_spent_nor_rewritten(
    endpoint: TokenEndpoint, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CON-06"""
    path = write_store(home, refreshToken=endpoint.new_login())
    account = db.capture_oauth_tokens(db.add_account("client", db.OAUTH).id)
    before = path.read_bytes()
    lock = path.parent / ".oauth_refresh.lock"
    lock.mkdir()
    real = store_locks.locked
    monkeypatch.setattr(store_locks, "locked", lambda folder: real(folder, wait_seconds=0.3))
    with pytest.raises(StoreBusy):
        db.refresh_oauth_token(account.id)
    assert endpoint.requests == [] and path.read_bytes() == before and lock.is_dir()
    lock.rmdir()
    db.refresh_oauth_token(account.id)


@pytest.mark.parametrize(
    "login",
    [
        {"accessToken": ""},
        {"accessToken": 5},
        {"refreshToken": 5},
        {"expiresAt": "soon"},
        {"scopes": "user:inference"},
        {"accessToken": "a b"},
    ],
)
def test_a_half_written_login_never_overwrites_a_good_one(home: Path, login: dict[str, object], cli: Cli) -> None:
    """OAU-07"""
    account = db.add_account("client", db.OAUTH, access_token="sk-ant-oat01-" + "g" * 40, expires_at=in_hours(1))
    pair = stored_pair()
    write_store(home, **login)
    assert_fails_cleanly(cli("login", "client"))
    assert stored_pair() == pair and db.get_account(account.id).status() == "valid"


def test_a_login_of_somebody_else_needs_force(home: Path, cli: Cli) -> None:
    write_store(home, accountUuid="u-1", organizationUuid="o-1")
    assert cli("login", "client").returncode == 0
    write_store(home, accountUuid="u-2", organizationUuid="o-1", accessToken="sk-ant-oat01-" + "z" * 30)
    assert_fails_cleanly(cli("login", "client"), "client", "--force")
    with pytest.raises(Conflict):
        db.capture_oauth_tokens(db.find_account("client").id)
    assert cli("login", "--force", "client").returncode == 0


def test_login_creates_the_account_and_says_whose_it_is(home: Path, cli: Cli) -> None:
    write_store(home, accountUuid="u-1")
    (home / ".claude.json").write_text(
        json.dumps(
            {"oauthAccount": {"accountUuid": "u-1", "emailAddress": "me@example.com", "organizationName": "Acme"}}
        )
    )
    finished = cli("login", "Client")
    assert finished.returncode == 0, finished.stderr
    assert "me@example.com" in finished.stderr and "Acme" in finished.stderr
    account = db.find_account("client")
    assert account.email == "me@example.com" and account.subscription_type == "max" and account.has_refresh


def test_a_failed_login_leaves_no_account_behind(cli: Cli) -> None:
    """CLI-02"""
    assert_fails_cleanly(cli("login", "client"), "no login", code=None)
    assert db.list_accounts() == []


def test_a_private_login_is_captured_and_leaves_nothing(home: Path, cli: Cli, program_folder: Path) -> None:
    path = write_store(home)
    before = path.read_bytes()
    login = {
        "accessToken": "sk-ant-oat01-" + "p" * 40,
        "refreshToken": "sk-ant-ort01-" + "p" * 40,
        "expiresAt": in_hours(8),
        "scopes": ["user:inference"],
    }
    text = json.dumps({"claudeAiOauth": login})
    script = program_folder / "claude"
    script.write_text(
        "#!/bin/sh\n"
        'test "$1 $2" = "auth login" || exit 9\n'
        "env | grep -q ANTHROPIC_API_KEY && exit 8\n"
        f"printf '%s' '{text}' > \"$CLAUDE_CONFIG_DIR/.credentials.json\"\n"
        f'echo "$CLAUDE_CONFIG_DIR" > {home}/where\n'
    )
    script.chmod(0o755)
    finished = cli("login", "client", "--new", env={"ANTHROPIC_API_KEY": "sk-ant-api03-rival"})
    assert finished.returncode == 0, finished.stderr
    assert stored_pair() == (login["accessToken"], login["refreshToken"])
    assert path.read_bytes() == before
    assert not Path((home / "where").read_text().strip()).exists()
    assert not [name for name in os.listdir(home / ".claude-accounts") if "login" in name]


def test_accounts_of_one_login_refresh_together(endpoint: TokenEndpoint) -> None:
    token = endpoint.new_login()
    ids = [
        db.add_account(name, db.OAUTH, access_token="sk-ant-oat01-old", refresh_token=token, expires_at=in_hours(-1)).id
        for name in ("one", "two")
    ]
    db.refresh_oauth_token(ids[0])
    assert stored_pair("one") == stored_pair("two") == endpoint.issued[-1]
    db.refresh_oauth_token(ids[1])
    assert endpoint.reused == [] and stored_pair("one") == endpoint.issued[-1]


def test_an_earlier_state_of_a_login_that_comes_back_is_never_spent_again(endpoint: TokenEndpoint) -> None:
    """Of an export from before a refresh, after the account was renamed: a server ends a login for a spent token."""
    account = expired_account(endpoint)
    exported = db.export_accounts(current=False)
    db.refresh_oauth_token(account.id)
    db.refresh_oauth_token(account.id)
    db.update_account(account.id, name="renamed")
    assert db.import_accounts(exported).imported == [account.name]
    assert stored_pair(account.name) == stored_pair("renamed") == endpoint.issued[-1]
    for each in db.list_accounts():
        db.refresh_oauth_token(each.id)
    assert endpoint.reused == [] and stored_pair(account.name) == stored_pair("renamed") == endpoint.issued[-1]


def test_the_refresh_command_speaks_french_as_promised(endpoint: TokenEndpoint, cli: Cli) -> None:
    expired_account(endpoint)
    finished = cli("refresh", "client", env={"LC_ALL": "fr_FR.UTF-8"})
    access = endpoint.issued[-1][0]
    assert f"✓ Token rafraîchi : sk-ant-oat01-...{access[-6:]}" in finished.stderr
    assert "⏰ Expire dans : 7h59m" in finished.stderr


def test_refresh_all_goes_on_after_a_failure(endpoint: TokenEndpoint, cli: Cli) -> None:
    expired_account(endpoint, "bad", "bad")
    expired_account(endpoint, "good", "good")
    endpoint.revoked.add("bad")
    finished = cli("refresh", "--all")
    assert finished.returncode == 1 and "bad" in finished.stderr
    assert db.find_account("good").status() == "valid"

"""Whether a credential works: untried until an answer has proven it, and untried again when there is another one."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_stub import Api, api_stub
from conftest import PROJECT, Cli, assert_fails_cleanly, write_program
from stored import earlier_database, expired_account
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db
from claude_accounts.accounts import journal, proofs, rows as account_rows, sessions, storage
from claude_accounts.claude import api_key
from claude_accounts.launch import checking
from claude_accounts.messages import AccountsError, ClaudeMissing, EndpointFailed, InvalidInput

KEY = "sk-ant-api03-" + "k" * 95
TOKEN = "sk-ant-oat01-" + "t" * 95


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Serve an API on loopback and point the program at it."""
    with api_stub() as state:
        monkeypatch.setenv("CLAUDE_ACCOUNTS_API_URL", state.url)
        yield state


@pytest.fixture
def work(home: Path) -> db.Account:
    """Store an API key account."""
    return db.add_account("work", db.API_KEY, api_key=KEY)


@pytest.fixture
def claude(program_folder: Path) -> Path:
    """Put a `claude` first on PATH that keeps its login as the real one does."""
    fake = PROJECT / "tests" / "fake_claude.py"
    return write_program(program_folder / "claude", f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')


def check(account: db.Account) -> db.Account:
    return checking.check(account.id, os.environ)


def test_a_key_is_untried_until_a_check_has_proven_it_and_again_with_another_key(api: Api, work: db.Account) -> None:
    assert work.tried == proofs.UNTRIED and not proofs.is_green(work)
    checked = check(work)
    assert api.asked == [("/v1/models", KEY)]
    assert checked.tried == proofs.WORKS and checked.tried_at and proofs.is_green(checked)
    assert db.update_account(work.id, approve_key=True).tried == proofs.WORKS
    changed = db.update_account(work.id, api_key=KEY.replace("kkk", "nnn"))
    assert changed.tried == proofs.UNTRIED and not changed.tried_at


@pytest.mark.parametrize(
    ("status", "kind", "message", "reason"),
    [
        (401, "authentication_error", "invalid x-api-key", "invalid_key"),
        (403, "permission_error", "no", "no_permission"),
        (400, "invalid_request_error", "This organization has been disabled.", "organization_disabled"),
    ],
)
def test_a_refusal_is_kept_with_its_reason(
    api: Api, work: db.Account, status: int, kind: str, message: str, reason: str
) -> None:
    api.refuses(status, kind, message)
    checked = check(work)
    assert (checked.tried, checked.tried_reason) == (proofs.REFUSED, reason) and checked.status() == "valid"
    assert proofs.reason_text(checked) != reason and "refused" in proofs.text(checked)


def test_no_word_is_no_refusal_and_leaves_what_was_known(
    api: Api, work: db.Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(work)
    for status, body in (
        (429, b'{"error": {"type": "rate_limit_error"}}'),
        (529, b'{"error": {"type": "overloaded_error"}}'),
        (503, b"<html>maintenance</html>"),
        (200, b"<!doctype html><title>Welcome to our hotel"),
        (403, b"<html>blocked at the edge</html>"),
        (401, b"proxy says no"),
        (404, b'{"detail": "no such route"}'),
        (400, b'{"error": {"type": "invalid_request_error", "message": "bad"}}'),
        (400, b'{"error": {"type": "invalid_request_error", "message": "streaming is disabled"}}'),
        (401, b'{"message": "sign in to this network first"}'),
        (401, b'{"error": "gateway token missing"}'),
        (200, b'{"message": "welcome to our hotel"}'),
        (200, b'{"error": {"type": "authentication_error", "message": "invalid x-api-key"}}'),
    ):
        api.status, api.body = status, body
        with pytest.raises(EndpointFailed):
            check(work)
    monkeypatch.setenv("CLAUDE_ACCOUNTS_API_URL", "http://127.0.0.1:1")
    with pytest.raises(EndpointFailed):
        check(work)
    assert db.get_account(work.id).tried == proofs.WORKS


def test_a_key_goes_where_sessions_send_it_and_nowhere_in_clear(
    api: Api, work: db.Account, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ["CLAUDE_ACCOUNTS_API_URL"]
    monkeypatch.delenv("CLAUDE_ACCOUNTS_API_URL")
    assert api_key.place(os.environ).url == "https://api.anthropic.com"
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_text(json.dumps({"env": {"ANTHROPIC_BASE_URL": url + "gateway/"}}))
    check(work)
    assert api.asked == [("/gateway/v1/models", KEY)]
    for address in ("http://example.com", "ftp://127.0.0.9", "nonsense", "http://[::1"):
        monkeypatch.setenv("CLAUDE_ACCOUNTS_API_URL", address)
        with pytest.raises(InvalidInput, match="CLAUDE_ACCOUNTS_API_URL"):
            check(work)


def test_a_gateway_gets_the_headers_that_sessions_send_it_and_no_other_credential(
    api: Api, work: db.Account, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = "x-gateway: mine\nX-Api-Key: another\nauthorization: Bearer x\n\nodd\nx-é: é"
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", headers)
    check(work)
    assert api.headers[-1]["x-gateway"] is None, "whoever the override names is no gateway of the sessions"
    url = os.environ["CLAUDE_ACCOUNTS_API_URL"]
    monkeypatch.delenv("CLAUDE_ACCOUNTS_API_URL")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f" {url}\n")
    check(work)
    assert api.asked[-1] == ("/v1/models", KEY) and api.headers[-1].get_all("x-api-key") == [KEY]
    assert api.headers[-1]["x-gateway"] == "mine" and api.headers[-1]["authorization"] is None
    assert "odd" not in api.headers[-1]
    (home / ".claude").mkdir()
    of_the_settings = {"ANTHROPIC_CUSTOM_HEADERS": "x-gateway: theirs"}
    (home / ".claude" / "settings.json").write_text(json.dumps({"env": of_the_settings}))
    check(work)
    assert api.headers[-1]["x-gateway"] == "theirs"


def test_an_address_that_does_not_answer_is_told_with_the_variable_that_names_it(
    work: db.Account, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://me:S3cret@127.0.0.1:1"
    for name in ("CLAUDE_ACCOUNTS_API_URL", "ANTHROPIC_BASE_URL"):
        with monkeypatch.context() as patched, pytest.raises(EndpointFailed) as raised:
            patched.setenv(name, address)
            check(work)
        assert f"{name}=https://***@127.0.0.1:1" in raised.value.hint and "S3cret" not in raised.value.hint
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir()
    for value, kind in ((address, EndpointFailed), ("http://gateway.example:4000", InvalidInput)):
        settings.write_text(json.dumps({"env": {"ANTHROPIC_BASE_URL": value}}))
        with pytest.raises(kind) as told:
            check(work)
        assert "ANTHROPIC_BASE_URL" in told.value.hint and str(settings) in told.value.hint


@pytest.mark.parametrize("key", [KEY + "\n", f"{KEY} x", "ключ", "k\x00ey"])
def test_a_stored_key_that_cannot_be_sent_is_told_and_not_shown(
    cli: Cli, api: Api, work: db.Account, home: Path, key: str
) -> None:
    with storage.writing(durable=True, secrets=True) as connection:
        account_rows.update(connection, "id = ?", work.id, {"api_key_enc": storage.encrypt(key)})
    told = cli("--debug", "check", "work")
    assert told.returncode == 1 and not api.asked
    assert "claude-accounts update work --key" in told.stderr and "name" not in told.stderr.splitlines()[-2]
    assert not any(piece in told.stderr for piece in (key, repr(key)[1:-1], "k" * 20))


def test_a_token_that_claude_only_believes_is_not_called_working(claude: Path, endpoint: TokenEndpoint) -> None:
    account = db.add_account("ci", db.OAUTH, access_token=TOKEN, expires_at=in_hours(1000))
    checked = check(account)
    assert checked.tried == proofs.SIGNED_IN and not proofs.is_green(checked)
    assert not list(Path(os.environ["HOME"], ".claude-accounts").glob("private-logins/*"))


@pytest.mark.parametrize("durable", [False, True])
def test_tokens_that_were_given_anew_are_a_proof(claude: Path, endpoint: TokenEndpoint, durable: bool) -> None:
    account = expired_account(endpoint)
    if durable:
        db.set_durable(account.id, True)
    assert check(account).tried == proofs.WORKS
    assert len(endpoint.requests) == 1
    # What was once proven is not taken back by less of a proof.
    assert check(account).tried == proofs.WORKS and len(endpoint.requests) == 1


def test_a_login_that_is_over_is_refused(claude: Path, endpoint: TokenEndpoint) -> None:
    account = expired_account(endpoint)
    endpoint.revoked.add("family")
    checked = check(account)
    assert (checked.tried, checked.tried_reason) == (proofs.REFUSED, "login_ended")


def test_a_claude_that_finds_no_login_refuses_and_one_that_says_nothing_does_not(
    home: Path, program_folder: Path
) -> None:
    account = db.add_account("ci", db.OAUTH, access_token=TOKEN, expires_at=in_hours(1000))
    with pytest.raises(ClaudeMissing):
        check(account)
    write_program(program_folder / "claude", "#!/bin/sh\necho broken\n")
    with pytest.raises(AccountsError):
        check(account)
    assert db.get_account(account.id).tried == proofs.UNTRIED
    write_program(program_folder / "claude", '#!/bin/sh\necho \'{"loggedIn": false, "authMethod": "none"}\'\n')
    checked = check(account)
    assert (checked.tried, checked.tried_reason) == (proofs.REFUSED, "no_login")


def test_a_refresh_and_a_sign_in_are_proofs_and_a_typed_token_is_none(endpoint: TokenEndpoint, home: Path) -> None:
    account = expired_account(endpoint)
    assert account.tried == proofs.UNTRIED
    assert db.refresh_oauth_token(account.id).tried == proofs.WORKS
    assert db.update_account(account.id, access_token=TOKEN).tried == proofs.UNTRIED
    login = account_rows.login_of(account_rows.reread(account.id))
    assert db.capture_oauth_tokens(account.id, login=login).tried == proofs.WORKS


def test_a_check_of_a_key_that_was_replaced_meanwhile_says_nothing_of_the_new_one(work: db.Account) -> None:
    before = account_rows.reread(work.id)
    db.update_account(work.id, api_key=KEY.replace("kkk", "nnn"))
    proofs.remember(before, proofs.REFUSED, "invalid_key")
    assert db.get_account(work.id).tried == proofs.UNTRIED


def test_a_status_line_proves_the_credential_that_its_session_got(cli: Cli, work: db.Account) -> None:
    def line(cost: float) -> str:
        status = json.dumps({"cost": {"total_cost_usd": cost}})
        assert cli("statusline", stdin=status, env={"CLAUDE_ACCOUNT": "work", "CLAUDE_PID": str(os.getpid())}).stdout
        return db.get_account(work.id).tried

    sessions.record(account_rows.reread(work.id), os.getpid(), "/", sessions.SHELL)
    assert [line(0.5), line(0.5)] == [proofs.UNTRIED] * 2, "a conversation that goes on brings its cost along"
    assert line(0.7) == proofs.WORKS
    db.update_account(work.id, api_key=KEY.replace("kkk", "nnn"))
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET credential_at = credential_at + 1")
    assert line(0.9) == proofs.UNTRIED, "the session has the key before"


def test_limits_in_a_status_line_prove_a_login(cli: Cli, endpoint: TokenEndpoint) -> None:
    account = expired_account(endpoint)
    sessions.record(account_rows.reread(account.id), os.getpid(), "/", sessions.SHELL)
    status = json.dumps({"rate_limits": {"five_hour": {"used_percentage": 3, "resets_at": 4102444800}}})
    cli("statusline", stdin=status, env={"CLAUDE_ACCOUNT": "client"})
    assert db.get_account(account.id).tried == proofs.WORKS


def test_check_tells_people_and_programs_and_the_journal(cli: Cli, api: Api, work: db.Account) -> None:
    assert "not tried yet" in cli("list").stdout and "not tried yet" in cli("status", "work").stdout
    checked = cli("check", "work")
    assert checked.returncode == 0 and checked.stdout.startswith("✓ work: works (")
    assert "works" in cli("list").stdout
    (listed,) = json.loads(cli("list", "--json").stdout)["accounts"]
    assert (listed["status"], listed["tried"]) == ("valid", "works") and listed["tried_at"].endswith("Z")
    assert json.loads(cli("status", "work", "--json").stdout)["tried"] == "works"
    api.refuses(401, "authentication_error")
    checked = cli("check", "work", "--json")
    told = json.loads(checked.stdout)
    assert checked.returncode == 1 and (told["tried"], told["tried_reason"]) == ("refused", "invalid_key")
    api.status = 500
    assert_fails_cleanly(cli("check", "work"), "HTTP 500")
    db.add_account("empty", db.OAUTH)
    told = json.loads(cli("check", "--all", "--json").stdout)["accounts"]
    assert [(each["name"], each["tried"]) for each in told] == [("work", "refused")] and "500" in told[0]["error"]
    assert_fails_cleanly(cli("check", "empty"), "no login yet")
    details = [entry.detail for entry in journal.listed(limit=9, event="account-checked")]
    assert details == ["refused", "works"]


def test_earlier_databases_open_and_what_told_of_limits_has_worked(home: Path) -> None:
    from cryptography.fernet import Fernet

    earlier_database(home, Fernet.generate_key())
    assert {account.tried for account in db.list_accounts()} == {proofs.UNTRIED}
    assert {proofs.text(account) for account in db.list_accounts()} == {"not tried yet", "not checked yet"}
    path = storage.database_path()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO usage VALUES ('a2', 'five_hour', 5, 0, 1700000000000)")
        for column in ("tried", "tried_at", "tried_reason", "credential_at"):
            connection.execute(f"ALTER TABLE accounts DROP COLUMN {column}")
        connection.execute("ALTER TABLE running_sessions DROP COLUMN first_cost")
        connection.execute("PRAGMA user_version = 4")
    connection.close()
    assert [(account.tried, account.tried_at) for account in db.list_accounts()] == [
        ("untried", 0),
        ("works", 1700000000000),
    ]

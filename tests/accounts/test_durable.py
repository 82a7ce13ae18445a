"""Durable logins: one private store for each, renewed by claude and by us under the same locks, never crossed."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PROJECT, Cli, assert_fails_cleanly, command_line, write_program
from crash_points import age_locks, count_calls, move_home, run, sweep
from stored import KEY, expired_account, stored_pair
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db
from claude_accounts.accounts import durable_store, rows as account_rows, storage
from claude_accounts.claude import credentials_file, program as claude_code
from claude_accounts.messages import Conflict, InvalidInput, LoginEnded

STORE = "CLAUDE_SECURESTORAGE_CONFIG_DIR"


@pytest.fixture
def claude(program_folder: Path) -> Path:
    """Put a `claude` first on PATH that keeps its login as the real one does."""
    fake = PROJECT / "tests" / "fake_claude.py"
    return write_program(program_folder / "claude", f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')


@pytest.fixture
def client(endpoint: TokenEndpoint, claude: Path) -> db.Account:
    """Store a durable account whose access token has ended."""
    return db.set_durable(expired_account(endpoint).id, True)


def login_in(account: db.Account) -> dict[str, object]:
    """Return the login in a durable account's store."""
    path = Path(durable_store.folder_of(account.id), ".credentials.json")
    found: dict[str, object] = json.loads(path.read_text())["claudeAiOauth"]
    return found


def pair_in(account: db.Account) -> tuple[object, object]:
    """Return the tokens in a durable account's store."""
    found = login_in(account)
    return found["accessToken"], found["refreshToken"]


def pair_held(account: db.Account) -> tuple[object, object]:
    """Return the tokens in the database as they are, without a look at the store."""
    held = account_rows.login_of(account_rows.reread(account.id))
    return held.access_token, held.refresh_token


# The way to a durable login and back


def test_durable_store_is_private_and_holds_the_login(client: db.Account) -> None:
    folder = Path(durable_store.folder_of(client.id))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder)] == [0o700, 0o700]
    assert stat.S_IMODE((folder / ".credentials.json").stat().st_mode) == 0o600
    assert pair_in(client) == stored_pair()
    assert client.durable and client.status() == "valid"


def test_launch_gives_claude_the_store_and_no_token(cli: Cli, client: db.Account, program_folder: Path) -> None:
    shown = "import json, os; print(json.dumps(dict(os.environ)))"
    fake = f"{sys.executable} {PROJECT / 'tests' / 'fake_claude.py'}"
    write_program(
        program_folder / "claude",
        f'#!/bin/sh\ncase "$1" in auth|--version) exec {fake} "$@";; esac\nexec {sys.executable} -c \'{shown}\'\n',
    )
    given = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-rival", "ANTHROPIC_API_KEY": "sk-ant-api03-rival"}
    launched = cli("launch", "client", env=given)
    environment = json.loads(launched.stdout)
    assert environment[STORE] == durable_store.folder_of(client.id)
    assert environment["CLAUDE_ACCOUNT"] == "client"
    assert not set(environment) & {"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR"}
    assert "durable login" in launched.stderr


def test_session_outlives_its_token(cli: Cli, endpoint: TokenEndpoint, client: db.Account) -> None:
    """Every look finds a token that ends in a second; none of them needs us."""
    endpoint.extra = {"expires_in": 1}
    used = cli("launch", "client", env={"ROUNDS": "20"})
    assert used.returncode == 0, used.stderr
    assert len(set(used.stdout.split())) == 20 == len(endpoint.requests)
    assert endpoint.reused == []
    assert cli("list").returncode == 0 and db.get_account(client.id).status() == "valid"
    # What the session made of the login is ours at the next look.
    db.get_durable_env(client.id)
    assert stored_pair() == pair_in(client) == endpoint.issued[-1]


def test_back_to_injection_keeps_the_newest_tokens_and_leaves_no_store(
    cli: Cli, endpoint: TokenEndpoint, client: db.Account
) -> None:
    assert cli("launch", "client").returncode == 0
    assert cli("update", "client", "--injected").returncode == 0
    assert stored_pair() == endpoint.issued[-1]
    assert not Path(durable_store.folder_of(client.id)).exists()
    token = cli("exec", "client", "--", "printenv", "CLAUDE_CODE_OAUTH_TOKEN").stdout.strip()
    assert token == endpoint.issued[-1][0] and endpoint.reused == []


def test_removal_takes_the_store_with_it(cli: Cli, client: db.Account) -> None:
    assert cli("remove", "client", "--yes").returncode == 0
    assert not os.listdir(Path(durable_store.folder_of(client.id)).parent)


def test_exec_gives_other_programs_a_token_of_the_store(cli: Cli, endpoint: TokenEndpoint, client: db.Account) -> None:
    token = cli("exec", "client", "--", "printenv", "CLAUDE_CODE_OAUTH_TOKEN").stdout.strip()
    assert token == endpoint.issued[-1][0] == pair_in(client)[0]
    assert cli("launch", "client").stdout.strip() == token
    assert len(endpoint.requests) == 1


def test_logins_that_cannot_be_durable_say_why(endpoint: TokenEndpoint, cli: Cli, home: Path) -> None:
    token = "sk-ant-oat01-" + "t" * 40
    cli("add", "runner", "--oauth", "--token", "-", stdin=token)
    assert_fails_cleanly(cli("update", "runner", "--durable"), "cannot be renewed", "login --new --durable")
    cli("add", "work", "--key", "-", stdin=KEY)
    assert_fails_cleanly(cli("update", "work", "--durable"), "an API key account")
    expired_account(endpoint)
    entry = next(entry for entry in db.export_accounts() if entry["name"] == "client")
    db.import_accounts([entry | {"name": "twin"}])
    assert_fails_cleanly(cli("update", "client", "--durable"), "one login", "login --new --durable")
    assert_fails_cleanly(cli("add", "x1", "--durable"), "--oauth", code=2)


def test_login_that_claude_code_renews_itself_is_not_given_a_second_owner(
    endpoint: TokenEndpoint, home: Path, cli: Cli
) -> None:
    account = expired_account(endpoint)
    access, refresh = stored_pair()
    folder = home / ".claude"
    folder.mkdir()
    live = {"accessToken": access, "refreshToken": refresh, "expiresAt": in_hours(-1), "scopes": ["user:inference"]}
    (folder / ".credentials.json").write_text(json.dumps({"claudeAiOauth": live}))
    with pytest.raises(Conflict, match="Claude Code's own"):
        db.set_durable(account.id, True)
    assert not Path(durable_store.folder_of(account.id)).exists()


def new_login(endpoint: TokenEndpoint, family: str, **more: object) -> str:
    """Return what the fake's own sign-in shall leave."""
    refresh = endpoint.new_login(family)
    whole = {"accessToken": endpoint.issued[-1][0], "refreshToken": refresh, "expiresAt": in_hours(8)}
    return json.dumps(whole | {"scopes": ["user:inference"]} | more)


def test_durable_sign_in_is_private_and_shares_nothing_with_claudes_own(
    cli: Cli, endpoint: TokenEndpoint, claude: Path, home: Path
) -> None:
    """Also where ~/.claude has a login, which a plain `login` would capture."""
    (home / ".claude").mkdir()
    own = home / ".claude" / ".credentials.json"
    own.write_text(json.dumps({"claudeAiOauth": json.loads(new_login(endpoint, "own"))}))
    before = own.read_bytes()
    made = cli("login", "client", "--durable", env={"FAKE_LOGIN": new_login(endpoint, "private")})
    assert made.returncode == 0, made.stderr
    account = db.find_account("client")
    assert account.durable and "private" in str(pair_in(account)[0])
    assert own.read_bytes() == before
    assert not list((home / ".claude-accounts").glob("private-logins/*"))


def test_signing_in_again_replaces_the_login_in_the_store_and_keeps_logins_of_mcp_servers(
    cli: Cli, endpoint: TokenEndpoint, client: db.Account
) -> None:
    path = Path(durable_store.folder_of(client.id), ".credentials.json")
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"mcpOAuth": {"server": "kept"}, "organizationUuid": "old"})
    )
    made = cli("login", "client", env={"FAKE_LOGIN": new_login(endpoint, "again")})
    assert made.returncode == 0, made.stderr
    whole = json.loads(path.read_text())
    assert whole["mcpOAuth"] == {"server": "kept"} and "organizationUuid" not in whole
    assert "again" in whole["claudeAiOauth"]["accessToken"] and db.find_account("client").durable


# Two who renew one login


def test_our_refresh_works_on_the_store_and_a_running_session_takes_it_up(
    cli: Cli, endpoint: TokenEndpoint, client: db.Account
) -> None:
    endpoint.extra = {"expires_in": 3600}
    assert cli("refresh", "client").returncode == 0
    assert pair_in(client) == stored_pair() == endpoint.issued[-1]
    assert cli("launch", "client").stdout.strip() == endpoint.issued[-1][0]
    assert len(endpoint.requests) == 1


def test_what_a_session_has_renewed_is_adopted_and_not_asked_for_again(
    cli: Cli, endpoint: TokenEndpoint, client: db.Account
) -> None:
    assert cli("launch", "client").returncode == 0
    renewed = pair_in(client)
    assert cli("refresh", "client").returncode == 0
    assert stored_pair() == renewed and len(endpoint.requests) == 1


def test_twin_that_was_given_the_same_tokens_renews_nothing_beside_the_store(
    cli: Cli, endpoint: TokenEndpoint, client: db.Account
) -> None:
    """An export put back under another name: two who renew one login would end it."""
    (entry,) = [each for each in db.export_accounts() if each["name"] == "client"]
    db.import_accounts([entry | {"name": "twin"}])
    assert cli("refresh", "twin").returncode == 0
    assert pair_in(client) == stored_pair("twin") == stored_pair("client") == endpoint.issued[-1]
    endpoint.extra = {"expires_in": 1}
    assert cli("refresh", "client").returncode == 0
    assert cli("launch", "client", env={"ROUNDS": "3"}).returncode == 0
    assert cli("refresh", "twin").returncode == 0
    assert endpoint.reused == [] and pair_in(client) == stored_pair("twin") == endpoint.issued[-1]


def test_an_export_holds_what_a_session_has_renewed(cli: Cli, endpoint: TokenEndpoint, client: db.Account) -> None:
    assert cli("launch", "client").returncode == 0
    assert json.loads(cli("export").stdout)[0]["refresh_token"] == endpoint.issued[-1][1]


def test_hundreds_of_rounds_by_several_sessions_and_us_revoke_nothing(
    cli: Cli, endpoint: TokenEndpoint, client: db.Account
) -> None:
    """Every token ends at once, so that every look of everybody wants to renew; two accounts at the same time."""
    endpoint.extra = {"expires_in": 1}
    db.set_durable(expired_account(endpoint, name="other", family="second").id, True)
    environment = os.environ | {"ROUNDS": "60"}
    sessions = [
        subprocess.Popen(command_line("launch", name), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for name in ("client", "client", "client", "other", "other")
    ]
    for _round in range(8):
        for name in ("client", "other"):
            refreshed = cli("refresh", name)
            assert refreshed.returncode == 0 or "refreshing this login right now" in refreshed.stderr, refreshed
        assert cli("list").returncode == 0
    used = [session.communicate(timeout=120) for session in sessions]
    assert [session.returncode for session in sessions] == [0] * 5, used
    assert endpoint.reused == [] and endpoint.revoked == set()
    assert len(endpoint.requests) > 200
    for output, family in zip(used, ["family"] * 3 + ["second"] * 2, strict=True):
        assert {line.split(b"-access-")[0] for line in output[0].split()} == {b"sk-ant-oat01-" + family.encode()}
    for name, family in (("client", "family"), ("other", "second")):
        account = db.find_account(name)
        db.get_durable_env(account.id)
        newest = [pair for pair in endpoint.issued if family in pair[0]][-1]
        assert stored_pair(name) == pair_in(account) == newest


@pytest.mark.parametrize("end", ["killed", "full"])
def test_our_refresh_that_ends_anywhere_leaves_a_store_that_goes_on(
    endpoint: TokenEndpoint, cli: Cli, claude: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Whatever was answered and written somewhere works for everybody; the store is never behind the database."""

    def make(name: str, family: str) -> db.Account:
        move_home(monkeypatch, tmp_path, name)
        return db.set_durable(expired_account(endpoint, family=family).id, True)

    make("counting", "counting")
    outcomes = set()
    for at in sweep(count_calls("refresh", "client"), 16):
        family = f"family-{at}"
        account = make(f"{end}-{at}", family)
        old = pair_held(account)
        assert run(end, at, "refresh", "client").returncode in (-signal.SIGKILL, 0, 1)
        newest = next((pair for pair in reversed(endpoint.issued) if family in pair[0] and pair[1] != old[1]), old)
        assert pair_in(account) in (old, newest) and pair_held(account) in (old, newest), at
        if end == "killed":
            assert pair_held(account) == old or pair_in(account) == newest, f"{at}: a session would spend what is spent"
        kept = newest in (pair_in(account), pair_held(account))
        outcomes.add(kept)
        age_locks(Path(durable_store.folder_of(account.id)))
        session = cli("launch", "client")
        if kept:
            assert session.returncode == 0 and session.stdout.strip().startswith(f"sk-ant-oat01-{family}"), (
                at,
                session,
            )
            assert endpoint.reused == [], at
        else:
            # The answer was lost on its way; the login is over, and everybody is told.
            assert session.returncode == 1, (at, session)
            endpoint.reused.clear()
            assert_fails_cleanly(cli("launch", "client"), "has ended", "login --new")
    assert True in outcomes


def test_killed_sessions_leave_a_store_that_goes_on(cli: Cli, endpoint: TokenEndpoint, client: db.Account) -> None:
    """Killed while it stands at the lock of another one, before it asks anybody."""
    folder = Path(durable_store.folder_of(client.id))
    for _round in range(5):
        (folder / ".oauth_refresh.lock").mkdir()
        session = subprocess.Popen(command_line("launch", "client"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while session.poll() is None and not list(Path(f"/proc/{session.pid}").glob("exe")):
            os.sched_yield()
        session.kill()
        session.communicate()
        age_locks(folder)
        assert cli("refresh", "client").returncode == 0
        assert not (folder / ".oauth_refresh.lock").exists()
    assert endpoint.reused == [] and pair_in(client) == stored_pair() == endpoint.issued[-1]


# What has gone wrong inside


def test_login_that_claude_found_over_needs_a_new_one_and_keeps_saying_so(
    cli: Cli, endpoint: TokenEndpoint, client: db.Account
) -> None:
    endpoint.live.clear()
    assert cli("launch", "client").stdout == "Not logged in\n"
    assert db.get_account(client.id).status() == "needs_login"
    for command in (["launch", "client"], ["refresh", "client"], ["exec", "client", "--", "true"]):
        assert_fails_cleanly(cli(*command), "the login of client has ended", "login --new client")
    assert cli("login", "client", env={"FAKE_LOGIN": new_login(endpoint, "fresh")}).returncode == 0
    assert "fresh" in cli("launch", "client").stdout


def test_somebody_else_signed_in_inside_is_never_used(cli: Cli, endpoint: TokenEndpoint, client: db.Account) -> None:
    """`/login` as another person inside a session writes into this account's store."""
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET account_uuid = 'me', organization_uuid = 'us'")
    path = Path(durable_store.folder_of(client.id), ".credentials.json")
    other = json.loads(new_login(endpoint, "stranger", accountUuid="you", organizationUuid="us"))
    path.write_text(json.dumps({"claudeAiOauth": other}))
    for command in (["launch", "client"], ["refresh", "client"], ["exec", "client", "--", "true"]):
        refused = cli(*command)
        assert_fails_cleanly(refused, "somebody else has signed in", "login --new client")
        assert "stranger" not in refused.stdout
    assert "stranger" not in str(stored_pair()) and "stranger" not in cli("export").stdout
    assert endpoint.requests == []


def test_same_person_signed_in_anew_inside_is_adopted(cli: Cli, endpoint: TokenEndpoint, client: db.Account) -> None:
    path = Path(durable_store.folder_of(client.id), ".credentials.json")
    path.write_text(json.dumps({"claudeAiOauth": json.loads(new_login(endpoint, "anew"))}))
    assert "anew" in cli("launch", "client").stdout
    assert "anew" in stored_pair()[0]


@pytest.mark.parametrize("damage", ["{", "[]", '{"claudeAiOauth": 7}'])
def test_store_that_is_not_understood_is_named_and_left(cli: Cli, client: db.Account, damage: str) -> None:
    path = Path(durable_store.folder_of(client.id), ".credentials.json")
    path.write_text(damage)
    assert_fails_cleanly(cli("launch", "client"), str(path), code=1)
    assert path.read_text() == damage and cli("list").returncode == 0


def test_lost_store_is_made_again_from_the_database(cli: Cli, endpoint: TokenEndpoint, client: db.Account) -> None:
    """A database put back from a copy comes without its stores."""
    credentials_file.remove_store(durable_store.folder_of(client.id))
    assert cli("launch", "client").stdout.strip() == endpoint.issued[-1][0]
    assert endpoint.reused == []


def test_tokens_typed_in_by_hand_are_refused_for_a_durable_account(client: db.Account) -> None:
    with pytest.raises(InvalidInput):
        db.update_account(client.id, access_token="sk-ant-oat01-" + "x" * 40)
    with pytest.raises(Conflict):
        db.capture_oauth_tokens(client.id)


def test_login_whose_month_is_over_is_told_before_claude_starts(cli: Cli, client: db.Account) -> None:
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET login_expires_at = ?", (in_hours(-1),))
    assert_fails_cleanly(cli("launch", "client"), "has ended", "login --new")
    with pytest.raises(LoginEnded):
        db.get_durable_env(client.id)


# Never crossed


def test_session_in_a_session_keeps_to_its_own_account(cli: Cli, endpoint: TokenEndpoint, client: db.Account) -> None:
    """A launch from inside a durable session inherits its store, which belongs to somebody else."""
    cli("add", "work", "--key", "-", stdin=KEY)
    inside = {STORE: durable_store.folder_of(client.id), "CLAUDE_ACCOUNT": "client"}
    child = claude_code.child_env(os.environ | inside, {"ANTHROPIC_API_KEY": KEY}, "work")
    assert STORE not in child and child["CLAUDE_ACCOUNT"] == "work"
    own = {STORE: "/somewhere/else"}
    assert claude_code.child_env(os.environ | own, {"ANTHROPIC_API_KEY": KEY}, "work")[STORE] == "/somewhere/else"


def test_capture_inside_a_session_does_not_take_its_login(cli: Cli, client: db.Account, home: Path) -> None:
    captured = cli("login", "thief", env={STORE: durable_store.folder_of(client.id)})
    assert_fails_cleanly(captured, "no login to capture")
    assert [account.name for account in db.list_accounts()] == ["client"]


# Which claude can


def test_client_that_looks_elsewhere_is_found_out_and_gets_a_token(
    cli: Cli, endpoint: TokenEndpoint, client: db.Account, home: Path
) -> None:
    (home / ".claude").mkdir()
    own = json.loads(new_login(endpoint, "own"))
    (home / ".claude" / ".credentials.json").write_text(json.dumps({"claudeAiOauth": own}))
    launched = cli("launch", "client", env={"FAKE_IGNORES_OWN_STORE": "1"})
    assert launched.returncode == 0 and "keeps no login of its own" in launched.stderr
    assert launched.stdout.strip() == stored_pair()[0] and "own" not in launched.stdout
    # It may be another one the next time.
    assert not (home / ".claude-accounts" / "client.json").exists()
    assert "keeps no login" not in cli("launch", "client").stderr


def test_old_client_is_not_even_asked(cli: Cli, client: db.Account) -> None:
    launched = cli("launch", "client", env={"FAKE_VERSION": "2.1.90"})
    assert launched.stdout.strip() == stored_pair()[0] and "keeps no login of its own" in launched.stderr


@pytest.mark.parametrize(
    "make",
    [
        lambda home: None,
        lambda home: (home / ".claude").mkdir(),
    ],
)
def test_wrapper_is_asked_at_each_launch(
    cli: Cli, client: db.Account, home: Path, make: Callable[[Path], None], program_folder: Path
) -> None:
    make(home)
    counted = home / "asked"
    fake = f"{sys.executable} {PROJECT / 'tests' / 'fake_claude.py'}"
    write_program(
        program_folder / "claude", f'#!/bin/sh\ntest "$1" = auth && echo asked >> {counted}\nexec {fake} "$@"\n'
    )
    for _launch in range(3):
        assert cli("launch", "client").returncode == 0
    # What is remembered of Claude Code itself, which is no script, stands in test_client.py.
    assert counted.read_text() == "asked\n" * 3

"""Claims about signing in on a terminal in the page: private, announced, without a trace, nobody else's login."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import write_program
from terminal_server import Client, Server, terminal_server, wait_until
from warm import DEADLINE

from claude_accounts import db
from claude_accounts.system.folders import data_folder
from claude_accounts.terminal.login import sign_in_address

URL = "https://claude.com/cai/oauth/authorize?code=true&client_id=made-up&state=" + "s" * 300
SIGN_IN = """#!/bin/bash
[ "$*" = "auth login" ] || exit 9
echo "Opening browser to sign in"
echo "If it does not open, visit: $URL"
read -r code
[ "$code" = "good#code" ] || { echo "bad code"; exit 1; }
now=$(date +%s)
cat > "$CLAUDE_CONFIG_DIR/.credentials.json" <<END
{"claudeAiOauth": {"accessToken": "sk-ant-oat01-made-up-access", "refreshToken": "sk-ant-ort01-made-up-refresh",
 "expiresAt": $((now + 28800))000, "scopes": ["user:inference"], "subscriptionType": "max"}}
END
cat > "$CLAUDE_CONFIG_DIR/.claude.json" <<END
{"oauthAccount": {"accountUuid": "$WHO", "emailAddress": "$WHO@example.com", "organizationName": "Example"}}
END
echo "Login successful"
$AFTERWARDS
"""


@pytest.fixture
def server(program_folder: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Server]:
    write_program(program_folder / "claude", SIGN_IN)
    monkeypatch.setenv("URL", URL)
    monkeypatch.setenv("WHO", "ada")
    live = home / ".claude"
    live.mkdir()
    (live / ".credentials.json").write_text('{"claudeAiOauth": {"accessToken": "live", "refreshToken": "live"}}')
    with terminal_server() as running:
        yield running
    assert (live / ".credentials.json").read_text().count("live") == 2
    assert sorted(path.name for path in live.iterdir()) == [".credentials.json"]
    assert not (home / ".claude.json").exists()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    connected = Client(server)
    yield connected
    connected.close()


def add_oauth_account(name: str) -> str:
    return db.add_account(name, "oauth", access_token="sk-ant-oat01-made-up-before", refresh_token="").id


def private_folders() -> list[Path]:
    parent = Path(data_folder()) / "private-logins"
    try:
        return list(parent.iterdir())
    except FileNotFoundError:
        return []


@pytest.mark.parametrize("afterwards", ["", "sleep 1000"])
def test_login_is_captured_and_announced_without_a_token(
    client: Client, monkeypatch: pytest.MonkeyPatch, afterwards: str
) -> None:
    monkeypatch.setenv("AFTERWARDS", afterwards)
    account_id = add_oauth_account("client")
    client.emit("start_login", {"account_id": account_id, "request": "me"})
    started = client.wait("terminal_started", request="me")
    assert started["login"] is True
    assert client.wait("login_url")["url"] == URL
    assert len(private_folders()) == 1
    client.emit("terminal_input", {"data": "good#code\r"})
    complete = client.wait("login_complete")
    assert complete["account_id"] == account_id
    assert complete["email"] == "ada@example.com"
    client.wait("terminal_exit")
    wait_until(lambda: not private_folders())
    assert db.get_launch_env(account_id) == {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-made-up-access"}
    assert "made-up-access" not in json.dumps(client.events)
    assert "made-up-refresh" not in json.dumps(client.events)


def test_cancel_leaves_nothing_behind_and_is_no_error(client: Client) -> None:
    account_id = add_oauth_account("client")
    client.emit("start_login", {"account_id": account_id})
    client.wait("login_url")
    client.emit("stop_terminal")
    client.wait("terminal_exit")
    wait_until(lambda: not private_folders())
    assert not [name for name, _payload in client.events if name in ("terminal_error", "login_complete")]
    assert db.get_launch_env(account_id) == {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-made-up-before"}


def test_refused_code_is_told_and_changes_nothing(client: Client) -> None:
    account_id = add_oauth_account("client")
    client.emit("start_login", {"account_id": account_id})
    client.wait("login_url")
    client.emit("terminal_input", {"data": "wrong\r"})
    assert client.wait("terminal_error")["code"] == "login_failed"
    wait_until(lambda: not private_folders())
    assert db.get_launch_env(account_id) == {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-made-up-before"}


def test_login_of_somebody_else_is_not_taken_over(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id = add_oauth_account("client")
    client.emit("start_login", {"account_id": account_id})
    client.wait("login_url")
    client.emit("terminal_input", {"data": "good#code\r"})
    client.wait("login_complete")
    client.wait("terminal_exit")
    monkeypatch.setenv("WHO", "eve")
    for force, count in ((False, 1), (True, 2)):
        client.emit("start_login", {"account_id": account_id, "force": force})
        client.wait("login_url", count=count + 1)
        client.emit("terminal_input", {"data": "good#code\r"})
        client.wait("terminal_exit", count=count + 1)
        if not force:
            assert client.wait("terminal_error")["code"] == "conflict"
            assert db.get_account(account_id).email == "ada@example.com"
    client.wait("login_complete", email="eve@example.com")
    wait_until(lambda: not private_folders())


def test_account_without_logins_is_refused(client: Client) -> None:
    account_id = db.add_account("key", "api_key", api_key="sk-ant-api03-not-a-real-key-0000000001").id
    client.emit("start_login", {"account_id": account_id})
    assert client.wait("terminal_error")["code"] == "invalid_input"
    assert not private_folders()


def test_end_of_the_server_leaves_no_private_folder(server: Server, client: Client) -> None:
    client.emit("start_login", {"account_id": add_oauth_account("client")})
    client.wait("login_url")
    assert server.events.stop_all(DEADLINE)
    assert not private_folders()


@pytest.mark.parametrize(
    ("output", "address"),
    [
        (f"visit: {URL}\r\n", URL),
        (f"visit: {URL}", ""),
        (f"\x1b]8;;{URL}\x07here\x1b]8;;\x07\r\n", URL),
        (f'<a href="{URL}">', URL),
        ("https://claude.com/authorize?\n", ""),
        ("https://claude.com/other?x=1 /authorize?x\n", ""),
        ("https:///authorize?" * 1500, ""),
        ("https:///authorize?" * 1500 + "\n", "https:///authorize?" * 1500),
        (f"https://other.example/\n{URL}\n", URL),
    ],
)
def test_the_address_is_known_once_it_is_whole(output: str, address: str) -> None:
    assert sign_in_address(output.encode()) == address

"""Durable accounts, running sessions and bound folders as the page sees them: over the API and the socket."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import NAMELESS, PROJECT, write_program
from flask.testing import FlaskClient
from running_dashboard import API_KEY, Dashboard, add, set_up
from stored import expired_account
from terminal_server import Client, Server, terminal_server, wait_until
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db
from claude_accounts.accounts import bindings, durable_store, rows as account_rows, sessions as running_sessions, usage


@pytest.fixture
def client(home: Path) -> FlaskClient:
    """Return a signed-in client."""
    return set_up().client


def listed(client: FlaskClient, name: str) -> dict[str, object]:
    """Return one account as the list tells it."""
    found: dict[str, object] = next(each for each in client.get("/api/accounts").get_json() if each["name"] == name)
    return found


def test_list_tells_the_three_clocks_and_the_limits(client: FlaskClient, endpoint: TokenEndpoint) -> None:
    account = expired_account(endpoint)
    assert listed(client, "client")["status"] == "expired"
    db.set_durable(account.id, True)
    told = listed(client, "client")
    assert (told["status"], told["durable"], told["ends_kind"], told["urgency"]) == ("valid", True, "none", "")
    assert told["usage"] == []
    ends = in_hours(30)
    usage.remember("client", [usage.Usage("five_hour", 42.5, ends, in_hours(0))])
    told_again = listed(client, "client")["usage"]
    assert isinstance(told_again, list) and told_again[0]["percent"] == 42.5 and told_again[0]["resets_at"] == ends


def test_what_a_session_renews_shows_up_without_a_write_of_ours(client: FlaskClient, endpoint: TokenEndpoint) -> None:
    """The list follows the store itself; looking at it writes nothing."""
    account = db.set_durable(expired_account(endpoint).id, True)
    before = listed(client, "client")["expires_at"]
    path = Path(durable_store.folder_of(account.id), ".credentials.json")
    text = path.read_text()
    later = in_hours(7)
    path.write_text(text.replace(f'"expiresAt":{before}', f'"expiresAt":{later}'))
    assert listed(client, "client")["expires_at"] == later
    path.write_text('{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0}}')
    assert listed(client, "client")["status"] == "needs_login"


def test_switch_over_the_api_and_its_refusals(client: FlaskClient, endpoint: TokenEndpoint) -> None:
    account = expired_account(endpoint)
    path = f"/api/accounts/{account.id}"
    assert client.put(path, json={"durable": True}).get_json()["durable"] is True
    held = account_rows.reread(db.get_account(account.id).id)
    running_sessions.record(held, os.getpid(), "/", running_sessions.SHELL)
    refused = client.put(path, json={"durable": False})
    assert refused.status_code == 409 and "1 session" in refused.get_json()["error"]
    assert client.put(path, json={"durable": False, "force": True}).get_json()["durable"] is False
    token = add(client, "runner", auth_type="oauth", access_token="sk-ant-oat01-" + "t" * 40)
    assert client.put(f"/api/accounts/{token}", json={"durable": True}).status_code == 400
    assert client.put(path, json={"durable": "yes"}).get_json()["field"] == "durable"
    typed = {"access_token": "sk-ant-oat01-" + "x" * 40}
    client.put(path, json={"durable": True})
    assert client.put(path, json=typed).status_code == 400


def test_sessions_and_bindings_over_the_api(client: FlaskClient, tmp_path: Path) -> None:
    work = add(client, "work")
    running_sessions.record(account_rows.reread(db.get_account(work).id), os.getpid(), "/tmp", running_sessions.WEB)
    (session,) = client.get("/api/sessions").get_json()
    assert (session["pid"], session["account_name"], session["origin"]) == (os.getpid(), "work", "web")
    folder = str(tmp_path)
    bound = client.put("/api/bindings", json={"folder": folder, "account_id": work})
    assert bound.get_json() == {"folder": folder, "account_id": work, "account_name": "work"}
    assert client.get("/api/bindings").get_json() == [bound.get_json()]
    assert client.put("/api/bindings", json={"folder": folder + "/no", "account_id": work}).status_code == 404
    assert client.put("/api/bindings", json={"folder": "relative", "account_id": work}).status_code == 400
    assert client.put("/api/bindings", json={"folder": folder, "account_id": "nobody"}).status_code == 404
    assert client.delete("/api/bindings", json={"folder": folder}).get_json() == {"ok": True}
    assert client.delete("/api/bindings", json={"folder": folder}).status_code == 404


def test_none_of_it_is_told_to_strangers(home: Path) -> None:
    dashboard: Dashboard = set_up()
    for path in ("/api/sessions", "/api/bindings"):
        assert dashboard.stranger().get(path).status_code == 401


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    """Serve the terminal events."""
    with terminal_server() as running:
        yield running


@pytest.fixture
def socket(server: Server) -> Iterator[Client]:
    """Return a connected client."""
    connected = Client(server)
    yield connected
    connected.close()


def test_terminal_is_a_session_of_the_web(program_folder: Path, socket: Client) -> None:
    write_program(program_folder / "claude", NAMELESS + "echo ready\nread line\n")
    account = db.add_account("perso", "api_key", api_key=API_KEY)
    socket.start(account.id)
    socket.wait_for_output("ready")
    wait_until(lambda: [each.origin for each in running_sessions.listed(account.id)] == [running_sessions.WEB])
    socket.emit("stop_terminal")
    socket.wait("terminal_exit")
    wait_until(lambda: running_sessions.listed(account.id) == [])


def test_folder_of_another_account_is_asked_about(program_folder: Path, socket: Client, tmp_path: Path) -> None:
    write_program(program_folder / "claude", NAMELESS + "echo ready as $CLAUDE_ACCOUNT\nread line\n")
    mine = db.add_account("mine", "api_key", api_key=API_KEY)
    other = db.add_account("other", "api_key", api_key=API_KEY)
    bindings.bind(mine.id, str(tmp_path))
    wish = {"account_id": other.id, "cwd": str(tmp_path)}
    socket.emit("start_terminal", wish)
    refused = socket.wait("terminal_error")
    assert (refused["code"], refused["bound"]) == ("bound_elsewhere", "mine")
    assert running_sessions.listed() == []
    socket.emit("start_terminal", wish | {"anywhere": True})
    socket.wait("terminal_started")
    socket.wait_for_output("ready as other")


def test_sign_in_in_the_page_makes_a_durable_account(
    program_folder: Path, socket: Client, endpoint: TokenEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh = endpoint.new_login()
    login = f'{{"accessToken": "{endpoint.issued[-1][0]}", "refreshToken": "{refresh}", "expiresAt": {in_hours(8)}}}'
    fake = PROJECT / "tests" / "fake_claude.py"
    write_program(
        program_folder / "claude", NAMELESS + f"export FAKE_LOGIN='{login}'\nexec {sys.executable} {fake} \"$@\"\n"
    )
    account = db.add_account("client", "oauth")
    socket.emit("start_login", {"account_id": account.id, "durable": True})
    assert socket.wait("login_complete")["account"] == "client"
    assert db.get_account(account.id).durable
    assert Path(durable_store.folder_of(account.id), ".credentials.json").exists()

"""API tokens: several, each with a name, a scope, perhaps an end; what ends one cuts its sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from factor_tools import Page
from flask.testing import FlaskClient
from running_dashboard import PASSWORD, Dashboard, add, serving, set_up
from terminal_server import Client, wait_until

from claude_accounts.accounts import storage
from claude_accounts.dashboard import scopes, tokens
from claude_accounts.server import create_app
from claude_accounts.terminal.events import TerminalEvents

TOKENS = "/api/auth/tokens"


pytestmark = pytest.mark.usefixtures("cheap_hash")


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard that has been set up."""
    return set_up()


def make(dashboard: Dashboard, name: str, scope: str = "admin", expires_at: int = 0) -> dict[str, Any]:
    """Make a token, and return what was shown of it."""
    given = {"name": name, "scope": scope, "expires_at": expires_at}
    answer = dashboard.client.post(TOKENS, json=given)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.get_json()
    return shown


def asked(
    client: FlaskClient, token: str, path: str = "/api/accounts", method: str = "GET", body: object = None
) -> int:
    """Ask with a token, and return the status."""
    given = {} if body is None and method != "GET" else body
    return client.open(path, method=method, json=given, headers={"X-Auth-Token": token}).status_code


def in_ms(milliseconds: int) -> int:
    """Return a moment so many milliseconds from now."""
    return int(time.time() * 1000) + milliseconds


def end(token_id: int) -> None:
    """Let a token's end be a moment that has passed."""
    with storage.writing(secrets=False) as connection:
        connection.execute("UPDATE api_tokens SET expires_at = ? WHERE id = ?", (in_ms(-1000), token_id))


def is_closed(client: Client) -> Callable[[], bool]:
    """Return whether the server has ended a client's connection."""
    return lambda: client.socket.eio.state != "connected"


def test_first_token_is_that_of_the_setup_and_others_come_beside_it(dashboard: Dashboard) -> None:
    made = make(dashboard, "backup", "read", in_ms(3_600_000))
    listed = dashboard.client.get(TOKENS).get_json()
    assert [(token["name"], token["scope"]) for token in listed] == [("first", "admin"), ("backup", "read")]
    assert listed[1]["expires_at"] == made["expires_at"] and not any(token["current"] for token in listed)
    for secret in (dashboard.token, made["api_token"]):
        assert asked(dashboard.stranger(), secret) == 200
    answer = dashboard.stranger().get(TOKENS, headers={"X-Auth-Token": made["api_token"]})
    assert [token["current"] for token in answer.get_json()] == [False, True]
    # The secret was shown once, and only its hash is kept.
    assert made["api_token"] not in answer.text
    with storage.reading() as connection:
        assert made["api_token"] not in "\n".join(connection.iterdump())


def test_last_use_is_listed(dashboard: Dashboard) -> None:
    made = make(dashboard, "backup")
    assert dashboard.client.get(TOKENS).get_json()[1]["last_used_at"] == 0
    before = in_ms(0)
    asked(dashboard.stranger(), made["api_token"])
    assert dashboard.client.get(TOKENS).get_json()[1]["last_used_at"] >= before


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " ", "scope": "read"}, "name"),
        ({"name": "x" * 61, "scope": "read"}, "name"),
        ({"name": "a\nb", "scope": "read"}, "name"),
        ({"name": "first", "scope": "read"}, "name"),
        ({"name": "x", "scope": "all"}, "scope"),
        ({"name": "x"}, "scope"),
        ({"name": "x", "scope": "read", "expires_at": 1}, "expires_at"),
        ({"name": "x", "scope": "read", "expires_at": "soon"}, "expires_at"),
    ],
)
def test_token_that_makes_no_sense_is_refused(dashboard: Dashboard, given: object, field: str) -> None:
    answer = dashboard.client.post(TOKENS, json=given)
    assert answer.status_code == 400 and answer.get_json()["field"] == field
    assert len(tokens.listed()) == 1


def test_name_is_there_once_and_tokens_are_not_without_number(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(dashboard, "backup")
    assert dashboard.client.post(TOKENS, json={"name": "backup", "scope": "read"}).status_code == 409
    monkeypatch.setattr(tokens, "MOST_TOKENS", 2)
    assert dashboard.client.post(TOKENS, json={"name": "other", "scope": "read"}).status_code == 409


@pytest.mark.parametrize("token_id", ["0", "999", "x", "²", "9" * 40])
def test_token_that_is_not_there_cannot_be_revoked(dashboard: Dashboard, token_id: str) -> None:
    assert dashboard.client.delete(f"{TOKENS}/{token_id}", json={}).status_code == 404


def test_token_is_good_until_its_end(dashboard: Dashboard) -> None:
    made = make(dashboard, "backup", expires_at=in_ms(3_600_000))
    assert asked(dashboard.stranger(), made["api_token"]) == 200
    end(made["id"])
    assert asked(dashboard.stranger(), made["api_token"]) == 401
    # Its owner sees it in the list until he takes it away.
    assert [token["name"] for token in dashboard.client.get(TOKENS).get_json()] == ["first", "backup"]


def test_revoking_one_leaves_the_others(dashboard: Dashboard) -> None:
    made, other = make(dashboard, "backup"), make(dashboard, "other")
    assert dashboard.client.delete(f"{TOKENS}/{made['id']}", json={}).status_code == 200
    assert asked(dashboard.stranger(), made["api_token"]) == 401
    assert asked(dashboard.stranger(), other["api_token"]) == asked(dashboard.stranger(), dashboard.token) == 200


def test_rotating_replaces_the_first_alone(dashboard: Dashboard) -> None:
    other = make(dashboard, "other")
    answer = dashboard.client.post("/api/auth/rotate-token", json={"password": PASSWORD})
    assert set(answer.get_json()) == {"api_token"}
    assert asked(dashboard.stranger(), dashboard.token) == 401
    assert asked(dashboard.stranger(), answer.get_json()["api_token"]) == 200
    assert asked(dashboard.stranger(), other["api_token"]) == 200


def test_password_change_ends_every_token(dashboard: Dashboard) -> None:
    other = make(dashboard, "other")
    given = {"old_password": PASSWORD, "new_password": "eight dry owls sing"}
    assert dashboard.client.post("/api/auth/change-password", json=given).status_code == 200
    for secret in (dashboard.token, other["api_token"]):
        assert asked(dashboard.stranger(), secret) == 401


# Scopes


def test_every_route_and_every_event_has_its_scope() -> None:
    endpoints = {rule.endpoint for rule in create_app().url_map.iter_rules()}
    assert endpoints == set(scopes.ROUTES)
    handlers = {
        name
        for name in vars(TerminalEvents)
        if name.startswith(("start_", "attach_", "detach_", "terminal_", "resize_"))
    } | {"stop_terminal"}
    assert handlers == set(scopes.EVENTS)


def _allowed(dashboard: Dashboard, secret: str) -> set[str]:
    """Return the endpoints that answer a token with anything but a refusal for its scope."""
    found = set()
    for rule in dashboard.app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if rule.rule.startswith("/api") and scopes.ROUTES[rule.endpoint] != scopes.PUBLIC:
                path = rule.rule.replace("<", "").replace(">", "")
                answer = dashboard.stranger().open(
                    path, method=method, json={"unknown": 1}, headers={"X-Auth-Token": secret}
                )
                assert answer.status_code != 401
                if not (answer.status_code == 403 and "scope" in answer.get_json()["error"]):
                    found.add(rule.endpoint)
    return found


@pytest.mark.parametrize("scope", ["read", "launch", "admin"])
def test_token_reaches_what_its_scope_allows_and_no_more(dashboard: Dashboard, scope: str) -> None:
    holds = {"read": {"read"}, "launch": {"read", "launch"}, "admin": {"read", "launch", "admin"}}[scope]
    wanted = {endpoint for endpoint, needed in scopes.ROUTES.items() if needed in holds}
    assert _allowed(dashboard, make(dashboard, "backup", scope)["api_token"]) == wanted


def test_no_scope_but_admin_shows_or_changes_a_credential(dashboard: Dashboard) -> None:
    account = add(dashboard.client)
    for scope in ("read", "launch"):
        secret = make(dashboard, scope, scope)["api_token"]
        ask = dashboard.stranger()
        assert asked(ask, secret, f"/api/accounts/{account}/launch", "POST", {"reveal": True}) == 403
        assert asked(ask, secret, "/api/export") == 403
        assert asked(ask, secret, f"/api/accounts/{account}", "DELETE") == 403
        assert asked(ask, secret, TOKENS, "POST", {"name": "more", "scope": "admin"}) == 403
        assert asked(ask, secret, f"/api/accounts/{account}/launch", "POST") == (200 if scope == "launch" else 403)
    admin = make(dashboard, "admin", "admin")["api_token"]
    assert asked(dashboard.stranger(), admin, f"/api/accounts/{account}/launch", "POST", {"reveal": True}) == 200


def test_refusal_for_a_scope_says_so(dashboard: Dashboard) -> None:
    secret = make(dashboard, "backup", "read")["api_token"]
    answer = dashboard.stranger().get("/api/export", headers={"X-Auth-Token": secret}).get_json()
    assert "read" in answer["error"] and "admin" in answer["hint"]


def test_events_of_a_socket_are_those_of_its_scope(dashboard: Dashboard) -> None:
    refused = {"read": [*scopes.EVENTS], "launch": ["start_login"], "admin": []}
    with serving(dashboard.app) as url:
        for scope, events in refused.items():
            client = Client(url, headers={"X-Auth-Token": make(dashboard, scope, scope)["api_token"]})
            for event in scopes.EVENTS:
                client.emit(event, {"account_id": "none", "terminal_id": "none", "data": "x", "request": event})
                told = client.wait("terminal_error", request=event) if event != "detach_terminal" else {}
                assert (told.get("code") == "scope_too_small") == (event in events) or event == "detach_terminal"
            client.close()


def test_token_of_the_connect_message_has_its_scope_too(dashboard: Dashboard) -> None:
    secret = make(dashboard, "backup", "read")["api_token"]
    with serving(dashboard.app) as url:
        client = Client(url, auth={"token": secret})
        client.emit("start_terminal", {"account_id": "none", "request": "r"})
        assert client.wait("terminal_error", request="r")["code"] == "scope_too_small"
        client.close()


# Sockets


@pytest.mark.parametrize("transport", ["websocket", "polling"])
@pytest.mark.parametrize("way", ["revoked", "ended", "rotated", "password"])
def test_what_ends_a_token_cuts_its_sockets_and_no_others(dashboard: Dashboard, way: str, transport: str) -> None:
    made = make(dashboard, "backup", expires_at=in_ms(3_600_000))
    with serving(dashboard.app) as url:
        secret = dashboard.token if way == "rotated" else made["api_token"]
        gone = Client(url, transports=[transport], headers={"X-Auth-Token": secret})
        others = made["api_token"] if way == "rotated" else dashboard.token
        stays = Client(url, transports=[transport], headers={"X-Auth-Token": others})
        if way == "revoked":
            dashboard.client.delete(f"{TOKENS}/{made['id']}", json={})
        elif way == "ended":
            end(made["id"])
        elif way == "rotated":
            dashboard.client.post("/api/auth/rotate-token", json={"password": PASSWORD})
        else:
            given = {"old_password": PASSWORD, "new_password": "eight dry owls sing"}
            dashboard.client.post("/api/auth/change-password", json=given)
        # Cut when the answer comes, not when somebody looks.
        live = dashboard.app.extensions["claude_accounts"].live
        assert way == "ended" or gone.socket.eio.sid not in live._server.eio.sockets
        wait_until(is_closed(gone), "the end of its socket")
        if way == "password":
            wait_until(is_closed(stays), "the end of the other")
        else:
            stays.emit("terminal_ack", {"terminal_id": "none", "request": "r"})
            stays.wait("terminal_error", request="r")
            stays.close()


def test_socket_ends_at_the_moment_its_token_does(dashboard: Dashboard) -> None:
    moment = in_ms(1500)
    made = make(dashboard, "backup", expires_at=moment)
    with serving(dashboard.app) as url:
        client = Client(url, headers={"X-Auth-Token": made["api_token"]})
        wait_until(is_closed(client), "the end of its socket")
        assert in_ms(0) >= moment


def test_nothing_is_heard_of_a_token_that_is_over(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before anybody has looked."""
    made = make(dashboard, "backup", expires_at=in_ms(3_600_000))
    live = dashboard.app.extensions["claude_accounts"].live
    with serving(dashboard.app) as url:
        client = Client(url, headers={"X-Auth-Token": made["api_token"]})
        ((sid, found),) = live._open.items()
        live._open[sid] = found._replace(ends=in_ms(-1))
        client.emit("start_terminal", {"account_id": "none", "request": "r"})
        wait_until(is_closed(client), "the end of its socket")


def test_page_makes_and_revokes_tokens_after_a_proof(dashboard: Dashboard) -> None:
    page = Page(dashboard.app)
    page.sign_in()
    page("POST", "/api/auth/lock")
    assert page("POST", TOKENS, {"name": "backup", "scope": "read"}, status=403)["step_up"]
    page.prove()
    made = page("POST", TOKENS, {"name": "backup", "scope": "read"}, status=201)
    page("DELETE", f"{TOKENS}/{made['id']}")
    assert asked(dashboard.stranger(), made["api_token"]) == 401

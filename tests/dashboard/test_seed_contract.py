"""What the first description promised to programs: its whole table of routes and all its events, with cookie or token.

Curl and `requests` before a real server, and a client within the process. None of them knows of page secrets, proofs or
marks of a browser.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import warm
from conftest import NAMELESS, write_program
from running_dashboard import API_KEY, name_of_cookie, serving
from terminal_server import Client, wait_until
from token_endpoint import TokenEndpoint, in_hours
from warm import DEADLINE

from claude_accounts.server import create_app

PASSWORD = "seven wet owls sing"
OTHER_PASSWORD = "eight dry owls sing"
JSON = "application/json"


class Answer(NamedTuple):
    """One answer: its status and its JSON."""

    status: int
    json: Any


# Method, path, body and headers in, the answer out; cookies are kept between calls.
Call = Callable[[str, str, object, dict[str, str]], Answer]


class Program:
    """A program that talks to the dashboard, in the way its subclass says; `url` is where its sockets go."""

    def __init__(self, url: str, call: Call, cookies: Callable[[], str]) -> None:
        self.url = url
        self._call = call
        self.cookies = cookies

    def __call__(self, method: str, path: str, body: object = None, token: str = "") -> Any:
        """Send one request that must succeed, and return its JSON."""
        answer = self._call(method, path, body, {"X-Auth-Token": token} if token else {})
        assert 200 <= answer.status < 300, (method, path, answer)
        return answer.json

    def refused(self, method: str, path: str) -> int:
        """Send one request without a token and return its status."""
        return self._call(method, path, None, {}).status


@pytest.fixture
def real_server(home: Path, tmp_path: Path) -> Iterator[str]:
    """Run `serve` as its user does and give its address."""
    output = tmp_path / "output"
    # The libraries of the page are no matter here.
    blocked = tmp_path / "no-cache"
    blocked.write_text("")
    environ = os.environ | {"XDG_CACHE_HOME": str(blocked)}
    with output.open("wb") as file:
        words = ("--port", "0", "--no-browser")
        process = warm.start(*words, function="warm:server", stdout=file, stderr=file, env=environ, new_session=True)
    try:
        wait_until(lambda: re.search(r"localhost:\d+/", output.read_text()), "the address")
        found = re.search(r"localhost:(\d+)/", output.read_text())
        assert found is not None
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _curl(url: str, jar: Path) -> Program:
    def call(method: str, path: str, body: object, headers: dict[str, str]) -> Answer:
        words = ["curl", "-sS", "-b", str(jar), "-c", str(jar), "-X", method, "-w", "\n%{http_code}"]
        for name, value in headers.items():
            words += ["-H", f"{name}: {value}"]
        if body is not None:
            words += ["-H", f"Content-Type: {JSON}", "--data-binary", "@-"]
        text = "" if body is None else json.dumps(body)
        done = subprocess.run([*words, url + path], input=text, capture_output=True, text=True, timeout=DEADLINE)
        assert done.returncode == 0, done
        answer, _newline, status = done.stdout.rpartition("\n")
        return Answer(int(status), json.loads(answer))

    def cookies() -> str:
        lines = [line.split("\t") for line in jar.read_text().splitlines() if line.startswith("#HttpOnly_")]
        return "; ".join(f"{fields[5]}={fields[6]}" for fields in lines)

    return Program(url, call, cookies)


def _requests(url: str) -> Program:
    session = requests.Session()

    def call(method: str, path: str, body: object, headers: dict[str, str]) -> Answer:
        answer = session.request(method, url + path, json=body, headers=headers, timeout=DEADLINE)
        return Answer(answer.status_code, answer.json())

    return Program(url, call, lambda: "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies))


@pytest.fixture(params=["curl", "requests", "in process", "in process, names its origin"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Program]:
    """Return a program of each kind before a fresh dashboard."""
    if request.param == "curl":
        yield _curl(request.getfixturevalue("real_server"), tmp_path / "jar")
    elif request.param == "requests":
        yield _requests(request.getfixturevalue("real_server"))
    else:
        app = create_app()
        client = app.test_client()
        own = {"Origin": "http://localhost"} if "origin" in request.param else {}

        def call(method: str, path: str, body: object, headers: dict[str, str]) -> Answer:
            # What only the first request names must not bind the later ones, nor the other way round.
            named = own if not path.startswith("/api/auth") else {}
            answer = client.open(path, method=method, json=body, headers=headers | named)
            return Answer(answer.status_code, answer.get_json())

        with serving(app) as url:

            def cookies() -> str:
                # The same session where the sockets are: the port is in the cookie's name.
                found = client.get_cookie(name_of_cookie())
                assert found is not None
                return f"{name_of_cookie(url.removeprefix('http://'))}={found.value}"

            yield Program(url, call, cookies)


@pytest.fixture(autouse=True)
def stand_in(program_folder: Path) -> None:
    """Put a `claude` on PATH that repeats what it is told."""
    write_program(program_folder / "claude", NAMELESS + "stty -echo; echo ready; exec cat")


def _store_login(home: Path, access: str, refresh: str) -> None:
    folder = home / ".claude"
    folder.mkdir(exist_ok=True)
    login = {"accessToken": access, "refreshToken": refresh, "expiresAt": in_hours(3), "scopes": ["user:inference"]}
    (folder / ".credentials.json").write_text(json.dumps({"claudeAiOauth": login}))


def _walk(call: Callable[..., Any], home: Path, endpoint: TokenEndpoint) -> None:
    """Go through every route of the table but those of sign-in."""
    key = call("POST", "/api/accounts", {"name": "work", "auth_type": "api_key", "api_key": API_KEY})["id"]
    client = call("POST", "/api/accounts", {"name": "client", "auth_type": "oauth"})["id"]
    listed = call("GET", "/api/accounts")
    assert [account["name"] for account in listed] == ["work", "client"]
    assert API_KEY not in json.dumps(listed)
    assert call("PUT", f"/api/accounts/{key}", {"name": "boulot", "api_key": API_KEY + "x"})["name"] == "boulot"
    assert call("GET", f"/api/accounts/{client}/status")["status"] == "needs_login"
    _store_login(home, "sk-ant-oat01-" + "a" * 40, endpoint.new_login(f"family-{time.monotonic_ns()}"))
    assert call("POST", f"/api/accounts/{client}/capture-oauth", {})["status"] == "valid"
    assert call("POST", f"/api/accounts/{client}/refresh-oauth", {})["status"] == "valid"
    assert call("POST", f"/api/accounts/{key}/launch", {})["command"] == "claude-accounts launch boulot"
    assert call("POST", f"/api/accounts/{key}/launch", {"reveal": True})["value"] == API_KEY + "x"
    assert "claude-boulot" in call("GET", "/api/generate-aliases")["script"]
    assert call("POST", "/api/install-aliases")["files"]
    exported = call("GET", "/api/export")
    assert API_KEY + "x" in json.dumps(exported)
    for account_id in (key, client):
        call("DELETE", f"/api/accounts/{account_id}")
    assert call("GET", "/api/accounts") == []
    assert call("POST", "/api/import", exported)["imported"] == 2
    for account in call("GET", "/api/accounts"):
        call("DELETE", f"/api/accounts/{account['id']}")


def test_every_route_with_the_cookie(program: Program, home: Path, endpoint: TokenEndpoint) -> None:
    assert program("GET", "/api/auth/status")["setup_done"] is False
    assert program("POST", "/api/auth/setup", {"password": PASSWORD})["api_token"]
    assert program("GET", "/api/auth/status")["authenticated"] is True
    _walk(program, home, endpoint)
    program("POST", "/api/auth/logout", {})
    assert program.refused("GET", "/api/accounts") == 401
    program("POST", "/api/auth/login", {"password": PASSWORD})
    _walk(program, home, endpoint)
    program("POST", "/api/auth/change-password", {"old_password": PASSWORD, "new_password": OTHER_PASSWORD})
    assert program("GET", "/api/accounts") == []
    program("POST", "/api/auth/login", {"password": OTHER_PASSWORD})


def test_every_route_with_the_token(program: Program, home: Path, endpoint: TokenEndpoint) -> None:
    token = program("POST", "/api/auth/setup", {"password": PASSWORD})["api_token"]
    program("POST", "/api/auth/logout", {})
    assert program.refused("GET", "/api/accounts") == 401

    def call(method: str, path: str, body: object = None) -> Any:
        return program(method, path, body, token)

    assert call("GET", "/api/auth/status")["authenticated"] is True
    _walk(call, home, endpoint)
    call("POST", "/api/auth/change-password", {"old_password": PASSWORD, "new_password": OTHER_PASSWORD})


@pytest.mark.parametrize(
    ("way", "transport"),
    [("cookie", "websocket"), ("cookie", "polling"), ("header", "websocket"), ("connect", "websocket")],
)
def test_every_event_of_the_terminal(program: Program, way: str, transport: str) -> None:
    """With the cookie, or the token in its header or as what the socket's CONNECT brings."""
    token = program("POST", "/api/auth/setup", {"password": PASSWORD})["api_token"]
    account = program("POST", "/api/accounts", {"name": "work", "auth_type": "api_key", "api_key": API_KEY})["id"]
    shown: dict[str, Any] = {
        "cookie": {"headers": {"Cookie": program.cookies()}},
        "header": {"headers": {"X-Auth-Token": token}},
        "connect": {"auth": {"token": token}},
    }[way]
    client = Client(program.url, transports=[transport], **shown)
    try:
        _events(client, account)
    finally:
        client.close()


def _events(client: Client, account: str) -> None:
    client.emit("start_terminal", {"account_id": account})
    client.wait("terminal_started")
    client.wait_for_output("ready")
    client.emit("terminal_input", {"data": "hello\r"})
    client.wait_for_output("hello")
    client.emit("resize_terminal", {"rows": 30, "cols": 100})
    client.emit("start_terminal", {"account_id": "acc_nothing"})
    assert client.wait("terminal_error")["error"]
    client.emit("stop_terminal", {})
    client.wait("terminal_exit")

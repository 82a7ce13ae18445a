"""What the tests of the web application share: an application, a signed-in client, a live server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import socketio  # type: ignore[import-untyped]
from flask import Flask
from flask.testing import FlaskClient
from warm import DEADLINE
from werkzeug.serving import WSGIRequestHandler, make_server

from claude_accounts.dashboard import sign_in
from claude_accounts.dashboard.api import Config
from claude_accounts.dashboard.callers import cookie_name
from claude_accounts.server import create_app

PASSWORD = "seven wet owls sing"
API_KEY = "sk-ant-api03-" + "k" * 89 + "ABCDEF"
ACCESS = "sk-ant-oat01-" + "a" * 89 + "GHIJKL"
REFRESH = "sk-ant-ort01-" + "r" * 40 + "MNOPQR"


class Dashboard(NamedTuple):
    """One application, a client whose cookie is signed in, and the API token that the setup showed."""

    app: Flask
    client: FlaskClient
    token: str

    def stranger(self) -> FlaskClient:
        """Return a client without a cookie."""
        return self.app.test_client()

    def cookie(self) -> str:
        """Return the value of the signed-in cookie."""
        found = self.client.get_cookie(name_of_cookie())
        assert found is not None
        return found.value

    def cookie_header(self) -> str:
        """Return the signed-in cookie as a header's value."""
        return f"{name_of_cookie(self.app.extensions.get('served_at', 'localhost'))}={self.cookie()}"

    def browser(self, cookie: str) -> FlaskClient:
        """Return a client that sends this cookie."""
        client = self.app.test_client()
        client.set_cookie(name_of_cookie(), cookie)
        return client


def name_of_cookie(host: str = "localhost") -> str:
    """Return the name of the session's cookie as a server under that name (with its port) has it."""
    return cookie_name({"HTTP_HOST": host})


def set_up(config: Config | None = None) -> Dashboard:
    """Return a dashboard that has been set up."""
    app = create_app(config)
    client = app.test_client()
    # The real cost is tested where it matters; here it would be most of the time.
    with mock.patch.object(sign_in, "_METHOD", "pbkdf2:sha256:1000"):
        answer = client.post("/api/auth/setup", json={"password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return Dashboard(app, client, answer.get_json()["api_token"])


def add(client: FlaskClient, name: str = "work", **values: object) -> str:
    """Add an account and return its id."""
    given = values or {"auth_type": "api_key", "api_key": API_KEY}
    answer = client.post("/api/accounts", json={"name": name, **given})
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["id"])


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Keep the tests' output to what tests say."""


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve the application on loopback, one thread for each request, and give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    app.extensions["served_at"] = f"127.0.0.1:{server.server_port}"
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def socket(
    url: str, headers: dict[str, str], *, auth: dict[str, str] | None = None, transport: str = "websocket"
) -> Iterator[socketio.Client]:
    """Connect a Socket.IO client. Raises socketio.exceptions.ConnectionError when the server refuses."""
    client = socketio.Client(reconnection=False, request_timeout=DEADLINE)
    client.connect(url, headers=headers, auth=auth, transports=[transport], wait_timeout=DEADLINE)
    try:
        yield client
    finally:
        client.disconnect()

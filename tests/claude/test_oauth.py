"""One exchange with the token endpoint: what is sent, and what every kind of answer turns into."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from token_endpoint import TokenEndpoint, token_endpoint

from claude_accounts.claude import network, oauth
from claude_accounts.messages import EndpointFailed, InvalidInput, LoginEnded

TOKEN = "sk-ant-ort01-" + "t" * 40


def test_the_request_is_the_one_claude_code_sends_under_our_own_name(endpoint: TokenEndpoint) -> None:
    token = endpoint.new_login()
    oauth.refresh(token)
    assert endpoint.requests == [
        {
            "grant_type": "refresh_token",
            "refresh_token": token,
            "client_id": oauth.CLIENT_ID,
            "scope": "user:profile user:inference user:sessions:claude_code user:mcp_servers user:file_upload",
        }
    ]
    headers = endpoint.headers[0]
    assert headers["User-Agent"].startswith("claude-accounts/")
    assert "Authorization" not in headers


def test_a_netrc_password_is_not_sent_along(endpoint: TokenEndpoint, home: Path) -> None:
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (home / ".netrc").chmod(0o600)
    oauth.refresh(endpoint.new_login())
    assert "Authorization" not in endpoint.headers[0]


def test_an_answer_becomes_tokens_with_times_in_epoch_milliseconds(endpoint: TokenEndpoint) -> None:
    endpoint.extra = {
        "expires_in": 3600,
        "refresh_token_expires_in": 86400,
        "scope": "user:inference user:profile",
        "account": {"uuid": "u-1", "email_address": "me@example.com"},
        "organization": {"uuid": "o-1", "name": "Example"},
    }
    before = int(time.time() * 1000)
    tokens = oauth.refresh(endpoint.new_login())
    after = int(time.time() * 1000)
    assert before + 3_600_000 <= tokens.expires_at <= after + 3_600_000
    assert before + 86_400_000 <= tokens.login_expires_at <= after + 86_400_000
    assert tokens.scopes == ("user:inference", "user:profile")
    assert (tokens.account_uuid, tokens.email) == ("u-1", "me@example.com")
    assert (tokens.organization_uuid, tokens.organization) == ("o-1", "Example")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant"}, LoginEnded),
        (401, {"error": "invalid_grant", "error_description": "Refresh token expired"}, LoginEnded),
        (400, {"error": {"type": "invalid_grant"}}, LoginEnded),
        (400, {"error": "invalid_client"}, EndpointFailed),
        (400, {"error": "invalid_scope"}, EndpointFailed),
        (403, {"error": "invalid_grant"}, EndpointFailed),
        (403, "<html>forbidden</html>", EndpointFailed),
        (429, {"error": "rate_limited"}, EndpointFailed),
        (500, {"error": "invalid_grant"}, EndpointFailed),
        (503, "", EndpointFailed),
        (301, "", EndpointFailed),
        (204, "", EndpointFailed),
        (200, "", EndpointFailed),
        (200, "not json", EndpointFailed),
        (200, "[" * 60000, EndpointFailed),
        (200, [], EndpointFailed),
        (200, None, EndpointFailed),
        (200, {}, EndpointFailed),
        (200, {"access_token": ""}, EndpointFailed),
        (200, {"access_token": None}, EndpointFailed),
        (200, {"access_token": 5}, EndpointFailed),
        (200, {"access_token": ["a"]}, EndpointFailed),
        (200, {"access_token": "two words"}, EndpointFailed),
        (200, {"access_token": "line\nbreak"}, EndpointFailed),
        (200, {"access_token": "nul\0"}, EndpointFailed),
        (200, {"access_token": "é" * 20}, EndpointFailed),
        (200, {"access_token": "a" * 9000}, EndpointFailed),
        (200, {"access_token": "good", "refresh_token": 7}, EndpointFailed),
        (200, "x" * 200_000, EndpointFailed),
    ],
)
def test_every_other_answer_is_the_right_failure(
    endpoint: TokenEndpoint, status: int, body: object, kind: type[Exception]
) -> None:
    """OAU-08"""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    endpoint.answer = lambda _request: (status, data)
    with pytest.raises(kind) as caught:
        oauth.refresh(TOKEN)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("expires_in", [None, -5, 0, True, "soon", 1e300, 10**30, [], float("nan")])
def test_an_absurd_span_becomes_one_hour(endpoint: TokenEndpoint, expires_in: object) -> None:
    endpoint.extra = {"expires_in": expires_in}
    tokens = oauth.refresh(endpoint.new_login())
    assert abs(tokens.expires_at - time.time() * 1000 - 3_600_000) < 60_000


def test_the_endpoints_own_words_are_not_repeated(endpoint: TokenEndpoint) -> None:
    """SEC-05"""
    endpoint.answer = lambda request: (
        400,
        json.dumps({"error": "bad", "error_description": request["refresh_token"]}).encode(),
    )
    with pytest.raises(EndpointFailed) as caught:
        oauth.refresh(TOKEN)
    assert TOKEN not in caught.value.message + caught.value.hint


def test_a_redirect_does_not_carry_the_token_elsewhere(endpoint: TokenEndpoint) -> None:
    with token_endpoint() as elsewhere:
        endpoint.answer = lambda _request: (307, b"")
        endpoint.location = elsewhere.url
        with pytest.raises(EndpointFailed):
            oauth.refresh(TOKEN)
        assert len(endpoint.requests) == 1 and elsewhere.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/token",
        "ftp://127.0.0.1/",
        "//127.0.0.1",
        "http://127.0.0.1.example.com/",
        "http://[",
        "file:///etc",
    ],
)
def test_the_override_takes_only_https_or_loopback(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """OAU-17"""
    monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", address)
    with pytest.raises(InvalidInput):
        oauth.refresh(TOKEN)


def test_no_listener_is_a_network_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/")
        with pytest.raises(EndpointFailed, match="no connection"):
            oauth.refresh(TOKEN)


@pytest.mark.parametrize("drip", [b"", b"H"])
def test_a_silent_or_dripping_endpoint_is_given_up(monkeypatch: pytest.MonkeyPatch, drip: bytes) -> None:
    """OAU-10: with the limits shortened; the whole exchange has one, not only each read."""
    monkeypatch.setattr(network, "_SILENCE_SECONDS", 0.6)
    monkeypatch.setattr(network, "_WHOLE_ANSWER_SECONDS", 1.5)
    with _listener(drip) as (url, _served):
        monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", url)
        with pytest.raises(EndpointFailed):
            oauth.refresh(TOKEN)


def test_an_untrusted_certificate_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """OAU-16"""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        received: list[bytes] = []

        def serve() -> None:
            connection, _address = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    received.append(secure.recv(65536))
            except OSError:
                received.append(b"")

        thread = threading.Thread(target=serve)
        thread.start()
        monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", f"https://localhost:{listener.getsockname()[1]}/")
        with pytest.raises(EndpointFailed, match="certificate"):
            oauth.refresh(TOKEN)
        thread.join(30)
        assert received == [b""]


class _listener:
    """A server that accepts and never gives a whole answer; with `drip`, it sends one byte again and again."""

    def __init__(self, drip: bytes = b"") -> None:
        self._drip = drip
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._served: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> tuple[str, list[bytes]]:
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/", self._served

    def __exit__(self, *_details: object) -> None:
        self._stop.set()
        with socket.create_connection(self._socket.getsockname()):
            self._thread.join(30)
        self._socket.close()

    def _serve(self) -> None:
        connection, _address = self._socket.accept()
        with connection:
            while not self._stop.wait(0.2):
                if self._drip:
                    try:
                        connection.sendall(self._drip)
                    except OSError:
                        break
            self._served.append(b"")

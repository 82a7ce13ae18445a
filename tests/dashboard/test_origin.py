"""The gate: who may speak to the server, whatever page or port the browser sends it from."""

from __future__ import annotations

import json
import socket as sockets
import threading
from collections.abc import Iterator

import pytest
import socketio  # type: ignore[import-untyped]
import websocket
from running_dashboard import ACCESS, PASSWORD, REFRESH, Dashboard, add, name_of_cookie, serving, set_up, socket
from token_endpoint import TokenEndpoint, in_hours
from warm import DEADLINE

from claude_accounts import db
from claude_accounts.dashboard import origin
from claude_accounts.dashboard.api import Config
from claude_accounts.server import create_app

LOOPBACK = ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]"]
ODD_HOSTS = [
    "",
    "localhost..",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.localhost",
    "localhost@evil.example",
    "localhost:5111@evil.example",
    "evil.example#localhost",
    "localhost:",
    "localhost:0",
    "localhost:65536",
    "localhost:x",
    "localhost:5111:5111",
    "local host",
    "localhost,evil.example",
    "::1",
    "[::1",
    "[::2]",
    "[localhost]",
    "[::1]evil.example",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0127.0.0.1",
    "127.0.0.256",
    "0.0.0.0",  # noqa: S104 - a Host header
    "localhost\t",
    "ⓛocalhost",
    "evil.example",
]
FOREIGN = [
    "https://evil.example",
    "http://localhost:9999",
    "http://127.0.0.1:5112",
    "http://localhost.evil.example:5111",
    "https://localhost:5111",
    "null",
    "",
    "http://localhost:5111/",
    "http://localhost:5111@evil.example",
    "http://127.0.0.1:5111",
    "ftp://localhost:5111",
    "http://localhost:5111 http://evil.example",
]


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard that has been set up."""
    return set_up()


@pytest.fixture
def live(dashboard: Dashboard) -> Iterator[str]:
    """Serve it on a real port."""
    with serving(dashboard.app) as url:
        yield url


def test_foreign_host_is_refused_and_the_answer_names_the_option(dashboard: Dashboard) -> None:
    """ORG-01"""
    for path in ("/", "/api/accounts", "/static/css/base.css", "/socket.io/?EIO=4&transport=polling", "/healthz"):
        answer = dashboard.client.get(path, headers={"Host": "evil.example:5111"})
        assert answer.status_code == 403, path
        assert "evil.example" in answer.get_json()["error"]
        assert "--trusted-host evil.example" in answer.get_json()["hint"]


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("port", ["", ":5111", ":80", ":48123"])
def test_every_loopback_name_and_forwarded_port_works(dashboard: Dashboard, host: str, port: str) -> None:
    """ORG-02"""
    address = host + port
    assert dashboard.stranger().get("/api/auth/status", headers={"Host": address}).status_code == 200
    headers = {"Host": address, "Origin": f"http://{address}".lower(), "X-Auth-Token": dashboard.token}
    assert dashboard.stranger().post("/api/auth/logout", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_look_alike_and_malformed_hosts_are_refused(dashboard: Dashboard, host: str) -> None:
    """ORG-03"""
    answer = dashboard.client.get("/api/auth/status", environ_overrides={"HTTP_HOST": host})
    assert answer.status_code == 403


def test_missing_host_is_refused(dashboard: Dashboard) -> None:
    """ORG-03"""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "127.0.0.1"}
    assert origin.Gate(dashboard.app.wsgi_app).refusal(environ) is not None


def _upgrade(url: str, headers: list[str], *, host: str | None = None, origin: str | None = None) -> None:
    """Open a raw websocket as a browser would. Raises WebSocketBadStatusException when it is refused."""
    address = url.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    options = {"suppress_origin": True} if origin is None else {"origin": origin}
    opened = websocket.create_connection(address, header=headers, host=host, timeout=DEADLINE, **options)
    opened.close()


def test_socket_refuses_rebound_host_even_with_its_own_origin(dashboard: Dashboard, live: str) -> None:
    """ORG-04"""
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        _upgrade(live, [f"Cookie: {dashboard.cookie_header()}"], host="evil.example", origin="http://evil.example")
    polling = dashboard.client.get(
        "/socket.io/?EIO=4&transport=polling", headers={"Host": "evil.example", "Origin": "http://evil.example"}
    )
    assert polling.status_code == 403


def test_forwarded_host_does_not_widen_the_allowed_origins(dashboard: Dashboard, live: str) -> None:
    """ORG-04, NET-07"""
    forwarded = ["X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "Forwarded: host=evil.example"]
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        _upgrade(live, [f"Cookie: {dashboard.cookie_header()}", *forwarded], origin="https://evil.example")


def test_foreign_pages_cannot_open_the_socket_with_the_cookie(dashboard: Dashboard, live: str) -> None:
    """ORG-05, ORG-06, ORG-07: another site, another port of localhost, a sandboxed frame."""
    for foreign in ("https://evil.example", "http://127.0.0.1:9", "http://localhost:3000", "null"):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            _upgrade(live, [f"Cookie: {dashboard.cookie_header()}"], origin=foreign)


def test_cross_site_fetch_metadata_alone_refuses_the_socket(dashboard: Dashboard, live: str) -> None:
    """ORG-06"""
    for site in ("cross-site", "same-site"):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            _upgrade(live, [f"Cookie: {dashboard.cookie_header()}", f"Sec-Fetch-Site: {site}"], origin=live)


def test_polling_refuses_foreign_origins_and_grants_no_cors(dashboard: Dashboard) -> None:
    """ORG-08"""
    for foreign in FOREIGN:
        for method in ("GET", "POST", "OPTIONS"):
            answer = dashboard.client.open(
                "/socket.io/?EIO=4&transport=polling",
                method=method,
                headers={"Host": "localhost:5111", "Origin": foreign},
            )
            assert answer.status_code == 403, (foreign, method)
            assert not any(name.lower().startswith("access-control") for name in dict(answer.headers))
    own = dashboard.client.get("/socket.io/?EIO=4&transport=polling")
    assert own.status_code == 200
    assert not any(name.lower().startswith("access-control") for name in dict(own.headers))


def test_own_origin_and_token_clients_open_the_socket(dashboard: Dashboard, live: str) -> None:
    """ORG-09: the client names its own origin by itself."""
    for headers, auth in (
        ({"Cookie": dashboard.cookie_header()}, None),
        ({"X-Auth-Token": dashboard.token}, None),
        ({}, {"token": dashboard.token}),
    ):
        with socket(live, headers, auth=auth) as client:
            assert client.connected


def test_polling_opens_for_the_own_origin(dashboard: Dashboard) -> None:
    """ORG-09"""
    headers = {"Host": "localhost:5111", "Origin": "http://localhost:5111"}
    dashboard.client.set_cookie(name_of_cookie("localhost:5111"), dashboard.cookie())
    polling = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads(dashboard.client.get(polling, headers=headers).text[1:])["sid"]
    assert dashboard.client.post(f"{polling}&sid={sid}", data="40", headers=headers).status_code == 200
    assert dashboard.client.get(f"{polling}&sid={sid}", headers=headers).text.startswith("40")


@pytest.mark.parametrize("foreign", FOREIGN)
def test_writes_of_foreign_pages_are_refused_and_change_nothing(dashboard: Dashboard, foreign: str) -> None:
    """ORG-10, ORG-11: with JSON, with a form, with plain text and with nothing at all."""
    account_id = add(dashboard.client)
    headers = {"Host": "localhost:5111", "Origin": foreign}
    account = {"name": "evil", "auth_type": "oauth"}
    for answer in (
        dashboard.client.post("/api/accounts", json=account, headers=headers),
        dashboard.client.post("/api/accounts", data='{"name": "evil"}', content_type="text/plain", headers=headers),
        dashboard.client.post("/api/accounts", data={"name": "evil"}, headers=headers),
        dashboard.client.post("/api/auth/logout", headers=headers),
        dashboard.client.put(f"/api/accounts/{account_id}", json={"name": "evil"}, headers=headers),
        dashboard.client.delete(f"/api/accounts/{account_id}", headers=headers),
    ):
        assert answer.status_code == 403
    assert [account.name for account in db.list_accounts()] == ["work"]
    assert dashboard.client.get("/api/auth/status").get_json()["authenticated"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_writes_with_foreign_fetch_metadata_are_refused(dashboard: Dashboard, site: str) -> None:
    """ORG-11"""
    answer = dashboard.client.post("/api/auth/logout", headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403


def test_own_origin_writes(dashboard: Dashboard) -> None:
    """ORG-10: the other side of it."""
    headers = {"Host": "localhost:5111", "Origin": "http://localhost:5111", "Sec-Fetch-Site": "same-origin"}
    client = dashboard.app.test_client()
    assert client.post("/api/auth/login", json={"password": PASSWORD}, headers=headers).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_json_is_read_only_from_json_bodies(dashboard: Dashboard, kind: str) -> None:
    """ORG-13"""
    answer = dashboard.client.post(
        "/api/accounts", data='{"name": "evil", "auth_type": "oauth"}', headers={"Content-Type": kind}
    )
    assert answer.status_code == 415
    assert db.list_accounts() == []


def test_api_grants_foreign_origins_nothing(dashboard: Dashboard) -> None:
    """ORG-14"""
    headers = {"Host": "localhost:5111", "Origin": "http://localhost:9999"}
    preflight = headers | {"Access-Control-Request-Method": "POST"}
    for answer in (
        dashboard.client.get("/api/accounts", headers=headers),
        dashboard.client.options("/api/accounts", headers=preflight),
        dashboard.client.get("/", headers=headers),
    ):
        assert not any(name.lower().startswith("access-control") for name in dict(answer.headers))


def test_login_of_a_foreign_page_sets_no_session(dashboard: Dashboard) -> None:
    """ORG-15"""
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = dashboard.stranger().post("/api/auth/login", json={"password": PASSWORD}, headers=headers)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers


def test_foreign_page_cannot_choose_the_first_password() -> None:
    """ORG-16, ORG-17: neither from its own origin nor with a name rebound to us."""
    client = create_app().test_client()
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "evil.example"},
    ):
        answer = client.post("/api/auth/setup", json={"password": PASSWORD}, headers=headers)
        assert answer.status_code == 403
    assert not client.get("/api/auth/status").get_json()["setup_done"]


def test_reading_changes_nothing(dashboard: Dashboard, endpoint: TokenEndpoint) -> None:
    """ORG-18"""
    tokens = {"access_token": ACCESS, "refresh_token": endpoint.new_login(), "expires_at": in_hours(-1)}
    account_id = add(dashboard.client, "client", auth_type="oauth", **tokens)
    before = db.get_account(account_id), db.change_mark(), dashboard.client.get("/api/auth/sessions").get_json()
    for path in (
        "/",
        "/api/accounts",
        f"/api/accounts/{account_id}/status",
        f"/api/accounts/{account_id}/launch",
        "/api/generate-aliases",
        "/api/export",
        "/api/auth/status",
        "/api/auth/logout",
        "/api/browse",
        "/api/recent-dirs",
        "/api/terminals",
    ):
        dashboard.client.get(path)
        dashboard.client.head(path)
    after = db.get_account(account_id), db.change_mark(), dashboard.client.get("/api/auth/sessions").get_json()
    assert after == before
    assert endpoint.requests == []


def test_declared_name_works_with_and_without_tls_in_front() -> None:
    """NET-04: the option that the refusal names."""
    dashboard = set_up(Config(trusted_hosts=("Claude.Example.com", "10.0.0.7", "[fd00::7]")))
    for host, page in (
        ("claude.example.com", "https://claude.example.com"),
        ("claude.example.com", "http://claude.example.com"),
        ("claude.example.com:8443", "https://claude.example.com:8443"),
        ("10.0.0.7:5111", "http://10.0.0.7:5111"),
        ("[fd00::7]:5111", "http://[fd00::7]:5111"),
    ):
        headers = {"Host": host, "Origin": page, "X-Auth-Token": dashboard.token}
        assert dashboard.stranger().post("/api/auth/logout", headers=headers).status_code == 200, host
    for host, page in (
        ("claude.example.com", "https://claude.example.com:8443"),
        ("claude.example.com", "https://evil.example"),
        ("sub.claude.example.com", "https://sub.claude.example.com"),
    ):
        headers = {"Host": host, "Origin": page, "X-Auth-Token": dashboard.token}
        assert dashboard.stranger().post("/api/auth/logout", headers=headers).status_code == 403, host


def test_https_origin_needs_https() -> None:
    """NET-07: one name, one port, one scheme."""
    dashboard = set_up()
    headers = {"Host": "localhost:5111", "Origin": "https://localhost:5111", "X-Auth-Token": dashboard.token}
    assert dashboard.stranger().post("/api/auth/logout", headers=headers).status_code == 403
    headers["X-Forwarded-Proto"] = "https"
    assert dashboard.stranger().post("/api/auth/logout", headers=headers).status_code == 200


def test_own_address_is_trusted_only_when_remote() -> None:
    """NET-04"""
    ours, theirs = sockets.socketpair()

    class Connection:
        def getsockname(self) -> tuple[str, int]:
            return ("192.0.2.5", 5111)

    environ = {"gunicorn.socket": Connection()}
    for config, host, status in (
        (Config(remote=True), "192.0.2.5:5111", 200),
        (Config(remote=True), "192.0.2.6:5111", 403),
        (Config(remote=True), "evil.example:5111", 403),
        (Config(remote=False), "192.0.2.5:5111", 403),
    ):
        client = create_app(config).test_client()
        answer = client.get("/api/auth/status", headers={"Host": host}, environ_overrides=environ)
        assert answer.status_code == status, (config, host)
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-Proto": "https"},
        {"X-Real-IP": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"CF-Connecting-IP": "203.0.113.9"},
    ],
)
def test_forwarded_request_is_not_a_local_one(headers: dict[str, str]) -> None:
    """NET-03"""
    client = create_app().test_client()
    assert client.get("/api/auth/status", headers=headers).get_json()["setup_code_required"]
    answer = client.post("/api/auth/setup", json={"password": PASSWORD}, headers=headers)
    assert answer.status_code == 403
    assert answer.get_json()["field"] == "setup_code"


def test_language_follows_the_page_then_the_browser() -> None:
    """The page may be switched to another language than the browser's."""
    for environ, expected in (
        ({"HTTP_ACCEPT_LANGUAGE": "fr-FR,fr;q=0.9,en;q=0.8"}, "fr"),
        ({"HTTP_ACCEPT_LANGUAGE": "de,fr;q=0.5"}, "fr"),
        ({"HTTP_ACCEPT_LANGUAGE": "fr", "HTTP_X_LANGUAGE": "en"}, "en"),
        ({"HTTP_X_LANGUAGE": "../../etc"}, "en"),
        ({"PATH_INFO": "/socket.io/", "QUERY_STRING": "EIO=4&language=fr"}, "fr"),
        ({}, "en"),
    ):
        assert origin.language_of(environ) == expected


def test_connection_that_never_signs_in_is_closed(
    dashboard: Dashboard, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRM-01: a client that keeps its token back holds neither a thread nor a place for long."""
    monkeypatch.setattr("claude_accounts.dashboard.socket_door._PROOF_SECONDS", 0.1)
    address = live.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    opened = websocket.create_connection(address, timeout=DEADLINE, suppress_origin=True)
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        while True:
            opened.recv()


def test_strangers_take_few_places_and_the_oldest_goes_first(dashboard: Dashboard, live: str) -> None:
    """TRM-01: whoever sends his token only in CONNECT is let in while they come and come."""
    address = live.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    opened = [websocket.create_connection(address, timeout=DEADLINE, suppress_origin=True) for _place in range(20)]
    with socket(live, {}, auth={"token": dashboard.token}) as client:
        assert client.connected
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            while True:
                opened[0].recv()
    with socket(live, {"Cookie": dashboard.cookie_header()}) as client:
        assert client.connected
    for connection in opened:
        connection.shutdown()  # type: ignore[no-untyped-call]


def test_no_socket_and_no_event_without_signing_in(dashboard: Dashboard, live: str) -> None:
    """TRM-01, AUT-30"""
    for headers, auth in (
        ({}, None),
        ({"Cookie": f"{name_of_cookie()}=nonsense"}, None),
        ({"X-Auth-Token": "nonsense"}, None),
        ({}, {"token": "nonsense"}),
        ({}, {"token": ["list"]}),
        ({}, {"token": ""}),
    ):
        with pytest.raises(socketio.exceptions.ConnectionError), socket(live, headers, auth=auth):  # type: ignore[arg-type]
            pass
    stranger = dashboard.stranger()
    polling = "/socket.io/?EIO=4&transport=polling"
    opened_id = json.loads(stranger.get(polling).text[1:])["sid"]
    assert stranger.post(f"{polling}&sid={opened_id}", data="40").status_code == 200
    assert stranger.get(f"{polling}&sid={opened_id}").text.startswith("44")
    # Events sent without having connected reach nobody.
    address = live.replace("http", "ws") + "/socket.io/?EIO=4&transport=websocket"
    opened = websocket.create_connection(address, timeout=DEADLINE, suppress_origin=True)
    assert str(opened.recv()).startswith("0{")
    opened.send('42["start_terminal",{"account_id":"x"}]')
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        opened.recv()
    assert dashboard.client.get("/api/terminals").get_json() == []


def test_before_the_setup_no_socket_opens() -> None:
    """AUT-30"""
    with serving(create_app()) as url:
        with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
            _upgrade(url, [])
        for auth in (None, {"token": ""}, {"token": "x"}):
            with pytest.raises(socketio.exceptions.ConnectionError), socket(url, {}, auth=auth):
                pass


def test_sign_out_closes_the_socket(dashboard: Dashboard, live: str) -> None:
    """AUT-25: at sign-out, at a password change, at sign-out everywhere and when the token is made anew."""
    changed = "eight dry owls sing"
    change = {"old_password": PASSWORD, "new_password": changed}
    for route, body in (("logout", {}), ("sign-out-everywhere", {}), ("change-password", change)):
        login = dashboard.client.post("/api/auth/login", json={"password": PASSWORD})
        assert login.status_code == 200
        cookie = dashboard.cookie_header()
        with socket(live, {"Cookie": cookie}) as client:
            gone = threading.Event()
            client.on("disconnect", lambda _reason=None, gone=gone: gone.set())
            assert dashboard.client.post(f"/api/auth/{route}", json=body).status_code == 200
            assert gone.wait(DEADLINE)
        with pytest.raises(socketio.exceptions.ConnectionError), socket(live, {"Cookie": cookie}):
            pass
    # The change of the password has ended the token too.
    dashboard.client.post("/api/auth/login", json={"password": changed})
    token = dashboard.client.post("/api/auth/rotate-token", json={"password": changed}).get_json()["api_token"]
    with socket(live, {"X-Auth-Token": token}) as client:
        gone = threading.Event()
        client.on("disconnect", lambda _reason=None: gone.set())
        assert dashboard.client.post("/api/auth/rotate-token", json={"password": changed}).status_code == 200
        assert gone.wait(DEADLINE)


def test_session_that_ends_elsewhere_closes_its_socket(dashboard: Dashboard, live: str) -> None:
    """AUT-25: another server of the same home, or the session's age."""
    from claude_accounts.dashboard import sign_in

    with socket(live, {"Cookie": dashboard.cookie_header()}) as client:
        gone = threading.Event()
        client.on("disconnect", lambda _reason=None: gone.set())
        sign_in.close_all_sessions()
        assert gone.wait(DEADLINE)


def test_pages_hear_of_a_change_by_another_process(dashboard: Dashboard, live: str) -> None:
    """A change of the command line appears in the page by itself."""
    with socket(live, {"Cookie": dashboard.cookie_header()}) as client:
        heard = threading.Event()
        client.on("accounts_changed", heard.set)
        # Whenever the first look falls, one of these comes after it.
        for number in range(20):
            db.add_account(f"account-{number}", db.OAUTH, access_token=ACCESS, refresh_token=REFRESH)
            if heard.wait(1):
                break
        assert heard.is_set()

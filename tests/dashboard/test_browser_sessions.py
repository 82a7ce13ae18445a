"""A browser's session: bound to a second secret, asked for a fresh proof, out of reach of other ports and pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import socketio  # type: ignore[import-untyped]
from flask.testing import FlaskClient
from running_dashboard import API_KEY, PASSWORD, Dashboard, add, name_of_cookie, serving, set_up
from warm import DEADLINE
from werkzeug.test import TestResponse

from claude_accounts.accounts import storage
from claude_accounts.dashboard import sign_in
from claude_accounts.server import create_app

OTHER_PASSWORD = "eight dry owls sing"
MARKS = [
    {"Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
]
OWN = MARKS[2]


pytestmark = pytest.mark.usefixtures("cheap_hash")


class Browser(NamedTuple):
    """A browser that has signed in: a client with its cookie, and the page's secret."""

    client: FlaskClient
    secret: str

    def send(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        """Send a request as the page does."""
        named = {"X-Page-Secret": self.secret} | OWN | {name.replace("_", "-"): text for name, text in headers.items()}
        return self.client.open(path, method=method, json=body, headers=named)

    def cookie(self, host: str = "localhost") -> str:
        """Return the cookie as a header's value for a server under that name."""
        found = self.client.get_cookie(name_of_cookie())
        assert found is not None
        return f"{name_of_cookie(host)}={found.value}"


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard that a program has set up."""
    return set_up()


def _browser(dashboard: Dashboard, marks: dict[str, str] = OWN, password: str = PASSWORD) -> Browser:
    client = dashboard.app.test_client()
    answer = client.post("/api/auth/login", json={"password": password}, headers=marks)
    assert answer.status_code == 200, answer.text
    return Browser(client, answer.get_json()["page_secret"])


@pytest.fixture
def browser(dashboard: Dashboard) -> Browser:
    """Return a browser that has just signed in."""
    return _browser(dashboard)


def _journal() -> list[str]:
    with storage.reading() as connection:
        return [str(row["event"]) for row in connection.execute("SELECT event FROM journal ORDER BY id")]


@pytest.mark.parametrize("marks", MARKS)
def test_cookie_of_a_browser_opens_nothing_without_the_page_secret(dashboard: Dashboard, marks: dict[str, str]) -> None:
    browser = _browser(dashboard, marks)
    cookie = {"Cookie": browser.cookie()}
    replays: list[dict[str, str]] = [{}, *MARKS, {"X-Page-Secret": ""}, {"X-Page-Secret": "x" * 43}]
    for headers in replays:
        thief = dashboard.app.test_client(use_cookies=False)
        for path in ("/api/accounts", "/api/export", "/api/auth/sessions", "/api/terminals"):
            assert thief.get(path, headers=cookie | headers).status_code == 401, (path, headers)
        assert thief.post("/api/auth/logout", json={}, headers=cookie | headers).status_code == 401
        assert thief.get("/api/auth/status", headers=cookie | headers).get_json()["authenticated"] is False
    assert browser.send("GET", "/api/accounts").status_code == 200


def test_page_secret_opens_nothing_without_its_cookie(dashboard: Dashboard, browser: Browser) -> None:
    secret = {"X-Page-Secret": browser.secret}
    other = _browser(dashboard)
    for cookie in ({}, {"Cookie": f"{name_of_cookie()}={'x' * 43}"}, {"Cookie": other.cookie()}):
        thief = dashboard.app.test_client(use_cookies=False)
        assert thief.get("/api/accounts", headers=secret | cookie).status_code == 401


def test_page_secret_is_stored_hashed_and_told_once(browser: Browser, home: Path) -> None:
    listed = browser.send("GET", "/api/auth/sessions").text
    assert browser.secret not in listed
    assert len(browser.secret) >= 43
    for path in (home / ".claude-accounts").iterdir():
        assert browser.secret.encode() not in path.read_bytes(), path
    assert "page_secret" not in browser.send("GET", "/api/auth/status").text


def test_replayed_cookie_is_noted_in_the_journal_once(dashboard: Dashboard, browser: Browser) -> None:
    for _time in range(3):
        dashboard.app.test_client(use_cookies=False).get("/api/accounts", headers={"Cookie": browser.cookie()})
    assert _journal().count("cookie-without-secret") == 1


def test_program_gets_no_page_secret_and_needs_none(dashboard: Dashboard) -> None:
    client = dashboard.app.test_client()
    answer = client.post("/api/auth/login", json={"password": PASSWORD})
    assert answer.get_json() == {"ok": True}
    assert client.get("/api/accounts").status_code == 200
    # The WebSocket libraries of programs name an origin by themselves.
    assert client.get("/api/accounts", headers={"Origin": "http://localhost"}).status_code == 200


def test_cookie_of_a_program_is_good_for_no_browser(dashboard: Dashboard) -> None:
    """It is in none, so a page that comes with it has it from somewhere else."""
    for site in ("same-origin", "none"):
        assert dashboard.client.get("/api/accounts", headers={"Sec-Fetch-Site": site}).status_code == 401
    assert dashboard.client.get("/api/accounts").status_code == 200


def _opens(url: str, headers: dict[str, str], auth: dict[str, str] | None, transport: str = "websocket") -> bool:
    # With each request, as a page sends them; this library's own headers go with the first one alone.
    with requests.Session() as shown:
        shown.headers.update(headers)
        polls = {"http_session": shown} if transport == "polling" else {}
        client = socketio.Client(reconnection=False, request_timeout=DEADLINE, **polls)
        try:
            client.connect(url, headers=headers, auth=auth, transports=[transport], wait_timeout=DEADLINE)
        except socketio.exceptions.ConnectionError:
            return False
        client.disconnect()
        return True


def test_socket_needs_cookie_and_page_secret(dashboard: Dashboard, browser: Browser) -> None:
    """§11.4: in its CONNECT, or in the header that a polling client can send."""
    with serving(dashboard.app) as url:
        cookie = {"Cookie": browser.cookie(url.removeprefix("http://"))}
        assert not _opens(url, cookie, None)
        assert not _opens(url, cookie, {"page_secret": "x" * 43})
        assert not _opens(url, {}, {"page_secret": browser.secret})
        assert not _opens(url, cookie, None, "polling")
        assert _opens(url, cookie, {"page_secret": browser.secret})
        assert _opens(url, cookie | {"X-Page-Secret": browser.secret}, None, "polling")


def test_dashboards_on_two_ports_do_not_sign_each_other_out() -> None:
    """§7: cookies know no port; one jar for both, as a browser's."""
    dashboard = set_up()
    jar = requests.Session()
    with serving(dashboard.app) as one, serving(create_app()) as other:
        for url in (one, other):
            signed_in = jar.post(f"{url}/api/auth/login", json={"password": PASSWORD}, timeout=DEADLINE)
            assert signed_in.status_code == 200
        for url in (one, other):
            assert jar.get(f"{url}/api/accounts", timeout=DEADLINE).status_code == 200
        assert jar.post(f"{one}/api/auth/logout", json={}, timeout=DEADLINE).status_code == 200
        assert jar.get(f"{other}/api/accounts", timeout=DEADLINE).status_code == 200


def test_cookies_name_differs_by_data_folder_port_and_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """§7"""
    from claude_accounts.dashboard.callers import cookie_name

    hosts = ("localhost:5111", "localhost:5112", "localhost")
    names = {cookie_name({"HTTP_HOST": host}) for host in hosts}
    names |= {cookie_name({"HTTP_HOST": host, "wsgi.url_scheme": "https"}) for host in hosts}
    monkeypatch.setenv("CLAUDE_ACCOUNTS_HOME", str(tmp_path / "other"))
    names |= {cookie_name({"HTTP_HOST": host}) for host in hosts}
    assert len(names) == 9
    # A host by its default port, named or not, is one place.
    assert cookie_name({"HTTP_HOST": "localhost:80"}) == cookie_name({"HTTP_HOST": "localhost"})


def test_after_a_visit_by_https_one_can_sign_in_by_http(dashboard: Dashboard) -> None:
    """§7: a browser that holds a Secure cookie takes no plain one of that name."""
    names = []
    for headers in ({"X-Forwarded-Proto": "https"}, {}):
        client = dashboard.app.test_client()
        answer = client.post("/api/auth/login", json={"password": PASSWORD}, headers=headers)
        (cookie,) = answer.headers.getlist("Set-Cookie")
        names.append(cookie.partition("=")[0])
        assert client.get("/api/accounts", headers=headers).status_code == 200
    assert names[0] != names[1]
    assert names[0].startswith("__Host-")


# Everything that shows, copies or erases credentials, or changes who may sign in.
GUARDED: dict[str, tuple[str, str, Any]] = {
    "reveal": ("POST", "/api/accounts/{id}/launch", {"reveal": True}),
    "export": ("POST", "/api/export", {}),
    "import": ("POST", "/api/import", [{"name": "new", "auth_type": "api_key", "api_key": API_KEY}]),
    "delete": ("DELETE", "/api/accounts/{id}", {}),
    "capture": ("POST", "/api/accounts/{id}/capture-oauth", {}),
    "replace": ("PUT", "/api/accounts/{id}", {"api_key": API_KEY + "x"}),
    "install aliases": ("POST", "/api/install-aliases", {}),
    "end another session": ("DELETE", "/api/auth/sessions/{session}", {}),
}


@pytest.fixture(params=GUARDED)
def guarded(request: pytest.FixtureRequest, dashboard: Dashboard) -> tuple[str, str, Any]:
    """Return a request that asks for a fresh proof."""
    method, path, body = GUARDED[request.param]
    other = dashboard.client.get("/api/auth/sessions").get_json()[-1]["id"]
    return method, path.format(id=add(dashboard.client), session=other), body


def test_what_touches_credentials_asks_a_browser_for_a_fresh_proof(
    dashboard: Dashboard, browser: Browser, guarded: tuple[str, str, Any]
) -> None:
    """§11.14"""
    before = dashboard.client.get("/api/export").get_json()
    assert browser.send("POST", "/api/auth/lock", {}).get_json() == {"unlocked_seconds": 0}
    refused = browser.send(*guarded)
    assert refused.status_code == 403
    assert refused.get_json()["step_up"] is True
    assert dashboard.client.get("/api/export").get_json() == before
    wrong = browser.send("POST", "/api/auth/step-up", {"password": "wrong"})
    assert wrong.status_code == 403
    assert "step_up" not in wrong.get_json()
    assert browser.send(*guarded).status_code == 403
    assert browser.send("POST", "/api/auth/step-up", {"password": PASSWORD}).get_json() == {"unlocked_seconds": 600}
    assert "step_up" not in browser.send(*guarded).text


def test_program_is_asked_for_no_proof(dashboard: Dashboard, guarded: tuple[str, str, Any]) -> None:
    method, path, body = guarded
    sign_in.forget_proofs()
    for client, headers in (
        (dashboard.stranger(), {"X-Auth-Token": dashboard.token, **OWN}),
        (dashboard.client, {}),
    ):
        answer = client.open(path, method=method, json=body, headers=headers)
        assert "step_up" not in answer.text, answer.text


def test_proof_is_good_for_ten_minutes_and_no_longer() -> None:
    """Absolute, whatever is done meanwhile, and not longer for a clock that was set back."""
    session = sign_in.Session("", 0, 0, 0, "", "", "hash", proved_at=1_000_000)
    assert [bool(session.unlocked_until(1_000_000 + later)) for later in (0, 599_999, 600_000, -1)] == [
        True,
        True,
        False,
        False,
    ]


def test_signing_in_is_a_proof_and_using_it_does_not_prolong_it(browser: Browser) -> None:
    first = browser.send("GET", "/api/auth/status").get_json()["unlocked_seconds"]
    assert 590 <= first <= 600
    with storage.writing() as connection:
        connection.execute("UPDATE sessions SET proved_at = proved_at - 599000")
    assert browser.send("POST", "/api/export", {}).status_code == 200
    assert browser.send("GET", "/api/auth/status").get_json()["unlocked_seconds"] <= 1
    with storage.writing() as connection:
        connection.execute("UPDATE sessions SET proved_at = proved_at - 1000")
    assert browser.send("POST", "/api/export", {}).status_code == 403


def test_proof_is_of_one_browser_alone(dashboard: Dashboard, browser: Browser) -> None:
    other = _browser(dashboard)
    other.send("POST", "/api/auth/lock", {})
    assert browser.send("POST", "/api/export", {}).status_code == 200
    assert other.send("POST", "/api/export", {}).status_code == 403


def test_signing_out_everywhere_never_asks(dashboard: Dashboard, browser: Browser) -> None:
    browser.send("POST", "/api/auth/lock", {})
    assert browser.send("POST", "/api/auth/sign-out-everywhere", {}).status_code == 200
    assert sign_in.list_sessions() == []


def test_ending_ones_own_session_by_its_name_asks_nothing(browser: Browser) -> None:
    browser.send("POST", "/api/auth/lock", {})
    (own,) = [row["id"] for row in browser.send("GET", "/api/auth/sessions").get_json() if row["current"]]
    assert browser.send("DELETE", f"/api/auth/sessions/{own}", {}).status_code == 200
    assert browser.send("GET", "/api/accounts").status_code == 401


def test_ended_session_is_over_and_the_others_go_on(dashboard: Dashboard, browser: Browser) -> None:
    other = _browser(dashboard)
    rows = other.send("GET", "/api/auth/sessions").get_json()
    (own,) = [row["id"] for row in rows if row["current"]]
    assert browser.send("DELETE", f"/api/auth/sessions/{own}", {}).status_code == 200
    assert other.send("GET", "/api/accounts").status_code == 401
    assert browser.send("GET", "/api/accounts").status_code == 200
    assert browser.send("DELETE", f"/api/auth/sessions/{own}", {}).status_code == 404


def test_proofs_cannot_be_guessed_without_limit(browser: Browser) -> None:
    browser.send("POST", "/api/auth/lock", {})
    answers = [browser.send("POST", "/api/auth/step-up", {"password": "wrong"}).status_code for _try in range(12)]
    assert answers == [403] * 10 + [429] * 2


def test_browser_exports_by_post_alone(dashboard: Dashboard, browser: Browser) -> None:
    """§11.3: any page can lead a browser to an address."""
    add(dashboard.client)
    assert browser.send("GET", "/api/export").status_code == 403
    assert API_KEY in browser.send("POST", "/api/export", {}).text
    assert API_KEY in dashboard.client.get("/api/export").text
    assert API_KEY in dashboard.stranger().get("/api/export", headers={"X-Auth-Token": dashboard.token}).text


def _gets() -> Iterator[str]:
    for rule in create_app().url_map.iter_rules():
        if "GET" in (rule.methods or ()) and rule.rule.startswith("/api"):
            yield rule.rule.replace("<account_id>", "acc_x").replace("<terminal_id>", "t")


@pytest.mark.parametrize("path", [*_gets(), "//api/export", "/API/export", "/api/nothing"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_page_gets_no_answer_of_the_api(dashboard: Dashboard, path: str, site: str) -> None:
    """§11.3: not even one that it could not read."""
    for method in ("GET", "HEAD"):
        for headers in ({}, {"X-Auth-Token": dashboard.token}):
            answer = dashboard.client.open(path, method=method, headers={"Sec-Fetch-Site": site, **headers})
            assert answer.status_code == 403, (method, path)


def test_link_from_another_page_still_opens_the_dashboard(dashboard: Dashboard) -> None:
    for path in ("/", "/healthz", "/static/favicon.svg"):
        assert dashboard.client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_password_change_ends_api_tokens_and_their_sockets(dashboard: Dashboard) -> None:
    """§11.15"""
    browser = _browser(dashboard)
    token = {"X-Auth-Token": dashboard.token}
    with serving(dashboard.app) as url:
        client = socketio.Client(reconnection=False)
        client.connect(url, headers=token, transports=["websocket"], wait_timeout=DEADLINE)
        change = {"old_password": PASSWORD, "new_password": OTHER_PASSWORD}
        changed = browser.send("POST", "/api/auth/change-password", change)
        assert changed.status_code == 200
        client.wait()
        assert not client.connected
    assert dashboard.stranger().get("/api/accounts", headers=token).status_code == 401
    # This browser goes on, with another secret.
    assert browser.send("GET", "/api/accounts").status_code == 401
    renewed = Browser(browser.client, changed.get_json()["page_secret"])
    assert renewed.send("GET", "/api/accounts").status_code == 200
    made = renewed.send("POST", "/api/auth/rotate-token", {"password": OTHER_PASSWORD}).get_json()["api_token"]
    assert dashboard.stranger().get("/api/accounts", headers={"X-Auth-Token": made}).status_code == 200

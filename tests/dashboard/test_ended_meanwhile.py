"""What ends while a request is under way is ended for it too; what belongs elsewhere opens nothing here."""

from __future__ import annotations

import json
import socket as sockets
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from factor_tools import Page, add_passkey, set_up_app
from running_dashboard import PASSWORD, Dashboard, add, name_of_cookie, serving, set_up
from terminal_server import wait_until
from warm import DEADLINE

from claude_accounts.accounts import storage
from claude_accounts.dashboard import factors, sign_in, tokens
from claude_accounts.dashboard.api import Config
from claude_accounts.messages import AccountsError
from claude_accounts.server import create_app

OTHER = "eight dry owls sing"
FACTOR = "/api/auth/login/factor"


pytestmark = pytest.mark.usefixtures("cheap_hash")


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard that has been set up."""
    return set_up()


def held_back(url: str, path: str, body: object, headers: dict[str, str], meanwhile: Callable[[], None]) -> int:
    """Send a request whose body comes only after something else has happened, and return its status."""
    data = json.dumps(body).encode()
    place = urlsplit(url)
    shown = {"Host": place.netloc, "Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in shown.items())
    with closing(sockets.create_connection((place.hostname or "", place.port or 0), DEADLINE)) as connection:
        connection.sendall(head.encode() + b"\r\n" + data[:1])
        meanwhile()
        connection.sendall(data[1:])
        return int(connection.recv(100).split()[1])


def test_body_that_comes_after_its_token_has_ended_does_nothing(dashboard: Dashboard) -> None:
    shown = {"X-Auth-Token": dashboard.token}

    def change() -> None:
        wait_until(lambda: tokens.listed()[0].last_used_at)
        given = {"old_password": PASSWORD, "new_password": OTHER}
        assert dashboard.client.post("/api/auth/change-password", json=given).status_code == 200

    with serving(dashboard.app) as url:
        assert held_back(url, "/api/auth/tokens", {"name": "mine", "scope": "admin"}, shown, change) == 401
    assert tokens.listed() == []


def test_body_that_comes_after_its_session_has_ended_does_nothing(dashboard: Dashboard) -> None:
    add(dashboard.client)
    cookie = sign_in.open_session("127.0.0.1", "program", sign_in.password_mark()).cookie
    with storage.writing() as connection:
        connection.execute("UPDATE sessions SET last_seen = 0")

    def sign_out() -> None:
        wait_until(lambda: any(session.last_seen for session in sign_in.list_sessions()))
        sign_in.close_all_sessions()

    with serving(dashboard.app) as url:
        name = name_of_cookie(urlsplit(url).netloc)
        assert held_back(url, "/api/import", [], {"Cookie": f"{name}={cookie}"}, sign_out) == 401


def test_old_password_proves_nothing_after_its_change(dashboard: Dashboard) -> None:
    """Comparing takes its time, in which its owner may choose another one."""
    mark = sign_in.check_password(PASSWORD)
    sign_in.change_password(OTHER, mark)
    with pytest.raises(sign_in.WrongPassword):
        sign_in.open_session("127.0.0.1", "thief", mark)
    with pytest.raises(sign_in.WrongPassword):
        sign_in.change_password("six wet cats nap", mark)
    waiting = factors.SignIns()
    with pytest.raises(factors.SignInExpired):
        waiting.find(waiting.begin("127.0.0.0/8", mark))
    sign_in.check_password(OTHER)
    assert sign_in.list_sessions() == []


def test_passkey_of_another_port_of_this_host_signs_nobody_in(dashboard: Dashboard) -> None:
    """Its page may be another program's: it asks for our passkey, which browsers give to every port of the name."""
    page = Page(dashboard.app)
    page.sign_in()
    page.prove()
    key = add_passkey(page)
    stranger = Page(dashboard.app, "http://localhost:9999")
    asked = stranger("POST", "/api/auth/login/passkey")
    given = {"pending": asked["pending"], "passkey": key.get(asked["options"], "http://localhost:9999")}
    assert stranger("POST", FACTOR, given, status=403)["field"] == "passkey"
    assert "passkey" not in stranger.sign_in(status=401)["second_factor"]
    here = Page(dashboard.app)
    asked = here("POST", "/api/auth/login/passkey")
    assert here("POST", FACTOR, {"pending": asked["pending"], "passkey": key.get(asked["options"])})["page_secret"]


def test_without_a_password_no_passkey_signs_in(dashboard: Dashboard) -> None:
    page = Page(dashboard.app)
    page.sign_in()
    page.prove()
    key = add_passkey(page)
    asked = page("POST", "/api/auth/login/passkey")
    sign_in.reset_password()
    given = {"pending": asked["pending"], "passkey": key.get(asked["options"])}
    page("POST", FACTOR, given, status=401)
    assert page.ask("POST", "/api/auth/login/passkey").status_code >= 400
    # It can be set up again.
    assert page("GET", "/api/auth/status")["setup_done"] is False
    with pytest.raises(AccountsError):
        sign_in.require_password()


def test_fifth_try_counts_as_one(dashboard: Dashboard) -> None:
    page = Page(dashboard.app)
    page.sign_in()
    page.prove()
    key = add_passkey(page)
    _app, _codes = set_up_app(page)
    other = Page(dashboard.app)
    waiting = other.sign_in(status=401)["pending"]
    for _try in range(4):
        other("POST", FACTOR, {"pending": waiting, "recovery_code": "AAAA-BBBB-CCCC"}, status=403)
    asked = other("POST", "/api/auth/login/passkey", {"pending": waiting})
    other("POST", FACTOR, {"pending": waiting, "passkey": key.get(asked["options"])})


def test_one_token_cannot_hide_in_the_journal_what_another_does(dashboard: Dashboard) -> None:
    made = dashboard.client.post("/api/auth/tokens", json={"name": "little", "scope": "read"}).get_json()
    client = create_app(Config(behind_proxy=True)).test_client()
    for number in range(60):
        shown = {"X-Auth-Token": made["api_token"], "X-Forwarded-For": f"2001:db8:{number:x}::1"}
        assert client.get("/api/accounts", headers=shown).status_code == 200
    assert client.get("/api/accounts", headers={"X-Auth-Token": dashboard.token}).status_code == 200
    told = dashboard.client.get("/api/journal?limit=200&event=token-used").get_json()["entries"]
    assert {entry["actor"] for entry in told} == {"token little", "token first"}
    assert len([entry for entry in told if entry["actor"] == "token little"]) == 50

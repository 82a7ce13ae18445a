"""The routes of sign-in, as a browser and a token client use them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from flask.testing import FlaskClient
from running_dashboard import PASSWORD, add, name_of_cookie, set_up
from werkzeug.test import TestResponse

from claude_accounts.dashboard import sign_in
from claude_accounts.dashboard.api import Config
from claude_accounts.server import create_app

OTHER_PASSWORD = "eight dry owls sing"
PUBLIC = {("GET", "/api/auth/status")} | {
    ("POST", f"/api/auth/{path}") for path in ("setup", "login", "login/passkey", "login/factor")
}


pytestmark = pytest.mark.usefixtures("cheap_hash")


def _login(client: FlaskClient, password: str = PASSWORD, **options: Any) -> TestResponse:
    return client.post("/api/auth/login", json={"password": password}, **options)


def _routes() -> list[tuple[str, str]]:
    found = []
    for rule in create_app().url_map.iter_rules():
        path = rule.rule.replace("<account_id>", "acc_x").replace("<terminal_id>", "t").replace("<path:name>", "x")
        found += [(method, path) for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})]
    return [(method, path) for method, path in found if path.startswith("/api")]


@pytest.mark.parametrize(("method", "path"), [route for route in _routes() if route not in PUBLIC])
def test_every_other_route_needs_authentication(method: str, path: str) -> None:
    """AUT-01"""
    dashboard = set_up()
    for headers in ({}, {"X-Auth-Token": "x" * 43}, {"Authorization": f"Bearer {dashboard.token}"}):
        client = dashboard.browser("x" * 43)
        answer = client.open(path, method=method, json={} if method != "GET" else None, headers=headers)
        assert answer.status_code == 401, (method, path)
        assert answer.get_json()["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/accounts/",
        "//api/accounts",
        "/api//accounts",
        "/api/./accounts",
        "/api/auth/../accounts",
        "/api/auth/status/../../accounts",
        "/static/../api/accounts",
        "/API/accounts",
        "/api/accounts%00",
        "/api/accounts;x",
        "/api/accounts?x=/api/auth/status",
        "/api/auth/login/../../export",
        "/./api/export",
        "/api%2Fexport",
        "/%61pi/export",
        "/api/export%20",
        "/api/auth/status%2F..%2F..%2Fexport",
    ],
)
def test_no_spelling_of_a_path_gets_round_authentication(path: str) -> None:
    """AUT-02"""
    dashboard = set_up()
    add(dashboard.client)
    for method in ("GET", "POST", "HEAD"):
        answer = dashboard.stranger().open(path, method=method)
        assert answer.status_code in (301, 308, 401, 403, 404, 405), (method, path)
        assert b"work" not in answer.data
        followed = dashboard.stranger().open(path, method=method, follow_redirects=True)
        assert followed.status_code in (401, 403, 404, 405), (method, path)


def test_twenty_setups_at_once_have_one_winner() -> None:
    """AUT-03"""
    app = create_app()
    together = threading.Barrier(20)
    answers: list[tuple[str, TestResponse]] = []

    def visit(password: str) -> None:
        together.wait()
        answers.append((password, app.test_client().post("/api/auth/setup", json={"password": password})))

    threads = [threading.Thread(target=visit, args=(f"{number} wet owls sing",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for _password, answer in answers) == [201] + [409] * 19
    # The winner first, and few of the others: ten wrong passwords would lock the address.
    answers.sort(key=lambda pair: pair[1].status_code)
    for password, answer in answers[:6]:
        won = answer.status_code == 201
        assert (_login(app.test_client(), password).status_code == 200) == won
        if won:
            headers = {"X-Auth-Token": answer.get_json()["api_token"]}
            assert app.test_client().get("/api/accounts", headers=headers).status_code == 200


def test_second_setup_is_refused_and_changes_nothing() -> None:
    """AUT-04"""
    dashboard = set_up()
    for client in (dashboard.client, dashboard.stranger()):
        answer = client.post("/api/auth/setup", json={"password": OTHER_PASSWORD})
        assert answer.status_code == 409
        assert "Set-Cookie" not in answer.headers
    assert _login(dashboard.stranger(), OTHER_PASSWORD).status_code == 403
    assert _login(dashboard.stranger()).status_code == 200
    assert dashboard.stranger().get("/api/accounts", headers={"X-Auth-Token": dashboard.token}).status_code == 200


def test_weak_password_is_refused_at_setup_and_change() -> None:
    """AUT-05, AUT-06"""
    client = create_app().test_client()
    for weak in ("", "1234567", "password123"):
        answer = client.post("/api/auth/setup", json={"password": weak})
        assert answer.status_code == 400
        assert answer.get_json()["field"] == "password"
    dashboard = set_up()
    for weak in ("", "1234567", "password123"):
        answer = dashboard.client.post(
            "/api/auth/change-password", json={"old_password": PASSWORD, "new_password": weak}
        )
        assert answer.status_code == 400
        assert answer.get_json()["field"] == "new_password"
    assert _login(dashboard.client).status_code == 200


def test_long_unicode_password_signs_in() -> None:
    """AUT-07"""
    password = ("pässwörd-密碼-🦉" * 16)[:128]
    client = create_app().test_client()
    assert client.post("/api/auth/setup", json={"password": password}).status_code == 201
    assert _login(client, password).status_code == 200
    assert _login(client, password[:-1]).status_code == 403


def test_two_megabyte_password_is_refused_unread() -> None:
    """AUT-08, DOS-01"""
    dashboard = set_up()
    huge = "x" * 2_000_000
    assert create_app().test_client().post("/api/auth/setup", json={"password": huge}).status_code == 413
    assert _login(dashboard.stranger(), huge).status_code == 413
    change = {"old_password": huge, "new_password": huge}
    assert dashboard.client.post("/api/auth/change-password", json=change).status_code == 413
    assert _login(dashboard.stranger(), "x" * 5000).status_code == 403


def test_ten_wrong_logins_lock_the_address() -> None:
    """AUT-10, AUT-11"""
    dashboard = set_up()
    assert [_login(dashboard.stranger(), "wrong").status_code for _try in range(11)] == [403] * 10 + [429]
    refused = _login(dashboard.stranger())
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 901
    assert "Set-Cookie" not in refused.headers
    same_machine = _login(dashboard.stranger(), environ_overrides={"REMOTE_ADDR": "127.0.0.9"})
    assert same_machine.status_code == 429
    elsewhere = _login(dashboard.stranger(), environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
    assert elsewhere.status_code == 200


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP", "X-Remote-Addr"],
)
def test_forwarding_headers_do_not_reset_the_limit(header: str) -> None:
    """AUT-12, NET-05"""
    dashboard = set_up()
    answers = [
        _login(dashboard.stranger(), "wrong", headers={header: f"203.0.113.{number}"}).status_code
        for number in range(12)
    ]
    assert answers == [403] * 10 + [429] * 2


def test_declared_proxy_tells_its_callers_apart() -> None:
    """AUT-12: its own entry is the last one; what stands before came from the caller."""
    dashboard = set_up(Config(behind_proxy=True))
    for number in range(10):
        _login(dashboard.stranger(), "wrong", headers={"X-Forwarded-For": f"10.0.0.{number}, 203.0.113.5"})
    locked = _login(dashboard.stranger(), headers={"X-Forwarded-For": "203.0.113.6, 203.0.113.5"})
    free = _login(dashboard.stranger(), headers={"X-Forwarded-For": "203.0.113.5, 203.0.113.6"})
    nonsense = _login(dashboard.stranger(), headers={"X-Forwarded-For": "nonsense"})
    assert (locked.status_code, free.status_code, nonsense.status_code) == (429, 200, 200)


def test_thirty_wrong_logins_at_once_do_not_slip_past_the_limit() -> None:
    """AUT-13"""
    dashboard = set_up()
    together = threading.Barrier(30)
    answers: list[int] = []

    def guess() -> None:
        client = dashboard.stranger()
        together.wait()
        answers.append(_login(client, "wrong").status_code)

    threads = [threading.Thread(target=guess) for _guess in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [403] * 10 + [429] * 20


def test_old_password_cannot_be_guessed_with_a_stolen_session() -> None:
    """AUT-14: nor from many addresses, nor where a new token is made."""
    dashboard = set_up()
    answers = []
    for number in range(12):
        change = {"old_password": f"guess {number}", "new_password": OTHER_PASSWORD}
        address = {"REMOTE_ADDR": f"127.0.0.{number + 2}"}
        answer = dashboard.client.post("/api/auth/change-password", json=change, environ_overrides=address)
        answers.append(answer.status_code)
    assert answers == [403] * 10 + [429] * 2
    rotation = dashboard.client.post("/api/auth/rotate-token", json={"password": PASSWORD})
    assert rotation.status_code == 429
    assert _login(dashboard.stranger()).status_code == 200


def test_owner_works_on_while_the_login_is_locked() -> None:
    """AUT-16"""
    dashboard = set_up()
    for _try in range(12):
        _login(dashboard.stranger(), "wrong")
    assert dashboard.client.get("/api/accounts").status_code == 200
    assert dashboard.stranger().get("/api/accounts", headers={"X-Auth-Token": dashboard.token}).status_code == 200
    change = {"old_password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert dashboard.client.post("/api/auth/change-password", json=change).status_code == 200


def _attributes(answer: TestResponse) -> dict[str, str]:
    (cookie,) = answer.headers.getlist("Set-Cookie")
    parts = [part.strip().partition("=") for part in cookie.split(";")]
    return {name.lower(): value for name, _equals, value in parts}


def test_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    """AUT-18"""
    dashboard = set_up()
    cookie = _attributes(_login(dashboard.stranger()))
    assert "httponly" in cookie
    assert cookie["samesite"] in ("Lax", "Strict")
    assert cookie["path"] == "/"
    assert 0 < int(cookie["max-age"]) <= 7 * 24 * 3600
    assert "domain" not in cookie
    assert "secure" not in cookie


def test_cookie_is_secure_over_https() -> None:
    """AUT-20"""
    dashboard = set_up()
    assert "secure" in _attributes(_login(dashboard.stranger(), headers={"X-Forwarded-Proto": "https"}))
    assert "secure" in _attributes(_login(dashboard.stranger(), base_url="https://localhost"))


def test_logout_kills_the_cookie_on_the_server() -> None:
    """AUT-21"""
    dashboard = set_up()
    copy = dashboard.browser(dashboard.cookie())
    assert copy.get("/api/accounts").status_code == 200
    answer = dashboard.client.post("/api/auth/logout")
    assert int(_attributes(answer)["max-age"]) == 0
    assert copy.get("/api/accounts").status_code == 401


def test_password_change_ends_every_other_session() -> None:
    """AUT-22: and this browser goes on with a new one."""
    dashboard = set_up()
    other = dashboard.stranger()
    _login(other)
    before = dashboard.cookie()
    change = {"old_password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert dashboard.client.post("/api/auth/change-password", json=change).status_code == 200
    assert other.get("/api/accounts").status_code == 401
    assert dashboard.browser(before).get("/api/accounts").status_code == 401
    assert dashboard.client.get("/api/accounts").status_code == 200
    assert _login(dashboard.stranger()).status_code == 403
    assert _login(dashboard.stranger(), OTHER_PASSWORD).status_code == 200


def test_login_gives_a_new_session_and_ends_the_one_it_came_with() -> None:
    """AUT-23"""
    dashboard = set_up()
    before = dashboard.cookie()
    assert _login(dashboard.client).status_code == 200
    assert dashboard.cookie() != before
    assert dashboard.browser(before).get("/api/accounts").status_code == 401
    planted = dashboard.stranger()
    planted.set_cookie(name_of_cookie(), "chosen-by-an-attacker")
    assert _login(planted).status_code == 200
    assert dashboard.browser("chosen-by-an-attacker").get("/api/accounts").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        7,
        {},
        {"password": None},
        {"password": 7},
        {"password": True},
        {"password": ["seven wet owls sing"]},
        {"password": {"$ne": ""}},
        {"password": "\ud800" * 12},
        {"password": PASSWORD, "extra": 1},
        {"password": PASSWORD, "setup_code": 7},
        {"old_password": 7, "new_password": None},
        {"old_password": PASSWORD},
        {"old_password": PASSWORD, "new_password": "\udfff" * 12},
    ],
)
def test_odd_bodies_at_the_auth_routes_are_the_callers_mistake(body: object) -> None:
    """AUT-24"""
    dashboard = set_up()
    for route in ("setup", "login", "change-password", "rotate-token"):
        answer = dashboard.client.post(f"/api/auth/{route}", json=body)
        if (body, route) != ({"password": PASSWORD, "setup_code": 7}, "setup"):
            assert 400 <= answer.status_code < 500, (route, body)
    fresh = create_app().test_client()
    assert 400 <= fresh.post("/api/auth/setup", json=body).status_code < 500


def test_wrong_and_unknown_fields_are_named() -> None:
    """AUT-24"""
    dashboard = set_up()
    for body, field in (({"password": 7}, "password"), ({"passwort": "x"}, "passwort"), ({}, "password")):
        answer = dashboard.stranger().post("/api/auth/login", json=body)
        assert answer.status_code == 400
        assert answer.get_json()["field"] == field


@pytest.mark.parametrize("token", ["", " ", "x", "x" * 8000, "ünï", "a\tb", "null", "' OR 1=1 --"])
def test_odd_api_tokens_are_just_wrong(token: str) -> None:
    """AUT-28"""
    dashboard = set_up()
    answer = dashboard.stranger().get(
        "/api/accounts", environ_overrides={"HTTP_X_AUTH_TOKEN": token.encode().decode("latin-1")}
    )
    assert answer.status_code == 401


def test_no_token_is_taken_from_the_url() -> None:
    """AUT-29"""
    dashboard = set_up()
    for name in ("token", "api_token", "auth_token", "X-Auth-Token", "access_token", name_of_cookie()):
        answer = dashboard.stranger().get("/api/accounts", query_string={name: dashboard.token})
        assert answer.status_code == 401


def test_before_the_setup_nothing_is_open() -> None:
    """AUT-30"""
    client = create_app().test_client()
    client.set_cookie(name_of_cookie(), "")
    for headers in ({}, {"X-Auth-Token": ""}, {"X-Auth-Token": "None"}):
        assert client.get("/api/accounts", headers=headers).status_code == 401
    assert _login(client, "").status_code == 409
    status = client.get("/api/auth/status").get_json()
    assert (status["setup_done"], status["authenticated"], status["setup_code_required"]) == (False, False, False)


def test_setup_from_elsewhere_needs_the_printed_code() -> None:
    """NET-02"""
    code = sign_in.new_setup_code()
    app = create_app(Config(remote=True, setup_code_hash=sign_in.hash_setup_code(code)))
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.77"}}
    client = app.test_client()
    status = client.get("/api/auth/status", **elsewhere).get_json()
    assert status["setup_code_required"]
    for given in ({}, {"setup_code": ""}, {"setup_code": "AAAA-BBBB-CCCC"}):
        answer = client.post("/api/auth/setup", json={"password": PASSWORD, **given}, **elsewhere)
        assert answer.status_code == 403
        assert answer.get_json()["field"] == "setup_code"
    with_code = {"password": PASSWORD, "setup_code": code.lower()}
    answer = client.post("/api/auth/setup", json=with_code, **elsewhere)
    assert answer.status_code == 201


def test_setup_code_cannot_be_guessed_without_limit() -> None:
    """NET-02"""
    code = sign_in.new_setup_code()
    client = create_app(Config(remote=True, setup_code_hash=sign_in.hash_setup_code(code))).test_client()
    answers = [
        client.post(
            "/api/auth/setup",
            json={"password": PASSWORD, "setup_code": f"AAAA-BBBB-{number:04}"},
            environ_overrides={"REMOTE_ADDR": "192.0.2.77"},
        ).status_code
        for number in range(12)
    ]
    assert answers == [403] * 10 + [429] * 2


def test_server_that_printed_no_code_takes_none() -> None:
    """NET-02"""
    client = create_app(Config(remote=True)).test_client()
    for given in ("", "None"):
        answer = client.post(
            "/api/auth/setup",
            json={"password": PASSWORD, "setup_code": given},
            environ_overrides={"REMOTE_ADDR": "192.0.2.77"},
        )
        assert answer.status_code == 403


def test_new_api_token_needs_the_password_and_ends_the_old_one() -> None:
    """A thief of a session cannot make himself a token."""
    dashboard = set_up()
    assert dashboard.client.post("/api/auth/rotate-token", json={"password": "wrong"}).status_code == 403
    answer = dashboard.client.post("/api/auth/rotate-token", json={"password": PASSWORD})
    assert answer.status_code == 200
    new = answer.get_json()["api_token"]
    assert dashboard.stranger().get("/api/accounts", headers={"X-Auth-Token": new}).status_code == 200
    assert dashboard.stranger().get("/api/accounts", headers={"X-Auth-Token": dashboard.token}).status_code == 401


def test_sessions_are_listed_and_ended_everywhere() -> None:
    """AUT-21: a browser left signed in somewhere else."""
    dashboard = set_up()
    other = dashboard.stranger()
    _login(other, headers={"User-Agent": "other browser"})
    listed = dashboard.client.get("/api/auth/sessions").get_json()
    assert sorted(session["current"] for session in listed) == [False, True]
    assert "other browser" in [session["user_agent"] for session in listed]
    assert dashboard.cookie() not in str(listed)
    assert dashboard.client.post("/api/auth/sign-out-everywhere").status_code == 200
    assert other.get("/api/accounts").status_code == 401
    assert dashboard.client.get("/api/accounts").status_code == 401


def test_answers_speak_the_pages_language() -> None:
    """The catalogue decides the words; here only that it is asked for."""
    dashboard = set_up()
    for language in ("en", "fr"):
        answer = dashboard.stranger().get("/api/accounts", headers={"X-Language": language})
        assert answer.status_code == 401

"""The routes about accounts: what goes in, what comes out, and what never does."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from running_dashboard import ACCESS, API_KEY, PASSWORD, REFRESH, Dashboard, add, set_up
from token_endpoint import TokenEndpoint, in_hours
from werkzeug.test import TestResponse

from claude_accounts import db

ODD_NAMES = [
    "",
    " ",
    "a",
    "x;whoami;#",
    "$(whoami)",
    "`id`",
    "../../etc/passwd",
    "a/b",
    "<img src=x onerror=alert(1)>",
    "a\nb",
    "a\0b",
    "a\x1b[31mb",
    "-rf",
    "a" * 33,
    "é" * 4,
    "work\u202e",
    "'; DROP TABLE accounts; --",
    "a'b",
    'a"b',
]


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard that has been set up."""
    return set_up()


@pytest.fixture
def client(dashboard: Dashboard) -> FlaskClient:
    """Return a signed-in client."""
    return dashboard.client


def _at_once(count: int, act: Callable[[int], TestResponse]) -> list[TestResponse]:
    together = threading.Barrier(count)
    answers: list[TestResponse] = []

    def run(number: int) -> None:
        together.wait()
        answers.append(act(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _names() -> list[str]:
    return [account.name for account in db.list_accounts()]


def test_account_goes_from_added_to_removed(client: FlaskClient) -> None:
    """The whole life of one account, with the field names that clients use."""
    answer = client.post("/api/accounts", json={"name": "Work Key", "auth_type": "api_key", "api_key": API_KEY})
    assert answer.status_code == 201
    assert set(answer.get_json()) == {"id", "name"}
    assert answer.get_json()["name"] == "work-key"
    account_id = answer.get_json()["id"]
    (listed,) = client.get("/api/accounts").get_json()
    assert listed["masked_key"] == "sk-ant-api03-...ABCDEF"
    assert (listed["status"], listed["token_status"]) == ("valid", "valid")
    assert listed["last_used"] is None
    renamed = client.put(f"/api/accounts/{account_id}", json={"name": "office"})
    assert renamed.status_code == 200
    assert renamed.get_json() == listed | {"name": "office"}
    assert client.get(f"/api/accounts/{account_id}/status").get_json()["status"] == "valid"
    launch = client.post(f"/api/accounts/{account_id}/launch").get_json()
    assert launch == {"command": "claude-accounts launch office", "variable": "ANTHROPIC_API_KEY"}
    assert client.delete(f"/api/accounts/{account_id}").status_code == 200
    assert client.get("/api/accounts").get_json() == []


@pytest.mark.parametrize("name", ODD_NAMES)
def test_adding_renaming_and_importing_refuse_odd_names(client: FlaskClient, name: str) -> None:
    """INP-01, INP-02, INP-03, INP-13"""
    account_id = add(client)
    entry = {"name": name, "auth_type": "api_key", "api_key": API_KEY}
    for answer in (
        client.post("/api/accounts", json=entry),
        client.put(f"/api/accounts/{account_id}", json={"name": name}),
        client.post("/api/import", json=[entry]),
    ):
        assert answer.status_code == 400
        assert answer.get_json()["field"] == "name"
    assert _names() == ["work"]


def test_unknown_ids_are_404_and_taken_names_409(client: FlaskClient) -> None:
    """INP-07"""
    account_id = add(client)
    add(client, "other")
    for unknown in ("acc_none", "' OR '1'='1", "%", "*", "x" * 3000, "ü", "🦉"):
        path = f"/api/accounts/{unknown}"
        for answer in (
            client.get(f"{path}/status"),
            client.put(path, json={"name": "new"}),
            client.delete(path),
            client.post(f"{path}/capture-oauth"),
            client.post(f"{path}/refresh-oauth"),
            client.post(f"{path}/launch"),
            client.post(f"{path}/launch", json={"reveal": True}),
        ):
            assert answer.status_code == 404, (unknown, answer.request.path)
    assert client.post("/api/accounts", json={"name": "Other", "auth_type": "oauth"}).status_code == 409
    assert client.put(f"/api/accounts/{account_id}", json={"name": "other"}).status_code == 409
    assert sorted(_names()) == ["other", "work"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"auth_type": "password"}, "auth_type"),
        ({"auth_type": None}, "auth_type"),
        ({"auth_type": ["oauth"]}, "auth_type"),
        ({"auth_type": ""}, "auth_type"),
        ({"auth_type": "oauth", "access_token": ACCESS, "expires_at": "soon"}, "expires_at"),
        ({"auth_type": "oauth", "access_token": ACCESS, "expires_at": -1}, "expires_at"),
        ({"auth_type": "oauth", "access_token": ACCESS, "expires_at": 10**30}, "expires_at"),
        ({"auth_type": "oauth", "access_token": ACCESS, "expires_at": 1.5}, "expires_at"),
        ({"auth_type": "oauth", "access_token": ACCESS, "expires_at": True}, "expires_at"),
        ({"auth_type": "oauth", "api_key": API_KEY}, "api_key"),
        ({"auth_type": "api_key", "access_token": ACCESS}, "access_token"),
        ({"auth_type": "api_key"}, "api_key"),
        ({"auth_type": "oauth", "colour": "red"}, "colour"),
        ({"auth_type": "oauth", "id": "acc_mine"}, "id"),
    ],
)
def test_bad_values_are_refused_by_name_and_never_break_the_list(
    client: FlaskClient, values: dict[str, Any], field: str
) -> None:
    """INP-08"""
    answer = client.post("/api/accounts", json={"name": "work", **values})
    assert answer.status_code == 400
    assert answer.get_json()["field"] == field
    assert client.get("/api/accounts").get_json() == []


def test_type_of_an_account_does_not_change(client: FlaskClient) -> None:
    """INP-08"""
    account_id = add(client)
    answer = client.put(f"/api/accounts/{account_id}", json={"auth_type": "oauth"})
    assert answer.status_code == 400
    assert client.put(f"/api/accounts/{account_id}", json={"auth_type": "api_key"}).status_code == 200


def test_capture_reads_no_file_named_by_the_caller(client: FlaskClient, home: Path, tmp_path: Path) -> None:
    """INP-09"""
    login = {"claudeAiOauth": {"accessToken": ACCESS, "refreshToken": REFRESH, "expiresAt": in_hours(4), "scopes": []}}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(login))
    os.mkfifo(tmp_path / "pipe")
    account_id = add(client, "client", auth_type="oauth")
    for field in ("path", "file", "credentials_path", "credentials_file", "claude_dir"):
        for path in (str(other), str(tmp_path / "pipe"), "/dev/zero", "/etc/passwd"):
            answer = client.post(f"/api/accounts/{account_id}/capture-oauth", json={field: path})
            assert answer.status_code == 400
            assert answer.get_json()["field"] == field
            unread = client.post(f"/api/accounts/{account_id}/capture-oauth", query_string={field: path})
            assert unread.status_code == 409
    assert not db.get_account(account_id).masked_key
    (home / ".claude").mkdir()
    (home / ".claude" / ".credentials.json").write_text(json.dumps(login))
    answer = client.post(f"/api/accounts/{account_id}/capture-oauth")
    assert answer.status_code == 200
    assert answer.get_json()["masked_key"] == "sk-ant-oat01-...GHIJKL"
    assert answer.get_json()["has_refresh"]


SHAPES: list[Any] = [
    None,
    True,
    7,
    1e308,
    "text",
    "\ud800",
    [],
    [[]],
    [None],
    [7],
    ["text"],
    [{}],
    {},
    {"": ""},
    {"name": None},
    {"name": {"$gt": ""}},
    {"name": ["work"]},
    {"name": "work", "auth_type": {}},
    {"name": "work", "auth_type": "oauth", "access_token": []},
    {"name": "work", "auth_type": "api_key", "api_key": {"a": 1}},
    {"name": "work", "auth_type": "oauth", "access_token": ACCESS, "expires_at": {}},
    {"force": "yes"},
    {"reveal": "yes"},
    {"__proto__": {"x": 1}},
    {"\ud800": 1},
]


def test_no_shape_at_any_writing_route_is_the_servers_fault(client: FlaskClient) -> None:
    """INP-12"""
    account_id = add(client, "client", auth_type="oauth", access_token=ACCESS)
    for method, path in (
        ("POST", "/api/accounts"),
        ("PUT", f"/api/accounts/{account_id}"),
        ("POST", f"/api/accounts/{account_id}/capture-oauth"),
        ("POST", f"/api/accounts/{account_id}/refresh-oauth"),
        ("POST", f"/api/accounts/{account_id}/launch"),
        ("POST", "/api/import"),
        ("POST", "/api/install-aliases"),
        ("POST", "/api/terminals/none/stop"),
        ("DELETE", "/api/accounts/none"),
    ):
        for shape in SHAPES:
            answer = client.open(path, method=method, json=shape)
            assert answer.status_code < 500, (method, path, shape, answer.text)
    assert client.get("/api/accounts").status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"",
        b"\xff\xfe",
        b'{"name": "work", "auth_type": "oauth", "expires_at": NaN}',
        b'{"name": "work", "auth_type": "oauth", "expires_at": Infinity}',
        b'{"name": "work", "auth_type": "oauth", "expires_at": ' + b"9" * 5000 + b"}",
        b"[" * 30_000 + b"]" * 30_000,
        b'{"a":' * 8_000 + b"1" + b"}" * 8_000,
        b'"' + b"x" * 60_000,
    ],
)
def test_damaged_and_deep_json_is_the_callers_mistake(client: FlaskClient, raw: bytes) -> None:
    """INP-12, DOS-03"""
    for path in ("/api/accounts", "/api/import"):
        answer = client.post(path, data=raw, content_type="application/json")
        assert answer.status_code == 400
        assert answer.get_json()["error"]
    assert _names() == []


@pytest.mark.parametrize("bad", ["\0", "\n", "\r", "\t", "\x1b", "\x7f", " ", "é", "\u200b"])
def test_credentials_with_control_characters_are_refused(client: FlaskClient, bad: str) -> None:
    """INP-14"""
    account_id = add(client)
    for body, field in (
        ({"auth_type": "api_key", "api_key": API_KEY + bad + "x"}, "api_key"),
        ({"auth_type": "oauth", "access_token": ACCESS + bad + "x"}, "access_token"),
        ({"auth_type": "oauth", "access_token": ACCESS, "refresh_token": REFRESH + bad + "x"}, "refresh_token"),
    ):
        answer = client.post("/api/accounts", json={"name": "other", **body})
        assert answer.status_code == 400
        assert answer.get_json()["field"] == field
        assert API_KEY not in answer.text and ACCESS not in answer.text and REFRESH not in answer.text
    assert client.put(f"/api/accounts/{account_id}", json={"api_key": API_KEY + bad + "x"}).status_code == 400
    entry = {"name": "other", "auth_type": "api_key", "api_key": API_KEY + bad + "x"}
    assert client.post("/api/import", json=[entry]).status_code == 400
    assert _names() == ["work"]


@pytest.mark.parametrize(
    ("secret", "shown"), [(API_KEY, "sk-ant-api03-...ABCDEF"), ("short", "..."), ("s" * 12 + "123456789", "...")]
)
def test_masks_show_six_characters_at_most_and_nothing_of_a_short_one(
    client: FlaskClient, secret: str, shown: str
) -> None:
    """SEC-03"""
    add(client, auth_type="api_key", api_key=secret)
    assert client.get("/api/accounts").get_json()[0]["masked_key"] == shown


def test_answers_about_accounts_hold_no_credential(client: FlaskClient, endpoint: TokenEndpoint) -> None:
    """SEC-04"""
    refresh = endpoint.new_login()
    tokens = {"access_token": ACCESS, "refresh_token": refresh, "expires_at": in_hours(-1)}
    added = client.post("/api/accounts", json={"name": "client", "auth_type": "oauth", **tokens})
    key = client.post("/api/accounts", json={"name": "work", "auth_type": "api_key", "api_key": API_KEY})
    account_id = added.get_json()["id"]
    answers = [
        added,
        key,
        client.get("/api/accounts"),
        client.get(f"/api/accounts/{account_id}/status"),
        client.put(f"/api/accounts/{account_id}", json={"name": "customer"}),
        client.post(f"/api/accounts/{account_id}/launch"),
        client.post(f"/api/accounts/{account_id}/refresh-oauth"),
        client.get("/api/generate-aliases"),
        client.post("/api/accounts", json={"name": "work", "auth_type": "api_key", "api_key": API_KEY}),
    ]
    secrets = [ACCESS, refresh, API_KEY, *(token for pair in endpoint.issued for token in pair)]
    for answer in answers:
        assert not any(secret in answer.text for secret in secrets), answer.request.path
        assert "no-store" in answer.headers["Cache-Control"]


def test_endpoint_that_echoes_the_token_does_not_get_it_into_the_answer(
    client: FlaskClient, endpoint: TokenEndpoint
) -> None:
    """SEC-05"""
    tokens = {"access_token": ACCESS, "refresh_token": REFRESH, "expires_at": in_hours(-1)}
    account_id = add(client, "client", auth_type="oauth", **tokens)
    for status in (400, 401, 403, 500):
        echo = json.dumps({"error": REFRESH, "error_description": f"bad token {REFRESH}", "got": REFRESH}).encode()
        endpoint.answer = lambda _body, status=status, echo=echo: (status, echo)
        answer = client.post(f"/api/accounts/{account_id}/refresh-oauth")
        assert answer.status_code in (409, 502, 503)
        assert REFRESH not in answer.text and ACCESS not in answer.text


def test_launch_reveals_the_credential_only_when_asked(client: FlaskClient) -> None:
    """SEC-04"""
    account_id = add(client)
    hidden = client.post(f"/api/accounts/{account_id}/launch", json={"reveal": False})
    assert API_KEY not in hidden.text
    assert db.get_account(account_id).last_used is None
    shown = client.post(f"/api/accounts/{account_id}/launch", json={"reveal": True})
    assert shown.get_json()["value"] == API_KEY
    assert shown.headers["Cache-Control"] == "no-store"
    assert db.get_account(account_id).last_used is not None


def test_refresh_failures_have_their_status(client: FlaskClient, endpoint: TokenEndpoint) -> None:
    """OAU-11, OAU-13: over is 409, a failing endpoint 502; the pair stays."""
    refresh = endpoint.new_login()
    tokens = {"access_token": ACCESS, "refresh_token": refresh, "expires_at": in_hours(-1)}
    account_id = add(client, "client", auth_type="oauth", **tokens)
    endpoint.answer = lambda _body: (500, b"oops")
    assert client.post(f"/api/accounts/{account_id}/refresh-oauth").status_code == 502
    endpoint.answer = lambda _body: (400, b'{"error": "invalid_grant"}')
    ended = client.post(f"/api/accounts/{account_id}/refresh-oauth")
    assert ended.status_code == 409
    assert "login" in ended.get_json()["hint"]
    assert client.get("/api/accounts").get_json()[0]["status"] == "needs_login"
    (kept,) = db.export_accounts()
    assert kept["refresh_token"] == refresh


def test_twenty_refreshes_at_once_spend_one_token(dashboard: Dashboard, endpoint: TokenEndpoint) -> None:
    """CON-04"""
    tokens = {"access_token": ACCESS, "refresh_token": endpoint.new_login(), "expires_at": in_hours(-1)}
    account_id = add(dashboard.client, "client", auth_type="oauth", **tokens)
    headers = {"X-Auth-Token": dashboard.token}
    answers = _at_once(
        20,
        lambda _number: dashboard.stranger().post(f"/api/accounts/{account_id}/refresh-oauth", headers=headers),
    )
    assert {answer.status_code for answer in answers} == {200}
    assert endpoint.reused == []
    assert db.export_accounts()[0]["refresh_token"] == endpoint.issued[-1][1]


def test_first_accounts_at_once_are_all_there(dashboard: Dashboard) -> None:
    """CON-01"""
    headers = {"X-Auth-Token": dashboard.token}
    answers = _at_once(
        20,
        lambda number: dashboard.stranger().post(
            "/api/accounts",
            json={"name": f"account-{number}", "auth_type": "api_key", "api_key": API_KEY},
            headers=headers,
        ),
    )
    assert {answer.status_code for answer in answers} == {201}
    assert {entry["api_key"] for entry in db.export_accounts()} == {API_KEY}
    assert len(_names()) == 20


def test_one_name_twenty_times_at_once_is_one_account(dashboard: Dashboard) -> None:
    """CON-02"""
    headers = {"X-Auth-Token": dashboard.token}
    body = {"name": "work", "auth_type": "api_key", "api_key": API_KEY}
    answers = _at_once(20, lambda _number: dashboard.stranger().post("/api/accounts", json=body, headers=headers))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19


def test_twenty_imports_at_once_add_each_account_once(dashboard: Dashboard) -> None:
    """CON-08"""
    entries = [{"name": f"account-{number}", "auth_type": "api_key", "api_key": API_KEY} for number in range(30)]
    headers = {"X-Auth-Token": dashboard.token}
    answers = _at_once(20, lambda _number: dashboard.stranger().post("/api/import", json=entries, headers=headers))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.get_json()["imported"] for answer in answers) == 30
    assert sum(answer.get_json()["skipped"] for answer in answers) == 19 * 30
    assert len(_names()) == 30


def test_import_gives_back_what_was_exported(client: FlaskClient) -> None:
    """IMP-04, IMP-05: over the API."""
    add(client)
    tokens = {"access_token": ACCESS, "refresh_token": REFRESH, "expires_at": in_hours(4)}
    oauth_id = add(client, "client", auth_type="oauth", **tokens)
    exported = client.get("/api/export").get_json()
    assert client.delete(f"/api/accounts/{oauth_id}").status_code == 200
    answer = client.post("/api/import", json=exported).get_json()
    assert answer == {"imported": 1, "skipped": 1, "imported_names": ["client"], "skipped_names": ["work"]}
    assert sorted(client.get("/api/export").get_json(), key=str) == sorted(exported, key=str)
    without = client.get("/api/export?refresh_tokens=0").get_json()
    assert {entry.get("refresh_token", "") for entry in without} == {""}


def test_import_with_one_bad_entry_stores_nothing_and_says_which(client: FlaskClient) -> None:
    """IMP-03: over the API."""
    good = {"name": "work", "auth_type": "api_key", "api_key": API_KEY}
    answer = client.post("/api/import", json=[good, {"name": "other", "auth_type": "nonsense"}])
    assert answer.status_code == 400
    assert "2" in answer.get_json()["error"] and answer.get_json()["field"] == "auth_type"
    assert _names() == []


def test_export_is_not_kept_by_anybody(client: FlaskClient) -> None:
    """HDR-05"""
    add(client)
    answer = client.get("/api/export")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_list_follows_every_change_and_the_end_of_a_token(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is kept in memory; it is never an old one."""
    ends = in_hours(1)
    account_id = add(client, "client", auth_type="oauth", access_token=ACCESS, refresh_token=REFRESH, expires_at=ends)
    assert [account["status"] for account in client.get("/api/accounts").get_json()] == ["valid"]
    db.update_account(account_id, name="elsewhere")
    assert [account["name"] for account in client.get("/api/accounts").get_json()] == ["elsewhere"]
    monkeypatch.setattr("claude_accounts.dashboard.routes.accounts._now_ms", lambda: ends - 1)
    assert [account["status"] for account in client.get("/api/accounts").get_json()] == ["valid"]
    monkeypatch.setattr("claude_accounts.dashboard.routes.accounts._now_ms", lambda: ends)
    assert [account["status"] for account in client.get("/api/accounts").get_json()] == ["expired"]


def test_five_hundred_accounts_are_listed_and_exported(client: FlaskClient) -> None:
    """DOS-07: whole; how fast is measured in the benchmarks."""
    entries = [
        {"name": f"account-{number}", "auth_type": "api_key", "api_key": f"{API_KEY}{number:06}"}
        for number in range(500)
    ]
    assert client.post("/api/import", json=entries).get_json()["imported"] == 500
    assert len(client.get("/api/accounts").get_json()) == 500
    assert len(client.get("/api/export").get_json()) == 500


def test_oversized_bodies_are_refused_before_and_after_sign_in(dashboard: Dashboard) -> None:
    """DOS-01"""
    small, large = b"[" + b" " * 70_000 + b"]", b"[" + b" " * (17 * 1024 * 1024) + b"]"
    for client in (dashboard.client, dashboard.stranger()):
        for path, raw in (("/api/accounts", small), ("/api/auth/login", small), ("/api/import", large)):
            answer = client.post(path, data=raw, content_type="application/json")
            assert answer.status_code == 413, path
            assert answer.get_json()["error"]
    streamed = dashboard.client.post(
        "/api/auth/login",
        data=small,
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
    )
    assert streamed.status_code == 413


def test_damaged_store_is_a_clear_error(client: FlaskClient, home: Path) -> None:
    """FS-09: through the API."""
    add(client)
    key = home / ".claude-accounts" / ".key"
    key.unlink()
    answer = client.get("/api/export")
    assert answer.status_code == 503
    assert str(key) in answer.get_json()["error"]


def test_password_is_never_in_a_list(client: FlaskClient) -> None:
    """SEC-04"""
    for path in ("/api/auth/sessions", "/api/auth/status", "/api/accounts", "/api/export", "/api/openapi.json"):
        assert PASSWORD not in client.get(path).text


def test_aliases_are_shown_installed_and_follow_the_names(client: FlaskClient, home: Path) -> None:
    """INP-05, SEC-11: from the dashboard as from the command line."""
    account_id = add(client)
    script = client.get("/api/generate-aliases").get_json()["script"]
    assert "claude-work" in script and API_KEY not in script
    assert "claude-work" in client.get("/api/generate-aliases?shell=fish").get_json()["script"]
    assert client.get("/api/generate-aliases?shell=csh").status_code == 400
    (home / ".bashrc").write_text("# mine\n")
    files = client.post("/api/install-aliases").get_json()["files"]
    assert str(home / ".claude-accounts" / "aliases.sh") in files
    assert (home / ".bashrc").read_text().startswith("# mine\n")
    client.put(f"/api/accounts/{account_id}", json={"name": "office"})
    installed = (home / ".claude-accounts" / "aliases.sh").read_text()
    assert "claude-office" in installed and "claude-work" not in installed


def test_the_wish_about_a_key_goes_in_and_comes_out(client: FlaskClient) -> None:
    new = {"name": "work", "auth_type": "api_key", "api_key": API_KEY}
    account_id = client.post("/api/accounts", json=new | {"approve_key": True}).get_json()["id"]
    assert client.post("/api/accounts", json=new | {"name": "script"}).status_code == 201
    assert [account["approve_key"] for account in client.get("/api/accounts").get_json()] == [True, False]
    path = f"/api/accounts/{account_id}"
    assert client.put(path, json={"api_key": API_KEY}).get_json()["approve_key"] is True
    assert client.put(path, json={"approve_key": False}).get_json()["approve_key"] is False
    assert client.get("/api/accounts").get_json()[0]["approve_key"] is False


@pytest.mark.parametrize("wish", ["yes", 1, None])
def test_a_wish_is_true_or_false(client: FlaskClient, wish: object) -> None:
    account_id = add(client)
    refused = [
        client.post(
            "/api/accounts", json={"name": "b2", "auth_type": "api_key", "api_key": API_KEY, "approve_key": wish}
        ),
        client.put(f"/api/accounts/{account_id}", json={"approve_key": wish}),
    ]
    assert [(answer.status_code, answer.get_json()["field"]) for answer in refused] == [(400, "approve_key")] * 2


def test_only_the_key_of_an_api_key_account_can_be_approved(client: FlaskClient) -> None:
    refused = client.post("/api/accounts", json={"name": "client", "auth_type": "oauth", "approve_key": True})
    assert (refused.status_code, refused.get_json()["field"]) == (400, "approve_key") and _names() == []
    added = client.post("/api/accounts", json={"name": "client", "auth_type": "oauth", "approve_key": False})
    refused = client.put(f"/api/accounts/{added.get_json()['id']}", json={"approve_key": True})
    assert (refused.status_code, refused.get_json()["field"]) == (400, "approve_key")


def test_a_check_is_told_and_what_could_not_be_asked_is_no_refusal(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = add(client)
    (account,) = client.get("/api/accounts").get_json()
    assert (account["status"], account["tried"]) == ("valid", "untried")
    monkeypatch.setenv("CLAUDE_ACCOUNTS_API_URL", "http://127.0.0.1:1")
    assert client.post(f"/api/accounts/{account_id}/check", json={}).status_code == 502
    monkeypatch.setattr("claude_accounts.claude.api_key.refusal", lambda key, environ: "invalid_key")
    answer = client.post(f"/api/accounts/{account_id}/check", json={})
    assert answer.status_code == 200 and answer.get_json()["tried_reason"] == "invalid_key"
    (account,) = client.get("/api/accounts").get_json()
    assert (account["status"], account["tried"]) == ("valid", "refused")
    assert client.get(f"/api/accounts/{account_id}/status").get_json()["tried"] == "refused"
    assert client.post("/api/accounts/none/check", json={}).status_code == 404


def test_a_pasted_credential_is_stored_bare_or_refused_in_a_sentence(client: FlaskClient) -> None:
    account_id = add(client)
    for given in (f'export ANTHROPIC_API_KEY="{API_KEY}"\n', f"\ufeff{API_KEY};", f"x-api-key: {API_KEY}"):
        assert client.put(f"/api/accounts/{account_id}", json={"api_key": given}).status_code == 200
        assert db.holds(account_id, API_KEY)
    for entry in ({"api_key": API_KEY[:80]}, {"api_key": "hello"}):
        assert client.put(f"/api/accounts/{account_id}", json=entry).get_json()["doubt"]
        added = client.post("/api/accounts", json={"name": f"n{len(entry['api_key'])}", "auth_type": "api_key"} | entry)
        assert added.status_code == 201 and added.get_json()["doubt"]
    answer = client.put(f"/api/accounts/{account_id}", json={"api_key": API_KEY})
    assert answer.status_code == 200 and "doubt" not in answer.get_json()
    for given in (f'"{API_KEY}', f"{API_KEY}={API_KEY}", f"{API_KEY} {API_KEY}", "a;b"):
        answer = client.put(f"/api/accounts/{account_id}", json={"api_key": given})
        assert answer.status_code == 400 and answer.get_json()["field"] == "api_key"
        assert "\n" not in answer.get_json()["error"] and API_KEY not in answer.get_json()["error"]
    assert db.holds(account_id, API_KEY)

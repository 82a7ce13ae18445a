"""The first set-up: for our own user of this machine without a code, for everybody else with it, and once."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import Cli, assert_fails_cleanly
from running_dashboard import PASSWORD, add, serving, set_up
from warm import DEADLINE

from claude_accounts.accounts import storage
from claude_accounts.dashboard import first_setup, sign_in
from claude_accounts.dashboard.api import Config
from claude_accounts.server import create_app

PRINTED, LINK = "ABCD-EFGH-JKLM", "NPQR-STUV-WXYZ"


pytestmark = pytest.mark.usefixtures("cheap_hash")


@pytest.fixture
def url() -> Iterator[str]:
    """Serve a fresh dashboard that has given both codes out."""
    codes = Config(
        setup_code_hash=sign_in.hash_setup_code(PRINTED), link_code_hash=sign_in.hash_setup_code(LINK), remote=True
    )
    with serving(create_app(codes)) as address:
        yield address


def _set_up(url: str, code: str = "", **headers: str) -> int:
    body = {"password": PASSWORD} | ({"setup_code": code} if code else {})
    return requests.post(f"{url}/api/auth/setup", json=body, headers=headers, timeout=DEADLINE).status_code


def _needs_code(url: str, **headers: str) -> bool:
    status = requests.get(f"{url}/api/auth/status", headers=headers, timeout=DEADLINE).json()
    return bool(status["setup_code_required"])


def test_our_own_user_needs_no_code(url: str) -> None:
    """Found by the owner of the peer's socket."""
    assert not _needs_code(url)
    assert _set_up(url) == 201


def test_another_user_of_the_machine_needs_the_code(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """§11.5: seen from the server, we are then the other one."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1000)
    assert _needs_code(url)
    assert _set_up(url) == 403
    assert _set_up(url, "AAAA-BBBB-CCCC") == 403
    assert _set_up(url, PRINTED) == 201


def test_real_other_user_is_refused(url: str) -> None:
    """§11.5: a process of another user's, before a server of ours."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json"]
    words += ["-d", json.dumps({"password": PASSWORD}), f"{url}/api/auth/setup"]
    assert subprocess.run(words, user=12345, cwd="/", capture_output=True, text=True).stdout == "403"
    assert _set_up(url) == 201


def test_who_cannot_be_told_needs_the_code(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_accounts.system.peer._TABLES", ())
    assert _needs_code(url)
    assert _set_up(url) == 403
    assert _set_up(url, PRINTED) == 201


def test_forwarded_visitor_needs_the_code(url: str) -> None:
    assert _needs_code(url, **{"X-Forwarded-For": "203.0.113.5"})
    assert _set_up(url, **{"X-Forwarded-For": "203.0.113.5"}) == 403


def test_root_of_a_container_needs_the_code(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed in from outside may come from a process of its root's."""
    monkeypatch.setattr("claude_accounts.system.peer.owner", lambda _connection: 0)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not _needs_code(url)
    monkeypatch.setenv("CLAUDE_ACCOUNTS_IN_CONTAINER", "1")
    assert _needs_code(url)


def test_client_within_the_process_is_ourselves() -> None:
    client = create_app().test_client()
    assert client.get("/api/auth/status").get_json()["setup_code_required"] is False
    named = {"environ_overrides": {"SERVER_SOFTWARE": "another/1.0"}}
    assert client.get("/api/auth/status", **named).get_json()["setup_code_required"] is True


def test_code_of_the_opened_link_is_no_good_to_another_user(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser's command line, and so that link, can be read by everybody on the machine."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1000)
    monkeypatch.setattr("claude_accounts.system.peer.owner", lambda _connection: 77)
    assert _set_up(url, LINK) == 403
    # Where it cannot be told who asks, the link is what the browser has.
    monkeypatch.setattr("claude_accounts.system.peer.owner", lambda _connection: None)
    assert _set_up(url, LINK) == 201


@pytest.mark.parametrize("code", [PRINTED, LINK])
def test_code_is_good_once(url: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claude_accounts.system.peer._TABLES", ())
    assert _set_up(url, code) == 201
    sign_in.reset_password()
    assert _set_up(url, code) == 403


def _lose(path: Path, how: str) -> None:
    for companion in path.parent.glob("accounts.db-*"):
        companion.unlink()
    if how == "vanished":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "unreadable":
        path.unlink()
        path.mkdir()
    else:
        path.unlink()
        with storage.writing() as connection:
            connection.execute("SELECT 1")


@pytest.mark.parametrize("how", ["vanished", "empty", "unreadable", "another"])
def test_lost_database_is_an_error_and_never_a_set_up(how: str, cli: Cli) -> None:
    """§11.5: and the error names its path, at every door."""
    dashboard = set_up()
    add(dashboard.client)
    path = Path(storage.database_path())
    _lose(path, how)
    stranger = dashboard.stranger()
    for answer in (
        stranger.get("/api/auth/status"),
        stranger.post("/api/auth/setup", json={"password": PASSWORD}),
        stranger.post("/api/auth/login", json={"password": PASSWORD}),
        create_app().test_client().post("/api/auth/setup", json={"password": PASSWORD}),
    ):
        assert answer.status_code == 503
        assert str(path) in answer.get_json()["error"]
    assert_fails_cleanly(cli("serve", "--no-browser", "--port", "0"), str(path))


def test_mark_is_private_and_holds_no_secret() -> None:
    set_up()
    path = Path(first_setup.mark_path())
    assert path.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in path.read_text()


def test_dashboard_of_before_the_mark_gets_it_with_the_next_sign_in() -> None:
    dashboard = set_up()
    Path(first_setup.mark_path()).unlink()
    assert dashboard.stranger().get("/api/auth/status").status_code == 200
    assert not first_setup.is_marked()
    assert dashboard.stranger().post("/api/auth/login", json={"password": PASSWORD}).status_code == 200
    assert first_setup.is_marked()


def test_nothing_is_marked_before_the_set_up() -> None:
    sign_in.remember_setup()
    assert not Path(first_setup.mark_path()).exists()


def test_restored_database_is_taken_up_again(tmp_path: Path) -> None:
    dashboard = set_up()
    path = Path(storage.database_path())
    with storage.reading() as connection:
        connection.execute("SELECT 1")
    storage.forget_removed_pages()
    kept = path.read_bytes()
    _lose(path, "vanished")
    assert dashboard.stranger().get("/api/auth/status").status_code == 503
    path.write_bytes(kept)
    assert dashboard.stranger().post("/api/auth/login", json={"password": PASSWORD}).status_code == 200


def test_reset_password_lets_choose_another_and_ends_what_was_open() -> None:
    dashboard = set_up()
    account = add(dashboard.client)
    sign_in.reset_password()
    assert dashboard.client.get("/api/accounts").status_code == 401
    assert dashboard.stranger().get("/api/accounts", headers={"X-Auth-Token": dashboard.token}).status_code == 401
    assert dashboard.stranger().post("/api/auth/setup", json={"password": "eight dry owls sing"}).status_code == 201
    again = dashboard.app.test_client()
    assert again.post("/api/auth/login", json={"password": "eight dry owls sing"}).status_code == 200
    listed: list[dict[str, Any]] = again.get("/api/accounts").get_json()
    assert [each["id"] for each in listed] == [account]


def test_reset_password_works_without_the_lost_database() -> None:
    dashboard = set_up()
    _lose(Path(storage.database_path()), "vanished")
    sign_in.reset_password()
    assert dashboard.stranger().get("/api/auth/status").get_json()["setup_done"] is False


def test_link_has_the_code_in_its_fragment() -> None:
    from claude_accounts.dashboard.serving import _setup_link

    link = _setup_link("http://localhost:5111/", sign_in.new_setup_code())
    assert re.fullmatch(r"http://localhost:5111/#setup=[A-Z2-9]{4}(-[A-Z2-9]{4}){2}", link)

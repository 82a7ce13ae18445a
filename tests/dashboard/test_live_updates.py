"""While a page is open, the database follows what sessions make of their logins; a copy says when it could not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from running_dashboard import PASSWORD, Dashboard, serving, set_up, socket
from stored import expired_account
from terminal_server import wait_until
from token_endpoint import TokenEndpoint

from claude_accounts import db
from claude_accounts.accounts import durable_store, rows as account_rows
from claude_accounts.dashboard import api


@pytest.fixture
def dashboard(home: Path) -> Dashboard:
    """Return a dashboard that has been set up."""
    return set_up()


@pytest.fixture
def account(endpoint: TokenEndpoint) -> db.Account:
    """Store a durable account."""
    return db.set_durable(expired_account(endpoint).id, True)


def store(account: db.Account) -> Path:
    """Return the path of its credentials."""
    return Path(durable_store.folder_of(account.id), ".credentials.json")


def renewed(account: db.Account, text: str, token: str) -> None:
    """Write the store as a session does that has renewed the login."""
    whole = json.loads(text)
    whole["claudeAiOauth"] |= {"accessToken": f"sk-ant-oat01-{token}", "refreshToken": f"sk-ant-ort01-{token}"}
    replace(store(account), json.dumps(whole))


def replace(path: Path, text: str) -> None:
    """Write as programs do: what is read is never a half."""
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    fresh.replace(path)


def held(account: db.Account) -> str:
    """Return the refresh token in the database."""
    return account_rows.login_of(account_rows.reread(account.id)).refresh_token


def test_open_page_takes_over_what_sessions_renew_and_tells_a_trouble_once(
    dashboard: Dashboard, account: db.Account, capsys: pytest.CaptureFixture[str]
) -> None:
    text = store(account).read_text()
    told = ""

    def warned() -> bool:
        nonlocal told
        told += capsys.readouterr().err
        return "may have been replaced" in told

    renewed(account, text, "before-the-page")
    with serving(dashboard.app) as url, socket(url, {"Cookie": dashboard.cookie_header()}):
        wait_until(lambda: held(account) == "sk-ant-ort01-before-the-page")
        renewed(account, text, "under-the-page")
        wait_until(lambda: held(account) == "sk-ant-ort01-under-the-page")
        replace(store(account), "{")
        wait_until(warned)
        replace(store(account), "{ ")
        # A second account is taken over by a look that meets the trouble again.
        second = db.set_durable(
            db.add_account("second", db.OAUTH, access_token="sk-ant-oat01-2", refresh_token="sk-ant-ort01-2").id, True
        )
        renewed(second, store(second).read_text(), "second")
        wait_until(lambda: held(second) == "sk-ant-ort01-second")
        renewed(account, text, "mended")
        wait_until(lambda: held(account) == "sk-ant-ort01-mended")
    warned()
    assert told.count("may have been replaced") == 1


def test_export_names_the_accounts_whose_tokens_may_be_spent(dashboard: Dashboard, account: db.Account) -> None:
    answer = dashboard.client.get("/api/export")
    assert "X-Accounts-Behind" not in answer.headers
    store(account).write_text("{")
    answer = dashboard.client.get("/api/export")
    assert answer.headers["X-Accounts-Behind"] == "client" and len(answer.get_json()) == 1


def test_look_that_falls_into_a_sign_in_forgets_nobody(dashboard: Dashboard) -> None:
    """To the library a client is not connected until its handler has let it in; a look may come right then."""
    live = api.live_updates(dashboard.app)
    opened = live.opened

    def looked(*arguments: Any) -> None:
        opened(*arguments)
        live._forget_closed()

    live.opened = looked  # type: ignore[assignment,method-assign]
    with serving(dashboard.app) as url, socket(url, {"X-Auth-Token": dashboard.token}) as client:
        given = {"old_password": PASSWORD, "new_password": "eight dry owls sing"}
        assert dashboard.client.post("/api/auth/change-password", json=given).status_code == 200
        wait_until(lambda: not client.connected)

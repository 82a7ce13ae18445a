"""Claims about `dashboard reset-password`, for who is locked out."""

from __future__ import annotations

from pathlib import Path

from conftest import Cli, assert_fails_cleanly
from running_dashboard import API_KEY, PASSWORD, set_up

from claude_accounts import db
from claude_accounts.dashboard import sign_in, tokens


def test_next_visit_chooses_another_password_and_accounts_stay(home: Path, cli: Cli) -> None:
    dashboard = set_up()
    db.add_account("work", db.API_KEY, api_key=API_KEY)
    finished = cli("dashboard", "reset-password", "--yes")
    assert finished.returncode == 0 and "choose another" in finished.stderr
    # The server that runs sees it at once.
    assert dashboard.client.get("/api/accounts").status_code == 401
    assert not tokens.find(dashboard.token)
    assert dashboard.client.post("/api/auth/login", json={"password": PASSWORD}).status_code != 200
    assert dashboard.client.post("/api/auth/setup", json={"password": "eight dry owls sing"}).status_code == 201
    assert [account.name for account in db.list_accounts()] == ["work"]


def test_it_asks_first(home: Path, cli: Cli) -> None:
    set_up()
    assert_fails_cleanly(cli("dashboard", "reset-password"), "nothing was changed", "--yes")
    assert sign_in.is_setup_done()
    assert_fails_cleanly(cli("dashboard", "anything"), code=2)

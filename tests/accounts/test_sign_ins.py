"""Sign-ins of MCP servers: a store of its own begins with those of the shared one, and then goes its own way."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT, Cli, write_program
from stored import expired_account
from token_endpoint import TokenEndpoint

from claude_accounts import db
from claude_accounts.accounts import durable_store

SIGN_INS = {
    "mcpOAuth": {"tracker|1": {"accessToken": "of-tracker"}, "wiki|2": {"accessToken": "of-wiki"}},
    "mcpOAuthClientConfig": {"tracker|1": {"clientSecret": "c"}},
    "mcpXaaIdp": {"idp": {"idToken": "i"}},
    "mcpXaaIdpConfig": {"idp": {"clientSecret": "x"}},
    "pluginSecrets": {"plugin": {"key": "p"}},
}
OF_THE_LOGIN = {
    "claudeAiOauth": {"accessToken": "sk-ant-oat01-shared", "refreshToken": "sk-ant-ort01-shared", "scopes": []},
    "organizationUuid": "shared",
    "trustedDeviceToken": "shared",
    "enterpriseGateway": {"url": "shared"},
    "designOauth": {"accessToken": "shared"},
    "somethingNew": "shared",
}


@pytest.fixture
def shared(home: Path) -> Path:
    """Return the shared store, with somebody's login and sign-ins of MCP servers."""
    path = home / ".claude" / ".credentials.json"
    path.parent.mkdir()
    path.write_text(json.dumps(OF_THE_LOGIN | SIGN_INS))
    return path


def store(account: db.Account) -> dict[str, Any]:
    """Return all of an account's own store."""
    path = Path(durable_store.folder_of(account.id), ".credentials.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    whole: dict[str, Any] = json.loads(path.read_text())
    return whole


def test_a_new_store_begins_with_the_sign_ins_and_nothing_of_the_shared_login(
    endpoint: TokenEndpoint, shared: Path
) -> None:
    before = shared.read_bytes()
    whole = store(db.set_durable(expired_account(endpoint).id, True))
    assert whole.pop("claudeAiOauth")["accessToken"].startswith("sk-ant-oat01-family")
    assert whole == SIGN_INS
    assert shared.read_bytes() == before


def test_it_is_told_in_one_line(cli: Cli, endpoint: TokenEndpoint, shared: Path) -> None:
    expired_account(endpoint)
    told = cli("update", "client", "--durable").stderr
    (line,) = [line for line in told.splitlines() if "MCP" in line]
    assert "2 sign-ins" in line and "of-tracker" not in told
    assert "MCP" not in cli("update", "client", "--durable").stderr


def test_it_is_told_by_a_durable_sign_in_too(
    cli: Cli, endpoint: TokenEndpoint, shared: Path, program_folder: Path
) -> None:
    fake = PROJECT / "tests" / "fake_claude.py"
    write_program(program_folder / "claude", f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')
    login = {"accessToken": "sk-ant-oat01-new", "refreshToken": "sk-ant-ort01-new", "expiresAt": 1, "scopes": []}
    done = cli("login", "--new", "--durable", "fresh", env={"FAKE_LOGIN": json.dumps(login)})
    assert done.returncode == 0 and "2 sign-ins of MCP servers" in done.stderr, done.stderr
    assert "mcpOAuth" in store(db.find_account("fresh"))


def test_without_any_nothing_is_said(cli: Cli, endpoint: TokenEndpoint) -> None:
    expired_account(endpoint)
    assert "MCP" not in cli("update", "client", "--durable").stderr
    assert set(store(db.find_account("client"))) == {"claudeAiOauth"}


def test_they_are_copied_this_once(endpoint: TokenEndpoint, shared: Path) -> None:
    account = db.set_durable(expired_account(endpoint).id, True)
    path = Path(durable_store.folder_of(account.id), ".credentials.json")
    own = store(account) | {"mcpOAuth": {"tracker|1": {"accessToken": "newer"}}}
    path.write_text(json.dumps(own))
    shared.write_text(json.dumps(OF_THE_LOGIN | SIGN_INS | {"mcpOAuth": {"late|3": {"accessToken": "late"}}}))
    db.refresh_oauth_token(account.id)
    assert store(account)["mcpOAuth"] == {"tracker|1": {"accessToken": "newer"}}
    # `claude auth logout` in a session removes the file: whoever signed out of everything stays so.
    path.unlink()
    db.get_durable_env(account.id)
    assert "mcpOAuth" not in store(account)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"mcpOAuth": 7}', '{"mcpOAuth": null}'])
def test_a_shared_store_that_is_not_understood_keeps_nobody_from_a_durable_login(
    cli: Cli, endpoint: TokenEndpoint, shared: Path, content: str
) -> None:
    account = expired_account(endpoint)
    shared.write_text(content)
    db.set_durable(account.id, True)
    assert store(account)["claudeAiOauth"]
    assert durable_store.sign_ins_text(account.id) == ""

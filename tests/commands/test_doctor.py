"""doctor: each trouble is found, named and comes with what mends it; nothing is changed, no secret shown."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import certifi
import pytest
from conftest import Cli, write_program
from stored import expired_account
from token_endpoint import TokenEndpoint, in_hours

from claude_accounts import db
from claude_accounts.accounts import durable_store

KEY = "sk-ant-api03-" + "k" * 60
ACCESS = "sk-ant-oat01-" + "a" * 60


@pytest.fixture(autouse=True)
def claude(program_folder: Path) -> Path:
    return write_program(program_folder / "claude", "#!/bin/sh\necho '2.1.330 (Claude Code)'\n")


def findings(cli: Cli, **env: str) -> dict[str, list[dict[str, str]]]:
    """Return doctor's findings by the check's name."""
    finished = cli("doctor", "--json", env=env)
    assert "Traceback" not in finished.stderr, finished.stderr
    answer = json.loads(finished.stdout)
    assert answer["schema_version"] == 1
    assert finished.returncode == int(any(check["state"] == "fail" for check in answer["checks"]))
    by_name: dict[str, list[dict[str, str]]] = {}
    for check in answer["checks"]:
        by_name.setdefault(check["name"], []).append(check)
    return by_name


def test_a_fresh_home_is_healthy(cli: Cli) -> None:
    finished = cli("doctor")
    assert finished.returncode == 0, finished.stdout
    assert "2.1.330" in finished.stdout


def test_a_healthy_home_shows_no_secret(cli: Cli) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    assert cli("install", env={"SHELL": "/bin/bash"}).returncode == 0
    found = findings(cli, SHELL="/bin/bash")
    assert {state["state"] for checks in found.values() for state in checks} == {"ok"}, found
    assert KEY not in json.dumps(found)


def test_open_files_are_found(cli: Cli, home: Path) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    (home / ".claude-accounts" / "copy.db").write_text("x")
    (home / ".claude-accounts" / "copy.db").chmod(0o644)
    check = findings(cli)["files"][0]
    assert check["state"] == "fail" and "copy.db" in check["message"] and check["hint"].startswith("chmod")


def test_a_missing_key_and_a_damaged_database_are_findings_not_tracebacks(cli: Cli, home: Path) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    key = (home / ".claude-accounts" / ".key").read_bytes()
    (home / ".claude-accounts" / ".key").unlink()
    assert findings(cli)["key"][0]["state"] == "fail"
    (home / ".claude-accounts" / ".key").write_bytes(key)
    (home / ".claude-accounts" / "accounts.db").write_bytes(b"no database at all" * 100)
    assert findings(cli)["database"][0]["state"] == "fail"


def test_one_foreign_credential_among_good_ones_is_found(cli: Cli, home: Path) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    other = db.add_account("other", db.API_KEY, api_key=KEY)
    with sqlite3.connect(home / ".claude-accounts" / "accounts.db") as connection:
        connection.execute("UPDATE accounts SET api_key_enc = 'gAAAAAforeign' WHERE id = ?", (other.id,))
    connection.close()
    assert findings(cli)["key"][0]["state"] == "fail"


def test_a_missing_or_leaky_claude_is_named(cli: Cli, claude: Path) -> None:
    write_program(claude, "#!/bin/sh\necho '2.1.197 (Claude Code)'\n")
    check = findings(cli)["claude"][0]
    assert check["state"] == "warn" and "2.1.197" in check["message"] and check["hint"] == "claude update"
    claude.unlink()
    check = findings(cli, PATH="/usr/bin:/bin")["claude"][0]
    assert check["state"] == "fail" and "npm install" in check["hint"]


def test_rivals_in_the_environment_and_in_settings_are_named(cli: Cli, home: Path) -> None:
    (home / ".claude").mkdir()
    settings = home / ".claude" / "settings.json"
    settings.write_text(
        '{\n "apiKeyHelper": "/bin/helper",\n "env": {\n  "ANTHROPIC_API_KEY": "secret-value",\n'
        '  "ANTHROPIC_AUTH_TOKEN": "secret-token"\n }\n}'
    )
    found = findings(cli, ANTHROPIC_AUTH_TOKEN="secret-rival")
    assert "ANTHROPIC_AUTH_TOKEN" in found["environment"][0]["message"]
    messages = " ".join(check["message"] for check in found["settings"])
    assert f"{settings}:2 apiKeyHelper" in messages and f"{settings}:4 env.ANTHROPIC_API_KEY" in messages
    assert f"{settings}:5 env.ANTHROPIC_AUTH_TOKEN" in messages and len(found["settings"]) == 3
    assert "secret-" not in json.dumps(found)


def test_what_is_set_for_the_network_is_looked_at(cli: Cli, home: Path) -> None:
    good = cli("doctor", env={"HTTPS_PROXY": "http://me:pass@proxy:3128", "NODE_EXTRA_CA_CERTS": "/gone.pem"})
    assert "a refresh goes through HTTPS_PROXY=http://***@proxy:3128" in good.stdout and "pass@" not in good.stdout
    assert "NODE_EXTRA_CA_CERTS=/gone.pem cannot be used: No such file" in good.stdout
    part = home / "part.pem"
    damaged = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
    part.write_text(Path(certifi.where()).read_text() + damaged)
    partly = cli("doctor", env={"NODE_EXTRA_CA_CERTS": str(part)})
    assert f"NODE_EXTRA_CA_CERTS={part}: one of its certificates is damaged" in partly.stdout
    assert "unset NODE" not in partly.stdout, "what is whole in it is needed"
    (home / ".claude").mkdir(exist_ok=True)
    (home / ".claude" / "settings.json").write_text('{"env": {"HTTPS_PROXY": "htp://proxy"}}')
    bad = cli("doctor")
    assert bad.returncode == 1 and "no address of a proxy" in bad.stdout
    assert f"correct HTTPS_PROXY in {home}/.claude/settings.json" in bad.stdout


def test_tokens_that_end_and_logins_that_ended_are_named(cli: Cli) -> None:
    db.add_account("empty", db.OAUTH)
    db.add_account("over", db.OAUTH, access_token=ACCESS, expires_at=in_hours(-1))
    db.add_account("soon", db.OAUTH, access_token=ACCESS, expires_at=in_hours(10))
    db.add_account("fine", db.OAUTH, access_token=ACCESS, expires_at=in_hours(1000))
    messages = [check["message"] for check in findings(cli)["tokens"]]
    assert [message.split()[0].strip(":") for message in messages] == ["empty", "over", "soon"]


def test_a_clock_that_went_back_is_found(cli: Cli, home: Path) -> None:
    account = db.add_account("work", db.API_KEY, api_key=KEY)
    with sqlite3.connect(home / ".claude-accounts" / "accounts.db") as connection:
        connection.execute("UPDATE accounts SET last_used = '2999-01-01 00:00:00' WHERE id = ?", (account.id,))
    connection.close()
    assert findings(cli)["clock"][0]["state"] == "fail"


def test_durable_stores_are_looked_at_and_followed(cli: Cli, endpoint: TokenEndpoint) -> None:
    account = db.set_durable(expired_account(endpoint).id, True)
    path = Path(durable_store.folder_of(account.id), ".credentials.json")
    assert "1 durable account" in cli("doctor").stdout
    before = db.change_mark()
    cli("doctor")
    assert db.change_mark() == before
    path.write_text(path.read_text().replace("family", "renewed"))
    text = path.read_text()
    assert "client: took over" in cli("doctor").stdout
    assert path.read_text() == text and "renewed" in db.export_accounts(current=False)[0]["refresh_token"]
    path.chmod(0o644)
    assert str(path) in cli("doctor").stdout
    path.write_text("{")
    finding = cli("doctor")
    assert finding.returncode == 1 and f"{path} is not understood" in finding.stdout
    path.unlink()
    assert "holds no login" in cli("doctor").stdout


def test_doctor_changes_nothing_of_the_accounts(cli: Cli, home: Path) -> None:
    account = db.add_account(
        "work", db.OAUTH, access_token=ACCESS, refresh_token="sk-ant-ort01-x", expires_at=in_hours(-1)
    )
    mark = db.change_mark()
    findings(cli)
    assert db.change_mark() == mark and db.get_account(account.id).last_used is None


def test_doctor_leaves_a_fresh_home_as_it_is(cli: Cli, home: Path) -> None:
    findings(cli)
    assert list(home.iterdir()) == []


def test_one_cause_is_told_once(cli: Cli, home: Path) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    (home / ".claude-accounts" / ".key").unlink()
    failed = [check for checks in findings(cli).values() for check in checks if check["state"] == "fail"]
    assert len(failed) == 1 and ".key" in failed[0]["message"] and failed[0]["hint"]


def test_a_linked_data_folder_is_not_called_open(cli: Cli, home: Path) -> None:
    (home / "elsewhere").mkdir(mode=0o700)
    (home / ".claude-accounts").symlink_to("elsewhere")
    db.add_account("work", db.API_KEY, api_key=KEY)
    assert findings(cli)["files"][0]["state"] == "ok"


def test_the_credential_of_our_own_session_is_no_rival(cli: Cli) -> None:
    ours = {"CLAUDE_ACCOUNT": "work", "ANTHROPIC_API_KEY": KEY}
    assert findings(cli, **ours)["environment"][0]["state"] == "ok"
    assert findings(cli, ANTHROPIC_API_KEY=KEY)["environment"][0]["state"] == "warn"


def test_a_removed_working_folder_is_a_finding(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    os.rmdir(tmp_path / "gone")
    assert findings(cli)["settings"][0]["state"] == "fail"


def test_a_login_store_that_is_not_understood_is_a_finding(cli: Cli, home: Path) -> None:
    (home / ".claude").mkdir()
    (home / ".claude" / ".credentials.json").write_text("{")
    check = findings(cli)["store"][0]
    assert check["state"] == "fail" and ".credentials.json" in check["message"]


def test_aliases_that_are_missing_or_out_of_date_are_named(cli: Cli, home: Path) -> None:
    db.add_account("work", db.API_KEY, api_key=KEY)
    assert findings(cli)["aliases"][0]["hint"] == "claude-accounts install"
    cli("install", env={"SHELL": "/bin/bash"})
    aliases = home / ".claude-accounts" / "aliases.sh"
    aliases.write_text(aliases.read_text().replace("claude-work", "claude-old"))
    check = findings(cli)["aliases"][0]
    assert check["state"] == "warn" and check["hint"] == "claude-accounts install"


def test_doctor_speaks_french(cli: Cli) -> None:
    assert "aucun fichier de réglages" in cli("doctor", env={"LC_ALL": "fr_FR.UTF-8"}).stdout

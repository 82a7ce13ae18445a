"""The journal: what happened, by whom, from where and when; nothing secret, nothing taken back, nothing without end."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli
from factor_tools import Page, add_passkey, let_codes_be_fresh, set_up_app, text
from running_dashboard import API_KEY, PASSWORD, Dashboard, add, name_of_cookie, set_up

from claude_accounts.accounts import journal, storage
from claude_accounts.dashboard import attempts, sign_in
from claude_accounts.dashboard.api import Config
from claude_accounts.server import create_app

OTHER_PASSWORD = "eight dry owls sing"


pytestmark = pytest.mark.usefixtures("cheap_hash")


@pytest.fixture
def dashboard() -> Dashboard:
    """Return a dashboard behind a proxy, so that everybody can come from somewhere."""
    return set_up(Config(behind_proxy=True))


@pytest.fixture
def page(dashboard: Dashboard) -> Page:
    """Return a page that is signed in."""
    page = Page(dashboard.app)
    page.sign_in()
    return page


def entries(event: str) -> list[journal.Entry]:
    """Return the lines of one event, the newest first."""
    return journal.listed(limit=1000, event=event)


def last(event: str) -> journal.Entry:
    """Return the newest line, which must be of this event."""
    (entry,) = journal.listed(limit=1)
    assert entry.event == event, entry
    return entry


def actor(page: Page) -> str:
    """Return what a page's browser is called."""
    (found,) = [session for session in page("GET", "/api/auth/sessions") if session["current"]]
    return f"browser {found['id'][:8]}"


def test_sign_ins_are_noted_with_who_how_and_where(dashboard: Dashboard) -> None:
    (first,) = entries("set-up")
    assert first.actor.startswith("program ") and first.at > 0
    page = Page(dashboard.app)
    page("POST", "/api/auth/login", {"password": PASSWORD}, X_Forwarded_For="203.0.113.7")
    entry = last("sign-in")
    assert (entry.actor, entry.address, entry.detail) == (actor(page), "203.0.113.7", "password")
    page("POST", "/api/auth/logout")
    assert last("sign-out").actor == entry.actor


def test_refused_set_up_is_noted() -> None:
    app = create_app(Config(behind_proxy=True, setup_code_hash=sign_in.hash_setup_code("AAAA-BBBB-CCCC")))
    given = {"password": PASSWORD, "setup_code": "x"}
    # There must be a place to write to.
    with storage.writing():
        pass
    answer = app.test_client().post("/api/auth/setup", json=given, headers={"X-Forwarded-For": "203.0.113.7"})
    assert answer.status_code == 403
    assert last("set-up-failed").address == "203.0.113.7"


def test_second_steps_and_changes_of_factors_are_noted(dashboard: Dashboard, page: Page) -> None:
    app, codes = set_up_app(page)
    assert [entry.detail for entry in entries("factor-added")] == ["totp"]
    assert last("recovery-codes-made").detail == "10"
    other = Page(dashboard.app)
    waiting = other.sign_in(status=401)["pending"]
    # The password alone is no sign-in, but somebody has it.
    assert last("factor-asked").address == "127.0.0.1"
    other("POST", "/api/auth/login/factor", {"pending": waiting, "totp": app.wrong()}, status=403)
    assert last("sign-in-failed").detail == "totp"
    other("POST", "/api/auth/login/factor", {"pending": waiting, "totp": app.code()})
    assert last("sign-in").detail == "password, totp"
    waiting = other.sign_in(status=401)["pending"]
    other("POST", "/api/auth/login/factor", {"pending": waiting, "recovery_code": codes[0]})
    assert last("sign-in").detail == "password, recovery_code"
    assert entries("recovery-code-used")[0].detail == "9/10"
    passkey = add_passkey(page)
    assert last("factor-added").detail == "passkey laptop, localhost"
    question = other("POST", "/api/auth/login/passkey")
    given = {"pending": question["pending"], "passkey": passkey.get(question["options"])}
    other("POST", "/api/auth/login/factor", given)
    assert last("sign-in").detail == "passkey"
    page.prove()
    page("DELETE", f"/api/auth/factors/passkeys/{text(passkey.id)}")
    assert (last("factor-removed").detail, last("factor-removed").actor) == ("passkey laptop, localhost", actor(page))


def test_what_is_done_with_accounts_is_noted(page: Page) -> None:
    account = page("POST", "/api/accounts", {"name": "work", "auth_type": "api_key", "api_key": API_KEY}, status=201)
    page("POST", f"/api/accounts/{account['id']}/launch", {})
    assert entries("reveal") == []
    page("POST", f"/api/accounts/{account['id']}/launch", {"reveal": True})
    assert (last("reveal").account, last("reveal").actor) == ("work", actor(page))
    exported = page("POST", "/api/export")
    assert last("export").detail == "work"
    page("DELETE", f"/api/accounts/{account['id']}")
    assert last("account-removed").account == "work"
    page("POST", "/api/import", exported)
    assert last("import").detail == "work"


def test_refused_reveal_is_no_reveal(page: Page) -> None:
    account = page("POST", "/api/accounts", {"name": "work", "auth_type": "api_key", "api_key": API_KEY}, status=201)
    page("POST", "/api/auth/lock")
    page("POST", f"/api/accounts/{account['id']}/launch", {"reveal": True}, status=403)
    page("POST", "/api/export", status=403)
    page("DELETE", f"/api/accounts/{account['id']}", status=403)
    assert not entries("reveal") + entries("export") + entries("account-removed")
    page("POST", "/api/auth/step-up", {"password": "not the password"}, status=403)
    assert last("proof-failed").actor == actor(page)


def test_what_lets_one_in_is_noted(dashboard: Dashboard, page: Page) -> None:
    made = page("POST", "/api/auth/tokens", {"name": "backup", "scope": "read"}, status=201)
    assert last("token-added").detail == "backup, read"
    client, headers = dashboard.stranger(), {"X-Auth-Token": made["api_token"], "X-Forwarded-For": "203.0.113.7"}
    for _time in range(5):
        client.get("/api/accounts", headers=headers)
    assert (last("token-used").actor, last("token-used").address) == ("token backup", "203.0.113.7")
    assert len(entries("token-used")) == 1
    client.get("/api/export", headers=headers)
    assert last("token-refused").actor == "token backup"
    page("DELETE", f"/api/auth/tokens/{made['id']}")
    assert last("token-revoked").detail == "backup"
    page("POST", "/api/auth/rotate-token", {"password": PASSWORD})
    assert last("token-rotated").detail == "first"
    other = Page(dashboard.app)
    other.sign_in()
    name = actor(other).removeprefix("browser ")
    (found,) = [session for session in page("GET", "/api/auth/sessions") if session["id"].startswith(name)]
    page("DELETE", f"/api/auth/sessions/{found['id']}")
    assert last("session-ended").detail.startswith(name)
    before = actor(page)
    page("POST", "/api/auth/change-password", {"old_password": PASSWORD, "new_password": OTHER_PASSWORD})
    assert last("password-changed").actor == before
    page("POST", "/api/auth/sign-out-everywhere")
    assert last("sign-out-everywhere").detail == "1"


def test_cookie_without_its_page_secret_is_noted_once(dashboard: Dashboard, page: Page) -> None:
    cookie = page._client.get_cookie(name_of_cookie())
    assert cookie is not None
    for _time in range(3):
        answer = dashboard.browser(cookie.value).get("/api/accounts", headers={"X-Forwarded-For": "203.0.113.7"})
        assert answer.status_code == 401
    assert [entry.address for entry in entries("cookie-without-secret")] == ["203.0.113.7"]


def test_strangers_cannot_fill_it(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_MOST_PLACES", 1 << 30)
    client = dashboard.stranger()

    def guess(place: str) -> None:
        client.post("/api/auth/login", json={"password": "x"}, headers={"X-Forwarded-For": place})

    for _time in range(attempts.ATTEMPTS + 5):
        guess("203.0.113.7")
    assert len(entries("sign-in-failed")) == len(entries("sign-in-blocked")) == 1
    for number in range(220):
        guess(f"198.51.100.{number}")
    assert len(entries("sign-in-failed")) == 199
    (left_out,) = entries("left-out")
    assert left_out.detail == "sign-in-failed"
    # What its owner does is still there, and so is who knows the password.
    page = Page(dashboard.app)
    page.sign_in()
    assert last("sign-in")
    app, _codes = set_up_app(page)
    waiting = page.sign_in(status=401)["pending"]
    assert last("factor-asked")
    page("POST", "/api/auth/login/factor", {"pending": waiting, "totp": app.wrong()}, status=403)
    assert last("sign-in-failed").detail == "totp"


def test_it_is_bounded_and_takes_nothing_back(dashboard: Dashboard) -> None:
    with storage.writing(secrets=False) as connection:
        connection.executemany(
            "INSERT INTO journal (at, event) VALUES (?, 'export')", [(number,) for number in range(journal.MOST_LINES)]
        )
    journal.note("import")
    journal.note("reveal")
    with storage.reading() as connection:
        (count,) = connection.execute("SELECT count(*) FROM journal").fetchone()
    assert count == journal.MOST_LINES and journal.listed(limit=1)[0] == last("reveal")
    newest = "DELETE FROM journal WHERE id = (SELECT max(id) FROM journal)"
    for change in ("UPDATE journal SET event = ''", newest, "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"), storage.writing(secrets=False) as connection:
            connection.execute(change)


def test_no_secret_is_in_it(dashboard: Dashboard, page: Page) -> None:
    app, codes = set_up_app(page)
    page.prove()
    account = add(dashboard.client)
    made = page("POST", "/api/auth/tokens", {"name": "backup", "scope": "read"}, status=201)
    page("POST", f"/api/accounts/{account}/launch", {"reveal": True})
    page("POST", "/api/export")
    guess = "a wrong password that nearly is one"
    Page(dashboard.app).sign_in(guess, status=403)
    other = Page(dashboard.app)
    waiting = other.sign_in(status=401)["pending"]
    code = app.code()
    other("POST", "/api/auth/login/factor", {"pending": waiting, "totp": code})
    let_codes_be_fresh()
    page("POST", "/api/auth/step-up", {"recovery_code": codes[0]})
    dashboard.stranger().get("/api/accounts", headers={"X-Auth-Token": made["api_token"]})
    whole = json.dumps([entry._asdict() for entry in journal.listed(limit=1000)])
    secrets = [PASSWORD, guess, API_KEY, app.secret, code, waiting, *codes, made["api_token"], dashboard.token]
    for secret in [*secrets, page.secret, other.secret, dashboard.cookie()]:
        assert secret not in whole


def test_page_reads_it_piece_by_piece(page: Page) -> None:
    for _time in range(25):
        page("POST", "/api/export")
    found: list[dict[str, Any]] = []
    answer = page("GET", "/api/journal?limit=10")
    while True:
        found += answer["entries"]
        if not answer["more"]:
            break
        answer = page("GET", f"/api/journal?limit=10&before={found[-1]['id']}")
    assert [entry["id"] for entry in found] == sorted({entry["id"] for entry in found}, reverse=True)
    assert [entry["event"] for entry in found] == ["export"] * 25 + ["sign-in", "set-up"]
    assert len(page("GET", "/api/journal?event=sign-in")["entries"]) == 1
    for odd in ("limit=0", "limit=-1", "limit=x", "limit=²", "before=x", "limit=999999999999"):
        assert page("GET", f"/api/journal?{odd}")["entries"]


def test_every_event_has_its_words() -> None:
    """A line whose event nobody can read helps nobody."""
    used = set()
    project = Path(journal.__file__).parent.parent
    for folder in ("accounts", "dashboard", "commands"):
        for path in (project / folder).rglob("*.py"):
            source = path.read_text()
            used |= {event for event in journal.events() if f'"{event}"' in source and path.name != "journal.py"}
    assert used == set(journal.events())


def test_what_cannot_be_written_stops_nothing(
    dashboard: Dashboard, page: Page, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = add(dashboard.client)
    with closing(sqlite3.connect(storage.database_path(), isolation_level=None)) as connection:
        monkeypatch.setattr(storage, "_BUSY_SECONDS", 0.01)
        connection.execute("BEGIN IMMEDIATE")
        answer = page("POST", f"/api/accounts/{account}/launch", {"reveal": True})
        connection.execute("ROLLBACK")
    assert answer["value"] == API_KEY and "warning" in capsys.readouterr().err


# The command


def test_command_prints_the_newest_lines_last(dashboard: Dashboard, page: Page, cli: Cli) -> None:
    page("POST", "/api/export")
    done = cli("journal")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[0].split() == ["WHEN", "WHAT", "ACCOUNT", "WHO", "FROM", "MORE"]
    assert ["dashboard set up" in lines[1], "signed in" in lines[2], "accounts exported" in lines[3]] == [True] * 3
    assert f"{actor(page)}  127.0.0.1" in lines[3]
    assert cli("journal", "--limit", "1").stdout.splitlines()[1:] == lines[3:]
    shown = json.loads(cli("journal", "--json").stdout)
    assert shown["schema_version"] == 1 and re.fullmatch(r"\S+T\S+Z", shown["entries"][0]["at"])
    assert [entry["event"] for entry in shown["entries"]] == ["set-up", "sign-in", "export"]
    assert "navigateur" in cli("journal", env={"LC_ALL": "fr_FR.UTF-8"}).stdout
    assert cli("journal", "--limit", "0").returncode == 2


def test_command_on_an_empty_home_prints_nothing_and_creates_nothing(home: Path, cli: Cli) -> None:
    done = cli("journal")
    assert (done.returncode, done.stdout) == (0, "")
    assert not (home / ".claude-accounts").exists()


def test_commands_are_noted_too(dashboard: Dashboard, cli: Cli, tmp_path: Path) -> None:
    add(dashboard.client)
    file = tmp_path / "accounts.json"
    for words in (("export", "-o", str(file)), ("remove", "work", "--yes"), ("import", str(file))):
        assert cli(*words).returncode == 0
    for words in (("dashboard", "reset-factors", "--yes"), ("dashboard", "reset-password", "--yes")):
        assert cli(*words).returncode == 0
    found = [(entry.event, entry.actor) for entry in journal.listed(limit=5)][::-1]
    events = ["export", "account-removed", "import", "factors-reset", "password-reset"]
    assert found == [(event, "command") for event in events]

"""An import means the same by every way in: the command line, its dry run, standard input, the API and its dry run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, assert_fails_cleanly
from running_dashboard import ACCESS, API_KEY, REFRESH, Dashboard, set_up
from test_prompts import person

from claude_accounts import db
from claude_accounts.imports import plan, reading, sources
from claude_accounts.messages import InvalidInput

WORK = {"name": "work", "auth_type": "api_key", "api_key": API_KEY}
CREDENTIALS = {
    "claudeAiOauth": {
        "accessToken": ACCESS,
        "refreshToken": REFRESH,
        "expiresAt": 4_000_000_000_000,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }
}


@pytest.fixture
def dashboard(cheap_hash: None) -> Dashboard:
    """Return a dashboard that is set up."""
    return set_up()


def encoded(value: object, encoding: str = "utf-8") -> bytes:
    return json.dumps(value).encode(encoding)


# What is refused as a whole, and the words that say why.
REFUSED = [
    (b"", "it is empty"),
    (b"\xff\xfe", "it is empty"),
    (b"hello", "it is not JSON (line 1, column 1)"),
    (b'[{"name": "work",\n "auth_type": }]', "it is not JSON (line 2, column 15)"),
    (b"\x80\x81\x82", "it is no text: neither UTF-8 nor UTF-16"),
    (b"[" * 100_000, "it is nested too deeply"),
    (b'[{"name": "work", "expires_at": NaN}]', "it holds NaN, which is not JSON"),
    (b'[{"name": "work", "expires_at": -Infinity}]', "it holds -Infinity, which is not JSON"),
    (b'[{"name": "work", "expires_at": ' + b"9" * 5000 + b"}]", "it holds a number that is too long"),
    (b'[{"name": "work", "name": "other"}]', "it has the key 'name' twice in one object"),
    (
        # In a time that anybody waits for.
        encoded([{f"k{number}": 0 for number in range(200_000)}])[:-2] + b', "k199999": 1}]',
        "it has the key 'k199999' twice in one object",
    ),
    (b"[" + b"0," * 60_000 + b"0]", "it holds more than 50000 accounts"),
    (encoded({"swapVersion": "1", "accounts": [0] * 60_000}), "it holds more than 50000 accounts"),
    (b'[{"name": "\\ud800"}]', "it holds half a character"),
    (b"{}", "an import is a JSON array of accounts"),
    (b"7", "an import is a JSON array of accounts"),
    (encoded({"accounts": [{"name": "work", "auth_type": "api_key", "masked_key": "..."}]}), "which holds no secrets"),
    (encoded([{"name": "work", "auth_type": "oauth", "masked_key": ""}]), "which holds no secrets"),
    (encoded([WORK | {"name": "my\tteam"}]), "entry 1 (my\\tteam): "),
    (encoded([WORK, 7]), "entry 2: it must be an object"),
    (encoded([WORK, WORK | {"auth_type": "both"}]), "entry 2 (work): the auth type must be api_key or oauth"),
    (encoded([WORK | {"auth_type": "oauth", "access_token": ACCESS, "expires_at": 1e300}]), "epoch milliseconds"),
    (encoded({"claudeAiOauth": {"accessToken": "", "refreshToken": "", "expiresAt": 0}}), "there is no login in it"),
    (encoded({"claudeAiOauth": {"accessToken": 5}}), "its accessToken is damaged"),
    (b"PK\x03\x04 and so on", "it is packed or encrypted (zip)"),
    (b"-- CC Switch SQLite \xe5\xaf\xbc\xe5\x87\xba\n", "it is an SQL export of cc-switch"),
    (b"SQLite format 3\0" + b"x" * 100, "it is not a database that can be read"),
]


def test_what_is_refused_is_refused_in_the_same_words_everywhere(cli: Cli, dashboard: Dashboard, home: Path) -> None:
    given = str(home / "given")
    for number, (data, words) in enumerate(REFUSED):
        (home / "given").write_bytes(data)
        finished = cli("import", given, *([] if number % 2 else ["--dry-run"]))
        assert_fails_cleanly(finished, words, "nothing was imported")
        for query in ("", "?dry_run=1"):
            answer = dashboard.client.post(f"/api/import{query}", data=data, content_type="application/json")
            told = answer.get_json()
            problem = told["plan"]["refusal"] if answer.status_code == 200 else told["error"]
            assert words in problem and f"{given}: {problem}; nothing was imported" in finished.stderr, words
            assert (answer.status_code == 200) == (query != "" and words.startswith(("entry", "epoch"))), words
    assert db.list_accounts() == []


# What comes, and the names under which it comes.
TAKEN = [
    (b"\xef\xbb\xbf" + encoded([WORK]), ["work"]),
    (encoded([WORK], "utf-16"), ["work"]),
    (encoded([WORK], "utf-16-le"), ["work"]),
    (encoded([WORK], "utf-16-be"), ["work"]),
    (encoded([WORK], "utf-32"), ["work"]),
    (encoded([{"name": "work", "api_key": API_KEY}]), ["work"]),
    (encoded([{"name": "work", "access_token": ACCESS, "refresh_token": REFRESH, "expires_at": 7}]), ["work"]),
    (encoded([WORK | {"name": "  My Team "}]), ["my-team"]),
    (encoded([WORK | {"name": "my  team"}]), ["my--team"]),
    (encoded({"accounts": [WORK]}), ["work"]),
    (encoded([WORK] * 3), ["work"]),
    (encoded([WORK | {"note": "x" * 9_000_000}]), ["work"]),
    (b"[]", []),
    (b'{"accounts": []}', []),
]


def test_what_comes_comes_the_same_everywhere(cli: Cli, dashboard: Dashboard, home: Path) -> None:
    for data, names in TAKEN:
        (home / "given").write_bytes(data)
        foreseen = json.loads(cli("import", str(home / "given"), "--dry-run", "--json").stdout)
        assert [row["name"] for row in foreseen["accounts"] if row["will"] == "added"] == names
        answer = dashboard.client.post("/api/import?dry_run=1", data=data, content_type="application/json")
        assert answer.get_json()["plan"] == {key: foreseen[key] for key in answer.get_json()["plan"]}
        assert db.list_accounts() == []
        finished = cli("import", str(home / "given"))
        assert finished.returncode == 0 and f"{len(names)} account" in finished.stderr
        assert db.account_names() == names
        again = dashboard.client.post("/api/import", data=data, content_type="application/json").get_json()
        assert again["imported"] == 0 and set(again["skipped_names"]) == set(names)
        for account in db.list_accounts():
            db.delete_account(account.id)


def test_a_dry_run_says_what_happens_to_each_and_changes_nothing(cli: Cli, home: Path) -> None:
    db.add_account("work", db.API_KEY, api_key=API_KEY)
    entries = [WORK, WORK | {"name": "client"}, WORK | {"name": "x"}, {"name": "late", "auth_type": "oauth"}]
    (home / "given").write_text(json.dumps(entries))
    before = db.change_mark()
    finished = cli("import", str(home / "given"), "--dry-run")
    assert_fails_cleanly(finished, "entry 3 (x)", "nothing was imported")
    lines = finished.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "work", "client", "x", "late"]
    assert (
        "already an account" in lines[1]
        and "while another entry is wrong" in lines[2]
        and "not an account name" in lines[3]
    )
    assert API_KEY not in finished.stdout
    foreseen = plan.as_json(plan.foresee([sources.of_value(entries)]))
    assert (foreseen["added"], foreseen["refused"]) == (0, 1)
    assert db.change_mark() == before


def test_what_is_no_file_gets_a_sentence(cli: Cli, home: Path) -> None:
    os.mkfifo(home / "pipe")
    (home / "empty").mkdir()
    with open(home / "huge", "wb") as file:
        file.truncate(reading.LARGEST_IMPORT + 1)
    for name, *words in (
        ("empty", "is a folder, and none of a tool that is known here", "known: "),
        ("pipe", "is not a file", "| claude-accounts import -"),
        ("none", "No such file"),
        ("huge", "it is larger than 16 MB"),
    ):
        assert_fails_cleanly(cli("import", str(home / name)), str(home / name), *words)
    assert_fails_cleanly(cli("import"), "there is no file to import", "--discover", code=2)
    assert_fails_cleanly(cli("import", "--discover", "x.json"), "--discover looks in the usual places", code=2)


def test_a_login_of_claude_comes_without_its_tokens_unless_it_is_moved(
    cli: Cli, dashboard: Dashboard, home: Path
) -> None:
    (home / "work").mkdir()
    (home / "work" / ".credentials.json").write_text(json.dumps(CREDENTIALS))
    given = str(home / "work" / ".credentials.json")
    assert_fails_cleanly(cli("import", given), "it has no name", "--name NAME")
    finished = cli("import", given, "--name", "Work")
    assert finished.returncode == 0 and "claude-accounts login --new work" in finished.stderr
    (entry,) = db.export_accounts()
    assert (entry["name"], entry["access_token"], entry["refresh_token"]) == ("work", "", "")
    db.delete_account(db.find_account("work").id)
    answer = dashboard.client.post("/api/import?name=work&move_logins=1", json=CREDENTIALS).get_json()
    assert answer["imported_names"] == ["work"] and answer["plan"]["accounts"][0]["brings"] == "login"
    (entry,) = db.export_accounts()
    assert (entry["access_token"], entry["refresh_token"]) == (ACCESS, REFRESH)
    assert entry["expires_at"] == 4_000_000_000_000 and entry["scopes"] == "user:inference user:profile"


def test_a_name_is_given_to_one_account_alone() -> None:
    for value in ([WORK], {"accounts": [WORK]}):
        with pytest.raises(InvalidInput, match="one account alone"):
            plan.foresee([sources.of_value(value)], name="other")


def test_a_key_in_the_place_of_a_name_or_a_kind_is_not_shown(cli: Cli, dashboard: Dashboard, home: Path) -> None:
    swapped = [WORK | {"name": API_KEY}, WORK | {"auth_type": API_KEY}]
    (home / "given").write_bytes(encoded(swapped))
    told = [cli("import", str(home / "given"), "--dry-run", *more) for more in ([], ["--json"])]
    shown = [text for finished in told for text in (finished.stdout, finished.stderr)]
    shown.append(dashboard.client.post("/api/import?dry_run=1", json=swapped).text)
    assert not any("kkkkkkkk" in text for text in shown) and "sk-ant-..." in shown[0]


def test_a_dry_run_asks_a_browser_for_no_password(dashboard: Dashboard) -> None:
    """What is looked at shows no secret; what is done does ask."""
    headers = {"Sec-Fetch-Site": "same-origin"}
    client: Any = dashboard.client
    assert client.post("/api/auth/lock", json={}, headers=headers).status_code in (200, 401)
    answer = client.post("/api/import?dry_run=1", json=[WORK])
    assert answer.status_code == 200 and API_KEY not in answer.text


def test_a_wish_to_change_nothing_is_heard_however_it_is_spelt(dashboard: Dashboard) -> None:
    for spelt in ("true", "True", "1"):
        assert dashboard.client.post(f"/api/import?dry_run={spelt}", json=[WORK]).get_json()["plan"]["added"] == 1
    for route in ("import?dry_run=yes", "import?dry_run", "import?move_logins=on"):
        answer = dashboard.client.post(f"/api/{route}", json=[WORK])
        assert answer.status_code == 400 and answer.get_json()["field"] in ("dry_run", "move_logins")
    assert db.list_accounts() == []
    assert dashboard.client.post("/api/import?dry_run=false", json=[WORK]).get_json()["imported"] == 1
    assert dashboard.client.get("/api/export?refresh_tokens=no").status_code == 400


def test_the_login_that_claude_has_now_is_captured_and_not_copied(cli: Cli, home: Path) -> None:
    (home / ".claude").mkdir()
    (home / ".claude" / ".credentials.json").write_text(json.dumps(CREDENTIALS))
    for given in (home / ".claude" / ".credentials.json", home / ".claude"):
        finished = cli("import", str(given), "--move-logins", "--name", "work")
        assert_fails_cleanly(finished, "Claude Code has now", "claude-accounts login NAME")


def test_what_looks_cut_comes_and_is_said(cli: Cli, home: Path) -> None:
    """A script is never refused for it."""
    cut = f"sk-ant-api03-{'k' * 60}"
    (home / "given").write_text(json.dumps([WORK | {"api_key": cut}]))
    assert "it may be cut" in cli("import", str(home / "given"), "--dry-run").stdout
    finished = cli("import", str(home / "given"))
    assert finished.returncode == 0 and "work: this has 73 characters instead of 108" in finished.stderr
    assert db.export_accounts(current=False)[0]["api_key"] == cut


def test_a_person_is_asked_for_a_name_and_for_a_yes(home: Path) -> None:
    (home / ".claude-work").mkdir()
    (home / "given.json").write_text(json.dumps(CREDENTIALS))
    with person("import", str(home / "given.json")) as somebody:
        somebody.reads("What shall the account be called?")
        somebody.types("Client\r")
        assert somebody.waits() == 0
    (home / ".claude-work" / ".claude.json").write_text(json.dumps({"primaryApiKey": "sk-ant-api03-" + "p" * 95}))
    for answer, names in (("n\r", ["client"]), ("\r", ["client", "work"])):
        with person("import", "--discover") as somebody:
            somebody.reads("Import 1 account? [Y/n]")
            somebody.types(answer)
            assert somebody.waits() == 0
        assert db.account_names() == names

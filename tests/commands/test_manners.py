"""How the command line behaves towards people and scripts: times, widths, misuse, mishaps, words in two languages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, strategies as st
from stored import KEY
from token_endpoint import in_hours

from claude_accounts import cli as cli_module, db, messages
from claude_accounts.accounts import clocks, storage
from claude_accounts.accounts.rows import now_ms
from claude_accounts.commands import tables
from claude_accounts.messages import use_language

TOKEN = "sk-ant-oat01-" + "t" * 40 + "GHIJKL"
REFRESH = "sk-ant-ort01-" + "r" * 40 + "MNOPQR"


class Said(NamedTuple):
    """What one command said, and with which code it ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return the command line as a function of this very process."""

    def run(*words: str) -> Said:
        capsys.readouterr()
        messages._chosen.set("")
        try:
            code = cli_module.main(list(words))
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return Said(code, *capsys.readouterr())

    return run


def change(name: str, **columns: object) -> None:
    """Give an account's row other values, as time or a damaged disk would."""
    with storage.writing() as connection:
        for column, value in columns.items():
            connection.execute(f"UPDATE accounts SET {column} = ? WHERE name = ?", (value, name))  # noqa: S608


def three_kinds() -> None:
    """Store an API key, a durable login, and a login whose token has ended."""
    db.add_account("work", db.API_KEY, api_key=KEY)
    for name, durable in (("client", 1), ("perso", 0)):
        db.add_account(
            name,
            db.OAUTH,
            access_token=TOKEN,
            refresh_token=REFRESH + name,
            expires_at=in_hours(-1) if not durable else in_hours(5),
        )
        change(name, durable=durable, login_expires_at=in_hours(24 * 29))
    change("work", last_used="2026-01-01 10:00:00")


# Times


SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("span", "english", "french"),
    [
        (-45 * SECOND, "45 seconds ago", "il y a 45 secondes"),
        (-90 * SECOND, "2 minutes ago", "il y a 2 minutes"),
        (-3 * MINUTE, "3 minutes ago", "il y a 3 minutes"),
        (-HOUR * 2, "2 hours ago", "il y a 2 heures"),
        (2 * DAY + SECOND, "in 2 days", "dans 2 jours"),
        (48 * HOUR - 20, "in 2 days", "dans 2 jours"),
        (90 * DAY, "in 3 months", "dans 3 mois"),
        (366 * DAY, "in 12 months", "dans 12 mois"),
        (-1000 * DAY, "3 years ago", "il y a 3 ans"),
        (-100, "now", "maintenant"),
    ],
)
def test_people_read_a_moment_as_seen_from_now(span: int, english: str, french: str) -> None:
    for language, words in (("en", english), ("fr", french)):
        use_language(language)
        assert clocks.when(now_ms() + span) == words


@pytest.mark.parametrize(("count", "words"), [(1, "1 jour"), (2, "2 jours")])
def test_one_is_no_plural(count: int, words: str) -> None:
    use_language("fr")
    assert clocks._words(count, "d", "fr") == words
    use_language("en")
    assert clocks._words(1, "h", "en") == "1 hour"


@given(st.integers(-(10**16), 10**16) | st.text() | st.none() | st.binary() | st.floats())
def test_no_stored_moment_breaks_a_list(moment: Any) -> None:
    told = clocks.iso(moment)
    assert told is None or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told)
    if isinstance(moment, int):
        assert clocks.when(moment) and clocks.exactly(moment)


def moments_in(value: Any) -> dict[str, Any]:
    """Return what stands under a name that sounds like a moment."""
    found: dict[str, Any] = {}
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(each, (dict, list)):
            found |= moments_in(each)
        elif re.search(r"(^at|_at|_used|since|_ends)$", str(key)):
            found[str(key)] = each
    return found


def test_every_moment_in_json_is_iso_8601_with_its_zone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    three_kinds()
    run("remove", "perso", "--yes")
    found: dict[str, Any] = {}
    for words in (["list"], ["status", "work"], ["status", "client"], ["journal"], ["sessions"], ["bindings"]):
        told = json.loads(run(*words, "--json").out)
        assert told["schema_version"] == 1, words
        found |= moments_in(told)
    assert {"created_at", "last_used", "expires_at", "login_expires_at", "ends_at", "at"} <= set(found)
    for key, moment in found.items():
        assert moment is None or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment), (key, moment)
    told = {account["name"]: account for account in json.loads(run("list", "--json").out)["accounts"]}
    assert told["work"]["last_used"] == "2026-01-01T10:00:00Z" and told["work"]["expires_at"] is None
    assert told["client"]["ends_at"] == clocks.iso(db.find_account("client").ends_at)
    # What the earlier program promised to scripts is as it was.
    exported = {entry["name"]: entry for entry in json.loads(run("export").out)}
    assert exported["client"]["expires_at"] == db.find_account("client").expires_at


def test_people_read_no_bare_clock_in_a_list(run: Run) -> None:
    three_kinds()
    three_minutes = str(clocks.iso(now_ms() - 3 * MINUTE - 5000))
    change("client", last_used=three_minutes[:19].replace("T", " "))
    listed = run("list").out
    assert "3 minutes ago" in listed and "in 29 days" in listed and "1 hour ago" in listed
    assert not re.search(r"\d\d:\d\d", listed)
    status = run("status", "client").out
    assert re.search(r"Last used: 3 minutes ago \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\)", status)


# Widths


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_list_of_every_kind_fits_eighty_columns_with_the_telling_end(run: Run, language: str) -> None:
    three_kinds()
    use_language(language)
    accounts = db.list_accounts()
    from claude_accounts.commands.accounts import _columns

    header, rows = tables.table(_columns(accounts, {}), 80)
    assert len(header) == 1, "still a table"
    assert all(tables.cells(line) <= 80 for text in (*header, *rows) for line in text.split("\n"))
    assert [KEY[-6:] in rows[0], TOKEN[-6:] in rows[1], TOKEN[-6:] in rows[2]] == [True] * 3


@given(
    st.lists(
        st.sampled_from(["jean.dupont@longcompany.example.com", "工作帳號", "e\u0301" * 12, "x" * 32]), min_size=1
    ),
    st.integers(1, 120),
)
def test_no_row_is_wider_than_the_terminal_and_none_is_cut(names: list[str], width: int) -> None:
    columns = [
        tables.Column("NAME", names),
        tables.Column("STATUS", ["expired, refreshes at launch"] * len(names), "", ["expired"] * len(names)),
        tables.Column("ENDS", ["-"] * len(names)),
    ]
    header, rows = tables.table(columns, width)
    for name, text in zip(names, rows, strict=True):
        assert name.replace(" ", "") in re.sub(r"[\s\n]", "", text)
        assert all(tables.cells(line) <= max(width, 2) for line in text.split("\n"))
    unlimited = tables.table(columns, 0)[1]
    assert all("expired, refreshes at launch" in text for text in unlimited)


def test_what_is_piped_is_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    three_kinds()
    lines = run("list").out.splitlines()
    assert len(lines) == 4 and "sk-ant-api03-..." + KEY[-6:] in lines[1] and "expired, refreshes at launch" in lines[3]


def test_a_damaged_database_is_listed_all_the_same(run: Run) -> None:
    three_kinds()
    change("work", last_used="\x1b[2Jyesterday", created_at=b"\xff")
    change("client", expires_at=10**17, login_expires_at=-5)
    for words in (["list"], ["list", "--json"], ["status", "work"], ["status", "client"], ["doctor"]):
        said = run(*words)
        assert "\x1b" not in said.out and "Traceback" not in said.err, words
        assert said.code == (1 if words == ["doctor"] else 0) or words == ["doctor"], said

"""Accounts and credentials: names, masks, adding, changing, import and export."""

from __future__ import annotations

import json
import os
import string
from pathlib import Path

import pytest
from conftest import Cli, assert_fails_cleanly
from hypothesis import HealthCheck, given, settings, strategies as st
from token_endpoint import in_hours

from claude_accounts import db
from claude_accounts.accounts import rows as account_rows, sessions as running_sessions
from claude_accounts.messages import AccountsError, Conflict, InvalidInput, NotFound

KEY = "sk-ant-api03-" + "k" * 60 + "abc123"
ACCESS = "sk-ant-oat01-" + "a" * 60 + "def456"
REFRESH = "sk-ant-ort01-" + "r" * 60

# hypothesis runs one test function many times in one home; examples must not depend on each other.
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("typed", "name"), [("Work", "work"), ("  my Laptop ", "my-laptop"), ("a1", "a1"), ("0-0", "0-0")]
)
def test_a_typed_name_is_normalised(typed: str, name: str) -> None:
    assert db.clean_name(typed) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "-a",
        "a" * 33,
        "x;whoami",
        "$(id)",
        "`id`",
        "../etc",
        "a/b",
        "<b>",
        "a\nb",
        "a\0b",
        "été",
        "a'b",
        'a"b',
        "a_b",
        "a.b",
        "İİ",
    ],
)
def test_names_that_are_not_plain_words_are_refused(name: str) -> None:
    """INP-01"""
    with pytest.raises(InvalidInput) as caught:
        db.add_account(name, db.API_KEY, api_key=KEY)
    assert caught.value.field == "name"
    assert db.list_accounts() == []


@many
@given(st.text())
def test_no_text_becomes_an_unsafe_name(text: str) -> None:
    try:
        name = db.clean_name(text)
    except InvalidInput:
        return
    assert 2 <= len(name) <= 32 and set(name) <= set(string.ascii_lowercase + string.digits + "-") and name[0] != "-"


def test_renaming_obeys_the_same_rule(home: Path) -> None:
    """INP-02"""
    account = db.add_account("work", db.API_KEY, api_key=KEY)
    for name in ("x;whoami", "", "a" * 40, "-x"):
        with pytest.raises(InvalidInput):
            db.update_account(account.id, name=name)
    assert db.update_account(account.id, name="Office 2").name == "office-2"


def test_the_command_line_obeys_the_same_rule(cli: Cli) -> None:
    """INP-04"""
    for command in (["add", "x;whoami", "--key", KEY], ["login", "--force", "$(id)"], ["add", "a/b", "--oauth"]):
        assert_fails_cleanly(cli(*command), code=None)
    assert db.list_accounts() == []


@pytest.mark.parametrize("secret", ["", " ", "a b", "a\nb", "a\0b", "a\x1b[2Jb", "é", "a" * 9000, "a\u2028b"])
def test_credentials_with_odd_characters_are_refused(secret: str) -> None:
    """INP-14"""
    with pytest.raises(InvalidInput) as caught:
        db.add_account("work", db.API_KEY, api_key=secret)
    assert caught.value.field == "api_key"


def test_a_token_given_as_a_key_is_refused_with_the_right_command(cli: Cli) -> None:
    assert_fails_cleanly(cli("add", "work", "--key", "-", stdin=ACCESS), "OAuth token", "--oauth --token -")
    assert_fails_cleanly(cli("add", "work", "--oauth", "--token", "-", stdin=KEY), "API key", "--key -")
    with pytest.raises(InvalidInput):
        db.add_account("work", db.OAUTH, access_token=REFRESH)


@pytest.mark.parametrize("moment", [-1, True, "1", 1.5, 10**18])
def test_an_impossible_moment_is_refused(moment: object) -> None:
    """INP-08"""
    with pytest.raises(InvalidInput) as caught:
        db.add_account("work", db.OAUTH, access_token=ACCESS, expires_at=moment)  # type: ignore[arg-type]
    assert caught.value.field == "expires_at"


@pytest.mark.parametrize("auth_type", ["", "token", None, ["oauth"], {}])
def test_an_unknown_auth_type_is_refused(auth_type: object) -> None:
    """INP-08"""
    with pytest.raises(InvalidInput):
        db.add_account("work", auth_type, api_key=KEY)  # type: ignore[arg-type]


def test_unknown_ids_and_taken_names_have_errors_of_their_own() -> None:
    """INP-07"""
    account = db.add_account("work", db.API_KEY, api_key=KEY)
    with pytest.raises(Conflict):
        db.add_account("Work", db.API_KEY, api_key=KEY)
    with pytest.raises(NotFound):
        db.get_account("acc_nobody")
    with pytest.raises(NotFound, match="wrok") as caught:
        db.find_account("wrok")
    assert "work" in caught.value.hint
    other = db.add_account("other", db.API_KEY, api_key=KEY)
    with pytest.raises(Conflict):
        db.update_account(other.id, name="work")
    assert db.get_account(account.id).name == "work"


@pytest.mark.parametrize("text", ["' OR 1=1 --", '"; DROP TABLE accounts; --', "%", "_", "acc_work_%"])
def test_sql_metacharacters_do_nothing(text: str) -> None:
    """INP-13"""
    db.add_account("work", db.API_KEY, api_key=KEY)
    for call in (db.get_account, db.find_account, db.delete_account, db.get_launch_env):
        with pytest.raises(NotFound):
            call(text)
    assert [account.name for account in db.list_accounts()] == ["work"]


def test_masks_show_the_last_six_characters_and_nothing_of_a_short_secret() -> None:
    """SEC-03"""
    assert db.add_account("one", db.API_KEY, api_key=KEY).masked_key == "sk-ant-api03-...abc123"
    assert db.add_account("two", db.OAUTH, access_token=ACCESS).masked_key == "sk-ant-oat01-...def456"
    assert db.add_account("three", db.API_KEY, api_key="short-secret").masked_key == "..."
    assert db.add_account("four", db.OAUTH).masked_key == ""


def test_status_tells_valid_expired_and_needs_login() -> None:
    assert db.add_account("a1", db.API_KEY, api_key=KEY).status() == "valid"
    assert db.add_account("a2", db.OAUTH).status() == "needs_login"
    assert db.add_account("a3", db.OAUTH, access_token=ACCESS, expires_at=in_hours(1)).status() == "valid"
    assert db.add_account("a4", db.OAUTH, access_token=ACCESS, expires_at=in_hours(-1)).status() == "expired"
    assert db.add_account("a5", db.OAUTH, access_token=ACCESS).status() == "valid"


def test_launch_env_is_one_variable_and_stamps_the_last_use() -> None:
    key = db.add_account("one", db.API_KEY, api_key=KEY)
    token = db.add_account("two", db.OAUTH, access_token=ACCESS, expires_at=in_hours(1))
    assert key.last_used is None
    assert db.get_launch_env(key.id) == {"ANTHROPIC_API_KEY": KEY}
    assert db.get_launch_env(token.id) == {"CLAUDE_CODE_OAUTH_TOKEN": ACCESS}
    assert db.get_account(key.id).last_used is not None


def test_an_account_without_a_usable_credential_says_what_to_type() -> None:
    empty = db.add_account("empty", db.OAUTH)
    with pytest.raises(AccountsError) as caught:
        db.get_launch_env(empty.id)
    assert caught.value.hint == "claude-accounts login empty"
    over = db.add_account("over", db.OAUTH, access_token=ACCESS, expires_at=in_hours(-1))
    with pytest.raises(AccountsError) as caught:
        db.get_launch_env(over.id)
    assert "over" in caught.value.message and caught.value.hint == "claude-accounts login over"


def test_a_new_key_replaces_the_old_and_forgets_nothing_else() -> None:
    account = db.add_account("work", db.API_KEY, api_key=KEY)
    db.update_account(account.id, api_key="sk-ant-api03-" + "n" * 40)
    assert db.get_launch_env(account.id) == {"ANTHROPIC_API_KEY": "sk-ant-api03-" + "n" * 40}
    with pytest.raises(InvalidInput):
        db.update_account(account.id, access_token=ACCESS)


def test_the_change_mark_moves_with_every_change_and_only_then() -> None:
    marks = [db.change_mark()]
    account = db.add_account("work", db.API_KEY, api_key=KEY)
    marks.append(db.change_mark())
    db.update_account(account.id, name="office")
    marks.append(db.change_mark())
    db.delete_account(account.id)
    marks.append(db.change_mark())
    assert len(set(marks)) == 4
    db.list_accounts()
    assert db.change_mark() == marks[-1]


def test_recent_folders_are_the_newest_twenty() -> None:
    account = db.add_account("work", db.API_KEY, api_key=KEY)
    for number in range(25):
        running_sessions.record(account_rows.reread(account.id), os.getpid(), f"/tmp/{number}", running_sessions.WEB)
    running_sessions.record(account_rows.reread(account.id), os.getpid(), "/tmp/24", running_sessions.WEB)
    folders = [folder for _id, folder in running_sessions.recent_folders()]
    assert len(folders) == 20 and "/tmp/24" in folders and "/tmp/0" not in folders


def _full_export() -> list[dict[str, object]]:
    db.add_account("one", db.API_KEY, api_key=KEY)
    db.add_account("two", db.OAUTH, access_token=ACCESS, refresh_token=REFRESH, expires_at=in_hours(1))
    db.add_account("three", db.OAUTH)
    return db.export_accounts()


def test_export_then_import_into_an_empty_home_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, home: Path, cli: Cli
) -> None:
    """IMP-04"""
    exported = _full_export()
    assert cli("export", "--output", str(home / "accounts.json")).returncode == 0
    assert (home / "accounts.json").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("CLAUDE_ACCOUNTS_HOME", str(home / "elsewhere"))
    finished = cli("import", str(home / "accounts.json"))
    assert finished.returncode == 0 and "3 accounts imported" in finished.stderr
    assert db.export_accounts() == exported
    assert json.loads(cli("export").stdout) == exported


def test_an_export_can_leave_refresh_tokens_out(cli: Cli) -> None:
    _full_export()
    finished = cli("export", "--no-refresh-tokens")
    assert REFRESH not in finished.stdout and ACCESS in finished.stdout


def test_import_never_overwrites_and_takes_a_doubled_name_once() -> None:
    """IMP-05"""
    db.add_account("one", db.API_KEY, api_key=KEY)
    other = "sk-ant-api03-" + "z" * 40
    result = db.import_accounts(
        [
            {"name": "One", "auth_type": "api_key", "api_key": other},
            {"name": "two", "auth_type": "api_key", "api_key": KEY},
            {"name": "two", "auth_type": "api_key", "api_key": other},
        ]
    )
    assert result == db.Imported(["two"], ["one", "two"])
    assert [entry["api_key"] for entry in db.export_accounts()] == [KEY, KEY]


def test_one_bad_entry_imports_nothing_and_is_named() -> None:
    """IMP-03"""
    good = {"name": "good", "auth_type": "api_key", "api_key": KEY}
    with pytest.raises(InvalidInput, match=r"entry 2 \(bad\)"):
        db.import_accounts([good, {"name": "bad", "auth_type": "api_key", "api_key": 5}])
    assert db.list_accounts() == []


GOOD_KEY: dict[str, object] = {"name": "good", "auth_type": "api_key", "api_key": KEY}
GOOD_TOKEN: dict[str, object] = {"name": "good", "auth_type": "oauth", "access_token": ACCESS}
BAD_KEY_CHANGES: list[dict[str, object]] = [
    {"name": None}, {"name": 5}, {"name": ""}, {"name": "a"}, {"name": "x;id"}, {"name": "a\nb"}, {"name": ["a"]},
    {"name": "\ud800\ud800"}, {"name": "../../x"}, {"name": "a" * 100_000},
    {"auth_type": None}, {"auth_type": 5}, {"auth_type": "both"}, {"auth_type": ["api_key"]}, {"auth_type": {}},
    {"api_key": None}, {"api_key": ""}, {"api_key": 5}, {"api_key": ["k"]}, {"api_key": "a b"}, {"api_key": "a\0b"},
    {"api_key": "é" * 30}, {"api_key": "k" * 100_000}, {"api_key": ACCESS}, {"api_key": {}}, {"api_key": True},
    {"email": 5}, {"email": "a\x1bb"}, {"scopes": ["a"]}, {"login_expires_at": "x"}, {"login_expires_at": -1},
]  # fmt: skip
BAD_TOKEN_CHANGES: list[dict[str, object]] = [
    {"access_token": 5}, {"access_token": KEY}, {"access_token": []}, {"access_token": {"a": 1}},
    {"access_token": "a\nb"}, {"access_token": 0}, {"access_token": False},
    {"access_token": "", "refresh_token": REFRESH}, {"refresh_token": 5}, {"refresh_token": ["r"]},
    {"refresh_token": False}, {"refresh_token": "r\tr"}, {"expires_at": "soon"}, {"expires_at": -5},
    {"expires_at": 1e20}, {"expires_at": 10**30}, {"expires_at": True}, {"expires_at": [1]},
]  # fmt: skip
BAD_IMPORTS: list[object] = [
    *(None, True, 5, "text", {}, {"accounts": []}, [None], [5], ["x"], [[]], [{}]),
    *([GOOD_KEY | change] for change in BAD_KEY_CHANGES),
    *([GOOD_TOKEN | change] for change in BAD_TOKEN_CHANGES),
]


@pytest.mark.parametrize("data", BAD_IMPORTS, ids=range(len(BAD_IMPORTS)))
def test_malformed_imports_store_nothing_and_the_list_keeps_working(data: object) -> None:
    """IMP-01"""
    with pytest.raises(InvalidInput) as caught:
        db.import_accounts(data)
    assert len(caught.value.message) < 400
    assert db.list_accounts() == []


@pytest.mark.parametrize("number", range(0, len(BAD_IMPORTS), 7))
def test_the_same_files_end_the_import_command_cleanly(cli: Cli, home: Path, number: int) -> None:
    """IMP-02"""
    (home / "bad.json").write_text(json.dumps(BAD_IMPORTS[number]))
    assert_fails_cleanly(cli("import", str(home / "bad.json")), "bad.json", "nothing was imported")
    assert db.list_accounts() == []


@pytest.mark.parametrize("text", ["", "not json", "[" * 100_000, "\x00", "[1,", '{"a":', "\ufeff[]x"])
def test_what_is_no_json_ends_cleanly(cli: Cli, home: Path, text: str) -> None:
    (home / "bad.json").write_text(text)
    assert_fails_cleanly(cli("import", str(home / "bad.json")))
    assert_fails_cleanly(cli("import", "-", stdin=text.replace("\x00", "")))


def test_files_that_are_no_files_end_cleanly(cli: Cli, home: Path) -> None:
    """IMP-06"""
    os.mkfifo(home / "pipe")
    with open(home / "huge", "wb") as file:
        file.truncate(60 * 1024 * 1024)
    for path in ("/nowhere", str(home), str(home / "pipe"), "/dev/zero", str(home / "huge")):
        assert_fails_cleanly(cli("import", path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ENTRY = st.fixed_dictionaries(
    {"name": st.text(max_size=12) | JSON},
    optional={
        "auth_type": st.sampled_from(["api_key", "oauth"]) | JSON,
        "api_key": st.text(max_size=40) | JSON,
        "access_token": st.text(max_size=40) | JSON,
        "refresh_token": st.text(max_size=40) | JSON,
        "expires_at": st.integers() | JSON,
        "email": JSON,
    },
)


@many
@given(st.lists(ENTRY, max_size=3) | JSON)
def test_no_import_breaks_the_list(data: object) -> None:
    before = len(db.list_accounts())
    try:
        result = db.import_accounts(data)
        assert len(db.list_accounts()) == before + len(result.imported)
    except InvalidInput:
        assert len(db.list_accounts()) == before
    db.export_accounts()

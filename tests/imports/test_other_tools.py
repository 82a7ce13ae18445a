"""What other tools keep comes over: keys and setup tokens whole, of logins who it is, and why the rest does not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import other_tools
import pytest
from conftest import Cli, assert_fails_cleanly
from other_tools import access, config, key, login, refresh, tree, write

from claude_accounts import db
from claude_accounts.accounts import bindings
from claude_accounts.imports import clauth, other_database, plan, sources
from claude_accounts.messages import AccountsError, InvalidInput


class Case(NamedTuple):
    """One tool: where its folder usually lies, what writes it, what of which account comes, and who stays out why."""

    tool: str
    place: str
    write: Callable[[Path], Path]
    comes: dict[str, str]
    stays: dict[str, str]


CASES = [
    Case(
        "claude-swap",
        ".local/share/claude-swap",
        other_tools.claude_swap,
        {"a-example": "identity", "bureau": "identity", "ci": "token", "key": "api_key", "dead": "identity"},
        {"../../../e@example.com": "no name of a file", "f@example.com": "no name of a file"},
    ),
    Case(
        "ccs",
        ".ccs",
        other_tools.ccs,
        {"work": "identity", "mine": "api_key"},
        {"glm": "it goes to api.z.ai", "kimi": "a placeholder", "gemini": "a placeholder"},
    ),
    Case(
        "caam",
        ".local/share/caam",
        other_tools.caam,
        {"alice": "identity", "alone": "identity"},
        {},
    ),
    Case(
        "clauth",
        ".clauth",
        other_tools.clauth,
        {"one": "identity", "two": "token", "three": "api_key"},
        {"four": "it goes to api.deepseek.com", "five": "TOML"},
    ),
    Case(
        "claude",
        ".claude-boulot",
        lambda path: other_tools.claude_folder(path, "w"),
        {"boulot": "identity"},
        {},
    ),
]
names = pytest.mark.parametrize("case", CASES, ids=[case.tool for case in CASES])


def of(tool: str, path: Path | None = None, *, move: bool = False) -> plan.Plan:
    return plan.foresee(sources.of_tool(tool, str(path) if path else None, os.environ), move_logins=move)


def stored() -> dict[str, dict[str, object]]:
    return {entry["name"]: entry for entry in db.export_accounts(current=False)}


@names
def test_a_tool_is_found_where_it_keeps_its_own_and_nothing_is_written_there(case: Case, home: Path) -> None:
    case.write(home / case.place)
    before = tree(home / case.place)
    for found in (
        of(case.tool),
        of(case.tool, home / case.place),
        plan.foresee([sources.of_path(str(home / case.place))]),
    ):
        assert {row.name: row.brings for row in found.rows if row.will == "added"} == case.comes
        out = {row.called: row.why for row in found.rows if row.will == "left_out"}
        assert out.keys() == case.stays.keys()
        assert all(words in out[called] for called, words in case.stays.items()), out
    done = plan.carry_out(found)
    assert set(done.imported) == set(case.comes) == set(stored())
    assert tree(home / case.place) == before
    again = of(case.tool)
    assert again.count("added") == 0 and again.count("skipped") == len(case.comes), again.rows


@names
def test_no_refresh_token_comes_over_unless_the_logins_are_moved(case: Case, home: Path) -> None:
    case.write(home / case.place)
    plan.carry_out(of(case.tool))
    kept = json.dumps(stored())
    assert "sk-ant-ort" not in kept
    for name, brings in case.comes.items():
        assert bool(stored()[name].get("access_token")) == (brings == "token")
    for account in db.list_accounts():
        db.delete_account(account.id)
    moved = of(case.tool, move=True)
    plan.carry_out(moved)
    assert bool(moved.moved()) == ("identity" in case.comes.values())
    assert {name for name, entry in stored().items() if entry.get("refresh_token")} == set(moved.moved())


def test_an_identity_that_came_without_its_tokens_guards_the_sign_in(home: Path) -> None:
    """The login that is made afterwards must be this very person's."""
    other_tools.claude_folder(home / ".claude-boulot", "w")
    plan.carry_out(of("claude"))
    entry = stored()["boulot"]
    assert (entry["email"], entry["account_uuid"], entry["organization_uuid"]) == ("w@example.com", "uuid-w", "org-w")
    assert db.find_account("boulot").status() == "needs_login"


def test_a_second_import_says_how_the_login_is_made(home: Path) -> None:
    other_tools.claude_folder(home / ".claude-boulot", "w")
    plan.carry_out(of("claude"))
    for move in (False, True):
        (row,) = of("claude", move=move).rows
        assert row.will == "skipped" and row.told().endswith("claude-accounts login --new boulot")


def test_claude_swap_takes_what_is_newest_and_its_folders_come_along(home: Path) -> None:
    (home / "project").mkdir()
    other_tools.claude_swap(home / "store", folder=str(home / "project"))
    done = plan.carry_out(of("claude-swap", home / "store", move=True))
    assert stored()["bureau"]["refresh_token"] == refresh("B")
    # The login that Claude Code has now is newest there, so no copy of it is taken.
    assert stored()["a-example"]["refresh_token"] == ""
    assert done.bound == [str(home / "project")]
    nearest = bindings.nearest(str(home / "project"))
    assert nearest is not None and nearest.account_name == "bureau"


def test_what_somebody_else_signed_in_to_in_an_accounts_session_is_not_the_accounts(home: Path) -> None:
    other_tools.claude_swap(home / "store")
    session = home / "store" / "sessions" / "2-b_example.com"
    write(session / ".claude.json", config("z"))
    plan.carry_out(of("claude-swap", home / "store", move=True))
    assert stored()["bureau"]["refresh_token"] == refresh("b")


@pytest.mark.parametrize("spelt", ["project", "project/", "link", "project/../project", "gone", "\0"])
def test_a_folder_that_belongs_to_somebody_stays_theirs(home: Path, spelt: str) -> None:
    (home / "project").mkdir()
    (home / "link").symlink_to("project")
    other_tools.claude_swap(home / "store", folder=f"{home}/{spelt}")
    bindings.bind(db.add_account("mine", db.API_KEY, api_key=key("m")).id, str(home / "project"))
    foreseen = of("claude-swap", home / "store")
    assert not any(row.folders for row in foreseen.rows) and plan.carry_out(foreseen).bound == []
    nearest = bindings.nearest(str(home / "project"))
    assert nearest is not None and nearest.account_name == "mine"


def test_the_list_says_which_folders_will_belong_to_whom(cli: Cli, home: Path) -> None:
    (home / "project").mkdir()
    other_tools.claude_swap(home / "store", folder=f"{home}/project/")
    assert f"{home}/project will belong to bureau" in cli("import", str(home / "store"), "--dry-run").stderr


def test_an_export_of_claude_swap_comes_by_its_shape() -> None:
    found = plan.foresee([sources.of_value(other_tools.claude_swap_export())])
    assert [(row.name, row.brings, row.will) for row in found.rows] == [
        ("a-example", "identity", "added"),
        ("key", "api_key", "added"),
        ("c-example", "identity", "added"),
    ]
    for change, words in (
        ({"version": 2}, "newer version"),
        ({"encrypted": True}, "encrypted"),
        ({"accounts": 7}, "list"),
    ):
        with pytest.raises(InvalidInput, match=words):
            sources.of_value(other_tools.claude_swap_export() | change)


CC_SWITCH = {"anthropic-key": "k", "anthropic-again": "l", "token": "t"}
CC_SWITCH_STAYS = {
    "Claude Official": "own login",
    "Z.ai": "it goes to api.z.ai",
    "Proxy": "a placeholder",
    "Copilot": "GitHub Copilot",
    "OpenAI": "needs the proxy",
    "Bedrock": "CLAUDE_CODE_USE_BEDROCK",
    "Quoted": "a placeholder",
    "Damaged": "settings are damaged",
}


def test_whoever_has_no_name_that_can_be_kept_comes_all_the_same(home: Path) -> None:
    """Where there are several, nobody can be asked for one: too long, too short, in another script, none at all."""
    called = ["a-name-that-is-very-long-indeed-and-goes-on", "7", "\u5de5\u4f5c", "\u5bb6", ""]
    letters = "abcde"
    accounts = [
        {"alias": name, "kind": "api_key", "credentials": key(letter)}
        for name, letter in zip(called, letters, strict=True)
    ]
    for _again in range(2):
        foreseen = plan.foresee([sources.of_value({"swapVersion": "1", "accounts": accounts})])
        names = [row.name for row in foreseen.rows]
        assert names == ["a-name-that-is-very-long-indeed", *("claude-swap", "claude-swap-2"), *names[3:]]
        plan.carry_out(foreseen)
        assert len(db.list_accounts()) == 5 and len(set(names)) == 5
    assert {entry["api_key"] for entry in db.export_accounts(current=False)} == {key(letter) for letter in letters}


def test_cc_switch_is_read_while_it_is_open_and_only_a_copy_is_opened(home: Path) -> None:
    folder = home / ".cc-switch"
    with other_tools.closed(other_tools.cc_switch(folder)):
        before = tree(folder)
        assert before["cc-switch.db-wal"][1], "the test wants something in the log"
        data = (folder / "cc-switch.db").read_bytes()
        for found in (of("cc-switch"), of("cc-switch", folder / "cc-switch.db"), of("cc-switch", folder)):
            assert {row.name for row in found.rows if row.will == "added"} == set(CC_SWITCH)
            out = {row.called: row.why for row in found.rows if row.will == "left_out"}
            assert out.keys() == CC_SWITCH_STAYS.keys()
            assert all(words in out[called] for called, words in CC_SWITCH_STAYS.items()), out
        assert tree(folder) == before and (folder / "cc-switch.db").read_bytes() == data
    plan.carry_out(found)
    assert stored()["anthropic-key"]["api_key"] == key("k") and stored()["token"]["access_token"] == access("t")
    # A closed database has it all in one file, which may come over the network.
    assert len(plan.foresee([sources.of_bytes((folder / "cc-switch.db").read_bytes())]).rows) == len(found.rows)


def test_cc_switch_is_found_where_its_settings_moved_it(home: Path) -> None:
    write(home / ".local/share/com.ccswitch.desktop/app_paths.json", {"app_config_dir_override": str(home / "moved")})
    write(home / "moved" / "config.json", other_tools.cc_switch_config())
    assert [row.name for row in of("cc-switch").rows] == ["old-key", "older"]
    assert [row.name for row in plan.foresee([sources.of_value(other_tools.cc_switch_config())]).rows] == [
        "old-key",
        "older",
    ]


ENDLESS = "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n AS {} FROM c"
# What a database can hold that is named as cc-switch's table and is a program, or grows as it is read.
TRAPS = {
    "a view": ("ALTER TABLE providers RENAME TO kept", "CREATE VIEW providers AS SELECT * FROM kept"),
    "a virtual table over an endless view": (
        "DROP TABLE providers",
        "CREATE VIEW endless AS "
        + ENDLESS.format("rowid, n AS id, 'codex' AS app_type, '' AS name, '' AS settings_config, '' AS meta"),
        "CREATE VIRTUAL TABLE providers USING fts5 (id, app_type, name, settings_config, meta, content = 'endless')",
    ),
    "a column that is made when it is read": (
        "ALTER TABLE providers RENAME TO kept",
        "CREATE TABLE providers (id, app_type, name, meta, settings_config AS (hex(zeroblob(400000000))))",
        "INSERT INTO providers VALUES ('a', 'claude', 'a', '{}')",
    ),
}


@pytest.mark.parametrize("statements", TRAPS.values(), ids=TRAPS)
def test_databases_of_others_are_refused(home: Path, statements: tuple[str, ...]) -> None:
    with other_tools.closed(other_tools.cc_switch(home / "store")) as connection:
        for statement in statements:
            connection.execute(statement)
    with pytest.raises(InvalidInput, match="no database of cc-switch"):
        sources.of_path(str(home / "store" / "cc-switch.db"))


def test_a_database_that_goes_on_or_holds_too_much_is_left(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged one can lead in circles, and name the same pages a thousand times."""
    with other_tools.closed(other_tools.cc_switch(home / "store")) as connection:
        many = "INSERT INTO providers " + ENDLESS.format("id, 'codex', '', '{}', '', '{}', 0") + " LIMIT 200000"
        connection.execute(many)
        path = str(home / "store" / "cc-switch.db")
        assert any(row.called == "Damaged" for row in plan.foresee([sources.of_path(path)]).rows)
        monkeypatch.setattr(other_database, "_MOST_STEPS_IN_COPY", 100_000)
        with pytest.raises(InvalidInput, match="interrupted"):
            sources.of_path(path)
        monkeypatch.undo()
        monkeypatch.setattr(other_database, "_MOST_OF_COPY", 100)
        with pytest.raises(InvalidInput, match="too much"):
            sources.of_path(path)


def test_links_that_lead_out_of_a_tools_folder_are_left_out(home: Path) -> None:
    other_tools.claude_folder(home / "private", "p")
    other_tools.ccs(home / ".ccs")
    (home / ".ccs/instances/linked").symlink_to(home / "private")
    (home / ".ccs/stolen.settings.json").symlink_to(
        write(home / "settings.json", {"env": {"ANTHROPIC_API_KEY": key("s")}})
    )
    other_tools.claude_folder(home / ".claude-linked", "q")
    (home / ".claude-linked/.credentials.json").unlink()
    (home / ".claude-linked/.credentials.json").symlink_to(home / "private/.credentials.json")
    rows = {row.called: row for row in of("ccs").rows} | {row.called: row for row in of("claude").rows}
    for called in ("linked", "stolen"):
        assert rows[called].will == "left_out" and "leads out of its folder" in rows[called].why


def test_pipes_and_huge_files_in_a_tools_folder_hold_nobody_up(home: Path) -> None:
    other_tools.ccs(home / ".ccs")
    os.mkfifo(home / ".ccs/pipe.settings.json")
    with open(home / ".ccs/huge.settings.json", "wb") as file:
        file.truncate(5 * 1024 * 1024)
    (home / ".ccs/instances/work/.credentials.json").unlink()
    os.mkfifo(home / ".ccs/instances/work/.credentials.json")
    rows = {row.called: row for row in of("ccs").rows}
    assert "not a plain file" in rows["pipe"].why and "too large" in rows["huge"].why
    assert "not a plain file" in rows["work"].why and rows["mine"].will == "added"


@pytest.mark.parametrize("odd", ['"\\ud83d"', "NaN", '{"a": 1, "a": 2}', f'"{"x" * 5_000_000}"'])
def test_nothing_odd_in_a_history_keeps_an_account_out(home: Path, odd: str) -> None:
    """A `.claude.json` holds prompts that were cut anywhere, and grows for years; claude-swap keeps copies of it."""
    for signed_in in (True, False):
        folder = other_tools.claude_folder(home / f".claude-work{signed_in}", "w" if signed_in else "v")
        whole = json.dumps(config("w" if signed_in else "v"))
        write(folder / ".claude.json", whole[:-1] + f', "history": {odd}}}')
        if signed_in:
            write(folder / "settings.json", "{ // mine\n}")
        else:
            (folder / ".credentials.json").unlink()
    other_tools.claude_swap(home / "store")
    copied = json.dumps(config("b"))[:-1] + f', "history": {odd}}}'
    write(home / "store" / "configs" / ".claude-config-2-b@example.com.json", copied)
    assert [(row.will, row.why) for row in of("claude").rows] == [("added", "")] * 2
    assert next(row.will for row in of("claude-swap", home / "store").rows if row.name == "bureau") == "added"


def test_the_same_account_in_two_places_comes_once(home: Path) -> None:
    for place in (".claude-work", ".claude-copy", ".claude_other"):
        other_tools.claude_folder(home / place, "w" if place != ".claude_other" else "o")
    other_tools.ccs(home / ".ccs")
    found = plan.foresee(sources.discovered(os.environ))
    assert {row.name for row in found.rows if row.will == "added"} == {"work", "mine", "other"}
    assert [row.why for row in found.rows if row.will == "skipped"] == ["it is work already"] * 2


def test_what_is_claudes_own_now_and_what_is_ours_is_not_discovered(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_tools.claude_folder(home / ".claude", "a")
    write(home / ".claude-accounts" / ".credentials.json", login("b"))
    other_tools.claude_folder(home / ".claude-live", "c")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(home / ".claude-live"))
    assert sources.discovered(os.environ) == []


def test_places_follow_the_variables_of_each_tool(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value, tool, place, write_it in (
        ("XDG_DATA_HOME", "data", "claude-swap", "data/claude-swap", other_tools.claude_swap),
        ("CCS_DIR", "there", "ccs", "there", other_tools.ccs),
        ("CCS_HOME", "here", "ccs", "here/.ccs", other_tools.ccs),
        ("CAAM_HOME", "caam", "caam", "caam/data", other_tools.caam),
        (
            "CLAUDE_PROFILES_DIR",
            "profiles",
            "claude",
            "profiles/one/config",
            lambda path: other_tools.claude_folder(path, "a"),
        ),
    ):
        write_it(home / place)
        monkeypatch.setenv(variable, str(home / value))
        assert sources.of_tool(tool, None, os.environ)[0].path == str(home / place)
        monkeypatch.delenv(variable)
        with pytest.raises(AccountsError, match="nothing of"):
            sources.of_tool(tool, None, os.environ)


def test_toml_is_read_where_python_has_none_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other_tools.clauth(home / ".clauth")
    monkeypatch.setitem(__import__("sys").modules, "tomllib", None)
    pytest.importorskip("tomli")
    assert {each.called for each in clauth.found(str(home / ".clauth"))} == {"one", "two", "three", "four", "five"}


def test_the_command_lists_asks_and_imports_what_it_discovers(cli: Cli, home: Path) -> None:
    other_tools.ccs(home / ".ccs")
    other_tools.claude_swap(home / ".local/share/claude-swap")
    listed = cli("import", "--discover")
    assert listed.returncode == 0 and db.list_accounts() == []
    assert "~/.ccs" in listed.stderr and "import --discover --yes" in listed.stderr
    assert "work" in listed.stdout and "api.z.ai" in listed.stdout and "sk-ant" not in listed.stdout + listed.stderr
    done = cli("import", "--discover", "--yes", "--move-logins")
    assert done.returncode == 0 and "take these logins out of the other tool now" in done.stderr
    assert "login --new a-example" in done.stderr
    assert stored()["work"]["refresh_token"] == refresh("w")
    assert_fails_cleanly(cli("import", "--from", "clauth"), "nothing of clauth in ~/.clauth")
    assert_fails_cleanly(cli("import", "--from", "ccs", str(home / ".local/share/claude-swap")), "is not of ccs")

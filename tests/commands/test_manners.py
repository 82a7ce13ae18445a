"""How the command line behaves towards people and scripts: times, widths, misuse, mishaps, words in two languages."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import PROJECT, Cli, assert_fails_cleanly, command_line
from hypothesis import given, strategies as st
from stored import KEY
from token_endpoint import in_hours

from claude_accounts import cli as cli_module, db, messages
from claude_accounts.accounts import clocks, storage
from claude_accounts.accounts.rows import now_ms
from claude_accounts.commands import mishaps, tables
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
    change("work", last_used="\x1b[2Jyesterday", created_at="never")
    change("client", expires_at=253_402_300_799_000, login_expires_at=-5)
    for words in (["list"], ["list", "--json"], ["status", "work"], ["status", "client"], ["doctor"]):
        said = run(*words)
        assert "\x1b" not in said.out and "Traceback" not in said.err, words
        assert said.code == (1 if words == ["doctor"] else 0) or words == ["doctor"], said


# Misuse


@pytest.fixture
def work() -> db.Account:
    """Store one API key account."""
    return db.add_account("work", db.API_KEY, api_key=KEY)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("list --expiring 3", "3d, 12h or 90m"),
        ("list --expiring", "argument"),
        ("list extra", "unrecognized"),
        ("exec work", "exec NAME -- COMMAND"),
        ("exec -- true", "belongs to no account"),
        ("launch", "launch NAME"),
        ("launch --resume", "launch NAME -- --resume"),
        ("launch --resume work", "launch work -- --resume"),
        ("run -p work", "run work -- -p"),
        ("serve --port 70000", "0 to 65535"),
        ("serve --port -1", "0 to 65535"),
        ("serve --port x", "--port"),
        ("serve --trusted-host a@b", "@"),
        ("add x --token y", "--oauth"),
        ("add x --durable", "--oauth"),
        ("add other --oauth --approve", "API key"),
        ("add ../x --key -", "a-z"),
        ("rename work ../x", "a-z"),
        ("login ../x", "a-z"),
        ("update work --force", "--injected"),
        ("update work --allow-host a/b", "host"),
        ("journal --limit 0", "--limit"),
        ("refresh", "--all"),
        ("refresh work --all", "--all"),
        ("aliases --shell tcsh", "bash"),
        ("completion tcsh", "bash"),
        ("dashboard x", "reset-password"),
        ("lanch work", "did you mean launch?"),
        ("frobnicate", "claude-accounts --help"),
        ("work", "claude-accounts launch work"),
        ("__compleet", "claude-accounts --help"),
        ("list --jsn", "did you mean --json?"),
        ("--verison", "did you mean --version?"),
        ("add work " + KEY, "--help"),
        (KEY, "--help"),
    ],
)
def test_misuse_is_two_lines_with_code_2_and_says_what_to_type(
    run: Run, work: db.Account, words: str, told: str
) -> None:
    said = run(*words.split())
    assert said.code == 2 and said.out == "", said
    assert told in said.err and len(said.err.splitlines()) == 2 and "__complete" not in said.err, said.err
    assert KEY[-10:] not in said.err


@pytest.mark.parametrize(
    "words",
    [
        "export --output",
        "export --yes --force -o",
        "bind work",
        "unbind",
        "import",
        "import --dry-run",
        "import --from ccs",
        "import x.json --name",
        "serve --no-browser --tls-cert",
        "serve --no-browser --tls-key",
    ],
)
def test_an_empty_argument_is_misuse_and_never_here_or_on_the_screen(run: Run, work: db.Account, words: str) -> None:
    """As of a variable that is not set: `--output "$BACKUP"`."""
    said = run(*words.split(), "")
    assert said.code == 2 and said.out == "" and "empty" in said.err and len(said.err.splitlines()) == 2, said
    assert KEY[-10:] not in said.err and run("bindings", "--json").out.count("folder") == 0


def test_a_folder_that_is_gone_is_named_and_exec_needs_none(
    run: Run, work: db.Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for words in ("launch work", "whoami", "bind work", "unbind", "export --output x.json"):
        said = run(*words.split())
        assert said.code == 1 and "the current folder is gone" in said.err and "hint: cd" in said.err, (words, said)
    assert subprocess.run(command_line("exec", "work", "--", "/bin/sh", "-c", "exit 7"), cwd=None).returncode == 7
    assert run("list").code == 0


def test_half_a_certificate_is_misuse(run: Run) -> None:
    assert run("serve", "--no-browser", "--port", "0", "--tls-cert", "x").code == 2
    assert run("serve", "--no-browser", "--port", "0", "--tls", "--tls-cert", "x", "--tls-key", "x").code == 2


def test_a_code_of_one_is_kept_for_what_is_expiring(run: Run) -> None:
    three_kinds()
    assert run("list", "--expiring", "30d").code == 1 and run("list", "--expiring", "30j").code == 1
    assert run("list", "--expiring", "1m").code == 0


@pytest.mark.parametrize("words", ["-V", "--version"])
def test_the_version_has_a_short_option(run: Run, words: str) -> None:
    said = run(words)
    assert said.code == 0 and re.fullmatch(r"claude-accounts \d+\.\d+\.\d+\n", said.out)


def test_arguments_behind_the_name_are_claudes(work: db.Account) -> None:
    """As the first description promised."""
    assert cli_module.split_passed_on(["launch", "work", "--resume"]) == (["launch", "work"], ["--resume"])
    assert cli_module.split_passed_on(["exec", "--", "true", "--", "x"]) == (["exec"], ["true", "--", "x"])


# What is said of folders, sessions and names


def test_a_binding_says_what_it_changes_and_whoami_names_it(
    run: Run, work: db.Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.add_account("other", db.API_KEY, api_key=KEY)
    monkeypatch.chdir(tmp_path)
    said = run("bind", "work")
    assert "launch" in said.err and "bare `claude` is not touched" in said.err and "before" not in said.err
    assert "belonged to work before" in run("bind", "other", str(tmp_path)).err
    told = run("whoami")
    assert re.search(rf"This folder: {tmp_path} belongs to other", told.out)
    assert json.loads(run("whoami", "--json").out)["binding"] == {"folder": str(tmp_path), "account": "other"}
    assert run("rm", "work", "-y").err.count("bound to it") == 0
    assert f"1 folder is bound to it, and will belong to no account: {tmp_path}" in run("rm", "other", "-y").err
    assert json.loads(run("whoami", "--json").out)["binding"] is None


def test_exec_obeys_a_binding_as_launch_does(
    cli: Cli, work: db.Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.add_account("other", db.API_KEY, api_key=KEY[:-6] + "UVWXYZ")
    monkeypatch.chdir(tmp_path)
    cli("bind", "work")
    show = ["--", "printenv", "ANTHROPIC_API_KEY"]
    assert cli("exec", *show).stdout == KEY + "\n"
    assert cli("exec", "work", *show).stdout == KEY + "\n"
    refused = cli("exec", "other", *show)
    assert_fails_cleanly(refused, "belongs to work", "claude-accounts exec --force other")
    assert refused.stdout == ""
    assert cli("exec", "--force", "other", *show).stdout.endswith("UVWXYZ\n")


def test_a_name_without_an_alias_says_so_at_once(run: Run, work: db.Account) -> None:
    assert "no alias" in run("rename", "work", "accounts").err
    assert "no alias" not in run("rename", "accounts", "work").err


# French


def test_french_is_french_throughout(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    three_kinds()
    assert "options :" in run("list", "--help").out and "options:" not in run("list", "--help").out
    listed = run("list").out
    assert "dans 29 jours" in listed and "il y a 1 heure" in listed and "expiré" in listed
    found = run("doctor").out
    assert re.search(r"^ok +fichiers ", found, re.MULTILINE) and not re.search(r"^(warn|fail) ", found, re.MULTILINE)
    assert clocks.time_left(now_ms() + 47 * HOUR + MINUTE) == "1j23h"
    assert [check["name"] for check in json.loads(run("doctor", "--json").out)["checks"]][0] == "files"


def test_nobody_is_addressed_two_ways() -> None:
    familiar = re.compile(r"\b(tu|toi|ton|tes|t'[a-z]+|lance-le|utilise maintenant|ajoutes?-en|capture-la)\b", re.I)
    for file in ("locales/fr.json", "static/locales/fr.json"):
        words = json.loads((PROJECT / file).read_text()).values()
        for text in (str(word) for word in words):
            assert not familiar.search(text), text


@pytest.mark.parametrize("language", ["en_US.UTF-8", "fr_FR.UTF-8"])
def test_every_help_fits_its_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("LC_ALL", language)
    for command in (name for family in cli_module.FAMILIES.values() for name in family if name[0] != "_"):
        monkeypatch.setenv("COLUMNS", "80")
        shown = run(command, "--help")
        assert shown.code == 0 and all(len(line) <= 80 for line in shown.out.splitlines()), shown.out
        monkeypatch.setenv("COLUMNS", "20")
        assert run(command, "--help").code == 0
    monkeypatch.setenv("COLUMNS", "80")
    assert all(len(line) <= 80 for line in run("--help").out.splitlines())


def test_completion_knows_the_new_options(run: Run, work: db.Account) -> None:
    assert "--force" in run("__complete", "exec", "--").out.split()
    assert "--version" in run("__complete", "--").out.split()
    assert run("__complete", "exec", "--force", "").out.split() == ["work"]


# When something goes wrong that nobody has thought of


def fails_with(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises."""

    def fail(*_given: object) -> Any:
        raise error

    return fail


def endless() -> Any:
    """Call itself until Python gives up."""
    return endless()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (fails_with(KeyError(KEY)), "KeyError"),
        (fails_with(ZeroDivisionError("x\n" * 50)), "ZeroDivisionError"),
        (fails_with(UnicodeDecodeError("utf-8", b"\xff" + KEY.encode(), 0, 1, "bad")), "UnicodeDecodeError"),
        (fails_with(MemoryError()), "not enough memory"),
        (fails_with(ImportError(f"cannot import name '{KEY}'", name="claude_accounts.x")), "installation is damaged"),
        (endless, "RecursionError"),
    ],
)
def test_what_nobody_has_thought_of_is_two_lines_and_no_secret(
    run: Run, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., Any], told: str
) -> None:
    monkeypatch.setattr(db, "list_accounts", fault)
    said = run("list")
    assert said.code == 1 and said.out == "" and told in said.err and len(said.err.splitlines()) <= 2, said.err
    assert "Traceback" not in said.err and KEY not in said.err
    for words in (["--debug", "list"], ["list", "--debug"]):
        debugged = run(*words)
        assert debugged.code == 1 and "Traceback" in debugged.err and KEY[20:] not in debugged.err
    monkeypatch.setenv("CLAUDE_ACCOUNTS_DEBUG", "1")
    assert "Traceback" in run("list").err


def test_a_typed_secret_of_any_shape_is_in_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hunter2-is-no-key"
    monkeypatch.setattr(db, "refuse_taken_name", fails_with(RuntimeError(f"given {secret} and {TOKEN}")))
    said = run("--debug", "add", "work", "--key", secret)
    assert "RuntimeError" in said.err and secret not in said.err and TOKEN not in said.err


@pytest.mark.parametrize(
    "words",
    [
        ("add", "{}"),
        ("add", "work", "{}"),
        ("status", "{}"),
        ("launch", "{}"),
        ("exec", "{}", "--", "true"),
        ("check", "{}"),
        ("refresh", "{}"),
        ("remove", "{}", "--yes"),
        ("bind", "{}"),
        ("rename", "work", "{}"),
        ("import", "{}"),
        ("import", "--from", "{}"),
        ("export", "--output", "/gone/{}"),
        ("list", "--expiring", "{}"),
    ],
)
def test_a_key_in_the_place_of_another_word_is_not_repeated(run: Run, work: db.Account, words: tuple[str, ...]) -> None:
    for before in ([], ["--debug"]):
        said = run(*before, *(word.format(KEY) for word in words))
        assert said.code and "sk-ant-..." in said.err and KEY[20:] not in said.err + said.out, said.err


def test_debug_behind_a_name_is_claudes() -> None:
    assert cli_module._without_debug(["launch", "work", "--debug"]) == (["launch", "work", "--debug"], False)
    assert cli_module._without_debug(["launch", "--debug", "work", "--debug"]) == (["launch", "work", "--debug"], True)
    assert cli_module._without_debug(["exec", "--debug", "--", "x"]) == (["exec", "--", "x"], True)


def test_debug_shows_where_an_ordinary_error_came_from(run: Run) -> None:
    said = run("--debug", "status", "nobody")
    assert (
        said.code == 1 and "NotFound" in said.err and said.err.rstrip().splitlines()[-1].startswith("claude-accounts")
    )


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `CA` is the command line."""
    line = line.replace("CA", shlex.join(command_line()))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("CA list >&-", 1, "cannot write the output"),
        ("CA list >/dev/full", 1, "cannot write the output: No space left"),
        ("CA --help >/dev/full", 1, "cannot write the output"),
        ("CA list --json >/dev/full 2>/dev/full", 1, ""),
        ("CA status nobody 2>&-", 1, ""),
        ("CA status nobody 2>/dev/full", 1, ""),
        ("CA list <&- >&- 2>&-", 1, ""),
        ("CA add other <&-", 1, "no terminal to ask on"),
        ("CA rename work third 2>&- <&-", 0, ""),
        ("CA exec work -- ls / >&-", 2, "Bad file descriptor"),
        ("PYTHONUNBUFFERED=1 CA list >/dev/full", 1, "cannot write the output: No space left"),
        ("PYTHONUNBUFFERED=1 CA list --help >/dev/full", 1, "cannot write the output: No space left"),
        ("LC_ALL=fr_FR.ISO-8859-1 PYTHONIOENCODING=ascii PYTHONUTF8=0 CA bindings", 0, ""),
        ("LC_ALL=POSIX COLUMNS=20 CA doctor", None, ""),
    ],
)
def test_no_stream_is_too_broken(work: db.Account, line: str, code: int | None, told: str) -> None:
    done = shell(line)
    assert code in (None, done.returncode), done
    assert told in done.stderr and "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert db.list_accounts()


def test_a_broken_installation_is_one_line(tmp_path: Path, home: Path) -> None:
    copy = tmp_path / "copy"
    (copy / "commands").mkdir(parents=True)
    for path in PROJECT.iterdir():
        if path.name not in ("commands", "cli.py"):
            (copy / path.name).symlink_to(path)
    for path in (PROJECT / "commands").glob("*.py"):
        (copy / "commands" / path.name).symlink_to(path)
    (copy / "cli.py").write_text((PROJECT / "cli.py").read_text())

    def said() -> str:
        line = [sys.executable, str(copy / "cli.py"), "list"]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and done.stdout == "", done
        assert "Traceback" not in done.stderr and done.stderr.startswith("claude-accounts: error: "), done.stderr
        return done.stderr

    (copy / "commands" / "accounts.py").unlink()
    assert "installation is damaged" in said()
    (copy / "commands" / "accounts.py").write_text("def broken(:\n")
    assert "installation is damaged" in said()
    (copy / "messages.py").unlink()
    assert "installation is damaged" in said()


def test_a_thread_that_fails_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    mishaps.watch([], debug=False)
    thread = threading.Thread(target=fails_with(KeyError(KEY)))
    thread.start()
    thread.join()
    told = capsys.readouterr().err
    assert "KeyError" in told and len(told.splitlines()) == 1 and KEY not in told

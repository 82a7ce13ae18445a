"""The first use of an API key: what is written into Claude Code's own file, and that nothing else in it moves."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import NAMED, Cli, write_program
from hypothesis import example, given, settings, strategies as some

from claude_accounts.claude import json_text, program as claude_code, store_locks
from claude_accounts.claude.key_approval import APPROVED, REJECTED, UNKNOWN, approve, edited, ensure, state
from claude_accounts.messages import InvalidInput, RivalCredential, StorageFailed, StoreBusy

KEY = "sk-ant-api03-" + "k" * 40 + "0123456789abcdefghij"
TAIL = "0123456789abcdefghij"
FIRST = '"customApiKeyResponses":{"approved":["' + TAIL + '"],"rejected":[]}'


@pytest.fixture
def file(home: Path) -> Path:
    """Return the path of Claude Code's `.claude.json`, which is not there yet."""
    return home / ".claude.json"


def lock_of(file: Path) -> Path:
    """Return Claude Code's lock of the file."""
    return Path(os.path.realpath(file) + ".lock")


def left_beside(file: Path) -> list[str]:
    """Return what lies in the folder besides the file."""
    return sorted(path.name for path in file.parent.iterdir() if path.name != file.name)


# What the file says of a key


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, UNKNOWN),
        ("", UNKNOWN),
        ("{}", UNKNOWN),
        ('{"customApiKeyResponses": {"approved": ["TAIL"]}}', APPROVED),
        ('\ufeff{"customApiKeyResponses": {"approved": ["TAIL"]}}', APPROVED),
        ('{"customApiKeyResponses": {"rejected": ["x", "TAIL"]}}', REJECTED),
        ('{"customApiKeyResponses": {"approved": ["TAIL"], "rejected": ["TAIL"]}}', REJECTED),
        ('{"customApiKeyResponses": {"approved": 3, "rejected": ["TAIL"]}}', REJECTED),
        ('{"customApiKeyResponses": {"approved": "TAIL"}}', UNKNOWN),
        ('{"customApiKeyResponses": {"approved": ["KEY"]}}', UNKNOWN),
        ('{"customApiKeyResponses": 3}', UNKNOWN),
        ('{"customApiKeyResponses": {"approved": ["TAIL"]}', UNKNOWN),
        ('["customApiKeyResponses"]', UNKNOWN),
    ],
)
def test_the_state_is_read_off_the_last_twenty_characters(file: Path, content: str | None, said: str) -> None:
    if content is not None:
        file.write_text(content.replace("TAIL", TAIL).replace("KEY", KEY))
    assert state(str(file), KEY) == said
    assert left_beside(file) == [] and file.exists() == (content is not None)


def test_a_short_key_stands_for_itself(file: Path) -> None:
    approve(str(file), "short")
    assert json.loads(file.read_text())["customApiKeyResponses"]["approved"] == ["short"]
    assert state(str(file), "short") == APPROVED and state(str(file), "ort") == UNKNOWN


# Every other byte stays


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "{FIRST}"),
        (" \r\n", " \r\n{FIRST}"),
        ("\ufeff", "\ufeff{FIRST}"),
        ("{}", "{FIRST}"),
        ("{\n}\n", "{FIRST\n}\n"),
        ('\ufeff{"a":1}', '\ufeff{"a":1,FIRST}'),
        ('{"a":1e2,"a":1.0}', '{"a":1e2,"a":1.0,FIRST}'),
        ('{\r\n  "é\\u00e9": "\\/"\r\n}', '{\r\n  "é\\u00e9": "\\/",\r\n  SPACED\r\n}'),
        ('{"customApiKeyResponses":{}}', '{"customApiKeyResponses":{"approved":["TAIL"]}}'),
        (
            '{"customApiKeyResponses": {"rejected": [] } }',
            '{"customApiKeyResponses": {"rejected": [],"approved": ["TAIL"] } }',
        ),
        (
            '{"customApiKeyResponses":{"approved":["x"]},"b":2}',
            '{"customApiKeyResponses":{"approved":["x","TAIL"]},"b":2}',
        ),
        (
            '{\n "customApiKeyResponses": {\n  "approved": [\n   "x"\n  ]\n }\n}',
            '{\n "customApiKeyResponses": {\n  "approved": [\n   "x",\n   "TAIL"\n  ]\n }\n}',
        ),
        (
            '{"customApiKeyResponses":{"approved":["TAIL"],"approved":[]},"z":0}',
            '{"customApiKeyResponses":{"approved":["TAIL"],"approved":["TAIL"]},"z":0}',
        ),
        (
            '{"customApiKeyResponses":{"approved":[]},"customApiKeyResponses":{"x":1}}',
            '{"customApiKeyResponses":{"approved":[]},"customApiKeyResponses":{"x":1,"approved":["TAIL"]}}',
        ),
        (
            '{"custom\\u0041piKeyResponses":{"\\u0061pproved":[ ]}}',
            '{"custom\\u0041piKeyResponses":{"\\u0061pproved":["TAIL" ]}}',
        ),
        (
            '{"x":{"customApiKeyResponses":{"approved":[]}},"y":"\\"customApiKeyResponses\\":{"}',
            '{"x":{"customApiKeyResponses":{"approved":[]}},"y":"\\"customApiKeyResponses\\":{",FIRST}',
        ),
        (
            '{"customApiKeyResponses":{"approved":["TAIL"],"rejected":["TAIL"]}}',
            '{"customApiKeyResponses":{"approved":["TAIL"],"rejected":[]}}',
        ),
        (
            '{"customApiKeyResponses":{"approved":["TAIL"],"rejected":["TAIL", "a", "TAIL" ,\n"TAIL", "b"]}}',
            '{"customApiKeyResponses":{"approved":["TAIL"],"rejected":["a", "b"]}}',
        ),
        (
            '{"customApiKeyResponses":{"rejected":"TAIL","approved":["TAIL"]}}',
            '{"customApiKeyResponses":{"rejected":"TAIL","approved":["TAIL"]}}',
        ),
    ],
)
def test_only_the_needed_piece_of_text_changes(file: Path, before: str, after: str) -> None:
    spaced = FIRST.replace(":", ": ").replace(',"', ', "')
    wanted = after.replace("SPACED", spaced).replace("FIRST", FIRST).replace("TAIL", TAIL)
    if wanted.strip("\ufeff \r\n").startswith('"'):
        wanted = wanted.replace(FIRST, "{" + FIRST + "}")
    file.write_bytes(before.replace("TAIL", TAIL).encode())
    assert approve(str(file), KEY, even_rejected=True) == APPROVED
    assert file.read_bytes().decode() == wanted
    assert left_beside(file) == []


words = some.sampled_from(
    ["customApiKeyResponses", "approved", "rejected", TAIL, "a", 'é"\\', "\n", "\ud83e\udd89", ":{[,", ""]
)
values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
tails = some.lists(some.sampled_from([TAIL, "x", "y", 3, None]), max_size=4)
responses = some.fixed_dictionaries({}, optional={"approved": tails, "rejected": tails, "more": values})
objects = some.dictionaries(words, values, max_size=4)


def loads_all(text: str) -> list[tuple[str, Any]]:
    """Return the members of the outermost object in their order, doubled keys too."""
    found: list[tuple[str, Any]] = json.JSONDecoder(object_pairs_hook=list).decode(text)
    return found


@settings(max_examples=400, deadline=None)
@given(
    whole=objects.map(lambda found: {key: found[key] for key in found if key != "customApiKeyResponses"}),
    lists=some.none() | responses,
    doubled=some.none() | responses,
    indent=some.sampled_from([None, 0, 1, 2, "\t"]),
    separators=some.sampled_from([None, (",", ":"), (" , ", " : ")]),
    newline=some.sampled_from(["\n", "\r\n"]),
    around=some.sampled_from([("", ""), ("\ufeff", ""), ("\n ", " \r\n"), ("", "\n")]),
    ascii_only=some.booleans(),
)
@example({}, None, None, None, None, "\n", ("", ""), True)
def test_no_text_changes_but_in_the_two_lists(
    whole: dict[str, Any],
    lists: dict[str, Any] | None,
    doubled: dict[str, Any] | None,
    indent: int | str | None,
    separators: tuple[str, str] | None,
    newline: str,
    around: tuple[str, str],
    ascii_only: bool,
) -> None:
    def written(value: dict[str, Any]) -> str:
        return json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only).replace("\n", newline)

    text = written({"customApiKeyResponses": lists} | whole if lists is not None else whole)
    if doubled is not None:
        # The last of two counts, and the first stays as it is.
        rest = written({"customApiKeyResponses": doubled})[1:]
        text = text.rstrip()[:-1].rstrip() + ("," if len(whole) + (lists is not None) else "") + rest
    text = around[0] + text + around[1]
    before, after = text.removeprefix("\ufeff"), edited(text, KEY)
    changed = after.removeprefix("\ufeff")
    assert (after[0] == "\ufeff") == (text[0] == "\ufeff")

    wanted = json.loads(before)
    said = wanted.setdefault("customApiKeyResponses", {"approved": [TAIL], "rejected": []})
    said.setdefault("approved", [TAIL])
    if TAIL not in said["approved"]:
        said["approved"].append(TAIL)
    if "rejected" in said:
        said["rejected"] = [each for each in said["rejected"] if each != TAIL]
    assert json.loads(changed) == wanted and list(json.loads(changed)) == list(wanted)

    was_rejected = TAIL in (doubled if doubled is not None else lists or {}).get("rejected", [])
    if not was_rejected:
        # One piece was put in; without it the text is what it was.
        length = len(after) - len(text)
        start = len(os.path.commonprefix([text, after]))
        assert any(after[:at] + after[at + length :] == text for at in range(start, max(-1, start - length) - 1, -1))
    outside = [part for part in loads_all(before) if part[0] != "customApiKeyResponses"]
    assert [part for part in loads_all(changed) if part[0] != "customApiKeyResponses"] == outside
    assert edited(after, KEY) == after


@settings(max_examples=300, deadline=None)
@given(some.text(alphabet='{}[]:,"\\ \n1aé\ufeff', max_size=30) | objects.map(json.dumps))
def test_any_text_has_parts_or_is_refused(text: str) -> None:
    try:
        found = json_text.find(text, ("customApiKeyResponses", "approved"))
    except ValueError:
        with pytest.raises(ValueError):
            json.loads(text)
        return
    try:
        whole = json.loads(text)
    except ValueError:
        return
    said = whole.get("customApiKeyResponses") if isinstance(whole, dict) else None
    there = isinstance(said, dict) and "approved" in said
    wanted = said["approved"] if isinstance(said, dict) and there else None
    assert (found is not None) == there and (not found or found.value == wanted)


# What is left alone


ODD_FILES: list[tuple[Callable[[Path], object], str]] = [
    (os.mkfifo, "plain file"),
    (Path.mkdir, "plain file"),
    (lambda path: path.symlink_to(path), "symbolic links"),
    (lambda path: path.write_text("{"), "not JSON"),
    (lambda path: path.write_text('{"a": 1} x'), "not JSON"),
    (lambda path: path.write_text('{"a": NaN}'), "not JSON"),
    (lambda path: path.write_text('{"a": "\n"}'), "not JSON"),
    (lambda path: path.write_text("[" * 200_000), "not JSON"),
    (lambda path: path.write_bytes(b'{"a": "\xff"}'), "not JSON"),
    (lambda path: path.write_bytes('{"a": 1}'.encode("utf-16")), "not JSON"),
    (lambda path: path.write_bytes(b"\0" * 100), "not JSON"),
    (lambda path: path.write_text("[]"), "not a JSON object"),
    (lambda path: path.write_text('{"customApiKeyResponses": 3}'), "damaged"),
    (lambda path: path.write_text('{"customApiKeyResponses": null}'), "damaged"),
    (lambda path: path.write_text('{"customApiKeyResponses": {"approved": "x"}}'), "damaged"),
]


@pytest.mark.parametrize(("make", "reason"), ODD_FILES)
def test_a_file_that_is_not_understood_is_left_alone_and_told(
    file: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(file)
    status = os.lstat(file)
    content = file.read_bytes() if stat.S_ISREG(status.st_mode) else b""
    with pytest.raises(InvalidInput, match=reason) as refused:
        approve(str(file), KEY)
    assert str(file) in refused.value.message
    standing, (notice,) = ensure(str(file), KEY, wished=True)
    assert standing == UNKNOWN and str(file) in notice and TAIL not in notice
    after = os.lstat(file)
    assert (after.st_ino, after.st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    assert content == (file.read_bytes() if stat.S_ISREG(status.st_mode) else b"")
    assert left_beside(file) == []


# How it is written


def test_a_new_file_is_its_owners_alone_and_one_that_is_there_keeps_its_mode(file: Path) -> None:
    approve(str(file), KEY)
    assert file.read_text() == "{" + FIRST + "}" and stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("{}")
    file.chmod(0o640)
    approve(str(file), KEY)
    assert state(str(file), KEY) == APPROVED and stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_configuration_folder_of_ones_own_is_made_and_home_keeps_its_mode(home: Path) -> None:
    home.chmod(0o755)
    own = home / "own" / "folder"
    approve(str(own / ".claude.json"), KEY)
    assert state(str(own / ".claude.json"), KEY) == APPROVED and stat.S_IMODE(own.stat().st_mode) == 0o700
    approve(str(home / ".claude.json"), KEY)
    assert stat.S_IMODE(home.stat().st_mode) == 0o755


def test_a_link_stays_one_and_its_target_is_locked_and_written(
    home: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_locks, "_FILE_SECONDS", 0.3)
    real = tmp_path / "dotfiles" / "claude.json"
    real.parent.mkdir()
    real.write_text('{"a":1}')
    file.symlink_to(real)
    lock_of(file).mkdir()
    assert lock_of(file) == Path(f"{real}.lock")
    with pytest.raises(StoreBusy):
        approve(str(file), KEY)
    lock_of(file).rmdir()
    approve(str(file), KEY)
    assert file.is_symlink() and real.read_text() == '{"a":1,' + FIRST + "}"
    assert left_beside(real) == [] and left_beside(file) == []


def test_an_approved_key_is_not_written_again(file: Path) -> None:
    approve(str(file), KEY)
    status = file.stat()
    approve(str(file), KEY)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)


def test_a_rejected_key_stays_rejected_unless_that_is_meant(file: Path) -> None:
    file.write_text('{"customApiKeyResponses":{"approved":[],"rejected":["x","' + TAIL + '"]}}')
    before = file.read_bytes()
    assert approve(str(file), KEY) == REJECTED and file.read_bytes() == before
    assert approve(str(file), KEY, even_rejected=True) == APPROVED
    assert json.loads(file.read_text()) == {"customApiKeyResponses": {"approved": [TAIL], "rejected": ["x"]}}


def test_the_lock_of_a_living_client_is_respected(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_locks, "_FILE_SECONDS", 0.3)
    file.write_text('{"a":1}')
    lock = lock_of(file)
    lock.mkdir()
    moment = time.time() - 50
    os.utime(lock, (moment, moment))
    with pytest.raises(StoreBusy, match="writing this file right now"):
        approve(str(file), KEY)
    assert file.read_text() == '{"a":1}' and lock.is_dir()
    standing, (notice,) = ensure(str(file), KEY, wished=True)
    assert standing == UNKNOWN and str(lock) in notice


def test_the_lock_of_a_dead_client_is_taken_over(file: Path) -> None:
    lock_of(file).mkdir()
    moment = time.time() - 65
    os.utime(lock_of(file), (moment, moment))
    approve(str(file), KEY)
    assert state(str(file), KEY) == APPROVED and left_beside(file) == []


def _approve_many(path: str, number: int) -> None:
    for turn in range(10):
        while True:
            try:
                approve(path, f"{number:02}-{turn:02}-key-of-twenty-c")
                break
            except StoreBusy:
                continue


def test_two_processes_at_once_lose_nothing(file: Path) -> None:
    file.write_text('{\n  "numStartups": 1.0,\n  "projects": {}\n}')
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_approve_many, args=(str(file), number)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    approved = json.loads(file.read_text())["customApiKeyResponses"]["approved"]
    assert len(approved) == len(set(approved)) == 20
    assert file.read_text().startswith('{\n  "numStartups": 1.0,\n  "projects": {},\n  "custom')
    assert left_beside(file) == []


def test_a_full_disk_leaves_the_old_file_and_no_lock(file: Path) -> None:
    file.write_text(json.dumps({"a": "x" * 5000}))
    before = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageFailed, match="cannot write"):
            approve(str(file), KEY)
        standing, (notice,) = ensure(str(file), KEY, wished=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert standing == UNKNOWN and "cannot write" in notice
    assert file.read_bytes() == before and left_beside(file) == []


# Whom it is asked


def test_a_key_is_approved_only_when_that_was_wished(file: Path) -> None:
    assert ensure(str(file), KEY, wished=False) == (UNKNOWN, []) and not file.exists()
    standing, (notice,) = ensure(str(file), KEY, wished=True)
    assert standing == APPROVED and str(file) in notice
    assert ensure(str(file), KEY, wished=True) == (APPROVED, [])


@pytest.mark.parametrize("wished", [False, True])
def test_a_refused_key_is_used_only_after_a_yes(file: Path, wished: bool) -> None:
    file.write_text(json.dumps({"customApiKeyResponses": {"approved": [], "rejected": [TAIL]}}))
    before, asked = file.read_bytes(), list[str]()

    def answer(yes: bool) -> Callable[[str], bool]:
        def ask(question: str) -> bool:
            asked.append(question)
            return yes

        return ask

    assert ensure(str(file), KEY, wished=wished) == (REJECTED, [])
    assert ensure(str(file), KEY, wished=wished, ask=answer(False)) == (REJECTED, [])
    assert file.read_bytes() == before and len(asked) == 1 and "told not to" in asked[0]
    standing, _notices = ensure(str(file), KEY, wished=wished, ask=answer(True))
    assert standing == APPROVED == state(str(file), KEY)
    # Nobody is asked about a key that is approved.
    ensure(str(file), KEY, wished=wished, ask=answer(True))
    assert len(asked) == 2


# At a launch


def prepare(home: Path, *arguments: str, approve: bool = True, **environ: str) -> claude_code.Launch:
    """Plan a launch with the key."""
    return claude_code.prepare_launch(
        "work",
        {"ANTHROPIC_API_KEY": KEY},
        list(arguments),
        cwd=str(home),
        environ=dict(os.environ) | environ,
        managed_folder=str(home / "managed"),
        approve=approve,
    )


@pytest.fixture
def claude(program_folder: Path) -> Path:
    """Put a claude on PATH that says how the key stands."""
    return write_program(program_folder / "claude", NAMED + 'cat "$HOME/.claude.json" 2>/dev/null || echo nothing\n')


def log_in(home: Path) -> None:
    """Let somebody be signed in to Claude Code."""
    (home / ".claude").mkdir()
    login = {"accessToken": "sk-ant-oat01-somebody", "refreshToken": "sk-ant-ort01-somebody", "scopes": []}
    (home / ".claude" / ".credentials.json").write_text(json.dumps({"claudeAiOauth": login}))


def test_a_wished_key_is_approved_before_claude_starts_and_nothing_is_hidden(
    home: Path, file: Path, claude: Path
) -> None:
    log_in(home)
    planned = prepare(home)
    assert state(str(file), KEY) == APPROVED and "CLAUDE_SECURESTORAGE_CONFIG_DIR" not in planned.env
    assert not any("answer Yes" in notice or TAIL in notice for notice in planned.notices)
    assert "trust" not in file.read_text().lower() and "projects" not in file.read_text()


@pytest.mark.parametrize("arguments", [["-p", "hi"], ["mcp", "list"], ["--version"]])
def test_where_claude_asks_nothing_nothing_is_written(
    home: Path, file: Path, claude: Path, arguments: list[str]
) -> None:
    prepare(home, *arguments)
    assert not file.exists()


def test_the_approval_follows_the_configuration_folder(home: Path, file: Path, claude: Path) -> None:
    prepare(home, CLAUDE_CONFIG_DIR=str(home / "own"))
    assert state(str(home / "own" / ".claude.json"), KEY) == APPROVED and not file.exists()


@pytest.mark.parametrize("entrypoint", ["claude-vscode", "claude-desktop", "local-agent"])
@pytest.mark.parametrize(
    "arguments", [["--input-format", "stream-json"], ["-p", "--verbose", "--input-format=stream-json"]]
)
def test_where_claude_would_not_ask_the_key_is_approved_and_no_other_login_is_in_reach(
    home: Path, file: Path, claude: Path, entrypoint: str, arguments: list[str]
) -> None:
    log_in(home)
    guard = "CLAUDE_SECURESTORAGE_CONFIG_DIR"
    planned = prepare(home, *arguments, approve=False, CLAUDE_CODE_ENTRYPOINT=entrypoint)
    assert not file.exists() and os.listdir(planned.env[guard]) == []
    said = "\n".join(planned.notices)
    assert "claude-accounts update --approve work" in said and "answer Yes" not in said
    planned = prepare(home, *arguments, CLAUDE_CODE_ENTRYPOINT=entrypoint)
    assert state(str(file), KEY) == APPROVED and os.listdir(planned.env[guard]) == []
    assert guard not in prepare(home, "mcp", "list", CLAUDE_CODE_ENTRYPOINT=entrypoint).env


def test_where_claude_would_not_ask_the_key_of_a_console_login_is_no_substitute(
    home: Path, file: Path, claude: Path
) -> None:
    file.write_text('{\n"primaryApiKey": "sk-other"}')
    with pytest.raises(RivalCredential, match="primaryApiKey would be used instead of work") as refused:
        prepare(home, "--input-format", "stream-json", approve=False, CLAUDE_CODE_ENTRYPOINT="claude-vscode")
    assert f"{file}:2" in refused.value.message and "sk-other" not in refused.value.message
    prepare(home, "--input-format", "stream-json", CLAUDE_CODE_ENTRYPOINT="claude-vscode")
    assert state(str(file), KEY) == APPROVED


def test_other_entrypoints_change_nothing(home: Path, file: Path, claude: Path) -> None:
    prepare(home, "-p", "hi", CLAUDE_CODE_ENTRYPOINT="sdk-ts")
    assert not file.exists()


def test_a_launch_that_is_refused_approves_nothing(home: Path, file: Path, claude: Path) -> None:
    (home / "managed").mkdir()
    (home / "managed" / "managed-settings.json").write_text(json.dumps({"env": {"ANTHROPIC_API_KEY": "another"}}))
    with pytest.raises(RivalCredential):
        prepare(home)
    assert not file.exists()


def test_the_stored_wish_reaches_the_launch(cli: Cli, file: Path, claude: Path) -> None:
    cli("add", "asked", "--key", "-", stdin=KEY)
    assert cli("launch", "asked").stdout == "nothing\n" and not file.exists()
    cli("update", "asked", "--approve")
    launched = cli("launch", "asked")
    assert launched.stdout == "{" + FIRST + "}" and str(file) in launched.stderr
    assert KEY not in launched.stderr and TAIL not in launched.stderr


def test_a_rejected_key_without_a_terminal_is_told_and_stays(cli: Cli, file: Path, claude: Path) -> None:
    cli("add", "work", "--key", "-", "--approve", stdin=KEY)
    file.write_text(json.dumps({"customApiKeyResponses": {"rejected": [TAIL]}}))
    before = file.read_bytes()
    launched = cli("launch", "work", stdin="y\n")
    assert launched.returncode == 0 and "told not to use" in launched.stderr and file.read_bytes() == before

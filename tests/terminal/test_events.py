"""Claims about the web terminal as its clients see it: real server, real sockets, real programs."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import NAMELESS, write_program
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from terminal_server import Client, Server, terminal_server, wait_until
from warm import DEADLINE

from claude_accounts import db
from claude_accounts.accounts import sessions as running_sessions
from claude_accounts.terminal.process import Terminal
from claude_accounts.terminal.terminals import Terminals


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with terminal_server() as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    connected = Client(server)
    yield connected
    connected.close()


@pytest.fixture
def account(home: Path) -> str:
    return db.add_account("perso", "api_key", api_key="sk-ant-api03-not-a-real-key-0000000001").id


def fake_claude(folder: Path, script: str) -> None:
    write_program(folder / "claude", NAMELESS + script)


def test_plain_client_talks_to_claude(program_folder: Path, client: Client, account: str) -> None:
    fake_claude(program_folder, 'stty -echo; echo ready; read line; echo "got $line as $CLAUDE_ACCOUNT"; exit 3')
    client.emit("start_terminal", {"account_id": account})
    client.wait("terminal_started")
    client.wait_for_output("ready")
    client.emit("terminal_input", {"data": "héllo\r"})
    client.wait_for_output("got héllo as perso")
    assert client.wait("terminal_exit")["exit_code"] == 3


def test_terminal_is_no_child_of_the_session_that_started_the_server(
    program_folder: Path, server: Server, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("CLAUDECODE", "CLAUDE_CODE_CHILD_SESSION", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SSE_PORT", "AI_AGENT")
    for name in (*names, "CLAUDE_CODE_SDK_HAS_OAUTH_REFRESH", "MINE"):
        monkeypatch.setenv(name, "of-another")
    fake_claude(program_folder, "env | grep of-another")
    for arguments in ([], ["-p", "hi"]):
        client = Client(server)
        client.start(account, args=arguments)
        client.wait("terminal_exit")
        assert str(client.output()).split() == ["MINE=of-another"]
        client.close()


def test_output_arrives_whole_before_the_exit(program_folder: Path, server: Server, account: str) -> None:
    fake_claude(program_folder, "head -c 2000000 /dev/zero | tr '\\0' x; printf THE_END")
    for _round in range(5):
        client = Client(server)
        client.start(account)
        client.wait("terminal_exit")
        assert client.output() == "x" * 2_000_000 + "THE_END"
        assert [name for name, _payload in client.events if name != "terminals_changed"][-1] == "terminal_exit"
        client.close()


PIECES: dict[str, dict[str, bool]] = {"plain": {}, "binary": {"binary": True}, "acknowledging": {"ack": True}}


@pytest.mark.parametrize("options", PIECES.values(), ids=PIECES.keys())
def test_ten_megabytes_arrive_intact(
    program_folder: Path, server: Server, account: str, tmp_path: Path, options: dict[str, bool]
) -> None:
    line = '\x1b[38;5;42m│ 日本語 😀 └─┘ \\ " plain\x1b[0m\r\n'
    whole = line * (10_000_000 // len(line.encode()))
    (tmp_path / "stream").write_bytes(whole.encode())
    fake_claude(program_folder, f"stty raw -echo; cat {tmp_path / 'stream'}")
    client = Client(server, ack="ack" in options)
    client.start(account, **options)
    client.wait("terminal_exit", seconds=120)
    output = client.output()
    text = output.decode() if isinstance(output, bytes) else output
    assert hashlib.sha256(text.encode()).digest() == hashlib.sha256(whole.encode()).digest()
    client.close()


@pytest.mark.parametrize("split", [1, 2, 3])
def test_character_split_between_writes_stays_one(
    program_folder: Path, client: Client, account: str, split: int
) -> None:
    first, rest = "😀".encode()[:split], "😀".encode()[split:]
    octal = ["".join(f"\\{byte:03o}" for byte in part) for part in (first, rest)]
    fake_claude(program_folder, f"stty -echo; printf 'a{octal[0]}'; read line; printf '{octal[1]}b'; read line")
    client.start(account)
    client.wait_for_output("a")
    client.emit("terminal_input", {"data": "\r"})
    assert client.wait_for_output("b").strip() == "a😀b"


def test_bytes_that_are_no_text_reach_a_plain_client_as_replacements(
    program_folder: Path, client: Client, account: str
) -> None:
    fake_claude(program_folder, "printf '<\\377>'; printf '\\360\\237'")
    client.start(account)
    client.wait("terminal_exit")
    assert client.output() == "<�>�"


def test_two_terminals_share_a_connection(program_folder: Path, client: Client, account: str) -> None:
    fake_claude(program_folder, 'stty -echo; echo ready $1; while read line; do echo "$1: $line"; done')
    first = client.start(account, args=["one"])["terminal_id"]
    second = client.start(account, args=["two"])["terminal_id"]
    client.wait_for_output("ready one", first)
    client.wait_for_output("ready two", second)
    client.emit("terminal_input", {"terminal_id": first, "data": "hello\r"})
    client.emit("terminal_input", {"terminal_id": second, "data": "world\r"})
    client.wait_for_output("one: hello", first)
    client.wait_for_output("two: world", second)


def test_arguments_folder_size_and_credential_are_those_of_launch(
    program_folder: Path, client: Client, account: str, tmp_path: Path
) -> None:
    folder = tmp_path / "it's a folder; $(true)"
    folder.mkdir()
    fake_claude(program_folder, 'printf "<%s>" "$@"; pwd; stty size; env | sort; printf THE~END')
    client.start(account, args=["--resume", "a b", "$(id)"], cwd=str(folder), rows=33, cols=99)
    output = client.wait_for_output("THE~END").replace("\r", "")
    assert output.startswith("<--resume><a b><$(id)>")
    assert f"{folder}\n33 99\n" in output
    assert "ANTHROPIC_API_KEY=sk-ant-api03-not-a-real-key-0000000001\n" in output
    assert "CLAUDE_ACCOUNT=perso\n" in output
    assert "TERM=xterm-256color\n" in output
    assert "COLORTERM=truecolor\n" in output
    wait_until(lambda: [path for _account, path in running_sessions.recent_folders()] == [str(folder)])


def test_server_terminal_and_rivals_are_not_inherited(
    program_folder: Path, monkeypatch: pytest.MonkeyPatch, account: str, home: Path
) -> None:
    names = ["TMUX", "STY", "TERM_PROGRAM", "VSCODE_PID", "CLAUDECODE", "ANTHROPIC_AUTH_TOKEN", "COLUMNS"]
    for name in names:
        monkeypatch.setenv(name, "inherited")
    fake_claude(program_folder, "env; printf THE~END")
    with terminal_server() as server:
        client = Client(server)
        client.start(account)
        output = client.wait_for_output("THE~END")
        assert "=inherited" not in output
        client.close()


def test_interrupt_reaches_a_program_of_a_server_started_in_the_background(
    program_folder: Path, client: Client, account: str
) -> None:
    fake_claude(program_folder, "echo ready; sleep 100; echo survived; sleep 100")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        client.start(account)
    finally:
        signal.signal(signal.SIGINT, before)
    client.wait_for_output("ready")
    client.emit("terminal_input", {"data": "\x03"})
    assert client.wait("terminal_exit")["signal"] == signal.SIGINT or client.wait("terminal_exit")["exit_code"] == 130


def test_missing_claude_is_an_error_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path, account: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with terminal_server() as server:
        client = Client(server)
        client.emit("start_terminal", {"account_id": account, "request": "r"})
        error = client.wait("terminal_error")
        assert error["code"] == "claude_missing"
        assert "npm install" in error["hint"]
        assert error["request"] == "r"
        assert server.events.describe() == []
        client.close()


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_bad_folder_is_an_error(program_folder: Path, client: Client, account: str, tmp_path: Path, kind: str) -> None:
    fake_claude(program_folder, "true")
    (tmp_path / "file").write_text("")
    client.emit("start_terminal", {"account_id": account, "cwd": str(tmp_path / kind)})
    assert client.wait("terminal_error")["field"] == "cwd"


BAD: list[Any] = [None, 7, "text", [], True, 1e400, {"account_id": None}, {"account_id": []}, {"account_id": {"$": 1}}]
BAD += [{"account_id": "x" * 10_000}, {"account_id": "\ud800"}, {"account_id": "no such account"}, {"account_id": "\0"}]
WORSE: list[dict[str, Any]] = [{"args": "text"}]
WORSE += [{"args": [1]}, {"args": ["\0"]}, {"args": ["\ud800"]}, {"args": ["x"] * 1000}, {"cwd": 5}]
WORSE += [{"cwd": "\0"}, {"rows": "many"}, {"cols": [1]}, {"rows": True}, {"rows": 1e400}, {"args": ["x" * 200_000]}]
EVENTS = ["start_terminal", "attach_terminal", "detach_terminal", "terminal_input", "terminal_ack"]
EVENTS += ["resize_terminal", "stop_terminal", "start_login"]


def test_no_payload_breaks_an_event(
    program_folder: Path, client: Client, account: str, caplog: pytest.LogCaptureFixture
) -> None:
    fake_claude(program_folder, 'stty -echo; echo ready; read line; echo "got $line"; read line')
    before = len(threading.enumerate())
    count = 0
    for event in EVENTS:
        for payload in BAD:
            client.emit(event, payload)
            count += 1
    for fields in WORSE:
        client.emit("start_terminal", {"account_id": account, **fields})
        count += 1
    for data in (None, 5, [1], {"a": 1}):
        client.emit("terminal_input", {"data": data})
        client.emit("terminal_ack", {"offset": data if data != 5 else "5"})
        client.emit("resize_terminal", {"rows": "x", "cols": data})
        client.emit("attach_terminal", {"terminal_id": data, "from": data})
        count += 4
    client.wait("terminal_error", count=count)
    client.start(account)
    client.wait_for_output("ready")
    client.emit("terminal_input", {"data": "still here\r"})
    client.wait_for_output("got still here")
    assert not [name for name, _payload in client.events if name == "terminal_exit"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(threading.enumerate()) <= before + 6


def test_events_without_payload_are_understood(program_folder: Path, client: Client, account: str) -> None:
    fake_claude(program_folder, "echo ready; sleep 100")
    client.start(account)
    client.wait_for_output("ready")
    client.emit("stop_terminal")
    client.wait("terminal_exit")


def test_resize_reaches_the_program_and_absurd_sizes_are_clamped(
    program_folder: Path, client: Client, account: str
) -> None:
    # Held back, a signal that comes while another one is answered is not lost.
    program = "import os, signal as s; s.pthread_sigmask(s.SIG_BLOCK, {s.SIGWINCH}); print('ready', flush=True)\n"
    program += "while s.sigwait({s.SIGWINCH}): print(*os.get_terminal_size()[::-1], flush=True)"
    fake_claude(program_folder, f'exec {sys.executable} -c "{program}"')
    client.start(account)
    client.wait_for_output("ready")
    client.emit("resize_terminal", {"rows": 40, "cols": 120})
    client.wait_for_output("40 120")
    client.emit("resize_terminal", {"rows": 10**9, "cols": -5})
    client.wait_for_output("1000 1\r")


def test_lost_connection_does_not_end_claude_and_attaching_replays_what_was_missed(
    program_folder: Path, server: Server, account: str
) -> None:
    fake_claude(program_folder, 'stty -echo; echo ready; while read line; do echo "got $line"; done')
    first = Client(server)
    started = first.start(account, ack=True)
    first.wait_for_output(b"ready\r\n")
    seen = first.wait("terminal_output")["end"]
    first.close()
    wait_until(lambda: server.events.describe()[0]["viewers"] == 0)
    server.events.terminals.write(started["terminal_id"], b"while away\r")
    second = Client(server, ack=True)
    second.emit("attach_terminal", {"terminal_id": started["terminal_id"], "from": seen, "ack": True})
    attached = second.wait("terminal_attached")
    assert attached["offset"] == seen
    assert attached["account"] == "perso"
    assert second.wait_for_output(b"got while away\r\n") == b"got while away\r\n"
    second.emit("attach_terminal", {"terminal_id": started["terminal_id"], "from": None, "ack": True})
    second.wait("terminal_attached", count=2)
    second.wait_for_output(b"got while away\r\nready\r\ngot while away\r\n")
    assert len(server.events.describe()) == 1
    second.close()


def test_both_viewers_of_a_terminal_see_it(program_folder: Path, server: Server, account: str) -> None:
    fake_claude(program_folder, "stty -echo; echo ready; read line; echo both; sleep 100")
    first, second = Client(server), Client(server)
    terminal_id = first.start(account)["terminal_id"]
    first.wait_for_output("ready")
    second.emit("attach_terminal", {"terminal_id": terminal_id})
    second.wait_for_output("ready")
    second.emit("terminal_input", {"data": "\r"})
    first.wait_for_output("both")
    second.wait_for_output("both")
    second.emit("resize_terminal", {"rows": 50, "cols": 132})
    assert first.wait("terminal_resized")["cols"] == 132
    assert first.wait("terminal_viewers")["viewers"] == 2
    # A window in the background says what would fit; a numbered word is answered in any case.
    first.emit("resize_terminal", {"rows": 20, "cols": 70, "focus": False, "serial": 7})
    told = first.wait("terminal_resized", serial=7)
    assert (told["rows"], told["cols"]) == (50, 132)
    second.emit("detach_terminal", {"terminal_id": terminal_id})
    wait_until(lambda: server.events.describe()[0]["viewers"] == 1)
    assert first.wait("terminal_resized", rows=20)["cols"] == 70
    assert first.wait("terminal_viewers", count=2)["viewers"] == 1
    first.close()
    second.close()


def test_gap_is_told_when_the_replay_is_too_short(program_folder: Path, server: Server, account: str) -> None:
    many = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo END"
    fake_claude(program_folder, f"stty -echo; echo ready; read line; {many}; sleep 99")
    first = Client(server)
    terminal_id = first.start(account)["terminal_id"]
    first.wait_for_output("ready")
    first.emit("terminal_input", {"data": "\r"})
    first.wait_for_output("END")
    second = Client(server)
    second.emit("attach_terminal", {"terminal_id": terminal_id, "from": 10})
    attached = second.wait("terminal_attached")
    assert attached["gap"] == attached["offset"] - 10 > 2_000_000
    output = second.wait_for_output("END")
    assert len(output) >= 2 * 1024 * 1024
    first.close()
    second.close()


FULL_SCREEN = r"""
import os, signal, sys
def paint(*_about):
    rows, cols = os.get_terminal_size()[::-1]
    os.write(1, b"\x1b[H\x1b[1;35mpainted %d x %d\x1b[0m" % (rows, cols))
signal.signal(signal.SIGWINCH, paint)
os.write(1, b"\x1b]0;an editor\x07\x1b[?1049h\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[?1h\x1b=\x1b[?25l\x1b[>4;1m")
row = "\x1b[4mrow \u6f22\U0001f642\x1b[38;2;1;2;3m of many\x1b[m\r\n".encode() * 100
for _time in range(1200):
    os.write(1, row)
os.write(1, b"FULL")
while True:
    signal.pause()
"""


@pytest.mark.parametrize("options", PIECES.values(), ids=PIECES.keys())
def test_late_view_gets_the_state_begins_with_a_line_and_is_repainted(
    program_folder: Path, server: Server, account: str, tmp_path: Path, options: dict[str, bool]
) -> None:
    (tmp_path / "editor.py").write_text(FULL_SCREEN)
    fake_claude(program_folder, f"stty raw -echo; exec {sys.executable} {tmp_path / 'editor.py'}")
    first = Client(server)
    terminal_id = first.start(account)["terminal_id"]
    first.wait_for_output("FULL")
    late = Client(server, ack="ack" in options)
    late.emit("attach_terminal", {"terminal_id": terminal_id, "from": None, **options})
    attached = late.wait("terminal_attached")
    state = late.wait("terminal_output")
    assert state["state"] is True
    assert state["offset"] == state["end"] == attached["offset"] == attached["gap"] > 2_000_000
    kind = (lambda text: text.encode()) if options else str
    modes = (
        "\x1bc\x1b]2;an editor\x1b\\\x1b[?1049h\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[?1h\x1b[?66h\x1b[?25l\x1b[>4;1m"
    )
    assert state["data"] == kind(modes + "\x1b[m")
    assert late.wait("terminal_output", count=2)["data"].startswith(kind("\x1b[4mrow 漢🙂"))
    # Told another size and the right one again, it has drawn its screen anew.
    late.wait_for_output(kind("painted 23 x 80"))
    late.wait_for_output(kind("painted 24 x 80"))
    # Who was there all the time is sent no state.
    assert not [payload for name, payload in first.events if name == "terminal_output" and "state" in payload]
    first.close()
    late.close()


def test_client_that_slept_gets_the_state_with_the_gap(program_folder: Path, server: Server, account: str) -> None:
    """A frozen page takes nothing for a while; what it missed for good held its modes."""
    modes = "printf '\\033[?2004h\\033[?1006h\\033[?1049h'"
    script = f"stty raw -echo; echo ready; head -c 1 >/dev/null; yes slept | head -c 1000000; {modes}"
    fake_claude(program_folder, f"{script}; yes 'one more line' | head -c 6000000; printf 'AWAKE'; sleep 99")
    client = Client(server)
    terminal_id = client.start(account, ack=True)["terminal_id"]
    client.wait_for_output(b"ready")
    client.emit("terminal_input", {"data": "x"})
    terminal = server.events.terminals.get(terminal_id)
    wait_until(lambda: terminal.end > 7_000_000, "the program to go on without the client")
    seen = [payload for name, payload in client.events if name == "terminal_output"][-1]["end"]
    client.ack = True
    client.emit("terminal_ack", {"terminal_id": terminal_id, "offset": seen})
    client.wait_for_output(b"AWAKE")
    gaps = [payload for name, payload in client.events if name == "terminal_output" and "gap" in payload]
    assert [gap["state"] for gap in gaps] == [True]
    assert gaps[0]["gap"] > 1_000_000 and gaps[0]["offset"] == gaps[0]["end"]
    assert gaps[0]["data"] == b"\x1bc\x1b[?1049h\x1b[?2004h\x1b[?1006h"
    after = client.events[[payload for _name, payload in client.events].index(gaps[0]) + 1 :]
    assert next(payload["data"] for name, payload in after if name == "terminal_output").startswith(b"one more line\n")
    client.close()


def test_title_and_attention_are_told_and_typing_clears_it(program_folder: Path, server: Server, account: str) -> None:
    title, notification = "\\033]0;work é\\007", "\\033]777;notify;Claude Code;needs you\\033\\\\"
    told = f"printf '{title}'; printf '{notification}'"
    fake_claude(program_folder, f"stty -echo; echo ready; read line; {told}; read line; sleep 99")
    client = Client(server)
    client.start(account)
    client.wait_for_output("ready")
    client.emit("terminal_input", {"data": "\r"})
    assert client.wait("terminal_title")["title"] == "work é"
    attention = client.wait("terminal_attention")
    assert (attention["kind"], attention["title"], attention["body"]) == ("notification", "Claude Code", "needs you")
    assert server.events.describe()[0]["attention"]["body"] == "needs you"
    client.wait("terminals_changed")
    client.emit("terminal_input", {"data": "\r"})
    client.wait("terminal_attention", kind="")
    assert server.events.describe()[0]["attention"] is None
    client.close()


@pytest.mark.parametrize("how", ["start", "attach"])
def test_title_that_changes_while_a_client_comes_is_told_to_it(
    program_folder: Path, server: Server, account: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Between what it is told of the terminal and the first look at what is new of it."""
    fake_claude(program_folder, "stty -echo; echo ready; read line; printf '\\033]0;late\\007'; read line")
    client = Client(server)
    terminal_id = client.start(account)["terminal_id"] if how == "attach" else ""
    describe = server.events._describe

    def change_after(terminal: Terminal, viewers: int | None = None) -> dict[str, Any]:
        told = describe(terminal, viewers)
        if not told["title"]:
            server.events.terminals.write(terminal.id, b"\r")
            wait_until(lambda: terminal.title == "late", "the new title")
        return told

    monkeypatch.setattr(server.events, "_describe", change_after)
    late = Client(server)
    if how == "attach":
        late.emit("attach_terminal", {"terminal_id": terminal_id})
    else:
        late.start(account)
    assert late.wait("terminal_title")["title"] == "late"
    late.close()
    client.close()


def test_limit_is_an_event_and_a_free_place_can_be_used(program_folder: Path, home: Path, account: str) -> None:
    fake_claude(program_folder, "echo ready; sleep 100")
    with terminal_server(Terminals(limit=2)) as server:
        client = Client(server)
        first = client.start(account)["terminal_id"]
        client.start(account)
        client.emit("start_terminal", {"account_id": account})
        assert client.wait("terminal_error")["code"] == "max_terminals"
        client.emit("stop_terminal", {"terminal_id": first})
        client.wait("terminal_exit", terminal_id=first)
        client.start(account)
        client.close()


def test_stubborn_children_end_too(program_folder: Path, server: Server, account: str, tmp_path: Path) -> None:
    stubborn = "import os, signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n"
    stubborn += "{}\nos.write(1, b'up %d\\n' % os.getpid())\ntime.sleep(1000)\n"
    (tmp_path / "child.py").write_text(stubborn.format(""))
    (tmp_path / "loner.py").write_text(stubborn.format("os.setsid()"))
    lines = [f"{sys.executable} {tmp_path / name}.py &" for name in ("child", "loner")]
    lines.append(f"exec {sys.executable} {tmp_path / 'child.py'}")
    fake_claude(program_folder, "trap '' HUP TERM\n" + "\n".join(lines))
    client = Client(server)
    client.start(account)
    wait_until(lambda: len(re.findall(r"up \d+\r\n", client.output())) == 3, "three processes")
    pids = [int(word) for word in client.output().split() if word.isdigit()]
    client.emit("stop_terminal")
    client.wait("terminal_exit")
    wait_until(lambda: not any(is_alive(pid) for pid in pids), "children to end")
    client.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A dead child that its own parent (the system's first process) has not reaped yet is no leak of ours.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_nothing_is_left_after_fifty_terminals(program_folder: Path, server: Server, account: str) -> None:
    fake_claude(program_folder, "stty -echo; echo ready; read line; echo bye")
    warm = Client(server)
    warm.start(account)
    warm.wait_for_output("ready")
    warm.emit("stop_terminal")
    warm.wait("terminal_exit")
    descriptors, threads, before = len(os.listdir("/dev/fd")), threading.active_count(), set(children())
    ids = [warm.start(account)["terminal_id"] for _number in range(50)]
    for terminal_id in ids:
        warm.wait_for_output("ready", terminal_id)
        warm.emit("terminal_input", {"terminal_id": terminal_id, "data": "\r"})
    for terminal_id in ids:
        warm.wait("terminal_exit", terminal_id=terminal_id)
    wait_until(lambda: server.events.terminals.running() == 0, "terminals to end")
    wait_until(lambda: len(os.listdir("/dev/fd")) <= descriptors, "descriptors to be closed")
    wait_until(lambda: threading.active_count() <= threads, "threads to end")
    wait_until(lambda: before.issuperset(children()), "processes to end")
    warm.close()


def children() -> list[str]:
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        return []
    found: list[str] = []
    for task in tasks.iterdir():
        # A thread may end between the listing and the look.
        with suppress(FileNotFoundError, ProcessLookupError):
            found += (task / "children").read_text().split()
    return found


def test_keys_typed_in_a_burst_keep_their_order(program_folder: Path, client: Client, account: str) -> None:
    fake_claude(program_folder, "stty raw -echo; echo ready; head -c 2000 | md5sum; sleep 100")
    client.start(account)
    client.wait_for_output("ready")
    keys = [chr(33 + number % 90) for number in range(2000)]
    for key in keys:
        client.emit("terminal_input", {"data": key})
    client.wait_for_output(hashlib.md5("".join(keys).encode(), usedforsecurity=False).hexdigest())


def test_large_paste_arrives_whole(program_folder: Path, client: Client, account: str) -> None:
    fake_claude(program_folder, "stty raw -echo; echo ready; head -c 100000 | md5sum; sleep 100")
    client.start(account)
    client.wait_for_output("ready")
    text = "".join(chr(33 + number % 90) for number in range(100_000))
    client.emit("terminal_input", {"data": text})
    client.wait_for_output(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def test_input_that_claude_does_not_read_blocks_nobody(program_folder: Path, client: Client, account: str) -> None:
    fake_claude(program_folder, 'stty raw -echo; echo ready; [ "$1" = deaf ] && sleep 1000; head -c 5; sleep 100')
    deaf = client.start(account, args=["deaf"])["terminal_id"]
    client.wait_for_output("ready", deaf)
    for _number in range(20):
        client.emit("terminal_input", {"terminal_id": deaf, "data": "x" * 100_000})
    assert client.wait("terminal_error")["code"] == "input_full"
    other = client.start(account)["terminal_id"]
    client.wait_for_output("ready", other)
    client.emit("terminal_input", {"terminal_id": other, "data": "hello"})
    client.wait_for_output("hello", other)


def test_client_that_starts_by_polling_sees_everything(program_folder: Path, server: Server, account: str) -> None:
    fake_claude(program_folder, "stty -echo; echo ready; read line; seq 1 100000; echo END; sleep 100")
    for transports in (["polling"], ["polling", "websocket"]):
        for options in ({}, {"binary": True}):
            client = Client(server, transports=transports)
            client.start(account, **options)
            kind = (lambda text: text.encode()) if options else str
            client.wait_for_output(kind("ready"))
            client.emit("terminal_input", {"data": "\r"})
            client.wait_for_output(kind("END"))
            numbers = client.output().split()[1:-1]
            assert [int(number) for number in numbers] == list(range(1, 100_001))
            client.close()


@pytest.mark.parametrize("kept", ["websocket", "polling"])
def test_what_is_asked_for_in_the_middle_of_an_upgrade_is_answered(
    program_folder: Path, server: Server, account: str, kept: str
) -> None:
    """The probe is answered, the upgrade itself held back: until it comes, or fails, nothing may get lost."""
    fake_claude(program_folder, "stty -echo; echo ready; read line; echo went on; sleep 100")
    address = f"{server.url}/socket.io/?EIO=4&transport=polling"
    sid = json.loads(requests.get(address, timeout=DEADLINE).text[1:])["sid"]
    address += f"&sid={sid}"
    requests.post(address, data="40", timeout=DEADLINE)
    assert requests.get(address, timeout=DEADLINE).text.startswith("40")
    upgrading = RawClient(server.port, sid)
    upgrading.send_text("2probe")
    upgrading.read_until(b"3probe")
    start = "42" + json.dumps(["start_terminal", {"account_id": account}])
    requests.post(address, data=start, timeout=DEADLINE)
    if kept == "websocket":
        upgrading.send_text("5")
        assert b"ready" in upgrading.read_until(b"terminal_output")
        upgrading.send("terminal_input", {"data": "\r"})
        upgrading.read_until(b"went on")
    else:
        upgrading.socket.shutdown(socket.SHUT_RDWR)
        got = ""
        while "ready" not in got:
            got += requests.get(address, timeout=DEADLINE).text
        assert "terminal_started" in got
    upgrading.close()


def test_many_keys_in_one_poll_all_arrive(program_folder: Path, server: Server, account: str) -> None:
    """Where no WebSocket gets through, what was typed while a request was under way is sent in the next one."""
    fake_claude(program_folder, "stty -echo; echo ready; read line; echo ${#line} came; sleep 100")
    client = Client(server, transports=["polling"])
    client.start(account)
    client.wait_for_output("ready")
    for _key in range(300):
        client.emit("terminal_input", {"data": "k"})
    client.emit("terminal_input", {"data": "\r"})
    client.wait_for_output("300 came")


def test_stalled_client_costs_no_memory_and_holds_up_nobody_for_long(
    program_folder: Path, server: Server, account: str
) -> None:
    fake_claude(program_folder, 'stty -echo; echo ready; read line; yes "a line that says nothing much"')
    reader = Client(server)
    terminal_id = reader.start(account, binary=True)["terminal_id"]
    reader.wait_for_output(b"ready")
    stalled = RawClient(server.port)
    stalled.send("attach_terminal", {"terminal_id": terminal_id})
    wait_until(lambda: server.events.describe()[0]["viewers"] == 2)
    before = resident_bytes()
    reader.emit("terminal_input", {"terminal_id": terminal_id, "data": "\r"})
    terminal = server.events.terminals.get(terminal_id)

    def arrived() -> int:
        # The client under test keeps what it gets; this must not be counted.
        reader.events[:-1] = [reader.events[0]]
        return int(terminal.end)

    wait_until(lambda: arrived() > 30_000_000)
    assert resident_bytes() - before < 24_000_000
    reader.emit("stop_terminal", {"terminal_id": terminal_id})
    reader.wait("terminal_exit")
    reader.close()
    stalled.close()


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_terminal_works_through_tls(program_folder: Path, account: str, tmp_path: Path) -> None:
    script = "stty raw -echo; echo ready; head -c 1 >/dev/null; seq 1 300000; echo END; head -c 100000 | md5sum"
    fake_claude(program_folder, script)
    with terminal_server(certificate=self_signed(tmp_path)) as server:
        client = Client(server)
        client.start(account)
        client.wait_for_output("ready")
        client.emit("terminal_input", {"data": "x"})
        client.wait_for_output("END")
        assert [int(number) for number in client.output().split()[1:-1]] == list(range(1, 300_001))
        text = "".join(chr(33 + number % 90) for number in range(100_000))
        client.emit("terminal_input", {"data": text})
        client.wait_for_output(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())
        client.close()


def self_signed(folder: Path) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "cert.pem"), str(folder / "key.pem")


class RawClient:
    """A WebSocket without a library behind it: it reads when it is told to, and not before."""

    def __init__(self, port: int, sid: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(DEADLINE)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        request = [
            f"GET /socket.io/?EIO=4&transport=websocket{f'&sid={sid}' if sid else ''} HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version: 13",
        ]
        self.socket.sendall("\r\n".join([*request, "", ""]).encode())
        if sid:
            self.read_until(b"\r\n\r\n")
            return
        self.read_until(b"0{")
        self.send_text("40")
        self.read_until(b"40{")

    def read_until(self, marker: bytes) -> bytes:
        received = b""
        while marker not in received:
            data = self.socket.recv(65536)
            assert data, received[-200:]
            received += data
        return received

    def send_text(self, text: str) -> None:
        data = text.encode()
        assert len(data) < 65536
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
        self.socket.sendall(b"\x81" + size + b"\0\0\0\0" + data)

    def send(self, event: str, payload: dict[str, object]) -> None:
        self.send_text("42" + json.dumps([event, payload]))

    def close(self) -> None:
        self.socket.close()

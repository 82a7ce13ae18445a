"""Claims about the parts of the web terminal that need no browser: processes, their bytes, their end, their viewers."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal_server import wait_until
from warm import DEADLINE

from claude_accounts.messages import AccountsError
from claude_accounts.system.process_ending import process_table
from claude_accounts.terminal.process import INPUT_LIMIT, InputFull, Terminal, clamped, terminal_environment
from claude_accounts.terminal.replay import Replay
from claude_accounts.terminal.screen import Screen
from claude_accounts.terminal.terminals import HIGH, MaxTerminals, Terminals


@pytest.fixture
def terminals() -> Iterator[Terminals]:
    manager = Terminals()
    yield manager
    assert manager.stop_all(DEADLINE)
    manager.close()


class Recorder:
    """A viewer that takes all there is, or nothing."""

    def __init__(self, terminal: Terminal, *, reads: bool = True) -> None:
        self.terminal = terminal
        self.behind = False
        self.size: tuple[int, int] | None = None
        self.confirmed = 0
        self.output = b""
        self._reads = reads

    def more(self, hold: bool = False) -> None:
        while self._reads:
            data = self.terminal.replay.take(self.confirmed)
            if not data:
                return
            self.output += data
            self.confirmed += len(data)

    def slice(self) -> None:
        self.more()

    def changed(self) -> None:
        self.more()


def shell(script: str, *arguments: str, **options: int) -> Terminal:
    return Terminal(["bash", "-c", script, "bash", *arguments], os.environ, "/", program="/bin/bash", **options)


def started(terminals: Terminals, script: str, **options: int) -> Terminal:
    return terminals.start(lambda: shell(script, **options))


def output_of(terminal: Terminal) -> bytes:
    replay = terminal.replay
    output, offset = b"", replay.start
    while data := replay.take(offset):
        output += data
        offset += len(data)
    return output


def test_replay_keeps_the_newest_bytes_at_their_offsets() -> None:
    replay = Replay(100_000)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    whole = bytes(number * 7 % 251 for number in range(1_000_003))
    try:
        for start in range(0, len(whole), 3001):
            os.write(writer, whole[start : start + 3001])
            while True:
                try:
                    replay.fill(reader)
                except BlockingIOError:
                    break
            kept = b"".join(iter_kept(replay, replay.start))
            assert kept == whole[replay.start : replay.end]
            assert replay.end - replay.start >= min(replay.end, 100_000)
        assert replay.end == len(whole)
        assert replay.take(replay.start - 1) == b""
        assert replay.take(replay.end) == b""
        assert replay.take(replay.end - 10, 4) == whole[-10:-6]
    finally:
        os.close(reader)
        os.close(writer)
    replay.close()
    assert replay.take(5) == b""


def iter_kept(replay: Replay, offset: int) -> Iterator[bytes]:
    while data := replay.take(offset, 7777):
        yield data
        offset += len(data)


SPOKEN = "plain \x1b]0;tïtle\x07 \x1b[31mred\x1b[0m \x1b]777;notify;Claude;needs; you\x1b\\ ".encode()
SPOKEN += b"\x1b]52;c;aGVsbG8=\x07 end"


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(SPOKEN)])
def test_title_and_notification_are_found_however_they_are_cut(size: int) -> None:
    reader = Screen()
    for start in range(0, len(SPOKEN), size):
        reader.feed(SPOKEN[start : start + size])
    assert reader.signals.title == "tïtle"
    assert reader.signals.attention is not None
    assert reader.signals.attention[:3] == ("notification", "Claude", "needs; you")


def test_bell_alone_is_attention_and_the_end_of_a_title_is_not() -> None:
    reader = Screen()
    assert reader.feed(b"\x1b]2;one\x07")
    assert reader.signals.attention is None
    assert reader.feed(b"ding\x07")
    assert reader.signals.attention is not None
    assert reader.signals.attention.kind == "bell"


def test_progress_is_no_notification() -> None:
    reader = Screen()
    reader.feed(b"\x1b]9;4;1;50\x07")
    assert reader.signals.attention is None
    reader.feed(b"\x1b]9;done\x07")
    assert reader.signals.attention is not None
    assert reader.signals.attention.body == "done"


def test_endless_string_costs_no_memory_and_is_no_title() -> None:
    reader = Screen()
    reader.feed(b"\x1b]0;" + b"x" * 10_000)
    for _piece in range(100):
        reader.feed(b"y" * 10_000)
    reader.feed(b"\x07\x1b]0;after\x07")
    assert reader.signals.title == "after"


def test_title_holds_nothing_that_drives_a_terminal() -> None:
    reader = Screen()
    reader.feed(b"\x1b]0;a\x00\x08b\xe2\x80\xaec\x07")
    assert reader.signals.title == "abc"


def test_program_leads_its_own_session_on_its_own_terminal(terminals: Terminals) -> None:
    terminal = started(terminals, "echo $$ $(ps -o sid= -p $$) $(tty); exec 3</dev/tty && echo has a terminal")
    wait_until(lambda: terminal.ended)
    words = output_of(terminal).split()
    assert words[0] == words[1]
    assert words[2].startswith(b"/dev/")
    assert b"has a terminal" in output_of(terminal)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_program_starts_with_default_signals_and_an_empty_mask(terminals: Terminals) -> None:
    ignored = [signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGINT])
    try:
        terminal = started(terminals, "grep -E 'Sig(Ign|Blk)' /proc/self/status")
        wait_until(lambda: terminal.ended)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
    masks = [int(digits, 16) for digits in re.findall(rb"Sig\w+:\s+(\w+)", output_of(terminal))]
    # The last two bits the C library keeps for itself.
    assert [value & 0x7FFFFFFF for value in masks] == [0, 0]


def test_program_inherits_no_descriptor_of_the_server(terminals: Terminals) -> None:
    with open("/dev/null") as file:
        terminal = started(terminals, f"[ -e /dev/fd/{file.fileno()} ] && echo leaked; echo done")
        wait_until(lambda: terminal.ended)
    assert b"leaked" not in output_of(terminal)


def test_program_that_cannot_start_is_an_error_or_an_exit_and_leaves_nothing(terminals: Terminals) -> None:
    before = len(os.listdir("/dev/fd"))
    terminal = terminals.start(lambda: Terminal(["nothing"], os.environ, "/", program="/nonexistent/program"))
    wait_until(lambda: terminal.ended)
    assert terminal.exit_code == 127
    with pytest.raises(AccountsError):
        Terminal(["x"], {"A": "x" * 10_000_000}, "/")
    wait_until(lambda: len(os.listdir("/dev/fd")) <= before + 3)


def test_exit_code_and_signal_are_told(terminals: Terminals) -> None:
    first, second = started(terminals, "exit 7"), started(terminals, "kill -9 $$")
    wait_until(lambda: first.ended and second.ended)
    assert (first.exit_code, first.exit_signal) == (7, None)
    assert (second.exit_code, second.exit_signal) == (None, signal.SIGKILL)


def test_end_is_told_although_a_child_keeps_the_terminal_open(terminals: Terminals) -> None:
    terminal = started(terminals, "trap '' HUP; sleep 1000 & echo left")
    wait_until(lambda: terminal.ended)
    assert output_of(terminal) == b"left\r\n"
    wait_until(lambda: not members_of(terminal.pid))


def members_of(session: int) -> list[int]:
    return [pid for pid, process in process_table().items() if process.session == session and not process.dead]


def test_program_runs_on_without_viewers_and_waits_for_one_that_does_not_read(terminals: Terminals) -> None:
    terminal = started(terminals, "stty raw -echo; echo; read line; yes")
    wait_until(lambda: terminal.end > 0)
    viewer = Recorder(terminal, reads=False)
    terminals.attach(terminal.id, viewer)
    terminals.write(terminal.id, b"\n")
    wait_until(lambda: terminal.end > HIGH)
    # It is given up after a few seconds, and the program goes on.
    wait_until(lambda: terminal.end > 3 * HIGH)
    assert viewer.behind
    terminals.detach(terminal.id, viewer)
    before = terminal.end
    wait_until(lambda: terminal.end > before + 5_000_000)


def test_viewer_that_reads_gets_every_byte_before_the_end(terminals: Terminals) -> None:
    terminal = started(terminals, "stty raw -echo; echo ready; read line; seq 1 200000; echo END")
    wait_until(lambda: terminal.end > 0)
    viewer = Recorder(terminal)
    terminals.attach(terminal.id, viewer)
    terminals.write(terminal.id, b"\n")
    wait_until(lambda: terminal.ended)
    numbers = b"".join(b"%d\n" % number for number in range(1, 200_001))
    assert viewer.output == b"ready\n" + numbers + b"END\n"


def test_input_is_bounded_and_kept_in_order(terminals: Terminals) -> None:
    terminal = started(terminals, "stty raw -echo; echo; read -n1 go </dev/null; sleep 1; head -c 500000 | md5sum")
    wait_until(lambda: terminal.end > 0)
    with pytest.raises(InputFull):
        terminals.write(terminal.id, b"x" * (INPUT_LIMIT + 1))
    for _piece in range(5):
        terminals.write(terminal.id, b"y" * 100_000)
    wait_until(lambda: terminal.end > 32)
    assert b"  -" in output_of(terminal)


def test_size_is_clamped() -> None:
    assert [clamped(size) for size in (-5, 0, 1, 80, 1000, 10**9)] == [1, 1, 1, 80, 1000, 1000]


def test_environment_says_what_our_terminal_can_do_and_nothing_of_another() -> None:
    given = {"TERM": "dumb", "TMUX": "x", "STY": "x", "TERM_PROGRAM": "x", "VSCODE_IPC": "x", "CLAUDECODE": "1"}
    given["A"] = "b"
    assert terminal_environment(given) == {"TERM": "xterm-256color", "COLORTERM": "truecolor", "A": "b"}


def test_terminal_without_viewers_ends_after_a_while() -> None:
    terminals = Terminals(idle_seconds=0.2)
    terminal = started(terminals, "sleep 1000")
    wait_until(lambda: terminal.ended)
    assert terminal.exit_signal == signal.SIGHUP
    assert terminals.stop_all(DEADLINE)
    terminals.close()


def test_ended_terminals_are_forgotten_after_a_while() -> None:
    terminals = Terminals(ended_seconds=0.2)
    terminal = started(terminals, "true")
    wait_until(lambda: terminal.ended)
    wait_until(lambda: not terminals.overview())
    terminals.close()


def test_limit_counts_what_runs() -> None:
    terminals = Terminals(limit=1)
    terminal = started(terminals, "read line")
    with pytest.raises(MaxTerminals):
        started(terminals, "true")
    terminals.stop(terminal.id)
    wait_until(lambda: terminal.ended)
    started(terminals, "true")
    assert terminals.stop_all(DEADLINE)
    terminals.close()


def test_everything_ends_with_the_server_however_stubborn(tmp_path: Path) -> None:
    terminals = Terminals()
    script = f"{sys.executable} -c 'import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; "
    script += 'print("up", flush=True); time.sleep(1000)\''
    running = [started(terminals, script) for _number in range(3)]
    wait_until(lambda: all(b"up" in output_of(terminal) for terminal in running))
    assert terminals.stop_all(DEADLINE)
    assert all(terminal.exit_signal == signal.SIGKILL or terminal.ended for terminal in running)
    assert not any(members_of(terminal.pid) for terminal in running)
    terminals.close()


def test_what_a_program_says_in_answer_to_a_key_is_not_taken_for_seen(
    terminals: Terminals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may answer before whoever typed has come back from typing."""
    terminal = started(terminals, "stty -echo; echo ready; read line; printf '\\033]777;notify;a;b\\033\\\\'; sleep 99")
    wait_until(lambda: b"ready" in output_of(terminal))
    write = terminal.write

    def write_and_be_answered(data: bytes) -> bool:
        waits = write(data)
        wait_until(lambda: terminal.attention)
        return waits

    monkeypatch.setattr(terminal, "write", write_and_be_answered)
    terminals.write(terminal.id, b"x\r")
    assert terminal.attention is not None


# What a program asks, and the one answer it gets; its own emulator at each window answers as well.
ASKED = {
    b"\x1b[c": b"\x1b[?1;2c",
    b"\x1b[>c": b"\x1b[>0;276;0c",
    b"\x1b[=c": b"\x1bP!|00000000\x1b\\",
    b"\x1b[6n": b"\x1b[7;9R",
    b"\x1b[?6n": b"\x1b[?7;9R",
    b"\x1b[5n": b"\x1b[0n",
    b"\x1b[?2004h\x1b[?2004$p": b"\x1b[?2004;1$y",
    b"\x1b[?7777$p": b"\x1b[?7777;0$y",
    b"\x1b[4$p": b"\x1b[4;2$y",
    b"\x1b[>q": b"\x1bP>|xterm.js(6.0.0)\x1b\\",
    b"\x1b]11;?\x07": b"\x1b]11;rgb:1313/1111/1010\x07",
    b"\x1b]10;?\x1b\\": b"\x1b]10;rgb:f1f1/ecec/e5e5\x1b\\",
    b"\x1b]12;?\x07": b"\x1b]12;rgb:f0f0/a1a1/7272\x07",
    b"\x1b]4;1;?\x07": b"\x1b]4;1;rgb:ffff/8b8b/7d7d\x07",
    b"\x1b]4;196;?\x07": b"\x1b]4;196;rgb:ffff/0000/0000\x07",
    b"\x1bP+q544e\x1b\\": b"\x1bP1+r544e=787465726D2D323536636F6C6F72\x1b\\",
    b"\x1bP+q7878\x1b\\": b"\x1bP0+r7878\x1b\\",
    b"\x1b[3;9r\x1bP$qr\x1b\\": b"\x1bP1$r3;9r\x1b\\",
    b"\x1b[5 q\x1bP$q q\x1b\\": b"\x1bP1$r5 q\x1b\\",
    b"\x1b[?996n": b"\x1b[?997;1n",
    b"\x1b[18t": b"\x1b[8;24;80t",
    # No answer is the answer: the page's emulator has no such keyboard. The next one is the fence.
    b"\x1b[?u": b"",
    b"\x1b[0c": b"\x1b[?1;2c",
}
ASK = """
import os, sys, tty
tty.setraw(0)
os.write(1, bytes.fromhex(sys.argv[1]) + b"ASKED")
got = b""
while b"END" not in got:
    got += os.read(0, 4096)
os.write(1, b"GOT" + got)
os.read(0, 1)
"""


class Emulator(Recorder):
    """A viewer that answers what it is asked by itself, as a client that knows nothing of this server does."""

    def __init__(self, terminals: Terminals, terminal: Terminal) -> None:
        super().__init__(terminal)
        self._terminals = terminals
        self._has_answered = False

    def more(self, hold: bool = False) -> None:
        super().more(hold)
        if b"ASKED" in self.output and not self._has_answered:
            self._has_answered = True
            for answer in filter(None, ASKED.values()):
                self._terminals.write(self.terminal.id, answer, self)


@pytest.mark.parametrize("windows", [0, 1, 2, 3])
def test_program_is_answered_once_however_many_watch(terminals: Terminals, windows: int) -> None:
    terminals.take_look(
        {"foreground": "#f1ece5", "background": "#131110", "cursor": "#f0a172", "palette": ["#000", "#ff8b7d"]}
    )
    ask = ["python3", "-c", ASK, b"".join(ASKED).hex()]

    def make() -> Terminal:
        return Terminal(["sh", "-c", 'read go; exec "$@"', "sh", *ask], os.environ, "/", program="/bin/sh")

    terminal = terminals.start(make)
    viewers = [Emulator(terminals, terminal) for _window in range(windows)]
    for viewer in viewers:
        terminals.attach(terminal.id, viewer)
    terminals.write(terminal.id, b"go\r")
    wait_until(lambda: b"ASKED" in output_of(terminal))
    wait_until(lambda: all(viewer._has_answered for viewer in viewers))
    # A replay for one who comes late asks nobody anything.
    late = Emulator(terminals, terminal)
    terminals.attach(terminal.id, late)
    late.more()
    terminals.write(terminal.id, b"\x1b[1;2RfromKEYSEND", late)
    wait_until(lambda: b"GOT" in output_of(terminal))
    answered = b"".join(ASKED.values())
    if not windows:
        # Nobody knows where the cursor is.
        answered = answered.replace(b"7;9R", b"1;1R")
    assert output_of(terminal).partition(b"GOT")[2] == answered + b"\x1b[1;2RfromKEYSEND"


def test_answer_that_no_window_gives_holds_up_the_others_for_a_while_only(terminals: Terminals) -> None:
    terminal = started(terminals, "stty raw -echo; read -n1; printf '\\033[6n\\033[c'; head -c 13 | od -c; sleep 100")
    viewer = Recorder(terminal)
    terminals.attach(terminal.id, viewer)
    terminals.write(terminal.id, b"x", viewer)
    wait_until(lambda: b"[   1   ;   1   R 033   [   ?   1" in output_of(terminal))


def test_colours_that_only_a_plain_client_knows_are_passed_on_once_and_kept(terminals: Terminals) -> None:
    terminal = started(terminals, "stty raw -echo; printf ready; head -c 22 | od -c; sleep 100")
    viewers = [Recorder(terminal), Recorder(terminal)]
    for viewer in viewers:
        terminals.attach(terminal.id, viewer)
    wait_until(lambda: b"ready" in output_of(terminal))
    for viewer in viewers:
        terminals.write(terminal.id, b"\x1b]11;rgb:12/34/56\x1b\\", viewer)
    terminals.write(terminal.id, b"xxxxxxxxxx", viewers[0])
    wait_until(lambda: b"\\   x   x   x" in output_of(terminal))
    assert terminals.look.get("11") == "rgb:1212/3434/5656"


def test_size_is_that_of_the_window_in_use_and_comes_back_when_it_goes(terminals: Terminals) -> None:
    terminal = started(terminals, "stty raw -echo; cat")
    desk, phone, hidden = Recorder(terminal), Recorder(terminal), Recorder(terminal)
    desk.size, phone.size, hidden.size = (50, 200), (30, 40), (24, 80)

    def size() -> tuple[int, int]:
        assert tuple(os.get_terminal_size(terminal.descriptor))[::-1] == (terminal.rows, terminal.cols)
        return terminal.rows, terminal.cols

    terminals.attach(terminal.id, desk)
    assert size() == (50, 200)
    terminals.attach(terminal.id, hidden, focus=False)
    assert size() == (50, 200) and terminal.viewers == 2
    terminals.attach(terminal.id, phone)
    assert size() == (30, 40)
    # A window that is not in use may change as it likes; an answer of its emulator is no use of it.
    terminals.set_size(terminal.id, desk, 51, 201, focus=False)
    terminals.write(terminal.id, b"\x1b[?1;2c", desk)
    assert size() == (30, 40)
    terminals.write(terminal.id, b"x", desk)
    assert size() == (51, 201)
    terminals.set_size(terminal.id, phone, 30, 40)
    assert size() == (30, 40)
    terminals.detach(terminal.id, phone)
    assert size() == (51, 201)
    terminals.detach(terminal.id, desk)
    assert size() == (24, 80)
    terminals.detach(terminal.id, hidden)
    assert size() == (24, 80) and terminal.viewers == 0


def test_program_hears_of_the_focus_of_the_window_in_use_alone(terminals: Terminals) -> None:
    terminal = started(terminals, "stty raw -echo; printf '\\033[?1004hready'; head -c 16 | od -An -c; sleep 100")
    desk, phone = Recorder(terminal), Recorder(terminal)
    for viewer in (desk, phone):
        terminals.attach(terminal.id, viewer)
    wait_until(lambda: b"ready" in output_of(terminal))
    for viewer, said in ((desk, b"I"), (phone, b"I"), (desk, b"O"), (phone, b"a"), (phone, b"O"), (desk, b"I")):
        terminals.write(terminal.id, said if said == b"a" else b"\x1b[" + said, viewer)
    terminals.detach(terminal.id, phone)
    # The last one takes the focus along.
    terminals.detach(terminal.id, desk)
    wait_until(lambda: output_of(terminal).count(b"\n") >= 1)
    told = "".join(output_of(terminal).decode().partition("ready")[2].split())
    assert told == "033[I033[Ia033[O033[I033[O"


def test_program_that_asked_for_it_hears_when_the_page_turns_light(terminals: Terminals) -> None:
    terminal = started(terminals, "stty raw -echo; printf '\\033[?2031hready'; head -c 18 | od -An -c; sleep 100")
    terminals.take_look({"background": "#131110"})
    wait_until(lambda: b"ready" in output_of(terminal))
    wait_until(lambda: terminal.screen.modes.private(2031))
    for background in ("#fffdfa", "#ffffff", "no colour at all", "#111"):
        terminals.take_look({"background": background})
    wait_until(lambda: output_of(terminal).count(b"\n") >= 2)
    told = "".join(output_of(terminal).decode().partition("ready")[2].split())
    assert told == "033[?997;2n033[?997;1n"

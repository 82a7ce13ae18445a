"""What `claude-accounts` alone shows on a terminal: accounts to pick, and the terminal as it was afterwards."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import struct
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Cli, command_line, write_program
from hypothesis import given, strategies as st
from stored import KEY
from test_prompts import Person, person

from claude_accounts import db
from claude_accounts.accounts import bindings, storage
from claude_accounts.commands import picker, tables

TELL = f"""#!{sys.executable}
import os, sys
print("started", os.environ.get("CLAUDE_ACCOUNT"), sys.argv[1:], os.isatty(0), flush=True)
"""
OPENED, CLOSED = "\x1b[?1049h", "\x1b[?1049l"


@pytest.fixture(autouse=True)
def accounts(program_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store three accounts, put a `claude` first on PATH, and be in front of a good terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    write_program(program_folder / "claude", TELL)
    for name in ("alpha", "beta", "jules"):
        db.add_account(name, db.API_KEY, api_key=KEY)


def resized(somebody: Person, rows: int, columns: int) -> None:
    """Give the terminal another size, as a window does."""
    fcntl.ioctl(somebody._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@pytest.mark.parametrize(
    ("keys", "started"),
    [
        ("\r", "alpha"),
        ("\x1b[B\r", "beta"),
        ("jj\x1bOAj\r", "jules"),
        ("\x0e\x10k\r", "alpha"),
        ("bet\r", "beta"),
        ("/j\r", "jules"),
        ("xyz\x15be\x7fe\r", "beta"),
        ("\x1b[200~be\r\n\x1b[201~\r", "beta"),
        ("\x1b[6~\x1b[H\r", "alpha"),
    ],
)
def test_what_is_picked_is_launched_as_by_its_name(keys: str, started: str) -> None:
    with person() as somebody:
        before = termios.tcgetattr(somebody._master)
        somebody.reads("alpha")
        somebody.types(keys)
        somebody.reads(f"started {started} [] True")
        assert somebody.waits() == 0
        assert termios.tcgetattr(somebody._master) == before
        assert somebody.seen.index(OPENED) < somebody.seen.index(CLOSED) < somebody.seen.index("started")


@pytest.mark.parametrize("keys", ["\x1b", "\x03", "\x04", "some\x1b"], ids=["Esc", "Ctrl-C", "Ctrl-D", "typed, Esc"])
def test_leaving_gives_the_terminal_back_and_starts_nothing(keys: str) -> None:
    with person() as somebody:
        before = termios.tcgetattr(somebody._master)
        somebody.reads("alpha")
        somebody.types(keys)
        assert somebody.waits() == 130
        assert termios.tcgetattr(somebody._master) == before
        assert CLOSED in somebody.seen and "started" not in somebody.seen and "Traceback" not in somebody.seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_gives_the_terminal_back_too(number: signal.Signals) -> None:
    with person() as somebody:
        before = termios.tcgetattr(somebody._master)
        somebody.reads("alpha")
        somebody.process.send_signal(number)
        assert somebody.waits() == 128 + number
        assert termios.tcgetattr(somebody._master) == before and CLOSED in somebody.seen


def test_a_stopped_picker_gives_the_terminal_to_the_shell_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    with person(argv=["bash", "--norc", "-i"]) as somebody:
        somebody.types(shlex.join(command_line()) + "\r")
        somebody.reads("Esc: leave")
        somebody.types("\x1a")
        somebody.reads("Stopped")
        assert somebody.seen.index(CLOSED) < somebody.seen.index("Stopped")
        somebody.seen = ""
        somebody.types("fg\r")
        somebody.reads("Esc: leave")
        assert somebody.seen.count(OPENED) == 1
        somebody.types("jk\x1b[B\r")
        somebody.reads("started beta")
        somebody.types("exit 5\r")
        assert somebody.waits() == 5


def test_where_nobody_could_bring_it_back_it_goes_on() -> None:
    """As of `xterm -e claude-accounts`: a terminal without a shell."""
    with person() as somebody:
        somebody.reads("Esc: leave")
        somebody.seen = ""
        somebody.types("\x1a")
        somebody.reads(OPENED)
        somebody.reads("Esc: leave")
        somebody.types("\r")
        somebody.reads("started alpha")
        assert somebody.waits() == 0


def test_another_size_is_drawn_at_once_and_none_is_too_small() -> None:
    with person() as somebody:
        somebody.reads("alpha")
        for rows, columns in ((24, 80), (1, 1), (2, 5), (3, 200), (24, 30)):
            somebody.seen = ""
            resized(somebody, rows, columns)
            somebody.reads("\x1b[J")
        somebody.reads("alpha")
        somebody.types("\r")
        somebody.reads("started alpha")
        assert somebody.waits() == 0


def test_signing_in_and_adding_are_in_reach(cli: Cli) -> None:
    with person() as somebody:
        somebody.reads("alpha")
        somebody.types("\x13")
        # An API key has no login: the command says so.
        somebody.reads("update alpha --key -")
        somebody.waits()
    with person() as somebody:
        somebody.reads("add an API key")
        somebody.types("\x1b[F\r")
        somebody.reads("Name of the account: ")
        somebody.types("alpha\r")
        somebody.reads("already an account alpha")
        assert somebody.waits() == 1


def test_the_account_of_the_folder_comes_first_to_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bindings.bind(db.find_account("jules").id, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with person() as somebody:
        somebody.reads("> jules")
        somebody.types("\r")
        somebody.reads("started jules")
        assert somebody.waits() == 0


@pytest.mark.parametrize(("variable", "value"), [("TERM", "dumb"), ("TERM", "")])
def test_a_terminal_that_cannot_be_drawn_on_shows_the_help(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with person() as somebody:
        assert somebody.waits() == 2
        assert "usage: " in somebody.seen and OPENED not in somebody.seen


def test_no_color_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with person() as somebody:
        somebody.reads("> alpha")
        somebody.types("\x1b")
        somebody.waits()
        assert "\x1b[7m" not in somebody.seen


def test_a_damaged_name_drives_no_terminal_and_is_launched_all_the_same() -> None:
    hostile = "\x1b]0;owned\x07evil"
    with storage.writing() as connection:
        connection.execute("UPDATE accounts SET name = ? WHERE name = 'beta'", (hostile,))
    with person() as somebody:
        somebody.reads("evil")
        somebody.types("evil\r")
        somebody.reads("started")
        assert somebody.waits() == 0
        assert "\x1b]0;" not in somebody.seen.partition("started")[0]


# Without a terminal


def view(names: Iterator[str] | list[str]) -> picker.View:
    """Return a view of accounts of these names."""
    return picker.View([picker.Row(picker.LAUNCH, name, name, name.lower()) for name in names])


@given(st.lists(st.text(min_size=1)), st.text(), st.integers(0, 90), st.integers(1, 30))
def test_no_line_is_wider_and_no_view_higher_than_the_terminal(
    names: list[str], typed: str, width: int, height: int
) -> None:
    shown = view(names)
    for letter in typed:
        if letter.isprintable():
            shown.press(letter)
    lines, _column = shown.lines(width, height)
    assert len(lines) <= height and all(tables.cells(line) <= max(width - 1, 0) for line, _chosen in lines)


@given(st.lists(st.sampled_from([*picker._KEYS.values(), "j", "k", "/", "a", "漢", "unknown"])))
def test_no_row_of_keys_leaves_the_list(keys: list[str]) -> None:
    shown = view(["alpha", "beta"])
    for key in keys:
        try:
            shown.press(key)
        except KeyboardInterrupt:
            return
        assert not shown.fitting or 0 <= shown.at < len(shown.fitting)


def test_ten_thousand_accounts_show_only_what_fits() -> None:
    shown = view([f"account-{number}" for number in range(10_000)])
    assert len(shown.lines(80, 24)[0]) == 24
    for letter in "9998":
        shown.press(letter)
    picked = shown.press("enter")
    assert picked and picked.name == "account-9998"


def split_keys(*pieces: bytes) -> list[str]:
    """Return the keys that these pieces are, each read by itself."""
    reader, writer = os.pipe()
    woken = os.pipe()
    found: list[str] = []
    keys = picker._keys(reader, woken[0])
    for number, piece in enumerate(pieces):
        os.write(writer, piece)
        if number == len(pieces) - 1:
            os.close(writer)
        if number < len(pieces) - 1:
            found.append(next(keys))
    found += list(keys)
    for descriptor in (reader, *woken):
        os.close(descriptor)
    return found


def test_keys_come_whole_however_they_are_cut() -> None:
    assert split_keys(b"\x1b[A\x1b[1;5C\xc3\xa9j\x1b[B") == ["up", "unknown", "é", "j", "down"]
    assert split_keys(b"a\xe6\xbc", b"\xa2\x1b[", b"5~") == ["a", "漢", "page-up"]

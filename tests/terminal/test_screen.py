"""Claims about what the server knows of a screen: modes, places where a late view can begin, answers to questions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from claude_accounts.terminal.screen import RESET, Screen, attributes_at_end
from claude_accounts.terminal.sequences import LONGEST_STRING

MODES = [1, 6, 7, 12, 25, 47, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 2004, 2026, 2031, 7777]
PIECES = [
    *[f"\x1b[?{mode}{final}".encode() for mode in MODES for final in "hl"],
    b"\x1b[?1;2004;1000h",
    b"\x1b[4h",
    b"\x1b[4l",
    b"\x1b=",
    b"\x1b>",
    b"\x1bc",
    b"\x1b[!p",
    b"\x1b[3;20r",
    b"\x1b[r",
    b"\x1b[5 q",
    b"\x1b[ q",
    b"\x1b[>1u",
    b"\x1b[>5u",
    b"\x1b[<u",
    b"\x1b[<3u",
    b"\x1b[=7;2u",
    b"\x1b[=2;3u",
    b"\x1b[>4;2m",
    b"\x1b[>4m",
    b"\x1b(0",
    b"\x1b(B",
    b"\x1b)0",
    b"\x0e",
    b"\x0f",
    b"\x1b]0;tit\xc3\xa9l\x07",
    b"\x1b]2;other\x1b\\",
    b"\x1b]11;#102030\x07",
    b"\x1b]4;1;rgb:ff/00/00\x1b\\",
    b"\x1b]104\x07",
    b"\x1b]111\x07",
    # Data that only looks like modes.
    b"\x1bP$q\x1b\\",
    b"\x1bP+q[?2004h\x1b\\",
    b"\x1b]52;c;[?1049h\x07",
    b"\x1b_G[?1000h\x1b\\",
    b"\x1b]8;;cut off\x1b[?25l",
    b"\x1bPgiven up\x18",
    # 8-bit controls as UTF-8 has them, and what merely resembles them.
    b"\xc2\x9b?2004h",
    b"\xc2\x9d2;eight\xc2\x9c",
    "\u00bb \u00a0é漢🙂".encode(),
    b"\x9b?2004l",
    b"\x1b[38;2;1;2;3m",
    b"\x1b[0m",
    b"\x1b[12;40H",
    b"\x1b[c",
    b"\x1b[?2004$p",
    b"\x1b[6n",
    b"\x1b[>q",
    b"\x1b]10;?\x07",
    b"\x07",
    b"text\r\n",
    b"\x1b",
    b"\x1b[",
    b"\xc2",
]
outputs = st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join)


def read(*parts: bytes) -> Screen:
    screen = Screen()
    for part in parts:
        screen.feed(part)
    return screen


def known(screen: Screen) -> tuple[object, ...]:
    return screen.restoring(), screen.take_answers(), screen.signals.title, screen.modes.on_alternate_screen


@given(outputs, st.data())
@settings(max_examples=120, deadline=None)
def test_output_means_the_same_however_it_is_cut(output: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=8)))
    parts = [output[start:end] for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True)]
    whole = known(read(output))
    assert known(read(*parts)) == whole
    assert known(read(*(output[place : place + 1] for place in range(len(output))))) == whole


@given(outputs, outputs)
@settings(max_examples=120, deadline=None)
def test_late_view_ends_in_the_state_of_one_that_saw_all(before: bytes, after: bytes) -> None:
    # CAN ends what the pieces left unfinished: a late view never begins inside.
    first = read(before + b"\x18\r\n")
    late = read(first.restoring(), after)
    assert late.restoring() == read(before + b"\x18\r\n", after).restoring()


def test_each_mode_is_given_back_and_only_what_holds() -> None:
    for mode in (1, 66, 1000, 1002, 1003, 1004, 1006, 1016, 1049, 2004, 2026, 2031):
        set_to, reset = b"\x1b[?%dh" % mode, b"\x1b[?%dl" % mode
        assert read(set_to).restoring() == RESET + set_to
        assert read(set_to, reset).restoring() == RESET
    for mode in (7, 25):
        assert read(b"\x1b[?%dl" % mode).restoring() == RESET + b"\x1b[?%dl" % mode
        assert read(b"\x1b[?%dl\x1b[?%dh" % (mode, mode)).restoring() == RESET
    # One kind of mouse at a time, the last one; and each screen has its own keyboard.
    assert read(b"\x1b[?1000h\x1b[?1003h\x1b[?1006h").restoring() == RESET + b"\x1b[?1003h\x1b[?1006h"
    two = read(b"\x1b[>1u\x1b[?1049h\x1b[>5u\x1b[>7u\x1b[<u")
    assert two.restoring() == RESET + b"\x1b[>1u\x1b[?1049h\x1b[>5u"
    assert two.modes.keyboard_flags == 5


def test_floods_of_modes_strings_and_parameters_cost_little() -> None:
    screen = read(*(b"\x1b[?%dh" % mode for mode in range(20_000, 30_000)))
    screen.feed(b"\x1b[?2004h" + b"\x1b[>1u" * 10_000 + b"".join(b"\x1b]4;%d;#000\x07" % n for n in range(9999)))
    assert len(screen.restoring()) < 10_000
    assert b"\x1b[?2004h" in screen.restoring()
    for endless in (b"\x1b]0;", b"\x1bP", b"\x1b[?1", b"\x1b(", b"\x1b[1;", b"\x1b[?"):
        screen = read(endless)
        for _piece in range(200):
            screen.feed(b"1" * 10_000)
        assert len(screen._sequences._carried) < 1000
        assert sum(map(len, screen._sequences._parts)) <= LONGEST_STRING
        screen.feed(b"\x07\x18\x1b\\\x1b[?2004h")
        assert b"\x1b[?2004h" in screen.restoring()


@pytest.mark.parametrize("line_ends", [True, False])
def test_late_view_begins_between_characters_and_sequences(line_ends: bool) -> None:
    frame = "\x1b[3;4H\x1b[38;2;1;2;3m日本語🙂\x1b]8;;http://x/\x1b\\x\x1b[K".encode() + (b"\r\n" if line_ends else b"")
    output = b"\x1b[?1049h\x1b[?2004h" + frame * 20_000
    screen = Screen()
    for start in range(0, len(output), 4093):
        screen.feed(output[start : start + 4093], max(0, start - 300_000))
    marks = screen._marks
    assert 3 <= len(marks) <= 12
    for mark in marks[:3]:
        assert mark.restoring == RESET + b"\x1b[?1049h\x1b[?2004h"
        rest = output[mark.offset :]
        assert rest[:1] != b"\\" and (rest[0] & 0xC0) != 0x80
        assert read(output[: mark.offset])._sequences.is_between
        if line_ends:
            assert output[: mark.offset].endswith(b"\r\n")


def test_attributes_are_those_since_they_were_taken_back() -> None:
    assert attributes_at_end(b"\x1b[1mbold\x1b[0m\x1b[31mred \x1b[4munder") == b"\x1b[0m\x1b[31m\x1b[4m"
    assert attributes_at_end(b"\x1b[31mred\x1b[m") == b"\x1b[m"
    assert attributes_at_end(b"plain") == b""

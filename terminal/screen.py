"""Owns what is known of a terminal's screen without drawing it: modes, title, calls for attention, questions asked.

It also knows from where on a view that begins late can be shown: at the beginning of a line, in no sequence, with the
modes that held there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .answers import Answer, Look, colour_of, to_csi, to_dcs
from .modes import Modes
from .sequences import Sequences
from .signals import Signals

RESET = b"\x1bc"
_MARK_EVERY = 32 * 1024
# A program that moves the cursor to each line writes no line ends: then any place between two characters will do.
_MARK_ANYWHERE = 3 * _MARK_EVERY
_MOST_MARKS = 200
_MOST_COLOURS = 300
_ATTRIBUTES = re.compile(rb"\x1b\[[0-9;:]{0,64}m")
_NO_ATTRIBUTES = re.compile(rb"\x1b\[0?m")
_MOST_ATTRIBUTES = 64


class Mark(NamedTuple):
    """A place in the output, and what brings a terminal to the state that it had there."""

    offset: int
    restoring: bytes


class Screen:
    """Follows the output of one program; it belongs to the thread that reads it, but for the attributes and `mark`."""

    def __init__(self, rows: int = 24, cols: int = 80) -> None:
        self.modes = Modes()
        self.signals = Signals()
        self.look = Look()
        self.size = (rows, cols)
        self._sequences = Sequences(self)
        self._colours: dict[bytes, str] = {}
        self._asked: list[Answer] = []
        self._end = 0
        self._marks: tuple[Mark, ...] = ()
        self._looked_at = 0

    def feed(self, data: bytes, kept_from: int = 0) -> bool:
        """Read on, and tell whether title or attention changed; of the output before `kept_from` nothing is kept."""
        before = (self.signals.title, self.signals.attention)
        offset, self._end = self._end, self._end + len(data)
        line = data.rfind(b"\n") + 1 if self._end - self._looked_at >= _MARK_EVERY else 0
        if line:
            self._sequences.feed(data[:line])
            self._mark(offset + line, kept_from)
            data = data[line:]
        self._sequences.feed(data)
        if self._end - self._looked_at >= _MARK_ANYWHERE and _ends_with_character(data):
            self._mark(self._end, kept_from)
        return (self.signals.title, self.signals.attention) != before

    def _mark(self, offset: int, kept_from: int) -> None:
        if self._sequences.is_between:
            self._looked_at = offset
            kept = [mark for mark in self._marks[-_MOST_MARKS:] if mark.offset >= kept_from]
            self._marks = (*kept, Mark(offset, self.restoring()))

    def mark(self, offset: int) -> Mark | None:
        """Return the first marked place from an offset on, None when there is none."""
        return next((mark for mark in self._marks if mark.offset >= offset), None)

    def restoring(self) -> bytes:
        """Return what brings any terminal to the state that this one has now, all but what it shows."""
        title = self.signals.title.encode()
        parts = [RESET, b"\x1b]2;%s\x1b\\" % title if title else b""]
        parts += [b"\x1b]%s;%s\x1b\\" % (name, colour.encode()) for name, colour in self._colours.items()]
        return b"".join([*parts, self.modes.restoring()])

    def take_answers(self) -> list[Answer]:
        """Return what is to be answered since the last time, in the order of the questions."""
        asked, self._asked = self._asked, []
        return asked

    # For the reader of sequences

    def csi(self, prefix: bytes, parameters: bytes, final: bytes) -> None:
        """Take a control sequence."""
        if final in (b"h", b"l"):
            self.modes.set(prefix, parameters, final == b"h")
            return
        answer = to_csi(prefix, parameters, final, self.modes, self.size)
        if (prefix, parameters, final) == (b"?", b"996", b"n"):
            answer = self.look.scheme or None
        if answer is None:
            self.modes.csi(prefix, parameters, final)
        else:
            self._asked.append(answer)

    def escape(self, rest: bytes) -> None:
        """Take an escape sequence."""
        self.modes.escape(rest)
        if rest == b"c":
            self._colours.clear()

    def control(self, code: bytes) -> None:
        """Take a control character."""
        if code == b"\x07":
            self.signals.ring()
        else:
            self.modes.shift(code)

    def string(self, kind: bytes, text: bytes, end: bytes) -> None:
        """Take a string."""
        if kind == b"]":
            if not self._follow_colours(text, end):
                self.signals.obey(text)
        elif kind == b"P":
            answer = to_dcs(text, self.modes, self.size)
            if answer is not None:
                self._asked.append(answer)

    def _follow_colours(self, text: bytes, end: bytes) -> bool:
        """Follow what sets, gives back or asks for colours; tell whether it was about colours."""
        number, _, rest = text.partition(b";")
        parts = rest.split(b";") if rest else []
        if number == b"4":
            for index, colour in zip(parts[::2], parts[1::2], strict=False):
                if index.isdigit() and int(index) < 256:
                    self._colour(b"4;%d" % int(index), colour, end)
        elif number in (b"10", b"11", b"12"):
            for place, colour in enumerate(parts[: 13 - int(number)], int(number)):
                self._colour(b"%d" % place, colour, end)
        elif number in (b"104", b"110", b"111", b"112"):
            names = [b"4;" + part for part in parts] if number == b"104" else [number[1:]]
            for name in names or [name for name in self._colours if name.startswith(b"4;")]:
                self._colours.pop(name, None)
        else:
            return False
        return True

    def _colour(self, name: bytes, colour: bytes, end: bytes) -> None:
        if colour != b"?":
            given = colour_of(colour.decode("ascii", "replace"))
            if given and len(self._colours) < _MOST_COLOURS:
                self._colours[name] = given
            return
        shown = self._colours.get(name) or self.look.get(name.decode())
        if shown:
            self._asked.append(b"\x1b]%s;%s%s" % (name, shown.encode(), end))


def attributes_at_end(data: bytes) -> bytes:
    """Return what sets the colours and weights that hold behind a stretch of output, as far as it says so."""
    start = max((found.start() for found in _NO_ATTRIBUTES.finditer(data)), default=0)
    return b"".join(_ATTRIBUTES.findall(data, start)[-_MOST_ATTRIBUTES:])


def _ends_with_character(data: bytes) -> bool:
    """Tell whether no character of UTF-8 is cut in two behind `data`."""
    for back, byte in enumerate(reversed(data[-4:]), 1):
        if byte & 0xC0 != 0x80:
            length = 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back >= length
    return True

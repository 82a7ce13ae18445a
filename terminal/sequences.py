"""Owns cutting a program's output into the control sequences that matter here, however the output itself is cut.

It knows the grammar (ECMA-48 as xterm reads it, 8-bit controls as UTF-8 has them), and not what a sequence means. What
only draws (text, colours, moves of the cursor) is passed over at the speed of one regular expression.
"""

from __future__ import annotations

import re
from typing import Protocol

# Longer strings are none that we understand; sequences that long are none at all.
LONGEST_STRING = 4096
_LONGEST_SEQUENCE = 256
# Without one of these there is nothing to find.
_BEGINNINGS = (b"\x1b", b"\x07", b"\x0e", b"\x0f", b"\xc2")
# Most output has no other control characters than ESC, and most sequences only draw. The first look finds the rest of
# them; its beginning is one byte, which is searched for at the speed of memory.
_AFTER_ESC = rb"(?:\[(?:[<=>?][0-9;:]{0,64}[$chlmnqu]|[0-9;:]{0,64}[chlnrt!$ ])|[P\]X^_=>cno|}~()*+])"
_FIRST_LOOK = re.compile(rb"\x1b" + _AFTER_ESC)
_CONTROL8 = re.compile(rb"\xc2[\x90\x98\x9b\x9d-\x9f]")
_FIRST_LOOK_AT_OTHERS = re.compile(
    rb"[\x07\x0e\x0f\x1b\xc2](?:(?<=\x1b)%s|(?<=\xc2)[\x90\x98\x9b\x9d-\x9f]|(?<=[\x07\x0e\x0f]))" % _AFTER_ESC
)
_FOUND = re.compile(
    rb"(?:\x1b\[|\xc2\x9b)"
    rb"(?:([<=>?])([0-9;:]{0,64})(\$p|[chlmnqu])|([0-9;:]{0,64})(\$p|!p| q|[chlnrt]))"
    rb"|(?:\x1b([P\]X^_])|\xc2([\x90\x98\x9d\x9e\x9f]))"
    rb"|\x1b([=>cno|}~]|[()*+][0-~])"
    rb"|([\x07\x0e\x0f])"
)
# BEL ends an OSC string alone.
_OSC_END = re.compile(rb"\x07|\x1b|\xc2\x9c|[\x18\x1a]")
_STRING_END = re.compile(rb"\x1b|\xc2\x9c|[\x18\x1a]")
_UNFINISHED = re.compile(rb"(?:\x1b\[|\xc2\x9b)[0-?]{0,256}[ -/]{0,8}|\x1b[ -/]{0,8}|\xc2")
_KINDS = {0x90: b"P", 0x98: b"X", 0x9D: b"]", 0x9E: b"^", 0x9F: b"_"}


class Listener(Protocol):
    """Whoever makes sense of the sequences; they come in their order."""

    def csi(self, prefix: bytes, parameters: bytes, final: bytes) -> None:
        """Take `CSI prefix parameters final`; the final comes with what is before it, as in ` q`."""

    def escape(self, rest: bytes) -> None:
        """Take an escape sequence of two characters or three, without its ESC."""

    def string(self, kind: bytes, text: bytes, end: bytes) -> None:
        """Take a whole string and what ended it: `]` for OSC, `P` for DCS, `_`, `^`, `X`."""

    def control(self, code: bytes) -> None:
        """Take BEL, SO or SI outside of strings."""


class Sequences:
    """Reads one program's output, piece by piece."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        # The beginning of a sequence, or of a character, whose rest has not come yet.
        self._carried = b""
        self._string = b""
        self._parts: list[bytes] = []
        self._length = 0

    @property
    def is_between(self) -> bool:
        """Whether what comes next is neither inside a sequence nor inside a string."""
        return not self._carried and not self._string

    def feed(self, data: bytes) -> None:
        """Read on."""
        if not self._string and not self._carried and not any(beginning in data for beginning in _BEGINNINGS):
            return
        if self._carried:
            data = self._carried + data
            self._carried = b""
        others = b"\x07" in data or b"\x0e" in data or b"\x0f" in data or _CONTROL8.search(data)
        look = (_FIRST_LOOK_AT_OTHERS if others else _FIRST_LOOK).search
        position = 0
        while position < len(data):
            if self._string:
                position = self._read_string(data, position)
                continue
            seen = look(data, position)
            if seen is None:
                self._carry(data, position)
                return
            found = _FOUND.match(data, seen.start())
            if found is not None:
                position = found.end()
                self._tell(found)
            elif _UNFINISHED.fullmatch(data, seen.start()):
                self._carried = data[seen.start() :]
                return
            else:
                position = seen.start() + 1

    def _tell(self, found: re.Match[bytes]) -> None:
        prefix, parameters, final, plain, plain_final, string, string8, escape, control = found.groups()
        if final is not None:
            self._listener.csi(prefix, parameters, final)
        elif plain_final is not None:
            self._listener.csi(b"", plain, plain_final)
        elif control is not None:
            self._listener.control(control)
        elif escape is not None:
            self._listener.escape(escape)
        else:
            self._string = string or _KINDS[string8[0]]
            self._parts, self._length = [], 0

    def _carry(self, data: bytes, position: int) -> None:
        """Keep what may be the beginning of a sequence at the end of the data."""
        low = max(position, len(data) - _LONGEST_SEQUENCE)
        start = max(data.rfind(b"\x1b", low), data.rfind(b"\xc2", low))
        if start >= 0 and _UNFINISHED.fullmatch(data, start):
            self._carried = data[start:]

    def _read_string(self, data: bytes, position: int) -> int:
        """Read on in a string, and return where it ended, or the end of the data."""
        found = (_OSC_END if self._string == b"]" else _STRING_END).search(data, position)
        if found is None:
            end = len(data) - data.endswith(b"\xc2")
            self._keep(data[position:end])
            self._carried = data[end:]
            return len(data)
        mark = found.group()
        whole = mark in (b"\x07", b"\xc2\x9c")
        end = found.end()
        if mark == b"\x1b":
            if end == len(data):
                self._keep(data[position : found.start()])
                self._carried = mark
                return end
            whole = data[end : end + 1] == b"\\"
            # Any other sequence cuts the string off, and counts itself.
            end = end + 1 if whole else found.start()
        self._keep(data[position : found.start()])
        kind, self._string = self._string, b""
        parts, self._parts = self._parts, []
        if whole and self._length <= LONGEST_STRING:
            self._listener.string(kind, b"".join(parts), b"\x07" if mark == b"\x07" else b"\x1b\\")
        return end

    def _keep(self, part: bytes) -> None:
        self._length += len(part)
        if self._length <= LONGEST_STRING:
            self._parts.append(part)
        else:
            self._parts = []

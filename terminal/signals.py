"""Owns what a program says about itself in its output: its title, and that it wants the user.

It understands OSC 0 and 2 (title), BEL, OSC 9, 99 and 777 (notifications), cut anywhere, and skips everything else.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

_INTRODUCER = re.compile(rb"\x07|\x1b\]")
# A string ends with BEL or ST; CAN, SUB and any other escape sequence cut it off.
_TERMINATOR = re.compile(rb"\x07|\x1b\\|\x1b(?=[^\\])|[\x18\x1a]")
_LONGEST = 4096
_LONGEST_TEXT = 256


class Attention(NamedTuple):
    """Why the program wants the user: "bell" or "notification", its words, and when (epoch milliseconds)."""

    kind: str
    title: str
    body: str
    at: int


class SignalReader:
    """Follow one program's output; `title` and `attention` are what was said last."""

    def __init__(self) -> None:
        self.title = ""
        self.attention: Attention | None = None
        self._unfinished = b""
        self._skipping = False

    def feed(self, data: bytes) -> bool:
        """Read on, and tell whether title or attention changed."""
        quiet = b"\x07" not in data and b"\x1b]" not in data
        if quiet and not self._unfinished and not self._skipping:
            # Nearly all output passes here; these searches run at memory speed.
            if data.endswith(b"\x1b"):
                self._unfinished = b"\x1b"
            return False
        before = (self.title, self.attention)
        data = self._unfinished + data
        self._unfinished = b""
        position = 0
        while position < len(data):
            if not self._skipping:
                found = _INTRODUCER.search(data, position)
                if found is None:
                    if data.endswith(b"\x1b"):
                        self._unfinished = b"\x1b"
                    break
                position = found.end()
                if found.group() == b"\x07":
                    self._notify("bell", "", "")
                    continue
            ended = _TERMINATOR.search(data, position)
            if ended is None:
                self._keep(data, position)
                break
            if self._skipping:
                self._skipping = False
            elif ended.group() in (b"\x07", b"\x1b\\"):
                self._obey(data[position : ended.start()])
            position = ended.end() if ended.group() != b"\x1b" else ended.start()
        return (self.title, self.attention) != before

    def _keep(self, data: bytes, position: int) -> None:
        """Keep the beginning of a string until its end comes; a long one is none of ours."""
        if self._skipping or len(data) - position > _LONGEST:
            self._skipping = True
            self._unfinished = b"\x1b" if data.endswith(b"\x1b") else b""
        else:
            self._unfinished = b"\x1b]" + data[position:]

    def _obey(self, text: bytes) -> None:
        number, _, rest = text.partition(b";")
        if number in (b"0", b"2"):
            self.title = _words(rest)
        elif number == b"9" and not re.match(rb"\d+(;|$)", rest):
            # With a number it is something else: 9;4 reports progress.
            self._notify("notification", "", _words(rest))
        elif number == b"777" and rest.startswith(b"notify;"):
            title, _, body = rest[len(b"notify;") :].partition(b";")
            self._notify("notification", _words(title), _words(body))
        elif number == b"99":
            self._notify("notification", "", _words(rest.partition(b";")[2]))

    def _notify(self, kind: str, title: str, body: str) -> None:
        now = int(time.time() * 1000)
        if kind == "bell" and self.attention and self.attention.kind == "notification":
            # Some programs ring after a notification: the words say more.
            return
        self.attention = Attention(kind, title, body, now)


def _words(text: bytes) -> str:
    decoded = text.decode("utf-8", "replace")
    return "".join(character for character in decoded if character.isprintable())[:_LONGEST_TEXT]

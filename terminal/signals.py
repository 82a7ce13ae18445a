"""Owns what a program says about itself in its output: its title, and that it wants the user.

It understands OSC 0 and 2 (title), BEL, OSC 9, 99 and 777 (notifications), and takes no notice of anything else.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

_LONGEST_TEXT = 256


class Attention(NamedTuple):
    """Why the program wants the user: "bell" or "notification", its words, and when (epoch milliseconds)."""

    kind: str
    title: str
    body: str
    at: int


class Signals:
    """What one program said last: `title` and `attention`."""

    def __init__(self) -> None:
        self.title = ""
        self.attention: Attention | None = None

    def ring(self) -> None:
        """Take a bell."""
        self._notify("bell", "", "")

    def obey(self, text: bytes) -> None:
        """Take an OSC string."""
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

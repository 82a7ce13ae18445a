"""Owns what a program is answered that asks its terminal something: what the page's emulator can do, and shows.

The server answers, once and at once, however many watch: nobody, or three windows of which each would answer too. So
what is answered here must be true of what the page shows. Where the cursor is only an emulator knows: a viewer is asked
by having the query in its output, and tells it as if it were typed.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from typing import Any, NamedTuple

from .modes import ALTERNATE, Modes

# A program with this mode set is told when the page turns dark or light.
SCHEME_REPORTS = 2031
WHO = b"xterm.js(6.0.0)"
_CURSOR_SECONDS = 1.0
_MOST_WAITING = 256
_ATTRIBUTES = {b"": b"\x1b[?1;2c", b">": b"\x1b[>0;276;0c", b"=": b"\x1bP!|00000000\x1b\\"}
# As a request for a mode is answered: not known, set, reset, set or reset for ever.
_UNKNOWN, _SET, _RESET, _ALWAYS, _NEVER = range(5)
_PLAIN = {2: _NEVER, 12: _ALWAYS}
_PRIVATE = {8: _ALWAYS, 67: _NEVER, 1005: _NEVER, 1015: _NEVER, 1048: _SET}
_FOLLOWED = frozenset(
    {1, 6, 7, 9, 12, 25, 45, 66, 1000, 1002, 1003, 1004, 1006, 1016, *ALTERNATE, 2004, 2026, SCHEME_REPORTS}
)
_CAPABILITIES = {b"TN": b"xterm-256color", b"Co": b"256", b"colors": b"256", b"RGB": b"8"}
# What an emulator sends by itself where it answers too, and no key does.
_REPLY = re.compile(
    rb"\x1b\[[?>=][0-9;]{0,64}[cu]|\x1b\[\??[0-9;]{0,32}\$y|\x1b\[[03]n|\x1b\[\?(?:997|10|11|13|21|20|27|50|53)[0-9;]{0,16}n"
    rb"|\x1b\[(?:[4689]|10);[0-9;]{1,16}t"
    rb"|\x1bP[01]?[$+!>][^\x07\x1b]{0,256}\x1b\\"
)
_COLOUR_REPLY = re.compile(rb"\x1b\]((?:4;\d{1,3}|1[0-2]));(rgb:[0-9a-fA-F/]{5,14})(?:\x07|\x1b\\)")
_PLACE = re.compile(rb"\x1b\[\??(\d{1,5});(\d{1,5})(?:;1)?R")
# F3 together with Shift, Alt or Ctrl is told in the very words of a cursor in the first line.
_KEY = re.compile(rb"\x1b\[1;(?:[2-9]|1[0-6])R")
_HEXADECIMAL = re.compile(rb"(?:[0-9A-Fa-f]{2}){1,32}")
_COLOUR = re.compile(
    r"#(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{9}|[0-9a-f]{12})|rgb:[0-9a-f]{1,4}(?:/[0-9a-f]{1,4}){2}", re.IGNORECASE
)


class Cursor(NamedTuple):
    """An answer that must be asked for: where the cursor is."""

    private: bool

    def answer(self, row: int, col: int) -> bytes:
        """Return the answer."""
        return b"\x1b[%s%d;%dR" % (b"?" if self.private else b"", row, col)


Answer = bytes | Cursor


class Look:
    """The colours that the window shows which had the focus last; {} before there was one."""

    def __init__(self) -> None:
        self._colours: dict[str, str] = {}

    def take(self, told: Any) -> None:
        """Take what a client says: {foreground, background, cursor: "#rrggbb", palette: [sixteen of them]}."""
        if not isinstance(told, dict):
            return
        palette = told.get("palette")
        colours = {"10": told.get("foreground"), "11": told.get("background"), "12": told.get("cursor")}
        colours |= {f"4;{place}": colour for place, colour in enumerate(palette if isinstance(palette, list) else [])}
        self._colours = {name: given for name, colour in list(colours.items())[:19] if (given := colour_of(colour))}

    def learn(self, reply: bytes) -> bool | None:
        """Take a colour that a client's own emulator answers; tell whether it is news, None when it is no colour."""
        found = _COLOUR_REPLY.fullmatch(reply) if reply.startswith(b"\x1b]") else None
        if found is None:
            return None
        name = found[1].decode()
        if self.get(name):
            return False
        self._colours[name] = colour_of(found[2].decode())
        return bool(self._colours[name])

    def get(self, name: str) -> str:
        """Return a colour as it is answered, "" when it is not known."""
        if name in self._colours:
            return self._colours[name]
        number = name.removeprefix("4;")
        # The other 240 are the same everywhere.
        return _usual(int(number)) if name != number and 16 <= int(number) < 256 else ""

    @property
    def scheme(self) -> bytes:
        """What a program is told of the colours as a whole, dark or light; b"" while they are not known."""
        background = self._colours.get("11")
        if not background:
            return b""
        red, green, blue = (int(part, 16) for part in background[4:].split("/"))
        return b"\x1b[?997;%dn" % (1 if 299 * red + 587 * green + 114 * blue < 500 * 0xFFFF else 2)

    @property
    def is_known(self) -> bool:
        """Whether any window has told its colours."""
        return bool(self._colours)


def colour_of(text: Any) -> str:
    """Return a colour as `rgb:rrrr/gggg/bbbb`, "" for what is none."""
    if not isinstance(text, str) or not _COLOUR.fullmatch(text):
        return ""
    if text.startswith("#"):
        width = (len(text) - 1) // 3
        parts = [text[1 + width * place : 1 + width * (place + 1)] for place in range(3)]
    else:
        parts = text[4:].split("/")
    return "rgb:" + "/".join(f"{int(part, 16) * 0xFFFF // (16 ** len(part) - 1):04x}" for part in parts)


def _usual(number: int) -> str:
    if number >= 232:
        parts = [8 + (number - 232) * 10] * 3
    else:
        steps = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
        parts = [55 + step * 40 if step else 0 for step in steps]
    return "rgb:" + "/".join(f"{part * 257:04x}" for part in parts)


def to_csi(prefix: bytes, parameters: bytes, final: bytes, modes: Modes, size: tuple[int, int]) -> Answer | None:
    """Return the answer to a control sequence, None when it asks nothing that is answered."""
    if final == b"c" and parameters in (b"", b"0"):
        return _ATTRIBUTES.get(prefix)
    if final == b"n" and prefix in (b"", b"?"):
        if parameters == b"6":
            return Cursor(private=prefix == b"?")
        return b"\x1b[0n" if (prefix, parameters) == (b"", b"5") else None
    if final == b"$p" and parameters.isdigit():
        number = int(parameters)
        private = prefix == b"?"
        state = _private_state(number, modes) if private else _plain_state(number, modes)
        return b"\x1b[%s%d;%d$y" % (prefix if private else b"", number, state)
    if (prefix, final) == (b">", b"q") and parameters in (b"", b"0"):
        return b"\x1bP>|" + WHO + b"\x1b\\"
    if (prefix, final) == (b"", b"t") and parameters in (b"18", b"19"):
        return b"\x1b[%d;%d;%dt" % (int(parameters) - 10, *size)
    return None


def _private_state(number: int, modes: Modes) -> int:
    if number in _FOLLOWED:
        return _SET if modes.private(number) else _RESET
    return _PRIVATE.get(number, _UNKNOWN)


def _plain_state(number: int, modes: Modes) -> int:
    if number in (4, 20):
        return _SET if modes.plain(number) else _RESET
    return _PLAIN.get(number, _UNKNOWN)


def to_dcs(text: bytes, modes: Modes, size: tuple[int, int]) -> bytes | None:
    """Return the answer to DECRQSS or XTGETTCAP, None for any other string."""
    if text.startswith(b"$q"):
        asked = text[2:]
        region = modes.region or b"1;%d" % size[0]
        known = {b"r": region + b"r", b"m": b"0m", b" q": b"%d q" % (modes.cursor_style or 1)}
        known |= {b'"p': b'61;1"p', b'"q': b'0"q'}
        return b"\x1bP1$r" + known[asked] + b"\x1b\\" if asked in known else b"\x1bP0$r\x1b\\"
    if text.startswith(b"+q"):
        return b"".join(map(_capability, text[2:].split(b";")[:16]))
    return None


def _capability(name: bytes) -> bytes:
    if not _HEXADECIMAL.fullmatch(name):
        # What was asked is said again only where it can mean nothing to whoever reads it.
        return b"\x1bP0+r\x1b\\"
    value = _CAPABILITIES.get(bytes.fromhex(name.decode()))
    if value is None:
        return b"\x1bP0+r%s\x1b\\" % name
    return b"\x1bP1+r%s=%s\x1b\\" % (name, value.hex().upper().encode())


def is_reply(data: bytes) -> bool:
    """Tell whether a client's input is nothing but an answer that has been given already."""
    return data.startswith(b"\x1b") and _REPLY.fullmatch(data) is not None


def place_in(data: bytes) -> tuple[int, int] | None:
    """Return the row and column that a client's input tells, None when it tells none."""
    found = _PLACE.fullmatch(data) if data.startswith(b"\x1b[") else None
    return (int(found[1]), int(found[2])) if found else None


def may_be_key(data: bytes) -> bool:
    """Tell whether what looks like the cursor's place may be a key."""
    return _KEY.fullmatch(data) is not None


class Answers:
    """The answers to one program in the order of its questions; where one has to wait, all behind it do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Answer, object, float]] = deque()

    def add(self, answers: list[Answer], viewer: object) -> None:
        """Take the next answers; `viewer` is who tells where the cursor is, None when nobody watches."""
        until = time.monotonic() + _CURSOR_SECONDS if viewer is not None else 0.0
        with self._lock:
            for answer in answers[: _MOST_WAITING - len(self._waiting)]:
                self._waiting.append((answer, viewer, until))

    def tell(self, viewer: object, row: int, col: int) -> bool:
        """Take a viewer's word for where the cursor is; tell whether it was waited for."""
        with self._lock:
            for number, (answer, asked, _until) in enumerate(self._waiting):
                if isinstance(answer, Cursor) and asked is viewer:
                    self._waiting[number] = (answer.answer(row, col), None, 0.0)
                    return True
        return False

    def forget(self, viewer: object) -> None:
        """Wait for a viewer no longer: it is gone."""
        with self._lock:
            self._waiting = deque(
                (answer, None, 0.0) if asked is viewer else (answer, asked, until)
                for answer, asked, until in self._waiting
            )

    def ready(self) -> bytes:
        """Return the answers that can be given now, and keep the rest."""
        now, ready = time.monotonic(), b""
        with self._lock:
            while self._waiting:
                answer, _viewer, until = self._waiting[0]
                if isinstance(answer, Cursor):
                    if now < until:
                        break
                    # Nobody says where it is; a program that waits for ever would be worse off.
                    answer = answer.answer(1, 1)
                ready += answer
                self._waiting.popleft()
        return ready

    @property
    def is_waiting(self) -> bool:
        """Whether a viewer has still to tell something."""
        return bool(self._waiting)

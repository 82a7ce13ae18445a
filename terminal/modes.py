"""Owns which modes a program has set on its terminal, and the sequences that set a fresh terminal alike.

It follows what decides how keys, mouse and paste reach the program and where output is drawn; what is drawn it does not
know. Where terminals differ it does as xterm.js does, which is what the page shows.
"""

from __future__ import annotations

_MOUSE = (9, 1000, 1001, 1002, 1003)
_MOUSE_CODING = (1006, 1016)
# Of each of these one is set at most.
_GROUPS = {number: group for group in (_MOUSE, _MOUSE_CODING) for number in group}
ALTERNATE = (47, 1047, 1049)
_ON_BY_DEFAULT = frozenset({7, 8, 25})
_OFF_BY_DEFAULT = frozenset({1, 5, 6, 45, 66, *_MOUSE, *_MOUSE_CODING, 1004, 1005, 1007, 1015, 2004, 2026, 2031})
# These do something once: another character set, another width, the cursor's place.
_DEEDS = frozenset({2, 3, 1048})
_SOFTLY_RESET = (1, 6, 7, 25, 45, 66, 1004, 2004, 2026)
_INSERT, _NEW_LINE = 4, 20
# Those that nobody knows here are kept as they were said, but not any number of them.
_MOST_UNKNOWN = 64
_MOST_KEYBOARDS = 16
_LARGEST = 1 << 16
_SHIFTS = {b"\x0f": b"\x0f", b"\x0e": b"\x0e", b"n": b"\x1bn", b"o": b"\x1bo"}


class _Buffer:
    """What each of the two screens has for itself: its scroll region, its stack of keyboard flags (kitty)."""

    def __init__(self) -> None:
        self.region = b""
        self.keyboards = [0]

    def restoring(self) -> bytes:
        first, *pushed = self.keyboards
        parts = [b"\x1b[=%d;1u" % first] if first else []
        parts += [b"\x1b[>%du" % flags for flags in pushed]
        return b"".join([*parts, b"\x1b[%sr" % self.region if self.region else b""])


class Modes:
    """The modes of one terminal."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        # In the order in which they were set last.
        self._private: dict[int, bool] = {}
        self._plain: dict[int, bool] = {}
        self._alternate = 0
        self._main, self._other = _Buffer(), _Buffer()
        self._modify_keys = b""
        self.cursor_style = 0
        self._charsets: dict[bytes, bytes] = {}
        self._shift = b"\x0f"
        self._restoring: bytes | None = None

    @property
    def on_alternate_screen(self) -> bool:
        """Whether the program draws on the screen that keeps no lines."""
        return self._alternate != 0

    @property
    def keyboard_flags(self) -> int:
        """The flags of the kitty keyboard protocol that hold now."""
        return self._buffer.keyboards[-1]

    @property
    def region(self) -> bytes:
        """The scroll region as it was given, b"" for the whole screen."""
        return self._buffer.region

    @property
    def _buffer(self) -> _Buffer:
        return self._other if self._alternate else self._main

    def private(self, number: int) -> bool:
        """Tell whether a private mode is set."""
        if number in ALTERNATE:
            return self.on_alternate_screen
        return self._private.get(number, number in _ON_BY_DEFAULT)

    def plain(self, number: int) -> bool:
        """Tell whether a mode of the standard is set."""
        return self._plain.get(number, False)

    def restoring(self) -> bytes:
        """Return what brings a terminal that was just reset to these modes; its cursor stays at home."""
        if self._restoring is None:
            parts = [self._main.restoring()]
            if self._alternate:
                parts += [b"\x1b[?%dh" % self._alternate, self._other.restoring()]
            parts += [b"\x1b[%dh" % number for number in self._plain]
            parts += [b"\x1b[?%d%s" % (number, b"h" if on else b"l") for number, on in self._private.items()]
            parts += [b"\x1b[>4;%sm" % self._modify_keys] if self._modify_keys else []
            parts += [b"\x1b[%d q" % self.cursor_style] if self.cursor_style else []
            parts += [b"\x1b" + place + charset for place, charset in sorted(self._charsets.items())]
            parts += [_SHIFTS[self._shift]] if self._shift != b"\x0f" else []
            self._restoring = b"".join(parts)
        return self._restoring

    def set(self, prefix: bytes, parameters: bytes, on: bool) -> None:
        """Follow what sets or resets modes."""
        if prefix in (b"", b"?"):
            self._restoring = None
            for number in _numbers(parameters):
                self._set(prefix == b"?", number, on)

    def csi(self, prefix: bytes, parameters: bytes, final: bytes) -> None:
        """Follow any other control sequence."""
        self._restoring = None
        if (prefix, final) == (b"", b"!p"):
            self._reset_softly()
        elif (prefix, final) == (b"", b"r"):
            self._set_region(parameters)
        elif (prefix, final) == (b"", b" q"):
            self.cursor_style = min(_number(parameters), 255)
        elif final == b"u" and prefix:
            self._set_keyboard(prefix, parameters)
        elif prefix == b">" and final in (b"m", b"n"):
            self._set_modify_keys(parameters, final)

    def escape(self, rest: bytes) -> None:
        """Follow an escape sequence."""
        self._restoring = None
        if rest in (b"=", b">"):
            self._set(True, 66, rest == b"=")
        elif rest == b"c":
            self._reset()
        elif rest in _SHIFTS:
            self._shift = rest
        elif len(rest) == 2:
            self._charsets[rest[:1]] = rest[1:]
            if rest[1:] == b"B":
                del self._charsets[rest[:1]]

    def shift(self, code: bytes) -> None:
        """Follow SO and SI, which choose between two character sets."""
        if code != self._shift:
            self._shift = code
            self._restoring = None

    def resized(self) -> None:
        """Forget the scroll regions: no terminal keeps them for another size."""
        self._main.region = self._other.region = b""
        self._restoring = None

    def _set(self, private: bool, number: int, on: bool) -> None:
        if not private:
            if number in (_INSERT, _NEW_LINE):
                self._plain.pop(number, None)
                self._plain.update({number: True} if on else {})
        elif number in ALTERNATE:
            self._switch(number if on else 0)
        elif number not in _DEEDS:
            for other in _GROUPS.get(number, (number,)):
                self._private.pop(other, None)
            usual = number in (_ON_BY_DEFAULT if on else _OFF_BY_DEFAULT)
            known = number in _ON_BY_DEFAULT or number in _OFF_BY_DEFAULT
            if not usual and (known or len(self._private) < _MOST_UNKNOWN):
                self._private[number] = on

    def _switch(self, alternate: int) -> None:
        if not alternate:
            self._other.region = b""
        if bool(alternate) != self.on_alternate_screen:
            self._alternate = alternate

    def _set_region(self, parameters: bytes) -> None:
        top, bottom = [*_numbers(parameters), 0][:2]
        if not bottom or max(top, 1) < bottom:
            self._buffer.region = b"%d;%d" % (max(top, 1), bottom) if bottom else b"%d" % top if top > 1 else b""

    def _reset_softly(self) -> None:
        for number in _SOFTLY_RESET:
            self._private.pop(number, None)
        self._plain.pop(_INSERT, None)
        self._buffer.region = b""
        self.cursor_style = 0
        self._charsets.clear()
        self._shift = b"\x0f"

    def _set_keyboard(self, prefix: bytes, parameters: bytes) -> None:
        flags, *rest = [*_numbers(parameters), 0][:2]
        stack = self._buffer.keyboards
        if prefix == b">":
            stack.append(flags & 31)
            if len(stack) > _MOST_KEYBOARDS:
                del stack[0]
        elif prefix == b"<":
            del stack[max(0, len(stack) - max(1, flags)) :]
            if not stack:
                stack.append(0)
        elif prefix == b"=":
            how = rest[0] if rest and b";" in parameters else 1
            now = stack[-1]
            stack[-1] = {2: now | flags, 3: now & ~flags}.get(how, flags) & 31

    def _set_modify_keys(self, parameters: bytes, final: bytes) -> None:
        resource, _, value = parameters.partition(b";")
        if resource == b"4" and final == b"m":
            self._modify_keys = b"%d" % _number(value) if value.strip(b"0") else b""
        elif resource in (b"", b"4"):
            self._modify_keys = b""


def _number(parameter: bytes) -> int:
    return next(iter(_numbers(parameter)), 0)


def _numbers(parameters: bytes) -> list[int]:
    """Return the parameters, 0 for what is none."""
    # One with parts (4:3) is none of ours.
    return [min(int(part), _LARGEST) if part.isdigit() else 0 for part in parameters.split(b";")]

"""Owns the prompt for a secret: nothing of it is echoed, and a paste of several lines is taken whole, never in part.

It knows nothing of what a secret looks like. The terminal gives single keys here, because its own lines end after 4095
characters (1023 on a Mac) without a word, and because a line's end in a paste is no Enter.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..messages import InvalidInput, _, say

# What a paste still brings after a line's end comes at once; a person does not.
_PASTE_SECONDS = 0.2
_LONGEST = 65536
_PASTE_BEGINS, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"


class _Typed:
    """What has been typed and pasted so far."""

    def __init__(self, erase: bytes, kill: bytes) -> None:
        self.data = bytearray()
        self.gone = False
        # A key that is switched off is NUL.
        self._erase = {erase, b"\x7f", b"\x08"} - {b"\0"}
        self._kill = {kill, b"\x15", b"\x17"} - {b"\0"}

    @property
    def is_whole(self) -> bool:
        """Tell whether Enter was the last key; within a paste it is none."""
        return self.data.endswith(b"\n") and not self._pasting()

    def take(self, keys: bytes) -> None:
        """Take some keys in; those that correct do so, unless they are part of a paste."""
        for key in (keys[at : at + 1] for at in range(len(keys))):
            if key in self._erase and not self._pasting():
                # A character is its first byte and all that follow it.
                while self.data and self.data.pop() & 0xC0 == 0x80:
                    pass
            elif key in self._kill and not self._pasting():
                self.data.clear()
            elif key == b"\x04":
                # Ctrl-D ends what was typed, and with nothing typed it leaves.
                self.gone = self.gone or not self.data
                self.data += b"\n"
            else:
                self.data += key

    def _pasting(self) -> bool:
        return self.data.rfind(_PASTE_BEGINS) > self.data.rfind(_PASTE_ENDS)


def typed(prompt: str) -> bytes:
    """Ask on the terminal and return what was typed or pasted, line ends and all. Raises InvalidInput for nothing."""
    with _signals() as woken, _terminal() as (source, sink), _quiet(source, sink) as (erase, kill):
        os.write(sink, prompt.encode(errors="replace"))
        found = _Typed(erase, kill)
        while not found.gone and len(found.data) <= _LONGEST and not (found.is_whole and not _more(source)):
            if source not in select.select([source, woken], [], [])[0]:
                os.read(woken, 4096)
                continue
            try:
                keys = os.read(source, 4096)
            except OSError:
                keys = b""
            # Nothing at all is a terminal that has gone.
            found.gone = not keys
            found.take(keys)
    say("")
    if found.gone:
        raise InvalidInput(_("nothing was typed"))
    return bytes(found.data)


def _more(source: int) -> bool:
    return bool(select.select([source], [], [], _PASTE_SECONDS)[0])


@contextmanager
def _signals() -> Iterator[int]:
    """Give a descriptor to wait for too: a Ctrl-C that falls just before the wait for a key would not end that wait."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)
        os.close(reader)


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """Give the descriptors to read from and to write to: the terminal itself, wherever the output goes."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        yield sys.stdin.fileno(), sys.stderr.fileno()
        return
    try:
        yield descriptor, descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _quiet(source: int, sink: int) -> Iterator[tuple[bytes, bytes]]:
    """Switch echo and lines off and paste brackets on; give the keys that erase and kill. What is left is not kept.

    What came before the question is no answer to it; what is left after it must not end up in the shell.
    """
    before = termios.tcgetattr(source)
    quiet = termios.tcgetattr(source)
    quiet[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON)
    quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
    brackets = os.environ.get("TERM", "dumb") not in ("", "dumb")
    termios.tcsetattr(source, termios.TCSAFLUSH, quiet)
    try:
        if brackets:
            os.write(sink, b"\x1b[?2004h")
        yield before[6][termios.VERASE], before[6][termios.VKILL]
    finally:
        # A terminal that has gone has nothing to be put back.
        with suppress(termios.error, OSError):
            if brackets:
                os.write(sink, b"\x1b[?2004l")
            termios.tcsetattr(source, termios.TCSAFLUSH, before)

"""Owns a real client on a terminal of its own: what it shows, as plain words, and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from client_namespace import end_group

_SEQUENCES = re.compile(rb"\x1b(?:\[[0-9;?><=]*[a-zA-Z]|\].*?(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78])", re.DOTALL)
_ANSWERS = {b"\x1b[c": b"\x1b[?62c", b"\x1b[6n": b"\x1b[1;1R"}


class ClientTerminal:
    """One program on a pty; words are compared without spaces, which the client draws by moving the cursor."""

    def __init__(self, argv: list[str], env: Mapping[str, str], cwd: Path) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 150, 0, 0))
        self._process = subprocess.Popen(
            argv, env=dict(env), cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._shown = b""

    def wait_for(self, *words: str, seconds: float = 60) -> str:
        """Return which of these is on the screen first; what was shown before `type` does not count."""
        deadline = time.monotonic() + seconds
        while True:
            screen = self.screen()
            for word in words:
                if word.replace(" ", "") in screen:
                    return word
            assert time.monotonic() < deadline, f"waited in vain for {words}: {screen[-600:]}"
            assert self._read(0.2) or self._process.poll() is None, f"ended: {screen[-600:]}"

    def screen(self) -> str:
        """Return all that was drawn, without spaces."""
        return re.sub(r"\s+", "", _SEQUENCES.sub(b"", self._shown).decode("utf-8", "replace"))

    def type(self, keys: str) -> None:
        """Type, and forget what was shown."""
        self._shown = b""
        os.write(self._ours, keys.encode())

    def _read(self, seconds: float) -> bool:
        if not select.select([self._ours], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        for question, answer in _ANSWERS.items():
            if question in data:
                os.write(self._ours, answer)
        self._shown += data
        return bool(data)

    def end(self) -> None:
        """End the program and its group."""
        end_group(self._process)
        with suppress(OSError):
            os.close(self._ours)

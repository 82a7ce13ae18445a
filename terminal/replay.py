"""Owns the last bytes a program wrote to its terminal: a bounded ring addressed by absolute offsets.

It knows neither processes nor viewers. Offset 0 is the first byte ever written; `start` is the oldest one still kept.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable

PIECE = 64 * 1024
# A late view begins at a marked place, which may be three pieces on, and is to get two megabytes all the same.
CAPACITY = 2 * 1024 * 1024 + 3 * PIECE


class Replay:
    """The kept bytes, from `start` to `end`; one thread fills it, any thread takes from it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        # One piece is always being overwritten; pages of a mapping cost nothing before they are written to.
        self._size = capacity + PIECE
        self._pages = mmap.mmap(-1, self._size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._view = memoryview(self._pages)
        self._lock = threading.Lock()
        self._newest = (0, b"")
        self.start = 0
        self.end = 0

    def fill(self, descriptor: int, limit: int = PIECE, between: Callable[[], None] | None = None) -> bytes:
        """Read what the descriptor has at once, up to `limit` bytes, and return it, b"" at the end of the file.

        A pty gives it in small parts; `between` is called after each, and had better do something useful: a reader
        that comes back at once finds nothing and has to be woken, which halves the speed of a flood.

        Raises BlockingIOError when there is nothing yet, and what os.readv raises.
        """
        first = self.end
        limit = min(limit, PIECE, self._size - first % self._size)
        with self._lock:
            self.start = max(self.start, first + limit - self._size)
        count = 0
        while count < limit:
            # Gather what is already there, wait for nothing.
            position = (first + count) % self._size
            try:
                got = os.readv(descriptor, [self._view[position : position + limit - count]])
            except OSError:
                if not count:
                    raise
                break
            if not got:
                break
            count += got
            if between is not None:
                between()
        position = first % self._size
        data = bytes(self._view[position : position + count])
        with self._lock:
            self.end = first + count
            self._newest = (first, data)
        return data

    def take(self, offset: int, limit: int = PIECE) -> bytes:
        """Return up to `limit` kept bytes from `offset` on, b"" when there are none (yet, or any more)."""
        with self._lock:
            first, data = self._newest
            if offset == first and len(data) <= limit:
                return data
            if not self.start <= offset < self.end:
                return b""
            position = offset % self._size
            count = min(limit, self.end - offset, self._size - position)
            return bytes(self._view[position : position + count])

    def close(self) -> None:
        """Give the memory back; nothing is kept any more."""
        with self._lock:
            self.start = self.end
            self._newest = (self.end, b"")
            self._view.release()
            self._pages.close()

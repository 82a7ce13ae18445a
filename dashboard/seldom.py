"""Owns what happens often and is told seldom: whether something is worth another line. It knows no journal."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Hashable


class Seldom:
    """Tells of each thing again only after so many seconds; of at most `most` things at once, the oldest forgotten."""

    def __init__(self, seconds: float, most: int = 1000) -> None:
        self._seconds = seconds
        self._most = most
        self._lock = threading.Lock()
        self._told: dict[Hashable, float] = {}

    def is_due(self, thing: Hashable) -> bool:
        """Tell whether the thing is to be told now, and take it as told then."""
        now = time.monotonic()
        with self._lock:
            last = self._told.get(thing)
            if last is not None and now - last < self._seconds:
                return False
            self._told.pop(thing, None)
            while len(self._told) >= self._most:
                del self._told[next(iter(self._told))]
            self._told[thing] = now
            return True


class AtMost:
    """Lets so many things through in so many seconds, whatever they are."""

    def __init__(self, most: int, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._times: deque[float] = deque(maxlen=most)

    def is_room(self) -> bool:
        """Tell whether there is room for one more, and take it."""
        now = time.monotonic()
        with self._lock:
            if len(self._times) == self._times.maxlen and now - self._times[0] < self._seconds:
                return False
            self._times.append(now)
            return True

"""Owns how much of what strangers cause is written down: so many lines a minute, then a number."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

_MINUTE = 60.0


class Bounded(logging.Filter):
    """Lets through so many records a minute; the first one of the next minute says how many were left out.

    Records for which `applies` is false are always let through and not counted.
    """

    def __init__(self, most: int, applies: Callable[[logging.LogRecord], bool] = lambda _record: True) -> None:
        super().__init__()
        self._most = most
        self._applies = applies
        self._lock = threading.Lock()
        self._since = time.monotonic()
        self._count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is written."""
        if not self._applies(record):
            return True
        now = time.monotonic()
        with self._lock:
            if now - self._since >= _MINUTE:
                missed = self._count - self._most
                self._since, self._count = now, 0
                if missed > 0:
                    record.msg, record.args = f"{record.getMessage()} (and {missed} more lines before this one)", ()
            self._count += 1
            return self._count <= self._most

"""How accounts and times look on a terminal: columns that line up, spans a person reads, colour where it is wanted."""

from __future__ import annotations

import os
import sys
import time
import unicodedata


def time_left(moment_ms: int) -> str:
    """Return the span until `moment_ms` (epoch milliseconds): `45s`, `12m`, `3h59m`, `12d3h`; `0s` when it is over."""
    seconds = max(0, int(moment_ms / 1000 - time.time()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days}d{hours % 24}h"
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m" if minutes else f"{seconds}s"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return lines whose columns are as wide as their widest cell, counted in terminal cells."""
    widths = [max(map(_cells, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in [header, *rows]:
        padded = [cell + " " * (width - _cells(cell)) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def coloured(text: str, colour: str) -> str:
    """Return `text` in green, yellow or red when standard output is a terminal that wants colour."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return text
    return f"\x1b[{ {'green': 32, 'yellow': 33, 'red': 31}[colour] }m{text}\x1b[0m"


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)

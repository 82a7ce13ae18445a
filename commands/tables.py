"""How accounts look on a terminal: columns that line up, colour where it is wanted."""

from __future__ import annotations

import os
import sys
import unicodedata


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

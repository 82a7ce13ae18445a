"""How things look on a terminal: columns that line up and fit its width, colour where it is wanted."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import NamedTuple

from ..accounts import clocks
from ..messages import _

_GAP = 2


class Column(NamedTuple):
    """A column and, where it can be narrower without losing what it says, how it then looks."""

    header: str
    cells: list[str]
    short_header: str = ""
    short_cells: list[str] | None = None


def room() -> int:
    """Return the columns that standard output's terminal has, 0 (no limit) where it is none."""
    if not sys.stdout.isatty():
        return 0
    named = os.environ.get("COLUMNS", "")
    if named.isascii() and named.isdigit() and int(named[:5]) > 0:
        return int(named[:5])
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except OSError:
        return 80


def table(columns: list[Column], width: int | None = None) -> tuple[list[str], list[str]]:
    """Return the header's line and the text of each row, none wider than the terminal (or `width`; 0: no limit).

    Columns become narrow from the last to the first as far as it takes; where that is not enough, each row is a block
    of lines with a label each. Nothing is cut.
    """
    limit = room() if width is None else width
    shown = [(column.header, column.cells) for column in columns]
    for number in range(len(columns) - 1, -1, -1):
        if not limit or _width(shown) <= limit:
            break
        column = columns[number]
        short = column.short_cells or column.cells
        shown[number] = (column.short_header or column.header, short)
    if limit and _width(shown) > limit:
        return [], _blocks(columns, limit)
    widths = _widths(shown)
    lines = []
    for row in zip(*([header, *values] for header, values in shown), strict=True):
        padded = [cell + " " * (most - cells(cell)) for cell, most in zip(row, widths, strict=True)]
        lines.append((" " * _GAP).join(padded).rstrip())
    return lines[:1], lines[1:]


def moments(header: str, short_header: str, moments_ms: list[int]) -> Column:
    """Return a column of moments as people say them."""
    short = [clocks.when(moment, short=True) for moment in moments_ms]
    return Column(header, list(map(clocks.when, moments_ms)), short_header, short)


def print_table(columns: list[Column]) -> None:
    """Print a table as it fits the terminal."""
    header, rows = table(columns)
    print("\n".join([*header, *rows]))


def coloured(text: str, colour: str) -> str:
    """Return `text` in green, yellow or red when standard output is a terminal that wants colour."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return text
    return f"\x1b[{ {'green': 32, 'yellow': 33, 'red': 31}[colour] }m{text}\x1b[0m"


def cells(text: str) -> int:
    """Return how many cells of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_cells_of, text))


def cut(text: str, most: int) -> str:
    """Return the text, its end replaced by an ellipsis where it takes more than `most` cells."""
    if cells(text) <= most:
        return text
    taken, kept = 0, []
    for character in text:
        taken += _cells_of(character)
        if taken > most - 1:
            break
        kept.append(character)
    return "".join(kept) + ("…" if most > 0 else "")


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _widths(shown: list[tuple[str, list[str]]]) -> list[int]:
    return [max(map(cells, (header, *values))) for header, values in shown]


def _width(shown: list[tuple[str, list[str]]]) -> int:
    return sum(_widths(shown)) + _GAP * (len(shown) - 1)


def _blocks(columns: list[Column], limit: int) -> list[str]:
    """Return each row as lines: its first cell, below it what the others say."""
    blocks = []
    for row in zip(*(column.cells for column in columns), strict=True):
        lines = [row[0]]
        for column, cell in zip(columns[1:], row[1:], strict=True):
            if cell != "-":
                lines.append("  " + _("{label}: {value}", label=column.header.capitalize(), value=cell))
        blocks.append("\n".join(piece for line in lines for piece in _pieces(line, limit)))
    return blocks


def _pieces(line: str, limit: int) -> list[str]:
    """Return a line broken where the terminal would, after a space if there is one."""
    pieces, rest = [], line
    while cells(rest) > limit:
        most, taken = 0, 0
        for character in rest:
            taken += _cells_of(character)
            if taken > limit:
                break
            most += 1
        space = rest.rfind(" ", 1, most + 1)
        most = space if space > len(rest) - len(rest.lstrip()) else max(most, 1)
        pieces.append(rest[:most].rstrip())
        rest = rest[most:].lstrip()
    return [*pieces, rest]

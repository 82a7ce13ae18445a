"""Reads a table out of the copy of another program's database, which may have been made to harm whoever reads it.

It knows no tool.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

from ..accounts import storage
from ..messages import InvalidInput, _, printable

# What reading it may take, and how much comes of it, in a value and in all.
_STEPS_AT_ONCE = 10_000
_MOST_STEPS_IN_COPY = 20_000_000
_LONGEST_IN_COPY = 16 * 1024 * 1024
_MOST_OF_COPY = 64 * 1024 * 1024


def rows(path: str, table: str, query: str) -> list[tuple[object, ...]] | None:
    """Return what a query finds in the copy of another program's database, None where it has no such plain table.

    Raises InvalidInput for what is no database, a damaged one, and one that is more work than any honest one.
    """
    found: list[tuple[object, ...]] = []
    steps = iter(range(_MOST_STEPS_IN_COPY // _STEPS_AT_ONCE))
    try:
        with closing(storage.connect(path, 0)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            if sys.version_info >= (3, 11):
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_IN_COPY)
            # Pages of a damaged one can lead in circles.
            connection.set_progress_handler(lambda: next(steps, None) is None, _STEPS_AT_ONCE)
            if not _is_plain_table(connection, table):
                return None
            size = 0
            for row in connection.execute(query):
                # And many rows can name the same pages.
                size += sum(len(value) for value in row if isinstance(value, (str, bytes)))
                if size > _MOST_OF_COPY:
                    raise InvalidInput(_("it holds too much"))
                found.append(tuple(row))
    except (sqlite3.Error, UnicodeDecodeError) as error:
        reason = printable(str(error))
        raise InvalidInput(_("it is not a database that can be read: {reason}", reason=reason)) from error
    return found


def _is_plain_table(connection: sqlite3.Connection, table: str) -> bool:
    """Tell whether there is a table of this name that holds rows.

    A view, a virtual table and a column that is made when it is read would be programs of somebody's.
    """
    known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? AND sql LIKE 'CREATE TABLE %'"
    made = "SELECT 1 FROM pragma_table_xinfo(?) WHERE hidden != 0"
    return bool(connection.execute(known, (table,)).fetchone()) and not connection.execute(made, (table,)).fetchone()

"""Owns which account a folder belongs to: kept in our database by the folder's real path, never in the folder."""

import os
import sqlite3
from typing import NamedTuple

from ..messages import NotFound, _, printable
from . import rows as account_rows, storage


class Binding(NamedTuple):
    """A folder (its real path) and the account that everything in it belongs to."""

    folder: str
    account_id: str
    account_name: str


def bind(account_id: str, folder: str) -> Binding:
    """Let the folder and all below belong to the account, whatever it belonged to. Raises NotFound."""
    path = os.path.realpath(folder)
    if not os.path.isdir(path):
        raise NotFound(_("there is no folder {path}", path=printable(path)))
    with storage.writing() as connection:
        name = account_rows.of_id(connection, account_id).name
        connection.execute("INSERT OR REPLACE INTO bindings VALUES (?, ?)", (storage.kept(path), account_id))
    return Binding(path, account_id, name)


def unbind(folder: str) -> Binding:
    """Let the folder belong to nobody in particular. Raises NotFound when it is not bound itself."""
    path = os.path.realpath(folder)
    found = next((binding for binding in listed() if binding.folder == path), None)
    if found is None:
        above = nearest(path)
        hint = f"claude-accounts unbind {printable(above.folder)}" if above else "claude-accounts bindings"
        raise NotFound(_("{path} is not bound to an account", path=printable(path)), hint)
    with storage.writing() as connection:
        connection.execute("DELETE FROM bindings WHERE folder = ?", (storage.kept(path),))
    return found


def listed() -> list[Binding]:
    """Return all bindings, by folder."""
    with storage.reading() as connection:
        return _listed(connection)


def nearest(folder: str) -> Binding | None:
    """Return the binding of the folder or of the nearest one above it."""
    with storage.reading() as connection:
        return nearest_in(connection, folder)


def nearest_in(connection: sqlite3.Connection, folder: str) -> Binding | None:
    """Do what `nearest` does, within a look that is open already."""
    known = {binding.folder: binding for binding in _listed(connection)}
    path = os.path.realpath(folder)
    while known:
        if path in known:
            return known[path]
        parent = os.path.dirname(path)
        if parent == path:
            break
        path = parent
    return None


def _listed(connection: sqlite3.Connection) -> list[Binding]:
    rows = connection.execute(
        "SELECT folder, account_id, name FROM bindings JOIN accounts ON accounts.id = account_id ORDER BY folder"
    )
    return [Binding(storage.told(folder), account_id, name) for folder, account_id, name in rows]

"""Owns the record of every claude that we started: which account, where, since when, from a shell or the page.

A process is known by its id and the moment it started, so that an id that the system has given to another process is
never shown. The record is made before the program starts and looked through, not kept up: what is gone is not shown.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from typing import NamedTuple

from ..claude import jobs
from ..messages import AccountsError, Conflict, StorageFailed, _, plural, printable, warn
from ..system import programs
from . import rows as account_rows, storage

SHELL, WEB, BACKGROUND = "shell", "web", "background"
_RECORD = """
INSERT OR REPLACE INTO running_sessions
    (pid, process_started, account_id, folder, since, origin, token_ends, pin, config_folder)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


class Session(NamedTuple):
    """One running claude. `since` and `token_ends` (0: renewed by itself, or never) are epoch milliseconds."""

    pid: int
    account_id: str
    account_name: str
    folder: str
    since: int
    origin: str
    token_ends: int


def stamp(account_id: str) -> None:
    """Note that the account's credential has been given out now."""
    try:
        with storage.writing(durable=False) as connection:
            _stamp(connection, account_id)
    except StorageFailed as error:
        # A full disk is no reason to keep somebody from working; it is one to be told.
        warn(error.message)


def record(
    stored: account_rows.Stored, pid: int, folder: str, origin: str, *, pin: str = "", config_folder: str = ""
) -> None:
    """Note that the process `pid` is, or is about to become, a claude of this account; sweep out what has ended.

    `pin` is the file that holds the account, by which its background jobs in `config_folder` are known.
    """
    token_ends = 0 if stored.durable else stored.expires_at
    values = (pid, process_mark(pid), stored.id, folder, account_rows.now_ms(), origin, token_ends, pin, config_folder)
    try:
        with storage.writing(durable=False, secrets=False) as connection:
            _stamp(connection, stored.id)
            rows = connection.execute("SELECT * FROM running_sessions").fetchall()
            gone = [(row["pid"], row["process_started"]) for row in rows if not _runs(row)]
            connection.executemany("DELETE FROM running_sessions WHERE pid = ? AND process_started = ?", gone)
            connection.execute(_RECORD, values)
            if origin == WEB:
                _remember_folder(connection, stored.id, folder)
    except StorageFailed as error:
        # Nobody is kept from working because a list will be short of one line.
        warn(error.message)


def listed(account_id: str | None = None) -> list[Session]:
    """Return the sessions that run now, of one account or of all, the newest last."""
    with storage.reading() as connection:
        rows = connection.execute(
            "SELECT running_sessions.*, name FROM running_sessions JOIN accounts ON accounts.id = account_id"
            " ORDER BY since"
        ).fetchall()
    found = []
    for row in rows:
        if account_id in (None, row["account_id"]) and _runs(row):
            whose = (row["account_id"], row["name"])
            rest = (row["since"], row["origin"], row["token_ends"])
            places = _jobs_of(row) if row["origin"] == BACKGROUND else [(row["pid"], row["folder"])]
            found += [Session(pid, *whose, folder, *rest) for pid, folder in places]
    return found


def recent_folders() -> list[tuple[str, str]]:
    """Return (account id, folder) of the newest 20 folders that web terminals were opened in, the newest first."""
    with storage.reading() as connection:
        rows = connection.execute("SELECT account_id, folder FROM recent_folders ORDER BY used_at DESC").fetchall()
    return [(row["account_id"], row["folder"]) for row in rows]


def refuse_while_running(account: account_rows.Account) -> None:
    """Raise Conflict when sessions run on the store of this durable account, which is about to go."""
    sessions = listed(account.id)
    if account.durable and sessions:
        name = printable(account.name)
        raise Conflict(
            plural(
                "{count} session of {name} is running on the login that would go",
                "{count} sessions of {name} are running on the login that would go",
                len(sessions),
                name=name,
            ),
            _("end it first, or: claude-accounts update {name} --injected --force", name=name),
        )


def _remember_folder(connection: sqlite3.Connection, account_id: str, folder: str) -> None:
    values = (account_id, folder, account_rows.now_ms())
    connection.execute("INSERT OR REPLACE INTO recent_folders VALUES (?, ?, ?)", values)
    connection.execute(
        "DELETE FROM recent_folders WHERE rowid NOT IN"
        " (SELECT rowid FROM recent_folders ORDER BY used_at DESC LIMIT 20)"
    )


def _stamp(connection: sqlite3.Connection, account_id: str) -> None:
    connection.execute("UPDATE accounts SET last_used = datetime('now') WHERE id = ?", (account_id,))


def process_mark(pid: int) -> str:
    """Return when the process started, in the system's own words, empty when there is no such process."""
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                boot = file.read(8)
        except OSError:
            return ""
        # A dead process that nobody has reaped runs no more.
        return "" if fields[0] in "ZX" else f"{boot} {fields[19]}"
    try:
        code, output = programs.run(
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)], os.environ | {"LC_ALL": "C"}, seconds=5
        )
    except AccountsError:
        return ""
    return output.decode("ascii", "replace").strip() if code == 0 else ""


def _runs(row: sqlite3.Row) -> bool:
    """Tell whether a recorded process runs; what started background jobs counts for as long as one of them is there."""
    return _is_alive(row["pid"], row["process_started"]) or (row["origin"] == BACKGROUND and _jobs_of(row) != [])


def _jobs_of(row: sqlite3.Row) -> list[tuple[int, str]]:
    """Return (pid, folder) of the background jobs that are held by this record's pin; pid 0: no process now."""
    found = jobs.listed(row["config_folder"])
    return [(job.pid, job.folder) for job in found if job.settings == row["pin"] and not job.ended]


def _is_alive(pid: int, started: str) -> bool:
    return started != "" and process_mark(pid) == started

"""Owns the record of every claude that we started: which account, where, since when, from a shell or the page.

A process is known by its id and the moment it started, so that an id that the system has given to another process is
never shown. The record is made before the program starts and looked through, not kept up: what is gone is not shown.
"""

import os
import sqlite3
import sys
from typing import NamedTuple

from ..claude import jobs
from ..messages import AccountsError, Conflict, StorageFailed, _, plural, printable, warn
from ..system import programs
from . import process_place, rows as account_rows, storage

SHELL, WEB, BACKGROUND = "shell", "web", "background"
# Who starts work waits no longer for what is only noted.
_PATIENCE_SECONDS = 1.0
_RECORD = """
INSERT OR REPLACE INTO running_sessions
    (pid, process_started, account_id, folder, since, origin, token_ends, namespace, pin, config_folder)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A session in another container or on another machine cannot be seen to end. No login lasts longer than this.
_UNSEEN_MS = 30 * 24 * 3600 * 1000


class Session(NamedTuple):
    """One running claude. `since` and `token_ends` (0: renewed by itself, or never) are epoch milliseconds.

    `state` is "running", or "perhaps" for one that cannot be seen from here; `elsewhere` then is "container" or
    "machine".
    """

    pid: int
    account_id: str
    account_name: str
    folder: str
    since: int
    origin: str
    token_ends: int
    state: str = "running"
    elsewhere: str = process_place.HERE


class _Recorded(NamedTuple):
    """What a record holds, of which a damaged database may have made anything."""

    pid: int
    process_started: str
    account_id: str
    folder: str | bytes
    since: int
    origin: str
    token_ends: int
    namespace: str
    pin: str | bytes
    config_folder: str | bytes


def _checked(row: sqlite3.Row) -> sqlite3.Row:
    """Return a record as it is. Raises StorageFailed for one that cannot be ours."""
    storage.made(_Recorded, [row[name] for name in _Recorded._fields])
    return row


def stamp(account_id: str) -> None:
    """Note that the account's credential has been given out now."""
    try:
        with storage.writing(durable=False, patience=_PATIENCE_SECONDS) as connection:
            _stamp(connection, account_id)
    except StorageFailed as error:
        # A full disk is no reason to keep somebody from working; it is one to be told.
        warn(_("the last use was not noted: {reason}", reason=error.message))


def record(
    stored: account_rows.Stored, pid: int, folder: str, origin: str, *, pin: str = "", config_folder: str = ""
) -> None:
    """Note that the process `pid` is, or is about to become, a claude of this account; sweep out what has ended.

    `pin` is the file that holds the account, by which its background jobs in `config_folder` are known.
    """
    token_ends = 0 if stored.durable else stored.expires_at
    now, path = account_rows.now_ms(), storage.kept(folder)
    process = (pid, process_mark(pid), stored.id, path, now, origin, token_ends, process_place.here())
    values = (*process, storage.kept(pin), storage.kept(config_folder))
    try:
        with storage.writing(durable=False, secrets=False, patience=_PATIENCE_SECONDS) as connection:
            _stamp(connection, stored.id)
            rows = [_checked(row) for row in connection.execute("SELECT * FROM running_sessions").fetchall()]
            gone = [(row["pid"], row["process_started"]) for row in rows if not _places(row)]
            connection.executemany("DELETE FROM running_sessions WHERE pid = ? AND process_started = ?", gone)
            connection.execute(_RECORD, values)
            if origin == WEB:
                _remember_folder(connection, stored.id, path)
    except StorageFailed as error:
        # Nobody is kept from working because a list will be short of one line.
        warn(_("the last use was not noted: {reason}", reason=error.message))


def listed(account_id: str | None = None) -> list[Session]:
    """Return the sessions that run now, or perhaps do elsewhere, of one account or of all, the newest last."""
    with storage.reading() as connection:
        rows = connection.execute(
            "SELECT running_sessions.*, name FROM running_sessions JOIN accounts ON accounts.id = account_id"
            " ORDER BY since"
        ).fetchall()
    wanted = [_checked(row) for row in rows if account_id in (None, row["account_id"])]
    return [_session(row, *where) for row in wanted for where in _places(row)]


def perhaps_text(session: Session) -> str:
    """Return what is to be said of a session that cannot be seen from here, the empty text for any other."""
    if session.elsewhere == process_place.CONTAINER:
        return _("perhaps (another container)")
    return _("perhaps (another machine)") if session.elsewhere else ""


def running_text(account_name: str, sessions: list[Session]) -> str:
    """Return the sentence about sessions of an account that are, or may be, still running."""
    unseen = [session for session in sessions if session.elsewhere]
    if len(unseen) == len(sessions):
        return plural(
            "{count} session of {name} is perhaps still running, in another container or on another machine",
            "{count} sessions of {name} are perhaps still running, in another container or on another machine",
            len(sessions),
            name=printable(account_name),
        )
    return plural(
        "{count} session of {name} is still running",
        "{count} sessions of {name} are still running",
        len(sessions),
        name=printable(account_name),
    )


def recent_folders() -> list[tuple[str, str]]:
    """Return (account id, folder) of the newest 20 folders that web terminals were opened in, the newest first."""
    with storage.reading() as connection:
        rows = connection.execute("SELECT account_id, folder FROM recent_folders ORDER BY used_at DESC").fetchall()
    return [(row["account_id"], storage.told(row["folder"])) for row in rows]


def refuse_while_running(account: account_rows.Account, *, removing: bool = False) -> None:
    """Raise Conflict when sessions run, or perhaps do, on the store of this durable account, which is about to go."""
    sessions = listed(account.id)
    if account.durable and sessions:
        name = printable(account.name)
        command = f"remove {name} --force" if removing else f"update {name} --injected --force"
        raise Conflict(
            _("{running}, on the login that would go", running=running_text(account.name, sessions)),
            _("end it first, or: claude-accounts {command}", command=command),
        )


def _remember_folder(connection: sqlite3.Connection, account_id: str, folder: str | bytes) -> None:
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


def _session(row: sqlite3.Row, pid: int, folder: str, place: str) -> Session:
    return Session(
        pid,
        row["account_id"],
        row["name"],
        folder,
        row["since"],
        row["origin"],
        row["token_ends"],
        "perhaps" if place else "running",
        place,
    )


def _places(row: sqlite3.Row) -> list[tuple[int, str, str]]:
    """Return (pid, folder, place) of what a record stands for and what runs: a process, or its background jobs.

    The pid is 0 for a job that has no process now. Nothing is left of a record whose process has gone.
    """
    if row["origin"] == BACKGROUND:
        pin, found = storage.told(row["pin"]), jobs.listed(storage.told(row["config_folder"]))
        own = [(job.pid, job.folder, process_place.HERE) for job in found if job.settings == pin and not job.ended]
        if own:
            return own
    place = _place(row)
    return [] if place == process_place.GONE else [(row["pid"], storage.told(row["folder"]), place)]


def _place(row: sqlite3.Row) -> str:
    """Return where the session of a row is: process_place.HERE and seen to run, perhaps elsewhere, or GONE."""
    pid, started = row["pid"], row["process_started"]
    place = process_place.of(row["namespace"], pid, started)
    if place == process_place.HERE:
        return place if started != "" and process_mark(pid) == started else process_place.GONE
    return place if account_rows.now_ms() - row["since"] < _UNSEEN_MS else process_place.GONE

"""Owns the journal: what happened to the accounts and to what lets one in, by whom, from where and when.

Lines are only ever added; the database itself refuses anything else but the end of what is older than the newest ten
thousand. No secret is in it. It knows no HTTP: who and from where come in as text.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from ..messages import _
from ..system import access
from . import storage

LARGEST_PAGE = 500
MOST_LINES = 10_000
# Who it was where no request came: somebody at this machine's own command line.
COMMAND_LINE = "command"
_LONGEST = 200
_MOST_NAMES = 10


class Entry(NamedTuple):
    """One line; `at` is epoch milliseconds, the actor a kind (browser, program, token, command) and perhaps a name."""

    id: int
    at: int
    event: str
    account: str
    actor: str
    address: str
    detail: str


def note(
    event: str, *, account: str = "", actor: str = "", address: str = "", detail: str = "", durable: bool = True
) -> None:
    """Add one line; where nothing can be written, that is told, and stops nothing.

    Without `durable` a power loss may forget it.
    """
    texts = [_fitting(text) for text in (account, actor, address, detail)]
    with storage.noting():
        if not access.exists(storage.database_path()):
            # Looking into an empty home creates nothing, and there is nothing to be journalled.
            return
        with storage.writing(durable=durable, secrets=False) as connection:
            connection.execute(
                "INSERT INTO journal (at, event, account, actor, address, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (int(time.time() * 1000), event, *texts),
            )
            connection.execute("DELETE FROM journal WHERE id <= (SELECT max(id) FROM journal) - ?", (MOST_LINES,))


def listed(*, limit: int, before: int = 0, event: str = "") -> list[Entry]:
    """Return the newest lines first: at most `limit`, those before an id where one is given, of one event or of all."""
    with storage.reading() as connection:
        rows = connection.execute(
            "SELECT id, at, event, account, actor, address, detail FROM journal "
            "WHERE (? = 0 OR id < ?) AND ? IN ('', event) ORDER BY id DESC LIMIT ?",
            (before, before, event, limit),
        ).fetchall()
    return [storage.made(Entry, row) for row in rows]


def names(given: Sequence[str]) -> str:
    """Return names as a line has them: the first ten, and how many more there are."""
    more = len(given) - _MOST_NAMES
    return ", ".join(given[:_MOST_NAMES]) + (f" (+{more})" if more > 0 else "")


def events() -> dict[str, str]:
    """Return every event with its words in the reader's language."""
    return {
        "set-up": _("dashboard set up"),
        "set-up-failed": _("set-up refused"),
        "sign-in": _("signed in"),
        "factor-asked": _("password right, second factor asked for"),
        "sign-in-failed": _("sign-in refused"),
        "sign-in-blocked": _("too many tries to sign in"),
        "left-out": _("more of this kind is left out today"),
        "proof-failed": _("proof refused"),
        "cookie-without-secret": _("cookie shown without its page secret"),
        "sign-out": _("signed out"),
        "session-ended": _("session ended"),
        "sign-out-everywhere": _("every session ended"),
        "password-changed": _("password changed"),
        "password-reset": _("password forgotten"),
        "factor-added": _("second factor added"),
        "factor-removed": _("second factor removed"),
        "factors-reset": _("second factors forgotten"),
        "recovery-codes-made": _("recovery codes made"),
        "recovery-code-used": _("recovery code used"),
        "token-added": _("API token made"),
        "token-rotated": _("API token made anew"),
        "token-revoked": _("API token revoked"),
        "token-used": _("API token used"),
        "token-refused": _("API token refused for its scope"),
        "reveal": _("credential shown"),
        "export": _("accounts exported"),
        "import": _("accounts imported"),
        "account-removed": _("account removed"),
        "account-checked": _("credential checked"),
    }


def told_actor(actor: str) -> str:
    """Return an actor in the reader's language."""
    kind, _space, name = actor.partition(" ")
    kinds = {
        "browser": _("browser"),
        "program": _("program"),
        "token": _("API token"),
        COMMAND_LINE: _("command line"),
    }
    return f"{kinds.get(kind, kind)} {name}".strip()


def _fitting(text: str) -> str:
    return text.encode("utf-8", "replace").decode()[:_LONGEST]

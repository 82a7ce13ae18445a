"""Owns the journal: what happened to the dashboard and its accounts, by whom and from where.

It knows no route.
"""

from __future__ import annotations

import time

from ..accounts import storage


def note(event: str, *, account: str = "", actor: str = "", address: str = "", detail: str = "") -> None:
    """Add one entry. Raises StorageFailed."""
    with storage.writing(durable=False) as connection:
        connection.execute(
            "INSERT INTO journal (at, event, account, actor, address, detail) VALUES (?, ?, ?, ?, ?, ?)",
            (int(time.time() * 1000), event, account, actor, address[:100], detail[:200]),
        )

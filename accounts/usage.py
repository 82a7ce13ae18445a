"""Owns what Claude Code has told of each account's limits: the share used, when it starts anew, when we were told.

The numbers arrive with the status line of a running session and are remembered; no request is ever made for them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from . import storage

# As Claude Code names them, shortest first.
PERIODS = ("five_hour", "seven_day")
_LATEST_SECONDS = 253_402_300_799
_TOLD_AGAIN_MS = 60_000


class Usage(NamedTuple):
    """The used share of one limit in percent; times are epoch milliseconds, `resets_at` 0 when unknown."""

    period: str
    percent: float
    resets_at: int
    seen_at: int


def told(status: object, now_ms: int) -> list[Usage]:
    """Return what a status line's JSON says of limits; whatever is missing or odd is left out."""
    limits = status.get("rate_limits") if isinstance(status, dict) else None
    found = []
    for period in PERIODS:
        limit: Any = limits.get(period) if isinstance(limits, dict) else None
        if not isinstance(limit, dict):
            continue
        percent, resets = _number(limit.get("used_percentage")), _number(limit.get("resets_at"))
        if percent is not None and 0 <= percent <= 1000:
            moment = int(resets * 1000) if resets is not None and 0 <= resets <= _LATEST_SECONDS else 0
            found.append(Usage(period, round(percent, 1), moment, now_ms))
    return found


def remember(account_name: str, usages: list[Usage]) -> None:
    """Keep what was told of the account's limits; what is as it was, and new enough, is not written again.

    Raises StorageFailed.
    """
    known = of_name(account_name)
    news = [usage for usage in usages if _is_news(usage, known.get(usage.period))]
    if not news:
        return
    with storage.writing(durable=False, secrets=False) as connection:
        row = connection.execute("SELECT id FROM accounts WHERE name = ?", (storage.kept(account_name),)).fetchone()
        if row is not None:
            values = [(row["id"], *usage) for usage in news]
            connection.executemany("INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?, ?)", values)
            # Open pages look at this counter.
            connection.execute("UPDATE change_counter SET value = value + 1")


def of_name(account_name: str) -> dict[str, Usage]:
    """Return what is known of one account's limits, by period."""
    with storage.reading() as connection:
        rows = connection.execute(
            "SELECT period, percent, resets_at, seen_at FROM usage JOIN accounts ON accounts.id = account_id"
            " WHERE name = ?",
            (storage.kept(account_name),),
        ).fetchall()
    return {row["period"]: storage.made(Usage, row) for row in rows}


def of_all() -> dict[str, list[Usage]]:
    """Return what is known of every account's limits, by account id, the shortest period first."""
    with storage.reading() as connection:
        rows = connection.execute("SELECT account_id, period, percent, resets_at, seen_at FROM usage").fetchall()
    found: dict[str, list[Usage]] = {}
    for row in rows:
        found.setdefault(row["account_id"], []).append(storage.made(Usage, row[1:]))
    for usages in found.values():
        usages.sort(key=lambda usage: PERIODS.index(usage.period) if usage.period in PERIODS else len(PERIODS))
    return found


def is_over(usage: Usage, now_ms: int) -> bool:
    """Tell whether the period has started anew since we were told, so that the number says nothing any more."""
    return 0 < usage.resets_at <= now_ms


def _is_news(usage: Usage, known: Usage | None) -> bool:
    if known is None or usage.seen_at - known.seen_at > _TOLD_AGAIN_MS:
        return True
    return (usage.percent, usage.resets_at) != (known.percent, known.resets_at)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)

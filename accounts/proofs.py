"""Owns what is known of whether a credential works: what a session shows of it, what a check has found, in words.

Nothing is asked here. A status line is a session's word; it counts only for the credential that the session got.
"""

from __future__ import annotations

import math

from ..messages import StorageFailed, _, warn
from . import rows as account_rows, storage
from .rows import REFUSED, SIGNED_IN, UNTRIED, WORKS, Account, Stored

LOGIN_ENDED, NO_LOGIN = "login_ended", "no_login"
_TOLD_AGAIN_MS = 60_000


def remember(stored: Stored, state: str, reason: str = "") -> None:
    """Keep what a check has found of the credential in `stored`, unless the account has another one by now."""
    try:
        with storage.writing(durable=False, secrets=False) as connection:
            current = account_rows.of_id(connection, stored.id)
            if (current.api_key_enc, current.login_id) == (stored.api_key_enc, stored.login_id):
                account_rows.update(connection, "id = ?", stored.id, account_rows.tried_columns(state, reason))
    except StorageFailed as error:
        # What was found is told all the same.
        warn(error.message)


def notice(account_name: str, pid: int, status: dict[str, object], told_limits: bool, now: int) -> None:
    """Take a status line of the session `pid` for a proof where it is one.

    Limits come with an answer to a login. A key's session has a proof when it costs more than when it was first seen:
    a conversation that goes on brings what it has cost along. Raises StorageFailed.
    """
    cost = _cost(status)
    if not told_limits and cost is None:
        return
    with storage.reading() as connection:
        row = connection.execute(
            "SELECT pid, first_cost, since, accounts.id, tried, tried_at, credential_at FROM running_sessions"
            " JOIN accounts ON accounts.id = account_id WHERE name = ? AND (? = 0 OR pid = ?) ORDER BY since",
            (storage.kept(account_name), pid, pid),
        ).fetchone()
    if row is None or row["since"] < row["credential_at"]:
        return
    first = row["first_cost"]
    proven = told_limits or (cost is not None and first is not None and cost > first)
    known = row["tried"] == WORKS and now - row["tried_at"] <= _TOLD_AGAIN_MS
    if (proven and known) or not (proven or (pid and first is None)):
        return
    with storage.writing(durable=False, secrets=False) as connection:
        if proven:
            account_rows.update(connection, "id = ?", row["id"], account_rows.tried_columns(WORKS))
        else:
            connection.execute(
                "UPDATE running_sessions SET first_cost = ? WHERE pid = ? AND account_id = ?", (cost, pid, row["id"])
            )


def text(account: Account, *, short: bool = False) -> str:
    """Return what is known of an account's credential, in words."""
    # Only for people.
    from . import clocks

    when = clocks.when(account.tried_at, short=short)
    if account.tried == WORKS:
        return _("works") if short else _("works ({when})", when=when)
    if account.tried == REFUSED:
        return _("refused") if short else _("refused ({reason}, {when})", reason=reason_text(account), when=when)
    if account.tried == SIGNED_IN:
        return (
            _("signed in") if short else _("claude is signed in with it ({when}), not proven by an answer", when=when)
        )
    if account.last_used:
        # Perhaps with the credential before.
        return _("unchecked") if short else _("not checked yet")
    return _("untried") if short else _("not tried yet")


def reason_text(account: Account) -> str:
    """Return why a credential was refused, in words."""
    return {
        "invalid_key": _("the API says that the key is invalid"),
        "no_permission": _("the API says that the key has no permission"),
        "organization_disabled": _("the API says that the organization is disabled"),
        LOGIN_ENDED: _("the login has ended"),
        NO_LOGIN: _("claude finds no login in it"),
    }.get(account.tried_reason, account.tried_reason)


def is_green(account: Account) -> bool:
    """Tell whether it may be called ready: it is valid, and was seen to work."""
    return account.status() == "valid" and account.tried == WORKS


def _cost(status: dict[str, object]) -> float | None:
    cost = status.get("cost")
    value = cost.get("total_cost_usd") if isinstance(cost, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


__all__ = ["REFUSED", "SIGNED_IN", "UNTRIED", "WORKS", "is_green", "notice", "reason_text", "remember", "text"]

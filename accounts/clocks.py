"""Owns the three clocks of an account, which must never be mistaken for each other, and when to speak of them.

The access token's end (harmless where it is renewed), the login's end (about 30 days after signing in, whatever is
renewed), and a setup token's end (a year). It reads nothing and writes nothing.
"""

from __future__ import annotations

import re

from ..messages import InvalidInput, _, printable
from .rows import Account, now_ms

_DAY_MS = 24 * 3600 * 1000
SOON_MS = 3 * _DAY_MS
URGENT_MS = _DAY_MS
_UNITS_MS = {"d": _DAY_MS, "h": 3600 * 1000, "m": 60 * 1000}


def kind(account: Account) -> str:
    """Return what ends at `account.ends_at`: `login`, `token` (one that nobody can renew), or `none`."""
    if not account.ends_at:
        return "none"
    return "login" if account.has_refresh else "token"


def urgency(account: Account, at_ms: int | None = None) -> str:
    """Return how near the end is that only a new login moves: ``, `soon` (3 days), `urgent` (1 day) or `over`."""
    if not account.ends_at:
        return ""
    left = account.ends_at - (now_ms() if at_ms is None else at_ms)
    if left <= 0:
        return "over"
    return "urgent" if left <= URGENT_MS else "soon" if left <= SOON_MS else ""


def warning(account: Account) -> str:
    """Return the line that says an end is near, empty when none is."""
    if urgency(account) in ("", "over"):
        return ""
    name = printable(account.name)
    left = time_left(account.ends_at)
    if kind(account) == "login":
        return _("the login of {name} ends in {time}: claude-accounts login --new {name}", name=name, time=left)
    return _("the token of {name} ends in {time}: claude setup-token makes a new one", name=name, time=left)


def span_ms(text: str) -> int:
    """Return the milliseconds of a span such as `3d`, `12h` or `90m`. Raises InvalidInput."""
    match = re.fullmatch(r"(\d{1,5})([dhm])", text.strip().lower())
    if match is None:
        shown = repr(printable(text)[:20])
        raise InvalidInput(_("{text} is not a span of time", text=shown), _("write 3d, 12h or 90m"))
    return int(match[1]) * _UNITS_MS[match[2]]


def time_left(moment_ms: int) -> str:
    """Return the span until `moment_ms` (epoch milliseconds): `45s`, `12m`, `3h59m`, `12d3h`; `0s` when it is over."""
    seconds = max(0, (moment_ms - now_ms()) // 1000)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days}d{hours % 24}h"
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m" if minutes else f"{seconds}s"

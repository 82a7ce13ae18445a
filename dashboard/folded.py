"""Owns the lines of the journal that come again and again: each thing once in a while, few in a day for all of them.

Whoever is outside can cause such lines; without this he could push everything else out of the journal.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..accounts import journal
from .seldom import AtMost, Seldom

_DAY = 86_400.0


class Folded:
    """Notes each thing at most once in `seconds`, and `most` lines a day in all; that there were more is told."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seldom = Seldom(seconds)
        self._room = AtMost(most, _DAY)
        self._left_out = Seldom(_DAY)

    def note(self, event: str, thing: Hashable, *, actor: str = "", address: str = "", detail: str = "") -> None:
        """Add a line for the event and the thing (a place, a token) unless it was told just now."""
        if not self._seldom.is_due((event, thing)):
            return
        if self._room.is_room():
            journal.note(event, actor=actor, address=address, detail=detail, durable=False)
        elif self._left_out.is_due(""):
            journal.note("left-out", detail=event, durable=False)

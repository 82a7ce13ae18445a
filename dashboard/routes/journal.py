"""Owns the route that shows the journal."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from ...accounts import journal

blueprint = Blueprint("journal", __name__, url_prefix="/api")
_PAGE = 100


@blueprint.get("/journal")
def listed() -> Response:
    """List what happened, the newest first: `limit` lines (100, 500 at most) `before` an id, of one `event` or all."""
    limit = min(_number("limit") or _PAGE, journal.LARGEST_PAGE)
    found = journal.listed(limit=limit + 1, before=_number("before"), event=request.args.get("event", "")[:100])
    return jsonify({"entries": [entry._asdict() for entry in found[:limit]], "more": len(found) > limit})


def _number(name: str) -> int:
    """Return a number of the query, 0 for none or what is none."""
    text = request.args.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0

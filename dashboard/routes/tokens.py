"""Owns the routes of the API tokens: list, make, revoke."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify

from ...messages import NotFound, _
from .. import tokens
from ..api import body, note, ok, parts, require_step_up

blueprint = Blueprint("tokens", __name__, url_prefix="/api/auth/tokens")


@blueprint.get("")
def listed() -> Response:
    """List the API tokens, the oldest first; a token itself is in no answer but that which made it."""
    return jsonify([_as_json(token) for token in tokens.listed()])


@blueprint.post("")
def add() -> tuple[Response, int]:
    """Make an API token, shown this once."""
    given = body("NewToken")
    require_step_up()
    token, secret = tokens.add(given["name"], given["scope"], given.get("expires_at", 0))
    note("token-added", detail=f"{token.name}, {token.scope}")
    return jsonify(_as_json(token) | {"api_token": secret}), 201


@blueprint.delete("/<token_id>")
def revoke(token_id: str) -> Response:
    """End one API token, and with it its sockets."""
    body("Nothing")
    require_step_up()
    if not (token_id.isascii() and token_id.isdecimal() and len(token_id) < 16):
        raise NotFound(_("there is no such API token (any more)"))
    token = tokens.revoke(int(token_id))
    parts().live.close_of([token.owner])
    note("token-revoked", detail=token.name)
    return ok()


def _as_json(token: tokens.Token) -> dict[str, object]:
    return token._asdict() | {"current": g.token is not None and g.token.id == token.id}

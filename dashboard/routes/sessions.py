"""Owns the routes about running sessions and about folders that belong to an account."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from ...accounts import bindings, sessions as running_sessions
from ..api import body, ok
from .folders import absolute

blueprint = Blueprint("sessions", __name__, url_prefix="/api")


@blueprint.get("/sessions")
def list_sessions() -> Response:
    """List every running claude that was started from here, the newest last."""
    return jsonify([session._asdict() for session in running_sessions.listed()])


@blueprint.get("/bindings")
def list_bindings() -> Response:
    """List the folders that belong to an account."""
    return jsonify([binding._asdict() for binding in bindings.listed()])


@blueprint.put("/bindings")
def bind() -> Response:
    """Let a folder and all below it belong to an account."""
    given = body("NewBinding")
    return jsonify(bindings.bind(given["account_id"], absolute(given["folder"]))._asdict())


@blueprint.delete("/bindings")
def unbind() -> Response:
    """Let a folder belong to nobody in particular."""
    bindings.unbind(absolute(body("Folder")["folder"]))
    return ok()

"""Owns the routes of sign-in: the first password, signing in and out, changing what lets one in."""

from __future__ import annotations

from flask import Blueprint, Response, g, jsonify, request

from ...messages import VERSION
from .. import browser_libs, origin, sign_in
from ..api import COOKIE, address, authenticated, body, ok, parts, session_cookie

blueprint = Blueprint("auth", __name__, url_prefix="/api/auth")


@blueprint.get("/status")
def status() -> Response:
    """Tell a visitor what there is to do: choose a password, sign in, or go on."""
    done = sign_in.is_setup_done()
    return jsonify(
        {
            "setup_done": done,
            "authenticated": authenticated() is not None,
            "setup_code_required": not done and _needs_setup_code(),
            "vendor": f"/vendor/{browser_libs.lock_id()}/" if browser_libs.vendor_folder() else "",
            "version": VERSION,
        }
    )


@blueprint.post("/setup")
def setup() -> tuple[Response, int]:
    """Store the first password, sign its author in and show the API token this once."""
    given = body("Setup")
    if not sign_in.is_setup_done() and _needs_setup_code():
        parts().attempts.count("setup", address())
        sign_in.check_setup_code(given.get("setup_code", ""), parts().config.setup_code_hash)
    token = sign_in.set_up(given["password"])
    response = jsonify({"api_token": token})
    _sign_in(response)
    return response, 201


@blueprint.post("/login")
def login() -> Response:
    """Start a new session, and end the one that the request came with."""
    given = body("Password")
    parts().attempts.count("login", address())
    sign_in.check_password(given["password"])
    parts().attempts.forget("login", address())
    response = ok()
    _sign_in(response)
    return response


@blueprint.post("/logout")
def logout() -> Response:
    """End this session, and with it its sockets."""
    body("Nothing")
    response = ok()
    if g.session:
        sign_in.close_session(g.session.id_hash)
        parts().live.close_of([g.session.id_hash])
    response.delete_cookie(
        COOKIE, path=origin.base_path(request.environ), httponly=True, samesite="Lax", secure=_is_https()
    )
    return response


@blueprint.post("/change-password")
def change_password() -> Response:
    """Change the password, end every session and give this browser a new one."""
    given = body("PasswordChange")
    sign_in.check_strength(given["new_password"], "new_password")
    _prove(given["old_password"], "old_password")
    ended = sign_in.change_password(given["new_password"])
    response = ok()
    if g.session:
        _sign_in(response)
    parts().live.close_of(ended)
    return response


@blueprint.post("/rotate-token")
def rotate_token() -> Response:
    """Make a new API token, shown this once; the old one and its sockets end."""
    _prove(body("Password")["password"], "password")
    token = sign_in.rotate_token()
    parts().live.close_of([""])
    return jsonify({"api_token": token})


@blueprint.get("/sessions")
def sessions() -> Response:
    """List the signed-in browsers, the newest first."""
    current = g.session.id_hash if g.session else None
    return jsonify(
        [
            {
                "id": session.id_hash[:16],
                "created_at": session.created_at,
                "last_seen": session.last_seen,
                "expires_at": session.expires_at,
                "address": session.address,
                "user_agent": session.user_agent,
                "current": session.id_hash == current,
            }
            for session in sign_in.list_sessions()
        ]
    )


@blueprint.post("/sign-out-everywhere")
def sign_out_everywhere() -> Response:
    """End every session, this one too."""
    body("Nothing")
    parts().live.close_of(sign_in.close_all_sessions())
    response = ok()
    response.delete_cookie(
        COOKIE, path=origin.base_path(request.environ), httponly=True, samesite="Lax", secure=_is_https()
    )
    return response


def _needs_setup_code() -> bool:
    return not origin.is_local(request.environ)


def _prove(password: str, field: str) -> None:
    """Check the password of somebody who is signed in; whoever has stolen a session cannot try without limit."""
    parts().attempts.count("prove")
    sign_in.check_password(password, field)
    parts().attempts.forget("prove")


def _sign_in(response: Response) -> None:
    session_id = sign_in.open_session(address(), request.headers.get("User-Agent", ""), replaces=session_cookie())
    if session_cookie():
        parts().live.close_of([sign_in.digest(session_cookie())])
    response.set_cookie(
        COOKIE,
        session_id,
        max_age=sign_in.SESSION_SECONDS,
        path=origin.base_path(request.environ),
        httponly=True,
        samesite="Lax",
        secure=_is_https(),
    )


def _is_https() -> bool:
    return origin.scheme_of(request.environ) == "https"

"""Owns the routes of sign-in: the first password, signing in and out, changing what lets one in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from ...messages import VERSION, InvalidInput, NotFound, _
from .. import browser_libs, callers, factors, origin, passkeys, recovery, sign_in, tokens
from ..api import address, authenticated, body, is_browser, note, ok, owner, parts, require_step_up, session_cookie
from ..attempts import place_of

blueprint = Blueprint("auth", __name__, url_prefix="/api/auth")


@blueprint.get("/status")
def status() -> Response:
    """Tell a visitor what there is to do: choose a password, sign in, or go on."""
    done = sign_in.is_setup_done()
    if done:
        # Another server of this data folder may have been the one.
        parts().setup_codes.forget()
    is_in = authenticated() is not None
    return jsonify(
        {
            "setup_done": done,
            "authenticated": is_in,
            "setup_code_required": not done and _needs_setup_code(),
            "unlocked_seconds": _seconds_left(g.session) if is_in and g.session else 0,
            "passkeys": bool(passkeys.listed()),
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
        codes = parts().setup_codes.known(link=not callers.is_another_user(request.environ))
        sign_in.check_setup_code(given.get("setup_code", ""), *codes)
    token = sign_in.set_up(given["password"])
    parts().setup_codes.forget()
    return signed_in({"api_token": token}, sign_in.password_mark(), event="set-up"), 201


@blueprint.post("/login")
def login() -> Response:
    """Start a new session, and end the one that the request came with; where a factor is set, that takes one more step.

    Until it is taken no try is forgotten: whoever has the password cannot try codes without limit.
    """
    given = body("Password")
    parts().attempts.count("login", address())
    mark = sign_in.check_password(given["password"])
    if factors.are_set():
        ways = factors.ways(passkeys.place_of(request.environ))
        raise factors.FactorRequired(ways, parts().sign_ins.begin(place_of(address()), mark))
    return signed_in({"ok": True}, mark, "password")


@blueprint.post("/logout")
def logout() -> Response:
    """End this session, and with it its sockets."""
    body("Nothing")
    if g.session:
        note("sign-out")
        sign_in.close_session(g.session.id_hash)
        parts().live.close_of([g.session.id_hash])
    return _without_cookie(ok())


@blueprint.post("/step-up")
def step_up() -> Response:
    """Prove again who sits at this browser, by one of the ways; what asks for that is then open for ten minutes."""
    given = body("StepUp")
    way = one_of(given, ("password", factors.TOTP, factors.RECOVERY, factors.PASSKEY))
    parts().attempts.count("prove")
    if way == "password":
        sign_in.check_password(given["password"])
    elif way == factors.PASSKEY:
        place = passkeys.place_of(request.environ)
        with refused_passkeys():
            challenge = parts().challenges.take(owner(), "step-up", place)
            passkeys.use(given[way], place, challenge, verified=True)
    else:
        spend_code(way, given[way])
    parts().attempts.forget("prove")
    if g.session:
        sign_in.note_proof(g.session)
    return jsonify({"unlocked_seconds": sign_in.STEP_UP_MS // 1000})


@blueprint.post("/lock")
def lock() -> Response:
    """Let this browser prove again who sits at it, though the ten minutes are not over."""
    body("Nothing")
    if g.session:
        sign_in.forget_proofs(g.session.id_hash)
    return jsonify({"unlocked_seconds": 0})


@blueprint.post("/change-password")
def change_password() -> Response:
    """Change the password, end every session and API token and give this browser a new session."""
    given = body("PasswordChange")
    sign_in.check_strength(given["new_password"], "new_password")
    ended = sign_in.change_password(given["new_password"], _prove(given["old_password"], "old_password"))
    note("password-changed")
    response = signed_in({"ok": True}, sign_in.password_mark()) if g.session else ok()
    parts().live.close_of(ended)
    return response


@blueprint.post("/rotate-token")
def rotate_token() -> Response:
    """Make the first API token anew, shown this once; the old one and its sockets end."""
    token, ended = sign_in.rotate_token(_prove(body("Password")["password"], "password"))
    parts().live.close_of(ended)
    note("token-rotated", detail=tokens.FIRST)
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


@blueprint.delete("/sessions/<session_id>")
def end_session(session_id: str) -> Response:
    """End one session, named as the list does, and with it its sockets."""
    body("Nothing")
    found = [session for session in sign_in.list_sessions() if session.id_hash[:16] == session_id]
    if not found:
        raise NotFound(_("there is no such session (any more)"))
    if g.session not in found:
        require_step_up()
    for session in found:
        sign_in.close_session(session.id_hash)
        note("session-ended", detail=f"{session.id_hash[:8]}, {session.address}")
    parts().live.close_of([session.id_hash for session in found])
    return ok()


@blueprint.post("/sign-out-everywhere")
def sign_out_everywhere() -> Response:
    """End every session, this one too."""
    body("Nothing")
    ended = sign_in.close_all_sessions()
    parts().live.close_of(ended)
    note("sign-out-everywhere", detail=str(len(ended)))
    return _without_cookie(ok())


def _needs_setup_code() -> bool:
    return not callers.is_same_user(request.environ)


def _prove(password: str, field: str) -> str:
    """Return the mark of the password that this is; whoever has stolen a session cannot try without limit."""
    parts().attempts.count("prove")
    mark = sign_in.check_password(password, field)
    parts().attempts.forget("prove")
    return mark


def one_of(given: dict[str, Any], ways: tuple[str, ...]) -> str:
    """Return the one of the ways that was taken. Raises InvalidInput for none, and for several."""
    taken = [way for way in ways if way in given]
    if not taken:
        raise InvalidInput(_("{field} is missing", field=ways[0]), field=ways[0])
    if len(taken) > 1:
        raise InvalidInput(_("only one of {fields} can be given", fields=", ".join(taken)), field=taken[1])
    return taken[0]


def spend_code(way: str, code: str) -> None:
    """Spend a code of the app, or a recovery code. Raises WrongFactor, TooManyAttempts.

    Six digits are few: wherever they are tried and from wherever, there is one count of them.
    """
    if way == factors.TOTP:
        parts().attempts.count(way)
        factors.check_code(way, code)
        parts().attempts.forget(way)
        return
    factors.check_code(way, code)
    note("recovery-code-used", detail=f"{recovery.left()}/{recovery.CODES}")


@contextmanager
def refused_passkeys() -> Iterator[None]:
    """Tell of every passkey that is refused inside the same, whatever was wrong with it."""
    try:
        yield
    except passkeys.Refused as error:
        raise factors.WrongFactor(factors.PASSKEY) from error


def signed_in(answer: dict[str, Any], mark: str, way: str = "", event: str = "sign-in") -> Response:
    """Return the answer with a new session's cookie and, for a browser, its page secret.

    `mark` is that of the password while he did. Raises WrongPassword where there is another one by now.
    `way` is how its owner has proved who he is; without one the event is not a sign-in of its own.
    """
    browser = is_browser()
    opened = sign_in.open_session(
        address(), request.headers.get("User-Agent", ""), mark, replaces=session_cookie(), browser=browser
    )
    g.token = None
    g.session = sign_in.find_session(opened.cookie, opened.page_secret)
    if way:
        parts().attempts.forget("login", address())
    if way or event != "sign-in":
        note(event, detail=way)
    if session_cookie():
        parts().live.close_of([sign_in.digest(session_cookie())])
    if browser:
        answer |= {"page_secret": opened.page_secret, "unlocked_seconds": sign_in.STEP_UP_MS // 1000}
    response = jsonify(answer)
    response.set_cookie(
        callers.cookie_name(request.environ),
        opened.cookie,
        max_age=sign_in.SESSION_SECONDS,
        path=origin.base_path(request.environ),
        httponly=True,
        samesite="Strict" if browser else "Lax",
        secure=_is_https(),
    )
    return response


def _without_cookie(response: Response) -> Response:
    response.delete_cookie(
        callers.cookie_name(request.environ),
        path=origin.base_path(request.environ),
        httponly=True,
        samesite="Lax",
        secure=_is_https(),
    )
    return response


def _is_https() -> bool:
    return origin.scheme_of(request.environ) == "https"


def _seconds_left(session: sign_in.Session) -> int:
    now = int(time.time() * 1000)
    return max(0, session.unlocked_until(now) - now) // 1000

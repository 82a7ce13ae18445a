"""Owns how the API reads a request and tells a failure: bodies, authentication, the one table of error statuses.

It knows no single route; routes/ has those.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from flask import Flask, Response, current_app, g, jsonify, request
from werkzeug.exceptions import HTTPException

from ..accounts import journal
from ..imports import reading
from ..messages import (
    AccountsError,
    ClaudeMissing,
    EndpointFailed,
    InvalidInput,
    NotFound,
    StorageFailed,
    StoreBusy,
    _,
)
from ..terminal.images import LARGEST_IMAGE
from . import callers, factors, first_setup, openapi, origin, passkeys, scopes, sign_in, tokens, totp
from .attempts import place_of
from .folded import Folded
from .live_updates import LiveUpdates

# Under this name the server that runs us keeps what wants to hear that a body has arrived in whole.
BODY_READ = "claude_accounts.body_read"
# Before sign-in.
SMALL_BODY = 8 * 1024
LARGEST_BODY = 64 * 1024
# By endpoint, where more or less than usual is wanted.
_LARGEST = {
    "accounts.import_accounts": reading.LARGEST_IMPORT,
    "folders.keep_image": LARGEST_IMAGE,
    "auth.login": SMALL_BODY,
    "auth.setup": SMALL_BODY,
    "factors.sign_in_options": SMALL_BODY,
    "factors.second_step": SMALL_BODY,
}
# Every other AccountsError says that the account is not in a state for what was asked.
_STATUSES: dict[type[AccountsError], int] = {
    InvalidInput: 400,
    factors.FactorRequired: 401,
    factors.SignInExpired: 401,
    sign_in.WrongPassword: 403,
    factors.WrongFactor: 403,
    scopes.ScopeTooSmall: 403,
    NotFound: 404,
    sign_in.TooManyAttempts: 429,
    EndpointFailed: 502,
    StoreBusy: 503,
    StorageFailed: 503,
    ClaudeMissing: 503,
}
_STATE_STATUS = 409
_QUARTER_SECONDS = 15 * 60
_HOUR_SECONDS = 60 * 60
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Config(NamedTuple):
    """How a server is reached; the hashes are those of the codes for a first visit, "" for none.

    One stands on its terminal, the other in the link that it opens itself.
    """

    remote: bool = False
    trusted_hosts: tuple[str, ...] = ()
    behind_proxy: bool = False
    setup_code_hash: str = ""
    link_code_hash: str = ""


class Parts:
    """What belongs to one application and outlives a request."""

    def __init__(self, config: Config, live: LiveUpdates, terminals: Any) -> None:
        self.config = config
        self.live = live
        self.terminals = terminals
        self.attempts = sign_in.Attempts()
        self.setup_codes = first_setup.Codes(config.setup_code_hash, config.link_code_hash)
        self.sign_ins = factors.SignIns()
        self.challenges = passkeys.Challenges()
        self.offers = totp.Offers()
        # What strangers may cause in the journal, and what those who have at least a cookie or a token.
        self.strangers = Folded(_QUARTER_SECONDS, 200)
        self.half_known = Folded(_HOUR_SECONDS, 500)
        self._uses: dict[int, Folded] = {}

    def uses_of(self, token_id: int) -> Folded:
        """Return where the uses of one API token are noted: of its own, so that none can hide another's."""
        return self._uses.setdefault(token_id, Folded(_HOUR_SECONDS, 50))


def parts() -> Parts:
    """Return the parts of the application that serves this request."""
    found: Parts = current_app.extensions["claude_accounts"]
    return found


def stop_terminals(app: Flask) -> None:
    """End every terminal of an application."""
    found: Parts = app.extensions["claude_accounts"]
    found.terminals.stop_all()


def live_updates(app: Flask) -> LiveUpdates:
    """Return the open sockets of an application."""
    found: Parts = app.extensions["claude_accounts"]
    return found.live


def register(app: Flask) -> None:
    """Put authentication in front of every route and the error table behind it."""
    app.before_request(_limit_body)
    app.before_request(_refuse_other_sites)
    app.before_request(_authenticate)
    app.register_error_handler(AccountsError, _answer_failure)
    app.register_error_handler(HTTPException, _answer_http_failure)


def body(schema: str) -> dict[str, Any]:
    """Return the request's JSON object, checked against openapi.SCHEMAS[schema]; no body is the empty object."""
    data = json_body()
    return openapi.check_body({} if data is None else data, schema)


def raw_body() -> bytes:
    """Return the request's body as it came, whole."""
    raw = request.get_data(cache=False)
    told: Callable[[], None] | None = request.environ.get(BODY_READ)
    if told is not None:
        told()
    if request.content_length is None and len(raw) >= (request.max_content_length or 0):
        # A body without a length was cut where it passed the limit.
        _refuse(413, _("the body is too large"))
    _require_still_signed_in()
    return raw


def _require_still_signed_in() -> None:
    """Raise 401 where what a request showed has ended while its body was on its way, which may be a minute."""
    who = owner()
    if who and authenticated() != who:
        _refuse(401, _("you are not signed in"))


def flag(name: str, usual: bool = False) -> bool:
    """Return what the address says of a choice. Raises InvalidInput for neither yes nor no.

    A wish to change nothing must not be overheard because of how it is spelt.
    """
    said = request.args.get(name)
    if said is None:
        return usual
    if said.lower() not in ("0", "1", "false", "true"):
        raise InvalidInput(_("{field} must be 1 or 0", field=name), field=name)
    return said.lower() in ("1", "true")


def image_body() -> bytes:
    """Return the picture that the body is. Raises UnsupportedMediaType when it is not announced as one."""
    raw = raw_body()
    if request.mimetype not in openapi.IMAGE_TYPES:
        _refuse(415, _("the body must be a picture: {types}", types=", ".join(openapi.IMAGE_TYPES)))
    return raw


def json_body() -> Any:
    """Return the request's JSON, None when it has no body.

    Raises InvalidInput for what is no JSON, UnsupportedMediaType when it is not announced as application/json.
    """
    raw = json_bytes()
    if not raw:
        return None
    try:
        data = json.loads(raw.decode(), parse_constant=_refuse_constant)
        if _SURROGATE.search(raw):
            # Half a character cannot be stored, hashed or sent on.
            json.dumps(data, ensure_ascii=False).encode()
        return data
    except RecursionError as error:
        raise InvalidInput(_("the body is nested too deeply")) from error
    except ValueError as error:
        raise InvalidInput(_("the body is not JSON")) from error


def json_bytes() -> bytes:
    """Return the body as it came, empty for none. Raises UnsupportedMediaType when it is not announced as JSON."""
    raw = raw_body()
    if raw and request.mimetype != "application/json":
        _refuse(415, _("the body must be application/json"))
    return raw


def session_cookie() -> str:
    """Return the value of the session's cookie, "" when none came along."""
    return callers.cookie_value(request.environ)


def is_browser() -> bool:
    """Tell whether a browser asks: a request with Sec-Fetch-* or Origin."""
    return callers.is_browser(request.environ)


def address() -> str:
    """Return the address that this request is counted under."""
    return origin.client_address(request.environ, behind_proxy=parts().config.behind_proxy)


def authenticated(token: object = None, page_secret: object = None) -> str | None:
    """Return who asks: a session's hash, an API token's owner, None for nobody; g.session and g.token say more.

    Token and page secret are those of the headers, or those given.
    """
    g.session = None
    g.token = tokens.find(token if isinstance(token, str) else request.headers.get("X-Auth-Token", ""))
    if g.token is not None:
        _note_token_used(g.token)
        return str(g.token.owner)
    g.session = callers.session_of(request.environ, page_secret if isinstance(page_secret, str) else None)
    if g.session is None:
        _note_half_session()
    return g.session.id_hash if g.session else None


def owner() -> str:
    """Return who asks, as `authenticated` found him; "" for nobody."""
    if g.token is not None:
        return str(g.token.owner)
    return str(g.session.id_hash) if g.session else ""


def note(event: str, *, account: str = "", detail: str = "") -> None:
    """Add to the journal what whoever asks has just done."""
    journal.note(event, account=account, actor=_actor(), address=address(), detail=detail)


def _actor() -> str:
    if g.get("token") is not None:
        return f"token {g.token.name}"
    if g.get("session") is None:
        return ""
    # As the list of sessions names it, cut short.
    return f"{'browser' if g.session.is_browsers else 'program'} {g.session.id_hash[:8]}"


def _note_token_used(token: tokens.Token) -> None:
    tokens.note_used(token)
    where = address()
    agent = request.headers.get("User-Agent", "")
    parts().uses_of(token.id).note("token-used", place_of(where), actor=_actor(), address=where, detail=agent)


def _note_half_session() -> None:
    """Note in the journal who shows a browser's cookie without its page secret: once in a while for each."""
    cookie = session_cookie()
    if cookie and sign_in.has_session(cookie):
        where = address()
        agent = request.headers.get("User-Agent", "")
        thing = (sign_in.digest(cookie), place_of(where))
        parts().half_known.note("cookie-without-secret", thing, address=where, detail=agent)


def _note_failure(error: AccountsError) -> None:
    """Note who was refused as who he says he is; whoever tries on is told of once in a while."""
    if not isinstance(
        error, (sign_in.WrongPassword, factors.FactorRequired, factors.WrongFactor, sign_in.TooManyAttempts)
    ):
        return
    where, actor, detail = address(), _actor(), str(getattr(error, "field", ""))
    event = "set-up-failed" if request.endpoint == "auth.setup" else "sign-in-failed"
    if isinstance(error, factors.FactorRequired):
        event = "factor-asked"
    elif isinstance(error, sign_in.TooManyAttempts):
        event = "sign-in-blocked"
    elif actor:
        event = "proof-failed"
    # Whoever is asked for a code has the password: no flood of strangers may hide him.
    knows_much = actor or event == "factor-asked" or detail in (factors.TOTP, factors.RECOVERY)
    folded = parts().half_known if knows_much else parts().strangers
    folded.note(event, actor or place_of(where), actor=actor, address=where, detail=detail)


def require_sign_in() -> None:
    """Raise 401 unless a session or the API token came along."""
    who = authenticated()
    if who is None:
        _refuse(401, _("you are not signed in"), _("sign in, or send the API token as X-Auth-Token"))


def require_step_up() -> None:
    """Raise 403 unless the browser's owner has proved who he is within ten minutes; programs pass.

    The answer has `step_up`, by which the page knows that it may ask and send the request again.
    """
    session: sign_in.Session | None = g.session
    if session is None or not session.is_browsers or session.unlocked_until(int(time.time() * 1000)):
        return
    hint = _("POST /api/auth/step-up with the password is good for ten minutes")
    _refuse(403, _("this asks for the password again"), hint, step_up=True)


def require_scope(needed: str) -> None:
    """Raise ScopeTooSmall where an API token asks for what its scope does not allow; sessions may everything."""
    if g.token is None:
        return
    try:
        scopes.require(g.token.scope, needed)
    except scopes.ScopeTooSmall:
        parts().half_known.note(
            "token-refused", (g.token.id, needed), actor=_actor(), address=address(), detail=str(request.endpoint)
        )
        raise


def refuse_browser(message: str) -> None:
    """Raise 403 with this sentence where a browser's session asks."""
    if g.session is not None and g.session.is_browsers:
        _refuse(403, message)


def ok() -> Response:
    """Return the answer of a route that has nothing else to say."""
    return jsonify({"ok": True})


def _limit_body() -> None:
    request.max_content_length = _LARGEST.get(request.endpoint or "", LARGEST_BODY)
    length = request.content_length
    if length is not None and length > request.max_content_length:
        _refuse(413, _("the body is too large"))


def _is_below_api() -> bool:
    return request.path.lower().lstrip("/").startswith("api")


def _refuse_other_sites() -> None:
    """Refuse what another page lets its reader's browser ask of the API, be it only a link: no such answer is shown."""
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and _is_below_api():
        _refuse(403, _("another page may not ask this"), _("open the dashboard itself"))


def _authenticate() -> None:
    g.session = g.token = None
    needed = scopes.of_route(request.endpoint)
    if needed == scopes.PUBLIC:
        return
    if request.endpoint is None and not _is_below_api():
        return
    require_sign_in()
    if request.endpoint is not None:
        require_scope(needed)
    if g.session and request.method not in ("GET", "HEAD", "OPTIONS"):
        sign_in.note_seen(g.session)


def _answer_failure(error: AccountsError) -> Response:
    status = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), _STATE_STATUS)
    _note_failure(error)
    answer: dict[str, Any] = {"error": error.message, "hint": error.hint}
    if isinstance(error, factors.FactorRequired):
        answer |= {"second_factor": error.ways, "pending": error.pending}
    if getattr(error, "field", ""):
        answer["field"] = error.field  # type: ignore[attr-defined]
    response = jsonify(answer)
    response.status_code = status
    if isinstance(error, sign_in.TooManyAttempts):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _answer_http_failure(error: HTTPException) -> Response | HTTPException:
    if error.response is not None or (error.code or 500) < 400:
        return error
    sentences = {
        400: _("the request is malformed"),
        404: _("there is nothing at this address"),
        405: _("this address does not take that method"),
        413: _("the body is too large"),
        415: _("the body must be application/json"),
        500: _("the server made a mistake; its own output says more"),
    }
    response = jsonify({"error": sentences.get(error.code or 500, error.name.lower()), "hint": ""})
    response.status_code = error.code or 500
    if error.code == 405:
        response.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
    return response


def _refuse(status: int, message: str, hint: str = "", **more: bool) -> NoReturn:
    response = jsonify({"error": message, "hint": hint, **more})
    response.status_code = status
    raise HTTPException(response=response)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(text)

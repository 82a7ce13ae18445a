"""Owns one HTTP exchange with the token endpoint: a refresh token in, tokens out.

It knows no account and no database. Request and answer are those measured with Claude Code itself.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from ..messages import VERSION, EndpointFailed, InvalidInput, LoginEnded, _, printable

TOKEN_URL = "https://platform.claude.com/v1/oauth/token"  # noqa: S105 - an address, not a secret
CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
DEFAULT_SCOPES = (
    "user:profile",
    "user:inference",
    "user:sessions:claude_code",
    "user:mcp_servers",
    "user:file_upload",
)
_SILENCE_SECONDS = 15.0
_WHOLE_ANSWER_SECONDS = 30.0
_LARGEST_ANSWER = 65536
_YEAR_SECONDS = 366 * 24 * 3600
# An answer that does not say how long its token lasts is trusted for this long, not for ever.
_UNTOLD_SECONDS = 3600


class Tokens(NamedTuple):
    """What the endpoint answered. Times are epoch milliseconds, 0 where it said nothing; texts are empty likewise."""

    access_token: str
    refresh_token: str
    expires_at: int
    login_expires_at: int
    scopes: tuple[str, ...]
    account_uuid: str
    email: str
    organization_uuid: str
    organization: str


def token_url() -> str:
    """Return the endpoint's address; `$CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL` overrides it with https, or http on loopback.

    Raises InvalidInput: a refresh token sent in clear over a network is a stolen login.
    """
    chosen = os.environ.get("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", "")
    if not chosen:
        return TOKEN_URL
    try:
        parts = urlsplit(chosen)
        loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
    except ValueError:
        loopback, parts = False, urlsplit("")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        raise InvalidInput(
            _("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL must be an https address, or http on this machine"),
            "unset CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL",
        )
    return chosen


def refresh(refresh_token: str, scopes: tuple[str, ...] = ()) -> Tokens:
    """Spend `refresh_token` (it works once) and return the tokens that replace it.

    Raises LoginEnded when the endpoint says that the login is over, EndpointFailed for everything else that went
    wrong: no answer within 30 s, an error, an answer that is not tokens. The caller must not ask again with the
    same token before it has read what is stored by then.
    """
    request = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": CLIENT_ID,
        "scope": " ".join(scopes or DEFAULT_SCOPES),
    }
    status, body = _post_within_limit(token_url(), request)
    answer = _parse(body)
    if status != 200:
        raise _refusal(status, answer)
    return _tokens(answer)


def _post_within_limit(url: str, request: dict[str, str]) -> tuple[int, bytes]:
    """Post in a thread of its own: a server that drips one byte at a time outlives every timeout of a socket."""
    outcome: queue.Queue[tuple[int, bytes] | requests.RequestException] = queue.Queue()

    def exchange() -> None:
        try:
            outcome.put(_post(url, request))
        except requests.RequestException as error:
            outcome.put(error)

    threading.Thread(target=exchange, name="token endpoint", daemon=True).start()
    try:
        result = outcome.get(timeout=_WHOLE_ANSWER_SECONDS)
    except queue.Empty:
        raise EndpointFailed(
            _("the token endpoint gave no whole answer within {seconds} seconds", seconds=int(_WHOLE_ANSWER_SECONDS)),
            _("check the network, then try again"),
        ) from None
    if isinstance(result, requests.RequestException):
        raise _unreachable(result) from result
    return result


def _post(url: str, request: dict[str, str]) -> tuple[int, bytes]:
    # A redirect would carry the refresh token elsewhere; a .netrc entry would add a password to the request.
    with requests.post(
        url,
        json=request,
        headers={"User-Agent": f"claude-accounts/{VERSION}", "Accept": "application/json"},
        timeout=_SILENCE_SECONDS,
        allow_redirects=False,
        auth=lambda prepared: prepared,
        stream=True,
    ) as response:
        body = b""
        for piece in response.iter_content(8192):
            body += piece
            if len(body) > _LARGEST_ANSWER:
                break
        return response.status_code, body


def _unreachable(error: requests.RequestException) -> EndpointFailed:
    if isinstance(error, requests.exceptions.SSLError):
        reason = _("its certificate is not trusted")
    elif isinstance(error, requests.Timeout):
        reason = _("no answer within {seconds} seconds", seconds=int(_SILENCE_SECONDS))
    elif isinstance(error, requests.ConnectionError):
        reason = _("no connection")
    else:
        reason = _("no valid answer")
    host = urlsplit(token_url()).hostname or ""
    return EndpointFailed(
        _("the token endpoint {host} cannot be used: {reason}", host=printable(host), reason=reason),
        _("check the network, then try again"),
    )


def _parse(body: bytes) -> dict[str, Any]:
    try:
        # An error answer may be anything; only a JSON object says more than its status.
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(status: int, answer: dict[str, Any]) -> LoginEnded | EndpointFailed:
    """Tell the one permanent refusal from all others; its own text may echo the token and is not repeated."""
    error = answer.get("error")
    code = error.get("type") if isinstance(error, dict) else error
    if status in (400, 401) and code == "invalid_grant":
        description = answer.get("error_description")
        if description == "Refresh token expired":
            return LoginEnded(_("the login has reached its end"))
        return LoginEnded(_("the login was revoked, or its refresh token was spent by another program"))
    if status == 429:
        return EndpointFailed(_("the token endpoint asks to slow down (HTTP 429)"), _("try again in a few minutes"))
    return EndpointFailed(_("the token endpoint answered HTTP {status}", status=status), _("try again later"))


def _tokens(answer: dict[str, Any]) -> Tokens:
    access_token = _secret(answer.get("access_token"))
    given = answer.get("refresh_token")
    refresh_token = "" if given in (None, "") else _secret(given)
    account, organization = answer.get("account"), answer.get("organization")
    scope = answer.get("scope")
    return Tokens(
        access_token=access_token,
        refresh_token=refresh_token,
        expires_at=_moment(answer.get("expires_in")) or _moment(_UNTOLD_SECONDS),
        login_expires_at=_moment(answer.get("refresh_token_expires_in")),
        scopes=tuple(scope.split()) if isinstance(scope, str) and len(scope) < 2048 else (),
        account_uuid=_text(account, "uuid"),
        email=_text(account, "email_address"),
        organization_uuid=_text(organization, "uuid"),
        organization=_text(organization, "name"),
    )


def _secret(value: object) -> str:
    if (
        isinstance(value, str)
        and 0 < len(value) <= 8192
        and value.isascii()
        and value.isprintable()
        and " " not in value
    ):
        return value
    raise EndpointFailed(_("the token endpoint answered something else than tokens"), _("try again later"))


def _moment(seconds: object) -> int:
    """Return the epoch milliseconds `seconds` from now; 0 for what is no sensible span."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _YEAR_SECONDS:
        return 0
    return int((time.time() + seconds) * 1000)


def _text(holder: object, key: str) -> str:
    value = holder.get(key) if isinstance(holder, dict) else None
    return printable(value)[:256] if isinstance(value, str) else ""

"""Owns one HTTP exchange with the token endpoint: a refresh token in, tokens out.

It knows no account and no database. Request and answer are those measured with Claude Code itself.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..messages import EndpointFailed, InvalidInput, LoginEnded, _, printable
from . import network, proxies
from .variables import TOKEN_ENDPOINT

TOKEN_URL = "https://platform.claude.com/v1/oauth/token"  # noqa: S105 - an address, not a secret
CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
DEFAULT_SCOPES = (
    "user:profile",
    "user:inference",
    "user:sessions:claude_code",
    "user:mcp_servers",
    "user:file_upload",
)
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
    chosen = os.environ.get(TOKEN_ENDPOINT, "")
    if not chosen:
        return TOKEN_URL
    try:
        parts = urlsplit(chosen)
        # Reading the port is what finds one that is none.
        well_formed = parts.port != 0 and (not parts.hostname or proxies.is_host(parts.hostname))
    except ValueError:
        well_formed = False
    if not well_formed:
        shown = printable(network.without_login(chosen))
        raise InvalidInput(
            _("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL={address} is no address", address=shown),
            "unset CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL",
        )
    if not network.may_carry_a_secret(chosen):
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
    address = token_url()
    by = "" if address == TOKEN_URL else f"CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL={printable(network.without_login(address))}"
    hint = _("it is asked because of {setting}", setting=by) if by else ""
    found = network.request("POST", address, what=_("the token endpoint"), json=request, hint=hint)
    answer = _parse(found.body)
    if found.status != 200 or (not answer and found.is_web_page()):
        raise _refusal(found, answer)
    return _tokens(answer)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        # An error answer may be anything; only a JSON object says more than its status.
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(found: network.Answer, answer: dict[str, Any]) -> LoginEnded | EndpointFailed:
    """Tell the one permanent refusal from all others; its own text may echo the token and is not repeated."""
    status = found.status
    error = answer.get("error")
    code = error.get("type") if isinstance(error, dict) else error
    if status in (400, 401) and code == "invalid_grant":
        description = answer.get("error_description")
        if description == "Refresh token expired":
            return LoginEnded(_("the login has reached its end"))
        return LoginEnded(_("the login was revoked, or its refresh token was spent by another program"))
    if status == 429:
        return EndpointFailed(_("the token endpoint asks to slow down (HTTP 429)"), _("try again in a few minutes"))
    if found.is_web_page():
        hint = _("it came through {proxy}", proxy=found.way) if found.way else ""
        return EndpointFailed(
            _("a web page came in place of the token endpoint's answer (HTTP {status})", status=status),
            hint or _("open a browser: this network may want you to sign in first"),
        )
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

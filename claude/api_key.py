"""Owns the one question whether an API key is taken: the list of models, which costs nothing.

It knows no account and no database.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..messages import EndpointFailed, InvalidInput, _, printable
from . import network, settings
from .variables import BASE_URL

API_URL = "https://api.anthropic.com"
OVERRIDE = "CLAUDE_ACCOUNTS_API_URL"
# Why a key is not taken.
INVALID, FORBIDDEN, ORGANIZATION_DISABLED = "invalid_key", "no_permission", "organization_disabled"


def api_url(environ: Mapping[str, str]) -> str:
    """Return where the key would go in a session outside any project; `$CLAUDE_ACCOUNTS_API_URL` overrides it.

    Raises InvalidInput for what is neither https nor http on this machine: a key sent in clear is a stolen key.
    """
    found = settings.read_settings(cwd=os.sep, environ=environ, arguments=[]).winning.get(("env", BASE_URL))
    name, chosen = OVERRIDE, environ.get(OVERRIDE, "")
    if not chosen:
        name, chosen = BASE_URL, str(found.value) if found else environ.get(BASE_URL, "")
    if not chosen:
        return API_URL
    try:
        parts = urlsplit(chosen)
        safe = parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1")
    except ValueError:
        safe = False
    if not safe:
        raise InvalidInput(_("{variable} must be an https address, or http on this machine", variable=name))
    return chosen.rstrip("/")


def refusal(key: str, environ: Mapping[str, str]) -> str:
    """Ask whether this key is taken; return the code of a refusal, "" when it is. Raises EndpointFailed for no word."""
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    answer = network.request("GET", api_url(environ) + "/v1/models", what=_("the API"), headers=headers)
    told = _told(answer.body)
    if answer.status == 200 and told:
        return ""
    error = told.get("error")
    kind = error.get("type") if isinstance(error, dict) else ""
    message = str(error.get("message", "")) if isinstance(error, dict) else ""
    if answer.status == 401 and told:
        return INVALID
    if answer.status == 403 and kind == "permission_error":
        return FORBIDDEN
    if answer.status == 400 and "disabled" in message:
        return ORGANIZATION_DISABLED
    raise _no_word(answer)


def _told(body: bytes) -> dict[str, object]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _no_word(answer: network.Answer) -> EndpointFailed:
    if answer.status == 429:
        return EndpointFailed(_("the API asks to slow down (HTTP 429)"), _("try again in a few minutes"))
    hint = _("it was asked through {proxy}", proxy=printable(answer.way)) if answer.way else _("try again later")
    if answer.is_web_page():
        return EndpointFailed(
            _("a web page answered in the place of the API (HTTP {status})", status=answer.status), hint
        )
    return EndpointFailed(_("the API answered HTTP {status}, which says nothing", status=answer.status), hint)

"""Owns the one question whether an API key is taken: the list of models, which costs nothing.

It knows no account and no database.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from ..messages import EndpointFailed, InvalidInput, _, printable
from . import network, pin, proxies, settings
from .variables import API_ENDPOINT, BASE_URL, CUSTOM_HEADERS

API_URL = "https://api.anthropic.com"
# Why a key is not taken.
INVALID, FORBIDDEN, ORGANIZATION_DISABLED = "invalid_key", "no_permission", "organization_disabled"


class Place(NamedTuple):
    """Where the key goes, which variable (and settings file) says so, and the headers that go along."""

    url: str
    named: str
    path: str
    headers: dict[str, str]

    def hint(self) -> str:
        """Return whom to ask about the address, "" where it is the usual one."""
        if not self.named:
            return ""
        said = proxies.shown(self.named, settings.Said(network.without_login(self.url), self.path))
        return _("it is asked because of {setting}", setting=said)


def place(environ: Mapping[str, str]) -> Place:
    """Return where the key would go in a session outside any project; `$CLAUDE_ACCOUNTS_API_URL` overrides it.

    Raises InvalidInput for what is neither https nor http on this machine: a key sent in clear is a stolen key.
    """
    overriding = environ.get(API_ENDPOINT, "").strip()
    if overriding:
        found = Place(overriding, API_ENDPOINT, "", {})
    else:
        said = settings.read_settings(cwd=os.sep, environ=environ, arguments=[])
        setting = said.winning.get(("env", BASE_URL))
        chosen = pin.destination(BASE_URL, environ, said).strip()
        headers = _headers(pin.destination(CUSTOM_HEADERS, environ, said))
        found = Place(chosen or API_URL, BASE_URL if chosen else "", setting.path if setting else "", headers)
    if not network.may_carry_a_secret(found.url):
        raise InvalidInput(
            _("{variable} must be an https address, or http on this machine", variable=found.named), found.hint()
        )
    return found._replace(url=found.url.rstrip("/"))


def _headers(custom: str) -> dict[str, str]:
    """Return what a gateway wants to be told along (`Name: value`, one a line), without other keys for the API."""
    found = {}
    for line in settings.without_credential_headers(custom).splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        if colon and re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) and value.isascii() and value.isprintable():
            found[name] = value
    return found


def can_be_sent(key: str) -> bool:
    """Tell whether a header can hold it at all: what an earlier program has stored may be anything."""
    return key.isascii() and key.isprintable() and " " not in key


def refusal(key: str, environ: Mapping[str, str]) -> str:
    """Ask whether this key is taken; return the code of a refusal, "" when it is. Raises EndpointFailed for no word.

    Whoever else answers in the API's place (a gateway, a hotel) says nothing of the key, but with the API's own words.
    """
    asked = place(environ)
    headers = asked.headers | {"x-api-key": key, "anthropic-version": "2023-06-01"}
    answer = network.request("GET", asked.url + "/v1/models", what=_("the API"), headers=headers, hint=asked.hint())
    told = _told(answer.body)
    if answer.status == 200 and isinstance(told.get("data"), list):
        return ""
    error = told.get("error")
    kind = str(error.get("type", "")) if isinstance(error, dict) else ""
    message = str(error.get("message", "")) if isinstance(error, dict) else ""
    if answer.status == 401 and kind:
        return INVALID
    if answer.status == 403 and kind == "permission_error":
        return FORBIDDEN
    if answer.status == 400 and "organization" in message and "disabled" in message:
        return ORGANIZATION_DISABLED
    raise _no_word(answer, asked)


def _told(body: bytes) -> dict[str, object]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _no_word(answer: network.Answer, asked: Place) -> EndpointFailed:
    if answer.status == 429:
        return EndpointFailed(_("the API asks to slow down (HTTP 429)"), _("try again in a few minutes"))
    hint = _("it was asked through {proxy}", proxy=printable(answer.way)) if answer.way else asked.hint()
    hint = hint or _("try again later")
    if answer.is_web_page():
        return EndpointFailed(
            _("a web page answered in the place of the API (HTTP {status})", status=answer.status), hint
        )
    return EndpointFailed(_("the API answered HTTP {status}, which says nothing", status=answer.status), hint)

"""Owns what every source of an import gives: `Found`, one account as it stands there, or why it cannot come.

It knows no tool, and nothing of what is stored here already.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..accounts.entries import API_KEY, OAUTH
from ..claude.credentials_file import Login
from ..messages import _, printable, without_secrets

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


class Found(NamedTuple):
    """One account as a file or another tool holds it.

    `names` are what it could be called here, the best first; `entry` is what comes of it (the form of an export),
    None where nothing can, for the reason `why`. `tokens` are those of a login that the other place goes on to renew:
    they come only where that is wished. `folders` are those that belong to it there.
    """

    called: str
    names: tuple[str, ...]
    entry: dict[str, Any] | None
    tokens: dict[str, Any] = {}  # noqa: RUF012 - never changed
    why: str = ""
    folders: tuple[str, ...] = ()


def named(called: str) -> tuple[str, ...]:
    """Return what an account could be called here that has this name (or e-mail address) elsewhere, the best first."""
    local, _at, domain = called.partition("@")
    slugs = _slug(local), _slug(f"{local}-{domain.partition('.')[0]}")
    return tuple(dict.fromkeys(slug[:32].rstrip("-") for slug in slugs if len(slug) >= 2))


def left_out(called: str, why: str) -> Found:
    """Return an account that cannot come, and why."""
    return Found(called, (), None, why=why)


def of_key(called: str, key: str, **details: Any) -> Found:
    """Return an account with an API key, which comes whole."""
    return Found(called, named(called), {"auth_type": API_KEY, "api_key": key} | details)


def of_token(called: str, token: str, **details: Any) -> Found:
    """Return an account with a token that nobody renews, such as a setup token: it comes whole."""
    return Found(called, named(called), {"auth_type": OAUTH, "access_token": token} | details)


def of_login(called: str, login: Login | None, *, folders: Iterable[str] = ()) -> Found:
    """Return an account with a login: who it is comes always, its tokens only where they are moved.

    A token without a refresh token has nobody who renews it, and comes whole, unless it has ended.
    """
    if login is None:
        return Found(called, named(called), {"auth_type": OAUTH}, folders=tuple(folders))
    identity = {
        "email": login.email,
        "organization": login.organization,
        "account_uuid": login.account_uuid,
        "organization_uuid": login.organization_uuid,
        "subscription_type": login.subscription_type,
    }
    tokens = {
        "access_token": login.access_token,
        "refresh_token": login.refresh_token,
        "expires_at": login.expires_at,
        "scopes": " ".join(login.scopes),
        "rate_limit_tier": login.rate_limit_tier,
        "login_expires_at": login.login_expires_at,
    }
    entry = {"auth_type": OAUTH} | {key: value for key, value in identity.items() if value}
    tokens = {key: value for key, value in tokens.items() if value}
    names = tuple(dict.fromkeys(named(called) + (named(login.email) if login.email else ())))
    found = Found(called or login.email, names, entry, tokens, folders=tuple(folders))
    if login.refresh_token or not login.access_token:
        return found
    if 0 < login.expires_at <= time.time() * 1000:
        return left_out(found.called, _("its token has ended, and there is none to renew it"))
    return found._replace(entry=entry | tokens, tokens={})


def shown(called: str) -> str:
    """Return a foreign text as it may be printed: a key may stand in the place of a name."""
    return printable(without_secrets(called))[:60]


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _NOT_IN_NAMES.sub("-", plain).strip("-")

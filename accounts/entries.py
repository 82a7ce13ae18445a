"""Owns what may come in of an account: its name, its credential, the entries of an import, each checked or refused.

It knows no database and nothing of what is stored already.
"""

import re
from typing import Any

from ..messages import InvalidInput, _, printable
from . import pasted

API_KEY = "api_key"
OAUTH = "oauth"
VARIABLES = {API_KEY: "ANTHROPIC_API_KEY", OAUTH: "CLAUDE_CODE_OAUTH_TOKEN"}
# What is known of a login besides its tokens.
DETAILS = (
    "scopes",
    "subscription_type",
    "rate_limit_tier",
    "login_expires_at",
    "account_uuid",
    "organization_uuid",
    "email",
    "organization",
)

# Compiled where one is needed, which a launch does not need.
_NAME = r"[a-z0-9][a-z0-9-]{1,31}"
_HOST = r"(?:[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"
_LAST_MOMENT_MS = 253_402_300_799_000  # the end of the year 9999


def clean_name(text: str) -> str:
    """Return the account name that was meant: lower case, dashes for spaces. Raises InvalidInput."""
    name = text.strip().lower().replace(" ", "-")
    if not re.fullmatch(_NAME, name):
        raise InvalidInput(
            _("{name} is not an account name", name=repr(printable(text)[:60])),
            _("use 2 to 32 of a-z, 0-9 and -, beginning with a letter or digit"),
            field="name",
        )
    return name


def checked_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of an account's values with everything checked. Raises InvalidInput with the field's name."""
    auth_type = entry["auth_type"]
    if not isinstance(auth_type, str) or auth_type not in VARIABLES:
        raise InvalidInput(_("the auth type must be api_key or oauth"), field="auth_type")
    checked = {"name": clean_name(checked_text(entry["name"], "name")), "auth_type": auth_type}
    if auth_type == API_KEY:
        checked["api_key"] = checked_secret(entry.get("api_key", ""), "api_key", API_KEY)
        return checked | {"approve_key": checked_flag(entry.get("approve_key", False), "approve_key")}
    for field in ("access_token", "refresh_token"):
        value = entry.get(field)
        checked[field] = "" if value is None or value == "" else checked_secret(value, field, OAUTH)
    if checked["refresh_token"] and not checked["access_token"]:
        raise InvalidInput(_("a refresh token needs its access token"), field="access_token")
    return checked | {"expires_at": checked_moment(entry.get("expires_at", 0), "expires_at")}


def checked_text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(_("{field} must be a text", field=field), field=field)
    return value


def checked_flag(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(_("{field} must be true or false", field=field), field=field)
    return value


def checked_entries(data: object) -> list[dict[str, Any]]:
    """Return the checked entries of an import. Raises InvalidInput that says which entry (from 1) is wrong, and how."""
    if not isinstance(data, list):
        raise InvalidInput(_("an import is a JSON array of accounts"))
    return [checked_import(entry, number) for number, entry in enumerate(data, 1)]


def checked_import(entry: object, number: int) -> dict[str, Any]:
    """Return one entry of an import, checked. Raises InvalidInput that says which entry is wrong, and how."""
    try:
        if not isinstance(entry, dict):
            raise InvalidInput(_("it must be an object"))
        given = {"auth_type": _likely_type(entry), "name": None} | entry
        return checked_entry(given) | _checked_details(given)
    except InvalidInput as error:
        name = entry.get("name") if isinstance(entry, dict) else None
        called = f" ({printable(name)[:40]})" if isinstance(name, str) and name else ""
        where = _("entry {number}{called}: ", number=number, called=called)
        raise InvalidInput(where + error.message, error.hint, field=error.field) from error


def _likely_type(entry: dict[str, Any]) -> str:
    """Return the type of an entry that names none: the earlier program's API key, unless it holds a token instead."""
    return OAUTH if "access_token" in entry and "api_key" not in entry else API_KEY


def _checked_details(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what an exported entry says of its login besides the tokens."""
    details: dict[str, Any] = {}
    for column in DETAILS:
        value = entry.get(column)
        if column == "login_expires_at":
            details[column] = checked_moment(value, column)
        elif value is not None:
            text = checked_text(value, column)
            if len(text) > 1024 or not text.isprintable():
                raise InvalidInput(_("{field} is not a plain text", field=column), field=column)
            details[column] = text
    return details


def checked_host(text: str) -> str:
    """Return `host` or `host:port` in small letters, also of a whole address. Raises InvalidInput."""
    host = text.strip().lower()
    host = host.partition("://")[2].partition("/")[0].rpartition("@")[2] if "://" in host else host
    if not re.fullmatch(_HOST, host):
        example = _("for example: gateway.example or localhost:4000")
        raise InvalidInput(_("{name} is not a host", name=repr(printable(text)[:60])), example)
    return host


def checked_secret(value: object, field: str, auth_type: str) -> str:
    """Return the bare secret of what was given for `field`, however it was pasted. Raises InvalidInput."""
    secret = pasted.cleaned(value if isinstance(value, bytes) else checked_text(value, field), field)
    kind = pasted.kind(secret)
    if auth_type == API_KEY and kind in (pasted.ACCESS_TOKEN, pasted.REFRESH_TOKEN):
        raise InvalidInput(pasted.doubt(secret, auth_type), "claude-accounts add NAME --oauth --token -", field=field)
    if auth_type == OAUTH and kind == pasted.API_KEY:
        raise InvalidInput(pasted.doubt(secret, auth_type), "claude-accounts add NAME --key -", field=field)
    if field == "access_token" and kind == pasted.REFRESH_TOKEN:
        raise InvalidInput(pasted.doubt(secret, auth_type), field=field)
    return secret


def checked_moment(value: object, field: str) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LAST_MOMENT_MS:
        raise InvalidInput(_("{field} must be a time in epoch milliseconds", field=field), field=field)
    return value

"""Judges the `env` of a settings file, in which other tools keep what an account of theirs is made of."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..claude.variables import CREDENTIAL_VARIABLES
from ..messages import _, printable
from .found import Found, left_out, of_key, of_token

_PLACEHOLDER = re.compile(
    r"(?i)(?:your|insert|put|enter|paste)[-_ ].*|<.*>|\$.*|x{3,}|proxy_managed|ccs-internal-managed"
)
_CLOUDS = re.compile(r"CLAUDE_CODE_USE_[A-Z_]+")
_OURS = ("api.anthropic.com",)


def judged(called: str, env: object) -> Found:
    """Return the account that such variables are: a key or a token for Anthropic, or why it cannot come."""
    if not isinstance(env, dict) or not env:
        return left_out(called, _("it holds no credential"))
    values = {name: value.strip() for name, value in env.items() if isinstance(value, str) and value.strip()}
    cloud = next((name for name in env if _CLOUDS.fullmatch(name) and env[name] not in ("", "0", 0, False, None)), "")
    if cloud:
        return left_out(called, _("{variable}: providers cannot be stored yet", variable=cloud))
    address = values.get("ANTHROPIC_BASE_URL", "")
    if address and _host(address) not in _OURS:
        host = printable(_host(address) or address)[:80]
        return left_out(called, _("it goes to {host}: other providers cannot be stored yet", host=host))
    for variable in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"):
        secret = values.get(variable, "")
        if not secret:
            continue
        if _PLACEHOLDER.fullmatch(secret):
            return left_out(called, _("its {variable} is a placeholder", variable=variable))
        if variable == "ANTHROPIC_API_KEY" or secret.startswith("sk-ant-api"):
            return of_key(called, secret)
        if variable == "CLAUDE_CODE_OAUTH_TOKEN" or secret.startswith("sk-ant-oat"):
            return of_token(called, secret)
        return left_out(called, _("its {variable} is for a gateway: these cannot be stored yet", variable=variable))
    other = next((name for name in values if name in CREDENTIAL_VARIABLES), "")
    if other:
        return left_out(called, _("{variable}: providers cannot be stored yet", variable=other))
    return left_out(called, _("it holds no credential"))


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""

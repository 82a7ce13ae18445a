"""Owns what the pin says: the settings that hold one account for a session's whole life, whatever else is written.

Claude Code reads the settings it was started with as stronger than the user's and a project's, and goes on doing so
when those change. Where the pin lies while a session runs is decided elsewhere. Measured with 2.1.197 and 2.1.332.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .credentials_file import STORE_VARIABLE
from .settings import Settings, without_credential_headers
from .variables import BASE_URL, CREDENTIAL_VARIABLES, CUSTOM_HEADERS, PROFILES_VARIABLE, PROXY_VARIABLES

# Recognised as the first word alone: behind `--settings` they would be taken for a prompt. They start no session.
_FIRST_WORDS = frozenset(("attach", "logs", "stop", "kill", "rm", "respawn", "daemon"))
# It refuses settings in front of it, which it would not hand on.
_SETTINGS_BEHIND = "remote-control"
_BACKGROUND_OPTIONS = frozenset(("--bg", "--background"))


def content(
    credential: Mapping[str, str],
    account_name: str,
    marker: str,
    environ: Mapping[str, str],
    settings: Settings,
    profiles_folder: str,
    own: Mapping[str, Any],
) -> str:
    """Return the pin as JSON text: every rival blank, the credential with its value, the destination as it is now.

    `environ` is the child's environment, `own` what the user's own `--settings` says, of which the rest is kept.
    """
    environment = own.get("env")
    pinned: dict[str, Any] = dict(environment) if isinstance(environment, dict) else {}
    pinned |= dict.fromkeys(CREDENTIAL_VARIABLES, "")
    pinned |= {name: destination(name, environ, settings) for name in (BASE_URL, *PROXY_VARIABLES)}
    pinned[CUSTOM_HEADERS] = without_credential_headers(destination(CUSTOM_HEADERS, environ, settings))
    pinned[PROFILES_VARIABLE] = profiles_folder
    pinned[STORE_VARIABLE] = environ.get(STORE_VARIABLE, "")
    if "ANTHROPIC_API_KEY" not in credential:
        # In this mode the client ignores OAuth tokens.
        pinned["CLAUDE_CODE_SIMPLE"] = ""
    pinned |= dict(credential) | {marker: account_name}
    return json.dumps(dict(own) | {"env": pinned, "apiKeyHelper": ""})


def destination(name: str, environ: Mapping[str, str], settings: Settings) -> str:
    """Return what a variable about the credential's destination says for a session that starts now, "" for nothing."""
    found = settings.winning.get(("env", name))
    if found is None:
        return environ.get(name, "")
    return "" if found.value is None else str(found.value)


def takes_none(arguments: list[str]) -> bool:
    """Tell whether these words look after background jobs, which are held by the pins they were started with."""
    return arguments[:1] != [] and arguments[0] in _FIRST_WORDS


def is_background(arguments: list[str]) -> bool:
    """Tell whether these words start jobs that outlive the program, in a service that others share."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    first = next((word for word in options if not word.startswith("-")), "")
    return first == "agents" or not _BACKGROUND_OPTIONS.isdisjoint(options)


def place_for(arguments: list[str]) -> int:
    """Return at which position of the arguments `--settings FILE` belongs."""
    return 1 if arguments[:1] == [_SETTINGS_BEHIND] else 0

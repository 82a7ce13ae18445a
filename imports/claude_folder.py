"""Reads Claude Code's own files: a credentials file by itself, and whole folders made for `CLAUDE_CONFIG_DIR`.

It knows the places where people and small tools keep such folders, one for each account.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..claude import credentials_file
from ..messages import InvalidInput, _, printable
from ..system.folders import expanded
from . import reading, settings_env
from .found import Found, left_out, of_key, of_login

# In the home folder: folders whose members are configuration folders, and where in them these lie.
_KEPT_IN = ((".claude-profiles", "config"), (".claude-switch/accounts", ""))
# What begins like a second configuration folder and is none: ours, and other tools' own.
_OTHERS = (
    ".claude-accounts",
    ".claude-swap-backup",
    ".claude-profiles",
    ".claude-switch",
    ".claude-code-router",
    ".claude-server-commander",
    ".claude-flow",
)


def usual(environ: Mapping[str, str]) -> list[str]:
    """Return the configuration folders beside `~/.claude` in which somebody has signed in."""
    home = expanded("~")
    places = [os.path.join(home, name) for name in reading.names_in(home) if name.startswith((".claude-", ".claude_"))]
    places = [place for place in places if os.path.basename(place) not in _OTHERS]
    for parent, inner in ((os.path.join(home, parent), inner) for parent, inner in _KEPT_IN):
        parent = environ.get("CLAUDE_PROFILES_DIR") or parent if inner else parent
        places += [os.path.join(parent, name, inner).rstrip("/") for name in reading.folders_in(parent)]
    live = {credentials_file.store_folder(environ), credentials_file.config_folder(environ)}
    return [place for place in places if is_store(place) and os.path.abspath(place) not in live]


def is_store(path: str) -> bool:
    """Tell whether a folder is one of Claude Code's."""
    names = (".credentials.json", ".claude.json")
    return os.path.isdir(path) and any(os.path.lexists(os.path.join(path, name)) for name in names)


def found(path: str) -> list[Found]:
    """Return the account of one configuration folder."""
    name = os.path.basename(os.path.abspath(path))
    if name == "config":
        name = os.path.basename(os.path.dirname(os.path.abspath(path)))
    called = name.removeprefix(".claude-").removeprefix(".claude_") if name.startswith(".claude") else name
    return [of_folder(path, called)]


def of_folder(path: str, called: str) -> Found:
    """Return the account of one configuration folder, under the name that it has there."""
    try:
        for name in (".credentials.json", ".claude.json", "settings.json"):
            # Read further down by what reads Claude Code's own.
            reading.within(path, name)
        login = credentials_file.read_login(path, config_folder=path)
        if login is not None:
            return of_login(called, login)
        config = reading.held_config(path, ".claude.json")
        identity = _identity_alone(config)
        if identity is not None:
            return of_login(called, identity)
        if isinstance(config.get("primaryApiKey"), str) and config["primaryApiKey"]:
            return of_key(called, config["primaryApiKey"])
        return settings_env.judged(called, reading.held_json(path, "settings.json").get("env"))
    except InvalidInput as error:
        return left_out(called, error.message)


def of_credentials(value: dict[str, Any], path: str, called: str = "") -> Found:
    """Return the account of a credentials file, with who it is where a `.claude.json` beside it (`path`) knows."""
    login = credentials_file.login_in(value, _("the credentials file"))
    if login is None:
        raise InvalidInput(_("there is no login in it: it was signed out, or its login has ended"))
    folder = os.path.dirname(os.path.abspath(path)) if path else ""
    if folder:
        live = os.path.join(expanded("~"), ".claude")
        beside = os.path.dirname(folder) if folder == live else folder
        login = credentials_file.with_identity(
            login, credentials_file.cached_identity(os.path.join(beside, ".claude.json"))
        )
        name = os.path.basename(folder)
        if not called and name.startswith((".claude-", ".claude_")):
            called = name[len(".claude-") :]
    return of_login(called, login)


def of_config(value: dict[str, Any]) -> Found:
    """Return the account of a `.claude.json`: its API key; a login is not in there."""
    key = value.get("primaryApiKey")
    if isinstance(key, str) and key:
        return of_key("", key)
    identity = _identity_alone(value)
    if identity is None:
        raise InvalidInput(_("this is Claude Code's configuration, and nobody has signed in there"))
    return of_login("", identity)


def _identity_alone(config: dict[str, Any]) -> credentials_file.Login | None:
    """Return who has signed in according to a `.claude.json`, without a token; None for nobody."""
    account = config.get("oauthAccount")
    if not isinstance(account, dict):
        return None
    login = credentials_file.with_identity(credentials_file.Login(""), account)
    return login if login.email or login.account_uuid else None


def shown(path: str) -> str:
    """Return a place as it may be printed, from `~` where it is in the home folder."""
    home = os.path.join(expanded("~"), "")
    return printable("~/" + path[len(home) :] if path.startswith(home) else path)

"""Reads clauth: its profiles, each a folder with a configuration in TOML, a login and perhaps a setup token."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..claude import credentials_file
from ..messages import InvalidInput, _, printable
from ..system.folders import expanded
from . import reading, settings_env
from .found import Found, left_out, of_login


def usual(environ: Mapping[str, str]) -> list[str]:
    """Return the place where its folder lies."""
    return [os.path.join(expanded("~"), ".clauth")]


def is_store(path: str) -> bool:
    """Tell whether a folder is its own."""
    return os.path.isfile(os.path.join(path, "profiles.toml")) and os.path.isdir(os.path.join(path, "profiles"))


def found(path: str) -> list[Found]:
    """Return its profiles."""
    return [_profile(path, name) for name in reading.folders_in(path, "profiles")]


def _profile(path: str, name: str) -> Found:
    place = ("profiles", name)
    try:
        config = _toml(path, *place, "config.toml")
        env = dict(config["env"]) if isinstance(config.get("env"), dict) else {}
        if config.get("base_url"):
            env["ANTHROPIC_BASE_URL"] = config["base_url"]
        if config.get("api_key"):
            env["ANTHROPIC_API_KEY"] = config["api_key"]
        if env.get("ANTHROPIC_BASE_URL") or env.get("ANTHROPIC_API_KEY"):
            return settings_env.judged(name, env)
        token = _login(path, *place, "session-token.json")
        if token is not None and not token.refresh_token:
            # A setup token: whoever copies it takes nothing from anybody.
            return of_login(name, token)
        login = _login(path, *place, "credentials.json")
        if login is None:
            return left_out(name, _("it holds no credential"))
        return of_login(name, login)
    except InvalidInput as error:
        return left_out(name, error.message)


def _login(path: str, *names: str) -> credentials_file.Login | None:
    return credentials_file.login_in(reading.held_json(path, *names), os.path.join(path, *names))


def _toml(path: str, *names: str) -> dict[str, Any]:
    """Return what a TOML file says, nothing where there is none. Raises InvalidInput."""
    data = reading.held(path, *names)
    if data is None:
        return {}
    try:
        # Python 3.10 has none of its own.
        module = import_module("tomllib")
    except ModuleNotFoundError:
        module = import_module("tomli")
    try:
        value: dict[str, Any] = module.loads(reading.text(data))
    except (ValueError, RecursionError) as error:
        where = printable(os.path.join(path, *names))
        raise InvalidInput(_("{path} is not understood: {reason}", path=where, reason="TOML")) from error
    return value

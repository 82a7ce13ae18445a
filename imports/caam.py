"""Reads caam: the vault with its copies of Claude Code's files, its isolated profiles, and whose its projects are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..claude import credentials_file
from ..messages import InvalidInput
from ..system.folders import expanded
from . import claude_folder, reading
from .found import Found, left_out, of_login

_VAULT = ("vault", "claude")
_PROFILES = ("profiles", "claude")


def usual(environ: Mapping[str, str]) -> list[str]:
    """Return the places where its data may lie."""
    if environ.get("CAAM_HOME"):
        return [os.path.join(expanded(environ["CAAM_HOME"]), "data")]
    data = environ.get("XDG_DATA_HOME") or "~/.local/share"
    return [os.path.join(expanded(data), "caam")]


def is_store(path: str) -> bool:
    """Tell whether a folder is its data."""
    return any(os.path.isdir(os.path.join(path, *place)) for place in (_VAULT, _PROFILES))


def found(path: str) -> list[Found]:
    """Return its accounts; what it keeps for itself (a name with `_` in front) is none."""
    accounts = []
    for name in reading.folders_in(path, *_VAULT):
        if not name.startswith("_"):
            accounts.append(_guarded(path, name, *_VAULT, name))
    for name in reading.folders_in(path, *_PROFILES):
        home = (*_PROFILES, name, "home")
        if os.path.isdir(os.path.join(path, *home, ".claude")):
            accounts.append(_of_isolated(path, name, home))
    folders = _folders(path)
    return [each._replace(folders=folders.get(each.called, ())) if each.entry else each for each in accounts]


def _guarded(path: str, name: str, *place: str) -> Found:
    try:
        return claude_folder.of_folder(reading.within(path, *place), name)
    except InvalidInput as error:
        return left_out(name, error.message)


def _of_isolated(path: str, name: str, home: tuple[str, ...]) -> Found:
    """Return the account of a profile with a home folder of its own, in which `.claude.json` lies beside `.claude`."""
    account = _guarded(path, name, *home, ".claude")
    if account.entry is None or account.entry.get("email"):
        return account
    try:
        cached = _object(reading.held_config(path, *home, ".claude.json").get("oauthAccount"))
        login = credentials_file.read_tokens(reading.within(path, *home, ".claude"))
    except InvalidInput:
        return account
    return of_login(name, credentials_file.with_identity(login, cached)) if login else account


def _folders(path: str) -> dict[str, tuple[str, ...]]:
    """Return which folders belong to which profile for Claude Code."""
    home = os.path.dirname(path) if os.path.basename(path) == "data" else expanded("~/.caam")
    try:
        projects = _object(reading.held_json(home, "projects.json").get("associations"))
    except InvalidInput:
        return {}
    folders: dict[str, tuple[str, ...]] = {}
    for folder, profiles in projects.items():
        name = _object(profiles).get("claude")
        # A pattern of folders is none.
        if isinstance(name, str) and os.path.isabs(folder) and not set(folder) & set("*?["):
            folders[name] = (*folders.get(name, ()), folder)
    return folders


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

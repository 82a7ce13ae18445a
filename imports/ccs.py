"""Reads ccs: its accounts, each a configuration folder of its own, and its profiles, each a settings file.

What its `config.yaml` says besides (when an account was used last, what is shared) has no place here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..messages import InvalidInput
from ..system.folders import expanded
from . import claude_folder, reading, settings_env
from .found import Found, left_out

_SETTINGS = ".settings.json"


def usual(environ: Mapping[str, str]) -> list[str]:
    """Return the place where its folder lies."""
    if environ.get("CCS_DIR"):
        return [expanded(environ["CCS_DIR"])]
    return [os.path.join(expanded(environ.get("CCS_HOME") or "~"), ".ccs")]


def is_store(path: str) -> bool:
    """Tell whether a folder is its own."""
    if os.path.isdir(os.path.join(path, "instances")):
        return True
    names = reading.names_in(path)
    known = {"config.json", "config.yaml", "profiles.json"} & set(names)
    return bool(known) and any(name.endswith(_SETTINGS) for name in names)


def found(path: str) -> list[Found]:
    """Return its accounts, then its profiles."""
    accounts = []
    for name in reading.folders_in(path, "instances"):
        try:
            accounts.append(claude_folder.of_folder(reading.within(path, "instances", name), name))
        except InvalidInput as error:
            accounts.append(left_out(name, error.message))
    for name in reading.names_in(path):
        if name.endswith(_SETTINGS) and not name.startswith("."):
            called = name.removesuffix(_SETTINGS)
            try:
                accounts.append(settings_env.judged(called, reading.held_json(path, name).get("env")))
            except InvalidInput as error:
                accounts.append(left_out(called, error.message))
    return accounts

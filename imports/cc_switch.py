"""Reads cc-switch: its providers for Claude Code, in its SQLite database (only a copy is opened) or its older JSON."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..claude import credentials_file
from ..messages import InvalidInput, _
from ..system.folders import expanded
from . import other_database, reading, settings_env
from .found import Found, left_out

DATABASE = "cc-switch.db"
SQLITE = b"SQLite format 3\0"
SQL_EXPORT = b"-- CC Switch SQLite"
_APP = "com.ccswitch.desktop"
_LARGEST_DATABASE = 256 * 1024 * 1024
_PROVIDERS = "SELECT id, name, settings_config, meta FROM providers WHERE app_type = 'claude' LIMIT 1000"
_MANAGED = {"codex_oauth": "OpenAI Codex", "xai_oauth": "xAI", "github_copilot": "GitHub Copilot"}


def usual(environ: Mapping[str, str]) -> list[str]:
    """Return the places where its folder may lie: the one that its settings name, or its own."""
    data = environ.get("XDG_DATA_HOME", "")
    data = data if os.path.isabs(data) else expanded("~/.local/share")
    places = []
    for settings in (os.path.join(data, _APP), expanded(f"~/Library/Application Support/{_APP}")):
        try:
            chosen = reading.held_json(settings, "app_paths.json").get("app_config_dir_override")
        except InvalidInput:
            continue
        if isinstance(chosen, str) and os.path.isabs(expanded(chosen)):
            places.append(expanded(chosen))
    return [*places, expanded("~/.cc-switch")]


def is_store(path: str) -> bool:
    """Tell whether a folder is its own."""
    if os.path.isfile(os.path.join(path, DATABASE)):
        return True
    try:
        return is_config(reading.held_json(path, "config.json"))
    except InvalidInput:
        return False


def is_config(value: dict[str, Any]) -> bool:
    """Tell whether a JSON file is its older configuration."""
    claude = value.get("claude")
    return isinstance(_object(claude).get("providers"), dict) or (
        isinstance(value.get("providers"), dict) and "current" in value
    )


def found(path: str) -> list[Found]:
    """Return the accounts of its folder."""
    if os.path.isfile(os.path.join(path, DATABASE)):
        return of_database(reading.within(path, DATABASE))
    return of_config(reading.held_json(path, "config.json"))


def of_config(value: dict[str, Any]) -> list[Found]:
    """Return the accounts of its older configuration."""
    providers = _object((_object(value.get("claude")) or value).get("providers"))
    reading.refuse_too_many(providers)
    return [
        _of_provider(
            str(each.get("id") or number), each.get("name"), each.get("settingsConfig"), _object(each.get("meta"))
        )
        for number, each in ((number, _object(each)) for number, each in providers.items())
    ]


def of_database(path: str) -> list[Found]:
    """Return the accounts of its database; nothing is written beside it. Raises InvalidInput for what is none."""
    with _copied(path) as copy:
        rows = other_database.rows(copy, "providers", _PROVIDERS)
    if rows is None:
        raise InvalidInput(_("it is no database of {tool}", tool="cc-switch"))
    accounts = []
    for number, name, settings, meta in rows:
        called = name if isinstance(name, str) else str(number)
        try:
            accounts.append(_of_provider(str(number), called, _json(settings), _object(_json(meta))))
        except InvalidInput as error:
            accounts.append(left_out(called, error.message))
    return accounts


def of_bytes(data: bytes) -> list[Found]:
    """Return the accounts of a database that came over the network or by a pipe."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, DATABASE)
        _write(path, data)
        return of_database(path)


def _of_provider(number: str, name: object, settings: object, meta: dict[str, Any]) -> Found:
    called = name if isinstance(name, str) and name else number
    config = _object(settings)
    managed = _MANAGED.get(str(meta.get("providerType")), "")
    if managed:
        return left_out(called, _("it is an account of {vendor}", vendor=managed))
    if meta.get("apiFormat") not in (None, "", "anthropic"):
        return left_out(called, _("it needs the proxy of {tool}", tool="cc-switch"))
    env = _object(config.get("env"))
    if not env and isinstance(config.get("apiKey"), str):
        env = {"ANTHROPIC_API_KEY": config["apiKey"]}
    if number == "claude-official" or not env:
        return left_out(called, _("it is Claude Code's own login, which is not kept there"))
    return settings_env.judged(called, env)


@contextmanager
def _copied(path: str) -> Iterator[str]:
    """Give a copy of a database with its write-ahead log, taken at a moment when nobody wrote."""
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, DATABASE)
        for _attempt in range(5):
            before = _state(path)
            for suffix in ("", "-wal"):
                if os.path.lexists(path + suffix):
                    _write(copy + suffix, _read(path + suffix))
            if _state(path) == before:
                break
        else:
            raise InvalidInput(_("it is being written: close {tool} first", tool="cc-switch"))
        yield copy


def _read(path: str) -> bytes:
    root, name = os.path.split(path)
    return credentials_file.read_regular_file(reading.within(root or ".", name), _LARGEST_DATABASE) or b""


def _write(path: str, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)


def _state(path: str) -> list[tuple[int, int, int]]:
    found = []
    for suffix in ("", "-wal"):
        try:
            status = os.stat(path + suffix)
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except FileNotFoundError:
            found.append((0, 0, 0))
    return found


def _json(text: object) -> object:
    if not isinstance(text, str) or not text:
        return {}
    try:
        return reading.parsed(text.encode())
    except (InvalidInput, UnicodeError) as error:
        raise InvalidInput(_("its settings are damaged")) from error


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

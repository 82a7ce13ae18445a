"""Owns the question which settings files of Claude Code would make it use another credential than the chosen one.

It reads them all (managed, --settings, local, project, user) and changes none. Order and effect were measured: what a
settings file's `env` block says beats the environment, and its apiKeyHelper beats an injected token.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..messages import InvalidInput, _, printable
from ..system.folders import expanded, expanded_or_same, home_folder
from . import json_text
from .credentials_file import STORE_VARIABLE, read_regular_file
from .variables import (
    CREDENTIAL_VARIABLES,
    DESTINATION_VARIABLES,
    NETWORK_VARIABLES,
    OWN_DESTINATIONS,
    PROFILES_VARIABLE,
)

_LARGEST_FILE = 8 * 1024 * 1024
_MANAGED_FOLDER = "/Library/Application Support/ClaudeCode" if sys.platform == "darwin" else "/etc/claude-code"
# Programs that are run with the credential in their environment, or that add one of their own to what is sent.
_COMMANDS = ("processWrapper", "proxyAuthHelper")
_RIVALS = frozenset((*CREDENTIAL_VARIABLES, STORE_VARIABLE, PROFILES_VARIABLE))
_DESTINATIONS = (*DESTINATION_VARIABLES, *OWN_DESTINATIONS)
_LOGIN_RULES = ("forceLoginMethod", "forceLoginOrgUUID")


class Setting(NamedTuple):
    """One key that counts, where it stands, and its value (never shown)."""

    scope: str
    path: str
    line: int
    keys: tuple[str, ...]
    value: object

    def place(self) -> str:
        """Return `file:line key` for a person to go to."""
        where = printable(self.path) + (f":{self.line}" if self.line else "")
        return f"{where} {'.'.join(self.keys)}"


class Settings(NamedTuple):
    """What all files together say: the winning setting of every key that matters, and the files that say nothing."""

    winning: dict[tuple[str, ...], Setting]
    unreadable: list[str]


class Said(NamedTuple):
    """What one variable says, and the settings file that says it, "" for the environment."""

    value: str
    path: str = ""


def network_said(
    environ: Mapping[str, str], managed_folder: str = _MANAGED_FOLDER
) -> tuple[dict[str, Said], list[str]]:
    """Return what the environment and Claude Code's settings say of the network, and the files that cannot be read.

    As for Claude Code, the settings win. A folder's own ones are not asked: whoever wrote a repository must not choose
    whose hands a login passes through.
    """
    said = {name: Said(environ[name]) for name in NETWORK_VARIABLES if name in environ}
    unreadable = []
    configuration = _configuration_folder(environ)
    for path in (os.path.join(configuration, "settings.json"), *_managed_paths(configuration, managed_folder)):
        text = _text(path)
        if text is None:
            continue
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError):
            unreadable.append(path)
            continue
        environment = whole.get("env") if isinstance(whole, dict) else None
        if isinstance(environment, dict):
            known = ((name, environment[name]) for name in NETWORK_VARIABLES if name in environment)
            said |= {name: Said(str(value), path) for name, value in known if isinstance(value, (str, int))}
    return said, unreadable


def network_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with what Claude Code's settings say of the network in it, for a program that goes out."""
    said, _unreadable = network_said(environ)
    return {**environ} | {name: about.value for name, about in said.items()}


def read_settings(
    *, cwd: str, environ: Mapping[str, str], arguments: list[str], managed_folder: str = _MANAGED_FOLDER
) -> Settings:
    """Return what counts of every settings file that a claude started in `cwd` with these arguments would read."""
    winning: dict[tuple[str, ...], Setting] = {}
    unreadable = []
    for scope, path, text in _sources(cwd, environ, arguments, managed_folder):
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError):
            unreadable.append(path)
            continue
        for setting in _relevant(scope, path, text, whole):
            winning[setting.keys] = setting
    return Settings(winning, unreadable)


def find_rivals(settings: Settings, variable: str, value: str) -> list[Setting]:
    """Return the settings that would win over `variable`=`value`.

    One that says the very same does not. An empty one does so for our own variable alone: it takes the credential away.
    Where the credential would go is foreign_destinations' question.
    """
    rivals = []
    for setting in settings.winning.values():
        name = setting.keys[-1]
        if setting.keys == ("env", variable):
            if setting.value != value:
                rivals.append(setting)
            continue
        if setting.keys[0] == "env" and name not in _RIVALS and not _sets_credential_header(setting):
            continue
        if setting.keys[0] in _COMMANDS or setting.keys[0] == "inference":
            continue
        if setting.value in ("", None, False):
            continue
        if name.startswith("CLAUDE_CODE_USE_") and str(setting.value).lower() in ("0", "false", "no", "off"):
            continue
        rivals.append(setting)
    return rivals


def can_be_set_aside(rival: Setting) -> bool:
    """Tell whether the pin is stronger than this rival: it is not what an administrator set."""
    return rival.scope != "managed"


def foreign_destinations(settings: Settings, allowed_hosts: Iterable[str]) -> list[Setting]:
    """Return what the folder's own settings (of whoever wrote the repository) say of where the credential shall go.

    That is another address than Anthropic's or an allowed host, a proxy, headers of its own, a program that gets the
    credential. What the user or an administrator set is theirs to choose.
    """
    allowed = set(allowed_hosts)
    return [
        setting
        for setting in settings.winning.values()
        if setting.scope in ("project", "local")
        and setting.value not in ("", None, False)
        and (setting.keys[-1] in _DESTINATIONS or setting.keys[0] in ("inference", *_COMMANDS))
        and host_of(setting.value) not in allowed
        and not str(setting.value).startswith(("https://api.anthropic.com/", "https://api.anthropic.com:443/"))
        and str(setting.value) != "https://api.anthropic.com"
    ]


def host_of(address: object) -> str:
    """Return `host` or `host:port` of a web address, in small letters, "" for what is none."""
    match = re.fullmatch(r"[a-z0-9+.-]+://(?:[^/?#]*@)?([^/?#@\s]+)(?:[/?#].*)?", str(address).strip(), re.IGNORECASE)
    return match[1].lower() if match else ""


def split_settings_argument(arguments: list[str]) -> tuple[list[str], str | None]:
    """Return the arguments without any `--settings`, and the value of the last one, the only one that counts."""
    kept: list[str] = []
    value: str | None = None
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word == "--":
            return kept + arguments[position:], value
        if word == "--settings" and position + 1 < len(arguments):
            value = arguments[position + 1]
            position += 1
        elif word.startswith("--settings="):
            value = word.partition("=")[2]
        else:
            kept.append(word)
        position += 1
    return kept, value


def settings_of_argument(value: str, cwd: str) -> dict[str, Any]:
    """Return the settings that the user's own `--settings` holds: JSON, or a file. Raises InvalidInput for neither."""
    path, text = _text_of_argument(value, cwd)
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        return whole
    raise InvalidInput(_("{path} holds no settings for Claude Code", path=printable(path)))


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """Return the line (from 1) on which the last key of a path into a JSON text stands, 0 when it is not there."""
    try:
        found = json_text.find(text, keys)
    except (ValueError, RecursionError):
        return 0
    return text.count("\n", 0, found.begin) + 1 if found else 0


def _sources(
    cwd: str, environ: Mapping[str, str], arguments: list[str], managed_folder: str
) -> list[tuple[str, str, str]]:
    """Return (scope, path, text) of every source there is, the weakest first."""
    configuration = _configuration_folder(environ)
    local = os.path.join(".claude", "settings.local.json")
    paths = [
        ("user", os.path.join(configuration, "settings.json")),
        ("project", os.path.join(cwd, ".claude", "settings.json")),
        *(("local", os.path.join(folder, local)) for folder in _local_folders(cwd)),
    ]
    chosen = _setting_sources(arguments)
    sources = [(scope, path, _text(path)) for scope, path in paths if chosen is None or scope in chosen]
    given = split_settings_argument(arguments)[1]
    if given is not None:
        sources.append(("argument", *_text_of_argument(given, cwd)))
    sources += [("managed", path, _text(path)) for path in _managed_paths(configuration, managed_folder)]
    return [(scope, path, text) for scope, path, text in sources if text is not None]


def _configuration_folder(environ: Mapping[str, str]) -> str:
    return expanded(environ.get("CLAUDE_CONFIG_DIR") or os.path.join("~", ".claude"))


def _managed_paths(configuration: str, managed_folder: str) -> list[str]:
    """Return the files in which an administrator sets something, the weakest first."""
    managed = [os.path.join(managed_folder, "managed-settings.json")]
    drop_ins = os.path.join(managed_folder, "managed-settings.d")
    with suppress(OSError):
        managed += [os.path.join(drop_ins, name) for name in sorted(os.listdir(drop_ins)) if name.endswith(".json")]
    # What an organisation's console has sent; the client keeps a copy.
    return [*managed, os.path.join(configuration, "remote-settings.json")]


def _local_folders(cwd: str) -> list[str]:
    """Return the folders whose `settings.local.json` may count in `cwd`, the weakest first.

    Since 2.1.211 it is kept at the top of the git repository (in a linked worktree: of the main one), for sessions
    anywhere in it; one in `cwd` itself still counts.
    """
    folder, home = os.path.abspath(cwd), home_folder()
    while folder != home and not os.path.lexists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return [cwd]
        folder = parent
    if folder in (home, os.path.abspath(cwd)):
        return [*_main_worktree(folder), cwd]
    return [*_main_worktree(folder), folder, cwd]


def _main_worktree(folder: str) -> list[str]:
    """Return the main working folder of a linked worktree, nothing for any other folder."""
    link = re.match(r"gitdir: (.+)", _text(os.path.join(folder, ".git")) or "")
    if link is None:
        return []
    administration = os.path.join(folder, link[1].strip())
    common = (_text(os.path.join(administration, "commondir")) or "").strip()
    return [os.path.dirname(os.path.normpath(os.path.join(administration, common)))] if common else []


def _text(path: str) -> str | None:
    try:
        data = read_regular_file(path, _LARGEST_FILE)
    except InvalidInput:
        # It is there and cannot be read: told as unreadable, like one that is no JSON.
        return ""
    if data is None:
        return None
    # An empty file says nothing, to Claude Code too.
    return data.decode("utf-8", "replace").removeprefix("\ufeff") if data.strip() else "{}"


def _text_of_argument(value: str, cwd: str) -> tuple[str, str]:
    if value.lstrip().startswith("{"):
        return "--settings", value
    return value, _text(os.path.join(cwd, expanded_or_same(value, os.environ))) or ""


def _setting_sources(arguments: list[str]) -> set[str] | None:
    chosen = None
    for position, word in enumerate(arguments):
        if word == "--":
            break
        if word == "--setting-sources" and position + 1 < len(arguments):
            chosen = arguments[position + 1]
        elif word.startswith("--setting-sources="):
            chosen = word.partition("=")[2]
    return None if chosen is None else {part.strip() for part in chosen.split(",")}


def _relevant(scope: str, path: str, text: str, whole: object) -> list[Setting]:
    if not isinstance(whole, dict):
        return []
    found: list[tuple[tuple[str, ...], object]] = []
    environment = whole.get("env")
    if isinstance(environment, dict):
        watched = {*_RIVALS, *_DESTINATIONS}
        found += [(("env", name), environment[name]) for name in environment if name in watched]
    found += [((key,), whole[key]) for key in ("apiKeyHelper", *_COMMANDS) if key in whole]
    inference = whole.get("inference")
    if isinstance(inference, dict) and "baseUrl" in inference:
        found.append((("inference", "baseUrl"), inference["baseUrl"]))
    if scope == "managed":
        found += [((rule,), whole[rule]) for rule in _LOGIN_RULES if rule in whole]
    return [Setting(scope, path, line_of(text, keys), keys, value) for keys, value in found]


def without_credential_headers(headers: str) -> str:
    """Return custom headers without those that carry a credential of their own."""
    return "\n".join(line for line in headers.splitlines() if not names_credential_header(line))


def _sets_credential_header(setting: Setting) -> bool:
    return setting.keys[-1] == "ANTHROPIC_CUSTOM_HEADERS" and names_credential_header(str(setting.value))


def names_credential_header(headers: str) -> bool:
    """Tell whether custom headers (`Name: value`, one a line) carry a credential of their own."""
    names = {line.partition(":")[0].strip().lower() for line in headers.splitlines()}
    return bool(names & {"authorization", "x-api-key"})


def unreadable_notice(path: str) -> str:
    """Return the line about a settings file that is no JSON: Claude Code may read something else into it."""
    return _("{path} cannot be read as JSON and was not checked", path=printable(path))

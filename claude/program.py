"""Owns what launching needs to know about Claude Code: the program, its version, the environment of a child.

Given an account's one variable it decides what else must hold so that claude uses that credential and no other.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..messages import ClaudeMissing, InvalidInput, RivalCredential, StorageFailed, _, printable, warn
from ..system import programs
from ..system.folders import data_folder
from ..system.private_files import make_private_folder, write_private_file
from . import credentials_file, key_approval, settings as claude_settings
from .credentials_file import STORE_VARIABLE
from .settings import CREDENTIAL_VARIABLES, Setting

RIVAL_VARIABLES = frozenset(CREDENTIAL_VARIABLES)
ACCOUNT_MARKER = "CLAUDE_ACCOUNT"
# Before this version a refused token made the client go on with the login in its store, without a word.
FIRST_WITHOUT_FALLBACK = (2, 1, 225)
# The oldest version that was seen to keep its login in a store of its own; older ones have not been looked at.
FIRST_WITH_OWN_STORE = (2, 1, 197)
_OAUTH_VARIABLE = "CLAUDE_CODE_OAUTH_TOKEN"
_SUBCOMMANDS = frozenset(
    ("agents", "auth", "config", "doctor", "install", "mcp", "migrate-installer", "plugin", "plugins")
    + ("setup-token", "update", "upgrade")
)
_STATUS_SECONDS = 20
_SETTINGS_KEPT_SECONDS = 30 * 24 * 3600


class Launch(NamedTuple):
    """What to start: the program's path, its argument vector, its whole environment, and what to say before."""

    program: str
    argv: list[str]
    env: dict[str, str]
    notices: list[str]


def find_claude(environ: Mapping[str, str]) -> str:
    """Return the path of the claude that a shell would start. Raises ClaudeMissing."""
    program = programs.find("claude", environ)
    if program is None:
        raise ClaudeMissing(_("there is no claude on PATH"), "npm install -g @anthropic-ai/claude-code")
    return program


def child_env(environ: Mapping[str, str], credential: Mapping[str, str], account_name: str) -> dict[str, str]:
    """Return the caller's environment without any rival credential, plus the account's variable and its name."""
    child = {name: value for name, value in environ.items() if name not in RIVAL_VARIABLES}
    if credentials_file.is_ours(child.get(STORE_VARIABLE, "")):
        # We are inside a session of another account: its store is its own.
        del child[STORE_VARIABLE]
    if _OAUTH_VARIABLE in credential or STORE_VARIABLE in credential:
        # In this mode the client ignores OAuth tokens.
        child.pop("CLAUDE_CODE_SIMPLE", None)
    headers = child.get("ANTHROPIC_CUSTOM_HEADERS", "")
    if claude_settings.names_credential_header(headers):
        kept = [line for line in headers.splitlines() if not claude_settings.names_credential_header(line)]
        child["ANTHROPIC_CUSTOM_HEADERS"] = "\n".join(kept)
    return child | dict(credential) | {ACCOUNT_MARKER: account_name}


def prepare_launch(
    account_name: str,
    credential: dict[str, str],
    arguments: list[str],
    *,
    cwd: str,
    environ: Mapping[str, str],
    force: bool = False,
    managed_folder: str | None = None,
    approve: bool = False,
    ask: Callable[[str], bool] | None = None,
) -> Launch:
    """Return how to start claude in `cwd` so that it uses `credential` (one variable) and nothing else.

    With `approve` claude may be told to use an API key without asking; `ask` puts a question with a yes or a no to
    whoever launches, where there is somebody.

    Raises ClaudeMissing, and RivalCredential where something would win that cannot be taken out (with `force` it is
    only told).
    """
    program = find_claude(environ)
    ((variable, value),) = credential.items()
    env = child_env(environ, credential, account_name)
    way = _("durable login") if variable == STORE_VARIABLE else variable
    notices = [_("▶ Claude → {name} ({variable})", name=printable(account_name), variable=way)]
    if claude_settings.names_credential_header(environ.get("ANTHROPIC_CUSTOM_HEADERS", "")):
        notices.append("  " + _("the credential in ANTHROPIC_CUSTOM_HEADERS is left out"))
    folder = {} if managed_folder is None else {"managed_folder": managed_folder}
    settings = claude_settings.read_settings(cwd=cwd, environ=environ, arguments=arguments, **folder)
    rivals = claude_settings.find_rivals(settings, variable, value)
    decisive = [rival for rival in rivals if not claude_settings.can_be_blanked(rival, variable)]
    notices += _refuse(decisive, account_name, force)
    blanked = [rival for rival in rivals if rival not in decisive]
    if blanked:
        arguments = _with_settings(arguments, claude_settings.blanks(blanked), cwd)
        places = ", ".join(rival.place() for rival in blanked)
        notices.append(_("  set aside for this session: {places}", places=places))
    notices += [f"  {claude_settings.unreadable_notice(path)}" for path in settings.unreadable]
    notices += _destination_notices(env, settings)
    if "--bare" in _options(arguments) and variable != "ANTHROPIC_API_KEY":
        notices.append("  " + _("with --bare claude takes no OAuth token: it will say that it is not logged in"))
    if variable == STORE_VARIABLE:
        return Launch(program, ["claude", *arguments], env, notices)
    if variable == _OAUTH_VARIABLE:
        notices += _keep_to_token(program, env)
    else:
        notices += _keep_to_key(value, env, arguments, account_name, force, approve, ask)
    return Launch(program, ["claude", *arguments], env, notices)


def client_version(program: str, environ: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Return the version of a claude, None when it does not tell.

    It is read off the installation's path or package where possible; else the program is asked once, and the answer
    remembered for as long as the file stays the same.
    """
    known = _known_version(program)
    if known is not None:
        return _version_in(f"/versions/{known}")
    quiet = {name: value for name, value in environ.items() if name not in RIVAL_VARIABLES}
    code, output = programs.run([program, "--version"], quiet, seconds=10)
    match = re.search(r"\d+\.\d+\.\d+", output.decode("utf-8", "replace"))
    found = match.group() if match else ""
    if found or code == 0:
        _remember(program, version=found)
    return _version_in(f"/versions/{found}")


def honours_own_store(program: str, environ: Mapping[str, str]) -> bool:
    """Tell whether this claude keeps to the store that CLAUDE_SECURESTORAGE_CONFIG_DIR names.

    It is asked once, in an empty store: one that finds a login there has looked somewhere else. The answer is
    remembered for as long as its file stays the same.
    """
    known = _remembered(program).get("own_store")
    if isinstance(known, bool):
        return known
    version = client_version(program, environ)
    if version is not None and version < FIRST_WITH_OWN_STORE:
        return False
    quiet = {name: value for name, value in environ.items() if name not in RIVAL_VARIABLES}
    _code, output = programs.run(
        [program, "auth", "status"], quiet | {STORE_VARIABLE: _empty_store()}, seconds=_STATUS_SECONDS
    )
    try:
        status = json.loads(output)
        honours = status["loggedIn"] is False or status.get("authMethod") == "api_key_helper"
    except (ValueError, RecursionError, TypeError, KeyError):
        return False
    _remember(program, own_store=honours)
    return honours


def _refuse(decisive: list[Setting], account_name: str, force: bool) -> list[str]:
    """Raise for settings that would win and cannot be taken out, or tell them when that is what the user wants."""
    if not decisive:
        return []
    name = printable(account_name)
    sentence = _("{place} would be used instead of {name}", place=decisive[0].place(), name=name)
    if not force:
        raise RivalCredential(
            sentence, _("remove it there, or go ahead all the same: claude-accounts launch --force {name}", name=name)
        )
    return ["  " + _("{place} would be used instead of {name}", place=rival.place(), name=name) for rival in decisive]


def _with_settings(arguments: list[str], blanks: dict[str, Any], cwd: str) -> list[str]:
    """Put one `--settings` in front: the user's own (only the last counts, they are not merged) under our blanks."""
    kept, given = claude_settings.split_settings_argument(arguments)
    if given is None:
        return ["--settings", json.dumps(blanks), *kept]
    own = claude_settings.settings_of_argument(given, cwd)
    environment = own.get("env")
    merged = own | blanks
    if isinstance(environment, dict):
        merged["env"] = environment | blanks.get("env", {})
    # One that the user wrote out as an argument may stay one.
    if given.lstrip().startswith("{"):
        return ["--settings", json.dumps(merged), *kept]
    # The user's file may hold secrets, which an argument would show to every process of the machine.
    return ["--settings", _settings_file(json.dumps(merged)), *kept]


def _settings_file(text: str) -> str:
    """Keep merged settings in a private file named by its content; files of sessions long gone are removed."""
    import hashlib

    folder = os.path.join(data_folder(), "settings")
    make_private_folder(folder)
    path = os.path.join(folder, hashlib.sha256(text.encode()).hexdigest()[:32] + ".json")
    write_private_file(path, text.encode())
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            if time.time() - entry.stat().st_mtime > _SETTINGS_KEPT_SECONDS:
                os.unlink(entry.path)
    return path


def _destination_notices(env: Mapping[str, str], settings: claude_settings.Settings) -> list[str]:
    """Say when the credential will go to another address than Anthropic's."""
    found = settings.winning.get(("env", "ANTHROPIC_BASE_URL"))
    address = str(found.value) if found else env.get("ANTHROPIC_BASE_URL", "")
    if not address:
        return []
    origin = found.place() if found else "ANTHROPIC_BASE_URL"
    host = address.split("://")[-1].split("/")[0].rpartition("@")[2]
    if host == "api.anthropic.com":
        return []
    return ["  " + _("the credential goes to {host} ({origin})", host=printable(host), origin=origin)]


def _keep_to_token(program: str, env: dict[str, str]) -> list[str]:
    """See to it that a refused token ends the session instead of another login taking over."""
    notices: list[str] = []
    if (_version_in(f"/versions/{_known_version(program)}") or ()) >= FIRST_WITHOUT_FALLBACK:
        return notices
    if not credentials_file.may_hold_login(credentials_file.store_folder(env)):
        return notices
    if (client_version(program, env) or ()) < FIRST_WITHOUT_FALLBACK:
        env[STORE_VARIABLE] = _empty_store()
        notices.append("  " + _("this claude could fall back to another login, so logins of MCP servers are hidden"))
        notices.append("  " + _("a newer one needs no such guard: claude update"))
    return notices


def _keep_to_key(
    key: str,
    env: dict[str, str],
    arguments: list[str],
    account_name: str,
    force: bool,
    approve: bool,
    ask: Callable[[str], bool] | None,
) -> list[str]:
    """See to it that a key which claude does not accept ends in a question, never in another login."""
    silent = key_approval.asks_nobody(env)
    if not _converses(arguments, printing=silent):
        return []
    path = credentials_file.config_file(env)
    state, notices = key_approval.ensure(path, key, wished=approve, ask=ask)
    if state == key_approval.REJECTED:
        return notices + _refused_key(path, env, _read_json(path), account_name, force)
    if state == key_approval.APPROVED and not silent:
        return notices
    if state == key_approval.UNKNOWN:
        notices += _unapproved_key(path, account_name, silent, force)
    if credentials_file.may_hold_login(credentials_file.store_folder(env)):
        env[STORE_VARIABLE] = _empty_store()
        hidden = _("logins of MCP servers are hidden") if silent else _("until then logins of MCP servers are hidden")
        notices.append("  " + hidden)
    return notices


def _unapproved_key(path: str, account_name: str, silent: bool, force: bool) -> list[str]:
    """Say what becomes of a key that claude was told nothing about; raise where it would use another without asking."""
    other = [_in_configuration(path, "primaryApiKey")] if _read_json(path).get("primaryApiKey") else []
    if silent:
        remedy = f"claude-accounts update --approve {printable(account_name)}"
        notice = _("here claude uses only an API key that it was told to use: {command}", command=remedy)
        return ["  " + notice, *_refuse(other, account_name, force)]
    notices = ["  " + _("claude asks once whether to use this API key: answer Yes")]
    return notices + ["  " + _("No would go on with another key: {place}", place=key.place()) for key in other]


def _refused_key(
    path: str, env: Mapping[str, str], configuration: dict[str, Any], account_name: str, force: bool
) -> list[str]:
    """Say that claude was told No to this key, which it obeys without a word; raise where it would use another one."""
    rival = _in_configuration(path, "customApiKeyResponses", "rejected")
    store = credentials_file.store_folder(env)
    if configuration.get("primaryApiKey") or credentials_file.may_hold_login(store):
        return _refuse([rival], account_name, force)
    return ["  " + _("claude was told not to use this API key: {place}", place=rival.place())]


def _in_configuration(path: str, *keys: str) -> Setting:
    """Return where in `.claude.json` something stands."""
    return Setting("user", path, claude_settings.line_of(_read_text(path), keys), keys, "")


def _empty_store() -> str:
    """Return a private folder without any login, made anew if somebody has signed in inside it."""
    folder = os.path.join(data_folder(), "no-login")
    make_private_folder(folder)
    for name in os.listdir(folder):
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            os.unlink(os.path.join(folder, name))
    credentials_file.forget_login(folder)
    return folder


def _converses(arguments: list[str], *, printing: bool) -> bool:
    """Tell whether claude will talk with somebody on a terminal; with `printing`, or with a program by `-p`."""
    options = _options(arguments)
    others = {"-v", "--version", "-h", "--help"} | (set() if printing else {"-p", "--print"})
    if others & set(options):
        return False
    first = next((word for word in options if not word.startswith("-")), "")
    return first not in _SUBCOMMANDS


def _options(arguments: list[str]) -> list[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _version_in(path: str) -> tuple[int, int, int] | None:
    match = re.search(r"/(?:versions|claude-code)/(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:/|$)", path)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _version_of_package(path: str) -> tuple[int, int, int] | None:
    folder = os.path.dirname(path)
    for _level in range(3):
        package = _read_json(os.path.join(folder, "package.json"))
        if str(package.get("name", "")).startswith("@anthropic-ai/claude-code"):
            return _version_in(f"/versions/{package.get('version')}")
        folder = os.path.dirname(folder)
    return None


def _known_version(program: str) -> str | None:
    """Return a claude's version without starting it: "" when it once did not tell, None when nobody has asked."""
    path = os.path.realpath(program)
    found = _version_in(path) or _version_of_package(path)
    if found:
        return ".".join(map(str, found))
    known = _remembered(program).get("version")
    return None if known is None else str(known)


def _remembered(program: str) -> dict[str, Any]:
    """Return what we know of a claude for as long as its file stays the same."""
    path = os.path.realpath(program)
    known = _read_json(_memory_path()).get(path)
    return known if isinstance(known, dict) and known.get("file") == _file_mark(path) else {}


def _remember(program: str, **facts: object) -> None:
    path = os.path.realpath(program)
    known = _remembered(program) | {"file": _file_mark(path)} | facts
    versions = _read_json(_memory_path()) | {path: known}
    try:
        make_private_folder(data_folder())
        write_private_file(_memory_path(), json.dumps(versions).encode())
    except StorageFailed as error:
        # A full disk is no reason to keep somebody from working; the next launch asks again.
        warn(error.message)


def _memory_path() -> str:
    return os.path.join(data_folder(), "client.json")


def _file_mark(path: str) -> list[int]:
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _read_json(path: str) -> dict[str, Any]:
    """Return a JSON object from a file of which only a little is wanted; what is not one holds nothing."""
    try:
        whole = json.loads(_read_text(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return whole if isinstance(whole, dict) else {}


def _read_text(path: str) -> str:
    try:
        return (credentials_file.read_regular_file(path, 64 * 1024 * 1024) or b"").decode("utf-8-sig", "replace")
    except InvalidInput:
        return ""

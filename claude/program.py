"""Owns what a launch of Claude Code must say and leave out: the environment of a child, settings, notices.

Given an account's one variable it decides what else must hold so that claude uses that credential and no other.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..messages import InvalidInput, RivalCredential, _, printable
from ..system.folders import data_folder
from ..system.private_files import make_private_folder, write_private_file
from . import client, credentials_file, finding, nesting, settings as claude_settings
from .client import Client, client_version, empty_store, honours_own_store, identify
from .credentials_file import STORE_VARIABLE
from .settings import CREDENTIAL_VARIABLES, Setting

__all__ = ["Client", "client_version", "honours_own_store", "identify"]

RIVAL_VARIABLES = frozenset(CREDENTIAL_VARIABLES)
ACCOUNT_MARKER = "CLAUDE_ACCOUNT"
# Before this version a refused token made the client go on with the login in its store, without a word.
FIRST_WITHOUT_FALLBACK = (2, 1, 225)
_OAUTH_VARIABLE = "CLAUDE_CODE_OAUTH_TOKEN"
_SUBCOMMANDS = frozenset(
    ("agents", "auth", "config", "doctor", "install", "mcp", "migrate-installer", "plugin", "plugins")
    + ("setup-token", "update", "upgrade")
)
_SETTINGS_KEPT_SECONDS = 30 * 24 * 3600


class Launch(NamedTuple):
    """What to start: the program's path, its argument vector, its whole environment, and what to say before."""

    program: str
    argv: list[str]
    env: dict[str, str]
    notices: list[str]


def find_claude(environ: Mapping[str, str], cwd: str | None = None) -> str:
    """Return the absolute path of the claude that a shell would start, or an installer's. Raises ClaudeMissing."""
    return finding.find(environ, cwd).path


def child_env(environ: Mapping[str, str], credential: Mapping[str, str], account_name: str) -> dict[str, str]:
    """Return the caller's environment without any rival credential, plus the account's variable and its name."""
    rivals = {name for name in environ if name in RIVAL_VARIABLES or nesting.promises_credential(name)}
    child = {name: value for name, value in environ.items() if name not in rivals}
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
) -> Launch:
    """Return how to start claude in `cwd` so that it uses `credential` (one variable) and nothing else.

    Raises ClaudeMissing, and RivalCredential where something would win that cannot be taken out (with `force` it is
    only told).
    """
    program = find_claude(environ)
    ((variable, value),) = credential.items()
    env = child_env(nesting.for_launch(environ, arguments), credential, account_name)
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
        notices += _keep_to_token(program, env, cwd)
    else:
        notices += _keep_to_key(value, env, arguments, account_name, force)
    return Launch(program, ["claude", *arguments], env, notices)


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


def _keep_to_token(program: str, env: dict[str, str], cwd: str) -> list[str]:
    """See to it that a refused token ends the session instead of another login taking over."""
    notices: list[str] = []
    if (client.known_version(program) or ()) >= FIRST_WITHOUT_FALLBACK:
        return notices
    if not credentials_file.may_hold_login(credentials_file.store_folder(env)):
        return notices
    if (client_version(program, env, cwd) or ()) < FIRST_WITHOUT_FALLBACK:
        env[STORE_VARIABLE] = empty_store()
        notices.append("  " + _("this claude could fall back to another login, so logins of MCP servers are hidden"))
        notices.append("  " + _("a newer one needs no such guard: claude update"))
    return notices


def _keep_to_key(key: str, env: dict[str, str], arguments: list[str], account_name: str, force: bool) -> list[str]:
    """See to it that a key which claude does not accept ends in a question, never in another login."""
    if not _is_interactive(arguments):
        return []
    path = credentials_file.config_file(env)
    configuration = _read_json(path)
    responses = configuration.get("customApiKeyResponses")
    approved, rejected = (
        responses.get(kind) if isinstance(responses, dict) else None for kind in ("approved", "rejected")
    )
    tail = key[-20:]
    if isinstance(rejected, list) and tail in rejected:
        return _refused_key(path, env, configuration, account_name, force)
    if isinstance(approved, list) and tail in approved:
        return []
    notices = ["  " + _("claude asks once whether to use this API key: answer Yes")]
    if configuration.get("primaryApiKey"):
        notices.append("  " + _("No would go on with another key: {place}", place=_place(path, "primaryApiKey")))
    if credentials_file.may_hold_login(credentials_file.store_folder(env)):
        env[STORE_VARIABLE] = empty_store()
        notices.append("  " + _("until then logins of MCP servers are hidden"))
    return notices


def _refused_key(
    path: str, env: Mapping[str, str], configuration: dict[str, Any], account_name: str, force: bool
) -> list[str]:
    """Say that claude was told No to this key, which it obeys without a word; raise where it would use another one."""
    keys = ("customApiKeyResponses", "rejected")
    rival = Setting("user", path, claude_settings.line_of(_read_text(path), keys), keys, "")
    store = credentials_file.store_folder(env)
    if configuration.get("primaryApiKey") or credentials_file.may_hold_login(store):
        return _refuse([rival], account_name, force)
    return ["  " + _("claude was told not to use this API key: {place}", place=rival.place())]


def _place(path: str, key: str) -> str:
    return Setting("user", path, claude_settings.line_of(_read_text(path), (key,)), (key,), "").place()


def _is_interactive(arguments: list[str]) -> bool:
    options = _options(arguments)
    if {"-p", "--print", "-v", "--version", "-h", "--help"} & set(options):
        return False
    first = next((word for word in options if not word.startswith("-")), "")
    return first not in _SUBCOMMANDS


def _options(arguments: list[str]) -> list[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _read_json(path: str) -> dict[str, Any]:
    """Return a JSON object from a file of which only a little is wanted; what is not one holds nothing."""
    try:
        whole = json.loads(_read_text(path) or "{}")
    except (ValueError, RecursionError):
        return {}
    return whole if isinstance(whole, dict) else {}


def _read_text(path: str) -> str:
    try:
        return (credentials_file.read_regular_file(path, 64 * 1024 * 1024) or b"").decode("utf-8", "replace")
    except InvalidInput:
        return ""

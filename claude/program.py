"""Owns what a launch of Claude Code must say and leave out: the environment of a child, settings, notices.

Given an account's one variable it decides what else must hold so that claude uses that credential and no other.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..messages import InvalidInput, RivalCredential, _, printable
from . import client, credentials_file, finding, key_approval, nesting, pin, settings as claude_settings
from .client import Client, identify
from .credentials_file import STORE_VARIABLE
from .settings import Setting
from .variables import CREDENTIAL_VARIABLES, CUSTOM_HEADERS, PROFILES_VARIABLE

RIVAL_VARIABLES = frozenset(CREDENTIAL_VARIABLES)
ACCOUNT_MARKER = "CLAUDE_ACCOUNT"
# Before this version a refused token made the client go on with the login in its store, without a word.
FIRST_WITHOUT_FALLBACK = (2, 1, 225)
# The oldest version that was seen to be held by its pin, background jobs included.
FIRST_PINNED = (2, 1, 197)
# The oldest version that was seen to keep what it read from a file that only it can open; 2.1.197 looks for its name.
FIRST_PINNED_IN_MEMORY = (2, 1, 332)
_OAUTH_VARIABLE = "CLAUDE_CODE_OAUTH_TOKEN"
_SUBCOMMANDS = frozenset(
    ("agents", "auth", "config", "doctor", "install", "mcp", "migrate-installer", "plugin", "plugins")
    + ("setup-token", "update", "upgrade")
)


class Launch(NamedTuple):
    """What to start: the program's path, its argument vector, its whole environment, and what to say before.

    `pin` is the text of the settings that hold the account for the whole session, "" for none; `--settings` belongs at
    `pin_at` of the argument vector. It may stay in memory with `pin_in_memory`; with `pin_outlives` it is needed for
    longer than the program runs.
    """

    program: str
    argv: list[str]
    env: dict[str, str]
    notices: list[str]
    pin: str = ""
    pin_at: int = 1
    pin_in_memory: bool = False
    pin_outlives: bool = False


def find_claude(environ: Mapping[str, str]) -> str:
    """Return the absolute path of the claude that a shell would start, or an installer's. Raises ClaudeMissing."""
    return finding.find(environ).path


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
    if claude_settings.names_credential_header(child.get(CUSTOM_HEADERS, "")):
        child[CUSTOM_HEADERS] = claude_settings.without_credential_headers(child[CUSTOM_HEADERS])
    return child | dict(credential) | {ACCOUNT_MARKER: account_name}


def prepare_launch(
    account_name: str,
    credential: dict[str, str],
    arguments: list[str],
    *,
    cwd: str,
    environ: Mapping[str, str],
    force: bool = False,
    allowed_hosts: Iterable[str] = (),
    managed_folder: str | None = None,
    approve: bool = False,
    ask: Callable[[str], bool] | None = None,
) -> Launch:
    """Return how to start claude in `cwd` so that it uses `credential` (one variable) and nothing else.

    With `approve` claude may be told to use an API key without asking; `ask` puts a question with a yes or a no to
    whoever launches, where there is somebody.

    Raises ClaudeMissing, and RivalCredential where something would win that cannot be taken out, or where the folder's
    settings send the credential to a host that is not allowed (with `force` both are only told).
    """
    program = find_claude(environ)
    ((variable, value),) = credential.items()
    env = child_env(nesting.for_launch(environ, arguments), credential, account_name)
    way = _("durable login") if variable == STORE_VARIABLE else variable
    notices = [_("▶ Claude → {name} ({variable})", name=printable(account_name), variable=way)]
    if claude_settings.names_credential_header(environ.get(CUSTOM_HEADERS, "")):
        notices.append("  " + _("the credential in ANTHROPIC_CUSTOM_HEADERS is left out"))
    folder = {} if managed_folder is None else {"managed_folder": managed_folder}
    settings = claude_settings.read_settings(cwd=cwd, environ=environ, arguments=arguments, **folder)
    rivals = claude_settings.find_rivals(settings, variable, value)
    notices += _refuse([rival for rival in rivals if not claude_settings.can_be_set_aside(rival)], account_name, force)
    foreign = claude_settings.foreign_destinations(settings, allowed_hosts)
    notices += _refuse_destinations(foreign, account_name, force)
    notices += [f"  {claude_settings.unreadable_notice(path)}" for path in settings.unreadable]
    notices += _destination_notices(env, settings)
    told = identify(program, env, cwd)
    if not told.is_claude_code:
        # Whatever it is, it was asked for: it gets the variable, and its arguments as they were typed.
        return Launch(program, ["claude", *arguments], env, notices)
    aside = [rival.place() for rival in rivals if claude_settings.can_be_set_aside(rival)]
    if aside:
        notices.append(_("  set aside for this session: {places}", places=", ".join(aside)))
    if "--bare" in _options(arguments) and variable != "ANTHROPIC_API_KEY":
        notices.append("  " + _("with --bare claude takes no OAuth token: it will say that it is not logged in"))
    if variable == _OAUTH_VARIABLE:
        notices += _keep_to_token(told.version, env)
    elif variable != STORE_VARIABLE:
        notices += _keep_to_key(value, env, arguments, account_name, force, approve, ask)
    planned = Launch(program, ["claude", *arguments], env, notices)
    return _pinned(planned, told, credential, account_name, settings, cwd)


def _pinned(
    planned: Launch,
    told: Client,
    credential: Mapping[str, str],
    account_name: str,
    settings: claude_settings.Settings,
    cwd: str,
) -> Launch:
    """Return the launch with what holds the account for as long as the session lives."""
    arguments, env = planned.argv[1:], dict(planned.env)
    env[PROFILES_VARIABLE] = client.empty_profiles()
    notices = list(planned.notices)
    if told.version is None or told.version < FIRST_PINNED:
        env["CLAUDE_CODE_DISABLE_AGENT_VIEW"] = "1"
        notices.append("  " + _("background sessions are off: this claude was never seen to keep them to one account"))
    if pin.takes_none(arguments):
        # Their jobs have pins of their own, and the service that they may start pays for nobody else's.
        return planned._replace(env=_without(env, credential), notices=notices)
    arguments, given = claude_settings.split_settings_argument(arguments)
    own = claude_settings.settings_of_argument(given, cwd) if given is not None else {}
    text = pin.content(credential, account_name, ACCOUNT_MARKER, env, settings, env[PROFILES_VARIABLE], own)
    outlives = pin.is_background(arguments)
    return planned._replace(
        argv=["claude", *arguments],
        env=_without(env, credential) if outlives else env,
        notices=notices,
        pin=text,
        pin_at=1 + pin.place_for(arguments),
        pin_in_memory=told.is_itself and not outlives and (told.version or ()) >= FIRST_PINNED_IN_MEMORY,
        pin_outlives=outlives,
    )


def _without(env: Mapping[str, str], credential: Mapping[str, str]) -> dict[str, str]:
    """Leave a credential to the pin: a service that the program starts keeps its environment, for everybody's jobs."""
    return {name: value for name, value in env.items() if name not in credential and name != ACCOUNT_MARKER}


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


def _refuse_destinations(foreign: list[Setting], account_name: str, force: bool) -> list[str]:
    """Raise where the folder would send the credential elsewhere, or tell it when that is what the user wants."""
    if not foreign or force:
        return ["  " + _sent_elsewhere(setting, account_name) for setting in foreign]
    name, host = printable(account_name), claude_settings.host_of(foreign[0].value)
    if host:
        hint = _(
            "once: claude-accounts launch --force {name}; for good: claude-accounts update {name} --allow-host {host}",
            name=name,
            host=printable(host),
        )
    else:
        hint = _("remove it there, or go ahead all the same: claude-accounts launch --force {name}", name=name)
    raise RivalCredential(_sent_elsewhere(foreign[0], account_name), hint)


def _sent_elsewhere(setting: Setting, account_name: str) -> str:
    host, place, name = printable(claude_settings.host_of(setting.value)), setting.place(), printable(account_name)
    if host:
        return _("{place} would send the credential of {name} to {host}", place=place, name=name, host=host)
    return _("{place} would decide what goes out with the credential of {name}", place=place, name=name)


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


def _keep_to_token(version: client.Version | None, env: dict[str, str]) -> list[str]:
    """See to it that a refused token ends the session instead of another login taking over."""
    notices: list[str] = []
    if (version or ()) < FIRST_WITHOUT_FALLBACK and credentials_file.may_hold_login(credentials_file.store_folder(env)):
        env[STORE_VARIABLE] = client.empty_store()
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
        env[STORE_VARIABLE] = client.empty_store()
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

"""Owns which sources there are: what a file is by its shape, whose a folder is, where each tool keeps its own.

It knows nothing of what is stored here already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..claude import credentials_file
from ..messages import AccountsError, InvalidInput, _, printable
from . import caam, cc_switch, ccs, claude_folder, claude_swap, clauth, reading, settings_env
from .found import Found

OURS = "claude-accounts"
CLAUDE = "claude"


class Source(NamedTuple):
    """What was found in one place: `tool` made it, `path` is where it lies ("" for what came without a place).

    An export of ours comes whole or not at all; of every other tool comes what can. `where` names it to people.
    """

    tool: str
    path: str
    accounts: list[Found]
    entries: list[Any] = []  # noqa: RUF012 - never changed

    @property
    def whole(self) -> bool:
        """Tell whether one entry that is wrong keeps all out."""
        return self.tool == OURS


class Tool(NamedTuple):
    """How one tool's store is found and read."""

    usual: Callable[[Mapping[str, str]], list[str]]
    is_store: Callable[[str], bool]
    found: Callable[[str], list[Found]]


TOOLS = {
    "claude-swap": Tool(claude_swap.usual, claude_swap.is_store, claude_swap.found),
    "ccs": Tool(ccs.usual, ccs.is_store, ccs.found),
    "cc-switch": Tool(cc_switch.usual, cc_switch.is_store, cc_switch.found),
    "caam": Tool(caam.usual, caam.is_store, caam.found),
    "clauth": Tool(clauth.usual, clauth.is_store, clauth.found),
    # Last: what looks like a configuration folder may be part of another tool's store.
    CLAUDE: Tool(claude_folder.usual, claude_folder.is_store, claude_folder.found),
}
_PACKED = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"age-encryption.org": "age", b"-----BEGIN PGP": "GPG"}
_SECRETS = {"api_key", "access_token"}


def of_bytes(data: bytes, path: str = "", called: str = "") -> Source:
    """Return what a file is, by its shape; `path` is where it lies, `called` what its account is called.

    Raises InvalidInput for what is no import.
    """
    reading.refuse_too_large(data)
    packed = next((name for mark, name in _PACKED.items() if data.startswith(mark)), "")
    if packed:
        raise InvalidInput(_("it is packed or encrypted ({kind}): unpack it first", kind=packed))
    if data.startswith(cc_switch.SQL_EXPORT):
        raise InvalidInput(_("it is an SQL export of cc-switch"), "claude-accounts import --from cc-switch")
    if data.startswith(cc_switch.SQLITE):
        accounts = cc_switch.of_database(path) if path else cc_switch.of_bytes(data)
        return Source("cc-switch", path, accounts)
    return of_value(reading.parsed(data), path, called)


def of_value(value: Any, path: str = "", called: str = "") -> Source:
    """Return what a JSON file is. Raises InvalidInput for what is no import."""
    if isinstance(value, list):
        return _ours(value, path)
    if not isinstance(value, dict):
        raise InvalidInput(_("an import is a JSON array of accounts"))
    if "claudeAiOauth" in value:
        return Source(CLAUDE, path, [claude_folder.of_credentials(value, path, called)])
    if claude_swap.is_export(value):
        return Source("claude-swap", path, claude_swap.of_export(value))
    if isinstance(value.get("accounts"), list):
        return _ours(value["accounts"], path)
    if cc_switch.is_config(value):
        return Source("cc-switch", path, cc_switch.of_config(value))
    if "oauthAccount" in value or "primaryApiKey" in value:
        return Source(CLAUDE, path, [claude_folder.of_config(value)])
    if isinstance(value.get("env"), dict):
        name = called or os.path.basename(path).removesuffix(".json").removesuffix(".settings")
        return Source(CLAUDE, path, [settings_env.judged(name, value["env"])])
    raise InvalidInput(_("an import is a JSON array of accounts"), _supported())


def of_path(path: str) -> Source:
    """Return what lies at a path that somebody named: a file, or the folder of a tool. Raises AccountsError."""
    store = path if os.path.isdir(path) else os.path.dirname(path) if path.endswith(".credentials.json") else ""
    if store and os.path.realpath(store) == os.path.realpath(credentials_file.store_folder(os.environ)):
        raise InvalidInput(_("this is the login that Claude Code has now: capture it"), "claude-accounts login NAME")
    if not os.path.isdir(path):
        return of_bytes(reading.file_bytes(path), path)
    for name, tool in TOOLS.items():
        if tool.is_store(path):
            return Source(name, path, tool.found(path))
    raise AccountsError(
        _("{path} is a folder, and none of a tool that is known here", path=printable(path)), _supported()
    )


def of_tool(name: str, path: str | None, environ: Mapping[str, str]) -> list[Source]:
    """Return what a tool keeps at a path, or in its usual places. Raises AccountsError where there is nothing of it."""
    tool = TOOLS[name]
    if path is not None:
        if os.path.isdir(path) and tool.is_store(path):
            return [Source(name, path, tool.found(path))]
        source = of_path(path)
        if source.tool != name:
            raise AccountsError(_("{path} is not of {tool}", path=printable(path), tool=name))
        return [source]
    sources = _in_usual_places(name, environ)
    if not sources:
        places = ", ".join(claude_folder.shown(place) for place in tool.usual(environ)) or "~/.claude-*"
        raise AccountsError(
            _("there is nothing of {tool} in {places}", tool=name, places=places),
            f"claude-accounts import --from {name} PATH",
        )
    return sources


def discovered(environ: Mapping[str, str]) -> list[Source]:
    """Return what lies in the usual places of every tool."""
    return [source for name in TOOLS for source in _in_usual_places(name, environ)]


def _in_usual_places(name: str, environ: Mapping[str, str]) -> list[Source]:
    tool = TOOLS[name]
    places: dict[str, str] = {}
    for place in tool.usual(environ):
        if tool.is_store(place):
            places.setdefault(os.path.realpath(place), place)
    sources = []
    for place in places.values():
        try:
            accounts = tool.found(place)
        except InvalidInput as error:
            accounts = [Found(os.path.basename(place), (), None, why=error.message)]
        sources.append(Source(name, place, accounts))
    return sources


def _ours(given: list[Any], path: str) -> Source:
    """Return an export of ours; a list of ours, which holds no secrets, is told apart from it."""
    reading.refuse_too_many(given)
    if any(isinstance(each, dict) and "masked_key" in each and not _SECRETS & each.keys() for each in given):
        raise InvalidInput(
            _("this is a list of accounts, which holds no secrets: import an export instead"),
            "claude-accounts export --output accounts.json",
        )
    return Source(OURS, path, [], given)


def _supported() -> str:
    return _(
        "known: an export of this program, .credentials.json, and what {tools} keep",
        tools=", ".join(name for name in TOOLS if name != CLAUDE),
    )

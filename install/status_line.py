"""Owns the `statusLine` key of Claude Code's settings: ours put in front of what is there, and taken out byte for byte.

Somebody else's status line is never replaced.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping

from ..claude.credentials_file import read_regular_file
from ..messages import Conflict, InvalidInput, _, printable
from . import aliases as shell_aliases
from .rc_files import Change


def settings_path(environ: Mapping[str, str]) -> str:
    """Return the path of the user's settings file, whether it exists or not."""
    folder = environ.get("CLAUDE_CONFIG_DIR") or os.path.join("~", ".claude")
    return os.path.join(os.path.expanduser(folder), "settings.json")


def plan_install(environ: Mapping[str, str]) -> Change | None:
    """Return the change that makes Claude Code show our status line, None when it does already.

    Raises Conflict when there is another one, InvalidInput when the file is no JSON object.
    """
    path = settings_path(environ)
    before = read_regular_file(path)
    settings = _parsed(path, before)
    if "statusLine" in settings:
        if settings["statusLine"] == _value():
            return None
        raise Conflict(
            _("{path} has a status line already; it stays", path=printable(path)),
            _("to use ours, set its command to: {command}", command=printable(command())),
        )
    if not before or not before.strip():
        return Change(path, before, (_snippet(last=True).join(("{", "\n}\n"))).encode())
    text = before.decode()
    opening = text.index("{") + 1
    return Change(path, before, (text[:opening] + _snippet(last=not settings) + text[opening:]).encode())


def plan_uninstall(environ: Mapping[str, str]) -> Change | None:
    """Return the change that takes our status line out again, None when there is none of ours."""
    path = settings_path(environ)
    before = read_regular_file(path)
    if before is None or _parsed(path, before).get("statusLine") != _value():
        return None
    text = before.decode()
    for last in (False, True):
        snippet = _snippet(last=last)
        if snippet in text:
            rest = text.replace(snippet, "", 1)
            # A file of which nothing else is left was made by us.
            return Change(path, before, None if rest == "{\n}\n" else rest.encode())
    # Somebody has put the file into another form since.
    settings = {key: value for key, value in _parsed(path, before).items() if key != "statusLine"}
    return Change(path, before, (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode())


def command() -> str:
    """Return what Claude Code runs for each status line."""
    return shlex.join([*shell_aliases.launcher(), "statusline"])


def _value() -> dict[str, str]:
    return {"type": "command", "command": command()}


def _snippet(*, last: bool) -> str:
    return f'\n  "statusLine": {json.dumps(_value(), ensure_ascii=False)}' + ("" if last else ",")


def _parsed(path: str, content: bytes | None) -> dict[str, object]:
    if not content or not content.strip():
        return {}
    try:
        # A byte order mark or a comment makes it a file that we had better not write to.
        whole = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(_("{path} cannot be read as JSON; nothing was changed", path=printable(path))) from error
    if not isinstance(whole, dict) or not re.match(r"\s*\{", content.decode()):
        raise InvalidInput(_("{path} cannot be read as JSON; nothing was changed", path=printable(path)))
    return whole

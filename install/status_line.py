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
from ..system.folders import expanded
from . import aliases as shell_aliases
from .rc_files import Change


def settings_path(environ: Mapping[str, str]) -> str:
    """Return the path of the user's settings file, whether it exists or not."""
    folder = environ.get("CLAUDE_CONFIG_DIR") or os.path.join("~", ".claude")
    return os.path.join(expanded(folder), "settings.json")


def plan_install(environ: Mapping[str, str]) -> Change | None:
    """Return the change that makes Claude Code show our status line, None when it does already.

    One of ours that starts another Python or another copy of the program starts this one then. Raises Conflict when
    there is another one, InvalidInput when the file is no JSON object.
    """
    path = settings_path(environ)
    before = read_regular_file(path)
    settings = _parsed(path, before)
    if "statusLine" in settings:
        found = _ours(settings)
        if found and found["command"] == command():
            return None
        if found:
            return Change(path, before, _with_command(before or b"", found))
        raise Conflict(
            _("{path} has a status line already; it stays", path=printable(path)),
            _("to use ours, set its command to: {command}", command=printable(command())),
        )
    if not before or not before.strip():
        return Change(path, before, (_snippet(_value(), last=True).join(("{", "\n}\n"))).encode())
    text = before.decode()
    opening = text.index("{") + 1
    return Change(path, before, (text[:opening] + _snippet(_value(), last=not settings) + text[opening:]).encode())


def plan_uninstall(environ: Mapping[str, str]) -> Change | None:
    """Return the change that takes our status line out again, None when there is none of ours."""
    path = settings_path(environ)
    before = read_regular_file(path)
    found = None if before is None else _ours(_parsed(path, before))
    if before is None or not found:
        return None
    text = before.decode()
    for last in (False, True):
        snippet = _snippet(found, last=last)
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


def installed_program(environ: Mapping[str, str]) -> list[str]:
    """Return what our status line starts, an empty list where there is none of ours. Raises InvalidInput."""
    path = settings_path(environ)
    found = _ours(_parsed(path, read_regular_file(path)))
    return shlex.split(str(found["command"]))[:-1] if found else []


def _value() -> dict[str, object]:
    return {"type": "command", "command": command()}


def _snippet(value: dict[str, object], *, last: bool) -> str:
    return f'\n  "statusLine": {json.dumps(value, ensure_ascii=False)}' + ("" if last else ",")


def _ours(settings: dict[str, object]) -> dict[str, object] | None:
    """Return the status line when it is one of ours by its shape, wherever Python and program lay when it was written.

    Another program's `cli.py statusline` is not: where that file is, ours has this module near it.
    """
    value = settings.get("statusLine")
    if not isinstance(value, dict) or value.get("type") != "command":
        return None
    try:
        words = shlex.split(str(value.get("command")))
    except ValueError:
        return None
    if len(words) < 2 or words[-1] != "statusline":
        return None
    *options, program = words[1:-1] or words[:1]
    if len(words) == 2:
        return value if os.path.basename(program) == "claude-accounts" else None
    is_python = re.fullmatch(r"python[0-9.]*", os.path.basename(words[0])) is not None
    if not is_python or os.path.basename(program) != "cli.py" or not all(word.startswith("-") for word in options):
        return None
    folder = os.path.dirname(program)
    # Its earlier places: beside the program, and one folder up from it.
    near = ("install/status_line.py", "status_line.py", "../install/status_line.py")
    gone = not os.path.exists(program)
    return value if gone or any(os.path.exists(os.path.join(folder, name)) for name in near) else None


def _with_command(content: bytes, found: dict[str, object]) -> bytes:
    """Return settings in which our status line has today's command, and all else its bytes."""
    text = content.decode()
    for plain in (False, True):
        old, new = (json.dumps(words, ensure_ascii=plain) for words in (found["command"], command()))
        if text.count(old) == 1:
            return text.replace(old, new).encode()
    # Written in another way than any JSON of ours.
    settings = json.loads(text)
    settings["statusLine"]["command"] = command()
    return (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode()


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

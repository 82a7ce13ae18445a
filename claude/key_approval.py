"""Owns whether Claude Code has been told to use an API key without asking: `customApiKeyResponses` in `.claude.json`.

It knows no account. It changes those two lists alone, as text: every other byte of Claude Code's file stays. That the
last 20 characters stand for a key, and that Enter at Claude Code's own question says No for ever, was measured with
2.1.197 and 2.1.332.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from typing import Any

from ..messages import AccountsError, InvalidInput, _, printable
from ..system.private_files import make_private_folder, write_private_file
from . import json_text, store_locks
from .credentials_file import not_understood, read_regular_file

APPROVED, REJECTED, UNKNOWN = "approved", "rejected", "unknown"
# Started by one of these, Claude Code asks nothing and goes on without a key that was not approved before.
_SILENT_ENTRYPOINTS = ("claude-vscode", "claude-desktop", "local-agent")
_RESPONSES = "customApiKeyResponses"
_BYTE_ORDER_MARK = "\ufeff"
_LARGEST_FILE = 64 * 1024 * 1024


def state(path: str, key: str) -> str:
    """Return what Claude Code's file says of a key: APPROVED, REJECTED (which wins) or UNKNOWN. Writes nothing."""
    try:
        return _state(_content(_text(path), path), key)
    except InvalidInput:
        return UNKNOWN


def approve(path: str, key: str, *, even_rejected: bool = False) -> str:
    """Let Claude Code use this key without asking, and return how the key stands then.

    One that it was told not to use stays REJECTED unless `even_rejected`. Raises InvalidInput for a file that is not
    understood, StoreBusy, StorageFailed; the file is then as it was.
    """
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        make_private_folder(folder)
    with store_locks.file_locked(path):
        text = _text(path)
        content = _content(text, path)
        if _state(content, key) == REJECTED and not even_rejected:
            return REJECTED
        _refuse_damaged(content, path)
        changed = edited(text, key)
        if changed != text:
            write_private_file(path, changed.encode(), mode=_mode(path))
    return APPROVED


def ensure(path: str, key: str, *, wished: bool, ask: Callable[[str], bool] | None = None) -> tuple[str, list[str]]:
    """Return how a key stands once the account's wish has been seen to, and the lines to say about it.

    A key nobody has decided about is approved when that is `wished`; one that was refused only after a yes from `ask`,
    which is None where nobody can be asked. What cannot be written is told, and stops nothing.
    """
    standing = state(path, key)
    if standing == REJECTED:
        wished = ask is not None and ask(_("Claude Code was told not to use this key; use it from now on?"))
    if standing == APPROVED or not wished:
        return standing, []
    try:
        standing = approve(path, key, even_rejected=standing == REJECTED)
    except AccountsError as error:
        return standing, ["  " + _("claude could not be told to use this API key: {reason}", reason=error.message)]
    told = _("claude was told to use this API key without asking: {path}", path=printable(path))
    return standing, ["  " + told] if standing == APPROVED else []


def asks_nobody(environ: Mapping[str, str]) -> bool:
    """Tell whether a claude with this environment would go on without an unapproved key instead of asking."""
    return environ.get("CLAUDE_CODE_ENTRYPOINT") in _SILENT_ENTRYPOINTS


def edited(text: str, key: str) -> str:
    """Return the text of a `.claude.json` with this key approved and no longer rejected; nothing else changes.

    The text is empty, or one that `state` understands.
    """
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    body = text[len(mark) :]
    if not body.strip(" \t\r\n"):
        return text + json.dumps({_RESPONSES: _first(key)}, separators=(",", ":"))
    return mark + _with_approval(_without_rejection(body, key), key)


def _with_approval(text: str, key: str) -> str:
    """Return the text with the key's end as the last one approved, unless it is there already."""
    responses, approved = json_text.find(text, (_RESPONSES,)), json_text.find(text, (_RESPONSES, APPROVED))
    if responses is None:
        return _appended(text, text.index("{"), _first(key), _RESPONSES)
    if approved is None:
        return _appended(text, responses.start, [_end_of(key)], APPROVED)
    if any(item.value == _end_of(key) for item in json_text.parts(text, approved.start)):
        return text
    return _appended(text, approved.start, _end_of(key))


def _without_rejection(text: str, key: str) -> str:
    """Return the text without the key's end among those rejected, however often it stands there."""
    while rejected := json_text.find(text, (_RESPONSES, REJECTED)):
        items = json_text.parts(text, rejected.start) if text[rejected.start] == "[" else []
        number = next((number for number, item in enumerate(items) if item.value == _end_of(key)), None)
        if number is None:
            break
        if number:
            # With the comma in front of it.
            text = text[: items[number - 1].end] + text[items[number].end :]
        elif len(items) > 1:
            text = text[: items[0].begin] + text[items[1].begin :]
        else:
            text = text[: rejected.start] + "[]" + text[rejected.end :]
    return text


def _appended(text: str, start: int, value: object, key: str = "") -> str:
    """Return the text with one more item, or member called `key`, in the list or object at `start`, spaced as its
    neighbours are."""
    present = json_text.parts(text, start)
    airy = bool(present) and text[present[0].start - 1] in " \t\r\n"
    colon = ": " if airy else ":"
    piece = json.dumps(value, separators=(", " if airy else ",", colon))
    piece = json.dumps(key) + colon + piece if key else piece
    if not present:
        return text[: start + 1] + piece + text[start + 1 :]
    end = present[-1].end
    return text[:end] + "," + text[start + 1 : present[0].begin] + piece + text[end:]


def _first(key: str) -> dict[str, list[str]]:
    return {APPROVED: [_end_of(key)], REJECTED: []}


def _end_of(key: str) -> str:
    """Return what stands for a key in Claude Code's file: its last 20 characters, all of a shorter one."""
    return key[-20:]


def _state(content: dict[str, Any], key: str) -> str:
    responses = content.get(_RESPONSES)
    for kind in (REJECTED, APPROVED):
        said = responses.get(kind) if isinstance(responses, dict) else None
        if isinstance(said, list) and _end_of(key) in said:
            return kind
    return UNKNOWN


def _content(text: str, path: str) -> dict[str, Any]:
    """Return what the text says, nothing for an empty one. Raises InvalidInput, naming the file, for no JSON object."""
    body = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        whole = json_text.read(body) if body.strip(" \t\r\n") else {}
    except (ValueError, RecursionError) as error:
        raise not_understood(path, _("it is not JSON")) from error
    if not isinstance(whole, dict):
        raise not_understood(path, _("it is not a JSON object"))
    return whole


def _refuse_damaged(content: dict[str, Any], path: str) -> None:
    """Raise InvalidInput where there is something, but no list, in the place of the list that is to grow."""
    responses = content.get(_RESPONSES, {})
    if not isinstance(responses, dict) or not isinstance(responses.get(APPROVED, []), list):
        raise not_understood(path, _("its {field} is damaged", field=_RESPONSES))


def _text(path: str) -> str:
    try:
        return (read_regular_file(path, _LARGEST_FILE) or b"").decode()
    except UnicodeDecodeError as error:
        raise not_understood(path, _("it is not JSON")) from error


def _mode(path: str) -> int:
    """Return who may read the file as it is, its owner alone when there is none yet."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return 0o600

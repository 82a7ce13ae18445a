"""Owns how foreign files are read: bounded, plain files alone, one reading of text and of JSON for every way in.

It knows no tool and no account. The sentences say "it": whoever knows what was read puts its name in front.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Sized
from typing import Any

from ..claude import credentials_file
from ..messages import AccountsError, InvalidInput, _, printable
from ..system.access import why

# For each way in: the command line, the API, the page.
LARGEST_IMPORT = 16 * 1024 * 1024
MOST_ACCOUNTS = 50_000
# What one file of another tool may have.
LARGEST_OF_TOOL = 4 * 1024 * 1024
# A `.claude.json`, in which a history of years may lie; of it only who has signed in is of interest.
_LARGEST_CONFIG = 64 * 1024 * 1024
_OF_CONFIG = ("oauthAccount", "primaryApiKey")
# As many folders as anybody has accounts.
_MOST_NAMES = 1000
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def file_bytes(path: str) -> bytes:
    """Return what a file holds that somebody named. Raises AccountsError for what is missing, none, or too large."""
    shown = printable(path)
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise AccountsError(_("cannot read {path}: {reason}", path=shown, reason=str(error))) from error
    except OSError as error:
        reason, hint = why(error, path)
        raise AccountsError(_("cannot read {path}: {reason}", path=shown, reason=reason), hint) from error
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AccountsError(_("{path} is not a file", path=shown), f"cat {shown} | claude-accounts import -")
        try:
            data = file.read(LARGEST_IMPORT + 1)
        except OSError as error:
            reason = error.strerror or str(error)
            raise AccountsError(_("cannot read {path}: {reason}", path=shown, reason=reason)) from error
    refuse_too_large(data)
    return data


def refuse_too_large(data: bytes) -> None:
    """Raise InvalidInput for more than an import may have."""
    if len(data) > LARGEST_IMPORT:
        raise InvalidInput(_("it is larger than {megabytes} MB", megabytes=LARGEST_IMPORT // 1024 // 1024))


def refuse_too_many(accounts: Sized) -> None:
    """Raise InvalidInput for more accounts than anybody has: a small file can hold millions, each with its sentence."""
    if len(accounts) > MOST_ACCOUNTS:
        raise InvalidInput(_("it holds more than {count} accounts", count=MOST_ACCOUNTS))


def text(data: bytes) -> str:
    """Return the text of a file: by its byte order mark, as UTF-16 where each second byte is none, else UTF-8."""
    try:
        for mark, encoding in _MARKS:
            if data.startswith(mark):
                return data.decode(encoding)
        if len(data) % 2 == 0 and data[:2].count(0) == 1:
            return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le")
        return data.decode()
    except UnicodeError as error:
        raise InvalidInput(_("it is no text: neither UTF-8 nor UTF-16")) from error


def parsed(data: bytes) -> Any:
    """Return what a JSON file says.

    Raises InvalidInput for what is none, and for what readers of JSON understand differently: a key that stands twice,
    NaN, half a character, and what is nested too deeply or a number too long for a reader.
    """
    content = text(data)
    if not content.strip():
        raise InvalidInput(_("it is empty"))
    try:
        value = json.loads(content, parse_constant=_refuse_constant, object_pairs_hook=_refuse_doubled)
        if _SURROGATE.search(content):
            # Half a character cannot be stored, hashed or sent on.
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except RecursionError as error:
        raise InvalidInput(_("it is nested too deeply")) from error
    except json.JSONDecodeError as error:
        where = _("it is not JSON (line {line}, column {column})", line=error.lineno, column=error.colno)
        raise InvalidInput(where) from error
    except UnicodeError as error:
        raise InvalidInput(_("it holds half a character")) from error
    except ValueError as error:
        raise InvalidInput(_("it holds a number that is too long")) from error


def held(root: str, *names: str) -> bytes | None:
    """Return what the file `root/names…` of another tool's folder holds, None where there is none.

    Raises InvalidInput for what is no plain file of sensible size, and for a link that leads out of `root`.
    """
    return credentials_file.read_regular_file(within(root, *names), LARGEST_OF_TOOL)


def held_json(root: str, *names: str) -> dict[str, Any]:
    """Return the JSON object that such a file holds, the empty one where there is none. Raises InvalidInput."""
    data = held(root, *names)
    if data is None:
        return {}
    try:
        value = parsed(data)
        if not isinstance(value, dict):
            raise InvalidInput(_("it is not a JSON object"))
    except InvalidInput as error:
        raise InvalidInput(f"{printable(os.path.join(root, *names))}: {error.message}") from error
    return value


def held_config(root: str, *names: str) -> dict[str, Any]:
    """Return who has signed in according to a `.claude.json` (or a copy of one), whatever else has got into it.

    Half a character of a prompt that was cut, or a history of many megabytes, keeps nobody's account out. Raises
    InvalidInput for what is no JSON object.
    """
    path = within(root, *names)
    data = credentials_file.read_regular_file(path, _LARGEST_CONFIG)
    try:
        value = {} if data is None else json.loads(text(data))
    except (ValueError, RecursionError) as error:
        raise credentials_file.not_understood(path, _("it is not JSON")) from error
    if not isinstance(value, dict):
        raise credentials_file.not_understood(path, _("it is not a JSON object"))
    return {key: value[key] for key in _OF_CONFIG if key in value}


def within(root: str, *names: str) -> str:
    """Return the path of something in `root`. Raises InvalidInput where a name or a link leads out of it."""
    path = os.path.join(root, *names)
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise InvalidInput(_("{name} is no name of a file", name=repr(printable(name)[:60])))
    inside = os.path.join(os.path.realpath(root), "")
    if names and not os.path.realpath(path).startswith(inside):
        raise InvalidInput(_("{path} is a link that leads out of its folder", path=printable(path)))
    return path


def names_in(root: str, *names: str) -> list[str]:
    """Return the names in a folder of another tool, sorted; none of a folder that is not there or not to be read."""
    try:
        return sorted(os.listdir(within(root, *names)))[:_MOST_NAMES]
    except (OSError, InvalidInput):
        return []


def folders_in(root: str, *names: str) -> list[str]:
    """Return the names of the folders in a folder of another tool."""
    return [name for name in names_in(root, *names) if os.path.isdir(os.path.join(root, *names, name))]


def _refuse_constant(word: str) -> None:
    raise InvalidInput(_("it holds {word}, which is not JSON", word=word))


def _refuse_doubled(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        # Counting each by itself would take hours where there are a million.
        times = Counter(key for key, _value in pairs)
        doubled = next(key for key, count in times.items() if count > 1)
        raise InvalidInput(_("it has the key {key} twice in one object", key=repr(printable(doubled)[:40])))
    return made

"""Owns where the parts of a JSON text stand: the members of an object, the items of a list.

It knows no file and changes nothing; of a doubled key the last counts, as for every JSON reader.
"""

import json
import re
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\n\r]*")
# It skips a value at the speed of C; a settings file may be large.
_value_at = json.JSONDecoder(strict=False).raw_decode


class Part(NamedTuple):
    """One member of an object, or item of a list: its key (None in a list) and value, and their places in the text.

    `begin` is where the member begins, `start` and `end` are where its value does and has ended.
    """

    key: str | None
    value: object
    begin: int
    start: int
    end: int


def read(text: str | bytes) -> Any:
    """Return what a JSON text says. Raises ValueError, also for NaN and its kin, which only Python takes for numbers,
    and RecursionError."""
    return json.loads(text, parse_constant=_refuse)


def parts(text: str, start: int) -> list[Part]:
    """Return what the object or list holds whose bracket stands at `start`, in order. Raises ValueError."""
    found = []
    closing = {"{": "}", "[": "]"}[text[start]]
    position = _next(text, start + 1)
    while text[position : position + 1] != closing:
        begin, key = position, None
        if closing == "}":
            key, position = _value_at(text, begin)
            position = _next(text, _next(text, position) + 1)
        value, end = _value_at(text, position)
        found.append(Part(key, value, begin, position, end))
        position = _next(text, end)
        if text[position : position + 1] == ",":
            position = _next(text, position + 1)
    return found


def find(text: str, keys: tuple[str, ...]) -> Part | None:
    """Return the part to which a path of keys leads from the outermost object, None when there is none.

    Raises ValueError and RecursionError for what is no JSON.
    """
    found, start = None, _next(text, 0)
    for key in keys:
        if text[start : start + 1] != "{":
            return None
        found = next((part for part in reversed(parts(text, start)) if part.key == key), None)
        if found is None:
            return None
        start = found.start
    return found


def _next(text: str, position: int) -> int:
    """Return the place of the next character that is no space."""
    space = _SPACE.match(text, position)
    return space.end() if space else position


def _refuse(word: str) -> None:
    raise ValueError(word)

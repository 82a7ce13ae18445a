"""No regular expression of the program goes back over the same text again and again: its work grows with the text.

The patterns are read from the source and taken apart by Python's own parser. Two repeats without a limit that can share
one stretch of text, with something behind them that may fail, are work by the square; so is one that a search begins
anew at each place of such a stretch.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest
from conftest import PROJECT

try:
    from re import _parser as parser
except ImportError:
    import sre_parse as parser

SOURCES = [path for path in PROJECT.glob("**/*.py") if path.parts[len(PROJECT.parts)] not in ("tests", "benchmarks")]
SOURCES = [path for path in SOURCES if not path.parts[len(PROJECT.parts)].startswith((".", "node_modules", "assets"))]
EVERYTHING = frozenset(range(256))
MANY = 1000
# What bounds the text that these are given.
BOUNDED = {
    r"^[^a-z]+|[^a-z]+$": "a password: sign_in.LONGEST_PASSWORD_BYTES",
    r"(.{1,5}?)\1+.{0,2}": "the same",
}


class Item(NamedTuple):
    """One part of a pattern: which characters it takes, whether any number of them, whether none will do."""

    taken: frozenset[int]
    endless: bool = False
    optional: bool = False
    anchor: bool = False


def characters(pattern: str, flags: int) -> frozenset[int]:
    """Return the characters that a pattern of one place takes, of the first 256."""
    compiled = re.compile(pattern, flags)
    return frozenset(number for number in EVERYTHING if compiled.fullmatch(chr(number)))


def alternatives(parsed: Any, flags: int) -> list[list[Item]]:
    """Return every way through a parsed pattern, as the items in a row."""
    ways: list[list[Item]] = [[]]
    for kind, given in parsed:
        name = str(kind)
        if name in ("LITERAL", "NOT_LITERAL", "IN", "ANY", "CATEGORY"):
            found = [[Item(single(name, given, flags))]]
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            least, most, inner = given
            endless = most == parser.MAXREPEAT or most >= MANY
            found = []
            for way in alternatives(inner, flags):
                taken = frozenset().union(*(item.taken for item in way))
                found.append([Item(taken, True, least == 0)] if endless else way)
            found += [[]] if least == 0 else []
        elif name == "SUBPATTERN":
            found = alternatives(given[3], flags)
        elif name == "BRANCH":
            found = [way for branch in given[1] for way in alternatives(branch, flags)]
        elif name == "AT":
            found = [[Item(frozenset(), anchor="BEGINNING" in str(given))]]
        elif name in ("ASSERT", "ASSERT_NOT"):
            # Looks on from where it stands, and takes nothing: what is in it is judged by itself.
            found = [[Item(frozenset())]]
        else:
            raise AssertionError(f"{name}: teach this test what it is")
        ways = [before + after for before, after in product(ways, found)]
    return ways


def single(name: str, given: Any, flags: int) -> frozenset[int]:
    """Return the characters of one place."""
    if name == "LITERAL":
        return frozenset({given} if not flags & re.IGNORECASE else {ord(chr(given).lower()), ord(chr(given).upper())})
    if name == "NOT_LITERAL":
        return EVERYTHING - {given}
    if name == "ANY":
        return EVERYTHING if flags & re.DOTALL else EVERYTHING - {10}
    if name == "CATEGORY":
        letter = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(given).rpartition("_")[2]]
        return characters(letter if "NOT" not in str(given) else letter.upper(), flags & ~re.IGNORECASE)
    taken: set[int] = set()
    negated = False
    for kind, value in given:
        if str(kind) == "NEGATE":
            negated = True
        elif str(kind) == "RANGE":
            taken |= set(range(value[0], min(value[1], 255) + 1))
        else:
            taken |= single(str(kind), value, flags)
    return EVERYTHING - taken if negated else frozenset(taken)


def shared(part: Item, by: Item) -> bool:
    """Tell whether a part of a pattern takes nothing else than what the repeat takes too."""
    return part.optional or not part.taken or bool(part.taken & by.taken)


def looks_ahead(parsed: Any) -> Iterator[Any]:
    """Give what stands in a pattern's assertions."""
    for kind, given in parsed:
        if str(kind) in ("ASSERT", "ASSERT_NOT"):
            yield given[1]


def goes_back(pattern: str | bytes, flags: int, searches: bool) -> str:
    """Return why a pattern's work grows by the square of its text, the empty text when it does not."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    parsed = parser.parse(text, flags)
    flags |= parsed.state.flags
    for way in alternatives(parsed, flags):
        begins_anywhere = searches and not (way and way[0].anchor and not flags & re.MULTILINE)
        for last, item in enumerate(way[:-1]):
            if not item.endless:
                continue
            line_by_line = way[0].anchor and 10 not in item.taken
            if begins_anywhere and not line_by_line and all(shared(before, item) for before in way[:last]):
                return f"a search begins anew at each place of what its repeat {last} takes"
            for first, other in enumerate(way[:last]):
                both = Item(other.taken & item.taken)
                if other.endless and both.taken and all(shared(part, both) for part in way[first + 1 : last]):
                    return f"its repeats {first} and {last} can share one text"
    for inner in looks_ahead(parsed):
        ways = alternatives(inner, flags)
        if begins_anywhere and any(item.endless and 10 in item.taken for way in ways for item in way):
            return "it looks on over lines from each line"
    return ""


def used() -> Iterator[tuple[str, str | bytes, int, bool]]:
    """Give place, pattern, flags and whether it searches, for each pattern of the source that is written out."""
    for path in SOURCES:
        text = path.read_text()
        module = ".".join(("claude_accounts", *path.relative_to(PROJECT).with_suffix("").parts))
        names = vars(importlib.import_module(module)) if "re." in text else {}
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re.") and node.args):
                continue
            method = ast.unparse(node.func).removeprefix("re.")
            try:
                pattern = eval(ast.unparse(node.args[0]), names)  # noqa: S307 - our own source
            except NameError as error:
                raise AssertionError(f"{path}: {error.name} is no name of the module") from error
            given = [ast.unparse(value) for value in (*node.args[1:], *(word.value for word in node.keywords))]
            flags = sum(getattr(re, word.removeprefix("re.")) for word in given if re.fullmatch(r"re\.[A-Z]+", word))
            if method == "compile":
                place = text.splitlines()[node.lineno - 1].partition(" = ")[0].strip()
                methods = re.findall(rf"\b{re.escape(place)}\.(\w+)\(", text)
            else:
                methods = [method]
            if method != "escape":
                where = f"{path.relative_to(PROJECT)}:{node.lineno}"
                yield where, pattern, flags, any(name not in ("match", "fullmatch") for name in methods)


FOUND = list(used())


@pytest.mark.parametrize("where, pattern, flags, searches", FOUND, ids=[place for place, *_rest in FOUND])
def test_no_pattern_goes_back_over_its_text(where: str, pattern: str | bytes, flags: int, searches: bool) -> None:
    if pattern not in BOUNDED:
        assert goes_back(pattern, flags, searches) == ""


@pytest.mark.parametrize(
    ("pattern", "searches"),
    [
        (r"https://[^\s]*/authorize\?[^\s]+(?=\s)", True),
        (r"a+b", True),
        (r"(\d+)\s*(\d+)x", False),
        (r"\d+\.?\d+x", False),
        (r"(?m)^\s*x", True),
        (r"x[^\n]*\(name\)", True),
        (r"(?m)^(?!\s*#)x", True),
    ],
)
def test_what_does_is_found(pattern: str, searches: bool) -> None:
    assert goes_back(pattern, 0, searches)


@pytest.mark.parametrize(
    ("pattern", "searches"), [(r"[a-z]+://[^/]+/.*", False), (r"^\d+x", True), (r"\d+,[a-z]+,", False), (r"x\d*", True)]
)
def test_what_does_not_is_left_alone(pattern: str, searches: bool) -> None:
    assert goes_back(pattern, 0, searches) == ""

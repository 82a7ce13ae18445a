"""Words: every sentence of the program in both languages, with the same places to fill, and harmless on a terminal."""

from __future__ import annotations

import ast
import io
import json
import string
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from conftest import PROJECT, Cli
from hypothesis import given, strategies as st

from claude_accounts import messages
from claude_accounts.messages import _, plural, printable, say, use_language

ROOMS = [path.parent for path in sorted(PROJECT.glob("*/__init__.py"))]
SOURCES = [*sorted(PROJECT.glob("*.py")), *(path for room in ROOMS for path in sorted(room.rglob("*.py")))]
# The words of Python's own argument parser that a misuse can bring up.
PARSER_WORDS = {
    "usage: ",
    "options",
    "positional arguments",
    "show this help message and exit",
    "show program's version number and exit",
    "the following arguments are required: %s",
    "unrecognized arguments: %s",
    "argument %(argument_name)s: %(message)s",
    "expected one argument",
    "not allowed with argument %s",
    "one of the arguments %s is required",
    "invalid choice: %(value)r (choose from %(choices)s)",
    "invalid %(type)s value: %(value)r",
    "ambiguous option: %(option)s could match %(matches)s",
    "ignored explicit argument %r",
}


_SPEAK = ("_", "plural", "in_each_language")


def sentences() -> set[str]:
    """Return every English text that the sources pass to what speaks; each must stand there in one piece."""
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SPEAK:
                count = 2 if node.func.id == "plural" else 1
                for argument in node.args[:count]:
                    if path.name == "messages.py":
                        continue
                    assert isinstance(argument, ast.Constant), f"{path.name}:{node.lineno} is not a plain text"
                    found.add(str(argument.value))
    return found | {"claude-accounts: warning: {text}"}


def places(text: str) -> set[str]:
    """Return the names of the places to fill."""
    return {name for _text, name, _format, _conversion in string.Formatter().parse(text) if name is not None}


def test_every_sentence_has_its_french_and_no_french_is_left_over() -> None:
    french = json.loads((PROJECT / "locales" / "fr.json").read_text())
    missing = sorted((sentences() | PARSER_WORDS) - set(french))
    left_over = sorted(set(french) - sentences() - PARSER_WORDS)
    assert missing == [] and left_over == []


def test_a_translation_fills_the_same_places() -> None:
    french = json.loads((PROJECT / "locales" / "fr.json").read_text())
    for english, translated in french.items():
        if english not in PARSER_WORDS:
            assert places(english) == places(translated), english
        assert translated.strip() and english.startswith(" ") == translated.startswith(" "), english


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LC_ALL": "fr_FR.UTF-8"}, "fr"),
        ({"LC_ALL": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "fr_CA"}, "fr"),
        ({"LC_ALL": "", "LANG": "fr"}, "fr"),
        ({"LC_ALL": "C", "LANG": "fr_FR.UTF-8"}, "en"),
        ({"LC_ALL": "en_GB.UTF-8", "CLAUDE_ACCOUNTS_LANG": "fr"}, "fr"),
        ({"LC_ALL": ""}, "en"),
    ],
)
def test_the_language_follows_the_locale(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], language: str
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert messages.language() == language


def test_french_counts_zero_as_one() -> None:
    try:
        use_language("fr")
        assert plural("{count} account", "{count} accounts", 0) == "0 compte"
        use_language("en")
        assert plural("{count} account", "{count} accounts", 0) == "0 accounts"
    finally:
        use_language("en")


def test_help_and_misuse_speak_french_too(cli: Cli) -> None:
    french = {"LC_ALL": "fr_FR.UTF-8"}
    assert "utilisation" in cli("--help", env=french).stdout
    finished = cli("status", env=french)
    assert finished.returncode == 2 and "erreur" in finished.stderr and "required" not in finished.stderr


@given(st.text())
def test_foreign_text_drives_no_terminal(text: str) -> None:
    """CLI-03"""
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown


@given(st.text())
def test_nothing_that_is_said_drives_a_terminal(text: str) -> None:
    with redirect_stderr(io.StringIO()) as told:
        say(text)
    assert all(character.isprintable() or character in "\n\t\u00a0\u202f" for character in told.getvalue())


def test_a_text_without_a_translation_stays_english(tmp_path: Path) -> None:
    assert _("no such sentence {x}", x=1) == "no such sentence 1"

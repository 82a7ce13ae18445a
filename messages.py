"""Owns the words: the language of the reader, its catalogue, and the errors that carry a sentence and a remedy.

It knows nothing of accounts or files beyond its own catalogues. The English text in the source is the key; every other
language has one catalogue, `locales/<language>.json`.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from contextvars import ContextVar

VERSION = "0.1.0"
LANGUAGES = ("en", "fr")
_SPACES = "\t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"

_chosen: ContextVar[str] = ContextVar("language", default="")
_catalogues: dict[str, dict[str, str]] = {"en": {}}


class AccountsError(Exception):
    """A failure the user can act on: what is wrong, and where possible the command that mends it.

    What it repeats of what was given may be a key in the place of a name: that is taken out.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        message, hint = (without_secrets(text) if "sk-ant-" in text else text for text in (message, hint))
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotFound(AccountsError):
    """No account, file or terminal of that name."""


class Conflict(AccountsError):
    """The name is taken, or the account already holds another identity."""


class InvalidInput(AccountsError):
    """A value that came from outside breaks a rule; `field` names it."""

    def __init__(self, message: str, hint: str = "", field: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class Misuse(InvalidInput):
    """What the arguments of a command alone show to be wrong."""

    exit_code = 2


class Declined(AccountsError):
    """The person said no to a question of ours: nothing was done, and nothing failed."""


class LoginEnded(AccountsError):
    """The token endpoint says that this login is over: only signing in again helps."""


class EndpointFailed(AccountsError):
    """The token endpoint could not be reached or answered something else than tokens; trying later may help."""


class StoreBusy(AccountsError):
    """Another process holds the lock that protects these tokens."""


class StorageFailed(AccountsError):
    """The accounts database, its key or a file of ours cannot be read or written."""


class RivalCredential(AccountsError):
    """Claude Code would use another credential than the chosen account's."""


class ClaudeMissing(AccountsError):
    """There is no program to start."""

    exit_code = 127


def language() -> str:
    """Return the reader's language, one of `LANGUAGES`: the one chosen for this request, else the locale's."""
    return _chosen.get() or _language_of_locale()


def use_language(code: str) -> None:
    """Choose the language for the current thread or request; an unknown code means English."""
    _chosen.set(code if code in LANGUAGES else "en")


def _(text: str, /, **values: object) -> str:
    """Return `text` in the reader's language with `{name}` places filled from `values`."""
    translated = _catalogue(language()).get(text, text)
    return translated.format(**values) if values else translated


def plural(one: str, many: str, count: int, **values: object) -> str:
    """Return the form that fits `count` (French counts zero as one), with `{count}` filled in."""
    singular = count < 2 if language() == "fr" else count == 1
    return _(one if singular else many, count=count, **values)


def in_each_language(text: str) -> dict[str, str]:
    """Return `text` by language, for what is written now and read by whoever comes."""
    return {code: _catalogue(code).get(text, text) for code in LANGUAGES}


def say(text: str) -> None:
    """Print talk, as opposed to product, on standard error; nothing in it drives the terminal."""
    lines = text if text.isascii() and text.isprintable() else "\n".join(map(_harmless, text.split("\n")))
    # Where nobody can be told, that is no reason to fail.
    with suppress(OSError, ValueError):
        print(lines, file=sys.stderr)


def warn(text: str) -> None:
    """Print one warning line on standard error."""
    say(_("claude-accounts: warning: {text}", text=text))


def _harmless(line: str) -> str:
    """Return a line of ours as it is (French sets narrow spaces), but for what a damaged store may have put into it."""
    return "".join(
        character if character.isprintable() or character in _SPACES else printable(character) for character in line
    )


def printable(text: str) -> str:
    """Return foreign text with everything that could drive a terminal (controls, bidi overrides) shown as escapes."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def without_secrets(text: str) -> str:
    """Return the text with everything that looks like a credential of Claude's taken out."""
    import re

    return re.sub(r"sk-ant-[A-Za-z0-9_-]{6,}", "sk-ant-...", text)


def _language_of_locale() -> str:
    for variable in ("CLAUDE_ACCOUNTS_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            code = value[:2].lower()
            return code if code in LANGUAGES else "en"
    return "en"


def _catalogue(code: str) -> dict[str, str]:
    if code not in _catalogues:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "locales", code + ".json")
        _catalogues[code] = {}
        # English goes without a file, and words are needed most where an installation is damaged.
        with suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
            _catalogues[code] = json.load(file)
    return _catalogues[code]

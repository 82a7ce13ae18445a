"""Owns how arguments are taken apart: the parser, how its help looks, and what is said of a word that nobody knows.

It knows no single command. Nothing imports it before there is something to parse: a launch goes without.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from .. import messages
from ..messages import Misuse, _, printable, without_secrets

# The parser's own words ("usage: ", "unrecognized arguments") go through our catalogue too.
vars(argparse)["_"] = messages._


class Parser(argparse.ArgumentParser):
    """A parser whose errors are ours."""

    def _print_message(self, message: str, file: Any = None) -> None:
        # Python's own says nothing of a help that could not be written.
        (file or sys.stderr).write(message)

    def error(self, message: str) -> NoReturn:
        """Raise Misuse with the way to this command's help."""
        raise Misuse(printable(without_secrets(message)), f"{self.prog} --help")


class Formatter(argparse.HelpFormatter):
    """Wraps what is described, leaves examples as they are, and writes headings as the language does."""

    def start_section(self, heading: str | None) -> None:
        """Begin a section; Python puts its colon right behind the heading, which French does not."""
        if heading is not None and heading is not argparse.SUPPRESS:
            heading = _("{label}: {value}", label=heading, value="").rstrip().removesuffix(":")
        super().start_section(heading)

    def _format_usage(self, *arguments: Any) -> str:
        import textwrap  # only a help or a misuse needs it

        # Python breaks no line within a choice of options.
        lines = []
        for line in super()._format_usage(*arguments).split("\n"):
            indent = " " * (len(line) - len(line.lstrip()))
            width = max(self._width, len(indent) + 20)
            lines += textwrap.wrap(line, width, subsequent_indent=indent + " ", **_WHOLE_WORDS) or [""]
        return "\n".join(lines)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(_("example:")):
            return "\n".join(indent + line for line in text.splitlines())
        return super()._fill_text(text, width, indent)


def unknown_command(word: str, commands: Iterable[str], account_names: Iterable[str]) -> Misuse:
    """Return what is to be said of a first word that is no command: the likeliest one, or what it is instead."""
    problem = _("there is no command {word}", word=repr(printable(without_secrets(word))[:40]))
    if word in account_names:
        return Misuse(problem, _("launch the account: {command}", command=f"claude-accounts launch {word}"))
    likely = _likely(word, [command for command in commands if not command.startswith("_")])
    if likely:
        return Misuse(problem, _("did you mean {name}? (all: {command})", name=likely, command=_HELP))
    some = "add, login, launch, list, status, serve"
    return Misuse(problem, _("for example: {commands}; all: {command}", commands=some, command=_HELP))


def unknown_options(parser: argparse.ArgumentParser, command: str, unknown: list[str]) -> Misuse:
    """Return what is to be said of arguments that a command does not know."""
    problem = _("unrecognized arguments: %s") % printable(without_secrets(" ".join(unknown)))
    way = f"claude-accounts {command} --help" if command else _HELP
    word = next((each for each in unknown if each.startswith("-")), "").partition("=")[0]
    likely = _likely(word, options_of(parser, command)) if word else ""
    return Misuse(problem, _("did you mean {name}? (all: {command})", name=likely, command=way) if likely else way)


def options_of(parser: argparse.ArgumentParser, command: str) -> list[str]:
    """Return the long options of one command, or the general ones for none."""
    actions = parser._actions
    for action in parser._actions:
        if isinstance(action.choices, dict) and command in action.choices:
            actions = action.choices[command]._actions
    return [name for known in actions for name in known.option_strings if name.startswith("--")]


_WHOLE_WORDS: Any = {"break_long_words": False, "break_on_hyphens": False, "drop_whitespace": True}
_HELP = "claude-accounts --help"


def _likely(word: str, known: list[str]) -> str:
    import difflib  # only a misuse needs it

    close = difflib.get_close_matches(word.lower(), known, 1)
    return close[0] if close else ""

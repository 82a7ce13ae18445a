"""Owns what the families of commands share: how a command is added, how a secret or a yes is asked for.

It knows no single command.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..messages import AccountsError, Declined, InvalidInput, Misuse, StorageFailed, _, printable, say, warn

if TYPE_CHECKING:
    import argparse

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def given(word: str) -> str:
    """Return what was typed for a file, a folder or a name; an empty word is misuse, and never "here" or "the screen".

    It is what a script passes whose variable is not set.
    """
    if not word:
        from argparse import ArgumentTypeError  # where it is needed it is there

        raise ArgumentTypeError(_("it is empty; is a variable not set?"))
    return word


def add_command(
    subparsers: Subparsers, name: str, *, help: str, example: str, aliases: Iterable[str] = ()
) -> argparse.ArgumentParser:
    """Add one command whose `--help` ends with an example that can be typed as it stands."""
    # A launch without an option of ours gets along without a parser.
    from .parsing import Formatter

    return subparsers.add_parser(
        name,
        help=help,
        description=help,
        epilog=_("example:") + "\n  " + example.replace("\n", "\n  "),
        aliases=list(aliases),
        formatter_class=Formatter,
    )


# What holds a moment, wherever it stands in what `--json` prints.
_MOMENTS = {
    "at",
    "created_at",
    "ends_at",
    "expires_at",
    "last_used",
    "login_expires_at",
    "resets_at",
    "seen_at",
    "since",
    "token_ends",
    "tried_at",
}


def print_json(**content: Any) -> None:
    """Print what `--json` promises: its schema's number, and every moment as ISO 8601 in UTC (null: none)."""
    import json

    print(json.dumps({"schema_version": 1} | _with_moments(content), indent=2))


def _with_moments(value: Any) -> Any:
    from ..accounts import clocks

    if isinstance(value, dict):
        return {key: clocks.iso(each) if key in _MOMENTS else _with_moments(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_moments(each) for each in value]
    return value


def keep_aliases_current() -> None:
    """Rewrite the installed alias files after a change of names; where none is installed, nothing is written."""
    from .. import db
    from ..install import aliases as shell_aliases

    try:
        shell_aliases.rewrite_aliases(db.account_names())
    except StorageFailed as error:
        # What was asked for is done.
        warn(_("the aliases are as they were: {reason}", reason=error.message))


def tell_missing_alias(name: str) -> None:
    """Say that there is no alias of this name, where that is so: it would hide the program itself."""
    if name == "accounts":
        command = f"claude-accounts launch {name}"
        say(_("  It has no alias, for claude-{name} is this program: {command}", name=name, command=command))


def read_secret(given: str | None, prompt: str, option: str, field: str) -> str:
    """Return a bare secret: from standard input for `-`, from the terminal without echo for None, else as typed.

    `field` is `api_key` or `access_token`. What is odd about it is asked about on a terminal, and told elsewhere.
    Raises InvalidInput when there is no terminal to ask on, and for what is no secret.
    """
    from ..accounts import pasted
    from ..accounts.entries import API_KEY, OAUTH, checked_secret

    auth_type = API_KEY if field == "api_key" else OAUTH
    secret = checked_secret(_given_secret(given, prompt, option), field, auth_type)
    doubt = pasted.doubt(secret, auth_type)
    if doubt and not sys.stdin.isatty():
        warn(doubt)
    elif doubt and not confirmed(_("{doubt}. Keep it anyway?", doubt=doubt)):
        raise Declined(_("nothing was stored") + "\n  " + _("copy the credential alone, in one piece"))
    return secret


def _given_secret(given: str | None, prompt: str, option: str) -> bytes | str:
    if given == "-" and not sys.stdin.isatty():
        # All of it, and as bytes: in which encoding it comes is seen there.
        return sys.stdin.buffer.read(131072)
    if given not in (None, "-"):
        warn(_("what is typed on the command line stays in the shell's history; next time: {option} -", option=option))
        return given
    if not sys.stdin.isatty():
        raise InvalidInput(
            _("there is no terminal to ask on"), _("give it on standard input: {option} -", option=option)
        )
    from .secret_prompt import typed

    return typed(prompt)


def chosen(question: str, ways: list[str]) -> int:
    """Ask on the terminal which of the numbered ways it shall be, and return its number; Enter is the first.

    Raises InvalidInput for an answer that is none of them.
    """
    say(question)
    for number, way in enumerate(ways, 1):
        say(f"  {number}  {way}")
    sys.stderr.write(_("Which? [1]") + " ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        say("")
        raise InvalidInput(_("nothing was typed"))
    answer = line.strip() or "1"
    if answer not in {str(number) for number in range(1, len(ways) + 1)}:
        raise InvalidInput(_("{answer} is none of them", answer=repr(printable(answer)[:20])))
    return int(answer)


def confirmed(question: str, *, default: bool = False) -> bool:
    """Ask on the terminal; Enter means `default`, and without a terminal the answer is no."""
    if not sys.stdin.isatty():
        return False
    sys.stderr.write(f"{question} {_('[Y/n]') if default else _('[y/N]')} ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    answer = line.strip().lower()
    # An empty line is Enter; no line at all is somebody who has gone.
    return default if line and not answer else answer in ("y", "yes", "o", "oui")


def require_yes(question: str, refusal: str, hint: str) -> None:
    """Ask on the terminal; without one, AccountsError tells with `refusal` and `hint` that nothing was done.

    Raises Declined for a no, which is an answer and no failure.
    """
    if not sys.stdin.isatty():
        raise AccountsError(refusal, hint)
    if not confirmed(question):
        raise Declined(refusal)


def typed_name(text: str) -> str:
    """Return the account name that was meant by an argument. Raises Misuse."""
    from .. import db

    try:
        return db.clean_name(text)
    except InvalidInput as error:
        raise Misuse(error.message, error.hint) from error

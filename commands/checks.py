"""The command that tries a credential because somebody asks for it: check."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .. import db
from ..accounts import journal, proofs
from ..messages import AccountsError, _, printable, say
from .console import add_command, print_json

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers


def register(subparsers: Subparsers) -> None:
    """Add `check`."""
    parser = add_command(
        subparsers,
        "check",
        help=_("try an account's credential: a free request with an API key, claude's own word on a login"),
        example="claude-accounts check work\nclaude-accounts check --all --json",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", metavar=_("NAME"), nargs="?")
    which.add_argument("--all", action="store_true", help=_("every account that has a credential"))
    parser.add_argument("--json", action="store_true", help=_("print JSON"))
    parser.set_defaults(run=check)


def check(arguments: argparse.Namespace) -> int:
    """Try one account or all; return 1 for one that was refused, or about which nothing could be found out."""
    if not arguments.all:
        account = _checked(db.find_account(arguments.name))
        if arguments.json:
            print_json(**_as_json(account))
        else:
            _tell(account)
        return int(account.tried == proofs.REFUSED)
    found: list[dict[str, Any]] = []
    for account in db.list_accounts():
        if not account.masked_key:
            continue
        try:
            account = _checked(account)
            found.append(_as_json(account))
            if not arguments.json:
                _tell(account)
        except AccountsError as error:
            found.append(_as_json(account) | {"error": error.message})
            say(f"✗ {printable(account.name)}: {error.message}")
    if arguments.json:
        print_json(accounts=found)
    return int(any(each["tried"] == proofs.REFUSED or each["error"] for each in found))


def _checked(account: db.Account) -> db.Account:
    # Only a check needs what launches and what asks.
    from ..launch import checking

    checked = checking.check(account.id, os.environ)
    journal.note("account-checked", account=account.name, actor=journal.COMMAND_LINE, detail=checked.tried)
    return checked


def _tell(account: db.Account) -> None:
    mark = "✗" if account.tried == proofs.REFUSED else "✓"
    print(f"{mark} {printable(account.name)}: {proofs.text(account)}")


def _as_json(account: db.Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "tried": account.tried,
        "tried_at": account.tried_at,
        "tried_reason": account.tried_reason,
        "error": "",
    }

"""The command `dashboard`: for its owner who is locked out, on the machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..messages import AccountsError, _, say
from .console import add_command, confirmed

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers

_RESET = "reset-password"


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "dashboard",
        help=_("let the dashboard's next visit choose another password"),
        example="claude-accounts dashboard reset-password",
    )
    parser.add_argument(
        "action", choices=(_RESET,), help=_("forget the password, and end every session and API token; accounts stay")
    )
    parser.add_argument("--yes", "-y", action="store_true", help=_("do not ask"))
    parser.set_defaults(run=reset)


def reset(arguments: argparse.Namespace) -> None:
    """Forget the password; a running server sees it at once. Raises AccountsError when it is not confirmed."""
    # No other command pays for what checks passwords.
    from ..dashboard import sign_in

    if not arguments.yes and not confirmed(_("Forget the dashboard's password, its sessions and its API tokens?")):
        raise AccountsError(_("nothing was changed"), f"claude-accounts dashboard {_RESET} --yes")
    sign_in.reset_password()
    say(_("The password is forgotten: open the dashboard and choose another one."))

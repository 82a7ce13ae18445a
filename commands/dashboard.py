"""The command `dashboard`: for its owner who is locked out, on the machine itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..messages import _, say
from .console import add_command, require_yes

if TYPE_CHECKING:
    import argparse

    from .console import Subparsers

_PASSWORD, _FACTORS = "reset-password", "reset-factors"


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "dashboard",
        help=_("let whoever is locked out of the dashboard in again"),
        example="claude-accounts dashboard reset-password",
    )
    parser.add_argument(
        "action",
        choices=(_PASSWORD, _FACTORS),
        help=_(
            "forget the password (and end every session and API token), or the second factors (and end every session); "
            "accounts stay"
        ),
    )
    parser.add_argument("--yes", "-y", action="store_true", help=_("do not ask"))
    parser.set_defaults(run=reset)


def reset(arguments: argparse.Namespace) -> None:
    """Forget the password or the factors; a running server sees it at once.

    Raises AccountsError when it is not confirmed.
    """
    # No other command pays for what checks passwords.
    from ..accounts import journal
    from ..dashboard import factors, sign_in

    of_password = arguments.action == _PASSWORD
    question = (
        _("Forget the dashboard's password, its sessions and its API tokens?")
        if of_password
        else _("Forget the dashboard's passkeys, authenticator app and recovery codes, and end its sessions?")
    )
    if not arguments.yes:
        require_yes(question, _("nothing was changed"), f"claude-accounts dashboard {arguments.action} --yes")
    if of_password:
        sign_in.reset_password()
        journal.note("password-reset", actor=journal.COMMAND_LINE)
        say(_("The password is forgotten: open the dashboard and choose another one."))
    else:
        factors.reset()
        journal.note("factors-reset", actor=journal.COMMAND_LINE)
        say(_("The second factors are forgotten: sign in with the password alone, and set one up again."))

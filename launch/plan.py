"""Owns the one way from an account to a running claude: which program, arguments and environment, or why not.

The command line and the web terminal both go through here; neither starts anything that was not planned by it.
"""

from __future__ import annotations

from collections.abc import Mapping

from .. import db
from ..accounts import bindings, clocks
from ..claude import program as claude_code
from ..messages import Conflict, _, printable


def plan(
    account_id: str,
    arguments: list[str],
    *,
    cwd: str,
    environ: Mapping[str, str],
    force: bool = False,
    anywhere: bool = False,
) -> claude_code.Launch:
    """Return what to start for this account in `cwd`, its tokens refreshed when they are about to end.

    Raises ClaudeMissing before anything is spent, BoundElsewhere (unless `force` or `anywhere`) in a folder that
    belongs to another account, RivalCredential (unless `force`) when Claude Code would use another credential, and what
    db.get_launch_env and db.get_durable_env raise.
    """
    program = claude_code.find_claude(environ)
    account = db.get_account(account_id)
    if not (force or anywhere):
        _refuse_foreign_folder(account, cwd)
    notices = []
    if account.durable and claude_code.honours_own_store(program, environ):
        credential = db.get_durable_env(account_id)
    else:
        credential = db.get_launch_env(account_id)
        if account.durable:
            notices.append("  " + _("this claude keeps no login of its own, so the session lasts as long as its token"))
    planned = claude_code.prepare_launch(account.name, credential, arguments, cwd=cwd, environ=environ, force=force)
    warning = clocks.warning(db.get_account(account_id))
    if warning:
        notices.append("  " + warning)
    return planned._replace(notices=planned.notices + notices)


class BoundElsewhere(Conflict):
    """The folder is bound to another account; `bound` is its name."""

    bound = ""


def _refuse_foreign_folder(account: db.Account, cwd: str) -> None:
    bound = bindings.nearest(cwd)
    if bound is None or bound.account_id == account.id:
        return
    name = printable(account.name)
    error = BoundElsewhere(
        _("{folder} belongs to {bound}", folder=printable(bound.folder), bound=printable(bound.account_name)),
        _("go ahead all the same: claude-accounts launch --force {name}", name=name),
    )
    error.bound = bound.account_name
    raise error

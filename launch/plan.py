"""Owns the one way from an account to a running claude: which program, arguments and environment, or why not.

The command line and the web terminal both go through here; neither starts anything that was not planned by it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .. import db
from ..accounts import clocks
from ..accounts.rows import account_of
from ..claude import client, program as claude_code
from ..messages import Conflict, _, printable


class Plan(NamedTuple):
    """What to start, and the account as it is now that its login was looked after."""

    launch: claude_code.Launch
    stored: db.Stored


def plan(
    chosen: db.Chosen,
    arguments: list[str],
    *,
    cwd: str,
    environ: Mapping[str, str],
    force: bool = False,
    anywhere: bool = False,
    ask: Callable[[str], bool] | None = None,
) -> Plan:
    """Return what to start for this account in `cwd`, its tokens refreshed when they are about to end.

    `ask` puts a question with a yes or a no to whoever launches; without it nobody is there to be asked.
    Raises ClaudeMissing before anything is spent, BoundElsewhere (unless `force` or `anywhere`) in a folder that
    belongs to another account, RivalCredential (unless `force`) when Claude Code would use another credential, and what
    db.injected and db.durable raise.
    """
    program = claude_code.find_claude(environ)
    if not (force or anywhere):
        refuse_foreign_folder(chosen, "launch")
    notices = []
    if chosen.stored.durable and client.honours_own_store(program, environ, cwd):
        credential, stored = db.durable(chosen.stored)
    else:
        credential, stored = db.injected(chosen.stored)
        if stored.durable:
            notices.append("  " + _("this claude keeps no login of its own, so the session lasts as long as its token"))
    launch = claude_code.prepare_launch(
        stored.name,
        credential,
        arguments,
        cwd=cwd,
        environ=environ,
        force=force,
        allowed_hosts=stored.allowed_hosts.split(),
        approve=bool(stored.approve_key),
        ask=ask,
    )
    warning = clocks.warning(chosen.account if stored is chosen.stored else account_of(stored))
    if warning:
        notices.append("  " + warning)
    return Plan(launch._replace(notices=launch.notices + notices), stored)


class BoundElsewhere(Conflict):
    """The folder is bound to another account; `bound` is its name."""

    bound = ""


def refuse_foreign_folder(chosen: db.Chosen, command: str) -> None:
    """Raise BoundElsewhere in a folder that belongs to another account than the chosen one."""
    bound = chosen.bound
    if bound is None or bound.account_id == chosen.stored.id:
        return
    name = printable(chosen.stored.name)
    error = BoundElsewhere(
        _("{folder} belongs to {bound}", folder=printable(bound.folder), bound=printable(bound.account_name)),
        _("go ahead all the same: claude-accounts {command} --force {name}", command=command, name=name),
    )
    error.bound = bound.account_name
    raise error

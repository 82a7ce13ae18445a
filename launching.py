"""Owns the one way from an account to a running claude: which program, arguments and environment, or why not.

The command line and the web terminal both go through here; neither starts anything that was not planned by it.
"""

from __future__ import annotations

from collections.abc import Mapping

import claude_code
import db


def plan(
    account_id: str, arguments: list[str], *, cwd: str, environ: Mapping[str, str], force: bool = False
) -> claude_code.Launch:
    """Return what to start for this account in `cwd`, its tokens refreshed when they are about to end.

    Raises ClaudeMissing before anything is spent, RivalCredential (unless `force`) when Claude Code would use another
    credential, and what db.get_launch_env raises.
    """
    claude_code.find_claude(environ)
    account = db.get_account(account_id)
    credential = db.get_launch_env(account_id)
    return claude_code.prepare_launch(account.name, credential, arguments, cwd=cwd, environ=environ, force=force)

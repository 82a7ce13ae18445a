"""Owns where things of ours lie: the data folder.

It knows nothing of what is in there.
"""

from __future__ import annotations

import os


def data_folder() -> str:
    """Return the absolute path of the data folder: `$CLAUDE_ACCOUNTS_HOME`, else `~/.claude-accounts`."""
    chosen = os.environ.get("CLAUDE_ACCOUNTS_HOME", "")
    return os.path.abspath(os.path.expanduser(chosen or os.path.join("~", ".claude-accounts")))

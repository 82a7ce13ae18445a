"""Owns where things lie: the user's home folder, and the data folder in it.

It is the one place that knows what `~` stands for. It knows nothing of what is in these folders.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..messages import AccountsError, _, printable


class NoHome(AccountsError):
    """Nobody says where the user's home folder is, so nothing of it can be read or made."""


def data_folder() -> str:
    """Return the absolute path of the data folder, `$CLAUDE_ACCOUNTS_HOME` or `~/.claude-accounts`. Raises NoHome."""
    chosen = os.environ.get("CLAUDE_ACCOUNTS_HOME", "")
    return os.path.abspath(expanded(chosen or os.path.join("~", ".claude-accounts")))


def home_folder(environ: Mapping[str, str] | None = None) -> str:
    """Return the absolute path of the home folder: HOME, else what the system's list of users says. Raises NoHome."""
    home = (os.environ if environ is None else environ).get("HOME")
    if home is None:
        home = _home_of(os.getuid())
        if not home:
            raise _no_home(_("HOME is not set, and this system does not know the user {uid}", uid=os.getuid()))
    if not home:
        raise _no_home(_("HOME is empty"))
    if not os.path.isabs(home):
        raise _no_home(_("HOME is {home}, which is no absolute path", home=repr(printable(home))))
    return home


def expanded(path: str, environ: Mapping[str, str] | None = None) -> str:
    """Return a path with its leading `~` or `~user` as the folder that it stands for. Raises NoHome."""
    if not path.startswith("~"):
        return path
    user, slash, rest = path.partition("/")
    if user == "~":
        return os.path.join(home_folder(environ), rest) if slash else home_folder(environ)
    folder = os.path.expanduser(user)
    if folder == user:
        raise NoHome(_("{path}: there is no user {user}", path=printable(path), user=printable(user[1:])))
    return folder + slash + rest


def expanded_or_same(path: str, environ: Mapping[str, str]) -> str:
    """Return what `expanded` does; the path as it is where there is no such folder."""
    try:
        return expanded(path, environ)
    except NoHome:
        return path


def _home_of(uid: int) -> str:
    import pwd  # hardly anybody has no HOME

    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return ""


def _no_home(reason: str) -> NoHome:
    return NoHome(reason, _("say where it is: export HOME=/the/folder"))

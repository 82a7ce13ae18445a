"""Owns what makes the first set-up happen once: a mark beside the database, and codes that are forgotten after use.

It knows neither passwords nor who asks.
"""

from __future__ import annotations

import errno
import os

from ..accounts.storage import database_path
from ..messages import StorageFailed, _, printable
from ..system.access import cannot_write, exists
from ..system.folders import data_folder
from ..system.private_files import create_private_file_once, make_private_folder

_MARK = b"The dashboard of this folder has a password; accounts.db holds its hash.\n"


def mark_path() -> str:
    """Return the path of the file that says: this dashboard was set up, whatever the database knows of it."""
    return os.path.join(data_folder(), ".dashboard-set-up")


def is_marked() -> bool:
    """Tell whether the mark is there. Raises StorageFailed where that cannot be seen."""
    return exists(mark_path())


def refuse_unwritable() -> None:
    """Raise StorageFailed where no first password could be kept; nothing is written."""
    place = data_folder()
    while not os.path.isdir(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        raise cannot_write(data_folder(), OSError(errno.EROFS, os.strerror(errno.EROFS)))
    if not os.access(place, os.W_OK | os.X_OK):
        raise cannot_write(data_folder(), PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def mark() -> None:
    """Leave the mark, where it is not there yet. Raises StorageFailed."""
    if not is_marked():
        make_private_folder(data_folder())
        create_private_file_once(mark_path(), _MARK)


def unmark() -> None:
    """Take the mark away. Raises StorageFailed."""
    try:
        os.unlink(mark_path())
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(mark_path(), error) from error


def password_lost() -> StorageFailed:
    """Return the error for a database that no longer knows the password it once held."""
    return StorageFailed(
        _("the dashboard was set up, but {path} has no password any more", path=printable(database_path())),
        _("put the file back; for a new password: claude-accounts dashboard reset-password"),
    )


class Codes:
    """The hashes of the codes that one server has given out: the printed one, and that of the link it opened itself.

    Whoever runs a program on this machine may read a browser's command line, and so that link; the printed code stands
    on the user's own terminal alone.
    """

    def __init__(self, printed: str = "", link: str = "") -> None:
        self._printed = printed
        self._link = link

    def known(self, *, link: bool) -> tuple[str, ...]:
        """Return the hashes of what is good, that of the link only where it may be."""
        return tuple(code for code in (self._printed, self._link if link else "") if code)

    def forget(self) -> None:
        """Let no code be good any more."""
        self._printed = self._link = ""

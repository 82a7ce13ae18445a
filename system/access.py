"""Owns what a failed look at a path means: there is nothing, we are not allowed to look, or it cannot be written.

Only "no such file" and "not a directory" mean that there is nothing. Everything else is an error that names the path
and, where a permission is missing, whose it is. It knows nothing of what is in the files.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from ..messages import StorageFailed, _, printable
from .folders import NoHome, data_folder, home_folder

NOTHING_THERE = (FileNotFoundError, NotADirectoryError)
# What a disk says that has no such thing as a hard link, permissions or locks.
UNKNOWN_TO_THE_DISK = frozenset(
    (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOLCK, errno.EMLINK, errno.EXDEV)
)
_DENIED = (errno.EACCES, errno.EPERM)


def exists(path: str) -> bool:
    """Tell whether there is something at a path. Raises StorageFailed where that cannot be seen.

    A link that leads nowhere (to a disk that is not there, say) is no sign that there is nothing.
    """
    try:
        os.stat(path)
    except NOTHING_THERE:
        link = _broken_link(path)
        if link:
            target = printable(os.readlink(link))
            raise StorageFailed(
                _("{path} is a link to {target}, which is not there", path=printable(link), target=target),
                _("put back what it leads to (is its disk there?), or remove the link to start afresh"),
            ) from None
        return False
    except OSError as error:
        raise cannot_read(path, error) from error
    return True


def open_plain_file(path: str) -> int:
    """Return a descriptor for reading a file; OSError also for what is no plain file (a folder, a pipe, a device)."""
    # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, _("it is not a plain file"), path)
    return descriptor


def read_plain_file(path: str, largest: int) -> bytes | None:
    """Return a file's bytes, one more than `largest` of a longer one; None where there is none. Raises StorageFailed
    for what cannot be read, or is no plain file."""
    try:
        with open(open_plain_file(path), "rb") as file:
            return file.read(largest + 1)
    except NOTHING_THERE:
        return None
    except OSError as error:
        raise cannot_read(path, error) from error


def cannot_read(path: str, error: OSError) -> StorageFailed:
    """Return the one sentence for a file or folder that could not be read."""
    reason, hint = why(error, path)
    return StorageFailed(_("cannot read {path}: {reason}", path=printable(path), reason=reason), hint)


def cannot_write(path: str, error: OSError) -> StorageFailed:
    """Return the one sentence for a file or folder that could not be written."""
    folder = os.path.dirname(path)
    # A file is replaced, and so it is its folder that must be writable.
    blamed = path if os.access(folder, os.W_OK | os.X_OK) or not os.path.isdir(folder) else folder
    reason, hint = why(error, blamed)
    return StorageFailed(_("cannot write {path}: {reason}", path=printable(path), reason=reason), hint)


def why(error: OSError, path: str) -> tuple[str, str]:
    """Return the system's reason, with the owner of what denies us access, and the command that mends that."""
    reason = error.strerror or str(error)
    if error.errno not in _DENIED:
        return reason, ""
    import shlex  # only an error needs it

    place = os.path.abspath(path)
    while not os.path.lexists(place) and place != os.path.dirname(place):
        place = os.path.dirname(place)
    try:
        owner = os.lstat(place).st_uid
    except OSError:
        return reason, ""
    shown = printable(place)
    if owner != os.geteuid():
        reason = _("{reason}, {path} belongs to {owner}", reason=reason, path=shown, owner=_name_of(owner))
        if not _is_the_users(place):
            return reason, ""
        return reason, f"sudo chown -R {shlex.quote(_name_of(os.geteuid()))} {shlex.quote(shown)}"
    mode = f"{stat.S_IMODE(os.lstat(place).st_mode):04o}"
    reason = _("{reason}, {path} has the mode {mode}", reason=reason, path=shown, mode=mode)
    return reason, f"chmod u+rwX {shlex.quote(shown)}"


def _is_the_users(place: str) -> bool:
    """Tell whether a path lies in the user's home or data folder: what is elsewhere is nobody's to take over."""
    for folder in (home_folder, data_folder):
        with suppress(NoHome):
            inside = folder()
            if inside != os.sep and (place == inside or place.startswith(os.path.join(inside, ""))):
                return True
    return False


def _broken_link(path: str) -> str:
    """Return the link on the way to a path that leads nowhere, "" where there is none."""
    place = os.path.abspath(path)
    while place != os.path.dirname(place):
        if os.path.islink(place) and not os.path.exists(place):
            return place
        place = os.path.dirname(place)
    return ""


def _name_of(uid: int) -> str:
    import pwd  # only an error needs it

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)

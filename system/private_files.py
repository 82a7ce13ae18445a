"""Owns how a private file comes to be: born 0600, written whole, replaced by rename, its folder's owner's.

On disks that keep no permissions and know no hard links it does what can be done there. It knows nothing of what is in
the files.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import suppress

from .access import UNKNOWN_TO_THE_DISK, cannot_write, open_plain_file

# Whoever was first writes his file in milliseconds; after this time he has gone.
_FIRST_WRITER_SECONDS = 2.0
# Some systems deny hard links to everybody (Android), by the error that usually means something else.
_NO_LINK = UNKNOWN_TO_THE_DISK | {errno.EACCES}


def make_private_folder(path: str) -> None:
    """Create the folder, and each missing one above it, for its owner alone; tighten it when it is too open.

    Raises StorageFailed where that is impossible: a file in the way, another owner, a read-only disk.
    """
    try:
        parent = os.path.dirname(path)
        if parent and not os.path.isdir(parent):
            make_private_folder(parent)
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
            give_to_owner_of(parent, path)
        if not stat.S_ISDIR(os.stat(path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        tighten(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def tighten(path: str) -> None:
    """Take group's and others' permissions away, where the disk keeps any. Raises OSError for somebody else's."""
    status = os.stat(path)
    if not stat.S_IMODE(status.st_mode) & 0o077:
        return
    try:
        os.chmod(path, 0o700 if stat.S_ISDIR(status.st_mode) else 0o600)
    except OSError as error:
        # What belongs to the system's administrator or to us could be no more private than the disk lets it be.
        may_stay = error.errno in UNKNOWN_TO_THE_DISK and status.st_uid in (0, os.geteuid())
        if not (may_stay or error.errno == errno.EROFS):
            raise


def is_open_to_others(path: str) -> bool:
    """Tell whether group or others have permissions on a file, which a disk may give to everything on it."""
    return bool(stat.S_IMODE(os.stat(path).st_mode) & 0o077)


def keeps_permissions(folder: str) -> bool:
    """Tell whether a file made in this folder is its owner's alone; one is made, and removed, to see it."""
    temporary = _temporary_name(os.path.join(folder, ".look"))
    try:
        _write_new(temporary, b"", 0o600)
        return not is_open_to_others(temporary)
    except OSError:
        # What cannot be written is another finding.
        return True
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def give_to_owner_of(model: str, path: str | int) -> None:
    """Let what root has just made belong to the owner of `model`: after a `sudo` its user must still get at it."""
    if os.geteuid() == 0:
        status = os.stat(model or ".")
        if status.st_uid:
            # In a container that owner may be nobody's to give to.
            with suppress(OSError):
                os.chown(path, status.st_uid, status.st_gid)


def write_private_file(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the file at `path` (the target, when it is a link) by `data`, whole or not at all, and durably.

    Raises StorageFailed; the old file is then untouched and nothing temporary is left.
    """
    target = os.path.realpath(path)
    temporary = _temporary_name(target)
    try:
        _write_new(temporary, data, mode, like=target)
        os.replace(temporary, target)
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def create_private_file_once(path: str, data: bytes) -> bytes:
    """Create the file unless it exists, and return what it holds: `data`, or what the first of many writers put there.

    Raises StorageFailed.
    """
    temporary = _temporary_name(path)
    try:
        _write_new(temporary, data, 0o600)
        try:
            # link() is the one call that creates a whole file and fails when another process was first.
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            _place_once(temporary, path)
        _sync_folder(os.path.dirname(path))
        with open(open_plain_file(path), "rb") as file:
            return file.read()
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def lock(descriptor: int, operation: int) -> bool:
    """Do what flock() does, and tell whether this disk knows locks. Raises BlockingIOError as flock() does."""
    try:
        fcntl.flock(descriptor, operation)
    except OSError as error:
        if error.errno not in UNKNOWN_TO_THE_DISK:
            raise
        return False
    return True


def _place_once(temporary: str, path: str) -> None:
    """Move a whole file to `path` unless another process was first, on a disk that knows no link().

    An empty file says that somebody is about to move his there; when it stays empty he has gone.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        deadline = time.monotonic() + _FIRST_WRITER_SECONDS
        while os.path.getsize(path) == 0:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return
    os.replace(temporary, path)


def _temporary_name(path: str) -> str:
    return f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"


def _write_new(path: str, data: bytes, mode: int, like: str = "") -> None:
    """Write a new file, which will be the owner's of `like`, else of its folder."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        give_to_owner_of(like if os.path.exists(like) else os.path.dirname(path), descriptor)
        try:
            # The umask may only have taken bits away; the caller's mode is wanted exactly.
            os.fchmod(descriptor, mode)
        except OSError as error:
            if error.errno not in UNKNOWN_TO_THE_DISK:
                raise
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some disks (of networks) sync no folder.
        if error.errno not in UNKNOWN_TO_THE_DISK:
            raise
    finally:
        os.close(descriptor)

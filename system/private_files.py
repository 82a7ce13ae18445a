"""Owns how a private file comes to be: born 0600, written whole, replaced by rename.

It knows nothing of what is in the files.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from ..messages import StorageFailed, _, printable


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
        mode = os.stat(path).st_mode
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        if stat.S_IMODE(mode) & 0o077:
            os.chmod(path, 0o700)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_private_file(path: str, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the file at `path` (the target, when it is a link) by `data`, whole or not at all, and durably.

    Raises StorageFailed; the old file is then untouched and nothing temporary is left.
    """
    target = os.path.realpath(path)
    temporary = _temporary_name(target)
    try:
        _write_new(temporary, data, mode)
        os.replace(temporary, target)
        _sync_folder(os.path.dirname(target))
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def create_private_file_once(path: str, data: bytes) -> bytes:
    """Create the file unless it exists, and return what it holds: `data`, or what the first of many writers put there.

    Raises StorageFailed.
    """
    temporary = _temporary_name(path)
    try:
        _write_new(temporary, data, 0o600)
        # link() is the one call that creates a whole file and fails when another process was first.
        with suppress(FileExistsError):
            os.link(temporary, path)
        _sync_folder(os.path.dirname(path))
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def cannot_write(path: str, error: OSError) -> StorageFailed:
    """Return the one sentence for a file that could not be written."""
    reason = error.strerror or str(error)
    return StorageFailed(_("cannot write {path}: {reason}", path=printable(path), reason=reason))


def _temporary_name(path: str) -> str:
    return f"{path}.{os.getpid()}.{os.urandom(4).hex()}.tmp"


def _write_new(path: str, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        # The umask may only have taken bits away; the caller's mode is wanted exactly.
        os.fchmod(descriptor, mode)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

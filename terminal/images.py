"""Owns the pictures dropped into terminals: private files with names of our choosing, kept as long as their terminal.

What a picture is says its content, not its sender. A server locks its folder: one whose lock is free is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import threading

from ..messages import InvalidInput, _
from ..system.access import cannot_write
from ..system.private_files import lock, make_private_folder, write_private_file

LARGEST_IMAGE = 20 * 1024 * 1024
_MOST_IMAGES = 50
_PREFIX = "claude-accounts-pictures-"
_NAME = re.compile(re.escape(_PREFIX) + "[a-z0-9_]{8}")


class Images:
    """The pictures of one server's terminals; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder = ""
        self._descriptor = -1

    def keep(self, terminal_id: str, data: bytes) -> str:
        """Store a picture for a terminal and return its path; of very many the oldest go.

        Raises InvalidInput for what is no PNG, JPEG, GIF or WebP, StorageFailed.
        """
        ending = _ending(data)
        if not ending:
            raise InvalidInput(_("this is no PNG, JPEG, GIF or WebP picture"))
        with self._lock:
            folder = os.path.join(self._place(), terminal_id)
            make_private_folder(folder)
            kept = sorted((entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(folder))
            for _age, path in kept[: max(0, len(kept) - _MOST_IMAGES + 1)]:
                os.unlink(path)
            path = os.path.join(folder, f"picture-{os.urandom(4).hex()}.{ending}")
            write_private_file(path, data)
        return path

    def forget_all_but(self, terminal_ids: set[str]) -> None:
        """Remove the pictures of every terminal that is not among these."""
        with self._lock:
            if self._folder:
                for name in set(os.listdir(self._folder)) - terminal_ids:
                    shutil.rmtree(os.path.join(self._folder, name), ignore_errors=True)

    def close(self) -> None:
        """Remove all pictures."""
        with self._lock:
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
                os.close(self._descriptor)
                self._folder, self._descriptor = "", -1

    def _place(self) -> str:
        if not self._folder:
            # The system's own place for what need not outlive us.
            try:
                self._folder, self._descriptor = _locked_folder()
            except OSError as error:
                raise cannot_write(tempfile.gettempdir(), error) from error
        return self._folder


def sweep() -> None:
    """Remove the pictures of servers that have gone without removing them, as a killed one does."""
    try:
        entries = list(os.scandir(tempfile.gettempdir()))
    except OSError:
        # Where nothing can be kept (every such disk is full, or read only), nothing was.
        return
    for entry in entries:
        if not _NAME.fullmatch(entry.name):
            continue
        try:
            descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            # Another user's, or gone by now.
            continue
        try:
            if os.fstat(descriptor).st_uid == os.getuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry.path, ignore_errors=True)
        except OSError:
            # A server has it.
            continue
        finally:
            os.close(descriptor)


def _locked_folder() -> tuple[str, int]:
    """Make a folder that has its lock before it has the name by which it is swept."""
    made = tempfile.mkdtemp(prefix=f".{_PREFIX}")
    descriptor = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
    lock(descriptor, fcntl.LOCK_EX)
    folder = os.path.join(os.path.dirname(made), os.path.basename(made)[1:])
    os.rename(made, folder)
    return folder, descriptor


def _ending(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""

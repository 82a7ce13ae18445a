"""Owns the pictures dropped into terminals: private files with names of our choosing, kept as long as their terminal.

What a picture is says its content, not its sender.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading

from ..messages import InvalidInput, _
from ..system.private_files import cannot_write, make_private_folder, write_private_file

LARGEST_IMAGE = 20 * 1024 * 1024
_MOST_IMAGES = 50


class Images:
    """The pictures of one server's terminals; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder = ""

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
                self._folder = ""

    def _place(self) -> str:
        if not self._folder:
            # The system's own place for what need not outlive us: it is emptied even when we are killed.
            try:
                self._folder = tempfile.mkdtemp(prefix="claude-accounts-")
            except OSError as error:
                raise cannot_write(tempfile.gettempdir(), error) from error
        return self._folder


def _ending(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""

"""Owns Claude Code's locks, which whoever changes a file of its must hold: how one is taken, kept, left and taken over.

A lock is a folder. Names, order and ages were measured with Claude Code 2.1.197 and 2.1.330.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ..messages import StoreBusy, _, printable

_STALE_SECONDS = 60.0
_HEARTBEAT_SECONDS = 2.0
# A file is written in milliseconds; whoever holds its lock for longer has been stopped, and a launch does not wait.
_FILE_SECONDS = 3.0


@contextmanager
def locked(folder: str, *, wait_seconds: float = 12.0) -> Iterator[None]:
    """Hold Claude Code's two locks of a store, in its order. Raises StoreBusy when they stay taken."""
    paths = (os.path.join(folder, ".oauth_refresh.lock"), os.path.realpath(folder) + ".lock")
    with _held(paths, _("Claude Code is refreshing this login right now"), wait_seconds):
        yield


@contextmanager
def file_locked(path: str) -> Iterator[None]:
    """Hold Claude Code's lock of one file of its. Raises StoreBusy when it stays taken."""
    with _held((os.path.realpath(path) + ".lock",), _("Claude Code is writing this file right now"), _FILE_SECONDS):
        yield


@contextmanager
def folder_locked(path: str, busy: str, wait_seconds: float) -> Iterator[None]:
    """Hold a lock of ours that is made as Claude Code's are. Raises StoreBusy with the sentence `busy`."""
    with _held((path + ".lock",), busy, wait_seconds):
        yield


@contextmanager
def _held(paths: tuple[str, ...], busy: str, wait_seconds: float) -> Iterator[None]:
    """Hold these locks, in this order. Raises StoreBusy with the sentence `busy` when one stays taken.

    A lock is a folder: made to acquire, touched every two seconds to stay ours, removed to release. One that nobody
    has touched for a minute belonged to a process that is gone.
    """
    # Only a refresh of a shared login and the first use of a key take locks; launching must not pay for the import.
    import threading

    deadline = time.monotonic() + wait_seconds
    held: list[_Lock] = []
    done = threading.Event()

    def keep_alive() -> None:
        while not done.wait(_HEARTBEAT_SECONDS):
            for lock in held:
                lock.touch()

    heartbeat = threading.Thread(target=keep_alive, name="store lock", daemon=True)
    heartbeat.start()
    try:
        for path in paths:
            held.append(_acquire(path, deadline, busy))
        yield
    finally:
        done.set()
        heartbeat.join()
        for lock in reversed(held):
            lock.release()


class _Lock:
    """A lock folder that we made, for as long as nobody took it from us (we may have been stopped for a minute)."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._mark = _mark(path)

    def touch(self) -> None:
        """Show that we are alive."""
        if self._is_ours():
            with suppress(OSError):
                os.utime(self._path)
            self._mark = _mark(self._path)

    def release(self) -> None:
        """Let the next one in."""
        if self._is_ours():
            with suppress(OSError):
                os.rmdir(self._path)

    def _is_ours(self) -> bool:
        return self._mark is not None and _mark(self._path) == self._mark


def _mark(path: str) -> tuple[int, int] | None:
    """Return what changes when another process takes a lock over: which folder it is, and when it was touched."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _acquire(path: str, deadline: float, busy: str) -> _Lock:
    while True:
        try:
            os.mkdir(path)
            return _Lock(path)
        except FileExistsError:
            removed = _take_over(path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreBusy(_("cannot lock {path}: {reason}", path=printable(path), reason=reason)) from error
        if time.monotonic() > deadline:
            raise StoreBusy(f"{busy} ({printable(path)})", _("try again in a minute"))
        if not removed:
            time.sleep(0.1)


def _take_over(path: str) -> bool:
    """Remove a lock that nobody has touched for a minute, and tell whether to try again at once.

    Of our own processes only one at a time may look and remove. Claude Code asks nobody, so the folder is renamed
    away and looked at once more: a lock that was made anew in between is given back.
    """
    try:
        descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if time.time() - os.lstat(path).st_mtime < _STALE_SECONDS:
            return False
        aside = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.stale"
        os.rename(path, aside)
        if time.time() - os.lstat(aside).st_mtime < _STALE_SECONDS:
            os.rename(aside, path)
            return False
        try:
            os.rmdir(aside)
        except OSError:
            # Something that is no lock of Claude Code's: it stays, and so does everybody who waits for it.
            os.rename(aside, path)
            return False
        return True
    except FileNotFoundError:
        return True
    except OSError:
        # Not ours to remove, or a disk that knows no flock: whoever waits is told that the store is busy.
        return False
    finally:
        os.close(descriptor)

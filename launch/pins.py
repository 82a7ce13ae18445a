"""Owns where a session's pin lies while it runs: in memory, else in a private file that goes when the session has gone.

The pin of a key or token holds that secret. A descriptor that only the program has is no file at all; clients that read
the path again later, and background jobs, need one: on a memory disk, on an ordinary one only where there is no other.
The program inherits a lock on its file, so whoever gets the lock knows that the session has gone, however it ended.
What the pin says is claude/pin.py's.
"""

import fcntl
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from ..claude import jobs
from ..claude.program import Launch
from ..messages import StorageFailed
from ..system.access import cannot_write
from ..system.folders import data_folder
from ..system.private_files import make_private_folder

# A caller's shell may use the lower numbers.
_FIRST_NUMBER = 10
_SESSION, _JOB = "session", "job"
_UNFINISHED = ".tmp"
_NAME = rf"(?P<kind>{_SESSION}|{_JOB})\.[0-9a-f]{{16}}\.json(?P<unfinished>\{_UNFINISHED})?"
# A job's first mention comes a moment after the program that started it has ended; a file may get its lock a moment
# after it was made.
_YOUNG_SECONDS = 60.0
# Here earlier versions kept merged `--settings`; no session of then is still this old.
_EARLIER_FOLDER = "settings"
_EARLIER_SECONDS = 30 * 86_400.0


class Pin(NamedTuple):
    """A pin in its place. The program must inherit `descriptor` (-1: no pin); `path` is "" for one in memory."""

    descriptor: int
    path: str

    def argv(self, launch: Launch, number: int) -> list[str]:
        """Return the argument vector that names the pin; `number` is the descriptor's in the program."""
        if self.descriptor < 0:
            return launch.argv
        settings = ["--settings", self.path or f"/proc/self/fd/{number}"]
        return launch.argv[: launch.pin_at] + settings + launch.argv[launch.pin_at :]

    def inherit(self) -> int:
        """Give the descriptor a number that this process's successor inherits, and return it; -1 without one."""
        return fcntl.fcntl(self.descriptor, fcntl.F_DUPFD, _FIRST_NUMBER) if self.descriptor >= 0 else -1

    def close(self) -> None:
        """Let go of the descriptor, which the program has by now."""
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def remove(self) -> None:
        """Take everything away again, of a program that did not start."""
        self.close()
        if self.path:
            with suppress(FileNotFoundError):
                os.unlink(self.path)


NONE = Pin(-1, "")


def place(launch: Launch) -> Pin:
    """Put a launch's pin in its place. Raises StorageFailed."""
    if not launch.pin:
        return NONE
    data = launch.pin.encode()
    if launch.pin_in_memory and sys.platform == "linux" and os.path.isdir("/proc/self/fd"):
        return Pin(_in_memory(data), "")
    kind = _JOB if launch.pin_outlives else _SESSION
    path = os.path.join(_folder(), f"{kind}.{os.urandom(8).hex()}.json")
    return Pin(_locked_file(path, data), path)


def sweep(config_folder: str) -> None:
    """Remove the pins of sessions that have gone; that of a background job of this configuration goes with the job.

    Not before: 2.1.197 starts a job whose pin has gone with whatever else it finds.
    """
    needed: set[str] | None = None
    for path, spare_young in _files():
        if needed is None:
            needed = {job.settings for job in jobs.listed(config_folder)}
        if path not in needed and _is_abandoned(path, spare_young):
            # Of a disk that can only be read nothing can be removed.
            with suppress(OSError):
                os.unlink(path)
    _sweep_earlier(config_folder)


def _sweep_earlier(config_folder: str) -> None:
    """Remove what earlier versions left, and their folder with the last of it."""
    folder = os.path.join(data_folder(), _EARLIER_FOLDER)
    try:
        paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        return
    needed = {job.settings for job in jobs.listed(config_folder)}
    with suppress(OSError):
        for path in paths:
            if path not in needed and time.time() - os.lstat(path).st_mtime > _EARLIER_SECONDS:
                os.unlink(path)
        os.rmdir(folder)


def _files() -> Iterator[tuple[str, bool]]:
    """Give the path of every pin, and whether a young one may lack its lock."""
    for folder in _candidates():
        try:
            names = os.listdir(folder)
        except OSError:
            # There is none, or it is somebody else's.
            continue
        for name in names:
            named = re.fullmatch(_NAME, name)
            if named:
                yield os.path.join(folder, name), named["kind"] == _JOB or bool(named["unfinished"])


def _is_abandoned(path: str, spare_young: bool) -> bool:
    """Tell whether no program has the pin's lock any more."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if spare_young and time.time() - os.fstat(descriptor).st_mtime < _YOUNG_SECONDS:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        # It is held; or this disk knows no locks, and then nobody can tell.
        return False
    finally:
        os.close(descriptor)


def _in_memory(data: bytes) -> int:
    descriptor = os.memfd_create("pin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, data)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return descriptor


def _locked_file(path: str, data: bytes) -> int:
    """Make the file, which has its lock and its content before it has its name; return the descriptor with the lock."""
    try:
        nameless = getattr(os, "O_TMPFILE", 0)
        with suppress(OSError):
            # Not on every system, nor on every disk; and some of those know no hard link.
            return _filled(os.open(os.path.dirname(path), os.O_RDWR | nameless | os.O_CLOEXEC, 0o600), data, path)
        temporary = path + _UNFINISHED
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return _filled(os.open(temporary, flags, 0o600), data, path, temporary)
    except OSError as error:
        raise cannot_write(path, error) from error


def _filled(descriptor: int, data: bytes, path: str, temporary: str = "") -> int:
    """Lock and fill a new file, nameless or one of a temporary name, and give it its name; return its descriptor."""
    try:
        with suppress(OSError):
            # Where there are no locks, nobody finds the file abandoned either.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        if temporary:
            os.rename(temporary, path)
        else:
            # Only with a folder's descriptor does Python follow the link; the path, being absolute, ignores it.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except BaseException:
        os.close(descriptor)
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        raise
    return descriptor


def _folder() -> str:
    """Return the private folder for pins, which is made where there is none. Raises StorageFailed."""
    *in_memory, on_disk = _candidates()
    for folder in in_memory:
        with suppress(StorageFailed):
            # In a folder that everybody may use, somebody else may have been there first.
            if not os.path.islink(folder):
                make_private_folder(folder)
                if os.stat(folder).st_uid == os.getuid():
                    return folder
    make_private_folder(on_disk)
    return on_disk


def _candidates() -> list[str]:
    """Return the folders that pins may lie in, the best first: on memory disks, then in the data folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    shared = f"/dev/shm/claude-accounts-{os.getuid()}"  # noqa: S108 - made private, and its owner looked at
    places = [os.path.join(runtime, "claude-accounts"), shared]
    return [*(place for place in places if _is_in_memory(os.path.dirname(place))), os.path.join(data_folder(), "pins")]


def _is_in_memory(folder: str) -> bool:
    """Tell whether a folder of ours, or one that everybody may use, lies on a memory disk."""
    if sys.platform != "linux" or not os.access(folder, os.W_OK | os.X_OK):
        return False
    try:
        number = os.stat(folder).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split() for line in file]
    except OSError:
        return False
    device = f"{os.major(number)}:{os.minor(number)}"
    return any(mount[2] == device and mount[mount.index("-") + 1] in ("tmpfs", "ramfs") for mount in mounts)

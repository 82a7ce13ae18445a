"""Places where a command of ours runs: as another user, on a disk that can only be read, on a full one.

Each function is for warm.run: it makes the place for its own process alone, then is the command.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import warm

_NEW_MOUNTS = 0x00020000
_READ_ONLY, _REMOUNT, _BIND, _PRIVATE = 1, 32, 4096, 0x44000
SOMEBODY = 65534
# The full disk; SQLite's own files beside the database want half of this.
_SIZE = 512 * 1024


def can_mount() -> bool:
    """Tell whether this process may make such places."""
    pid = os.fork()
    if pid == 0:
        try:
            _alone()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def as_somebody(*words: str) -> int:
    """Be the command of a user who is not root."""
    # Python itself may lie where only root can read it.
    for name in ("encodings.ascii", "encodings.latin_1", "difflib", "shutil", "tempfile", "pwd", "urllib.parse"):
        import_module(name)
    os.setgroups([])
    os.setresgid(SOMEBODY, SOMEBODY, SOMEBODY)
    os.setresuid(SOMEBODY, SOMEBODY, SOMEBODY)
    return _be(words)


def read_only(folder: str, *words: str) -> int:
    """Be the command where a folder lies on a disk that can only be read."""
    _alone()
    _mount(folder, folder, "", _BIND)
    _mount("none", folder, "", _REMOUNT | _BIND | _READ_ONLY)
    return _be(words)


def full(folder: str, *words: str) -> int:
    """Be the command where a folder lies, as it is, on a full disk."""
    _alone()
    kept = f"{folder}.kept"
    shutil.copytree(folder, kept, symlinks=True)
    _mount("tmpfs", folder, "tmpfs", 0, f"size={_SIZE},mode=0700")
    shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(kept)
    with open(os.path.join(folder, "filling"), "wb", 0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    return _be(words)


def page(*paths: str) -> int:
    """Print what the dashboard answers to GETs of these paths, with the API token in TEST_TOKEN."""
    client = bare("server").create_app(bare("dashboard.api").Config()).test_client()
    answers = {}
    for path in paths:
        answer = client.get(path, headers={"X-Auth-Token": os.environ["TEST_TOKEN"]})
        answers[path] = (answer.status_code, answer.get_data(as_text=True))
    print(json.dumps(answers))
    return 0


def bare(name: str) -> Any:
    """Return a module of the program."""
    return import_module("bare_names").member(name)


def _be(words: tuple[str, ...]) -> int:
    return page(*words[1:]) if words[0] == "GET" else warm.command(*words)


def _alone() -> None:
    """Let what is mounted from now on be seen by this process alone."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS):
        raise OSError(ctypes.get_errno(), "unshare")
    _mount("none", "/", "", _PRIVATE)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(Path(target)))

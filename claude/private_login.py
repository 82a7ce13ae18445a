"""Owns the private folder of one `claude auth login`: made for it, removed with everything in it afterwards."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from ..system import programs
from ..system.folders import data_folder
from ..system.private_files import lock, make_private_folder
from . import nesting, settings
from .credentials_file import STORE_VARIABLE, forget_login, remove_tree
from .variables import CREDENTIAL_VARIABLES

_ABANDONED_SECONDS = 60.0
# What Claude Code itself takes for its proxy.
_FOLLOWED = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")


@contextmanager
def folder() -> Iterator[str]:
    """Give an empty private folder for one `claude auth login`, and remove it with everything in it afterwards.

    What a killed run left behind is removed by the next one: a folder in use is flocked by its owner.
    """
    # Launching must not pay for this import.
    import tempfile

    parent = os.path.join(data_folder(), "private-logins")
    make_private_folder(parent)
    _sweep(parent)
    made = tempfile.mkdtemp(dir=parent)
    descriptor = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
    try:
        lock(descriptor, fcntl.LOCK_EX)
        yield made
    finally:
        try:
            remove_tree(made)
        finally:
            os.close(descriptor)
            forget_login(made)
        with suppress(OSError):
            # Another login may be under way in a folder beside ours.
            os.rmdir(parent)


def environment(environ: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return the environment in which claude signs in for itself alone: its own folder, no credential of the caller.

    That folder holds no settings: what the user's own ones say of the network goes along, and wins as it does there.
    """
    outward = nesting.without(settings.network_environment(environ))
    kept = {name: value for name, value in outward.items() if name not in CREDENTIAL_VARIABLES}
    kept.pop(STORE_VARIABLE, None)
    everywhere = kept.get("all_proxy") or kept.get("ALL_PROXY") or ""
    if everywhere.startswith(("http://", "https://")) and not any(map(kept.get, _FOLLOWED)):
        # The client's own sign-in fails behind a proxy that only this names.
        kept["HTTPS_PROXY"] = everywhere
    return kept | {"CLAUDE_CONFIG_DIR": folder}


def sign_in(program: str, environ: Mapping[str, str], folder: str) -> int:
    """Run claude's own sign-in on our terminal, for the private folder; return its exit code."""
    return programs.run_on_terminal([program, "auth", "login"], environment(environ, folder))


def _sweep(parent: str) -> None:
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            # Another run removed it just now.
            continue
        try:
            if not lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                # On a disk without locks nobody can tell; what is left there has at most a login that was thrown away.
                continue
            # A folder made this second may not be locked yet by the run that made it.
            if time.time() - os.fstat(descriptor).st_mtime > _ABANDONED_SECONDS:
                forget_login(path)
                remove_tree(path)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)

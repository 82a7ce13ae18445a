"""Owns what Claude Code keeps of its background jobs: which are there, in which folder, started with which settings.

A job outlives the program that started it, in a service that all sessions of one configuration folder share. The files
were seen with 2.1.197 and 2.1.332; whatever is missing or odd in them is left out.
"""

import json
import os
from typing import Any, NamedTuple

from ..messages import InvalidInput
from .credentials_file import read_regular_file

_ENDED = frozenset(("failed", "stopped", "killed", "exited"))


class Job(NamedTuple):
    """A background job. `pid` is 0 while it has no process, `settings` the file that it reads at every start."""

    id: str
    ended: bool
    pid: int
    folder: str
    session_id: str
    settings: str


def listed(config_folder: str) -> list[Job]:
    """Return the jobs of one configuration folder; one that has ended can be started anew. Writes nothing."""
    parent = os.path.join(config_folder, "jobs")
    try:
        names = sorted(os.listdir(parent))
    except OSError:
        return []
    workers = _object(os.path.join(config_folder, "daemon", "roster.json")).get("workers")
    found = []
    for name in names:
        state = _object(os.path.join(parent, name, "state.json"))
        if state:
            worker = workers.get(name) if isinstance(workers, dict) else None
            pid = worker.get("pid") if isinstance(worker, dict) else None
            texts = {key: value for key, value in state.items() if isinstance(value, str)}
            found.append(
                Job(
                    name,
                    state.get("state") in _ENDED,
                    pid if isinstance(pid, int) and not isinstance(pid, bool) else 0,
                    texts.get("cwd", ""),
                    texts.get("sessionId", ""),
                    _settings_in(state.get("respawnFlags")),
                )
            )
    return found


def _settings_in(flags: object) -> str:
    words = [word for word in flags if isinstance(word, str)] if isinstance(flags, list) else []
    for word, following in zip(words, words[1:], strict=False):
        if word == "--settings":
            return following
    return next((word.partition("=")[2] for word in words if word.startswith("--settings=")), "")


def _object(path: str) -> dict[str, Any]:
    try:
        whole = json.loads(read_regular_file(path) or b"{}")
    except (InvalidInput, ValueError, RecursionError):
        return {}
    return whole if isinstance(whole, dict) else {}

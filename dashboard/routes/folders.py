"""Owns the routes of the terminal dialog: folders to open one in, terminals that are running."""

from __future__ import annotations

import os
from typing import Any

from flask import Blueprint, Response, jsonify, request

from ...accounts import sessions
from ...messages import InvalidInput, NotFound, _, printable
from ...system.folders import expanded_or_same
from ..api import body, flag, image_body, ok, parts

blueprint = Blueprint("folders", __name__, url_prefix="/api")
_MOST_FOLDERS = 1000


@blueprint.get("/browse")
def browse() -> Response:
    """List the folders in a folder, at most 1,000 of them; hidden ones with `hidden=1`."""
    path = absolute(request.args.get("path", "") or "~")
    names, truncated = _folders_in(path, hidden=flag("hidden"))
    return jsonify(
        {
            "path": path,
            "parent": os.path.dirname(path),
            "folders": [{"name": name, "path": os.path.join(path, name)} for name in names],
            "truncated": truncated,
        }
    )


@blueprint.get("/recent-dirs")
def recent_dirs() -> Response:
    """List the folders that terminals were opened in, the newest first; of one account with `account_id`."""
    wanted = request.args.get("account_id", "")
    folders = [folder for account_id, folder in sessions.recent_folders() if wanted in ("", account_id)]
    return jsonify([folder for folder in dict.fromkeys(folders) if os.path.isdir(folder)])


@blueprint.get("/terminals")
def terminals() -> Response:
    """List the web terminals."""
    found: list[dict[str, Any]] = parts().terminals.describe()
    return jsonify(found)


@blueprint.post("/terminals/<terminal_id>/stop")
def stop_terminal(terminal_id: str) -> Response:
    """End one web terminal and what runs in it."""
    body("Nothing")
    parts().terminals.stop(terminal_id)
    return ok()


@blueprint.post("/terminals/<terminal_id>/images")
def keep_image(terminal_id: str) -> tuple[Response, int]:
    """Keep a picture where the program in a terminal can read it; it goes when the terminal ends."""
    path = parts().terminals.keep_image(terminal_id, image_body())
    return jsonify({"path": path}), 201


def absolute(text: str) -> str:
    """Return the normal form of an absolute path, or one from ~. Raises InvalidInput."""
    path = expanded_or_same(text, os.environ)
    if "\0" in path or len(path) > 4096 or not os.path.isabs(path):
        raise InvalidInput(_("{path} is not an absolute path", path=printable(text[:100])), field="path")
    return os.path.normpath(path)


def _folders_in(path: str, *, hidden: bool) -> tuple[list[str], bool]:
    try:
        with os.scandir(path) as entries:
            found = [entry.name for entry in entries if _is_folder(entry) and (hidden or entry.name[0] != ".")]
    except FileNotFoundError as error:
        raise NotFound(_("there is no folder {path}", path=printable(path))) from error
    except OSError as error:
        # Not a folder, not ours to read, a name too long: all of them the caller's choice.
        reason = error.strerror or str(error)
        raise InvalidInput(
            _("cannot read {path}: {reason}", path=printable(path[:200]), reason=reason), field="path"
        ) from error
    found.sort(key=str.lower)
    return found[:_MOST_FOLDERS], len(found) > _MOST_FOLDERS


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        entry.name.encode()
        return entry.is_dir()
    except (UnicodeEncodeError, OSError):
        # A name that no JSON can carry, or a link that leads nowhere.
        return False

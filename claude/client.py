"""Owns what is known of one claude: whether it is Claude Code, which version, whether it keeps a store of its own.

What was learnt is remembered only of a file that is Claude Code itself. A script, or a shim that becomes now this
version and now that, is asked each time, in the folder and with the environment in which it will run.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from ..messages import InvalidInput, StorageFailed
from ..system import programs
from ..system.access import NOTHING_THERE, cannot_read, cannot_write
from ..system.folders import data_folder
from ..system.private_files import make_private_folder, write_private_file
from . import credentials_file
from .credentials_file import STORE_VARIABLE
from .variables import CREDENTIAL_VARIABLES

# The oldest version that was seen to keep its login in a store of its own; older ones have not been looked at.
FIRST_WITH_OWN_STORE = (2, 1, 197)
# The newest version that tests/real_client has been run with; docs/claude-code.md says what was tried.
NEWEST_TRIED = (2, 1, 332)
_VERSION_SECONDS = 6.0
_STATUS_SECONDS = 20.0
_NUMBERS = rb"(?<![\d.])(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?![\d.])"
_ITS_NAME = b"(Claude Code)"
# Of an installation's own path; many other tools have a folder `versions`, of Node.js or Python for instance.
_IN_PATH = r"/(?:claude/versions|claude-code)/(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:/|$)"
# Of the environment these alone say where Claude Code is to look, and not with which credential.
_PLACES = frozenset(("CLAUDE_CONFIG_DIR", "CLAUDE_CODE_TMPDIR"))
Version = tuple[int, int, int]


class Client(NamedTuple):
    """One claude: its version (None: it does not tell), and whether it is Claude Code at all.

    `is_itself` tells that its file is Claude Code and nothing that chooses one; what it says now it will say again.
    """

    version: Version | None
    is_claude_code: bool
    is_itself: bool


def identify(program: str, environ: Mapping[str, str], cwd: str | None = None) -> Client:
    """Return who a claude is: read off its path, its package or what we remember, else asked (in `cwd`).

    One that does not answer in time counts as Claude Code of an unknown version. Raises AccountsError when it cannot be
    started.
    """
    installed = _installed_version(program)
    if installed:
        return Client(installed, True, True)
    remembered = _version(_remembered(program).get("version")) if _is_itself(program) else None
    if remembered:
        return Client(remembered, True, True)
    found = ask(program, environ, cwd)
    if found.version and found.is_itself:
        _remember(program, version=".".join(map(str, found.version)))
    return found


def ask(program: str, environ: Mapping[str, str], cwd: str | None = None) -> Client:
    """Return who a claude says that it is, and remember nothing. Raises AccountsError when it cannot be started."""
    quiet = {name: value for name, value in environ.items() if name not in CREDENTIAL_VARIABLES}
    code, output = programs.run([program, "--version"], quiet, seconds=_VERSION_SECONDS, cwd=cwd)
    before_name = (line.rpartition(_ITS_NAME)[0] for line in output.split(b"\n"))
    match = next((match for text in before_name if (match := re.search(_NUMBERS, text))), None)
    found = (int(match[1]), int(match[2]), int(match[3])) if match else None
    return Client(found, found is not None or code == -1, found is not None and _is_itself(program))


def client_version(program: str, environ: Mapping[str, str], cwd: str | None = None) -> Version | None:
    """Return the version of a claude, None when it does not tell. Raises AccountsError when it cannot be started."""
    return identify(program, environ, cwd).version


def known_version(program: str) -> Version | None:
    """Return a claude's version as far as it is known without starting anything."""
    remembered = _remembered(program).get("version") if _is_itself(program) else None
    return _installed_version(program) or _version(remembered)


def honours_own_store(program: str, environ: Mapping[str, str], cwd: str | None = None) -> bool:
    """Tell whether this claude keeps to the store that CLAUDE_SECURESTORAGE_CONFIG_DIR names.

    It is asked in an empty store and without anything else that could sign it in: one that finds a login has looked
    somewhere else. Only a yes is remembered; whatever was in the way of one may be gone the next time.
    """
    client = identify(program, environ, cwd)
    if client.is_itself and _remembered(program).get("own_store") is True:
        return True
    if client.version is not None and client.version < FIRST_WITH_OWN_STORE:
        return False
    quiet = {name: value for name, value in environ.items() if name in _PLACES or not _concerns_claude(name)}
    quiet |= {STORE_VARIABLE: empty_store(), "ANTHROPIC_CONFIG_DIR": empty_profiles()}
    status = auth_status(program, quiet, cwd)
    if status is None:
        return False
    honours = status["loggedIn"] is False or status.get("authMethod") == "api_key_helper"
    if honours and client.is_itself:
        _remember(program, own_store=True)
    return honours


def auth_status(program: str, environ: Mapping[str, str], cwd: str | None = None) -> dict[str, Any] | None:
    """Return what a claude says of being signed in (`loggedIn`, true or false, and more), None when it does not."""
    _code, output = programs.run([program, "auth", "status"], environ, seconds=_STATUS_SECONDS, cwd=cwd)
    try:
        status = json.loads(output)
    except (ValueError, RecursionError):
        return None
    return status if isinstance(status, dict) and isinstance(status.get("loggedIn"), bool) else None


def empty_store() -> str:
    """Return a private folder without any login, made anew if somebody has signed in inside it."""
    folder = os.path.join(data_folder(), "no-login")
    with suppress(StorageFailed):
        # A folder that is not there holds no login either.
        make_private_folder(folder)
    try:
        names = os.listdir(folder)
    except NOTHING_THERE:
        names = []
    except OSError as error:
        raise cannot_read(folder, error) from error
    for name in names:
        try:
            os.unlink(os.path.join(folder, name))
        except (FileNotFoundError, IsADirectoryError, PermissionError):
            continue
        except OSError as error:
            raise cannot_write(os.path.join(folder, name), error) from error
    credentials_file.forget_login(folder)
    return folder


def empty_profiles() -> str:
    """Return a private folder without any profile of `ant auth login`, made anew if somebody has put one there."""
    folder = os.path.join(data_folder(), "no-profiles")
    if os.path.lexists(folder) and os.listdir(folder):
        credentials_file.remove_tree(folder)
    with suppress(StorageFailed):
        # A folder that is not there holds no profile either.
        make_private_folder(folder)
    return folder


def _concerns_claude(name: str) -> bool:
    return name.startswith(("ANTHROPIC_", "CLAUDE", "AWS_BEARER_TOKEN")) or name in CREDENTIAL_VARIABLES


def _is_itself(program: str) -> bool:
    """Tell whether the file is a program of its own by the name claude.

    A script decides each time anew what it starts, and a link to a program of another name (mise, volta-shim) makes
    that program choose one. So does a second name of such a program (a hard link).
    """
    path = os.path.realpath(program)
    if _installed_version(program):
        return True
    try:
        with open(path, "rb") as file:
            head = file.read(4)
            once = os.fstat(file.fileno()).st_nlink == 1
    except OSError:
        return False
    return head in _PROGRAM_HEADS and once and os.path.basename(path) in ("claude", "claude.exe")


# ELF, Mach-O (64 bit, and for several machines).
_PROGRAM_HEADS = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


def _installed_version(program: str) -> Version | None:
    """Return the version that the installation itself names: its package, or its path."""
    path = os.path.realpath(program)
    match = re.search(_IN_PATH, path)
    return (int(match[1]), int(match[2]), int(match[3])) if match else _version_of_package(path)


def _version_of_package(path: str) -> Version | None:
    folder = os.path.dirname(path)
    for _level in range(3):
        package = _read_json(os.path.join(folder, "package.json"))
        if str(package.get("name", "")).startswith("@anthropic-ai/claude-code"):
            return _version(package.get("version"))
        folder = os.path.dirname(folder)
    return None


def _version(text: object) -> Version | None:
    match = re.match(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?![\d.])", str(text))
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _remembered(program: str) -> dict[str, Any]:
    """Return what we know of a claude for as long as its file stays the same."""
    path = os.path.realpath(program)
    known = _read_json(_memory_path()).get(path)
    return known if isinstance(known, dict) and known.get("file") == _file_mark(path) else {}


def _remember(program: str, **facts: object) -> None:
    path = os.path.realpath(program)
    known = _remembered(program) | {"file": _file_mark(path)} | facts
    versions = _read_json(_memory_path()) | {path: known}
    with suppress(StorageFailed):
        # A full disk is no reason to keep somebody from working; the next launch asks again.
        make_private_folder(data_folder())
        write_private_file(_memory_path(), json.dumps(versions).encode())


def _memory_path() -> str:
    return os.path.join(data_folder(), "client.json")


def _file_mark(path: str) -> list[int]:
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _read_json(path: str) -> dict[str, Any]:
    """Return a JSON object from a file of which only a little is wanted; what is not one holds nothing."""
    try:
        whole = json.loads(credentials_file.read_regular_file(path) or b"{}")
    except (InvalidInput, ValueError, RecursionError):
        return {}
    return whole if isinstance(whole, dict) else {}

"""Owns the one line of ours in the user's shell files: put there, found again, taken out so that nothing remains.

It works on bytes, keeps links links and modes as they are, and checks every file before it changes the first.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping
from typing import NamedTuple

from ..messages import AccountsError, StorageFailed, _, printable
from ..system import programs
from ..system.access import cannot_write, read_plain_file
from ..system.folders import home_folder
from ..system.private_files import write_private_file
from . import aliases as shell_aliases

# Set where the user's shell files are out of reach: the image sets it.
CONTAINER_VARIABLE = "CLAUDE_ACCOUNTS_IN_CONTAINER"
# The mark says what came with the line, so that taking it out gives back the very bytes that were there.
_LARGEST_FILE = 16 * 1024 * 1024
_MARK = b"# added by claude-accounts"
_WITH_NEWLINE = _MARK + b", with the line break before it"
_WITH_FILE = _MARK + b", with this file"


class Change(NamedTuple):
    """What would become of one file; None means that there is no file."""

    path: str
    before: bytes | None
    after: bytes | None

    def describe(self) -> str:
        """Return the lines that go and come, as a diff shows them."""
        import difflib

        def lines(content: bytes | None) -> list[str]:
            return [printable(line) + "\n" for line in (content or b"").decode("utf-8", "replace").splitlines()]

        path = printable(self.path)
        difference = difflib.unified_diff(lines(self.before), lines(self.after), path, path, n=0)
        return "".join(difference).rstrip()


def plan_install(environ: Mapping[str, str]) -> list[Change]:
    """Return the changes that make each of the user's shells read the alias file; none for those that do already.

    Raises AccountsError inside a container, whose shells are not the user's.
    """
    if environ.get(CONTAINER_VARIABLE):
        raise AccountsError(
            _("a container cannot change the shell files of the machine it runs on"),
            _("on that machine itself: ./start.sh install"),
        )
    changes = []
    for path, create in _posix_files(environ):
        changes.append(_with_line(path, posix_line(), create=create))
    fish = _fish_file(environ)
    has_fish = programs.find("fish", environ) is not None or os.path.isdir(os.path.dirname(os.path.dirname(fish)))
    changes.append(_with_line(fish, _fish_line(), create=has_fish))
    return [change for change in changes if change.after != change.before]


def plan_uninstall(environ: Mapping[str, str]) -> list[Change]:
    """Return the changes that take our line out again, and the alias files away."""
    changes = []
    for path in _all_files(environ):
        before = _read(path)
        if before is not None and _MARK in before:
            changes.append(Change(path, before, _without_line(before)))
    for kind in ("bash", "fish"):
        before = _read(shell_aliases.alias_path(kind))
        if before is not None:
            changes.append(Change(shell_aliases.alias_path(kind), before, None))
    return changes


def install(names: list[str], environ: Mapping[str, str]) -> list[Change]:
    """Write the alias files of these names, let the user's shells read them, and return what was changed for that."""
    changes = plan_install(environ)
    for change in changes:
        _check(change.path)
    shell_aliases.write_aliases(names)
    apply(changes)
    return changes


def apply(changes: list[Change]) -> None:
    """Make the changes, after a look whether all of them can be made. Raises StorageFailed."""
    for change in changes:
        _check(change.path)
    for change in changes:
        try:
            if change.after is None:
                os.unlink(os.path.realpath(change.path))
                continue
            os.makedirs(os.path.dirname(change.path), exist_ok=True)
        except OSError as error:
            raise cannot_write(change.path, error) from error
        mode = 0o644 if change.before is None else stat.S_IMODE(os.stat(change.path).st_mode)
        write_private_file(change.path, change.after, mode=mode)


def is_installed(environ: Mapping[str, str]) -> bool:
    """Tell whether any of the user's shells reads the alias file."""
    return any(_MARK in (_read(path) or b"") for path in _all_files(environ))


def _posix_files(environ: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Return the files that bash and zsh read at their start, and whether to create it: only the login shell's own."""
    home = home_folder()
    login_shell = os.path.basename(environ.get("SHELL", ""))
    files = [(os.path.join(home, ".bashrc"), login_shell == "bash")]
    profile = os.path.join(home, ".bash_profile")
    content = _read(profile)
    if content is not None and b"bashrc" not in content:
        # A login shell reads only this one, as every terminal of macOS is.
        files.append((profile, False))
    folder = environ.get("ZDOTDIR") or home
    return [*files, (os.path.join(folder, ".zshrc"), login_shell == "zsh")]


def _all_files(environ: Mapping[str, str]) -> list[str]:
    """Return every file that may hold our line, also those that would get none today."""
    home = home_folder()
    names = (".bashrc", ".bash_profile", ".zshrc")
    files = [os.path.join(home, name) for name in names] + [path for path, _create in _posix_files(environ)]
    return [*dict.fromkeys(files), _fish_file(environ)]


def _fish_file(environ: Mapping[str, str]) -> str:
    folder = environ.get("XDG_CONFIG_HOME") or os.path.join(home_folder(), ".config")
    return os.path.join(folder, "fish", "conf.d", "claude-accounts.fish")


def posix_line() -> bytes:
    """Return what bash and zsh must read at their start; other shells that read the same file pass it over."""
    path = shlex.quote(shell_aliases.alias_path("bash"))
    return os.fsencode(f'if [ -n "${{BASH_VERSION-}}${{ZSH_VERSION-}}" ] && [ -r {path} ]; then . {path}; fi')


def _fish_line() -> bytes:
    path = shell_aliases.fish_quote(shell_aliases.alias_path("fish"))
    return os.fsencode(f"test -r {path}; and source {path}")


def _with_line(path: str, line: bytes, *, create: bool) -> Change:
    """Return the file with our line in it once; one that reads another data folder's aliases now reads ours."""
    before = _read(path)
    if before is None:
        return Change(path, None, line + b"  " + _WITH_FILE + b"\n" if create else None)
    if _MARK in before:
        lines = before.splitlines(keepends=True)
        renewed = [line + b"  " + _MARK + old.partition(_MARK)[2] if _MARK in old else old for old in lines]
        return Change(path, before, b"".join(renewed))
    if before and not before.endswith(b"\n"):
        return Change(path, before, before + b"\n" + line + b"  " + _WITH_NEWLINE + b"\n")
    return Change(path, before, before + line + b"  " + _MARK + b"\n")


def _without_line(content: bytes) -> bytes | None:
    kept = b""
    lines = content.splitlines(keepends=True)
    for position, line in enumerate(lines, 1):
        if _MARK not in line:
            kept += line
        elif _WITH_FILE in line and line == content:
            return None
        elif _WITH_NEWLINE in line and position == len(lines):
            # With lines below it, the break now parts what was there from what came later.
            kept = kept[:-1]
    return kept


def _read(path: str) -> bytes | None:
    return read_plain_file(path, _LARGEST_FILE)


def _check(path: str) -> None:
    """Raise StorageFailed unless the file (a link's target) and its folder can be written."""
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        # A link to /dev/null, say: renaming a file over it would take the device away.
        reason = _("it is not a plain file")
        raise StorageFailed(_("cannot write {path}: {reason}", path=printable(path), reason=reason))
    folder = os.path.dirname(target)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    blocked = next((place for place in (target, folder) if os.path.exists(place) and not os.access(place, os.W_OK)), "")
    if blocked:
        reason = _("it is read-only")
        raise StorageFailed(_("cannot write {path}: {reason}", path=printable(path), reason=reason))

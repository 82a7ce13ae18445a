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
from ..system.access import cannot_write, read_plain_file
from ..system.folders import home_folder
from ..system.private_files import write_private_file
from . import aliases as shell_aliases, shells

# Set where the user's shell files are out of reach: the image sets it.
CONTAINER_VARIABLE = "CLAUDE_ACCOUNTS_IN_CONTAINER"
# The mark says what came with the line, so that taking it out gives back the very bytes that were there.
_LARGEST_FILE = 16 * 1024 * 1024
_MARK = b"# added by claude-accounts"
_WITH_NEWLINE = _MARK + b", with the line break before it"
_WITH_NEWLINES = _MARK + b", with the two line breaks before it"
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

    Raises AccountsError inside a container, whose shells are not the user's, and for a path that no line can name.
    """
    if environ.get(CONTAINER_VARIABLE):
        raise AccountsError(
            _("a container cannot change the shell files of the machine it runs on"),
            _("on that machine itself: ./start.sh install"),
        )
    path = shell_aliases.alias_path("bash")
    if len(path.splitlines()) > 1:
        raise AccountsError(
            _("{path} has a line break in it, so no line of a shell file can name it", path=printable(path)),
            "export CLAUDE_ACCOUNTS_HOME=~/.claude-accounts",
        )
    own = shells.login_shell(environ)
    changes = [*_bash_changes(environ, own), _changed(_zsh_file(environ), "zsh", environ, create=own == "zsh")]
    uses_fish = own == "fish" or os.path.isdir(shells.fish_folder(environ))
    changes.append(_with_line(_fish_file(environ), _fish_line(), create=uses_fish))
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
        check(change.path)
    shell_aliases.write_aliases(names)
    apply(changes)
    return changes


def standings(environ: Mapping[str, str]) -> list[shells.Standing]:
    """Ask a new shell of each kind that the user has, and return how they stand."""
    lines = {"fish": _fish_line()}
    return [shells.standing(kind, environ, os.fsdecode(lines.get(kind, posix_line()))) for kind in shells.used(environ)]


def apply(changes: list[Change]) -> None:
    """Make the changes, after a look whether all of them can be made. Raises StorageFailed."""
    for change in changes:
        check(change.path)
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


def _bash_changes(environ: Mapping[str, str], own: str) -> list[Change]:
    """Return the changes of bash's files: a login shell reads another one, which often but not always leads to .bashrc.

    What belongs to bash alone is changed wherever it is there, .profile only for who signs in with bash.
    """
    home = home_folder()
    rc, login = os.path.join(home, ".bashrc"), shells.bash_login_file()
    changes = [_changed(rc, "bash", environ, create=own == "bash")]
    has_line = [path for path in _bash_files() if path != rc and _MARK in (_read(path) or b"")]
    wanted = own == "bash" or os.path.basename(login) != ".profile"
    leads = changes[0].after is not None and shells.leads_to_bashrc(login)
    if wanted and not leads and login not in has_line:
        changes.append(_changed(login, "bash", environ, create=own == "bash", login=True))
    return changes + [_with_line(path, posix_line(), create=False) for path in has_line]


def _changed(path: str, kind: str, environ: Mapping[str, str], *, create: bool, login: bool = False) -> Change:
    """Return the file with our line, or as it is where a new shell of this kind has the aliases without it."""
    change = _with_line(path, posix_line(), create=create)
    before = change.before or b""
    if change.after == change.before or _MARK in before or not os.path.exists(shell_aliases.alias_path("bash")):
        return change
    return Change(path, change.before, change.before) if shells.asked(kind, environ, login=login) else change


def _bash_files() -> list[str]:
    home = home_folder()
    return [os.path.join(home, name) for name in (".bashrc", ".bash_profile", ".bash_login", ".profile")]


def _zsh_file(environ: Mapping[str, str]) -> str:
    return os.path.join(shells.zsh_folder(environ), ".zshrc")


def _all_files(environ: Mapping[str, str]) -> list[str]:
    """Return every file that may hold our line, also those that would get none today."""
    home = home_folder()
    zsh = [os.path.join(folder, ".zshrc") for folder in (home, environ.get("ZDOTDIR") or home)]
    fish = os.path.join(home, ".config", "fish", "conf.d", "claude-accounts.fish")
    return [*dict.fromkeys([*_bash_files(), *zsh, _zsh_file(environ), fish, _fish_file(environ)])]


def _fish_file(environ: Mapping[str, str]) -> str:
    return os.path.join(shells.fish_folder(environ), "conf.d", "claude-accounts.fish")


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
    last = before.rstrip(b"\n")
    breaks = int(bool(before) and not before.endswith(b"\n"))
    if last.endswith(b"\\") and before[len(last) :] in (b"", b"\n"):
        # It would make one line of its last one and ours.
        breaks += 1
    if breaks:
        mark = _WITH_NEWLINE if breaks == 1 else _WITH_NEWLINES
        return Change(path, before, before + b"\n" * breaks + line + b"  " + mark + b"\n")
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
        elif _WITH_NEWLINES in line and position == len(lines):
            kept = kept[:-2]
    return kept


def _read(path: str) -> bytes | None:
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        # A link to a device, say; it is refused where it would be written.
        return b""
    return read_plain_file(path, _LARGEST_FILE)


def check(path: str) -> None:
    """Raise StorageFailed unless the file (a link's target) and its folder can be written."""
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        # A link to /dev/null, say: renaming a file over it would take the device away.
        reason = _("it is not a plain file")
        raise StorageFailed(_("cannot write {path}: {reason}", path=printable(path), reason=reason))
    folder = os.path.dirname(target)
    if os.path.islink(path) and not os.path.isdir(folder):
        # Dotfiles on a disk that is not there; a folder made in its place would hide them.
        reason = _("it is a link to {target}, which is not there", target=printable(target))
        raise StorageFailed(_("cannot write {path}: {reason}", path=printable(path), reason=reason))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    blocked = next((place for place in (target, folder) if os.path.exists(place) and not os.access(place, os.W_OK)), "")
    if blocked:
        reason = _("it is read-only")
        raise StorageFailed(_("cannot write {path}: {reason}", path=printable(path), reason=reason))

"""Owns which shells the user has and what a new one of each really reads: the shell itself is asked.

It changes nothing. A shell that is asked has no terminal and a few seconds; what it prints beside the answer is passed
over. rc_files.py puts our line where it is missing.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from ..messages import AccountsError, _, printable
from ..system import programs
from ..system.folders import home_folder
from . import aliases as shell_aliases

SECONDS = 5
_KNOWN = ("bash", "zsh", "fish", "ksh", "mksh", "yash", "dash", "ash", "sh", "nu")
# The other names under which the same shell goes.
_SAME = {"ksh93": "ksh", "rbash": "bash", "rzsh": "zsh", "busybox": "ash", "nushell": "nu", "rksh": "ksh"}
# The file that an interactive shell of these reads where ENV names none; the others read none then.
_OWN_FILE = {"ksh": ".kshrc", "mksh": ".mkshrc", "yash": ".yashrc"}
_LOGIN_FILES = (".bash_profile", ".bash_login", ".profile")
# A shell that starts tmux or asks for an update at its start does not do so then.
_ASKED = {"TERM": "dumb", "TMUX": "asked", "STY": "asked", "ZELLIJ": "0", "DISABLE_AUTO_UPDATE": "true"}
_MARK = b"<claude-accounts:"
_YES, _NO = "<claude-accounts:yes>", "<claude-accounts:no>"
_POSIX_QUESTION = f"if command -v %s >/dev/null 2>&1; then printf '\\n{_YES}\\n'; else printf '\\n{_NO}\\n'; fi"
_FISH_QUESTION = f"functions -q _claude_accounts_forget; and echo '{_YES}'; or echo '{_NO}'"
_NU_QUESTION = f"if (which claude-accounts | is-empty) {{ print '{_NO}' }} else {{ print '{_YES}' }}"


class Standing(NamedTuple):
    """How a new shell of one kind stands: whether our program is known there (None: it gave no answer), and the remedy.

    `line` belongs into `file`, for login shells into `login_file`; "" where there is nothing to add.
    """

    shell: str
    interactive: bool | None
    login: bool | None
    file: str = ""
    login_file: str = ""
    line: str = ""

    def works(self) -> bool:
        """Tell whether each new shell of this kind has the aliases."""
        return self.interactive is True and self.login is True

    def told(self) -> str:
        """Return the one sentence about it."""
        if self.shell not in _KNOWN:
            start = printable(shlex.join(shell_aliases.launcher()))
            shell = printable(self.shell)
            return _("{shell}: there are no aliases for this shell; what it starts: {start}", shell=shell, start=start)
        if self.works():
            return _("{shell}: works in new shells", shell=self.shell)
        if self.interactive is None and self.login is None:
            return _("{shell}: gave no answer, so whether it works is not known", shell=self.shell)
        if self.interactive and self.login is False:
            return _("{shell}: works in new shells, but not in login shells", shell=self.shell)
        if self.interactive and self.login is None:
            return _("{shell}: works in new shells; a login shell gave no answer", shell=self.shell)
        return _("{shell}: does not work in new shells", shell=self.shell)

    def remedy(self) -> str:
        """Return which line is missing where, "" where nothing is to be done."""
        if self.works() or not self.line:
            return ""
        file = self.file if self.interactive is not True else self.login_file
        return _("add this line to {file}: {line}", file=printable(file), line=printable(self.line))


def login_shell(environ: Mapping[str, str]) -> str:
    """Return the kind of the user's own shell: what SHELL says, else the system's list of users; "" when unknown."""
    path = environ.get("SHELL", "")
    if not path:
        import pwd

        try:
            path = pwd.getpwuid(os.getuid()).pw_shell
        except KeyError:
            return ""
    return _kind(path)


def used(environ: Mapping[str, str]) -> list[str]:
    """Return the kinds of shells that the user has files for, the login shell first."""
    home, config = home_folder(), _config_folder(environ)
    kinds = [login_shell(environ)]
    signs = {
        "bash": [os.path.join(home, ".bashrc")],
        "zsh": [os.path.join(zsh_folder(environ), ".zshrc")],
        "fish": [os.path.join(config, "fish")],
        "ksh": [os.path.join(home, ".kshrc")],
        "mksh": [os.path.join(home, ".mkshrc")],
        "yash": [os.path.join(home, ".yashrc")],
        "nu": [os.path.join(config, "nushell"), os.path.join(home, "Library/Application Support/nushell")],
    }
    kinds += [kind for kind, places in signs.items() if any(map(os.path.exists, places))]
    return [kind for kind in dict.fromkeys(kinds) if kind]


def zsh_folder(environ: Mapping[str, str]) -> str:
    """Return the folder whose .zshrc a new zsh reads; zsh is asked, for .zshenv may name it without telling others."""
    home = home_folder()
    fallback = environ.get("ZDOTDIR") or home
    program = _program("zsh", environ)
    if program is None:
        return fallback
    # Not interactive, it reads the files that come before .zshrc.
    said = _ask([program, "-c", 'printf "\\n<claude-accounts:%s>\\n" "${ZDOTDIR-}"'], environ)
    folder = _marked(said)
    if folder is None:
        return fallback
    return folder if os.path.isabs(folder) else home


def fish_folder(environ: Mapping[str, str]) -> str:
    """Return the folder of fish's own files."""
    return os.path.join(_config_folder(environ), "fish")


def bash_login_file() -> str:
    """Return the one file of the user's that a login shell of bash reads, .profile where there is none yet."""
    home = home_folder()
    paths = [os.path.join(home, name) for name in _LOGIN_FILES]
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.R_OK)), paths[-1])


def leads_to_bashrc(path: str) -> bool:
    """Tell whether this file of bash sources ~/.bashrc, by itself or by another one that it sources; by its words."""
    home = home_folder()
    seen: set[str] = set()
    waiting = [path]
    while waiting:
        path = os.path.realpath(waiting.pop())
        if path in seen or not os.path.isfile(path):
            continue
        seen.add(path)
        try:
            with open(path, "rb") as file:
                text = file.read().decode(errors="surrogateescape")
        except OSError:
            continue
        for name in _sourced(text, home):
            if name == ".bashrc":
                return True
            waiting.append(os.path.join(home, name))
    return False


def asked(kind: str, environ: Mapping[str, str], *, login: bool) -> bool | None:
    """Ask a new interactive shell whether it knows us; None where there is no such shell or no answer in time."""
    program = _program(kind, environ)
    if program is None:
        return None
    if kind == "nu":
        argv = [program, "-l", "-c", _NU_QUESTION]
    elif kind == "fish":
        argv = [program, *(["-l"] if login else []), "-i", "-c", _FISH_QUESTION]
    else:
        name = "_claude_accounts_forget" if kind in shell_aliases.SHELLS else "claude-accounts"
        words = [program, "ash"] if os.path.basename(program) == "busybox" else [program]
        argv = [*words, *(["-l"] if login else []), "-i", "-c", _POSIX_QUESTION % name]
    return {"yes": True, "no": False}.get(_marked(_ask(argv, environ)) or "")


def standing(kind: str, environ: Mapping[str, str], line: str) -> Standing:
    """Ask new shells of one kind, and return how they stand; `line` is what bash and zsh, or fish, would need."""
    file, line = _place(kind, environ, line)
    if kind == "nu" and not os.path.exists(file):
        # Asked, it would make its files.
        return Standing(kind, False, False, file, file, line)
    interactive = asked(kind, environ, login=False)
    # One that hangs would hang again; nu and fish read the same.
    login = interactive if interactive is None or kind in ("nu", "fish") else asked(kind, environ, login=True)
    return Standing(kind, interactive, login, file, bash_login_file() if kind == "bash" else file, line)


def _place(kind: str, environ: Mapping[str, str], line: str) -> tuple[str, str]:
    """Return into which file which line belongs."""
    home = home_folder()
    start = shlex.join(shell_aliases.launcher())
    if kind == "bash":
        return os.path.join(home, ".bashrc"), line
    if kind == "zsh":
        return os.path.join(zsh_folder(environ), ".zshrc"), line
    if kind == "fish":
        return os.path.join(fish_folder(environ), "config.fish"), line
    if kind == "nu":
        program = _program("nu", environ)
        said = _ask([program, "-c", 'print $"<claude-accounts:($nu.config-path)>"'], environ) if program else None
        default = os.path.join(_config_folder(environ), "nushell", "config.nu")
        words = " ".join(f"'{word}'" if re.search(r"[^\w./-]", word) else word for word in shell_aliases.launcher())
        return _marked(said) or default, f"alias claude-accounts = ^{words}"
    named = environ.get("ENV", "")
    if named or kind in _OWN_FILE:
        named = named or os.path.join(home, _OWN_FILE[kind])
    return named or _(
        "the file that ENV names"
    ), f"alias claude-accounts={shlex.quote(start)}" if kind in _KNOWN else ""


def _ask(argv: list[str], environ: Mapping[str, str]) -> bytes | None:
    """Return what a shell says without a terminal, None when it does not start or end in time."""
    try:
        code, said = programs.run(argv, {**environ, **_ASKED}, seconds=SECONDS, own_session=True)
    except (AccountsError, NotImplementedError):
        # Not every system can start it without our terminal.
        return None
    return None if code == -1 else said


def _program(kind: str, environ: Mapping[str, str]) -> str | None:
    own = environ.get("SHELL", "")
    if os.path.isabs(own) and _kind(own) == kind and os.access(own, os.X_OK):
        return own
    if kind not in _KNOWN:
        return None
    names = [kind, *(name for name, same in _SAME.items() if same == kind and not name.startswith("r"))]
    return next((path for name in names if (path := programs.find(name, environ))), None)


def _kind(path: str) -> str:
    name = os.path.basename(path)
    return _SAME.get(name, name)


def _config_folder(environ: Mapping[str, str]) -> str:
    return environ.get("XDG_CONFIG_HOME") or os.path.join(home_folder(), ".config")


def _sourced(text: str, home: str) -> list[str]:
    """Return which files of the home folder a shell's text sources, by their names in there."""
    names = []
    # Quotes and what parts commands change nothing of the words that matter here.
    for line in text.translate(str.maketrans(";&|()", " " * 5, "\"'")).splitlines():
        for before, word in pairwise(line.split()):
            if before.startswith("#"):
                break
            place = next((place for place in ("~/", "$HOME/", "${HOME}/", home + "/") if word.startswith(place)), None)
            if before in (".", "source") and place:
                names.append(word.removeprefix(place))
    return names


def _marked(said: bytes | None) -> str | None:
    """Return what a shell said between our marks, whatever it said beside it; None when it did not."""
    _before, mark, rest = (said or b"").rpartition(_MARK)
    answer, end, _after = rest.partition(b">")
    return os.fsdecode(answer) if mark and end else None

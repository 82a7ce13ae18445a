"""Owns where a claude is: on PATH, else where its installers put it; and why one that lies there is none.

It starts nothing and does not know which version it is.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from ..messages import ClaudeMissing, _, printable
from ..system import programs
from ..system.folders import expanded_or_same

INSTALLER = "curl -fsSL https://claude.ai/install.sh | bash"
_NPM = "npm install -g @anthropic-ai/claude-code"
# Where programs of everybody on the machine are put by npm and by Homebrew; PATH of a service may name neither.
EVERYBODYS = ("/usr/local/bin", "/opt/homebrew/bin")
_LONGEST_WRAPPER = 64 * 1024
_OUR_FOLDER = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_OUR_NAMES = (b"claude-accounts", b"claude_accounts")
_STARTING = rb"(?:launch|run|exec)\b"
_ALIAS_FILE = b".claude-accounts/aliases."


class Found(NamedTuple):
    """A claude: its absolute path, whether PATH says so, and what was passed over on the way: (path, reason)."""

    path: str
    on_path: bool
    passed: tuple[tuple[str, str], ...]


def find(environ: Mapping[str, str]) -> Found:
    """Return the claude that a shell with this environment would start, else one where installers put it.

    Relative entries of PATH do not count. Raises ClaudeMissing.
    """
    passed: list[tuple[str, str]] = []
    for on_path, folders in ((True, programs.search_path(environ)), (False, _known_folders(environ))):
        for folder in folders:
            path = os.path.join(folder, "claude")
            if not os.path.lexists(path) or any(path == known for known, _reason in passed):
                continue
            reason = programs.trouble(path) or (_("it starts this program again") if _starts_us(path) else "")
            if not reason:
                return Found(path, on_path, tuple(passed))
            passed.append((path, reason))
    raise _missing(passed)


def _known_folders(environ: Mapping[str, str]) -> Iterator[str]:
    """Give the folders in which installers put a claude, as far as they are known without starting anything."""
    configuration = environ.get("CLAUDE_CONFIG_DIR") or "~/.claude"
    own = ("~/.local/bin", os.path.join(configuration, "local"), "~/.claude/local")
    prefixes = (environ.get("NPM_CONFIG_PREFIX"), environ.get("npm_config_prefix"), _npmrc_prefix(environ))
    npm = (*(os.path.join(prefix, "bin") for prefix in prefixes if prefix), "~/.npm-global/bin")
    for folder in (*own, *npm, *EVERYBODYS):
        expanded = expanded_or_same(folder, environ)
        if os.path.isabs(expanded):
            yield os.path.normpath(expanded)


def _npmrc_prefix(environ: Mapping[str, str]) -> str:
    with (
        suppress(OSError),
        open(expanded_or_same("~/.npmrc", environ), encoding="utf-8", errors="replace") as file,
    ):
        for line in file.read(_LONGEST_WRAPPER).splitlines():
            name, _equals, value = line.partition("=")
            if name.strip() == "prefix" and value.strip():
                return value.strip().strip("\"'").replace("${HOME}", "~")
    return ""


def _starts_us(path: str) -> bool:
    """Tell whether a claude is a link to us or a small script that launches through us: it would go round for ever."""
    target = os.path.realpath(path)
    # A claude that was installed somewhere below our folder is no part of us.
    if os.path.basename(target) == "claude-accounts" or os.path.dirname(target) == _OUR_FOLDER:
        return True
    with suppress(OSError), open(target, "rb") as file:
        text = file.read(_LONGEST_WRAPPER + 1)
        return len(text) <= _LONGEST_WRAPPER and b"\0" not in text and any(map(_line_starts_us, text.splitlines()))
    # What cannot be read can still be started, and is told then.
    return False


def _line_starts_us(line: bytes) -> bool:
    """Tell whether a line of a script, that is no comment, starts a session through us."""
    if line.lstrip().startswith(b"#"):
        return False
    if _ALIAS_FILE in line:
        return True
    # The folder may hold spaces; a zero byte is in no script.
    words = line.replace(os.fsencode(_OUR_FOLDER) + b"/", b"\0").split()
    for word, following in zip(words, words[1:], strict=False):
        ours = b"\0" in word or word.rstrip(b"'\")}").endswith(_OUR_NAMES)
        if ours and re.match(_STARTING, following):
            return True
    return False


def _missing(passed: list[tuple[str, str]]) -> ClaudeMissing:
    install = _("{command} (or: {other})", command=INSTALLER, other=_NPM)
    if not passed:
        return ClaudeMissing(_("there is no claude on PATH, nor where it is usually installed"), install)
    path, reason = passed[0]
    hint = install
    if os.path.isfile(path) and not os.access(path, os.X_OK):
        import shlex

        hint = f"chmod +x {shlex.quote(printable(path))}"
    return ClaudeMissing(
        _("there is no claude that can be started: {path}: {reason}", path=printable(path), reason=reason), hint
    )

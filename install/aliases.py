"""Owns the text that shells read: the alias files and the completion of commands and names.

It knows account names and how our program is started, no credential and no database. rc_files.py puts the one line
into the user's files that reads the alias file.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys

from .. import own_python
from ..messages import LANGUAGES, InvalidInput, _, in_each_language, printable
from ..system.access import read_plain_file
from ..system.folders import data_folder
from ..system.private_files import make_private_folder, write_private_file

SHELLS = ("bash", "zsh", "fish")
_LARGEST_FILE = 16 * 1024 * 1024
_PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
# Other shells would stumble over a function's name with a dash; what is no bash or zsh goes no further than this.
_ONLY_BASH_AND_ZSH = 'case "${BASH_VERSION-}${ZSH_VERSION-}:${SHELLOPTS-}:" in :* | *:posix:*) return 0 ;; esac'
_LANGUAGE = ("CLAUDE_ACCOUNTS_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
# The line of an alias file that says for which place it was written.
_PLACE = "# For: "
_CHANGES_NAMES = ("add", "login", "rename", "remove", "rm", "import")
_TAKES_NAME = ("status", "rename", "update", "remove", "rm", "login", "refresh", "launch", "run", "exec", "bind")
_PASSES_ARGUMENTS_ON = ("launch", "run", "exec")


def alias_path(shell: str) -> str:
    """Return the path of the alias file that this shell reads."""
    return os.path.join(data_folder(), "aliases.fish" if shell == "fish" else "aliases.sh")


def launcher() -> list[str]:
    """Return how a shell starts our program: the project's own Python, where it has one, isolated, and cli.py."""
    private = os.path.join(own_python.HERE, "venv", "bin", "python")
    program = os.path.join(own_python.HERE, "cli.py")
    if os.path.exists(private):
        return [private, "-Es", program]
    return [sys.executable, *own_python.options(), program]


def alias_script(names: list[str], shell: str, *, path: str = "", program: list[str] | None = None) -> str:
    """Return the alias file for bash and zsh, or for fish. Raises InvalidInput for another shell.

    `path` is where it will lie and `program` what it starts, by default here and this one.
    """
    path, program = path or alias_path(shell), program or launcher()
    if shell not in SHELLS:
        raise InvalidInput(_("there are no aliases for the shell {shell}", shell=repr(shell)), ", ".join(SHELLS))
    usable = [name for name in names if _alias_problem(name) == ""]
    left_out = [(name, problem) for name in names if (problem := _alias_problem(name))]
    lines = ["# Written by claude-accounts after every change of names. It holds no secret."]
    lines.append(_PLACE + json.dumps({"path": path, "program": program}))
    lines += [f"# no alias for {_in_comment(name)}: {problem}" for name, problem in left_out]
    words = _fish_lines if shell == "fish" else _posix_lines
    return "\n".join(lines + words(usable, path, program)) + "\n"


def write_aliases(names: list[str]) -> None:
    """Write both alias files, each whole or not at all. Raises StorageFailed."""
    make_private_folder(data_folder())
    for shell in ("bash", "fish"):
        write_private_file(alias_path(shell), os.fsencode(alias_script(names, shell)))


def outdated_files(names: list[str]) -> list[str]:
    """Return which alias files an install would write: those that are missing or say something else."""
    found = []
    for shell in ("bash", "fish"):
        if _read(shell) != os.fsencode(alias_script(names, shell)):
            found.append(alias_path(shell))
    return found


def rewrite_aliases(names: list[str]) -> None:
    """Bring installed alias files up to date; nothing is written where they are, or where none is installed.

    A file that is installed elsewhere (a container has this folder under another path) goes on starting what it did.
    """
    for shell in ("bash", "fish"):
        current = _read(shell)
        if current is None:
            continue
        path, program = _written_for(current)
        if path == alias_path(shell):
            program = None
        text = os.fsencode(alias_script(names, shell, path=path, program=program))
        if current != text:
            write_private_file(alias_path(shell), text)


def aliases_are_current(names: list[str]) -> bool | None:
    """Tell whether the installed alias files are those of these names; None when none is installed."""
    found = []
    for shell in ("bash", "fish"):
        current = _read(shell)
        if current is not None:
            found.append(current == os.fsencode(alias_script(names, shell)))
    return all(found) if found else None


def gone_program() -> str:
    """Return what an installed alias file starts and is no longer there, or ""."""
    for shell in ("bash", "fish"):
        _path, program = _written_for(_read(shell) or b"")
        for word in (program[0], program[-1]) if program else ():
            if not os.path.exists(word):
                return word
    return ""


def completion_script(shell: str) -> str:
    """Return what makes TAB complete `claude-accounts` in one shell. Raises InvalidInput."""
    if shell == "bash":
        return _BASH_COMPLETION
    if shell == "zsh":
        return _ZSH_COMPLETION
    if shell == "fish":
        return _FISH_COMPLETION
    raise InvalidInput(_("there is no completion for the shell {shell}", shell=repr(shell)), ", ".join(SHELLS))


def complete(words: list[str], commands: list[str], options: list[str], names: list[str]) -> list[str]:
    """Return what the last of the words typed so far (behind the program's name) can become."""
    current = words[-1] if words else ""
    if len(words) <= 1:
        found = commands
    elif words[0] in _PASSES_ARGUMENTS_ON and not _before_name(words):
        found = []  # what follows the account's name is not ours
    elif words[0] in ("aliases", "completion") and words[-2] in ("--shell", "completion"):
        found = list(SHELLS)
    elif current.startswith("-"):
        found = options
    else:
        found = names if takes_name(words) else []
    # Only plain words: a shell splits and expands what a completion answers.
    return [word for word in found if word.startswith(current) and re.fullmatch(r"-{0,2}[a-z0-9][a-z0-9-]*", word)]


def takes_name(words: list[str]) -> bool:
    """Tell whether the last of the words typed so far is an existing account's name."""
    return len(words) > 1 and words[0] in _TAKES_NAME and words[-1][:1] != "-" and _before_name(words)


def _read(shell: str) -> bytes | None:
    return read_plain_file(alias_path(shell), _LARGEST_FILE)


def _before_name(words: list[str]) -> bool:
    return all(word.startswith("-") for word in words[1:-1])


def _written_for(content: bytes) -> tuple[str, list[str] | None]:
    """Return where an alias file lies for the shells that read it, and what it starts; ("", None) when it is mute."""
    line = next((line for line in os.fsdecode(content).split("\n") if line.startswith(_PLACE)), "")
    try:
        place = json.loads(line.removeprefix(_PLACE))
        return str(place["path"]), [str(word) for word in place["program"]]
    except (ValueError, KeyError, TypeError):
        return "", None


def _alias_problem(name: str) -> str:
    if not _PLAIN_NAME.fullmatch(name):
        return "a shell would split or expand it; give it another one: claude-accounts rename"
    if name == "accounts":
        return "claude-accounts is this program itself"
    return ""


def _in_comment(name: str) -> str:
    return ascii(name)[:80]


def _posix_lines(names: list[str], path: str, program: list[str]) -> list[str]:
    start, path = " ".join(map(shlex.quote, program)), shlex.quote(path)
    forget = "unalias " + " ".join(f"claude-{name}" for name in names) + " 2>/dev/null || :" if names else ":"
    locale = ""
    for name in reversed(_LANGUAGE):
        locale = f"${{{name}:-{locale}}}"
    return [
        _ONLY_BASH_AND_ZSH,
        "if command -v _claude_accounts_forget >/dev/null 2>&1; then _claude_accounts_forget; fi",
        f"function _claude_accounts_forget {{ {forget}; }}",
        "function claude-accounts {",
        f"    if [ -x {shlex.quote(program[0])} ] && [ -r {shlex.quote(program[-1])} ]; then",
        f'        {start} "$@" || return',
        "    else",
        '        _claude_accounts_elsewhere "$@" || return',
        "    fi",
        f'    case "${{1-}}" in {"|".join(_CHANGES_NAMES)}) if [ -r {path} ]; then . {path}; fi ;; esac',
        "}",
        "function _claude_accounts_elsewhere {",
        "    local found",
        '    found="$(unset -f claude-accounts; command -v claude-accounts)"',
        '    case "$found" in /*) "$found" "$@"; return ;; esac',
        f'    case "{locale}" in',
        *(f"    {p}) printf '%s\\n' {' '.join(map(shlex.quote, said))} >&2 ;;" for p, said in _gone_words(program)),
        "    esac",
        "    return 127",
        "}",
        *(f"alias claude-{name}='claude-accounts launch {name}'" for name in names),
        'if [ -n "${BASH_VERSION-}" ]; then',
        f"    eval {shlex.quote(_BASH_COMPLETION)}",
        'elif [ -n "${ZSH_VERSION-}" ]; then',
        f"    eval {shlex.quote(_ZSH_COMPLETION)}",
        "fi",
    ]


def _fish_lines(names: list[str], path: str, program: list[str]) -> list[str]:
    start, path = " ".join(map(fish_quote, program)), fish_quote(path)
    forget = "functions -e " + " ".join(f"claude-{name}" for name in names) if names else "true"
    return [
        "functions -q _claude_accounts_forget; and _claude_accounts_forget",
        f"function _claude_accounts_forget; {forget}; end",
        "function claude-accounts",
        f"    if test -x {fish_quote(program[0])}; and test -r {fish_quote(program[-1])}",
        f"        {start} $argv; or return",
        "    else",
        "        _claude_accounts_elsewhere $argv; or return",
        "    end",
        f'    if contains -- "$argv[1]" {" ".join(_CHANGES_NAMES)}; and test -r {path}',
        f"        source {path}",
        "    end",
        "end",
        "function _claude_accounts_elsewhere",
        "    set -l found (command -s claude-accounts)",
        "    if string match -q '/*' -- $found",
        "        $found $argv",
        "        return",
        "    end",
        f"    set -l languages (string match -v '' -- ${' $'.join(_LANGUAGE)})",
        "    switch (string join -- : $languages)",
        *(
            f"        case '{pattern}'\n            printf '%s\\n' {' '.join(map(fish_quote, said))} >&2"
            for pattern, said in _gone_words(program)
        ),
        "    end",
        "    return 127",
        "end",
        *(f"function claude-{name}; claude-accounts launch {name} $argv; end" for name in names),
        _FISH_COMPLETION.rstrip(),
    ]


def _gone_words(program: list[str]) -> list[tuple[str, list[str]]]:
    """Return what is said where the program has gone: by a pattern of the locale, the general one last."""
    gone = in_each_language("what this shell starts is gone: {program}")
    again = in_each_language("install the program again, then: claude-accounts install")
    error, hint = (
        in_each_language("claude-accounts: error: {message}"),
        in_each_language("claude-accounts: hint: {hint}"),
    )
    shown = printable(" ".join(map(shlex.quote, program)))
    return [
        (
            "*" if code == "en" else f"{code}*",
            [error[code].format(message=gone[code].format(program=shown)), hint[code].format(hint=again[code])],
        )
        for code in reversed(LANGUAGES)
    ]


def fish_quote(text: str) -> str:
    """Return `text` as one fish word: inside single quotes only the quote and the backslash mean something."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_BASH_COMPLETION = r"""_claude_accounts_complete() {
    local words
    words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    local IFS=$'\n'
    COMPREPLY=($(claude-accounts __complete "${words[@]}" 2>/dev/null))
}
complete -o default -F _claude_accounts_complete claude-accounts
"""

_ZSH_COMPLETION = r"""_claude_accounts_complete() {
    local -a found
    found=("${(@f)$(claude-accounts __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    [[ -n "$found" ]] && compadd -- $found || _files
}
if (( ${+functions[compdef]} )); then compdef _claude_accounts_complete claude-accounts; fi
"""

_FISH_COMPLETION = r"""function _claude_accounts_takes_no_file
    set -l words (commandline -opc)
    contains -- "$words[2]" import export serve; and return 1
    contains -- "$words[2]" launch run exec; and test (count $words) -ge 3; and return 1
    return 0
end
complete -e -c claude-accounts
complete -c claude-accounts -n _claude_accounts_takes_no_file -f
complete -c claude-accounts -a '(claude-accounts __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
"""

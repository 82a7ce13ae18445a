"""Owns the macOS Keychain items in which Claude Code keeps its stores, through the system's own program.

An item is known by the text of the variable that a claude was given for its store. Measured on other systems and read
off strings: there was no Mac to try it on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from ..messages import AccountsError, _
from ..system import programs

SECURITY = "/usr/bin/security"
_MISSING = 44
# The program's own prompt cuts longer lines without a word.
_LONGEST_LINE = 4000


def item(exported: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return (service, account) of the generic password of the store found by `exported`, "" for the default one."""
    service = "Claude Code-credentials"
    if exported:
        # Only for a store that is not the default one.
        import hashlib
        import unicodedata

        text = unicodedata.normalize("NFC", exported)
        service += "-" + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    user = environ.get("USER", "")
    return service, user if re.fullmatch(r"[a-zA-Z0-9._-]+", user) else "claude-code-user"


def read(exported: str) -> bytes | None:
    """Return what the item holds, None when there is none. Raises AccountsError when it may not be read."""
    service, account = item(exported, os.environ)
    argv = [SECURITY, "find-generic-password", "-a", account, "-w", "-s", service]
    code, output = programs.run(argv, os.environ, seconds=30)
    if code == _MISSING:
        return None
    if code != 0:
        raise _locked()
    text = output.strip()
    # The program prints what it takes for binary as hexadecimal digits.
    return bytes.fromhex(text.decode()) if re.fullmatch(rb"(?:[0-9a-f]{2})+", text) else text


def write(exported: str, data: bytes) -> None:
    """Make `data` what the item holds, which is made where there is none. Raises AccountsError."""
    service, account = item(exported, os.environ)
    words = ["add-generic-password", "-U", "-a", account, "-s", service, "-X", data.hex()]
    line = " ".join(f'"{word}"' if " " in word else word for word in words) + "\n"
    if len(line) < _LONGEST_LINE:
        # By its prompt, so that the tokens stand in no argument list.
        code = programs.run([SECURITY, "-i"], os.environ, stdin=line.encode(), seconds=30)[0]
    else:
        code = programs.run([SECURITY, *words], os.environ, seconds=30)[0]
    if code != 0:
        raise _locked()


def remove(exported: str) -> None:
    """Remove the item, if there is one."""
    service, account = item(exported, os.environ)
    programs.run([SECURITY, "delete-generic-password", "-a", account, "-s", service], os.environ, seconds=30)


def _locked() -> AccountsError:
    return AccountsError(
        _("the Keychain item of Claude Code cannot be used"),
        "security unlock-keychain ~/Library/Keychains/login.keychain-db",
    )

"""Owns which versions of the real Claude Code the tests are run with, and how they come onto this machine.

`python tests/real_client/real_clients.py` installs them from npm into `.real-client/VERSION`, once.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
# The newest release that runs on Node 20, and the newest that was looked at.
VERSIONS = ("2.1.197", "2.1.332")
WITH_OLDER, NEWEST = VERSIONS[0], VERSIONS[-1]
_FOLDER = PROJECT / ".real-client"
_SECONDS = 600
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class NoClient(Exception):
    """A client that is not here and could not be fetched; the text says why."""


def package() -> str:
    """Return the npm package that holds this machine's binary. Raises NoClient."""
    machine = _MACHINES.get(platform.machine().lower())
    if sys.platform != "linux" or machine is None:
        raise NoClient(f"these tests know no Claude Code for {sys.platform} on {platform.machine()}")
    musl = "-musl" if not platform.libc_ver()[0] else ""
    return f"@anthropic-ai/claude-code-linux-{machine}{musl}"


def binary(version: str) -> Path:
    """Return where the program of a version is, or would be. Raises NoClient."""
    return _FOLDER / version / "node_modules" / package() / "claude"


def install(version: str) -> Path:
    """Fetch a version unless it is there. Raises NoClient.

    The package is named itself: as an optional dependency npm would leave it out silently when it cannot be had.
    """
    program = binary(version)
    if program.exists():
        return program
    if not shutil.which("npm"):
        raise NoClient("the real Claude Code comes from npm, and there is no npm (apt install npm)")
    folder = _FOLDER / f"{version}.{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        (folder / "package.json").write_text(json.dumps({"private": True}))
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--no-save"]
        # The platform package asks for no newer Node than it needs itself, which is none.
        fetched = subprocess.run(
            [*command, "--force", "--loglevel=error", f"{package()}@{version}"],
            cwd=folder, capture_output=True, text=True, timeout=_SECONDS,
        )  # fmt: skip
        if fetched.returncode != 0:
            raise NoClient(f"npm could not fetch {package()}@{version}: {fetched.stderr.strip()[-300:]}")
        if not (_FOLDER / version).exists():
            folder.rename(_FOLDER / version)
    except subprocess.TimeoutExpired as error:
        raise NoClient(f"npm took longer than {_SECONDS} s for {package()}@{version}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return program


def main() -> int:
    """Install all versions; say what could not be had."""
    try:
        for version in VERSIONS:
            print(install(version))
    except NoClient as error:
        print(f"real_clients: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Owns how our own Python runs: without what the environment tells Python and pip, which is meant for other programs.

What we start gets that environment as it is. This is loaded before everything else, so it imports nothing that a folder
of PYTHONPATH could have in place of Python's own. start.sh runs it to fill the private environment and to try it.
"""

from __future__ import annotations

import os
import site
import sys

# What requirements.txt brings, by the names that are imported.
LIBRARIES = (
    "cryptography", "requests", "flask", "flask_socketio", "simple_websocket", "gunicorn", "webauthn", "pyotp", "segno",
)  # fmt: skip
HERE = os.path.dirname(os.path.abspath(__file__))
# These change what is imported, or what becomes of a warning or of the end. The language and the like may stay.
_TELLS_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONINSPECT", "PYTHONWARNINGS", "PYTHONOPTIMIZE")
# How pip reaches its index is the user's to say; where and what it installs is not.
_PIP_MAY_BE_TOLD = (
    "cache-dir", "cert", "client-cert", "default-timeout", "extra-index-url", "find-links", "index-url",
    "keyring-provider", "no-cache-dir", "no-index", "only-binary", "prefer-binary", "proxy", "resume-retries",
    "timeout", "trusted-host", "use-feature",
)  # fmt: skip


def options() -> list[str]:
    """Return the options with which our Python does not look at the environment's PYTHONPATH and its like.

    Where our libraries (or we ourselves) are only found through it, or in the user's own site, that stays.
    """
    told = _told_folders()
    ours = [folder for folder in sys.path if folder not in told] + site.getsitepackages()
    if not _has_all(ours) and (_has_all([*ours, *told]) or os.path.dirname(HERE) in told):
        return []
    user = site.getusersitepackages() if site.ENABLE_USER_SITE else ""
    if user and not _has_all([folder for folder in ours if folder != user]) or os.path.dirname(HERE) == user:
        return [] if os.environ.get("PYTHONUSERBASE") else ["-E"]
    return ["-Es"]


def isolate() -> None:
    """Start this same program again without what the environment tells Python, where it tells anything that matters."""
    if sys.version_info < (3, 10):  # noqa: UP036 - whoever calls cli.py by another Python is told
        version = "{}.{}".format(*sys.version_info)
        sys.exit(f"claude-accounts: error: Python 3.10 or newer is needed, this is {version}")
    told = any(os.environ.get(name) for name in _TELLS_PYTHON)
    if sys.flags.ignore_environment or not sys.executable:
        return
    if not told and not (site.ENABLE_USER_SITE and os.path.isdir(site.getusersitepackages())):
        return
    chosen = options()
    if chosen and (told or chosen == ["-Es"]):
        try:
            os.execv(sys.executable, [sys.executable, *chosen, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
        except OSError:
            # Then it goes on as it is.
            return


def pip_environment() -> dict[str, str]:
    """Return the environment for a pip of ours: the user's index, certificate and proxy, and nothing else of theirs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    told = _pip_files()
    told |= {
        name[4:].lower().replace("_", "-"): value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and value
    }
    kept |= {"PIP_" + name.upper().replace("-", "_"): told[name] for name in _PIP_MAY_BE_TOLD if name in told}
    # Of this name pip reads no file at all.
    return kept | {"PIP_CONFIG_FILE": os.devnull}


def _told_folders() -> list[str]:
    return [os.path.abspath(folder) for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]


def _has_all(folders: list[str]) -> bool:
    return all(any(os.path.isdir(os.path.join(folder, name)) for folder in folders) for name in LIBRARIES)


def _pip_files() -> dict[str, str]:
    """Return what pip's files say for an install, the stronger one last; a file that cannot be read says nothing."""
    import configparser

    told: dict[str, str] = {}
    for path in _pip_places():
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                told |= {name.lstrip("-").replace("_", "-"): value for name, value in parser.items(section) if value}
    return told


def _pip_places() -> list[str]:
    """Return where pip looks for its files, as its documentation has it."""
    chosen = os.environ.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return []
    home = os.path.expanduser("~")
    mac = "Library/Application Support/pip/pip.conf"
    folders = [folder for folder in os.environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep) if folder]
    own = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    return [
        *(os.path.join(folder, "pip", "pip.conf") for folder in folders),
        os.path.join(os.sep, mac),
        "/etc/pip.conf",
        os.path.join(home, ".pip", "pip.conf"),
        os.path.join(home, mac),
        os.path.join(own, "pip", "pip.conf"),
        *([chosen] if chosen else []),
    ]


def _main(task: str, *words: str) -> None:
    """Be what start.sh asks for: `install LOCK`, or `try` whether all that was installed can be imported."""
    if task == "install":
        pip = [sys.executable, "-Es", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        pip += ["--progress-bar", "off", "--retries", "2", "--require-hashes", "--requirement", *words]
        os.execve(sys.executable, pip, pip_environment())  # noqa: S606 - our own Python
    for name in LIBRARIES:
        __import__(name)


if __name__ == "__main__":
    _main(*sys.argv[1:])

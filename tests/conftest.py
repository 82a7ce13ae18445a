"""Fixtures every test file shares: a home of its own, no inherited credentials, a fake `claude` first on PATH."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, Protocol

import pytest
import warm
from hypothesis import settings
from token_endpoint import TokenEndpoint, token_endpoint

PROJECT = Path(__file__).resolve().parent.parent
sys.path.append(str(PROJECT))
import bare_names  # noqa: E402 - the folder of a checkout is the package, whatever its name

messages = bare_names.member("messages")

# How long one example takes says how busy the machine is.
settings.register_profile("claims", deadline=None)
settings.load_profile("claims")

# Whoever starts the tests in the background may have these signals ignored, and every program under test inherits it.
for _number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL if _number == signal.SIGHUP else signal.default_int_handler)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test an empty home folder, English words and an environment without any credential."""
    folder = tmp_path / "home"
    folder.mkdir()
    for variable in list(os.environ):
        if variable.startswith(("ANTHROPIC_", "CLAUDE", "LC_", "LANG", "XDG_", "ZDOTDIR")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    # What is kept on a memory disk is this test's own too.
    runtime = tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path)  # noqa: S108
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    # A request that another test made in this thread has chosen a language for itself.
    messages._chosen.set("")
    yield folder
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def program_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is first on PATH, for fakes of programs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


# Asked for its version, a stand-in that goes on after this line says nothing: it does not call itself Claude Code.
NAMELESS = '#!/bin/bash\n[ "$1" != --version ] || exit 0\n'
# A stand-in that does.
NAMED = "#!/bin/bash\n[ \"$1\" != --version ] || exec echo '2.1.332 (Claude Code)'\n"

# Where the package managers of this machine keep what they fetched: an empty home of each test's own has nothing.
_CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
_CACHES = {
    "PIP_CACHE_DIR": f"{_CACHE}/pip",
    "UV_CACHE_DIR": f"{_CACHE}/uv",
    "npm_config_cache": os.path.expanduser("~/.npm"),
}


@pytest.fixture
def fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pip, uv and npm take what they have fetched before."""
    for variable, folder in _CACHES.items():
        if variable not in os.environ:
            monkeypatch.setenv(variable, folder)


def lack(what: str) -> NoReturn:
    """Skip the test for want of something; where CI=true, whose command installs it all, that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def write_program(path: Path, text: str) -> Path:
    """Write an executable script."""
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


Finished = subprocess.CompletedProcess[str]


class Cli(Protocol):
    """Run one command in a process of its own; warm.py says what it is spared."""

    def __call__(self, *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Finished:
        """Return the finished process; `env` is added to the test's environment."""


@pytest.fixture
def cli(home: Path) -> Cli:
    """Return the command line as a function."""

    def run(*arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Finished:
        environment = os.environ | (env or {})
        if warm.suits(environment):
            return warm.run(*arguments, stdin=stdin, env=environment)
        return subprocess.run(
            command_line(*arguments),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=warm.DEADLINE,
            env=environment,
        )

    return run


def command_line(*arguments: str) -> list[str]:
    """Return the argv that a shell function of ours would start."""
    return [sys.executable, str(PROJECT / "cli.py"), *arguments]


def assert_fails_cleanly(finished: Finished, *words: str, code: int | None = 1) -> None:
    """Check the one form of failure: a non-zero code, `error:` and perhaps `hint:`, no traceback, these words."""
    assert finished.returncode == code if code is not None else finished.returncode != 0, finished
    assert "Traceback" not in finished.stderr, finished.stderr
    lines = finished.stderr.strip().splitlines()
    assert any(line.startswith("claude-accounts: error: ") for line in lines), finished.stderr
    for word in words:
        assert word in finished.stderr, finished.stderr


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenEndpoint]:
    """Serve a token endpoint on loopback and point the program at it."""
    with token_endpoint() as state:
        monkeypatch.setenv("CLAUDE_ACCOUNTS_OAUTH_TOKEN_URL", state.url)
        yield state


@pytest.fixture
def cheap_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords cheaply; what it costs is tested at the module that hashes."""
    monkeypatch.setattr("claude_accounts.dashboard.sign_in._METHOD", "pbkdf2:sha256:1000")

"""Installed from a wheel: the same program with its page, and no module of ours where others import from."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from conftest import NAMELESS, PROJECT, write_program
from test_start import fresh_checkout

OURS = {path.stem for path in PROJECT.glob("*.py")} | {path.parent.name for path in PROJECT.glob("*/__init__.py")}
OURS |= {"locales", "static", "tests"}


def _run(*words: str | Path, **environ: str) -> str:
    finished = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=280, env=os.environ | environ
    )
    assert finished.returncode == 0, finished
    return finished.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh checkout in a repository of its own."""
    folder = fresh_checkout(tmp_path_factory.mktemp("source"))
    git = ("git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@example.com")
    _run("git", "init", "-q", folder)
    _run(*git, "add", "--all")
    _run(*git, "commit", "-q", "-m", "x")
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel that pip builds of it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    _run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source)
    (built,) = folder.glob("claude_accounts-*.whl")
    return built


@contextmanager
def _serving(program: Path, tmp_path: Path) -> Iterator[int]:
    # Libraries that are not in the package cannot be fetched either.
    blocked = tmp_path / "no-cache"
    blocked.write_text("")
    process = subprocess.Popen(
        [str(program), "serve", "--no-browser", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(blocked)},
    )
    try:
        assert process.stderr
        said = ""
        for line in process.stderr:
            said += line
            found = re.search(r"http://localhost:(\d+)/", line)
            if found:
                yield int(found[1])
                break
        else:
            raise AssertionError(said)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _check(program: Path, tmp_path: Path) -> None:
    """Use the installed program: its version, an account, the aliases, the page and its libraries."""
    assert re.fullmatch(r"claude-accounts \d+\.\d+\.\d+\n", _run(program, "--version"))
    key = "sk-ant-api03-" + "k" * 60
    finished = subprocess.run([program, "add", "work", "--key", "-"], input=key, text=True, capture_output=True)
    assert finished.returncode == 0, finished
    assert "work" in _run(program, "list")
    started = re.search(r"^ +(\S+ -Es \S+/cli\.py) \"\$@\"", _run(program, "aliases"), re.MULTILINE)
    assert started, "the alias file does not say what it starts"
    assert "work" in _run(*started[1].split(), "list")
    with _serving(program, tmp_path) as port:

        def get(path: str) -> bytes:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("GET", path)
                answer = connection.getresponse()
                assert answer.status == 200, (path, answer.status)
                return answer.read()

        assert json.loads(get("/healthz")) == {"status": "ok"}
        assert b"<script" in get("/")
        libraries = json.loads(get("/api/auth/status"))["vendor"]
        assert libraries and b"Terminal" in get(libraries + "xterm.js")


def _importable(python: Path) -> set[str]:
    """Return the top-level names that an installation put where its Python imports from."""
    words = "import site, os; print(*(name for place in site.getsitepackages() for name in os.listdir(place)))"
    return {name.removesuffix(".py") for name in _run(python, "-c", words).split()}


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("fetched_once")
def test_wheel_runs_in_a_fresh_environment_and_keeps_its_modules_to_itself(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    _run(sys.executable, "-m", "venv", environment)
    python = environment / "bin" / "python"
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    assert "claude_accounts" in _importable(python)
    assert _importable(python) & OURS == set()
    _check(environment / "bin" / "claude-accounts", tmp_path)


# The last commit whose wheel had the program behind a path of its own, which alias files name.
EARLIER = "a2f34b9c4a1dff85ffb81df2a6c9f42b84a3f0bf"


@pytest.mark.timeout(900)
def test_aliases_of_an_earlier_wheel_launch_after_the_upgrade(
    wheel: Path, tmp_path: Path, program_folder: Path
) -> None:
    """Installed as it was, with aliases; upgraded; the same alias file starts the program as it is now."""
    old = tmp_path / "old"
    old.mkdir()
    archive = subprocess.run(["git", "-C", PROJECT, "archive", EARLIER], capture_output=True)
    if archive.returncode != 0:
        pytest.skip("this checkout has no history to install the earlier version from")
    subprocess.run(["tar", "-x", "-C", old], input=archive.stdout, check=True)
    environment = tmp_path / "environment"
    _run(sys.executable, "-m", "venv", environment)
    pip = (environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*pip, old)
    program = environment / "bin" / "claude-accounts"
    key = "sk-ant-api03-" + "k" * 60
    subprocess.run([program, "add", "work", "--key", "-"], input=key, text=True, check=True, capture_output=True)
    _run(program, "install", SHELL="/bin/bash")
    aliases = Path(os.environ["HOME"], ".claude-accounts", "aliases.sh")
    before = aliases.read_bytes()
    assert b"/program/cli.py" in before
    _run(*pip, "--force-reinstall", "--no-deps", wheel)
    write_program(program_folder / "claude", NAMELESS + 'echo "$CLAUDE_ACCOUNT $ANTHROPIC_API_KEY $*"\n')
    # Bash knows an alias from the next line on.
    script = f"shopt -s expand_aliases\n. {aliases}\nclaude-work one two"
    assert _run("bash", "--norc", "-c", script) == f"work {key} one two\n"
    assert aliases.read_bytes() == before and "work" in _run(program, "list")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("fetched_once")
def test_uv_installs_it_from_the_repository(source: Path, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=os.path.dirname(sys.executable))
    assert uv, "uv is one of the requirements for tests"
    folders = {name: str(tmp_path / name.lower()) for name in ("UV_TOOL_DIR", "UV_TOOL_BIN_DIR")}
    _run(uv, "tool", "install", "--quiet", "--python", sys.executable, f"git+file://{source}", **folders)
    assert _importable(tmp_path / "uv_tool_dir" / "claude-accounts" / "bin" / "python") & OURS == set()
    _check(tmp_path / "uv_tool_bin_dir" / "claude-accounts", tmp_path)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("fetched_once")
def test_pipx_installs_it(wheel: Path, tmp_path: Path) -> None:
    folders = {name: str(tmp_path / name.lower()) for name in ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR")}
    _run(sys.executable, "-m", "pipx", "install", "--quiet", "--python", sys.executable, wheel, **folders)
    assert _importable(tmp_path / "pipx_home" / "venvs" / "claude-accounts" / "bin" / "python") & OURS == set()
    _check(tmp_path / "pipx_bin_dir" / "claude-accounts", tmp_path)

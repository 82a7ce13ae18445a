"""Our own Python looks at nothing that the environment tells Python or pip, and what we start still gets it all."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from conftest import NAMELESS, PROJECT, assert_fails_cleanly, write_program
from warm import DEADLINE

from claude_accounts import db, own_python
from claude_accounts.install import aliases as shell_aliases

KEY = "sk-ant-api03-" + "k" * 60


def _run(*words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=DEADLINE,
    )


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """Return the packages of another environment, made for another Python."""
    folder = tmp_path / "other"
    folder.mkdir()
    for name in ("cryptography", "typing", "json", "importlib", "flask", "messages", "argparse"):
        (folder / f"{name}.py").write_text('raise ImportError("made for another Python")\n')
    return folder


WAYS = {
    "cli.py": [sys.executable, str(PROJECT / "cli.py")],
    "isolated": [sys.executable, "-I", str(PROJECT / "cli.py")],
    "wheel": [sys.executable, "-c", "import sys; from claude_accounts.__main__ import main; sys.exit(main())"],
    "module": [sys.executable, "-m", "claude_accounts"],
    "alias": shell_aliases.launcher(),
}


@pytest.mark.parametrize("way", WAYS)
def test_another_environments_packages_reach_claude_and_not_us(
    way: str, poisoned: Path, tmp_path: Path, program_folder: Path
) -> None:
    write_program(program_folder / "claude", NAMELESS + 'echo "$CLAUDE_ACCOUNT $PYTHONPATH $PYTHONWARNINGS"\n')
    db.add_account("work", db.API_KEY, api_key=KEY)
    command, told = WAYS[way], str(poisoned)
    if way in ("wheel", "module"):
        # As pip would have it: the package among the libraries of an environment.
        environment = tmp_path / "environment"
        venv.create(environment, symlinks=True)
        (site,) = environment.glob("lib/*/site-packages")
        (site / "claude_accounts").symlink_to(PROJECT)
        ours = [path for path in sys.path if path.endswith("site-packages")]
        (site / "more.pth").write_text("\n".join(ours))
        command = [str(environment / "bin" / "python"), *command[1:]]
    if way == "module":
        # With -m Python itself imports this before it comes to us.
        (poisoned / "importlib.py").unlink()
    # A Python that warns of anything as an error would find something in any library.
    finished = _run(*command, "launch", "work", PYTHONPATH=told, PYTHONWARNINGS="error", PYTHONSAFEPATH="1")
    assert finished.stdout == f"work {told} error\n", finished
    assert "Traceback" not in finished.stderr and "made for another" not in finished.stderr


def test_where_pythonpath_is_how_we_are_found_it_stays(tmp_path: Path) -> None:
    """As `pip install --target` and some distributions have it."""
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    target = tmp_path / "target"
    target.mkdir()
    (target / "claude_accounts").symlink_to(PROJECT)
    for name in own_python.LIBRARIES:
        (target / name).mkdir()
    words = "from claude_accounts import own_python; own_python.isolate(); print(own_python.options())"
    finished = _run(environment / "bin" / "python", "-c", words, PYTHONPATH=str(target))
    assert finished.stdout == "[]\n", finished


def test_a_missing_library_is_one_line_that_says_how_to_start(tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    for words in (["serve", "--no-browser"], ["add", "xy", "--key", KEY]):
        finished = _run(environment / "bin" / "python", PROJECT / "cli.py", *words)
        assert_fails_cleanly(finished, "cannot use the library", f"{PROJECT}/start.sh {words[0]}")
        assert KEY not in finished.stderr
    finished = _run(environment / "bin" / "python", PROJECT / "server.py")
    assert_fails_cleanly(finished, "cannot use the library", f"{PROJECT}/start.sh")


def test_an_old_python_is_told() -> None:
    old = next((path for name in ("3.9", "3.8", "3.7") if (path := _python(name))), None)
    if old is None:
        pytest.skip("no Python before 3.10 here")
    finished = _run(old, PROJECT / "cli.py", "list")
    assert_fails_cleanly(finished, "Python 3.10 or newer is needed")
    assert len(finished.stderr.splitlines()) == 1


def _python(version: str) -> str | None:
    versions = Path(os.environ.get("PYENV_ROOT") or Path(pwd.getpwuid(os.getuid()).pw_dir, ".pyenv"), "versions")
    places = sorted(versions.glob(f"{version}.*/bin/python"))
    return str(places[-1]) if places else shutil.which(f"python{version}")


def test_pip_is_told_how_to_reach_its_index_and_nothing_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nuser = true\nindex-url = https://mirror.example/simple\ntrusted_host = mirror.example\n"
        "target = /nowhere\n[install]\nprefix = /nowhere\nproxy = http://proxy.example\n"
        "find-links =\n    /one\n    /two\n[list]\nno-index = true\n"
    )
    (home / ".pip").mkdir()
    (home / ".pip" / "pip.conf").write_text("[global]\nindex-url = https://older.example\n[broken")
    told = {"PIP_USER": "1", "PIP_PREFIX": "/x", "PIP_TARGET": "/x", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_DRY_RUN": "1"}
    told |= {"PIP_CERT": "/ca.pem", "PIP_PROXY": "http://other.example", "PYTHONPATH": "/x", "PIP_CONSTRAINT": "/x"}
    for name, value in (told | {"HTTPS_PROXY": "http://kept.example", "PIP_INDEX_URL": ""}).items():
        monkeypatch.setenv(name, value)
    environ = own_python.pip_environment()
    assert {name: value for name, value in environ.items() if name.startswith(("PIP_", "PYTHON"))} == {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_CERT": "/ca.pem",
        "PIP_FIND_LINKS": "\n/one\n/two",
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_PROXY": "http://other.example",
        "PIP_TRUSTED_HOST": "mirror.example",
    }
    assert environ["HTTPS_PROXY"] == "http://kept.example"
    chosen = home / "chosen.conf"
    chosen.write_text("[install]\nindex-url = https://chosen.example\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(chosen))
    assert own_python.pip_environment()["PIP_INDEX_URL"] == "https://chosen.example"
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert "PIP_INDEX_URL" not in own_python.pip_environment()


def test_the_libraries_are_those_of_the_requirements() -> None:
    # What only an older Python needs is not asked for here.
    names = re.findall(r"^([\w-]+)[^;\n]*$", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    assert {name.replace("-", "_") for name in names} == set(own_python.LIBRARIES)

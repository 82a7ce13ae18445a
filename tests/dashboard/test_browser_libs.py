"""The browser libraries: installed from the lock, whole or not at all, by npm or by a Node.js that pip fetches."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_accounts.dashboard import browser_libs
from claude_accounts.messages import AccountsError
from claude_accounts.system import programs

PROJECT = Path(__file__).resolve().parents[2]

FAKE_NPM = r"""#!/usr/bin/env python3
import os, sys
work = sys.argv[sys.argv.index("--prefix") + 1]
for path in os.environ["FAKE_FILES"].split(os.pathsep):
    target = os.path.join(work, "node_modules", path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w") as file:
        file.write("// " + path)
print("added packages", sys.argv)
"""


@pytest.fixture(autouse=True)
def without_packaged_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look away from a copy that the checkout itself may hold."""
    monkeypatch.setattr(browser_libs, "_packaged_folder", lambda: str(tmp_path / "packaged"))
    yield


@pytest.fixture
def fake_npm(program_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an npm on PATH that creates the files without any network."""
    licences = [f"{package}/LICENSE" for package in browser_libs.LICENCED]
    monkeypatch.setenv("FAKE_FILES", os.pathsep.join([*browser_libs.FILES.values(), *licences]))
    npm = program_folder / "npm"
    npm.write_text(FAKE_NPM)
    npm.chmod(0o755)
    return npm


def test_lock_names_no_host_and_every_file_has_its_hash() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text())
    packages = {path: entry for path, entry in lock["packages"].items() if path}
    assert packages
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not any("resolved" in entry for entry in packages.values())


def test_versions_are_exact() -> None:
    package = json.loads((PROJECT / "package.json").read_text())
    versions = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
    assert package["private"] is True


def test_package_managers_find_their_way_as_the_server_tells_them(fake_npm: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    fake_npm.write_text(fake_npm.read_text() + f'open("{seen}", "w").write(os.environ["HTTPS_PROXY"])\n')
    browser_libs.ensure(environ=lambda: {**os.environ, "HTTPS_PROXY": "http://proxy:3128"})
    assert seen.read_text() == "http://proxy:3128"


def test_nothing_installed_is_said_by_an_empty_name() -> None:
    assert browser_libs.vendor_folder() == ""


def test_ensure_installs_once_with_licences_and_leaves_nothing_else(fake_npm: Path, home: Path) -> None:
    said: list[str] = []
    folder = Path(browser_libs.ensure(said.append))
    assert len(said) == 1
    assert {path.name for path in folder.iterdir()} == {*browser_libs.FILES, "LICENCES.txt", "lock-id"}
    assert (folder / "xterm.js").read_text() == "// @xterm/xterm/lib/xterm.mjs"
    assert folder == home / ".cache/claude-accounts/web" / browser_libs.lock_id()
    assert [path.name for path in folder.parent.iterdir()] == [browser_libs.lock_id()]
    fake_npm.unlink()
    assert browser_libs.ensure(said.append) == str(folder)
    assert len(said) == 1


def test_cache_follows_xdg(fake_npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert browser_libs.ensure().startswith(str(tmp_path / "cache" / "claude-accounts"))


def test_many_at_once_end_with_one_whole_folder(fake_npm: Path) -> None:
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(browser_libs.ensure())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert len(set(results)) == 1
    assert os.listdir(os.path.dirname(results[0])) == [browser_libs.lock_id()]


def test_half_installed_folder_is_not_taken_for_the_libraries(fake_npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FILES", "@xterm/xterm/lib/xterm.mjs")
    with pytest.raises(AccountsError, match="cannot install"):
        browser_libs.ensure()
    assert browser_libs.vendor_folder() == ""
    assert os.listdir(os.path.dirname(browser_libs._cache_folder())) == []


def test_without_npm_pip_fetches_a_node_for_the_time_of_the_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def refuse(argv: list[str], environ: object, **_options: object) -> tuple[int, bytes]:
        started.append(argv)
        return 1, b""

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "run", refuse)
    with pytest.raises(AccountsError) as caught:
        browser_libs.ensure()
    assert "Node.js" in caught.value.hint
    assert [argv[-1] for argv in started] == [browser_libs.NODE_PACKAGE]
    assert os.listdir(os.path.dirname(browser_libs._cache_folder())) == []

"""What Docker is given: a clean Dockerfile, pinned versions, a compose file that gives the container little."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import PROJECT
from recipes import recipe


class _Loader(yaml.SafeLoader):
    """YAML with the tags of Compose."""


_Loader.add_multi_constructor(
    "!",
    lambda loader, tag, node: {f"!{tag}": loader.construct_sequence(node, deep=True)},
)


def _load(text: str) -> Any:
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader


def _filled_in(text: str, **environ: str) -> str:
    """Put values for variables as Compose does, innermost first."""
    variable = re.compile(r"\$\{(\w+)(?::-([^${}]*))?\}")
    while variable.search(text):
        text = variable.sub(lambda match: environ.get(match[1]) or match[2] or "", text)
    return text


def _service(**environ: str) -> Any:
    text = _filled_in((PROJECT / "docker-compose.yml").read_text(), **{"HOME": "/home/me"} | environ)
    return _load(text)["services"]["claude-accounts"]


def test_dockerfile_is_clean() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    finished = subprocess.run([hadolint, PROJECT / "Dockerfile"], capture_output=True, text=True)
    assert (finished.returncode, finished.stdout) == (0, "")


def test_container_is_published_on_loopback_until_it_is_told_otherwise() -> None:
    """Decision 6: and on another port or address by a variable."""
    assert _service()["ports"] == ["127.0.0.1:5111:5111"]
    chosen = _service(CLAUDE_ACCOUNTS_PORT="6000", CLAUDE_ACCOUNTS_ADDRESS="192.168.1.20")
    assert chosen["ports"] == ["192.168.1.20:6000:5111"]


def test_container_may_do_little() -> None:
    service = _service()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices", "user"} & set(service)
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == ["${UID}:${GID}"]
    assert re.search(r"^HEALTHCHECK .*\n.*/app/dashboard/health.py.* \"5111\"", dockerfile, re.MULTILINE)


def test_missing_file_on_the_host_is_an_error_and_never_a_folder() -> None:
    """Docker would make a folder of root's of it."""
    bound = [volume for volume in _service()["volumes"] if isinstance(volume, dict)]
    mounted = {volume["source"]: volume["target"] for volume in bound}
    names = (".claude-accounts", ".claude", ".claude.json")
    assert mounted == {f"/home/me/{name}": f"/home/claude/{name}" for name in names}
    assert all(volume["type"] == "bind" and volume["bind"] == {"create_host_path": False} for volume in bound)
    moved = _service(CLAUDE_ACCOUNTS_HOME="/data/accounts")["volumes"][0]["source"]
    assert moved == "/data/accounts"


def test_projects_are_a_folder_of_the_hosts_only_by_choice() -> None:
    """And then under the same path, by which Claude Code knows them again."""
    assert _service()["volumes"][-1] == "projects:/home/claude/projects"
    assert _service(CLAUDE_ACCOUNTS_PROJECTS="/srv/code")["volumes"][-1] == "/srv/code:/srv/code"


def test_every_variable_of_the_compose_file_is_described() -> None:
    used = set(re.findall(r"CLAUDE_ACCOUNTS_\w+(?=:-)", (PROJECT / "docker-compose.yml").read_text()))
    described = (PROJECT / "docs" / "deployment.md").read_text()
    assert used and all(f"`{name}`" in described for name in used)


def test_image_is_built_of_pinned_versions_only() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-[a-z]+$", dockerfile, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    for name in ("NODE_VERSION", "CLAUDE_CODE_VERSION"):
        assert re.search(rf"^ARG {name}=\d+\.\d+\.\d+$", dockerfile, re.MULTILINE)
    assert "--require-hashes" in dockerfile and "curl" not in dockerfile


def test_image_has_every_folder_of_the_program() -> None:
    packages = {path.parent.name for path in PROJECT.glob("*/__init__.py")} - {"tests"}
    assert {"imports", "launch"} <= packages
    assert {f"!{name}" for name in packages} <= set((PROJECT / ".dockerignore").read_text().splitlines())


def test_lock_file_is_that_of_the_requirements() -> None:
    """A requirement that changes without the lock would be another program in the image, and for start.sh none."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE))
    for line in (PROJECT / "requirements.txt").read_text().splitlines():
        requirement = Requirement(line)
        assert locked[canonicalize_name(requirement.name)] in requirement.specifier, line


def test_override_opens_the_port_in_place_of_the_one_on_loopback() -> None:
    """Without the tag Compose would publish both, and fail."""
    service = _load(recipe("override"))["services"]["claude-accounts"]
    assert service["ports"] == {"!override": ["0.0.0.0:5111:5111"]}


def test_compose_recipe_with_caddy_publishes_nothing_else() -> None:
    loaded = _load(recipe("compose-caddy"))["services"]
    assert loaded["claude-accounts"]["ports"] == {"!reset": []}
    assert loaded["claude-accounts"]["command"][:2] == ["serve", "--remote"]
    assert "--behind-proxy" in loaded["claude-accounts"]["command"]
    assert "claude-accounts:5111" in recipe("caddyfile-compose")


@pytest.mark.skipif(
    subprocess.run(["sh", "-c", "docker compose version"], capture_output=True).returncode != 0,
    reason="no compose plugin here",
)
def test_compose_itself_reads_the_file_and_its_overrides(tmp_path: Path, home: Path) -> None:
    compose = ["docker", "compose", "--project-directory", str(PROJECT), "-f", str(PROJECT / "docker-compose.yml")]
    for name in ("override", "compose-caddy"):
        override = tmp_path / f"{name}.yml"
        override.write_text(recipe(name))
        finished = subprocess.run([*compose, "-f", str(override), "config"], capture_output=True, env=os.environ)
        assert finished.returncode == 0, finished

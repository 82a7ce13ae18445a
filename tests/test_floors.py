"""The house: a folder imports only from folders below it, files make no circle, and each folder says what it owns."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PROJECT

# From the top down. The faces stand between the floors: cli.py above all, server.py above what it puts together.
FLOORS = (
    "cli", "commands", "server", "dashboard", "terminal", "launch", "install", "imports", "db", "accounts", "claude",
    "system", "messages", "own_python",
)  # fmt: skip
FOLDERS = tuple(name for name in FLOORS if (PROJECT / name).is_dir())
# They name the package and nothing in it, or only start what is above.
OUTSIDE = ("__init__", "__main__", "bare_names", "setup")


def modules() -> dict[str, Path]:
    """Return every module of the program by its dotted name within the package."""
    files = [path for path in PROJECT.glob("*.py") if path.stem not in OUTSIDE]
    for folder in FOLDERS:
        files += [path for path in (PROJECT / folder).rglob("*.py") if path.parent.name != "earlier_wheel"]
    names = {}
    for path in files:
        parts = path.relative_to(PROJECT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Give the modules of the program that one imports, wherever in it and for whatever purpose."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] in FLOORS for alias in node.names), f"{path}:{node.lineno}"
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
        for alias in node.names:
            whole = ".".join([*base, alias.name])
            yield whole if whole in known else ".".join(base)


def arrows() -> dict[str, set[str]]:
    """Return which modules each module imports."""
    known = modules()
    return {name: set(imports(name, path, known)) - {name} for name, path in known.items()}


def floor(name: str) -> int:
    """Return the number of a module's floor, 0 the topmost."""
    return FLOORS.index(name.split(".")[0])


def test_a_folder_imports_only_from_folders_below_it() -> None:
    upward = [
        f"{name} -> {other}"
        for name, others in arrows().items()
        for other in others
        if floor(other) < floor(name) or (other.startswith("commands.") and floor(other) != floor(name))
    ]
    assert upward == []


def test_families_of_commands_know_nothing_of_each_other() -> None:
    shared = {"commands.console", "commands.mishaps", "commands.parsing", "commands.secret_prompt", "commands.tables"}
    for name, others in arrows().items():
        if name.startswith("commands."):
            assert {other for other in others if other.startswith("commands.")} <= shared, name


def test_no_module_imports_itself_by_a_detour() -> None:
    left = arrows()
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


@pytest.mark.parametrize("path", sorted(path for folder in FOLDERS for path in (PROJECT / folder).rglob("__init__.py")))
def test_each_folder_says_what_it_owns_and_nothing_else(path: Path) -> None:
    (docstring,) = ast.parse(path.read_text()).body
    assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
    assert "Imports " in str(docstring.value.value), "which floors it may use"


def test_every_module_stands_on_a_floor() -> None:
    assert {name.split(".")[0] for name in modules()} == set(FLOORS)
    for folder in (path.parent.name for path in PROJECT.glob("*/__init__.py")):
        assert folder in FLOORS, f"{folder} is a folder of the program on no floor"


def test_packages_of_the_wheel_are_the_folders() -> None:
    lines = (PROJECT / "pyproject.toml").read_text()
    found = {line.strip(' ",') for line in lines.splitlines() if line.startswith('    "claude_accounts')}
    rooms = {
        ".".join(("claude_accounts", *path.parent.relative_to(PROJECT).parts))
        for folder in FOLDERS
        for path in (PROJECT / folder).rglob("__init__.py")
    }
    assert found == rooms | {"claude_accounts", "claude_accounts.program"}

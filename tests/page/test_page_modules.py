"""How the page's modules hang together: no circle, and what the views share knows none of them."""

from __future__ import annotations

import posixpath
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "static"
SCRIPTS = STATIC / "js"
SOURCES = {path.relative_to(SCRIPTS).as_posix(): path.read_text() for path in sorted(SCRIPTS.rglob("*.js"))}
# A plain script that the page runs before any module.
FIRST_PAINT = "first_paint.js"
STATIC_IMPORT = re.compile(r"^(?:import|export)\b(?:[^;\"]*?\bfrom)? \"(\.[^\"]+)\"", re.MULTILINE)
LATER_IMPORT = re.compile(r"\bimport\(\"(\.[^\"]+)\"\)")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
Graph = dict[str, set[str]]


def _targets(pattern: re.Pattern[str], module: str, text: str) -> set[str]:
    return {posixpath.normpath(posixpath.join(posixpath.dirname(module), path)) for path in pattern.findall(text)}


def _code(text: str) -> str:
    return COMMENT.sub("", text)


AT_ONCE: Graph = {module: _targets(STATIC_IMPORT, module, _code(text)) for module, text in SOURCES.items()}
RUN: Graph = {module: AT_ONCE[module] | _targets(LATER_IMPORT, module, _code(text)) for module, text in SOURCES.items()}
# What a module names: in a comment too, where `import("…")` brings a type.
NAMED: Graph = {module: RUN[module] | _targets(LATER_IMPORT, module, text) for module, text in SOURCES.items()}


def folder(module: str) -> str:
    """Return the folder of a module, "" for the root."""
    return posixpath.dirname(module)


def folders(graph: Graph) -> Graph:
    """Return which folder reaches into which other one."""
    found: Graph = {folder(module): set() for module in graph}
    for module, targets in graph.items():
        found[folder(module)] |= {folder(target) for target in targets} - {folder(module)}
    return found


def circle(graph: Graph) -> list[str]:
    """Return one circle of the graph, empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def reached(graph: Graph, start: str) -> set[str]:
    """Return all that is loaded by loading `start`."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += graph[module]
    return seen


def test_every_import_leads_to_a_file() -> None:
    assert {module: targets - set(SOURCES) for module, targets in NAMED.items() if targets - set(SOURCES)} == {}


def test_every_module_is_reached_from_main() -> None:
    assert set(SOURCES) - reached(RUN, "main.js") == {FIRST_PAINT}


def test_no_module_imports_itself_in_a_circle() -> None:
    assert circle(RUN) == []


def test_no_folder_imports_itself_in_a_circle_not_even_for_a_type() -> None:
    assert circle(folders(NAMED)) == []


def test_what_the_views_share_imports_no_view() -> None:
    assert folders(NAMED)["shared"] == set()


def test_main_alone_lies_at_the_root_and_nobody_imports_it() -> None:
    assert {module for module in SOURCES if not folder(module)} == {"main.js", FIRST_PAINT}
    assert [module for module, targets in NAMED.items() if "main.js" in targets] == []


def test_terminal_is_not_loaded_with_the_first_view() -> None:
    assert [module for module in reached(AT_ONCE, "main.js") if folder(module) == "terminal"] == []


def test_page_asks_early_only_for_what_it_needs_at_once() -> None:
    hints = set(
        re.findall(r"<link rel=\"modulepreload\" href=\"static/js/([^\"]+)\"", (STATIC / "index.html").read_text())
    )
    assert hints
    assert hints - reached(AT_ONCE, "main.js") == set()

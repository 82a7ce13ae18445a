"""What the page's files keep to: two whole catalogues, one way to the server, nothing inline, no other host."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

from conftest import lack

PROJECT = Path(__file__).resolve().parents[2]
STATIC = PROJECT / "static"
SCRIPTS = sorted((STATIC / "js").rglob("*.js"))
STYLES = sorted((STATIC / "css").glob("*.css"))
PAGE = (STATIC / "index.html").read_text()
CATALOGUES = {code: json.loads((STATIC / "locales" / f"{code}.json").read_text()) for code in ("en", "fr")}


class Attributes(HTMLParser):
    """Collect every attribute of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.feed(PAGE)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, name, value or "") for name, value in attrs]


def places(entry: str | dict[str, str]) -> set[str]:
    texts = [entry] if isinstance(entry, str) else list(entry.values())
    return {name for text in texts for name in re.findall(r"\{(\w+)\}", text)}


def test_both_languages_say_the_same_things() -> None:
    english, french = CATALOGUES["en"], CATALOGUES["fr"]
    assert list(english) == list(french)
    assert [key for key in english if isinstance(english[key], str) != isinstance(french[key], str)] == []
    assert [key for key in english if places(english[key]) != places(french[key])] == []


def test_batch_refresh_has_its_french_name() -> None:
    assert CATALOGUES["fr"]["refresh_all"] == "Rafraîchir tous"


def test_every_key_in_use_is_in_the_catalogue_and_every_key_of_the_catalogue_is_in_use() -> None:
    used = {
        value for _tag, name, value in Attributes().found if name in ("data-text", "data-label", "data-placeholder")
    }
    about = {value for _tag, name, value in Attributes().found if name == "data-about"}
    used |= about | {f"{value}_title" for value in about if f"{value}_title" in CATALOGUES["en"]}
    sources = "\n".join(path.read_text() for path in SCRIPTS)
    used |= set(re.findall(r"\bt\(\s*\"(\w+)\"", sources))
    used |= set(re.findall(r"(?:words: |setTitle\(element, |\? |: |needed\(\"\w+\", )\"(\w+)\"", sources)) & set(
        CATALOGUES["en"]
    )
    patterns = [re.sub(r"\$\{[^}]*\}", r"\\w+", text) for text in re.findall(r"t?\(?`(\w*\$\{[^`]*\}\w*)`", sources)]
    composed = {key for key in CATALOGUES["en"] if any(re.fullmatch(pattern, key) for pattern in patterns)}
    assert used - set(CATALOGUES["en"]) == set()
    assert set(CATALOGUES["en"]) - used - composed == set()


def test_one_fetch_in_the_whole_page() -> None:
    assert sum(path.read_text().count("fetch(") for path in SCRIPTS) == 1


def test_nothing_builds_markup_from_text() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert [path.name for path in SCRIPTS if re.search(forbidden, path.read_text())] == []


def test_no_script_handler_or_style_stands_in_the_page() -> None:
    found = Attributes().found
    assert [entry for entry in found if entry[1].startswith("on") or entry[1] == "style"] == []
    assert "<style" not in PAGE
    assert re.findall(r"<script(?![^>]*\bsrc=)", PAGE) == []


def test_page_names_no_other_host() -> None:
    for path in [STATIC / "index.html", *SCRIPTS, *STYLES]:
        addresses = re.findall(r"[\"'(](?:https?:)?//[a-z][\w-]*\.[\w.-]+", path.read_text())
        assert addresses == [], path.name


def test_only_tastes_and_the_half_of_a_session_are_kept_in_the_browser() -> None:
    """HDR-14: no token; the page's secret opens nothing without the cookie, which no script can read."""
    keepers = sorted(path.name for path in SCRIPTS if "localStorage" in path.read_text())
    assert keepers == ["first_paint.js", "kept.js", "secret.js", "unlocked.js"]
    assert [path.name for path in SCRIPTS if "sessionStorage" in path.read_text()] == []


def test_names_of_elements_are_there() -> None:
    names = {value for _tag, name, value in Attributes().found if name == "data-name"}
    wanted = {
        name for path in SCRIPTS for name in re.findall(r"named\([^,()]+(?:\([^)]*\))?, \"([\w-]+)\"", path.read_text())
    }
    assert wanted - names == set()


def test_colours_are_named_in_one_file() -> None:
    for path in STYLES:
        if path.name == "tokens.css":
            continue
        raw = [line for line in path.read_text().splitlines() if re.search(r"#[0-9a-f]{3,8}\b", line)]
        assert raw == [], path.name


def test_each_file_says_first_what_it_owns() -> None:
    for path in [*SCRIPTS, *STYLES]:
        assert path.read_text().lstrip("/* \n").startswith("Owns "), path.name


def test_first_view_weighs_less_than_100_kb_compressed() -> None:
    terminal = STATIC / "js" / "terminal"
    files = [STATIC / "index.html", *STYLES, *(path for path in SCRIPTS if terminal not in path.parents)]
    files += [STATIC / "locales" / "fr.json"]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < 100_000


def test_types_of_the_page_hold() -> None:
    compiler = PROJECT / "node_modules" / ".bin" / "tsc"
    if not compiler.exists() or not shutil.which("node"):
        lack("npm ci first")
    finished = subprocess.run(
        [str(compiler), "--noEmit", "-p", "tsconfig.json"], cwd=PROJECT, capture_output=True, text=True
    )
    assert finished.stdout == ""
    assert finished.returncode == 0

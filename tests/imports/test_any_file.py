"""Whatever a file or a tool's folder holds: it comes as it is or is refused in a sentence, and nothing of it is cut."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import other_tools
from hypothesis import HealthCheck, given, settings, strategies as st

from claude_accounts import db
from claude_accounts.imports import plan, sources
from claude_accounts.messages import InvalidInput

many = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "..", "/", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS: list[Any] = [
    [{"name": "work", "auth_type": "api_key", "api_key": other_tools.key("a"), "approve_key": True}],
    {"accounts": [{"name": "work", "access_token": other_tools.access("a"), "expires_at": 5, "email": "a@b.c"}]},
    other_tools.login("a"),
    other_tools.config("a"),
    other_tools.claude_swap_export(),
    other_tools.cc_switch_config(),
    {"env": {"ANTHROPIC_API_KEY": other_tools.key("a"), "ANTHROPIC_BASE_URL": "https://api.anthropic.com"}},
]
PLAIN = st.text("abcXYZ019_-", min_size=1, max_size=200)
ODD = st.text(st.sampled_from("ab 1-_.'\"=;\\\t\n\r\ufeff\u200bé$<>{}\0"), max_size=40)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value within one."""
    found = [path]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        found += places(inner, (*path, name))
    return found


def changed(value: Any, chance: random.Random, new: Any) -> Any:
    """Return a copy in which one value is another."""
    made = copy.deepcopy(value)
    path = chance.choice(places(made))
    if not path:
        return new
    holder = made
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = new
    return made


def judged(found: list[sources.Source]) -> plan.Plan:
    """Return what would come, with and without the tokens of logins; every line of it says what and why."""
    for move in (True, False):
        foreseen = plan.foresee(found, move_logins=move)
        for row in foreseen.rows:
            assert row.told() and "\n" not in row.told() and len(row.told()) < 600, row
            assert (row.will == plan.ADDED) <= bool(row.name), row
            # It can be sent: half a character could not.
            json.dumps(row, ensure_ascii=False).encode()
        assert len(foreseen.checked) == foreseen.count(plan.ADDED) + sum(
            row.will == plan.SKIPPED and "already an account" in row.why for row in foreseen.rows
        )
    return foreseen


@many
@given(st.sampled_from(DOCUMENTS), JSON, st.randoms(use_true_random=False), st.sampled_from(["utf-8", "utf-16"]))
def test_a_file_with_anything_in_it_is_judged(document: Any, new: Any, chance: random.Random, encoding: str) -> None:
    data = json.dumps(changed(document, chance, new)).encode(encoding)
    try:
        judged([sources.of_bytes(data)])
    except InvalidInput as error:
        assert error.message and len(error.message) < 600


@many
@given(
    st.binary(max_size=60)
    | st.text(max_size=30).map(str.encode)
    | st.text('[]{}":,1eE+-.n \\u', max_size=30).map(str.encode)
)
def test_a_file_of_any_bytes_is_judged(data: bytes) -> None:
    try:
        judged([sources.of_bytes(data)])
    except InvalidInput as error:
        assert error.message and len(error.message) < 600


@settings(parent=many, max_examples=60)
@given(PLAIN | ODD, PLAIN | ODD, st.integers(-1, 10**16))
def test_a_secret_comes_out_as_it_went_in_or_is_refused(key: str, token: str, ends: int) -> None:
    given_: list[dict[str, Any]] = [
        {"name": "one", "auth_type": "api_key", "api_key": key},
        {"name": "two", "auth_type": "oauth", "access_token": token, "refresh_token": token[::-1], "expires_at": ends},
    ]
    for entry in given_:
        data = json.dumps([entry]).encode()
        foreseen = plan.foresee([sources.of_bytes(data)])
        if foreseen.refusal is not None:
            continue
        plan.carry_out(foreseen)
        (out,) = db.export_accounts(current=False)
        for field in ("api_key", "access_token", "refresh_token"):
            before, after = str(entry.get(field, "")), str(out.get(field, ""))
            # What is taken off stands around it and is no part of it: blanks, marks, quotes, its name.
            assert after == before or (after in before and not set(before) <= set("abcXYZ019_-")), (before, after)
        if out["auth_type"] == "oauth":
            assert out["expires_at"] == ends
        # And once more through our own export, which nothing changes.
        again = plan.foresee([sources.of_bytes(json.dumps([out | {"name": "again"}]).encode())])
        assert again.refusal is None and again.checked[0].get("api_key", "") == out.get("api_key", "")
        db.delete_account(db.find_account(str(entry["name"])).id)


@settings(parent=many, max_examples=40)
@given(st.data())
def test_a_tools_folder_with_anything_in_it_is_judged(home: Path, data: st.DataObject) -> None:
    shutil.rmtree(home)
    home.mkdir()
    stores: dict[str, Callable[[Path], Path]] = {
        ".ccs": other_tools.ccs,
        ".clauth": other_tools.clauth,
        ".local/share/caam": other_tools.caam,
        ".local/share/claude-swap": other_tools.claude_swap,
        ".claude-work": lambda path: other_tools.claude_folder(path, "w"),
    }
    place = data.draw(st.sampled_from(sorted(stores)))
    stores[place](home / place)
    files = sorted(path for path in (home / place).rglob("*") if path.is_file())
    file = data.draw(st.sampled_from(files))
    content = file.read_bytes()
    new = data.draw(JSON)
    try:
        chance = data.draw(st.randoms(use_true_random=False))
        content = json.dumps(changed(json.loads(content), chance, new)).encode()
    except ValueError:
        content = data.draw(st.binary(max_size=40)) + content[data.draw(st.integers(0, len(content))) :]
    file.write_bytes(content)
    judged(sources.discovered(os.environ))

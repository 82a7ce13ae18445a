"""The recipes of docs/deployment.md, as the tests run them."""

from __future__ import annotations

import re

from conftest import PROJECT


def recipe(name: str) -> str:
    """Return the block of code that follows the mark of this name."""
    text = (PROJECT / "docs" / "deployment.md").read_text()
    found = re.search(rf"<!-- recipe: {name} -->\n```[a-z]*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, f"no recipe {name}"
    return found[1]

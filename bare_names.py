"""Lets cli.py, server.py and db.py be run as scripts, and be imported by these bare names from their own folder.

An installation imports them as members of the package, and never this module.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "claude_accounts"


def member(name: str) -> ModuleType:
    """Return a module of the package, which is the folder that this file lies in."""
    if PACKAGE not in sys.modules:
        # Its own code is nothing but a docstring, and importlib.util would be a twentieth of a launch.
        package = ModuleType(PACKAGE)
        package.__spec__ = ModuleSpec(PACKAGE, None, is_package=True)
        package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
        package.__spec__.submodule_search_locations = package.__path__
        sys.modules[PACKAGE] = package
    return import_module(f"{PACKAGE}.{name}")


def adopt(module: dict[str, Any]) -> None:
    """Make the module that is being loaded by its bare name (its globals are given) a member of the package."""
    bare = module["__name__"]
    member("messages")
    module["__package__"] = PACKAGE
    module["__name__"] = module["__spec__"].name = f"{PACKAGE}.{bare}"
    sys.modules[module["__name__"]] = sys.modules[bare]

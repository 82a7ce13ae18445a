"""Lets cli.py, server.py and db.py be run as scripts, and be imported by these bare names from their own folder.

An installation imports them as members of the package, and never this module.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

PACKAGE = "claude_accounts"


def member(name: str) -> ModuleType:
    """Return a module of the package, which is the folder that this file lies in."""
    if PACKAGE not in sys.modules:
        here = os.path.dirname(os.path.abspath(__file__))
        spec = spec_from_file_location(PACKAGE, os.path.join(here, "__init__.py"), submodule_search_locations=[here])
        if spec is None or spec.loader is None:
            raise ImportError(f"{here} is no package", name=PACKAGE)
        sys.modules[PACKAGE] = package = module_from_spec(spec)
        spec.loader.exec_module(package)
    return import_module(f"{PACKAGE}.{name}")


def adopt(module: dict[str, Any]) -> None:
    """Make the module that is being loaded by its bare name (its globals are given) a member of the package."""
    bare = module["__name__"]
    member("messages")
    module["__package__"] = PACKAGE
    module["__name__"] = module["__spec__"].name = f"{PACKAGE}.{bare}"
    sys.modules[module["__name__"]] = sys.modules[bare]

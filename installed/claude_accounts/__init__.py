"""The installed program: its modules lie in a folder beside this file, where nobody imports them by accident."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run one command, as `python cli.py` does in a checkout."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "program"))
    from importlib import import_module

    code: int = import_module("cli").main()
    return code

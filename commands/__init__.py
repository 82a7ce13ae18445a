"""One module per family of commands; each has `register(subparsers)` and knows nothing of the others."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from messages import _

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_command(
    subparsers: Subparsers, name: str, *, help: str, example: str, aliases: Iterable[str] = ()
) -> argparse.ArgumentParser:
    """Add one command whose `--help` ends with an example that can be typed as it stands."""
    return subparsers.add_parser(
        name,
        help=help,
        description=help,
        epilog=_("example:") + "\n  " + example.replace("\n", "\n  "),
        aliases=list(aliases),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

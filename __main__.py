"""`python -m claude_accounts`, and the command that an installation has."""

import sys

from . import own_python


def main() -> int:
    """Run one command by a Python of our own, and return its exit code."""
    own_python.isolate()
    try:
        # Not before: another environment may have the modules of Python itself, for another Python.
        from . import cli
    except (ImportError, SyntaxError, ValueError, OSError) as broken:
        # Without our words: they may be what is broken.
        sys.exit(f"claude-accounts: error: this installation is damaged: {broken}")
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())

"""`python -m claude_accounts`."""

import sys

from .cli import main

sys.exit(main())

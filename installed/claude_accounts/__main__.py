"""`python -m claude_accounts`."""

import sys

from . import main

sys.exit(main())

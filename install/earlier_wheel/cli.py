"""What alias files start that were written from a wheel of 0.1: they name the place where the program lay then."""

import sys

from claude_accounts.__main__ import main

sys.exit(main())

"""``python -m callguard``: the command line, where the entry point is not on the path."""

import sys

from callguard.cli import main

sys.exit(main())

"""``python -m callguard``: the command line, where the entry point is not on the path."""

import sys

from callguard_command import main

sys.exit(main())

"""``python -m callguard``: the command line, if its entry point is not on the PATH."""

import sys

from callguard_command import main

sys.exit(main())

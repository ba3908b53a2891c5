"""Where the commands draw, for people."""

from __future__ import annotations

import errno
import os
from typing import NoReturn

from rich.console import Console

__all__ = ["Screen"]


class Screen(Console):
    """Standard output. Where its reader has gone it raises, for the command to deal with."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise what `print` would; rich itself exits with 1, which has another meaning here."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

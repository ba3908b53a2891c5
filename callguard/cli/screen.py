"""The rich console to which the commands draw."""

from __future__ import annotations

import errno
import os
from typing import NoReturn

from rich.console import Console

__all__ = ["Screen"]


class Screen(Console):
    """Standard output. If its reader has left it raises, so that the command can handle that."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise the error that `print` would; rich would exit with 1, which is another outcome."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

"""Where the commands draw, for people."""

from __future__ import annotations

import errno
import os
from typing import NoReturn

from rich.console import Console

__all__ = ["Screen"]


class Screen(Console):
    """Standard output, whose reader that has gone is the command's to deal with, as elsewhere."""

    def say(self, sentence: str) -> None:
        """Print plain text: broken between words on a terminal, and in one line in a log."""
        self.print(sentence, highlight=False, markup=False, soft_wrap=not self.is_terminal)

    def on_broken_pipe(self) -> NoReturn:
        """Raise what `print` would; rich itself exits with 1, which has another meaning here."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

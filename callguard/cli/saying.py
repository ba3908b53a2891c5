"""Output of the commands in sentences."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TextIO

__all__ = ["complain", "say"]


def say(sentence: str, stream: TextIO | None = None) -> None:
    """Write to stdout or to `stream`: wrapped between words on a terminal, else on one line."""
    stream = stream or sys.stdout
    columns = _columns(stream)
    if columns is not None:
        indent = " " * (len(sentence) - len(sentence.lstrip()))
        sentence = textwrap.fill(
            sentence,
            columns,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    print(sentence, file=stream, flush=True)


def complain(sentence: str) -> None:
    """Write to stderr in the same way."""
    say(sentence, sys.stderr)


def _columns(stream: TextIO) -> int | None:
    """The terminal's width; None if the stream is not a terminal."""
    if not stream.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(stream.fileno()).columns) or 80
    except (OSError, ValueError):
        return 80

"""Standard output that can't be written to: a full disk, a reader that has gone, a closed file."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Final

from callguard.cli.exits import ExitCode

__all__ = ["CLOSED", "failed", "is_of_output", "never_unencodable"]

CLOSED: Final = OSError(errno.EBADF, "it is closed")

_ERRNOS: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBADF,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.ENOSPC,
        errno.EPIPE,
    }
)
"""How writing to a file, a pipe or a terminal fails. Other failures are each command's own."""


def never_unencodable() -> None:
    """Write a question mark for each character that the output's encoding lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def is_of_output(error: OSError) -> bool:
    """Whether this is how writing to a file, a pipe or a terminal fails."""
    return error.errno in _ERRNOS


def failed(error: OSError) -> ExitCode:
    """Say that the output can't be written, unless that is because its reader has gone.

    Returns:
        The code to exit with.
    """
    _write_nowhere()
    if error.errno == errno.EPIPE:
        return ExitCode.NO_READER
    with suppress(OSError):
        print(f"can't write the output: {error.strerror}; write it elsewhere", file=sys.stderr)
    return ExitCode.OUTPUT_FAILED


def _write_nowhere() -> None:
    # What is still in the buffer would fail again when the process ends, and in many words.
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

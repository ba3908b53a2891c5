"""Failures of standard output: a full disk, a reader that has left, a closed file."""

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
"""The errors of writing to a file, a pipe or a terminal. The commands handle all others."""


def never_unencodable() -> None:
    """Make stdout write a question mark for each character that its encoding lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def is_of_output(error: OSError) -> bool:
    """Whether this is an error of writing to a file, a pipe or a terminal."""
    return error.errno in _ERRNOS


def failed(error: OSError) -> ExitCode:
    """Report that the output can't be written, unless the reason is that its reader has left.

    Returns:
        The exit code.
    """
    _write_nowhere()
    if error.errno == errno.EPIPE:
        return ExitCode.NO_READER
    with suppress(OSError):
        print(f"can't write the output: {error.strerror}; write it elsewhere", file=sys.stderr)
    return ExitCode.OUTPUT_FAILED


def _write_nowhere() -> None:
    # Python would try to flush the buffer at exit, fail again, and print a traceback.
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

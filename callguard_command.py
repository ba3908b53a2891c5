"""The command ``callguard``: from its first moment on, Ctrl-C ends it in one line.

Outside the package, because importing anything of that imports all that a gate needs, which takes a
good part of a second.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["main"]

_INTERRUPTED = 130
"""As `callguard.cli.exits` has it, which isn't imported yet."""


def main() -> int:
    """Run the command that this process was started for.

    Returns:
        The code to exit with; see `callguard.cli.exits`.
    """
    with _ended_by_ctrl_c():
        from callguard import cli  # noqa: PLC0415

        cli.load()
    return cli.main()


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    # Ends the process itself: an exception that is raised within an import may become another.
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if usual:
        signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        if usual:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(_INTERRUPTED)

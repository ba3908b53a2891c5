"""The terminal under ``callguard top``: single keys, its size, and all as before at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["keys_to", "resizes_to"]


@contextmanager
def keys_to(press: Callable[[str], None]) -> Iterator[None]:
    """Call `press` with each key, without echo, during the block; for a terminal as stdin only.

    Ctrl-C goes on to interrupt; Ctrl-Z does nothing, since it would leave the picture behind.
    """
    try:
        import termios  # noqa: PLC0415 - not on Windows
        import tty  # noqa: PLC0415
    except ImportError:
        yield
        return
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    stdin = sys.stdin.fileno()
    before = termios.tcgetattr(stdin)
    loop = asyncio.get_running_loop()

    def read() -> None:
        keys = os.read(stdin, 64)
        if not keys:  # the terminal is gone
            loop.remove_reader(stdin)
        for key in keys.decode("utf-8", "replace"):
            press(key)

    try:
        tty.setcbreak(stdin)
        single = termios.tcgetattr(stdin)
        single[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(stdin, termios.TCSANOW, single)
        loop.add_reader(stdin, read)
        yield
    finally:
        loop.remove_reader(stdin)
        termios.tcsetattr(stdin, termios.TCSAFLUSH, before)


@contextmanager
def resizes_to(changed: Callable[[], None]) -> Iterator[None]:
    """Call `changed` when the terminal has another size, during the block."""
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError, AttributeError):  # on Windows
        loop.add_signal_handler(signal.SIGWINCH, changed)
    try:
        yield
    finally:
        with suppress(NotImplementedError, AttributeError):
            loop.remove_signal_handler(signal.SIGWINCH)

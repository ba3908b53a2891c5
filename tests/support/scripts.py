"""Python programs of their own, for what a test can't do in its own process, such as to fork."""

from __future__ import annotations

import subprocess
import sys
import textwrap

__all__ = ["output_of"]


def output_of(prologue: str, script: str) -> str:
    """What a program prints on stdout; without the warning of newer Pythons on forks and threads.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(
        [sys.executable, "-c", prologue + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

"""The name, for people, of a process that uses a ledger."""

from __future__ import annotations

import os
import socket

__all__ = ["this_process"]


def this_process() -> str:
    """Return the name of this process: the machine's name, a colon and the process id."""
    host = socket.gethostname().encode("utf-8", "replace").decode()
    return f"{host}:{os.getpid()}"

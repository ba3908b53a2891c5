"""What people call a process that uses a ledger."""

from __future__ import annotations

import os
import socket

__all__ = ["this_process"]


def this_process() -> str:
    """The machine's name and the process's number, with a colon between."""
    host = socket.gethostname().encode("utf-8", "replace").decode()
    return f"{host}:{os.getpid()}"

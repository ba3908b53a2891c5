"""Addresses for tests."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

__all__ = ["nowhere"]


@pytest.fixture
def nowhere() -> Iterator[str]:
    """Yield an address at which nobody listens, or can start to, because its port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"

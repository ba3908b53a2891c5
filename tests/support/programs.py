"""What campaigns and benchmarks of a shared ledger stand on: a command line, a server, gates."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import callguard
from callguard.ledger import RedisLedger
from callguard.testing import RedisServer
from tests.support.fake_network import FakeSession, limits_reply


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """The address of the server to use: the one that was named, or a private one."""
    if url is not None:
        yield url
        return
    with RedisServer() as private:
        yield private.url


@asynccontextmanager
async def open_shared(
    ledger: RedisLedger, workspace: str, limit: int, *, ring_limit: float = 30.0
) -> AsyncIterator[callguard.Gate]:
    """A gate as users open it on a shared ledger, but for the network: it always reads 0 calls."""
    session = FakeSession(lambda *_: limits_reply(0, limit))
    async with callguard.open_gate(
        workspace, session=session, ledger=ledger, cps=None, ring_limit=ring_limit
    ) as gate:
        yield gate


async def let_one_in(gate: callguard.Gate) -> None:
    """Wait until the ledger is open: they admit nobody at first."""
    async with gate.admit() as permit:
        permit.cancel()


def command(description: str | None) -> argparse.ArgumentParser:
    """A command line that has what all of them have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ledger", metavar="URL", help="a server to use; else a private one")
    return parser


def surroundings() -> str:
    """What the figures depend on, in one line."""
    busy = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"Python {platform.python_version()} on {sys.platform}, {platform.machine()}, "
        f"{os.cpu_count()} cores{busy}"
    )

"""Support for campaigns and benchmarks of a shared ledger: a command line, a server, gates."""

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
    """Yield the address of the given server, or else of a private one."""
    if url is not None:
        yield url
        return
    with RedisServer() as private:
        yield private.url


@asynccontextmanager
async def open_shared(
    ledger: RedisLedger, workspace: str, limit: int, *, ring_limit: float = 30.0
) -> AsyncIterator[callguard.Gate]:
    """A gate on a shared ledger, as users open it, without a network: it always reads 0 calls."""
    session = FakeSession(lambda *_: limits_reply(0, limit))
    async with callguard.open_gate(
        workspace, session=session, ledger=ledger, cps=None, ring_limit=ring_limit
    ) as gate:
        yield gate


async def let_one_in(gate: callguard.Gate) -> None:
    """Wait until the ledger admits callers, which a new one doesn't at first."""
    async with gate.admit() as permit:
        permit.cancel()


def command(description: str | None) -> argparse.ArgumentParser:
    """A command line with the options that all these programs share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ledger", metavar="URL", help="a server to use; else a private one")
    return parser


def surroundings() -> str:
    """A line about the machine and Python, on which the figures depend."""
    busy = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"Python {platform.python_version()} on {sys.platform}, {platform.machine()}, "
        f"{os.cpu_count()} cores{busy}"
    )

"""Dial from four processes that share one limit, as their gates share a ledger on a Redis server.

Run ``python many_workers.py redis://localhost:6379``; without an argument a server is started.
SIGTERM drains a process: it dials nobody any more, and ends when its calls are in the count.
"""

import asyncio
import signal
import sys
import uuid
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context

import aiohttp

import callguard
from callguard.simulator import Constant, WorkspaceSettings, serve
from callguard.testing import RedisServer

TALK = Constant(0.4)
WORLD = WorkspaceSettings(
    limit=6,
    cps=None,  # a busy machine may delay one dial, and not the next
    ring_limit=0.2,
    talk_time=TALK,
    rise_lag=0.1,
    fall_lag=0.1,
)


async def dial(ledger: str, key: str, url: str) -> None:
    """What each process does: a gate of its own, and five calls of its own."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(url, headers=headers, raise_for_status=True) as session,
        callguard.open_gate(
            key,
            base_url=url,
            ledger=ledger,
            cps=None,
            counts_ringing=True,
            counter_lag=0.2,
            ttl=0.1,
        ) as gate,
    ):

        async def call(permit: callguard.Permit) -> object:
            body = {"from_number": "+1", "to_number": "+2", "idempotency_key": permit.id}
            async with session.post("/v2/create-phone-call", json=body) as response:
                return await response.json()

        async def lead() -> None:
            with suppress(callguard.GateDraining):  # SIGTERM came first: another worker's, say
                await gate.place(call)

        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            loop.add_signal_handler(signal.SIGTERM, lambda: tasks.create_task(gate.drain()))
            for _ in range(5):
                tasks.create_task(lead())


def worker(*workspace: str) -> None:
    asyncio.run(dial(*workspace))


async def campaign(ledger: str) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
        async with serve(WORLD, api_key=f"key_{uuid.uuid4().hex}") as server:
            run = asyncio.get_running_loop().run_in_executor
            workspace = ledger, server.api_key, server.url
            await asyncio.gather(*(run(processes, worker, *workspace) for _ in range(4)))
            truth = server.workspace.truth()
    print(f"peak {truth.peak} of {WORLD.limit}, {truth.refusals} refused, {truth.placed} placed")
    assert (truth.placed, truth.refusals, truth.peak <= WORLD.limit) == (20, 0, True)


def test_four_processes_share_one_limit() -> None:
    with RedisServer() as redis:
        asyncio.run(campaign(redis.url))


if __name__ == "__main__":
    asyncio.run(campaign(sys.argv[1])) if sys.argv[1:] else test_four_processes_share_one_limit()

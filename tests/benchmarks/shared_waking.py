"""Time from a slot given back in one process to its use in another.

    python -m tests.benchmarks.shared_waking

There is one slot, and a caller in each of two processes. Whoever has it keeps it until the other
has been in the queue for a while, and gives it back; a moment later it joins the queue again. Both
read CLOCK_MONOTONIC, which is the same for all processes on Linux. Prints, as Markdown: the median,
the 99th percentile and the maximum; beside them the least that it can take, a PUBLISH in one
process that makes the other one call EVALSHA of ``return 1``.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
import uuid
from itertools import pairwise
from typing import NamedTuple

from redis.asyncio import Redis

from callguard.ledger import RedisLedger
from tests.support.processes import Parent, Said, Worker, workers
from tests.support.programs import command, let_one_in, open_shared, server, surroundings

STAY = (0.015, 0.03)
"""Seconds for which a caller has the slot: drawn, so that no timer's rhythm falls in with it."""

AWAY = 0.003
"""Seconds after which a caller that has given the slot back joins the queue again."""

IN_LINE = 0.005
"""Seconds for which the other one must have been in the queue, or the handover doesn't count."""


class Visit(NamedTuple):
    """When a caller joined the queue, was admitted, and gave the slot back; in seconds."""

    joined: float
    entered: float
    left: float


async def visit(parent: Parent, url: str, name: str, seed: int) -> None:
    """Use the slot again and again until told to stop; then tell when that was."""
    draw = random.Random(seed)
    visits = []
    async with (
        RedisLedger.from_url(url, name=name) as ledger,
        open_shared(ledger, "key_benchmark", 1) as gate,
    ):
        await let_one_in(gate)
        parent.tell(ready=True)
        stop = asyncio.create_task(parent.hear())
        while not stop.done():
            joined = time.monotonic()
            async with gate.admit() as permit:
                entered = time.monotonic()
                await asyncio.sleep(draw.uniform(*STAY))
                left = time.monotonic()
                permit.cancel()
            visits.append(Visit(joined, entered, left))
            await asyncio.sleep(AWAY)
    parent.tell(visits=visits)


async def echo(parent: Parent, url: str, name: str, seed: int) -> None:
    """Answer each message on a channel by a command, and tell when that was answered."""
    del seed
    heard = []
    async with Redis.from_url(url) as client, client.pubsub() as bell:
        digest = await client.script_load("return 1")
        await bell.subscribe(name)
        parent.tell(ready=True)
        stop = asyncio.create_task(parent.hear())
        while not stop.done():
            message = await bell.get_message(ignore_subscribe_messages=True, timeout=0.1)
            if message is not None:
                await client.evalsha(digest, 0)
                heard.append(time.monotonic())
    parent.tell(heard=heard)


def handovers(visits: list[Visit]) -> tuple[list[float], int]:
    """Seconds from leaving to the next one's entering; and how many don't count."""
    waits, early = [], 0
    for one, other in pairwise(visits):
        if other.joined + IN_LINE <= one.left:
            waits.append(other.entered - one.left)
        else:
            early += 1
    return waits, early


async def gated(url: str, count: int) -> tuple[list[float], int]:
    """At least `count` handovers between two processes."""
    async with workers(2, visit, url, uuid.uuid4().hex, seed=1) as pair:
        await asyncio.sleep(count * (sum(STAY) / 2 + 0.01))
        told = await asyncio.gather(*(_stopped(worker) for worker in pair))
    visits = [Visit(*each) for said in told for each in said["visits"]]
    return handovers(sorted(visits, key=lambda each: each.entered))


async def raw(url: str, count: int) -> list[float]:
    """The same as bare commands."""
    channel, begun = uuid.uuid4().hex, []
    async with workers(1, echo, url, channel, seed=1) as (other,), Redis.from_url(url) as client:
        for _ in range(count):
            begun.append(time.monotonic())
            await client.publish(channel, b"come")
            await asyncio.sleep(0.01)
        heard = (await _stopped(other))["heard"]
    return [end - begin for begin, end in zip(begun, heard, strict=False)]


async def _stopped(worker: Worker) -> Said:
    worker.tell(stop=True)
    return await worker.expect()


def row(what: str, seconds: list[float]) -> str:
    percentiles = statistics.quantiles(seconds, n=100)
    figures = (statistics.median(seconds), percentiles[98], max(seconds))
    return f"| {what} | {len(seconds):,} | " + " | ".join(f"{x * 1e3:.1f}" for x in figures) + " |"


async def main(ledger: str | None, count: int) -> None:
    print(f"{surroundings()}\n")
    print("| what | times | median ms | p99 ms | maximum ms |\n|---|---|---|---|---|")
    with server(ledger) as url:
        waits, early = await gated(url, count)
        print(row("given back here, used there", waits), flush=True)
        print(row("PUBLISH here, EVALSHA there", await raw(url, count)))
    print(f"\nNot counted, because the other one was not in the queue in time: {early}")


if __name__ == "__main__":
    parser = command(__doc__)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    asyncio.run(main(options.ledger, options.count))

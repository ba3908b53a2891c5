"""Admissions on a shared ledger beside the least that the server can be asked, in one run.

    python -m tests.benchmarks.shared_speed

Prints, as Markdown: admissions per second, entering and leaving, with 1, 50 and 2,000 callers in
one process and with 4 processes of 50 each; beside EVALSHA of ``return 1`` by as many tasks in as
many processes, in rounds that take turns. The ratio is the median of those of neighbouring rounds.
The limit is 100 calls, and readings come from a script, not from the network.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from redis.asyncio import BlockingConnectionPool, Redis

from callguard.ledger import RedisLedger
from tests.support.processes import Parent, Worker, workers
from tests.support.programs import command, let_one_in, open_shared, server, surroundings

LIMIT = 100

FEW_CONNECTIONS = 50
"""For raw commands by more tasks than this, which are the slower the more connections there are."""

Step = Callable[[], Awaitable[object]]


async def work(parent: Parent, url: str, workspace: str, tasks: int) -> None:
    """Make steps for as long as the parent says, and tell how many a second, again and again."""
    async with AsyncExitStack() as stack:
        steps = {
            "raw": await stack.enter_async_context(
                _raw(Redis.from_url(url, max_connections=tasks))
            ),
            "gated": await stack.enter_async_context(_gated(url, workspace)),
        }
        if tasks > FEW_CONNECTIONS:
            pool = BlockingConnectionPool.from_url(
                url, max_connections=FEW_CONNECTIONS, timeout=None
            )
            few = Redis.from_pool(pool)
            steps["raw, few connections"] = await stack.enter_async_context(_raw(few))
        parent.tell(ready=True)
        while (asked := await parent.hear()) is not None:
            await asyncio.sleep(asked["begin"] - time.monotonic())
            end = asked["begin"] + asked["seconds"]
            counts = await asyncio.gather(
                *(_repeat(steps[asked["what"]], end) for _ in range(tasks))
            )
            parent.tell(rate=sum(counts) / (time.monotonic() - asked["begin"]))


async def _repeat(step: Step, end: float) -> int:
    """Begin steps until `end`, and finish them all; how many."""
    count = 0
    while count == 0 or time.monotonic() < end:
        await step()
        count += 1
    return count


@asynccontextmanager
async def _raw(client: Redis) -> AsyncIterator[Step]:
    async with client:
        digest = await client.script_load("return 1")

        async def step() -> None:
            await client.evalsha(digest, 0)

        yield step


@asynccontextmanager
async def _gated(url: str, workspace: str) -> AsyncIterator[Step]:
    async with (
        RedisLedger.from_url(url) as ledger,
        open_shared(ledger, workspace, LIMIT) as gate,
    ):
        await let_one_in(gate)

        async def step() -> None:
            async with gate.admit() as permit:
                permit.cancel()

        yield step


async def rate(crowd: list[Worker], what: str, seconds: float) -> float:
    """Steps per second of all workers together."""
    begin = time.monotonic() + 0.05
    for worker in crowd:
        worker.tell(what=what, begin=begin, seconds=seconds)
    told = await asyncio.gather(*(worker.expect() for worker in crowd))
    rates: list[float] = [said["rate"] for said in told]
    return sum(rates)


async def compare(url: str, processes: int, tasks: int, rounds: int, seconds: float) -> str:
    """One row of the table."""
    kinds = ["raw", "gated"]
    if tasks > FEW_CONNECTIONS:
        kinds.insert(1, "raw, few connections")
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    async with workers(processes, work, url, uuid.uuid4().hex, tasks) as crowd:
        for kind in kinds:
            await rate(crowd, kind, seconds / 4)  # to make the connections
        for _ in range(rounds):
            for kind in kinds:
                rates[kind].append(await rate(crowd, kind, seconds))
    ours = rates.pop("gated")
    best = max(rates, key=lambda kind: statistics.median(rates[kind]))
    connections = FEW_CONNECTIONS if best != "raw" else tasks
    ratios = [one / two for one, two in zip(ours, rates[best], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return (
        f"| {processes} | {tasks:,} | {_spread(ours)} | {_spread(rates[best])} "
        f"| {connections:,} | {middle:.2f} | {low:.2f} to {high:.2f} |"
    )


def _spread(rates: list[float]) -> str:
    low, middle, high = statistics.quantiles(rates, n=4)
    return f"{middle:,.0f} ({low:,.0f} to {high:,.0f})"


async def main(ledger: str | None, rounds: int, seconds: float) -> None:
    print(f"{surroundings()}; {rounds} rounds of {seconds:g} s; limit {LIMIT}\n")
    print(
        "| processes | callers in each | admissions per second (quartiles) "
        "| raw EVALSHA per second (quartiles) | raw connections in each | ratio, median "
        "| quartiles |"
    )
    print("|---|---|---|---|---|---|---|")
    with server(ledger) as url:
        for processes, tasks in ((1, 1), (1, 50), (1, 2000), (4, 50)):
            print(await compare(url, processes, tasks, rounds, seconds), flush=True)


if __name__ == "__main__":
    parser = command(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    asyncio.run(main(options.ledger, options.rounds, options.seconds))

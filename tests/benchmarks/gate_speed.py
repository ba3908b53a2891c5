"""The gate beside `asyncio.Semaphore`, interleaved in one run.

    python -m tests.benchmarks.gate_speed

Prints, as Markdown: entering and leaving with room, and a queue drained through 20 places, per
admission, with the median of the ratios of neighbouring rounds and their quartiles.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import callguard
from tests.fake_network import FakeSession, limits_reply

PLACES = 20


@asynccontextmanager
async def gate_with(limit: int) -> AsyncIterator[callguard.Gate]:
    """A gate as a user opens it, but for the network."""
    session = FakeSession(lambda *_: limits_reply(0, limit))
    async with callguard.open_gate("key_bench", session=session, ttl=3600, max_age=3600) as gate:
        yield gate


async def semaphore_with_room(rounds: int) -> float:
    semaphore = asyncio.Semaphore(PLACES)
    begin = time.perf_counter()
    for _ in range(rounds):
        async with semaphore:
            pass
    return (time.perf_counter() - begin) / rounds


async def gate_with_room(rounds: int) -> float:
    async with gate_with(limit=10 * rounds) as gate:
        begin = time.perf_counter()
        for _ in range(rounds):
            async with gate:
                pass
        return (time.perf_counter() - begin) / rounds


async def semaphore_drained(waiters: int) -> float:
    semaphore = asyncio.Semaphore(PLACES)

    async def visit() -> None:
        async with semaphore:
            await asyncio.sleep(0)

    return await _drain(visit, waiters)


async def gate_drained(waiters: int) -> float:
    async with gate_with(limit=PLACES) as gate:

        async def visit() -> None:
            async with gate as permit:
                await asyncio.sleep(0)
                permit.cancel()

        return await _drain(visit, waiters)


async def _drain(visit: Callable[[], Awaitable[None]], waiters: int) -> float:
    tasks = [asyncio.ensure_future(visit()) for _ in range(waiters)]
    await asyncio.sleep(0)  # all have joined the line
    begin = time.perf_counter()
    await asyncio.gather(*tasks)
    return (time.perf_counter() - begin) / waiters


Measure = Callable[[int], Awaitable[float]]


async def compare(name: str, ours: Measure, theirs: Measure, size: int, rounds: int) -> float:
    """Print one row; returns our median in seconds."""
    mine, other = [], []
    for _ in range(rounds):
        gc.collect()
        other.append(await theirs(size))
        gc.collect()
        mine.append(await ours(size))
    ratios = [one / two for one, two in zip(mine, other, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"| {name} | {statistics.median(mine) * 1e6:.2f} | {statistics.median(other) * 1e6:.2f} "
        f"| {middle:.2f} | {low:.2f} to {high:.2f} |",
        flush=True,
    )
    return statistics.median(mine)


async def main(rounds: int) -> None:
    print(f"Python {platform.python_version()} on {sys.platform}, {platform.machine()}\n")
    print("| what | callguard µs | asyncio.Semaphore µs | ratio, median | quartiles |")
    print("|---|---|---|---|---|")
    await compare("with room", gate_with_room, semaphore_with_room, 20_000, 3 * rounds)
    drained = {}
    for waiters in (1_000, 10_000, 100_000):
        drained[waiters] = await compare(
            f"{waiters:,} waiters through {PLACES} places",
            gate_drained,
            semaphore_drained,
            waiters,
            rounds if waiters < 100_000 else max(3, rounds // 3),
        )
    growth = drained[100_000] / drained[1_000]
    print(f"\nGrowth per admission from 1,000 to 100,000 waiters: {growth:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    asyncio.run(main(parser.parse_args().rounds))

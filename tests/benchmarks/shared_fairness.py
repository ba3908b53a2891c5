"""Who gets in how often, and after how many others, where eight processes want the same slots.

    python -m tests.benchmarks.shared_fairness

Prints, as Markdown:

- With as many callers in each process: Jain's index of the admissions of each, over every window
  of 5 s that begins at a whole second: the least and the mean.
- With ten times as many in every second process: for each admitted caller, the how-manieth
  admission of its lane its own was since it joined, against the bound, (k + 1) * W: with k callers
  ahead of it in its own process, and W processes that wait and get one slot each in turn.
"""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from callguard.ledger import RedisLedger
from tests.support.processes import Parent, Worker, workers
from tests.support.programs import command, let_one_in, open_shared, server, surroundings

LIMIT = 10
STAY = 0.05
WINDOW = 5.0
RAMP = 1.0
"""Seconds until everybody is in the queue, and what is admitted is counted."""


class Admission(NamedTuple):
    """A caller's: `ahead` of it in its own process were so many; times in seconds."""

    worker: int
    joined: float
    ahead: int
    entered: float


async def visit(parent: Parent, url: str, name: str) -> None:
    """So many callers as the parent says, until a moment; then tell of every admission."""
    told: list[tuple[float, int, float]] = []
    async with (
        RedisLedger.from_url(url, name=name) as ledger,
        open_shared(ledger, "key_benchmark", LIMIT) as gate,
    ):
        await let_one_in(gate)
        parent.tell(ready=True)
        asked = await parent.hear()
        assert asked is not None

        async def caller() -> None:
            while (joined := time.monotonic()) < asked["until"]:
                ahead = gate.statistics().waiting["default"]
                async with gate.admit() as permit:
                    told.append((joined, ahead, time.monotonic()))
                    await asyncio.sleep(STAY)
                    permit.cancel()

        await asyncio.gather(*(caller() for _ in range(asked["callers"])))
    parent.tell(admissions=told)


async def admissions(url: str, callers: Sequence[int], seconds: float) -> list[Admission]:
    """All that were admitted, but for the ramps, in the order of their entering."""
    async with workers(len(callers), visit, url, uuid.uuid4().hex) as crowd:
        begin = time.monotonic() + RAMP
        until = begin + seconds
        told = await asyncio.gather(
            *(_told(*each, until) for each in zip(crowd, callers, strict=True))
        )
    every = [Admission(number, *each) for number, said in enumerate(told) for each in said]
    return sorted(
        (each for each in every if begin <= each.entered < until), key=lambda each: each.entered
    )


async def _told(worker: Worker, callers: int, until: float) -> list[tuple[float, int, float]]:
    worker.tell(callers=callers, until=until)
    said: list[tuple[float, int, float]] = (await worker.expect())["admissions"]
    return said


def jain(amounts: Sequence[int]) -> float:
    """1 where all are equal, 1/n where one has everything."""
    return sum(amounts) ** 2 / (len(amounts) * sum(each**2 for each in amounts))


def indices(every: Sequence[Admission], processes: int) -> list[float]:
    """Jain's index of each window."""
    found, begin = [], every[0].entered
    while begin + WINDOW <= every[-1].entered:
        inside = [each.worker for each in every if begin <= each.entered < begin + WINDOW]
        found.append(jain([inside.count(worker) for worker in range(processes)]))
        begin += 1.0
    return found


def places(every: Sequence[Admission]) -> list[int]:
    """For each: the how-manieth admission its own was since it joined."""
    entered = [each.entered for each in every]
    return [
        bisect_left(entered, each.entered) - bisect_right(entered, each.joined) + 1
        for each in every
    ]


def equal(every: list[Admission], processes: int) -> str:
    found = indices(every, processes)
    return f"| {len(every):,} | {len(found)} | {min(found):.4f} | {statistics.mean(found):.4f} |"


def unequal(every: list[Admission], callers: Sequence[int], some: int) -> str:
    """The row of those processes that have `some` callers."""
    mine = [
        (place, (each.ahead + 1) * len(callers), each.entered - each.joined)
        for place, each in zip(places(every), every, strict=True)
        if callers[each.worker] == some and each.joined >= every[0].entered
    ]
    ratios = [place / bound for place, bound, _ in mine]
    beyond = [place - bound for place, bound, _ in mine if place > bound]
    waits = [wait for _, _, wait in mine]
    return (
        f"| {some} | {len(mine):,} | {statistics.median(ratios):.2f} | {max(ratios):.2f} "
        f"| {len(beyond)} | {max(beyond, default=0)} "
        f"| {statistics.median(waits) * 1e3:.0f} | {max(waits) * 1e3:.0f} |"
    )


async def main(ledger: str | None, processes: int, seconds: float, few: int) -> None:
    print(f"{surroundings()}; limit {LIMIT}, stay {STAY * 1e3:g} ms, {processes} processes\n")
    many = [10 * few if number % 2 else few for number in range(processes)]
    with server(ledger) as url:
        every = await admissions(url, [few] * processes, seconds)
        print("| admissions | windows of 5 s | least index | mean index |\n|---|---|---|---|")
        print(equal(every, processes), flush=True)
        every = await admissions(url, many, seconds)
    print(
        "\n| callers in the process | admissions | place / bound, median | largest "
        "| beyond the bound | by at most (places) | wait, median ms | longest ms |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for some in (few, 10 * few):
        print(unequal(every, many, some))


if __name__ == "__main__":
    parser = command(__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--callers", type=int, default=4, help="in each; or in each second one")
    options = parser.parse_args()
    asyncio.run(main(options.ledger, options.processes, options.seconds, options.callers))

"""What a trunk's rate costs: admissions with and without one, and long queues for ten.

    python -m tests.benchmarks.trunks

prints tables as Markdown, medians with the quartiles behind them; a ratio is the median of those of
neighbouring rounds. The rates of all tables but the last are far above what a gate admits in a
second, so nobody waits for them. In the last, callers wait for ten trunks of different rates, under
virtual time, so that each of them comes due by itself: CPU per admission until all are through, and
until the first 1,000 are.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice, product
from typing import Any

from redis.asyncio import Redis

import callguard
from callguard.ledger import RedisLedger
from tests.benchmarks.tables import Spread, interleaved, markdown, ratios
from tests.support.fake_network import FakeSession, limits_reply
from tests.support.programs import command, let_one_in, server, surroundings
from tests.support.virtual_time import run

TTL = 3600.0
"""Seconds between two readings: none comes while anything is measured, but for those on Redis."""

CLOCK = time.process_time
"""Seconds of CPU, which other processes disturb less than the time that passes."""

WITHOUT, SPACED, WINDOW = "no rate", "a rate, evenly spaced", "a rate by a window"

FAST = callguard.Trunk("fast", cps=1e6, window=1.0)

KINDS: dict[str, tuple[dict[str, Any], str]] = {
    WITHOUT: ({"cps": None}, "default"),
    SPACED: ({"cps": 1e6}, "default"),
    WINDOW: ({"cps": None, "trunks": [FAST]}, FAST.name),
}
"""By name: how the gate is opened, and the trunk that calls name."""

ON_REDIS = WITHOUT, WINDOW
"""The server counts starts in whole milliseconds: evenly spaced, a thousand a second go at most."""

TEN = [callguard.Trunk(f"trunk {number}", cps=1 + number / 10) for number in range(10)]


@asynccontextmanager
async def opened(limit: int, **options: Any) -> AsyncIterator[callguard.Gate]:
    """A gate as a user opens it, but for the network, on which nothing is going on."""
    session = FakeSession(lambda *_: limits_reply(0, limit))
    async with callguard.open_gate("key_bench", session=session, **options) as gate:
        yield gate


async def in_one_process(kind: str, admissions: int) -> float:
    """Seconds of CPU per admission with room, each of which is left as placed."""
    options, trunk = KINDS[kind]
    async with opened(10 * admissions, ttl=TTL, max_age=10 * TTL, **options) as gate:
        begin = CLOCK()
        for _ in range(admissions):
            async with gate.admit(trunk=trunk):
                pass
        return (CLOCK() - begin) / admissions


@dataclass(frozen=True)
class Cost:
    """Seconds per admission: that pass, and of CPU, here and on the server."""

    time: float
    cpu: float


async def on_redis(kind: str, url: str, admissions: int, callers: int, *, dialled: bool) -> Cost:
    """What an admission costs to so many callers at a time, each of which leaves at once.

    Left as placed where it is `dialled`; else cancelled, which gives its start back.
    """
    options, trunk = KINDS[kind]
    async with (
        Redis.from_url(url) as client,
        RedisLedger.from_url(url, name=uuid.uuid4().hex) as ledger,
        opened(10 * admissions, ledger=ledger, **options) as gate,
    ):

        async def caller(todo: Iterator[int]) -> None:
            for _ in todo:
                async with gate.admit(trunk=trunk) as permit:
                    if not dialled:
                        permit.cancel()

        async def crowd(todo: Iterator[int]) -> None:
            await asyncio.gather(*(caller(todo) for _ in range(callers)))

        await let_one_in(gate)
        await crowd(iter(range(callers)))  # which makes the connections
        cpu, begin = CLOCK() + await _server_cpu(client), time.perf_counter()
        await crowd(iter(range(admissions)))
        seconds = time.perf_counter() - begin
        cpu = CLOCK() + await _server_cpu(client) - cpu
        return Cost(seconds / admissions, cpu / admissions)


async def _server_cpu(client: Redis) -> float:
    told = await client.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


async def waiting_for_ten(callers: int, admissions: int) -> float:
    """Seconds of CPU per admission, for the first so many of the callers; under virtual time."""
    async with opened(2 * callers, ttl=1e9, max_age=1e9, cps=None, trunks=TEN) as gate:
        admitted, enough = 0, asyncio.Event()

        async def caller(trunk: callguard.Trunk) -> None:
            nonlocal admitted
            async with gate.admit(trunk=trunk):
                admitted += 1
                if admitted == admissions:
                    enough.set()

        tasks = [asyncio.create_task(caller(trunk)) for trunk in islice(cycle(TEN), callers)]
        for _ in range(5):  # turns of the loop in which everybody comes as far as the queue
            await asyncio.sleep(0)
        at_once = admitted
        begin = CLOCK()
        await enough.wait()
        seconds = CLOCK() - begin
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return seconds / (admissions - at_once)


async def _waiting_for_ten(callers: int, admissions: int) -> float:
    """In a loop and a thread of its own."""
    return await asyncio.to_thread(run, waiting_for_ten(callers, admissions))


def table(name: str, unit: str, figures: dict[str, list[float]], base: str) -> str:
    """The figures beside those of `base`, round by round."""
    rows = [
        (each, Spread.of(found).shown(1e6, 2), ratios(found, figures[base]).shown(1.0, 3))
        for each, found in figures.items()
    ]
    return f"\n### {name}\n\n" + markdown(("", f"µs of {unit}", f"times {base}"), rows)


async def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser().parse_args(arguments)
    rounds, few, many = options.rounds, options.few, options.many
    print(f"{surroundings()}; {rounds} rounds")
    for kind in KINDS:
        await in_one_process(kind, 10)  # what is imported at the first use is no part of it
    figures = await interleaved(
        {kind: partial(in_one_process, kind, options.admissions) for kind in KINDS}, 3 * rounds
    )
    print(table("One process, with room", "CPU per admission", figures, WITHOUT), flush=True)
    with server(options.ledger) as url:
        for callers, dialled in product((1, 50), (True, False)):
            admissions = max(callers, options.admissions // 10)
            costs: dict[str, list[Cost]] = {kind: [] for kind in ON_REDIS}
            for _, kind in product(range(rounds), ON_REDIS):
                costs[kind].append(await on_redis(kind, url, admissions, callers, dialled=dialled))
            name = f"On Redis, {callers} at a time, {'placed' if dialled else 'cancelled'}"
            cpu = {kind: [cost.cpu for cost in found] for kind, found in costs.items()}
            print(table(name, "CPU per admission, the server's too", cpu, WITHOUT))
            passed = {kind: [cost.time for cost in found] for kind, found in costs.items()}
            print(table(name, "time per admission", passed, WITHOUT), flush=True)
    base = f"{few:,} callers"
    queues = {
        base: partial(_waiting_for_ten, few, few),
        f"{many:,} callers, the first {few:,}": partial(_waiting_for_ten, many, few),
        f"{many:,} callers": partial(_waiting_for_ten, many, many),
    }
    figures = await interleaved(queues, max(1, rounds // 2))
    print(table("Waiting for ten trunks", "CPU per admission", figures, base), flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = command(__doc__)
    made.add_argument("--rounds", type=int, default=9, help="how often each takes its turn")
    made.add_argument("--admissions", type=int, default=20_000, help="a tenth of them on Redis")
    made.add_argument("--few", type=int, default=1_000, help="callers who wait for ten trunks")
    made.add_argument("--many", type=int, default=100_000, help="the same, many")
    return made


if __name__ == "__main__":
    asyncio.run(main())

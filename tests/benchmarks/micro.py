"""The gate beside what a user would pick in its slot: side by side, interleaved, in one run.

    python -m tests.benchmarks.micro
    python -m tests.benchmarks.micro --only drained storm

prints tables as Markdown, medians with the quartiles behind them, and writes every figure as JSON.
A ratio is the median of those of neighbouring rounds. The peers come with
``pip install -e '.[bench]'``; one that isn't installed is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from callguard.testing import RedisServer
from tests.benchmarks import peers, shared_peers
from tests.benchmarks.faults import TRIALS, right, trial
from tests.benchmarks.peers import OURS, SEMAPHORE, Limiter, Peer, _Metered
from tests.benchmarks.shared_peers import RAW, SHARED_TRIALS, Backend, SharedPeer
from tests.benchmarks.tables import (
    Spread,
    interleaved,
    markdown,
    ratios,
    versions,
    write_json,
)
from tests.support.programs import surroundings
from tests.support.virtual_time import run

SLOTS = 20

CLOCK = time.process_time
"""Seconds of CPU, which other processes disturb less: nothing here waits for the outside. On Redis,
and for imports, the time that passes is measured."""

MODULES = (
    "aiohttp",
    "callguard",
    "asyncio",
    "anyio",
    "hyx.bulkhead",
    "aioresilience.bulkhead",
    "pyresilience",
    "aiometer",
    "limits.aio",
    "async_redis_rate_limiters",
)

DISTRIBUTIONS = (
    "callguard-gate",
    "aiohttp",
    "anyio",
    "hyx",
    "aioresilience",
    "pyresilience",
    "aiometer",
    "redis",
    "hiredis",
    "limits",
    "async-redis-rate-limiters",
)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int = 9
    admissions: int = 20_000
    queues: Sequence[int] = (1_000, 10_000, 100_000)
    storm: int = 100_000
    waiters: int = 10_000
    shared_admissions: int = 2_000
    shared_callers: Sequence[int] = (1, 50)


SMALL = Sizes(
    rounds=1,
    admissions=200,
    queues=(50,),
    storm=100,
    waiters=100,
    shared_admissions=20,
    shared_callers=(1,),
)


@dataclass
class Record:
    """What has been found so far, as it goes into the JSON."""

    tables: dict[str, Any] = field(default_factory=dict)

    def keep(self, name: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print a table, and remember it."""
        print(f"\n### {name}\n\n{markdown(header, rows)}", flush=True)
        self.tables.setdefault(name, {})["rows"] = [
            dict(zip(header, row, strict=True)) for row in rows
        ]

    def compare(
        self, name: str, figures: Mapping[str, Sequence[float]], base: str, unit: str, scale: float
    ) -> None:
        """The same for figures that are compared with those of `base`, round by round."""
        rows = []
        for each, found in figures.items():
            ratio = ratios(found, figures[base])
            rows.append((each, Spread.of(found).shown(scale, 2), ratio.shown(1.0, 2)))
        self.keep(name, ("", unit, f"times {base}"), rows)
        self.tables[name]["figures"] = dict(figures)


async def with_room(peer: Peer, admissions: int) -> float:
    """Seconds per admission, entering and leaving with room."""
    async with peer.opened(10 * admissions, 1) as limiter:
        begin = CLOCK()
        await limiter.pass_through(admissions)
        return (CLOCK() - begin) / admissions


async def drained(peer: Peer, waiters: int) -> float:
    """Seconds per admission of a queue that goes through `SLOTS` slots, one turn each.

    Measured from when all have joined the queue, but for a peer that has none.
    """
    async with peer.opened(SLOTS, SLOTS + waiters) as limiter:
        if isinstance(limiter, _Metered):
            begin = CLOCK()
            await limiter.run_all(_one_turn, waiters)
            return (CLOCK() - begin) / waiters
        full = await Full.of(limiter)
        tasks = await _queued(limiter, waiters)
        begin = CLOCK()
        full.leave.set()
        await asyncio.gather(*tasks)
        return (CLOCK() - begin) / waiters


async def storm(peer: Peer, waiters: int) -> float:
    """Seconds per waiter, from the first cancellation until the last waiter is gone."""
    async with peer.opened(SLOTS, SLOTS + waiters) as limiter:
        full = await Full.of(limiter)
        tasks = await _queued(limiter, waiters)
        begin = CLOCK()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        seconds = (CLOCK() - begin) / waiters
        full.leave.set()
        await asyncio.gather(*full.tasks)
        return seconds


async def bytes_per_waiter(peer: Peer, waiters: int) -> float:
    """Bytes that a caller in the queue takes, its task and all, by tracemalloc."""
    async with peer.opened(SLOTS, SLOTS + waiters) as limiter:
        full = await Full.of(limiter)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        tasks = await _queued(limiter, waiters)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        full.leave.set()
        await asyncio.gather(*tasks)
        return (after - before) / waiters


@dataclass
class Full:
    """A limiter all of whose slots are taken."""

    leave: asyncio.Event
    tasks: list[asyncio.Task[None]]

    @classmethod
    async def of(cls, limiter: Limiter) -> Full:
        """Take all the slots."""
        leave = asyncio.Event()

        async def stay() -> None:
            await leave.wait()

        tasks = [asyncio.create_task(limiter.visit(stay)) for _ in range(SLOTS)]
        await _settle()
        return cls(leave, tasks)


async def _queued(limiter: Limiter, waiters: int) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(limiter.visit(_one_turn)) for _ in range(waiters)]
    await _settle()
    return tasks


async def _settle() -> None:
    """Let everybody come as far as the queue: the longest way takes some turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)


async def _one_turn() -> None:
    await asyncio.sleep(0)


async def import_time(module: str, bytecode: str) -> float:
    """Seconds that a fresh interpreter takes to import `module`; its bytecode is in `bytecode`."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, env=environment
    )
    said, _ = await process.communicate()
    return float(said)


async def shared_admission(peer: SharedPeer, url: str, admissions: int, callers: int) -> float:
    """Seconds per admission by so many callers at a time, each of which leaves at once."""
    slots = peer.slots or 10 * admissions
    async with peer.opened(Backend(url), slots, 60.0) as enter:
        for turn in (callers, admissions):  # the first makes the connections
            todo = iter(range(turn))

            async def caller(todo: Any = todo) -> None:
                for _ in todo:
                    async with enter():
                        pass

            begin = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(callers)))
        return (time.perf_counter() - begin) / admissions


Measured = Callable[[Peer, int], Awaitable[float]]


async def _compared(
    measure: Measured, size: int, rounds: int, *, only_queues: bool = False
) -> dict[str, list[float]]:
    """The figures of every peer that is installed."""
    compared = {
        name: peer for name, peer in peers.present().items() if peer.queues or not only_queues
    }
    for peer in compared.values():
        await measure(peer, 10)  # what is imported at the first use is no part of the figures
    measures = {name: partial(measure, peer, size) for name, peer in compared.items()}
    return await interleaved(measures, rounds)


async def room_part(sizes: Sizes, record: Record) -> None:
    """Entering and leaving with room."""
    figures = await _compared(with_room, sizes.admissions, 3 * sizes.rounds)
    record.compare("With room", figures, SEMAPHORE, "µs of CPU per admission", 1e6)


async def drained_part(sizes: Sizes, record: Record) -> None:
    """Drained queues."""
    medians = {}
    for waiters in sizes.queues:
        rounds = sizes.rounds if waiters < 100_000 else max(3, sizes.rounds // 3)
        figures = await _compared(drained, waiters, rounds)
        name = f"A queue of {waiters:,} through {SLOTS} slots"
        record.compare(name, figures, SEMAPHORE, "µs of CPU per admission", 1e6)
        medians[waiters] = Spread.of(figures[OURS]).middle
    least, most = min(medians), max(medians)
    growth = medians[most] / medians[least]
    print(f"\n{OURS} per admission, {most:,} over {least:,} waiters: {growth:.2f}")


async def storm_part(sizes: Sizes, record: Record) -> None:
    """A storm of cancellations."""
    rounds = max(2, sizes.rounds // 3)
    figures = await _compared(storm, sizes.storm, rounds, only_queues=True)
    record.compare(f"{sizes.storm:,} cancelled", figures, SEMAPHORE, "µs of CPU per waiter", 1e6)


async def bytes_part(sizes: Sizes, record: Record) -> None:
    """Bytes per waiter."""
    figures = await _compared(
        bytes_per_waiter, sizes.waiters, min(2, sizes.rounds), only_queues=True
    )
    record.compare(
        "Bytes per waiter, its task included, by tracemalloc", figures, SEMAPHORE, "bytes", 1.0
    )


def _distribution_of(module: str) -> str:
    name = module.partition(".")[0].replace("_", "-")
    return "callguard-gate" if name == "callguard" else name


async def import_part(sizes: Sizes, record: Record) -> None:
    """Import time, each in fresh processes."""
    found = versions(DISTRIBUTIONS)
    with tempfile.TemporaryDirectory() as bytecode:
        measures = {
            module: partial(import_time, module, bytecode)
            for module in MODULES
            if module == "asyncio" or found[_distribution_of(module)]
        }
        for measure in measures.values():
            await measure()  # which compiles
        figures = await interleaved(measures, sizes.rounds)
    record.compare("Import", figures, "aiohttp", "ms", 1e3)


async def faults_part(_sizes: Sizes, record: Record) -> None:
    """What goes wrong, under virtual time, so in a loop and a thread of its own."""
    entered = {name: peer for name, peer in peers.present().items() if peer.queues}
    rows = []
    for name, peer in entered.items():
        said = [await asyncio.to_thread(run, trial(peer, each)) for each in TRIALS]
        rows.append((name, *(each if right(each) else f"**{each}**" for each in said)))
    record.keep("What goes wrong", ("", *TRIALS), rows)


async def shared_part(sizes: Sizes, record: Record) -> None:
    """Admissions on Redis."""
    with RedisServer() as server:
        for callers in sizes.shared_callers:
            measures = {
                name: partial(shared_admission, peer, server.url, sizes.shared_admissions, callers)
                for name, peer in shared_peers.present().items()
                if callers == 1 or peer.slots != 1  # callers of one slot take turns
            }
            figures = await interleaved(measures, sizes.rounds)
            name = f"On Redis, {callers} callers in one process"
            record.compare(name, figures, RAW, "µs per admission", 1e6)


async def shared_faults_part(_sizes: Sizes, record: Record) -> None:
    """What goes wrong on Redis, in real time."""
    rows = []
    with RedisServer() as server:
        for name, peer in shared_peers.present().items():
            if not peer.holds:
                continue
            said = [await each(server, peer) for each in SHARED_TRIALS.values()]
            rows.append((name, *said))
    record.keep("What goes wrong on Redis", ("", *SHARED_TRIALS), rows)


PARTS: Mapping[str, Callable[[Sizes, Record], Awaitable[None]]] = {
    "room": room_part,
    "drained": drained_part,
    "storm": storm_part,
    "bytes": bytes_part,
    "import": import_part,
    "faults": faults_part,
    "redis": shared_part,
    "redis-faults": shared_faults_part,
}


async def measure(parts: Sequence[str], sizes: Sizes, path: Path) -> None:
    """Run the parts, print their tables and write their figures."""
    found = versions(DISTRIBUTIONS)
    print(surroundings())
    print(", ".join(f"{name} {version or 'not installed'}" for name, version in found.items()))
    record = Record()
    for part in parts:
        await PARTS[part](sizes, record)
    write_json(path, {"surroundings": surroundings(), "versions": found, "tables": record.tables})


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, help="how often each takes its turn")
    parser.add_argument("--small", action="store_true", help="sizes that show only that it works")
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks/micro.json"))
    options = parser.parse_args(arguments)
    sizes = SMALL if options.small else Sizes()
    if options.rounds is not None:
        sizes = replace(sizes, rounds=options.rounds)
    asyncio.run(measure(options.only, sizes, options.json))


if __name__ == "__main__":
    main()

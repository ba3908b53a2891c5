"""The gate for threads beside `threading.BoundedSemaphore`, in turns, in one run.

    python -m tests.benchmarks.sync_gate

Each thread enters and leaves again and again. With room, nobody waits; else eight slots go round.
A ratio is the median of those of neighbouring rounds. ``--cpu`` counts seconds of CPU, which other
processes on the machine disturb less.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from threading import Barrier, BoundedSemaphore, Thread

import callguard
from callguard import sync
from tests.benchmarks.tables import Spread, interleaved, markdown, ratios, write_json
from tests.support.programs import surroundings

THREADS = (1, 8, 64)
SLOTS = 8

OURS, SEMAPHORE = "callguard.sync", "threading.BoundedSemaphore"

Enter = Callable[[], None]


@contextmanager
def _gate(slots: int) -> Iterator[Enter]:
    def enter() -> None:
        with gate.admit() as permit:
            permit.ended()

    with sync.open_gate(source=callguard.FixedLimit(slots), cps=None) as gate:
        enter()
        yield enter


@contextmanager
def _semaphore(slots: int) -> Iterator[Enter]:
    semaphore = BoundedSemaphore(slots)

    def enter() -> None:
        with semaphore:
            pass

    yield enter


LIMITERS: dict[str, Callable[[int], AbstractContextManager[Enter]]] = {
    OURS: _gate,
    SEMAPHORE: _semaphore,
}


def admissions_per_second(
    limiter: str, threads: int, slots: int, admissions: int, clock: Callable[[], float]
) -> float:
    """How often all threads together enter in a second of the clock."""
    turns = admissions // threads
    start = Barrier(threads + 1)

    def worker(enter: Enter) -> None:
        start.wait()
        for _ in range(turns):
            enter()

    with LIMITERS[limiter](slots) as enter:
        workers = [Thread(target=worker, args=(enter,)) for _ in range(threads)]
        for each in workers:
            each.start()
        start.wait()
        begin = clock()
        for each in workers:
            each.join()
        return turns * threads / (clock() - begin)


def compare(
    rounds: int,
    admissions: int,
    threads: Sequence[int] = THREADS,
    clock: Callable[[], float] = time.perf_counter,
) -> list[dict[str, str]]:
    """The rows of the table, for each number of threads with room and without."""
    rows = []
    for count in threads:
        for slots in sorted({SLOTS, max(SLOTS, 4 * count)}):
            measures = {
                name: partial(
                    asyncio.to_thread, admissions_per_second, name, count, slots, admissions, clock
                )
                for name in LIMITERS
            }
            figures = asyncio.run(interleaved(measures, rounds))
            times = ratios(figures[SEMAPHORE], figures[OURS])
            rows.append(
                {
                    "threads": str(count),
                    "slots": str(slots),
                    **{name: Spread.of(each).shown(1.0, 0) for name, each in figures.items()},
                    "times slower": times.shown(1.0, 1),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--admissions", type=int, default=6_400)
    parser.add_argument("--cpu", action="store_true", help="seconds of CPU, of all threads")
    parser.add_argument("--json", type=Path, metavar="PATH")
    options = parser.parse_args()
    print(f"Admissions per second{' of CPU' if options.cpu else ''}, {surroundings()}\n")
    clock = time.process_time if options.cpu else time.perf_counter
    rows = compare(options.rounds, options.admissions, clock=clock)
    print(markdown(list(rows[0]), [list(row.values()) for row in rows]))
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()

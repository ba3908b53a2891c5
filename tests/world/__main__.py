"""Live through many worlds, or one.

    python -m tests.world --seeds 10000
    python -m tests.world --seed 42
    python -m tests.world --shared --seeds 200

The first prints the seed of each violation, how many worlds had what in them, and what was lived
through; the second replays one world and prints its trace. `--shared` takes worlds of several
workers, whose contents are on a real Redis server, which loses keys, comes back from dumps, has its
clock set, and fails in the middle of scripts, unless there are to be no such `--mishaps`. Exits
with 1 where a rule was broken.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache, partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from callguard.testing import RedisServer, find_server
from tests.world.coverage import table
from tests.world.shared import live_shared
from tests.world.world import Outcome, live

SHOWN = 3
"""Violations of one world that are printed; the first is what counts."""


@dataclass
class Sum:
    """What all worlds together came to."""

    seeds: int = 0
    seconds: float = 0.0
    admissions: int = 0
    readings: int = 0
    refusals: int = 0
    promised: int = 0
    failed: list[int] = field(default_factory=list)
    befell: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    had: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.seconds += outcome.seconds
        self.admissions += outcome.admissions
        self.readings += outcome.readings
        self.refusals += outcome.refusals
        self.promised += outcome.promised
        self.befell.update(outcome.befell)
        self.said.update(outcome.said)
        self.had.update(outcome.had)
        if outcome.violations:
            self.failed.append(outcome.seed)

    def __str__(self) -> str:
        return (
            f"{self.seeds} seeds, {self.seconds / 3600:.1f} virtual hours, "
            f"{self.admissions} admissions, {self.readings} readings, {self.refusals} refusals; "
            f"the promise's premises held in {self.promised}; "
            f"{len(self.failed)} worlds with violations"
            f"{_told('the ledger', self.befell)}{_told('said to be broken', self.said)}"
        )


def _told(of: str, counts: Counter[str]) -> str:
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    return f"\n{of}: {told}" if told else ""


def many(options: argparse.Namespace) -> Sum:
    """Live through many worlds, and print each violation as it is found."""
    sum_of_all = Sum()
    left_out = {int(seed) for seed in options.without.split(",") if seed}
    wanted = range(options.first, options.first + options.seeds)
    seeds = [seed for seed in wanted if seed not in left_out]
    on_terminal = sys.stderr.isatty()
    with _progress() if on_terminal else nullcontext() as progress:
        task = progress.add_task("worlds", total=len(seeds)) if progress else None
        for outcome in _outcomes(seeds, options):
            sum_of_all.add(outcome)
            _print_violations(outcome)
            if progress is not None and task is not None:
                progress.advance(task)
            if outcome.violations and options.stop:
                break
    return sum_of_all


def _way(options: argparse.Namespace) -> Callable[..., Outcome]:
    return partial(_live_shared, mishaps=options.mishaps == "ledger") if options.shared else live


def _outcomes(seeds: Iterable[int], options: argparse.Namespace) -> Iterator[Outcome]:
    way = _way(options)
    if options.processes == 1:
        gc.freeze()
        yield from map(way, seeds)
        return
    with ProcessPoolExecutor(options.processes, initializer=gc.freeze) as pool:
        yield from pool.map(way, seeds, chunksize=20)


def _live_shared(seed: int, *, mishaps: bool, keep_trace: bool = False) -> Outcome:
    url = _server_of_this_process().url
    return live_shared(seed, url, mishaps=mishaps, keep_trace=keep_trace)


@cache
def _server_of_this_process() -> RedisServer:
    server = RedisServer(program=find_server())
    return server.__enter__()  # it ends with the process


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _print_violations(outcome: Outcome) -> None:
    for each in outcome.violations[:SHOWN]:
        print(f"seed {outcome.seed}: {each.rule} at {each.at:.4f} s: {each.text}", flush=True)


def one(options: argparse.Namespace) -> Outcome:
    """Replay one world, and print its trace."""
    outcome = _way(options)(options.seed, keep_trace=True)
    print("\n".join(outcome.trace))
    print(f"trace {outcome.digest}, {len(outcome.violations)} violations")
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=1000, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first of their seeds")
    parser.add_argument("--seed", type=int, help="replay this one, with its trace")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--without", default="", help="seeds to leave out, with commas between")
    parser.add_argument("--shared", action="store_true", help="several workers on one ledger")
    parser.add_argument(
        "--mishaps", choices=("ledger", "none"), default="ledger", help="what befalls the ledger"
    )
    parser.add_argument("--stop", action="store_true", help="stop at the first violation")
    options = parser.parse_args()
    if options.seed is not None:
        sys.exit(1 if one(options).violations else 0)
    sum_of_all = many(options)
    print(table(sum_of_all.had))
    print(sum_of_all)
    sys.exit(1 if sum_of_all.failed else 0)


if __name__ == "__main__":
    main()

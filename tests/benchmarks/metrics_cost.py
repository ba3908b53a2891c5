"""What metrics cost: admissions with the sinks beside none, and a scrape with many lanes.

    python -m tests.benchmarks.metrics_cost

prints tables as Markdown, medians with the quartiles behind them; a ratio is the median of those of
neighbouring rounds. Each gate is asked for its metrics once at the end, which is part of the cost.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, generate_latest

import callguard
from callguard import Lane, Listener
from callguard.events import Event
from callguard.metrics import opentelemetry, prometheus
from tests.benchmarks.tables import Spread, interleaved, markdown
from tests.benchmarks.trunks import opened, table
from tests.support.programs import command, surroundings

CLOCK = time.process_time
"""Seconds of CPU, which other processes disturb less than the time that passes."""

TTL = 3600.0
"""Seconds between two readings: none comes while anything is measured."""

NONE, BOTH = "none", "both"


class Sinks:
    """Listeners, and a way to ask each of them for its metrics."""

    def __init__(
        self, *, metrics: Sequence[str], spans: bool = False, events: bool = False
    ) -> None:
        self.listeners: list[Listener] = []
        self._asks: list[Callable[[], object]] = []
        if "prometheus" in metrics:
            registry = CollectorRegistry()
            self.listeners.append(prometheus(registry))
            self._asks.append(partial(generate_latest, registry))
        if "opentelemetry" in metrics:
            reader = InMemoryMetricReader()
            provider = MeterProvider([reader], shutdown_on_exit=False)
            tracers = TracerProvider(shutdown_on_exit=False) if spans else None
            self.listeners.append(opentelemetry(provider, tracers))
            self._asks.append(reader.get_metrics_data)
        if events:
            self.listeners.append(_ignore)

    def ask(self) -> None:
        """Ask each sink for its metrics."""
        for ask in self._asks:
            ask()


def _ignore(event: Event) -> None:
    """A listener that hears every event, and does nothing."""


KINDS: dict[str, Callable[[], Sinks]] = {
    NONE: partial(Sinks, metrics=()),
    "Prometheus": partial(Sinks, metrics=["prometheus"]),
    "OpenTelemetry": partial(Sinks, metrics=["opentelemetry"]),
    BOTH: partial(Sinks, metrics=["prometheus", "opentelemetry"]),
    "both, with spans": partial(Sinks, metrics=["prometheus", "opentelemetry"], spans=True),
    "a listener of all events": partial(Sinks, metrics=(), events=True),
}


async def with_room(kind: str, admissions: int) -> float:
    """Seconds of CPU per admission with room, each of which is told its call's id."""
    sinks = KINDS[kind]()
    async with opened(
        10 * admissions, ttl=TTL, max_age=10 * TTL, cps=None, listener=sinks.listeners
    ) as gate:
        begin = CLOCK()
        for number in range(admissions):
            async with gate.admit() as permit:
                permit.placed(f"call_{number}")
        sinks.ask()
        return (CLOCK() - begin) / admissions


async def queued(kind: str, admissions: int) -> float:
    """Seconds of CPU per admission of callers that wait for one of 20 slots, and go again."""
    sinks = KINDS[kind]()
    async with opened(20, ttl=TTL, max_age=10 * TTL, cps=None, listener=sinks.listeners) as gate:
        begin = CLOCK()
        await asyncio.gather(*(_one(gate) for _ in range(admissions)))
        sinks.ask()
        return (CLOCK() - begin) / admissions


async def _one(gate: callguard.Gate) -> None:
    async with gate.admit() as permit:
        await asyncio.sleep(0)
        permit.cancel()


async def scrape(sink: str, lanes: int, *, threaded: bool) -> float:
    """Seconds that pass until a gate with so many lanes has told its metrics."""
    sinks = Sinks(metrics=[sink])
    async with opened(
        100, lanes=[Lane(f"lane {number}") for number in range(lanes)], listener=sinks.listeners
    ) as gate:
        for number in range(lanes):
            async with gate.admit(f"lane {number}", trunk=None):
                pass
        begin = time.perf_counter()
        if threaded:
            await asyncio.to_thread(sinks.ask)
        else:
            sinks.ask()
        return time.perf_counter() - begin


async def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = parser().parse_args(arguments)
    rounds, admissions = options.rounds, options.admissions
    print(f"{surroundings()}; {rounds} rounds")
    for name, measure in (("With room", with_room), ("From the queue", queued)):
        for kind in KINDS:
            await measure(kind, 10)  # what is imported at the first use is no part of it
        figures = await interleaved(
            {kind: partial(measure, kind, admissions) for kind in KINDS}, rounds
        )
        print(table(name, "CPU per admission", figures, NONE), flush=True)
    ways = {
        f"{sink}, {where}": partial(scrape, sink, options.lanes, threaded=threaded)
        for sink in ("prometheus", "opentelemetry")
        for where, threaded in (("in the event loop", False), ("in another thread", True))
    }
    figures = await interleaved(ways, rounds)
    rows = [(name, Spread.of(found).shown(1e3, 2)) for name, found in figures.items()]
    print(f"\n### A scrape of {options.lanes} lanes\n\n" + markdown(("", "ms"), rows), flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = command(__doc__)
    made.add_argument("--rounds", type=int, default=9, help="how often each takes its turn")
    made.add_argument("--admissions", type=int, default=20_000)
    made.add_argument("--lanes", type=int, default=20)
    return made


if __name__ == "__main__":
    asyncio.run(main())

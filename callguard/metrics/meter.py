"""What every sink is made of: a listener that counts events, and measures its gates when asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from operator import add
from threading import Lock
from typing import Final
from weakref import WeakSet

from callguard.events import Event
from callguard.gate import Gate
from callguard.gate.waits import Waits
from callguard.metrics import facts, table
from callguard.metrics.gates import Measured, Watched, measure
from callguard.metrics.table import Labels, Metric, Together

__all__ = ["Measurement", "Meter"]

_ONE_OF_TWO: Final[Mapping[Together, Callable[[float, float], float]]] = {
    "sum": add,
    "max": max,
    "min": min,
}


@dataclass(frozen=True, slots=True)
class Measurement:
    """The values of all metrics at one moment.

    Attributes:
        values: by metric and labels, the values of counters and gauges.
        waits: by the labels of the histogram, the waits so far.
    """

    values: dict[Metric, dict[Labels, float]] = field(default_factory=dict)
    waits: dict[Labels, Waits] = field(default_factory=dict)

    def copy(self) -> Measurement:
        """A copy, to which more can be added."""
        values = {metric: dict(by_labels) for metric, by_labels in self.values.items()}
        return Measurement(values, dict(self.waits))

    def add(self, metric: Metric, labels: Labels, value: float) -> None:
        """Add to a value, or of a fact of the workspace keep the one that is right."""
        known = self.values.setdefault(metric, {})
        before = known.get(labels)
        known[labels] = value if before is None else _ONE_OF_TWO[metric.together](before, value)

    def add_counted(self, gate: Measured) -> None:
        """Add what a gate has counted since it was opened."""
        for metric, labels, value in facts.counters(gate.latest):
            self.add(metric, (gate.workspace, *labels), value)
        for each in gate.latest.admissions:
            labels = (gate.workspace, each.lane)
            before = self.waits.get(labels)
            self.waits[labels] = each.waits if before is None else _sum(before, each.waits)

    def forget(self, workspace: str) -> None:
        """Forget everything of a workspace."""
        of_each: list[dict[Labels, float] | dict[Labels, Waits]] = [
            *self.values.values(),
            self.waits,
        ]
        for of_metric in of_each:
            for labels in [each for each in of_metric if each[0] == workspace]:
                del of_metric[labels]

    def add_gauges(self, gate: Measured) -> None:
        """Add what a gate says of this moment, if it answered."""
        state = "answered" if gate.answered else "silent"
        self.add(table.GATES, (gate.workspace, state), 1)
        if gate.answered:
            for metric, labels, value in facts.gauges(gate.latest):
                self.add(metric, (gate.workspace, *labels), value)


def _sum(one: Waits, other: Waits) -> Waits:
    callers = list(map(add, one.callers, other.callers))
    return Waits(callers, list(map(add, one.seconds, other.seconds)))


class Meter:
    """A listener that counts what is rare by events; the gates count their admissions themselves.

    Several gates may share it, in one event loop or in several threads'. A process that is forked
    begins with nothing: its parent measures the gates that it had, and keeps what they counted.

    Attributes:
        hears: the events that it is called with.
    """

    hears: Collection[type[Event]] = tuple(facts.EVENTS)

    def __init__(self) -> None:
        self._begin()
        _living.add(self)

    def _begin(self) -> None:
        """Begin with nothing, and with locks that nobody holds."""
        # It guards the two below, and nobody waits while it is held.
        self._lock = Lock()
        self._past = Measurement()  # events, and what closed gates have counted
        self._open: dict[str, Watched] = {}

    def forked(self) -> None:
        """Begin anew in a forked process; a thread of its parent's may have held the locks."""
        _left_in_the_parent.extend(self._open.values())
        self._begin()

    def __call__(self, event: Event, /) -> None:
        """Count `event`."""
        counted = facts.EVENTS.get(type(event))
        if counted is not None:
            metric, labels = counted
            with self._lock:
                self._past.add(metric, (event.workspace, *labels(event)), 1)

    def opened(self, gate: Gate) -> None:
        """Measure `gate` from now on, as long as it is open."""
        with self._lock:
            self._open[gate.id] = Watched(gate)

    def closed(self, gate: Gate) -> None:
        """Measure `gate` no more, but keep what it has counted."""
        with self._lock:
            self._keep([gate.id])

    def forget_unread(self, workspace: str) -> None:
        """Forget what was counted of a workspace whose limits no gate has ever read.

        Whoever opens gates with keys of unknown origin would fill the memory otherwise. While a
        gate of the workspace is open, nothing is forgotten.
        """
        taken = (workspace, "taken")
        with self._lock:
            is_open = any(gate.workspace == workspace for gate in self._open.values())
            if not (is_open or self._past.values.get(table.READINGS, {}).get(taken)):
                self._past.forget(workspace)

    def measure(self) -> Measurement:
        """The values of all metrics now. May be called in any thread, and takes 1 s at most.

        A gate whose event loop doesn't answer has no gauges, and its counters are the latest known.
        """
        with self._lock:
            self._keep([name for name, gate in self._open.items() if gate.gone])
            found, gates = self._past.copy(), list(self._open.values())
        for gate in measure(gates):
            found.add_counted(gate)
            found.add_gauges(gate)
        return found

    def _keep(self, closed: Iterable[str]) -> None:
        for name in closed:
            gate = self._open.pop(name, None)
            if gate is not None:
                self._past.add_counted(gate.last())


_living: Final[WeakSet[Meter]] = WeakSet()

_left_in_the_parent: Final[list[Watched]] = []
"""The gates that were open before this process was forked. They are kept, because to collect an
event loop closes its selector, which the parent still uses."""


def _forked() -> None:
    for each in list(_living):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)

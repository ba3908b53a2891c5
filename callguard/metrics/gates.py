"""The gates that a sink measures, from whatever thread it is asked in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Final
from weakref import ref

from callguard.errors import UsageError
from callguard.gate import Gate, GateStatistics

__all__ = ["PATIENCE", "Measured", "Watched", "measure"]

PATIENCE: Final = 1.0
"""Seconds for which a measurement waits for the gates' event loops, all together: longer than a
healthy loop takes, and a tenth of the time-out of a scrape of Prometheus. Our own choice."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A gate as it was measured.

    Attributes:
        workspace: the hash of its workspace.
        latest: its statistics when it last answered.
        answered: whether that was now.
    """

    workspace: str
    latest: GateStatistics
    answered: bool


def measure(gates: Sequence[Watched]) -> list[Measured]:
    """Measure gates, in `PATIENCE` seconds at most. May be called in any thread."""
    asked = [(gate, gate.ask()) for gate in gates]
    until = time.monotonic() + PATIENCE
    return [gate.measured(future, until) for gate, future in asked]


class Watched:
    """An open gate, kept by weak reference. Made in its event loop.

    The statistics of a gate belong to the thread of its event loop, so the loop is asked for them.
    If it doesn't answer in time, the gate counts as silent.

    Attributes:
        workspace: the hash of its workspace.
    """

    __slots__ = ("_gate", "_latest", "_loop", "workspace")

    def __init__(self, gate: Gate) -> None:
        self._gate = ref(gate)
        self._loop = asyncio.get_running_loop()
        self.workspace: Final = gate.workspace
        self._latest = gate.statistics()

    @property
    def gone(self) -> bool:
        """Whether the gate was thrown away without being closed."""
        return self._gate() is None

    def last(self) -> Measured:
        """The last measurement; of a gate that was just closed, a new one."""
        gate = self._gate()
        latest = self._latest if gate is None else gate.statistics()
        return Measured(self.workspace, latest, answered=False)

    def ask(self) -> Future[GateStatistics]:
        """Ask for the statistics; nobody answers if the loop is blocked, closed or stands still."""
        future: Future[GateStatistics] = Future()
        if self._loop.is_running() and not _runs_here(self._loop):
            try:
                self._loop.call_soon_threadsafe(self._answer, future)
            except RuntimeError:  # it was closed meanwhile
                future.cancel()
        else:
            self._answer(future)
        return future

    def _answer(self, future: Future[GateStatistics]) -> None:
        gate = self._gate()
        if gate is None:
            future.cancel()
        elif future.set_running_or_notify_cancel():
            try:
                future.set_result(gate.statistics())
            except UsageError as error:  # in another thread, while the loop stands still
                future.set_exception(error)

    def measured(self, future: Future[GateStatistics], until: float) -> Measured:
        """Wait for an answer, up to a moment of the monotonic clock."""
        try:
            self._latest = future.result(max(0.0, until - time.monotonic()))
        except (TimeoutError, CancelledError, UsageError):
            future.cancel()  # so that a loop that was blocked has nothing to do
            return Measured(self.workspace, self._latest, answered=False)
        return Measured(self.workspace, self._latest, answered=True)


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False

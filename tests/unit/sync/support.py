"""Gates for threads, on a limit that nobody counts, and threads that wait at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Any, Final

import callguard
from callguard import sync

PATIENCE: Final = 30.0
"""Seconds after which a test gives up; nothing here takes long."""


@contextmanager
def opened(limit: int = 1, **options: Any) -> Iterator[sync.Gate]:
    with sync.open_gate(source=callguard.FixedLimit(limit), cps=None, **options) as gate:
        yield gate


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so that other threads bring about."""
    never, latest = Event(), monotonic() + PATIENCE
    while not is_so():
        assert monotonic() < latest, f"not so in {PATIENCE:g} s"
        never.wait(0.001)


def waiting(gate: sync.Gate, callers: int) -> None:
    """Wait until so many callers are in the queue."""
    until(lambda: sum(gate.statistics().waiting.values()) == callers)


class Crowd:
    """Threads that wait at a gate, and what becomes of them."""

    def __init__(self, gate: sync.Gate) -> None:
        self._gate = gate
        self._threads = ThreadPoolExecutor(64)
        self._sent: list[Future[None]] = []
        self.admitted: list[str] = []

    def send(self, name: str, **terms: Any) -> Future[None]:
        """Start a thread that is admitted once; return when it waits."""
        return self._send(lambda: self._admit(name, terms))

    def send_for_a_moment(self, name: str, **terms: Any) -> Future[None]:
        """Start a thread that may have left again before anybody can see it wait."""
        sent = self._threads.submit(lambda: self._admit(name, terms))
        self._sent.append(sent)
        return sent

    def _send(self, step: Callable[[], None]) -> Future[None]:
        before = sum(self._gate.statistics().waiting.values())
        sent = self._threads.submit(step)
        self._sent.append(sent)
        waiting(self._gate, before + 1)
        return sent

    def _admit(self, name: str, terms: dict[str, Any]) -> None:
        with self._gate.admit(**terms) as permit:
            self.admitted.append(name)
            permit.cancel()

    def gone(self) -> list[BaseException | None]:
        """Wait until all have ended; return what they raised."""
        return [each.exception(PATIENCE) for each in self._sent]

"""What is fuzzed of a shared ledger: what its server answers and pushes.

A worker may believe it or not; what it doesn't, it has not half believed.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from callguard.errors import CallGuardError, LimitsError
from callguard.ledger.redis.conversation import Conversation
from callguard.ledger.redis.keys import Names
from callguard.ledger.redis.view import View
from callguard.limits import Limits, Snapshot
from tests.unit.ledger.bent_clock import settings, side_of

__all__ = ["answers_of_a_ledger"]

GOOD: dict[str, Any] = {
    "status": "ok",
    "epoch": "epoch",
    "now": 1_000,
    "counts": [2, 0],
    "spent": False,
    "lost": False,
    "others": False,
    "due_in": 0,
    "free_in": 0,
}


class _Nobody:
    """A claimant of a gate at which nobody waits."""

    def claims(self, limits: Limits | None = None) -> list[Any]:
        return []

    def granted(self, claim: Any, number: int, usage: int) -> None:
        raise AssertionError("a slot was given that nobody asked for")

    def lost(self, lanes: Any) -> None:
        pass


class _Reader:
    """What comes to that gate."""

    def came(self, snapshot: Snapshot, duration: float) -> None:
        assert snapshot.limits.current_concurrency >= 0
        assert snapshot.began <= snapshot.received
        assert duration >= 0.0

    def failed(self, error: CallGuardError, duration: float) -> None:
        assert isinstance(error, LimitsError)
        assert duration >= 0.0

    def moved(self) -> None: ...

    def asked(self) -> None: ...


def answers_of_a_ledger(data: bytes) -> None:
    """Three answers, and pushes, to a worker that holds two permits, of which one is placed."""
    asyncio.run(_talk(data))


async def _talk(data: bytes) -> None:
    names, told = Names("workspace"), settings()
    claimant: Any = _Nobody()
    side = side_of("one", names, told, claimant, asyncio.get_running_loop().time)
    view, worker = side.view, side.conversation
    side.readings.serve(_Reader())
    worker.request()
    assert worker.accept(json.dumps(GOOD))
    view.next_number = 3
    for number in (1, 2):
        view.hold(number, "default", None, 0.0)
    view.place(1, 0.0)
    for answer in data.split(b"\0")[:3]:
        with suppress(CallGuardError, ValueError, TypeError, KeyError, AttributeError):
            worker.hear(answer)
        if _believes(worker, view, answer):
            return


def _believes(worker: Conversation, view: View, answer: bytes) -> bool:
    """Let the worker take in one answer as the session does, and see what it says then."""
    worker.request()
    with suppress(CallGuardError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        if worker.accept(answer):
            return True
    worker.doubt()
    said = json.loads(worker.request()[0])
    runs = said["join"]["held"]
    holds = {number for first, last, _ in runs for number in range(first, last + 1)}
    ended = {what for kind, what, *_ in said["happenings"] if kind in {"place", "release"}}
    assert {1, 2} <= holds | ended, f"what it holds is forgotten after {answer!r}: {said}"
    worker.doubt()
    usage = view.usage()
    assert min(usage.dialling, usage.uncounted) >= 0
    return False

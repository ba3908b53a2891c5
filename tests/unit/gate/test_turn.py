"""`Turn`: a caller that left the queue comes back to its old position."""

from __future__ import annotations

import asyncio

import pytest

from callguard import AdmissionTimeout, Gate, Lane, Permit, QueueFull
from callguard.gate.turn import Turn
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import opened


def waiting(
    turn: Turn, order: list[str], name: str, timeout: float = 100.0
) -> asyncio.Task[dict[str, str]]:
    """A caller that waits at its position, and notes when it dials."""

    async def dial(permit: Permit) -> dict[str, str]:
        order.append(name)
        return {"call_id": name}

    return asyncio.create_task(turn.place(dial, timeout=timeout, attempts=1))


async def admitted_in_order(gate: Gate, source: ScriptedSource, leaves: str) -> list[str]:
    """The order of three callers, of whom the first leaves in some way and comes back last."""
    order: list[str] = []
    turns = [gate.turn() for _ in range(3)]
    first = waiting(turns[0], order, "first", 1.0)
    others = [waiting(turn, order, "other") for turn in turns[1:]]
    await asyncio.sleep(0.5)
    if leaves == "cancelled":
        first.cancel()
    await asyncio.wait([first])
    again = waiting(turns[0], order, "first")
    await asyncio.sleep(0)
    source.answer(3, 0)
    await asyncio.gather(again, *others)
    return order


@pytest.mark.parametrize("leaves", ["timed out", "cancelled"])
def test_who_comes_back_is_before_those_who_came_later(leaves: str) -> None:
    """A caller that is told to come back would begin at the end each time, for ever."""

    async def main() -> None:
        source = ScriptedSource(limit=3, current=3)
        async with opened(source) as gate:
            assert await admitted_in_order(gate, source, leaves) == ["first", "other", "other"]

    run(main())


def test_a_wait_that_is_over_says_how_many_still_wait() -> None:
    """A caller would not know whether to come back."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1, current=1)) as gate:
            turn, others = gate.turn(), [waiting(gate.turn(), [], "other") for _ in range(2)]
            with pytest.raises(AdmissionTimeout):
                await waiting(turn, [], "first", 0.0)
            assert turn.waiting == 2
            for other in others:
                other.cancel()

    run(main())


def test_a_queue_that_is_full_takes_back_only_who_was_in_it() -> None:
    """A caller that was turned away at the door would get in by asking again."""

    async def main() -> None:
        lane = Lane("short", max_waiting=1, default=True)
        async with opened(ScriptedSource(limit=1, current=1), lane) as gate:
            early, late = gate.turn(), gate.turn()
            with pytest.raises(AdmissionTimeout):
                await waiting(early, [], "early", 1.0)
            other = waiting(gate.turn(), [], "other")
            await asyncio.sleep(0)
            for _ in range(2):
                with pytest.raises(QueueFull):
                    await waiting(late, [], "late")
            with pytest.raises(AdmissionTimeout):
                await waiting(early, [], "early", 1.0)
            other.cancel()

    run(main())

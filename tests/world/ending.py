"""That a world ends, and who waits where it doesn't."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import callguard

__all__ = ["lived_out", "why_it_waits"]


async def lived_out(
    course: Coroutine[Any, Any, None],
    within: float,
    blame: Callable[[str, str], None],
    who_waits: Callable[[], list[str]],
) -> None:
    """Live through a world's course, and end it where it has not ended by itself.

    Args:
        course: all that happens in it.
        within: seconds that it may take, of virtual time.
        blame: called with a rule and what broke it.
        who_waits: tells who does still, and for what.
    """
    living = asyncio.create_task(course, name="the course of the world")
    _, late = await asyncio.wait([living], timeout=within)
    if late:
        waits = "; ".join(who_waits()) or "nobody"
        blame("end", f"after {within:g} s it is not over, and there wait: {waits}")
        living.cancel()
        await asyncio.wait(late, timeout=within)
    else:
        living.result()


def why_it_waits(gate: callguard.Gate) -> str:
    """What a gate says of those who wait at it."""
    waiting = {lane: count for lane, count in gate.statistics().waiting.items() if count}
    said = "; ".join(f"{lane}: {gate.explain(lane)}" for lane in waiting)
    return f"queued {waiting}; {said}" if waiting else "nobody is queued"

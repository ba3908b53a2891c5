"""What goes wrong with each peer, under a load that a gate has to bear too; in virtual time.

Each trial ends with the same look: with everybody gone, `LIMIT` callers should get in, and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from tests.benchmarks.peers import Limiter, Peer

__all__ = ["TRIALS", "right", "trial"]

LIMIT = 4
IN_LINE = 8
CALLERS = LIMIT + IN_LINE


class Crowd:
    """Callers that stay inside until they are let go."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self.tasks: list[asyncio.Task[None]] = []
        self.inside = 0
        self.leave = asyncio.Event()

    async def send(self, count: int) -> list[asyncio.Task[None]]:
        """Let so many more come, in order."""
        sent = []
        for _ in range(count):
            sent.append(asyncio.create_task(self._limiter.visit(self._stay)))
            await settle()
        self.tasks += sent
        return sent

    async def disperse(self) -> None:
        """Let all go, and wait until they are gone."""
        self.leave.set()
        await asyncio.wait(self.tasks)

    async def _stay(self) -> None:
        self.inside += 1
        try:
            await self.leave.wait()
        finally:
            self.inside -= 1


async def settle() -> None:
    """Let everything that can run now run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def cancelled_in_the_queue(limiter: Limiter) -> str:
    """Everybody in the queue gives up."""
    crowd = Crowd(limiter)
    await crowd.send(LIMIT)
    for task in await crowd.send(IN_LINE):
        task.cancel()
    await settle()
    await crowd.disperse()
    return await _look(limiter)


async def cancelled_at_the_grant(limiter: Limiter) -> str:
    """A slot is given back, and who would get it gives up in the same turn of the loop."""
    crowd = Crowd(limiter)
    await crowd.send(LIMIT)
    first, *_ = await crowd.send(1)
    crowd.leave.set()
    while not any(task.done() for task in crowd.tasks):  # noqa: ASYNC110 - `wait` is a turn late
        await asyncio.sleep(0)
    first.cancel()
    await crowd.disperse()
    swallowed = "" if first.cancelled() else "the cancellation was swallowed; "
    return swallowed + await _look(limiter)


async def cancelled_inside(limiter: Limiter) -> str:
    """Those who are in are cancelled there."""
    crowd = Crowd(limiter)
    for task in await crowd.send(LIMIT):
        task.cancel()
    await crowd.disperse()
    return await _look(limiter)


async def lowered_then_raised(limiter: Limiter) -> str:
    """The limit is halved while all slots are taken and others wait, and then as it was."""
    crowd = Crowd(limiter)
    await crowd.send(CALLERS)
    try:
        await limiter.set_limit(LIMIT // 2)
        await limiter.set_limit(LIMIT)
    except NotImplementedError:
        return "its limit is fixed"
    finally:
        await settle()
        inside = crowd.inside
        for task in crowd.tasks:
            task.cancel()
        await crowd.disperse()
    return f"{inside} of {LIMIT} in"


async def _look(limiter: Limiter) -> str:
    """How many of a full house and a full line are in, and how many were sent away."""
    crowd = Crowd(limiter)
    await crowd.send(CALLERS)
    inside, away = crowd.inside, sum(task.done() for task in crowd.tasks)
    for task in crowd.tasks:
        task.cancel()
    await crowd.disperse()
    for task in crowd.tasks:
        with suppress(asyncio.CancelledError):
            task.exception()
    line = f", {away} of {IN_LINE} in the queue sent away" if away else ""
    return f"{inside} of {LIMIT} in{line}"


TRIALS: Mapping[str, Callable[[Limiter], Awaitable[str]]] = {
    "cancelled in the queue": cancelled_in_the_queue,
    "cancelled at the grant": cancelled_at_the_grant,
    "cancelled inside": cancelled_inside,
    "limit halved, then as before": lowered_then_raised,
}


async def trial(peer: Peer, name: str) -> str:
    """What came of one trial; `right` tells whether that is as it should be."""
    async with peer.opened(LIMIT, CALLERS) as limiter:
        return await TRIALS[name](limiter)


def right(said: str) -> bool:
    """Whether nothing went wrong."""
    return said in {f"{LIMIT} of {LIMIT} in", "its limit is fixed"}

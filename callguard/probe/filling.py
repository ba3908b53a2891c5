"""A workspace that the probe fills with calls of its own, up to its limit.

The laws that this file holds:

- A dial comes no sooner than the trunk's rate allows, so a refusal is not for the rate.
- The counter has to show the calls by others and the probe's own ones together. If it shows
  anything else, nothing is clear.
- No more calls are dialled than the plan says.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from callguard.errors import LimitsRejected, LimitsUnavailable
from callguard.fetcher import ProviderClient
from callguard.fetcher.calls import NOT_KNOWN, REFUSED_REASON
from callguard.fetcher.reading import Reading
from callguard.limits import Limits, Snapshot
from callguard.probe.calls import NO_ROOM, NotPlaced, PlacedCalls
from callguard.probe.plan import READING_DEADLINE, LimitPlan, Plan
from callguard.probe.record import Count, State, unsteady

__all__ = ["RING_LIMIT", "Filling", "NotClear"]

RING_LIMIT: Final = 30.0
"""Seconds that a call rings at most, by default (SDK 6.2.13, `ring_duration_ms`)."""


_QUICK: Final = 0.05
"""Seconds between two readings, while a change may show for a moment only."""


class NotClear(Exception):
    """The question can't be answered, or not safely."""


class Filling:
    """Fills a workspace with calls, and sees whether one more is accepted.

    All its methods raise `NotClear` if the counter or the calls aren't as they have to be, the
    errors of `ProviderClient`, and those of `PlacedCalls.dial`.

    Args:
        client: the client that asks the provider.
        calls: places and stops the calls.
        plan: how often to read the counter, and how late it is at most.
        limit_plan: the call to place, how often, and how fast.
        say: called with each event, in words.

    Attributes:
        others: calls by others.
        own: the ids of the probe's own calls that are going on.
        dials: how many calls were dialled, with those that were refused.
        dies_later: whether a call was refused by dying after its dial.
    """

    def __init__(
        self,
        client: ProviderClient,
        calls: PlacedCalls,
        plan: Plan,
        limit_plan: LimitPlan,
        say: Callable[[str], None],
    ) -> None:
        self.others = 0
        self.own: list[str] = []
        self.dials = 0
        self.dies_later = False
        self._client = client
        self._calls = calls
        self._plan = plan
        self._limit_plan = limit_plan
        self._say = say
        self._time = asyncio.get_running_loop().time
        self._due = -math.inf
        self._limits: Limits | None = None

    async def count_others(self) -> None:
        """Set `others`; the counter has to show as many for `longest_lag`."""
        counts: list[Count] = []
        ends = self._time() + self._plan.longest_lag
        while not counts or counts[-1].during.latest < ends:
            if counts:
                await asyncio.sleep(self._plan.interval)
            counts.append(Count.of(await self.read()))
            if reason := unsteady(counts):
                raise NotClear(reason)
        self.others = counts[-1].calls

    async def fill(self, full: int) -> None:
        """Place calls until the counter shows `full` of them, with those by others."""
        self._say(f"placing calls until the counter shows {full}")
        while self.others + len(self.own) < full:
            await self.pace()
            if await self.dial() is None:
                seen = await self.count()
                raise NotClear(
                    f"a call was refused while the counter showed {seen} of {full}: others may be "
                    "calling, or the trunk may take fewer calls per second than --cps says"
                )
        await self.settles(full, ring=RING_LIMIT)

    async def is_accepted(self, full: int) -> bool:
        """Whether one more call is accepted at a counter that shows `full`."""
        await self.pace()
        call_id = await self.dial()
        if call_id is not None and await self.settles(full + 1, call_id, ring=RING_LIMIT):
            self._say(f"a call was accepted while {full} were going on")
            return True
        if await self.count() != full:
            raise NotClear(await self._strange(full))
        self._say(f"a call was refused while {full} were going on")
        return False

    async def pace(self) -> None:
        """Wait until the trunk may start its next call."""
        await asyncio.sleep(max(self._due - self._time(), 0.0))

    async def dial(self) -> str | None:
        """Dial at once; return the call's id, or None if it was refused for lack of room."""
        if self.dials >= self._limit_plan.most_calls:
            raise NotClear(f"it would take more than {self._limit_plan.most_calls} calls")
        self.dials += 1
        try:
            dialled = await self._calls.dial(self._limit_plan.call)
        except NotPlaced as refusal:
            if refusal.status != NO_ROOM:
                raise
            return None
        finally:
            self._due = self._time() + self._limit_plan.pace
        self.own.append(dialled.call_id)
        return dialled.call_id

    async def settles(self, count: int, newest: str | None = None, *, ring: float = 0.0) -> bool:
        """Wait until the counter has shown `count` for `longest_lag`.

        Args:
            count: what the counter has to show.
            newest: the id of a call that may be refused meanwhile, by dying after its dial.
            ring: seconds that calls may ring before they are counted.

        Returns:
            False if `newest` was refused.
        """
        ends = self._time() + ring + self._plan.patience
        since = math.inf
        while True:
            began = self._time()
            if newest is not None and await self._was_refused(newest):
                return False
            snapshot = await self.read()
            is_there = snapshot.limits.current_concurrency == count
            since = min(since, snapshot.began) if is_there else math.inf
            if snapshot.received - since >= self._plan.longest_lag:
                return True
            if snapshot.received >= ends:
                raise NotClear(await self._strange(count))
            await asyncio.sleep(max(began + self._plan.interval - self._time(), 0.0))

    async def stop_one(self) -> tuple[int, float]:
        """Stop a call when the next may be dialled, and wait until it is known to be over.

        Returns:
            What the counter showed when the call was known to be over, and when the stop began.
        """
        await self.pace()
        stopped = self.own.pop(0)
        began = self._time()
        await self._calls.stop([stopped])
        while True:
            # Both at once, because the next dial has to come before the counter falls.
            count, is_over = await _together(self.count(), self._is_over(stopped))
            if is_over:
                return count, began
            if self._time() >= began + self._plan.longest_lag:
                raise NotClear("a call that was stopped was not over soon enough")

    async def changes_from(self, count: int) -> bool:
        """Whether the counter shows another number within `longest_lag`; reads it often."""
        ends = self._time() + self._plan.longest_lag
        while self._time() < ends:
            if await self.count() != count:
                return True
            await asyncio.sleep(_QUICK)
        return False

    async def _is_over(self, call_id: str) -> bool:
        state = await self._state(call_id)
        return state is not None and state.is_over

    async def count(self) -> int:
        """Read how many calls the counter shows."""
        return (await self.read()).limits.current_concurrency

    async def read(self) -> Snapshot:
        """Read the counter.

        Raises:
            NotClear: the limits aren't those of the first reading.
        """
        snapshot = await Reading(self._client, READING_DEADLINE).take()
        limits = replace(snapshot.limits, current_concurrency=0)
        if limits != (self._limits or limits):
            raise NotClear("the limits were changed meanwhile")
        self._limits = limits
        return snapshot

    async def _was_refused(self, call_id: str) -> bool:
        state = await self._state(call_id)
        if state is None or not state.is_over:
            return False
        if state.reason != REFUSED_REASON:
            raise NotClear(self._ended(call_id, state))
        self.own.remove(call_id)
        self.dies_later = True
        return True

    async def _strange(self, count: int) -> str:
        """Why the counter doesn't show `count`, as far as it can be told."""
        seen = await self.count()
        for call_id in self.own:
            state = await self._state(call_id)
            if state is not None and state.is_over:
                return self._ended(call_id, state)
        return f"the counter shows {seen} and doesn't stay at {count}, so others may be calling"

    def _ended(self, call_id: str, state: State) -> str:
        why = state.reason or state.status
        call = self._calls.named(call_id)
        return f"{call} ended by itself ({why}): the number has to take all calls and keep them"

    async def _state(self, call_id: str) -> State | None:
        """The state of a call; None if it isn't known at the moment."""
        try:
            return await self._calls.ask(call_id)
        except LimitsUnavailable:
            return None
        except LimitsRejected as error:
            if error.status in NOT_KNOWN:
                return None
            raise


async def _together(*asked: Awaitable[int]) -> list[int]:
    """Await all of these at once, also if one fails; raises what the first of them raised."""
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, int)]

"""The experiment at the limit: by what the provider refuses a dial, and what inbound calls cost.

The workspace is filled with the probe's own calls until the provider refuses one more. Then

- *what a dial is refused by*: two calls are stopped, and when they are known to be over, one is
  dialled at once, while the counter, which is late, still shows a full workspace. If that call is
  accepted, dials are refused by the calls that are really going on. If it is refused, and accepted
  as soon as the counter has fallen, they are refused by the counter.
- *what is reserved for inbound calls*: with an inbound call going on, the counter is brought to the
  limit less the reservation. If one more outbound call is accepted, the reservation bounds outbound
  calls alone; if it is refused, all calls together. The inbound call has to go on until then.

The laws that this file holds:

- That the counter still showed a full workspace is proven by a reading that began after the dial's
  answer. Two calls are stopped, and one is dialled: so if the counter had fallen by then, the new
  call could not have brought it back.
- A dial comes no sooner than the trunk's rate allows, so a refusal is not for the rate. The
  workspace is full only if two dials in a row were refused.
- The counter has to be where others' calls and the probe's own ones put it. If it is anywhere else,
  nothing is concluded.
- No more calls are dialled than the plan says, and every call that was placed is stopped.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from callguard.errors import CallGuardError, LimitsRejected, LimitsUnavailable
from callguard.fetcher import ProviderClient
from callguard.fetcher.calls import REFUSED_REASON
from callguard.fetcher.reading import Reading
from callguard.limits import Limits, Snapshot
from callguard.probe.calls import NO_ROOM, NOT_YET, MaybePlaced, NotPlaced, PlacedCalls
from callguard.probe.findings import AtTheLimit, RefusedBy
from callguard.probe.inbound import has_inbound
from callguard.probe.plan import READING_DEADLINE, LimitPlan, Plan
from callguard.probe.record import Count, State, unsteady

__all__ = ["at_the_limit", "price"]

_FURTHER: Final = 4
"""Calls that are dialled beyond those that fill the workspace: two to see that it is full, one when
two are over, and one when the counter shows that."""

_STOPPED: Final = 2
"""Calls that are stopped at the limit."""

_RING_LIMIT: Final = 30.0
"""Seconds that a call rings at most, by default (SDK 6.2.13, `ring_duration_ms`)."""

_LOOK_FOR_INBOUND: Final = 2.0
"""Seconds between two looks for an inbound call."""

_FALLS_AT_ONCE: Final = (
    "what dials are refused by: the counter falls at once, so that makes no difference"
)
_NOTHING_RESERVED: Final = (
    "what inbound calls cost: no slots are reserved for them, so that makes no difference"
)

_BURST: Final = (
    "burst is on, so calls are refused only at the burst limit, and cost a surcharge from the "
    "limit on: turn it off to probe"
)


class _NotClear(Exception):
    """What was asked can't be told, or not safely."""


def price(limits: Limits) -> int:
    """How many calls the experiment dials in a workspace with these limits, at most."""
    return max(limits.concurrency_limit - limits.reserved_inbound_concurrency, 0) + _FURTHER


async def at_the_limit(
    client: ProviderClient,
    plan: Plan,
    limit_plan: LimitPlan,
    *,
    falls_at_once: bool,
    say: Callable[[str], None],
) -> AtTheLimit:
    """Fill the workspace, and find out what a dial at the limit is refused by.

    Whatever goes wrong leaves questions open, with the reason. All calls that were placed are
    stopped, if that succeeds within some seconds, also when this is cancelled.

    Args:
        client: the client that asks the provider.
        plan: how often to read the counter, and how late it is at most.
        limit_plan: the call to place, how often, and how fast.
        falls_at_once: whether the counter falls at once when a call is over. It makes no difference
            then what dials are refused by, so that isn't asked.
        say: called with each event, in words.
    """
    calls = PlacedCalls(client, say)
    try:
        experiment = _Experiment(client, calls, plan, limit_plan, say)
        return await experiment.run(asks_refusal=not falls_at_once)
    finally:
        await calls.stop(calls.live)


class _Experiment:
    def __init__(
        self,
        client: ProviderClient,
        calls: PlacedCalls,
        plan: Plan,
        limit_plan: LimitPlan,
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._calls = calls
        self._plan = plan
        self._limit_plan = limit_plan
        self._say = say
        self._time = asyncio.get_running_loop().time
        self._found = AtTheLimit()
        self._asks_refusal = self._asks_inbound = False
        self._others = 0
        self._own: list[str] = []
        self._dials = 0
        self._due = -math.inf
        self._dies_later = False

    async def run(self, *, asks_refusal: bool) -> AtTheLimit:
        try:
            limits = (await self._read()).limits
            self._decide_what_to_ask(limits, asks_refusal=asks_refusal)
            if self._asks_refusal or self._asks_inbound:
                await self._answer(limits)
        except (_NotClear, CallGuardError, NotPlaced, MaybePlaced) as reason:
            self._say(f"not clear: {reason}")
            self._leave_open(str(reason))
        return replace(self._found, dials=self._dials)

    def _decide_what_to_ask(self, limits: Limits, *, asks_refusal: bool) -> None:
        self._asks_refusal = asks_refusal
        self._asks_inbound = limits.reserved_inbound_concurrency > 0
        needless = [] if self._asks_refusal else [_FALLS_AT_ONCE]
        needless += [] if self._asks_inbound else [_NOTHING_RESERVED]
        self._found = AtTheLimit(needless=tuple(needless))

    def _leave_open(self, reason: str) -> None:
        """Record why the questions that are still open weren't answered."""
        if self._asks_refusal:
            self._found = replace(self._found, refused_by_reason=reason)
        if self._asks_inbound:
            self._found = replace(self._found, reserved_inbound_reason=reason)

    async def _answer(self, limits: Limits) -> None:
        if reason := _unsuitable(limits, self._limit_plan.most_calls):
            raise _NotClear(reason)
        if self._asks_inbound:
            await self._find_inbound()
        if not (self._asks_refusal or self._asks_inbound):
            return
        self._others = await self._steady()
        outbound = limits.concurrency_limit - limits.reserved_inbound_concurrency
        most = min(limits.concurrency_limit, self._others + outbound)
        if self._others >= outbound or (self._asks_refusal and most - self._others < _STOPPED):
            raise _NotClear(f"others have {self._others} calls, which leaves too little room")
        await self._fill(outbound)
        full = await self._dial_until_refused(outbound, most)
        if self._asks_inbound:
            await self._conclude_inbound(apart=full > outbound)
        if self._asks_refusal:
            refused_by = await self._refused_by(full)
            self._found = replace(self._found, refused_by=refused_by)

    # Inbound calls

    async def _find_inbound(self) -> None:
        """Wait until an inbound call is going on; if none comes, that question stays open."""
        try:
            reason = "" if await self._comes_in() else "no inbound call was going on"
        except CallGuardError as error:
            reason = f"whether an inbound call was going on is not known: {error}"
        if reason:
            self._leave_inbound_open(reason)

    async def _comes_in(self) -> bool:
        if await has_inbound(self._client):
            return True
        patience = self._limit_plan.inbound_patience
        self._say(f"call a number of the workspace within {patience:g} s, and stay on the line")
        ends = self._time() + patience
        while self._time() < ends:
            await asyncio.sleep(_LOOK_FOR_INBOUND)
            if await has_inbound(self._client):
                self._say("an inbound call is going on")
                await asyncio.sleep(self._plan.longest_lag)
                return True
        return False

    async def _conclude_inbound(self, *, apart: bool) -> None:
        if not (self._others and await has_inbound(self._client)):
            self._leave_inbound_open("the inbound call wasn't counted, or was over too early")
            return
        self._found = replace(self._found, reserved_inbound="outbound" if apart else "total")
        self._asks_inbound = False

    def _leave_inbound_open(self, reason: str) -> None:
        self._say(f"not clear: {reason}")
        self._found = replace(self._found, reserved_inbound_reason=reason)
        self._asks_inbound = False

    # Calls at the limit

    async def _steady(self) -> int:
        """The calls that others have; the counter has to show as many for `longest_lag`."""
        counts: list[Count] = []
        ends = self._time() + self._plan.longest_lag
        while not counts or counts[-1].during.latest < ends:
            if counts:
                await asyncio.sleep(self._plan.interval)
            counts.append(Count.of(await self._read()))
            if reason := unsteady(counts):
                raise _NotClear(reason)
        return counts[-1].calls

    async def _fill(self, full: int) -> None:
        """Place calls until the counter shows `full` of them, with those by others."""
        self._say(f"placing calls until the counter shows {full}")
        while self._others + len(self._own) < full:
            await self._pace()
            if await self._dial() is None:
                count = self._others + len(self._own)
                raise _NotClear(
                    f"a call was refused while {count} of {full} were going on: others may be "
                    "calling, or the trunk may take fewer calls per second than --cps says"
                )
        await self._settles(full)

    async def _dial_until_refused(self, full: int, most: int) -> int:
        """Dial at a counter that shows `full`, and above; the count at which no call fits.

        Args:
            full: what the counter shows.
            most: the highest count that any rule allows.
        """
        while await self._one_more(full):
            if full >= most:
                raise _NotClear(f"a call was accepted while {full} were going on, at the limit")
            full += 1
        return full

    async def _one_more(self, full: int) -> bool:
        """Whether one more call is accepted at a counter that shows `full`."""
        if await self._is_accepted(full):
            return True
        if await self._is_accepted(full):
            raise _NotClear("a call was refused, and the next one accepted, at the same count")
        return False

    async def _is_accepted(self, full: int) -> bool:
        await self._pace()
        call_id = await self._dial()
        if call_id is not None and await self._settles(full + 1, call_id):
            self._say(f"a call was accepted while {full} were going on")
            return True
        if await self._count() != full:
            raise _NotClear(await self._strange(full))
        self._say(f"a call was refused while {full} were going on")
        return False

    async def _refused_by(self, full: int) -> RefusedBy:
        """Dial at a counter that still shows calls that are over."""
        await self._pace()
        await self._end(self._own[:_STOPPED])
        call_id = await self._dial()
        if await self._count() < full:
            raise _NotClear("the counter had fallen before the next call could be dialled")
        if call_id is not None and await self._settles(full - _STOPPED + 1, call_id):
            if self._dies_later:
                raise _NotClear("refused calls die some time after the dial, maybe not at once")
            self._say("a call was accepted while the counter showed calls that were over")
            return "calls"
        self._say("a call was refused while the counter showed calls that were over")
        await self._settles(full - _STOPPED)
        if not await self._is_accepted(full - _STOPPED):
            raise _NotClear("calls were refused even when the counter had fallen")
        return "counter"

    async def _end(self, call_ids: Sequence[str]) -> None:
        """Stop these calls, and wait until they are known to be over."""
        await self._calls.stop(call_ids)
        self._own = [each for each in self._own if each not in call_ids]
        ends = self._time() + self._plan.longest_lag
        for call_id in call_ids:
            while not ((state := await self._state(call_id)) and state.is_over):
                if self._time() >= ends:
                    raise _NotClear("a call that was stopped was not over soon enough")

    async def _pace(self) -> None:
        await asyncio.sleep(max(self._due - self._time(), 0.0))

    async def _dial(self) -> str | None:
        """Dial, now; the call's id, or None if there is no room for it."""
        if self._dials >= self._limit_plan.most_calls:
            raise _NotClear(f"it would take more than {self._limit_plan.most_calls} calls")
        self._dials += 1
        try:
            dialled = await self._calls.dial(self._limit_plan.call)
        except NotPlaced as refusal:
            if refusal.status != NO_ROOM:
                raise
            return None
        finally:
            self._due = self._time() + self._limit_plan.pace
        self._own.append(dialled.call_id)
        return dialled.call_id

    async def _settles(self, count: int, newest: str | None = None) -> bool:
        """Wait until the counter has shown `count` for `longest_lag`.

        Returns:
            False if the call `newest` was refused meanwhile, by dying after its dial.
        """
        ends = self._time() + _RING_LIMIT + self._plan.patience
        since = math.inf
        while True:
            began = self._time()
            if newest is not None and await self._was_refused(newest):
                return False
            snapshot = await self._read()
            is_there = snapshot.limits.current_concurrency == count
            since = min(since, snapshot.began) if is_there else math.inf
            if snapshot.received - since >= self._plan.longest_lag:
                return True
            if snapshot.received >= ends:
                raise _NotClear(await self._strange(count))
            await asyncio.sleep(max(began + self._plan.interval - self._time(), 0.0))

    async def _was_refused(self, call_id: str) -> bool:
        state = await self._state(call_id)
        if state is None or not state.is_over:
            return False
        if state.reason != REFUSED_REASON:
            raise _NotClear(self._ended(call_id, state))
        self._own.remove(call_id)
        self._dies_later = True
        return True

    async def _strange(self, count: int) -> str:
        """Why the counter doesn't show `count`, as far as it can be told."""
        seen = await self._count()
        for call_id in self._own:
            state = await self._state(call_id)
            if state is not None and state.is_over:
                return self._ended(call_id, state)
        return f"the counter shows {seen} and not {count}, so others may be calling"

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
            if error.status in NOT_YET:
                return None
            raise

    async def _count(self) -> int:
        return (await self._read()).limits.current_concurrency

    async def _read(self) -> Snapshot:
        return await Reading(self._client, READING_DEADLINE).take()


def _unsuitable(limits: Limits, most_calls: int) -> str:
    """Why the experiment can't be made in a workspace with these limits; "" if it can."""
    if limits.concurrency_burst_enabled:
        return _BURST
    if price(limits) > most_calls:
        return f"it takes up to {price(limits)} calls, and {most_calls} are allowed"
    return ""

"""The experiment at the limit: what dials are refused by, and which calls the reservation bounds.

The workspace is filled with the probe's own calls until the provider refuses one more. That answers
two questions:

- *What are dials refused by?* A call is stopped. As soon as it is known to be over, another one is
  dialled, while the counter, which is late, still shows a full workspace. If that one is accepted,
  dials are refused by the calls that are really going on. If it is refused, and another one is
  accepted as soon as the counter has fallen, they are refused by the counter.
- *What is reserved for inbound calls?* With an inbound call going on, the counter is brought to the
  limit less the reservation. If one more outbound call is accepted, the reservation bounds outbound
  calls alone; if it is refused, all calls together. The inbound call has to go on until then.

The laws that this file holds:

- That the counter still showed a full workspace is proven by a reading that began after the dial's
  answer. If the call was accepted, that reading may also show the new call instead of the one that
  is over. So the counter has to be seen to change once more: it falls or rises, and comes back.
- The workspace is full only if two dials in a row were refused.
- Every call that was placed is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from callguard.errors import CallGuardError
from callguard.fetcher import ProviderClient
from callguard.limits import Limits
from callguard.probe.calls import MaybePlaced, NotPlaced, PlacedCalls
from callguard.probe.filling import RING_LIMIT, Filling, NotClear
from callguard.probe.findings import AT_ONCE, AtTheLimit, RefusedBy
from callguard.probe.inbound import has_inbound
from callguard.probe.plan import LimitPlan, Plan

__all__ = ["at_the_limit", "price"]

_FURTHER: Final = 4
"""Calls that are dialled beyond those that fill the workspace: two to see that it is full, one when
a call is over, and one when the counter shows that."""

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
        falls_at_once: whether the counter falls at once when a call is over. If so, it makes no
            difference what dials are refused by, and that isn't asked.
        say: called with each event, in words.
    """
    calls = PlacedCalls(client, say)
    try:
        filling = Filling(client, calls, plan, limit_plan, say)
        experiment = _Experiment(client, filling, limit_plan, plan.longest_lag, say)
        return await experiment.run(asks_refusal=not falls_at_once)
    finally:
        await calls.stop(calls.live)


class _Experiment:
    def __init__(
        self,
        client: ProviderClient,
        filling: Filling,
        limit_plan: LimitPlan,
        settling: float,
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._filling = filling
        self._limit_plan = limit_plan
        self._settling = settling
        self._say = say
        self._time = asyncio.get_running_loop().time
        self._found = AtTheLimit()
        self._asks_refusal = self._asks_inbound = False

    async def run(self, *, asks_refusal: bool) -> AtTheLimit:
        try:
            limits = (await self._filling.read()).limits
            self._decide_what_to_ask(limits, asks_refusal=asks_refusal)
            if self._asks_refusal or self._asks_inbound:
                await self._answer(limits)
        except (NotClear, CallGuardError, NotPlaced, MaybePlaced) as reason:
            self._say(f"not clear: {reason}")
            self._leave_open(str(reason))
        return replace(self._found, dials=self._filling.dials)

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
            raise NotClear(reason)
        if self._asks_inbound:
            await self._find_inbound()
        if not (self._asks_refusal or self._asks_inbound):
            return
        await self._filling.count_others()
        others = self._filling.others
        outbound = limits.concurrency_limit - limits.reserved_inbound_concurrency
        most = min(limits.concurrency_limit, others + outbound)
        if others >= outbound:
            raise NotClear(
                f"others have {others} calls, and outbound ones may have {outbound}: that "
                "leaves too little room"
            )
        await self._filling.fill(outbound)
        full = await self._dial_until_refused(outbound, most)
        if self._asks_inbound:
            await self._conclude_inbound(apart=full > outbound)
        if self._asks_refusal:
            await self._conclude_refusal(full)

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
                await asyncio.sleep(self._settling)
                return True
        return False

    async def _conclude_inbound(self, *, apart: bool) -> None:
        if not (self._filling.others and await has_inbound(self._client)):
            self._leave_inbound_open("the inbound call wasn't counted, or was over too early")
            return
        self._found = replace(self._found, reserved_inbound="outbound" if apart else "total")
        self._asks_inbound = False

    def _leave_inbound_open(self, reason: str) -> None:
        self._say(f"not clear: {reason}")
        self._found = replace(self._found, reserved_inbound_reason=reason)
        self._asks_inbound = False

    # Calls at the limit

    async def _dial_until_refused(self, full: int, most: int) -> int:
        """Dial until a call is refused; return the count at which that was.

        Args:
            full: what the counter shows at first.
            most: the highest count that any rule allows.
        """
        while await self._one_more(full):
            if full >= most:
                raise NotClear(f"a call was accepted while {full} were going on, at the limit")
            full += 1
        return full

    async def _one_more(self, full: int) -> bool:
        """Whether one more call is accepted at a counter that shows `full`."""
        if await self._filling.is_accepted(full):
            return True
        if await self._filling.is_accepted(full):
            raise NotClear("a call was refused, and the next one accepted, at the same count")
        return False

    async def _conclude_refusal(self, full: int) -> None:
        """Stop a call in a workspace that is full at a count of `full`, and dial another."""
        count, stopped = await self._filling.stop_one()
        call_id = None
        if count == full:
            call_id = await self._filling.dial()
            count = await self._filling.count()
        if count >= full:
            refused_by = await self._refused_by(call_id, full, count)
            self._found = replace(self._found, refused_by=refused_by)
        elif self._time() - stopped <= AT_ONCE:
            # Unless it was a call by others that ended: then the counter settles lower.
            await self._filling.settles(full - (call_id is None), call_id, ring=RING_LIMIT)
            self._say("the counter fell at once")
            needless = (*self._found.needless, _FALLS_AT_ONCE)
            self._found = replace(self._found, falls_at_once=True, needless=needless)
        else:
            raise NotClear(
                "the counter fell late, but before the next call could be dialled: it may be clear "
                "from nearer to the provider"
            )

    async def _refused_by(self, call_id: str | None, full: int, count: int) -> RefusedBy:
        """What dials are refused by, from one that was made just after a call was over.

        Args:
            call_id: the dialled call's id; None if it was refused.
            full: what the counter showed, the call that was over included.
            count: what the counter showed after the dial.
        """
        filling = self._filling
        has_changed = call_id is None or count > full or await filling.changes_from(full)
        if call_id is not None and await filling.settles(full, call_id, ring=RING_LIMIT):
            if filling.dies_later:
                raise NotClear("refused calls die some time after the dial, maybe not at once")
            if not has_changed:
                raise NotClear("the counter wasn't seen to change, so it may have fallen before")
            self._say("a call was accepted while the counter showed one that was over")
            return "calls"
        self._say("a call was refused while the counter showed one that was over")
        await filling.settles(full - 1)
        if not await filling.is_accepted(full - 1):
            raise NotClear("calls were refused even when the counter had fallen")
        return "counter"


def _unsuitable(limits: Limits, most_calls: int) -> str:
    """Why the experiment can't be made in a workspace with these limits; "" if it can."""
    if limits.concurrency_burst_enabled:
        return _BURST
    if price(limits) > most_calls:
        return f"it takes up to {price(limits)} calls, and {most_calls} are allowed"
    return ""

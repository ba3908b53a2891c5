"""The experiment of ``callguard probe``: place one call, and watch the counter.

`callguard.probe.conclusions` draws the conclusions. `callguard.probe.at_the_limit` is a second
experiment, which takes many calls.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from callguard.decision import Usage, decide
from callguard.errors import LimitsRejected, LimitsUnavailable
from callguard.fetcher import ProviderClient
from callguard.fetcher.calls import NOT_KNOWN
from callguard.fetcher.reading import Reading
from callguard.lanes import DEFAULT_LANE
from callguard.limits import Snapshot
from callguard.probe.at_the_limit import at_the_limit
from callguard.probe.calls import PhoneCall, PlacedCalls
from callguard.probe.conclusions import conclude
from callguard.probe.findings import Findings
from callguard.probe.plan import READING_DEADLINE, LimitPlan, Plan
from callguard.probe.record import Count, Record, Span, State, disturbed, unsteady

__all__ = ["probe"]

_LEAST_BASELINE: Final = 5
"""Counts before the call, at least."""


async def probe(
    client: ProviderClient,
    call: PhoneCall,
    plan: Plan,
    progress: Callable[[str], None],
    limit_plan: LimitPlan | None = None,
) -> Findings:
    """Place one call, watch it and the counter until both are settled, and draw the conclusions.

    No call is placed if the counter isn't steady, or if no call fits. A reading that fails during
    the call is left out. A call that is still live when this returns, raises or is cancelled is
    stopped, if that succeeds within some seconds. A cancellation during the dial waits for the
    dial's answer first, because that has the call's id.

    Args:
        client: the client that asks the provider. Its timeout holds for the dial too, and a dial
            that times out may have been placed.
        call: the call to place.
        plan: how long and how often to watch.
        progress: called with a line for each thing that happens.
        limit_plan: how to make the experiment at the limit as well, once the first call has shown
            whether ringing calls are counted; None to leave it out.

    Raises:
        NotPlaced: the provider refused the call.
        MaybePlaced: the dial had no answer, or one without the call's id.
        LimitsUnavailable: the counter could not be read before the call.
        LimitsRejected: the provider refused a reading, before the call or later.
        LimitsMalformed: an answer was malformed, before the call or later.
    """
    say = _timed(progress)
    findings = await _Experiment(client, PlacedCalls(client, say), call, plan, say).run()
    if limit_plan is None or not findings.is_clear:
        return findings
    falls_at_once = findings.falls_at_once
    found = await at_the_limit(client, plan, limit_plan, falls_at_once=falls_at_once, say=say)
    return replace(findings, at_the_limit=found)


def _timed(progress: Callable[[str], None]) -> Callable[[str], None]:
    """Return a function that reports an event, with the seconds since this call."""
    time = asyncio.get_running_loop().time
    began = time()
    return lambda what: progress(f"{time() - began:6.1f} s  {what}")


class _Experiment:
    def __init__(
        self,
        client: ProviderClient,
        calls: PlacedCalls,
        call: PhoneCall,
        plan: Plan,
        say: Callable[[str], None],
    ) -> None:
        self._client = client
        self._calls = calls
        self._call = call
        self._plan = plan
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._baseline: list[Count] = []
        self._counts: list[Count] = []
        self._states: list[State] = []
        self._call_id = ""

    async def run(self) -> Findings:
        reason = await self._unready()
        if reason:
            return Findings(None, reason=f"{reason}; no call was placed")
        try:
            placed = await self._dial()
            await self._watch(placed)
        finally:
            await self._calls.stop(self._calls.live)
        record = Record(self._baseline, placed, self._counts, self._states)
        return conclude(record, self._plan.longest_lag)

    async def _unready(self) -> str:
        """Read the baseline; return the reason not to place a call, or "" if there is none."""
        self._say(f"reading the counter for {self._plan.quiet:g} s before the call")
        ends = self._loop.time() + self._plan.quiet
        while True:
            began = self._loop.time()
            snapshot = await self._read()
            self._baseline.append(Count.of(snapshot))
            if reason := unsteady(self._baseline):
                return reason
            if snapshot.received >= ends and len(self._baseline) >= _LEAST_BASELINE:
                break
            await self._pause_since(began)
        self._say(f"the counter is steady at {snapshot.limits.current_concurrency}")
        return _full(snapshot)

    async def _dial(self) -> Span:
        dialled = await self._calls.dial(self._call)
        self._call_id = dialled.call_id
        self._say(f"placed {self._calls.named(self._call_id)}")
        return dialled.during

    async def _watch(self, placed: Span) -> None:
        deadline = placed.latest + self._plan.longest
        stop_sent = was_over = False
        while not (self._is_settled or self._is_spoilt):
            began = self._loop.time()
            if began >= deadline:
                if stop_sent or self._is_over:
                    return
                stop_sent = True
                await self._calls.stop(self._calls.live)
                deadline = self._loop.time() + self._plan.patience
            await self._look()
            if self._is_over and not was_over:
                # The next look follows at once: it may show that the counter has fallen by now.
                was_over = True
                deadline = self._loop.time() + self._plan.patience
            else:
                await self._pause_since(began)

    async def _look(self) -> None:
        # The count comes first: if it has risen and the call rings even after that, the counter
        # counts ringing calls, which is the decisive observation.
        try:
            self._note_count(Count.of(await self._read()))
        except LimitsUnavailable as error:
            self._say(f"a reading failed: {error}")
        try:
            self._note_state(await self._calls.ask(self._call_id))
        except (LimitsUnavailable, LimitsRejected) as error:
            if isinstance(error, LimitsRejected) and error.status not in NOT_KNOWN:
                raise
            self._say(f"asking for the call failed: {error}")

    def _note_count(self, count: Count) -> None:
        if count.calls != [*self._baseline, *self._counts][-1].calls:
            self._say(f"the counter shows {count.calls}")
        self._counts.append(count)

    def _note_state(self, state: State) -> None:
        if not self._states or state.status != self._states[-1].status:
            because = f" ({state.reason})" if state.reason else ""
            self._say(f"the call is {state.status}{because}")
        self._states.append(state)

    async def _read(self) -> Snapshot:
        return await Reading(self._client, READING_DEADLINE).take()

    @property
    def _is_over(self) -> bool:
        return bool(self._states) and self._states[-1].is_over

    @property
    def _is_spoilt(self) -> bool:
        """Whether calls by others were seen, after which no finding can be clear."""
        return bool(disturbed(self._baseline, self._counts))

    @property
    def _is_settled(self) -> bool:
        """Whether the call is over and the counter has been at its baseline for `longest_lag`."""
        ends = [state.during.latest for state in self._states if state.is_over]
        if not ends or not self._counts:
            return False
        last = self._counts[-1].during.latest
        lately = last - self._plan.longest_lag
        changed = [c.during.latest for c in self._counts if c.calls != self._baseline[-1].calls]
        return max([ends[0], *changed]) <= lately

    async def _pause_since(self, began: float) -> None:
        await asyncio.sleep(max(began + self._plan.interval - self._loop.time(), 0.0))


def _full(snapshot: Snapshot) -> str:
    usage = Usage(snapshot.limits.current_concurrency, dialling=0, uncounted=0)
    decision = decide(DEFAULT_LANE, usage, snapshot, now=snapshot.received, max_age=math.inf)
    return "" if decision.admitted else str(decision)

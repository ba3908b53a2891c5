"""The experiment of ``callguard probe``: place one call, and watch the counter.

`callguard.probe.findings` draws the conclusions.
"""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from callguard.arguments import checked_seconds
from callguard.decision import Usage, decide
from callguard.errors import (
    CallGuardError,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
)
from callguard.fetcher import ProviderClient
from callguard.fetcher.reading import Reading
from callguard.lanes import DEFAULT_LANE
from callguard.limits import Snapshot
from callguard.probe.findings import Findings, conclude
from callguard.probe.record import Count, Record, Span, State, disturbed, unsteady

__all__ = ["MaybePlaced", "NotPlaced", "PhoneCall", "Plan", "probe"]

_STOP_TIMEOUT: Final = 5.0
"""Seconds to try to stop the call before leaving; after Ctrl-C the user waits for this."""

_READING_DEADLINE: Final = 5.0
"""Seconds for one reading with all its attempts; the successful attempt dates the snapshot."""

_LEAST_BASELINE: Final = 5
"""Counts before the call, at least."""

_NOT_YET: Final = frozenset({404, 422})
"""The statuses that get-call may answer for a call just placed; 422 is the documented one."""

_NO_ROOM: Final = 429
"""The status that create-phone-call answers if no call fits."""


class NotPlaced(Exception):
    """The provider refused the call: none was placed.

    Attributes:
        status: the HTTP status of the refusal.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class MaybePlaced(Exception):
    """Nobody knows whether the call was placed, and it wasn't tried again.

    Attributes:
        malformed: whether there was an answer, but a malformed one.
    """

    def __init__(self, message: str, *, malformed: bool) -> None:
        super().__init__(f"{message}; the call may have been placed, and is not tried again")
        self.malformed = malformed


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """The call to place; numbers are E.164, such as ``"+14155550100"``."""

    from_number: str
    to_number: str
    agent_id: str | None = None

    def payload(self) -> dict[str, object]:
        """Make a create-phone-call body, with a new idempotency key each time."""
        body: dict[str, object] = {
            "from_number": self.from_number,
            "to_number": self.to_number,
            "idempotency_key": uuid.uuid4().hex,
        }
        if self.agent_id is not None:
            body["override_agent_id"] = self.agent_id
        return body


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often to watch the counter and the call.

    Args:
        interval: seconds between two readings.
        longest: seconds after which a call that is still live is stopped.
        longest_lag: seconds by which the counter is assumed to be late, at most. The provider
            publishes nothing; the default is five times the simulator's lag. The counter has to be
            steady for twice `longest_lag` before the call, and for `longest_lag` after it.

    Raises:
        TypeError: a time is not a number.
        ValueError: a time is not more than 0 s and finite.
    """

    interval: float = 0.5
    longest: float = 180.0
    longest_lag: float = 5.0

    def __post_init__(self) -> None:
        checked_seconds("the interval", self.interval, above_zero=True)
        checked_seconds("the longest call", self.longest, above_zero=True)
        checked_seconds("the longest lag", self.longest_lag, above_zero=True)

    @property
    def quiet(self) -> float:
        """Seconds for which the counter has to be steady before the call."""
        return 2 * self.longest_lag

    @property
    def patience(self) -> float:
        """Seconds to wait for the counter after the call's end, at most."""
        return 3 * self.longest_lag


async def probe(
    client: ProviderClient,
    call: PhoneCall,
    plan: Plan,
    progress: Callable[[str], None],
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

    Raises:
        NotPlaced: the provider refused the call.
        MaybePlaced: the dial had no answer, or one without the call's id.
        LimitsUnavailable: the counter could not be read before the call.
        LimitsRejected: the provider refused a reading, before the call or later.
        LimitsMalformed: an answer was malformed, before the call or later.
    """
    return await _Experiment(client, call, plan, progress).run()


class _Experiment:
    def __init__(
        self, client: ProviderClient, call: PhoneCall, plan: Plan, progress: Callable[[str], None]
    ) -> None:
        self._client = client
        self._call = call
        self._plan = plan
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._baseline: list[Count] = []
        self._counts: list[Count] = []
        self._states: list[State] = []
        self._began = self._loop.time()
        self._call_id = ""
        self._stop_sent = False

    async def run(self) -> Findings:
        reason = await self._unready()
        if reason:
            return Findings(None, reason=f"{reason}; no call was placed")
        try:
            placed = await self._dial()
            await self._watch(placed)
        finally:
            if self._call_id and not self._is_over:
                await self._stop()
        record = Record(self._baseline, placed, self._counts, self._states)
        return conclude(record, self._plan.longest_lag)

    async def _unready(self) -> str:
        """Read the baseline; return the reason not to place a call, or "" if there is none."""
        self._say(f"reading the counter for {self._plan.quiet:g} s before the call")
        ends = self._began + self._plan.quiet
        while True:
            began = self._loop.time()
            snapshot = await self._read()
            self._baseline.append(_counted(snapshot))
            if reason := unsteady(self._baseline):
                return reason
            if snapshot.received >= ends and len(self._baseline) >= _LEAST_BASELINE:
                break
            await self._pause_since(began)
        self._say(f"the counter is steady at {snapshot.limits.current_concurrency}")
        return _full(snapshot)

    async def _dial(self) -> Span:
        began = self._loop.time()
        request = asyncio.ensure_future(self._placing())
        try:
            self._remember(await asyncio.shield(request))
        except asyncio.CancelledError:
            await self._learn_what_was_placed(request)
            raise
        placed = Span(began, self._loop.time())
        self._say(f"placed call {self._client.quoted(self._call_id)}")
        return placed

    async def _learn_what_was_placed(self, request: asyncio.Future[bytes]) -> None:
        """Wait for the answer to a dial that was sent, so that its call can be stopped."""
        await asyncio.wait([request])
        try:
            self._remember(request.result())
        except (NotPlaced, MaybePlaced) as error:
            self._say(str(error))

    async def _placing(self) -> bytes:
        try:
            return await self._client.post("/v2/create-phone-call", self._call.payload())
        except LimitsRejected as error:
            raise NotPlaced(str(error), error.status) from None
        except CallGuardError as error:
            if isinstance(error, LimitsUnavailable) and error.status == _NO_ROOM:
                raise NotPlaced(str(error), _NO_ROOM) from None
            malformed = isinstance(error, LimitsMalformed)
            raise MaybePlaced(str(error), malformed=malformed) from None

    def _remember(self, body: bytes) -> None:
        call_id = _fields(body).get("call_id")
        if not isinstance(call_id, str) or not call_id:
            raise MaybePlaced("the answer to the dial has no call_id", malformed=True)
        self._call_id = call_id

    async def _watch(self, placed: Span) -> None:
        deadline = placed.latest + self._plan.longest
        was_over = False
        while not (self._is_settled or self._is_spoilt):
            began = self._loop.time()
            if began >= deadline:
                if self._stop_sent or self._is_over:
                    return
                await self._stop()
                deadline = self._loop.time() + self._plan.patience
            await self._look()
            if self._is_over and not was_over:
                was_over = True
                deadline = self._loop.time() + self._plan.patience
            await self._pause_since(began)

    async def _look(self) -> None:
        # The count comes first: if it has risen and the call rings even after that, the counter
        # counts ringing calls, which is the decisive observation.
        try:
            self._note_count(_counted(await self._read()))
        except LimitsUnavailable as error:
            self._say(f"a reading failed: {error}")
        try:
            self._note_state(await self._ask())
        except (LimitsUnavailable, LimitsRejected) as error:
            if isinstance(error, LimitsRejected) and error.status not in _NOT_YET:
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
        return await Reading(self._client, _READING_DEADLINE).take()

    async def _ask(self) -> State:
        began = self._loop.time()
        body = await self._client.get(f"/v2/get-call/{quote(self._call_id, safe='')}")
        fields, during = _fields(body), Span(began, self._loop.time())
        status, reason = fields.get("call_status"), fields.get("disconnection_reason")
        if not isinstance(status, str):
            raise LimitsMalformed("the provider's answer to get-call has no call_status")
        why = self._client.quoted(reason) if isinstance(reason, str) else None
        return State(during, self._client.quoted(status), why)

    async def _stop(self) -> None:
        """Stop the call; raises nothing but a second cancellation."""
        self._stop_sent = True
        path = f"/v2/stop-call/{quote(self._call_id, safe='')}"
        call = f"call {self._client.quoted(self._call_id)}"
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self._client.post(path, {})
        except (CallGuardError, TimeoutError) as error:
            why = str(error) or f"no answer within {_STOP_TIMEOUT:g} s"
            self._say(f"could not stop {call}, which may still go on: {why}")
        else:
            self._say(f"stopped {call}")

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

    def _say(self, what: str) -> None:
        self._progress(f"{self._loop.time() - self._began:6.1f} s  {what}")


def _counted(snapshot: Snapshot) -> Count:
    return Count(Span(snapshot.began, snapshot.received), snapshot.limits.current_concurrency)


def _full(snapshot: Snapshot) -> str:
    usage = Usage(snapshot.limits.current_concurrency, dialling=0, uncounted=0)
    decision = decide(DEFAULT_LANE, usage, snapshot, now=snapshot.received, max_age=math.inf)
    return "" if decision.admitted else str(decision)


def _fields(body: bytes) -> Mapping[str, object]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}

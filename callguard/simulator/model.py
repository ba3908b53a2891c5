"""The model of a workspace: its calls, its limits, and a counter that shows them late.

The laws that this file holds:

- State changes only at events (a dial, an answer, an end, a call by others), so every integral is a
  sum of products, and exact.
- The n-th placed call has the same fate whatever the other settings are: each kind of draw has a
  stream of its own, and each placed call draws once from every stream.
- Time is read from the `clock` argument, and every public method first catches up with it. Nothing
  happens by itself: to learn of events in time, call a method at `Workspace.next_event_at`.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Final

from callguard.simulator.bodies import published
from callguard.simulator.counter import Counted, Counter
from callguard.simulator.distributions import stream
from callguard.simulator.fates import Draws, Fate, Script, answered
from callguard.simulator.provider_clock import SimulatedClock
from callguard.simulator.records import Call, CallRefused, CallTooFast, Direction, Truth
from callguard.simulator.rule import OutboundRule
from callguard.simulator.settings import WorkspaceSettings
from callguard.simulator.tally import Tally
from callguard.simulator.trunks import Trunks

__all__ = ["KEPT_CALLS", "Workspace"]

KEPT_CALLS: Final = 10_000
"""How many ended calls can still be looked up; older ones are forgotten."""

_REFUSED_REASON: Final = "concurrency_limit_reached"  # None is published for a rate (SDK 6.2.13).
_NEVER: Final = Fate(0.0, None, _REFUSED_REASON)


@dataclass(slots=True)
class _Placed:
    call: Call
    fate: Fate
    counted: Counted


class _Calls:
    """The calls by their ids: all live ones, and the last `KEPT_CALLS` that ended."""

    def __init__(self) -> None:
        self._calls: dict[str, _Placed] = {}
        self._over: deque[str] = deque()
        self.get = self._calls.get

    def __iter__(self) -> Iterator[_Placed]:
        return iter(self._calls.values())

    def add(self, placed: _Placed) -> None:
        self._calls[placed.call.call_id] = placed
        if placed.call.ended_at is not None:
            self.forget_later(placed.call.call_id)

    def forget_later(self, call_id: str) -> None:
        """Note that a call ended; it is kept until `KEPT_CALLS` more have ended."""
        self._over.append(call_id)
        if len(self._over) > KEPT_CALLS:
            del self._calls[self._over.popleft()]


class Workspace:
    """A simulated voice workspace.

    Args:
        settings: the settings of the workspace; None for the defaults.
        clock: the time in seconds, such as the event loop's ``time``. It need not start at 0. While
            it runs backwards, the workspace's time stands still.
        epoch: what a right clock shows when `clock` shows 0, in seconds since 1970. The provider's
            own is off by the setting `clock_offset`.

    Attributes:
        provider_clock: the provider's clock, by which it stamps and dates.
    """

    def __init__(
        self,
        settings: WorkspaceSettings | None,
        clock: Callable[[], float],
        *,
        epoch: float = 0.0,
    ) -> None:
        self._settings = settings or WorkspaceSettings()
        self.provider_clock = SimulatedClock(epoch + self._settings.clock_offset)
        self._clock = clock
        self._started = self._now = clock()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._calls = _Calls()
        self._watchers: list[Callable[[Call], None]] = []
        self._tally = Tally()
        self._counter = Counter(self._tally, self._after)
        seed = self._settings.seed
        self._ids = stream(seed, "ids")
        self._trunks = Trunks(self._settings)
        self._draws = Draws(self._settings)
        self._script = Script(self._settings.numbers)
        self._arrivals = stream(seed, "inbound arrivals")
        self._inbound_ids = stream(seed, "inbound ids")
        self._inbound_talks = stream(seed, "inbound talks")
        self._await_inbound()

    @property
    def settings(self) -> WorkspaceSettings:
        """The settings, with the limits as they are now."""
        return self._settings

    @property
    def now(self) -> float:
        """Seconds on the clock, after every event that was due has happened."""
        self._catch_up()
        return self._now

    @property
    def next_event_at(self) -> float | None:
        """When the next event is due, in seconds on the clock; None if none is planned.

        Reading this doesn't catch up with the clock, so the time may be in the past. A dial or a
        stop may plan an earlier event; see `watch`.
        """
        return self._events[0][0] if self._events else None

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        self._catch_up()
        return self._now - self._started

    @property
    def count(self) -> int:
        """How many calls count against the limits now; the reported number follows this one."""
        self._catch_up()
        return self._tally.count

    def dial(
        self,
        *,
        from_number: str = "+10000000000",
        to_number: str = "+10000000001",
        agent_id: str = "agent_simulated",
        metadata: Mapping[str, object] | None = None,
    ) -> Call:
        """Place an outbound call, which begins to ring.

        If it came faster than its trunk's rate and the setting `cps_refusal` is ``"dead-call"``,
        the call is over at once instead.

        Raises:
            CallRefused: the setting's `outbound_rule` has no room for one more call.
            CallTooFast: the call would fit, but came faster than its trunk's rate, and
                `cps_refusal` is ``"429"``.
        """
        self._catch_up()
        trunk = self._trunks.of(from_number)
        is_due = trunk.dial(self._now)
        most = max(self._tally.most_dials_in_a_second, trunk.most_dials)
        self._tally.most_dials_in_a_second = most
        rule = self._settings.outbound_rule
        count, outbound = self._counter.enforced(self._settings)
        if rule.excess(count + 1, outbound + 1) > 0:
            self._tally.refusals += 1
            raise CallRefused(f"{count} calls are going on, {outbound} of them outbound")
        if not is_due:
            self._tally.refusals += 1
            self._tally.rate_refusals += 1
            if self._settings.cps_refusal == "429":
                raise CallTooFast(f"calls came faster than {trunk.cps} per second")
        call = Call(
            call_id=f"call_{self._ids.getrandbits(128):032x}",
            status="registered",
            from_number=from_number,
            to_number=to_number,
            agent_id=agent_id,
            metadata=metadata,
            placed_at=self._now,
        )
        if is_due:
            trunk.start(self._now)
            self._ring(call, rule)
        else:
            call = _refused(call)
            self._calls.add(_Placed(call, _NEVER, Counted(rule=None)))
        self._report(call)
        return call

    def most_dials_in_a_second(self, from_number: str) -> int:
        """`Truth.most_dials_in_a_second`, for the trunk of this number alone."""
        return self._trunks.of(from_number).most_dials

    def call(self, call_id: str) -> Call | None:
        """The call as it stands now; None if it is unknown or forgotten.

        The last `KEPT_CALLS` that ended are remembered.
        """
        self._catch_up()
        placed = self._calls.get(call_id)
        return None if placed is None else placed.call

    def calls(self, direction: Direction | None = "outbound") -> list[Call]:
        """The calls as they stand now: all live ones, and the last that ended.

        Args:
            direction: whether the outbound or the inbound ones; None for both.
        """
        self._catch_up()
        calls = (placed.call for placed in self._calls)
        return [call for call in calls if direction in {None, call.direction}]

    def watch(self, watcher: Callable[[Call], None]) -> None:
        """Call `watcher` with each outbound call when it is placed, answered, and over.

        The workspace calls it while catching up with its clock, which may be some time after the
        event; the call's own times say when it was. The watcher must not call the workspace.
        """
        self._watchers.append(watcher)

    def call_in(self, talk_time: float) -> Call | None:
        """Let a call come in now, beside those of `inbound_rate`, and last `talk_time` seconds.

        None if it is turned away at the limit.
        """
        self._catch_up()
        return self._take_in(talk_time)

    def stop(self, call_id: str) -> bool:
        """End a call at once; False if it is unknown or over."""
        self._catch_up()
        placed = self._calls.get(call_id)
        if placed is None or placed.call.ended_at is not None:
            return False
        self._end(placed, "manual_stopped")
        return True

    def concurrency(self) -> dict[str, object]:
        """The body of the provider's ``GET /get-concurrency``, with the late counter."""
        self._catch_up()
        self._tally.readings += 1
        return published(self._settings, self._counter.reported)

    def set_limits(
        self,
        *,
        limit: int | None = None,
        burst_limit: int | None = None,
        reserved_inbound: int | None = None,
    ) -> None:
        """Change limits, in calls; None keeps a limit as it is. No live call is ended.

        Raises:
            ValueError: a number can't be right; nothing is changed.
        """
        self._catch_up()
        was = self._settings
        self._settings = replace(
            was,
            limit=was.limit if limit is None else limit,
            burst_limit=was.burst_limit if burst_limit is None else burst_limit,
            reserved_inbound=was.reserved_inbound if reserved_inbound is None else reserved_inbound,
        )

    def truth(self) -> Truth:
        """The true totals since the start."""
        self._catch_up()
        return Truth(elapsed=self._now - self._started, **asdict(self._tally))

    # The methods below run at an event, with `self._now` at the event's time.

    def _catch_up(self) -> None:
        now = max(self._now, self._clock())
        while self._events and self._events[0][0] <= now:
            at, _, happen = heapq.heappop(self._events)
            self._pass_time(at)
            happen()
        self._pass_time(now)

    def _pass_time(self, until: float) -> None:
        self._tally.pass_time(until - self._now, self._settings.limit, self._counter.surcharged)
        self._now = until

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        at = self._now + max(seconds, 0.0)
        heapq.heappush(self._events, (at, next(self._order), happen))

    def _ring(self, call: Call, rule: OutboundRule) -> None:
        drawn = self._draws.next()  # even if scripted, so that later calls draw the same fates
        fate = self._script.next(call.to_number) or drawn
        placed = _Placed(call, fate, Counted(rule))
        self._calls.add(placed)
        self._tally.placed += 1
        self._tally.live += 1
        if self._settings.counts_ringing:
            self._counter.begin(placed.counted, self._settings)
        if fate.talk_time is None:
            happen = partial(self._end, placed, fate.reason)
        else:
            happen = partial(self._answer, placed, fate.talk_time)
        self._after(min(fate.ring_time, self._settings.ring_limit), happen)

    def _answer(self, placed: _Placed, talk_time: float) -> None:
        if placed.call.ended_at is not None:
            return
        self._tally.answered += 1
        placed.call = replace(placed.call, status="ongoing", answered_at=self._now)
        if not placed.counted.counts:
            self._counter.begin(placed.counted, self._settings)
        self._after(talk_time, partial(self._end, placed, placed.fate.reason))
        self._report(placed.call)

    def _end(self, placed: _Placed, reason: str) -> None:
        call = placed.call
        if call.ended_at is not None:
            return
        if call.direction == "outbound":
            self._tally.ended += 1
        else:
            self._tally.inbound_ended += 1
        self._tally.live -= 1
        placed.call = replace(
            call,
            status="not_connected" if call.answered_at is None else "ended",
            ended_at=self._now,
            disconnection_reason=reason,
        )
        if placed.counted.counts:
            self._counter.cease(placed.counted, self._settings)
        self._calls.forget_later(call.call_id)
        self._report(placed.call)

    def _report(self, call: Call) -> None:
        if call.direction == "outbound":
            for watcher in self._watchers:
                watcher(call)

    def _await_inbound(self) -> None:
        if self._settings.inbound_rate:
            wait = self._arrivals.expovariate(self._settings.inbound_rate)
            self._after(wait, self._start_inbound)

    def _start_inbound(self) -> None:
        self._await_inbound()
        self._take_in(self._settings.inbound_talk_time(self._inbound_talks))

    def _take_in(self, talk_time: float) -> Call | None:
        settings = self._settings
        if settings.inbound_respects_limit and self._tally.count + 1 > settings.full_limit:
            self._tally.inbound_turned_away += 1
            return None
        call = _inbound(f"call_{self._inbound_ids.getrandbits(128):032x}", self._now)
        fate = answered(talk_time, ring_time=0.0)
        placed = _Placed(call, fate, Counted(rule=None))
        self._calls.add(placed)
        self._tally.inbound_started += 1
        self._tally.live += 1
        self._counter.begin(placed.counted, self._settings)
        self._after(talk_time, partial(self._end, placed, fate.reason))
        return call


def _inbound(call_id: str, at: float) -> Call:
    """A call that came in at `at`, and was answered at once."""
    return Call(
        call_id=call_id,
        status="ongoing",
        direction="inbound",
        from_number="+10000000001",
        to_number="+10000000000",
        agent_id="agent_simulated",
        metadata=None,
        placed_at=at,
        answered_at=at,
    )


def _refused(call: Call) -> Call:
    """The call as refused: over before it rang. It never counts, but can be looked up."""
    return replace(
        call, status="error", ended_at=call.placed_at, disconnection_reason=_REFUSED_REASON
    )

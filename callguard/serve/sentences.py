"""Events as sentences, for an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from callguard.events import (
    Cancelled,
    Ended,
    Event,
    GivenUp,
    LedgerAway,
    LedgerBack,
    LeftQueue,
    LimitsChanged,
    OutageBegan,
    OutageEnded,
    Paused,
    PermitLost,
    Placed,
    PremiseBroken,
    Refused,
    Resumed,
    RingingLearnt,
    TimedOut,
)
from callguard.limits import Limits
from callguard.serve.batches import WARNING, BatchForwarded

__all__ = ["OF_CALLS", "OF_THE_GATE", "sentence"]


def sentence(event: Event | BatchForwarded) -> str:
    """Say what happened; the event must be of one of the kinds that are listed here."""
    return _SAID[type(event)](event)


def _placed(event: Placed) -> str:
    return f"{_call(event.call_id, event.permit_id)} placed on lane {event.lane!r}"


def _ended(event: Ended) -> str:
    return f"{_call(event.call_id, event.permit_id)} over{_on(event.lane)}"


def _cancelled(event: Cancelled) -> str:
    return f"permit {event.permit_id} given back on lane {event.lane!r}: nothing was dialled"


def _refused(event: Refused) -> str:
    status = "" if event.status is None else f", HTTP {event.status}"
    what = _call(event.call_id, event.permit_id)
    return f"the provider refused {what}{_on(event.lane)}{status}"


def _timed_out(event: TimedOut) -> str:
    return f"a caller on lane {event.lane!r} gave up after {event.waited:.1f} s in the queue"


def _left_queue(event: LeftQueue) -> str:
    return f"a caller left lane {event.lane!r} after {event.waited:.1f} s in the queue: {event.why}"


def _permit_lost(event: PermitLost) -> str:
    return (
        f"permit {event.permit_id} on lane {event.lane!r} counts as placed while it is dialled, "
        "since this process was silent for longer than its lease"
    )


def _limits_changed(event: LimitsChanged) -> str:
    return f"the limits changed: {_limits(event.before)} before, {_limits(event.after)} now"


def _limits(limits: Limits) -> str:
    burst = limits.concurrency_burst_limit if limits.concurrency_burst_enabled else "off"
    reserved = limits.reserved_inbound_concurrency
    return f"{limits.concurrency_limit} calls ({reserved} for inbound, burst {burst})"


def _paused(event: Paused) -> str:
    reason = f": {event.reason}" if event.reason else ""
    return f"{_scope(event)} paused from {event.by}{reason}"


def _resumed(event: Resumed) -> str:
    return f"{_scope(event)} resumed after {event.duration:.0f} s"


def _scope(event: Paused | Resumed) -> str:
    lane = "" if event.lane is None else f"lane {event.lane!r}"
    trunk = "" if event.trunk is None else f"trunk {event.trunk!r}"
    return " on ".join(filter(None, (lane, trunk))) or "everything"


def _premise_broken(event: PremiseBroken) -> str:
    seen = "it is only known to be wrong" if event.seen is None else f"seen was {event.seen:g}"
    said = "" if event.said is None else f" is set to {event.said:g}, and"
    return f"a premise of the promise does not hold: {event.premise}{said} {seen}"


def _given_up(event: GivenUp) -> str:
    return f"{event.setting} is given up, since the provider refused a call"


def _ringing_learnt(event: RingingLearnt) -> str:
    if not event.counted:
        return "it is no longer taken for certain that ringing calls are counted"
    if event.applied:
        return "learnt that ringing calls are counted"
    return "ringing calls seem to be counted: to use that, set counts_ringing=True"


def _call(call_id: str | None, permit_id: str | None) -> str:
    if call_id is not None:
        return f"call {call_id}"
    return "a call" if permit_id is None else f"the call of permit {permit_id}"


def _on(lane: str | None) -> str:
    return ", which another gate placed," if lane is None else f" on lane {lane!r}"


_CALLS: Final[Mapping[type, Callable[[Any], str]]] = {
    Placed: _placed,
    Ended: _ended,
    Cancelled: _cancelled,
    TimedOut: _timed_out,
    LeftQueue: _left_queue,
}

_GATE: Final[Mapping[type, Callable[[Any], str]]] = {
    Refused: _refused,
    PermitLost: _permit_lost,
    LimitsChanged: _limits_changed,
    Paused: _paused,
    Resumed: _resumed,
    PremiseBroken: _premise_broken,
    GivenUp: _given_up,
    BatchForwarded: lambda _: f"a batch was forwarded: {WARNING}",
    RingingLearnt: _ringing_learnt,
    OutageBegan: lambda event: f"the limits can't be read: {event.reason}",
    OutageEnded: lambda event: f"the limits can be read again, after {event.duration:.1f} s",
    LedgerAway: lambda event: f"the ledger's server can't be reached: {event.reason}",
    LedgerBack: lambda event: f"the ledger's server is back, after {event.duration:.1f} s",
}

_SAID: Final = {**_CALLS, **_GATE}

OF_CALLS: Final = frozenset(_CALLS)
"""The kinds of events that every call or caller makes."""

OF_THE_GATE: Final = frozenset(_GATE)
"""The kinds of events that are rare, or that matter."""

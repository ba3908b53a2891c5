"""The values of the metrics: what statistics and events say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, get_args

from callguard.decision import Usage
from callguard.events import (
    Ended,
    Event,
    LedgerAway,
    LeftQueue,
    OutageBegan,
    PermitLost,
    Refused,
    TimedOut,
)
from callguard.gate import GateStatistics
from callguard.limits import Limits
from callguard.metrics import table
from callguard.metrics.table import Labels, Metric
from callguard.premises import Premise

__all__ = ["EVENTS", "Fact", "counters", "gauges", "of_limits", "of_usage"]

Fact: TypeAlias = tuple[Metric, Labels, float]
"""A metric, the values of its labels without the workspace, and its value."""

_WHY_LEFT: Final = ("cancelled", "closed", "rejected")
"""The values of `LeftQueue.why`."""


def gauges(picture: GateStatistics) -> Iterator[Fact]:
    """What a gate says of this moment. What is unknown is left out."""
    yield from of_usage(picture.usage)
    if picture.limits is not None:
        # It is the same for all lanes, and they have ceilings where there are limits.
        included = max(each.included for each in picture.ceilings.values() if each is not None)
        yield from of_limits(picture.limits, picture.usage, included)
    if picture.snapshot_age is not None:
        yield table.SNAPSHOT_AGE, (), picture.snapshot_age
    yield table.OUTAGE, (), 0.0 if picture.outage is None else picture.outage.seconds
    yield from _of_lanes(picture)
    yield from _of_trunks(picture)
    for pause in picture.pauses:
        yield table.PAUSED, (pause.lane or "", pause.trunk or ""), 1
    for setting in picture.given_up:
        yield table.GIVEN_UP, (setting,), 1


def _of_lanes(picture: GateStatistics) -> Iterator[Fact]:
    for lane, ceilings in picture.ceilings.items():
        if ceilings is not None:
            yield table.CEILING, (lane,), ceilings.highest
    for lane, headroom in picture.headroom.items():
        if headroom is not None:
            yield table.HEADROOM, (lane,), headroom
    for lane, eta in picture.eta.items():
        if eta is not None:
            yield table.ETA, (lane, "50"), eta.p50
            yield table.ETA, (lane, "90"), eta.p90
    for lane, waiting in picture.waiting.items():
        yield table.WAITING, (lane,), waiting


def _of_trunks(picture: GateStatistics) -> Iterator[Fact]:
    for trunk, due_in in picture.due_in.items():
        yield table.TRUNK_DUE, (trunk,), due_in
    for trunk, on_trunk in picture.on_trunk.items():
        yield table.TRUNK_CALLS, (trunk,), on_trunk.calls
        yield table.TRUNK_LIMIT, (trunk,), on_trunk.most


def of_usage(usage: Usage) -> Iterator[Fact]:
    """The calls that can be going on."""
    if usage.reported is not None:
        yield table.CALLS, ("reported",), usage.reported
    yield table.CALLS, ("dialling",), usage.dialling
    yield table.CALLS, ("uncounted",), usage.uncounted
    sums = (
        (table.USAGE, usage.total),
        (table.OWN, usage.own),
        (table.OTHERS, usage.others_at_least),
    )
    for metric, calls in sums:
        if calls is not None:
            yield metric, (), calls


def of_limits(limits: Limits, usage: Usage, included: int) -> Iterator[Fact]:
    """The limits, and the calls that are above what costs nothing extra.

    Args:
        limits: the provider's answer.
        usage: the calls that can be going on.
        included: the usage up to which the provider charges no surcharge, where burst is on.
    """
    yield table.LIMIT, ("normal",), limits.concurrency_limit
    yield table.LIMIT, ("reserved_inbound",), limits.reserved_inbound_concurrency
    if limits.concurrency_burst_enabled:
        yield table.LIMIT, ("burst",), limits.concurrency_burst_limit
    if usage.reported is not None and usage.total is not None:
        # The usage may have a call twice, and the count one that is known to be over.
        going_on = min(usage.reported, usage.total)
        bursts = limits.concurrency_burst_enabled
        yield table.BURST, (), max(0, going_on - included) if bursts else 0


def counters(picture: GateStatistics) -> Iterator[Fact]:
    """What a gate has counted since it was opened.

    What may come is there as 0 from the beginning, since Prometheus sees no increase in a series
    that begins with 1.
    """
    yield from _zeros(picture)
    for each in picture.admissions:
        for tier, calls in (("normal", each.normal), ("burst", each.burst)):
            if calls:
                yield table.ADMISSIONS, (each.lane, tier, each.trunk or ""), calls
        yield table.CANCELLATIONS, (each.lane,), each.cancelled
    for outcome, readings in picture.readings.items():
        yield table.READINGS, (outcome,), readings
    for premise in get_args(Premise):
        yield table.PREMISES_BROKEN, (premise,), picture.premises_broken.get(premise, 0)


def _zeros(picture: GateStatistics) -> Iterator[Fact]:
    trunks = ("", *dict.fromkeys((*picture.due_in, *picture.on_trunk)))
    for lane, ceilings in picture.ceilings.items():
        bursts = ceilings is not None and ceilings.burst is not None
        for tier in ("normal", "burst") if bursts else ("normal",):
            for trunk in trunks:
                yield table.ADMISSIONS, (lane, tier, trunk), 0
        yield table.REFUSALS, (lane, "429"), 0
        yield table.TIMEOUTS, (lane,), 0
        for why in _WHY_LEFT:
            yield table.LEFT_QUEUE, (lane, why), 0
        yield table.LOST, (lane,), 0
    for lane in ("", *picture.ceilings):
        yield table.REFUSALS, (lane, ""), 0
        yield table.ENDS, (lane,), 0
    yield table.OUTAGES, (), 0
    yield table.LEDGER_OUTAGES, (), 0


def _status(status: int | None) -> str:
    """A status as a label: of a bounded number of values, whatever a caller says."""
    if status is None:
        return ""
    return str(status) if 100 <= status <= 599 else "other"


EVENTS: Final[Mapping[type[Event], tuple[Metric, Callable[[Any], Labels]]]] = {
    Refused: (table.REFUSALS, lambda event: (event.lane or "", _status(event.status))),
    TimedOut: (table.TIMEOUTS, lambda event: (event.lane,)),
    LeftQueue: (table.LEFT_QUEUE, lambda event: (event.lane, event.why)),
    Ended: (table.ENDS, lambda event: (event.lane or "",)),
    PermitLost: (table.LOST, lambda event: (event.lane,)),
    OutageBegan: (table.OUTAGES, lambda _: ()),
    LedgerAway: (table.LEDGER_OUTAGES, lambda _: ()),
}
"""The metrics that events count, and the labels of an event."""

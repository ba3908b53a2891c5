"""The `Overview` of a workspace, put together from its gate and its journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from callguard.decision import Decision
from callguard.errors import GateClosed, GateDraining
from callguard.lanes import Lane
from callguard.limits import Limits
from callguard.serve.views import (
    Burst,
    LaneView,
    Overview,
    PremiseView,
    TrunkView,
)

if TYPE_CHECKING:
    from callguard.gate import Gate, GateStatistics
    from callguard.serve.journal import Journal

__all__ = ["is_paused", "overview"]


def overview(gate: Gate, journal: Journal) -> Overview:
    """Look at a gate, open or closed, and at its journal. This adds a point to the chart.

    Raises:
        UsageError: the gate belongs to another event loop.
    """
    statistics = gate.statistics()
    decisions = {lane.name: _decision(gate, lane) for lane in gate.lanes}
    made = [each for each in decisions.values() if isinstance(each, Decision)]
    limits = made[0].limits if made else journal.limits
    age = statistics.snapshot_age
    journal.mark(statistics.usage, limits, stale=bool(made and age and age > made[0].max_age))
    return Overview(
        workspace=journal.workspace,
        gate=gate.id,
        at=journal.wall_at(journal.clock()),
        draining=any(isinstance(each, GateDraining) for each in decisions.values()),
        limits=limits,
        usage=statistics.usage,
        snapshot_age=age,
        outage=None if statistics.outage is None else str(statistics.outage),
        lanes=tuple(_lane(name, said, statistics, journal) for name, said in decisions.items()),
        trunks=tuple(_trunks(gate, statistics, journal)),
        holders=tuple(journal.holders(gate.placed_permits())),
        burst=_burst(journal, limits),
        pauses=tuple(statistics.pauses),
        premises=tuple(_premises(statistics, journal, made[0] if made else None)),
        given_up=tuple(statistics.given_up),
        events=journal.happenings(),
        chart=journal.points(),
    )


def _decision(gate: Gate, lane: Lane) -> Decision | GateClosed:
    try:
        return gate.explain(lane)
    except GateClosed as closed:
        return closed


def _lane(
    name: str, said: Decision | GateClosed, statistics: GateStatistics, journal: Journal
) -> LaneView:
    decision = said if isinstance(said, Decision) else None
    ceilings, eta = statistics.ceilings[name], None if decision is None else decision.eta
    kept, now = journal.lanes[name], journal.clock()
    return LaneView(
        name=name,
        sentence=str(said),
        admits=decision is not None and decision.admitted,
        lifts_in=None if decision is None else decision.lifts_in,
        ceiling=None if ceilings is None else ceilings.highest,
        waiting=statistics.waiting[name],
        wait_p50=kept.waits.quantile(now, 0.5),
        wait_p90=kept.waits.quantile(now, 0.9),
        eta_p50=None if eta is None else eta.p50,
        eta_p90=None if eta is None else eta.p90,
        dials_per_minute=float(kept.admitted.total(now)),
        refused=kept.refused,
        paused=is_paused(name, ((each.lane, each.trunk) for each in statistics.pauses)),
    )


def _trunks(gate: Gate, statistics: GateStatistics, journal: Journal) -> Iterator[TrunkView]:
    for trunk in gate.trunks:
        on = statistics.on_trunk.get(trunk.name)
        yield TrunkView(
            name=trunk.name,
            cps=trunk.cps,
            window=trunk.window,
            due_in=statistics.due_in.get(trunk.name),
            starts_in_last_minute=journal.starts_in_last_minute(trunk.name),
            calls=None if on is None else on.calls,
            most=trunk.calls,
            paused=is_paused(trunk.name, ((each.trunk, each.lane) for each in statistics.pauses)),
        )


def is_paused(name: str, pauses: Iterable[tuple[str | None, str | None]]) -> bool:
    """Whether a lane or a trunk is paused as a whole.

    Args:
        name: its name.
        pauses: the names that each pause is of, the lane's first or the trunk's.
    """
    return any(scope in {None, name} and beside is None for scope, beside in pauses)


def _burst(journal: Journal, limits: Limits | None) -> Burst:
    dollars = journal.burst.dollars_today(journal.clock())
    enabled = None if limits is None else limits.concurrency_burst_enabled
    return Burst(enabled, len(journal.burst), dollars)


def _premises(
    statistics: GateStatistics, journal: Journal, decision: Decision | None
) -> Iterator[PremiseView]:
    sentences = () if decision is None else decision.premises
    why = {name: what for name, _, what in (each.partition(": ") for each in sentences)}
    for name, times in statistics.premises_broken.items():
        said, seen = journal.premises.get(name, (None, None))
        yield PremiseView(name, said, seen, times, why.get(name, "seen to be wrong"))

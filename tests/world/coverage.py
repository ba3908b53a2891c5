"""How many worlds had what in them, so that nothing is tested less than it seems to be."""

from __future__ import annotations

from collections.abc import Mapping

from tests.world.plan import Plan, SharedPlan

__all__ = ["features", "mishaps", "table"]

COLUMNS = 4


def features(plan: Plan) -> list[str]:
    """What a world has in it, of the things that not every world has."""
    gate = plan.gate
    news = [each for call in plan.calls for each in (call.started, call.ended)]
    asked = [f"lists: {kind}" for kind in plan.lists] if gate.asks else []
    had = {
        "asking": gate.asks,
        "no webhooks": not any(news),
        "webhooks lost": any(news) and not all(news),
        "ringing not said": gate.counts_ringing is None,
        "lessons": plan.teaches != "",
        "misled": plan.teaches == "wrongly",
        "inbound apart": gate.inbound_apart,
        "ends free": gate.ends_free,
        "refusals by the count": plan.refuses_by_count,
        "trunks with rates": any(trunk.cps for trunk in gate.trunks),
        "trunks that fill": any(trunk.calls for trunk in gate.trunks),
        "burst": any(lane.burst for lane in gate.lanes),
        "others call": bool(plan.others),
        "pauses": bool(plan.pauses),
        "closings": bool(plan.closings),
        "late counter": not plan.counter_in_time,
        "refusals for room": plan.enforces,
        "nobody listens": not gate.listens,
    }
    return [*(name for name, is_so in had.items() if is_so), *dict.fromkeys(asked)]


def mishaps(plan: SharedPlan) -> list[str]:
    """What befalls a shared ledger and its workers, in a world that has it."""
    had = {
        "evictions": plan.mishaps.evictions,
        "restorations": plan.mishaps.restorations,
        "clock steps": plan.mishaps.steps,
        "failing scripts": plan.mishaps.failings,
        "workers in trouble": any(worker.troubles for worker in plan.workers),
        "mixed gates": any(worker.counts_together for worker in plan.workers),
        "gates that go by the count": any(each.goes_by_the_count for each in plan.workers),
    }
    return [name for name, befalls in had.items() if befalls]


def table(worlds: Mapping[str, int]) -> str:
    """How many worlds had each feature, in columns."""
    cells = [f"{count:6d} {name:<24}" for name, count in sorted(worlds.items())]
    rows = [cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)]
    return "\n".join("".join(row).rstrip() for row in rows)

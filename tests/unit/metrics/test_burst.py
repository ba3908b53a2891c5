"""How many calls cost burst's surcharge, by a gate and by a ledger's contents."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

import callguard
from callguard import AdmissionTimeout
from callguard.ledger.redis.holders import Contents, LedgerPermit
from callguard.ledger.redis.own_calls import OwnCalls
from callguard.limits import Limits, Snapshot
from callguard.metrics import prometheus
from callguard.metrics.of_ledger import measured
from callguard.metrics.table import BURST
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run

PLACED = LedgerPermit("w-1", "host:1", "default", 5.0, "uncounted", 20.0)

CONTENTS = Contents(
    now=100.0,
    known=True,
    workers=(),
    permits=(PLACED,) * 8,
    waiting=(),
    snapshot=None,
    spent_until=0.0,
    lost_until=0.0,
)


def limits(reported: int, *, enabled: bool = True) -> Limits:
    return Limits(reported, 10, 2, enabled, 30 if enabled else 0)


def by_a_gate(reported: int, *, enabled: bool = True) -> float | None:
    """What a gate says whose 8 calls a snapshot may lack, for all that is known."""
    registry = CollectorRegistry()

    async def main() -> float | None:
        source = ScriptedSource()
        source.limits = limits(0, enabled=enabled)
        async with callguard.open_gate(
            source=source, cps=None, listener=prometheus(registry)
        ) as gate:
            for _ in range(8):
                async with gate.admit() as permit:
                    permit.placed()
            source.limits = limits(reported, enabled=enabled)
            with pytest.raises(AdmissionTimeout):
                async with gate.admit(timeout=5.0):
                    pass
            assert gate.statistics().usage.total == reported + 8
            return registry.get_sample_value("callguard_calls_burst", {"workspace": gate.workspace})

    return run(main())


def by_a_ledger(reported: int, *, enabled: bool = True, own: OwnCalls | None = None) -> float:
    """What the contents of a ledger say on which 8 calls are uncounted."""
    snapshot = Snapshot(limits(reported, enabled=enabled), 99.0, 99.1)
    contents = replace(CONTENTS, snapshot=snapshot, own=own or OwnCalls())
    return measured(contents, "w").values[BURST]["w",]


@pytest.mark.parametrize(
    ("reported", "enabled", "calls"), [(8, True, 0), (8, False, 0), (11, False, 0), (13, True, 5)]
)
def test_only_calls_of_the_count_above_the_limit_cost_extra(
    reported: int, enabled: bool, calls: int
) -> None:
    """A dashboard would show a surcharge where calls may be counted twice, or burst is off."""
    assert by_a_gate(reported, enabled=enabled) == calls
    assert by_a_ledger(reported, enabled=enabled) == calls


def test_inbound_calls_that_are_counted_apart_use_what_is_reserved_for_them() -> None:
    """A dashboard would show a surcharge for calls that were admitted as normal ones."""
    assert by_a_ledger(9) == 1
    assert by_a_ledger(9, own=OwnCalls(16, apart=True)) == 0

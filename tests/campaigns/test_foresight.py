"""What callers are told of their wait, beside how long they waited."""

from __future__ import annotations

import pytest

from tests.campaigns.foresight import CELLS, Wait, plan_of, shares, waits_of

SEEDS, WAITS = range(3), 150

# Waits that follow each other are alike: of so few the share before p50 is off by a tenth or more,
# one way or the other, depending on the seeds and on how the event loop orders its tasks.
BEFORE_P50, BEFORE_P90 = (0.35, 0.67), (0.80, 0.98)

QUICK = [cell for cell in CELLS if cell[1:] == ("no evidence", "nobody else", "no rate")]
SLOW = [cell for cell in CELLS if cell[-1] == "no rate" and cell not in QUICK]


@pytest.mark.parametrize(
    "cell", [*QUICK, *(pytest.param(cell, marks=pytest.mark.slow) for cell in SLOW)]
)
def test_half_go_before_p50_and_nine_in_ten_before_p90(cell: tuple[str, str, str, str]) -> None:
    """A caller would be told of a wait that is half as long as it is, or twice."""
    waits = [wait for seed in SEEDS for wait in waits_of(plan_of(*cell, seed), WAITS)]
    before_p50, before_p90 = shares(waits)
    assert BEFORE_P50[0] <= before_p50 <= BEFORE_P50[1]
    assert BEFORE_P90[0] <= before_p90 <= BEFORE_P90[1]


def test_callers_on_a_higher_lane_are_reckoned_with() -> None:
    """A caller would be told of the time that it would take if nobody urgent came."""
    plans = [
        plan_of("ringing not counted", "no evidence", "nobody else", "no rate", s) for s in SEEDS
    ]
    waits = [wait for plan in plans for wait in waits_of(plan, WAITS, urgent=0.1)]
    before_p50, before_p90 = shares(waits)
    assert BEFORE_P50[0] <= before_p50 <= BEFORE_P50[1]
    assert BEFORE_P90[0] <= before_p90 <= BEFORE_P90[1]


def test_a_wait_for_the_trunk_alone_is_foreseen_to_the_moment() -> None:
    """A caller would be told of chance where there is a clock."""
    plan = plan_of("ringing counted, and known", "webhooks", "nobody else", "0.3 a second", 1)
    waits = waits_of(plan, WAITS)
    assert sum(map(_is_right, waits)) >= 0.9 * WAITS


def _is_right(wait: Wait) -> bool:
    return wait.exact or abs(wait.waited - wait.told.p50) <= 0.2 * wait.waited

"""The promise, kept in hundreds of small worlds that differ in everything."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from callguard.simulator import CPS_REFUSALS, CpsRefusal, Exponential, Uniform
from tests.campaigns.one_gate import plans, report
from tests.campaigns.plan import Plan, Settings

BLOCKS = (0, 1, *(pytest.param(block, marks=pytest.mark.slow) for block in range(2, 10)))
SEEDS_PER_BLOCK = 20


def world(seed: int) -> Plan:
    """A small world: everything that the promise leaves open is drawn from the seed."""
    draw = random.Random(seed)
    counted = draw.random() < 0.5
    lag = draw.uniform(0.0, 2.0)
    limit = draw.randint(1, 12)
    return Plan(
        Settings(
            limit=limit,
            cps=None,
            burst_limit=draw.choice([0, 3 * limit]),
            reserved_inbound=draw.randint(0, max(0, limit - 2)),
            talk_time=Exponential(draw.choice([1.0, 10.0, 60.0])),
            ring_time=Exponential(draw.choice([1.0, 10.0]), at_most=30.0),
            unanswered_ring=draw.choice([None, Uniform(0.0, 30.0)]),
            answer_rate=draw.random(),
            counts_ringing=counted,
            rise_lag=draw.uniform(0.0, lag),
            fall_lag=draw.uniform(0.0, 4.0),
            seed=seed,
        ),
        leads=10,
        counts_ringing=draw.choice([None, True]) if counted else draw.choice([None, False]),
        counter_lag=lag,
        faults_rate=draw.choice([0.0, 0.1, 0.5]),
        reading_seconds=draw.uniform(0.0, 2.0),
        dial_seconds=draw.uniform(0.0, 3.0),
    )


@pytest.mark.parametrize("block", BLOCKS)
def test_the_count_never_passes_the_ceiling_and_every_caller_gets_in(block: int) -> None:
    """A world was found in which the gate overshoots, loses a caller, or leaks a slot."""
    for seed in range(block * SEEDS_PER_BLOCK, (block + 1) * SEEDS_PER_BLOCK):
        came_of_it = report(world(seed))
        assert came_of_it.excess <= 0, f"seed {seed}"
        assert came_of_it.refusals == 0, f"seed {seed}"
        assert came_of_it.dialled_once, f"seed {seed}"
        assert came_of_it.left_over == 0, f"seed {seed}"


@pytest.mark.parametrize("refusal", CPS_REFUSALS)
def test_a_rate_that_the_gate_does_not_know_loses_no_lead(refusal: CpsRefusal) -> None:
    """A call that is refused for its rate would be taken for a placed one, or block the gate."""
    known = "ringing counted, and known"
    (plan,) = plans(known, [1], 30, "drawn", cps=1.0, cps_refusal=refusal)
    came_of_it = report(plan)
    assert came_of_it.dialled_once
    assert came_of_it.left_over == 0
    assert came_of_it.too_fast == came_of_it.refusals > 0
    assert came_of_it.most_dials > 1


def test_dials_differ_by_no_more_than_they_are_set_to() -> None:
    """A gate would be shown to keep a rate on another network than was asked for."""
    plan = Plan(Settings(), dial_seconds=0.2, dial_jitter=0.05)
    draw = random.Random(1)
    times = [plan.dial_time(draw) for _ in range(1000)]
    assert 0.15 <= min(times) < 0.16
    assert 0.24 < max(times) <= 0.25
    assert Plan(Settings(), dial_seconds=0.2).dial_time(draw) == 0.2


def test_the_same_seed_replays_the_same_world() -> None:
    """A failing seed could not be looked at again."""
    for seed in range(10):
        assert repr(report(world(seed))) == repr(report(world(seed)))


def test_readings_that_hang_cost_little_of_the_limit() -> None:
    """A gate would stand still for seconds whenever a connection is dead."""
    (plan,) = plans("ringing counted, and known", [7], leads=400, unanswered="ring out")
    hanging = report(replace(plan, hanging=0.1))
    assert hanging.share >= 0.9 * report(plan).share
    assert hanging.excess <= 0
    assert hanging.refusals == 0


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("ringing counted, and known", 0.955),
        ("ringing counted, not known", 0.69),
        ("ringing not counted", 0.74),
    ],
)
def test_the_limit_is_used_as_far_as_what_is_known_allows(name: str, least: float) -> None:
    """The gate would be safe by wasting what the workspace pays for."""
    (plan,) = plans(name, [7], leads=700, unanswered="ring out")
    came_of_it = report(plan)
    assert came_of_it.share >= least
    assert came_of_it.excess <= 0

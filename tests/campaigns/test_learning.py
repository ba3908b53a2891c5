"""The campaign of learning, in small."""

from __future__ import annotations

import pytest

from tests.campaigns.learning import World, any_world, learnt_at, live


@pytest.mark.parametrize(("limit", "asks"), [(20, False), (20, True), (100, False)])
def test_ringing_that_is_counted_is_learnt_within_minutes(limit: int, asks: bool) -> None:
    """Most campaigns would be over before the limit is used."""
    times = [learnt_at(limit, asks, seed) for seed in range(3)]
    assert all(at is not None and at < 1200.0 for at in times)


def test_in_worlds_that_do_not_count_ringing_nothing_is_learnt() -> None:
    """The limit would be exceeded wherever that happens."""
    lived = [live(any_world(seed), 900.0) for seed in range(12)]
    assert max(each.highest for each in lived) < 10


@pytest.mark.parametrize("limit", [5, 20])
def test_where_no_answer_is_told_nothing_is_learnt(limit: int) -> None:
    """Webhooks of ends alone would teach what isn't so."""
    world = World(limit, counts_ringing=False, seed=1, answered=1.0, answers_told=False)
    assert live(world, 1200.0).learnt_at is None


def test_callers_who_call_back_teach_nothing() -> None:
    """The default account would have less room than the other one."""
    for seed in range(3):
        world = World(100, counts_ringing=False, seed=seed, answered=0.1, call_back=0.5)
        assert live(world, 600.0).highest < 10

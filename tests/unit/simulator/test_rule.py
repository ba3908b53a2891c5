"""What outbound calls are refused by, in either form of the provider's rule."""

from __future__ import annotations

from typing import Any

import pytest

from callguard.simulator import Call, CallRefused, Constant, OutboundRule, Workspace
from tests.unit.simulator.support import HandClock, reported, workspace


def fitting(of: Workspace) -> int:
    """Dial until a call is refused; how many weren't."""
    placed = 0
    try:
        while True:
            of.dial()
            placed += 1
    except CallRefused:
        return placed


def with_inbound(calls: int, **knobs: Any) -> tuple[HandClock, Workspace]:
    """A workspace in which so many calls have come in, and go on; none comes after them."""
    clock = HandClock()
    of = workspace(
        clock,
        **{"limit": 10, "inbound_rate": 1.0, "inbound_talk_time": Constant(1e6), **knobs},
    )
    while of.count < calls:
        clock.now += 0.01
    assert of.truth().inbound_started == calls
    return clock, of


@pytest.mark.parametrize(
    ("apart", "inbound", "fit"),
    [
        # The documented form: the full limit is what they share.
        (True, 0, 7),
        (True, 3, 7),
        (True, 4, 6),
        (True, 9, 1),
        (True, 10, 0),
        # The other form: the reserve is kept whoever calls.
        (False, 0, 7),
        (False, 3, 4),
        (False, 7, 0),
        (False, 10, 0),
    ],
)
def test_what_inbound_calls_leave(apart: bool, inbound: int, fit: int) -> None:
    """An inbound call would cost outbound ones more or less than the provider says."""
    _, of = with_inbound(inbound, reserved_inbound=3, inbound_apart=apart)
    assert fitting(of) == fit
    truth = of.truth()
    assert (truth.count, truth.outbound_count) == (inbound + fit, fit)
    assert truth.worst_excess == (0 if fit else None)


@pytest.mark.parametrize(
    ("counts", "excess"),
    [((20, 18), 0), ((20, 20), 2), ((22, 18), 2), ((5, 5), -13), ((19, 1), -1)],
)
def test_the_excess_is_over_whichever_bound_is_nearer(counts: tuple[int, int], excess: int) -> None:
    """A dialer could break one of the two bounds unseen."""
    assert OutboundRule(full_limit=20, ceiling=18, inbound_apart=True).excess(*counts) == excess


def test_the_excess_of_all_calls_where_they_are_bounded_together() -> None:
    """A dialer would be forgiven the calls of others that it has to reckon with."""
    rule = OutboundRule(full_limit=20, ceiling=18, inbound_apart=False)
    assert [rule.excess(19, outbound) for outbound in (0, 10, 19)] == [1, 1, 1]


def test_a_provider_that_refuses_by_its_late_counter() -> None:
    """A dialer that is quicker than the counter falls would not be refused, as it may be."""
    clock = HandClock()
    of = workspace(clock, limit=2, refuses_by_reported=True, rise_lag=0.5, fall_lag=3.0)
    first, _ = of.dial(), of.dial()
    clock.now = 1.0
    assert of.stop(first.call_id)
    assert (of.count, reported(of), fitting(of)) == (1, 2, 0)
    clock.now = 3.999
    assert fitting(of) == 0
    clock.now = 4.0
    of.dial()
    assert of.truth().refusals == 2


def test_a_late_counter_lets_calls_pass_that_it_does_not_show_yet() -> None:
    """Too many calls at once would be taken for what the provider would have refused anyway."""
    clock = HandClock()
    of = workspace(clock, limit=2, refuses_by_reported=True, rise_lag=0.5)
    for _ in range(5):
        of.dial()
    assert of.truth().worst_excess == 3
    clock.now = 0.5
    assert fitting(of) == 0


def test_a_late_counter_tells_outbound_calls_from_inbound_ones() -> None:
    """The documented rule could not be enforced late."""
    apart = {"inbound_apart": True, "reserved_inbound": 8}
    _, of = with_inbound(3, refuses_by_reported=True, **apart)
    assert fitting(of) == 2


def test_inbound_calls_are_calls() -> None:
    """Those who ask about calls could not tell the workspace's own from others'."""
    _, of = with_inbound(2)
    heard: list[Call] = []
    of.watch(heard.append)
    mine = of.dial()
    first, second = of.calls("inbound")
    assert (first.direction, first.status, mine.direction) == ("inbound", "ongoing", "outbound")
    assert first.placed_at == first.answered_at
    assert first.placed_at < second.placed_at
    assert of.call(first.call_id) == first
    assert of.calls() == [mine]
    assert of.calls(None) == [first, second, mine]

    assert of.stop(first.call_id)
    over = of.call(first.call_id)
    assert over is not None
    assert (over.status, over.disconnection_reason) == ("ended", "manual_stopped")
    truth = of.truth()
    assert (truth.inbound_ended, truth.ended, truth.count, truth.outbound_count) == (1, 0, 2, 1)
    assert [call.call_id for call in heard] == [mine.call_id]

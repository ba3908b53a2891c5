from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.limits import Limits
from callguard.simulator import (
    KEPT_CALLS,
    Call,
    CallRefused,
    Constant,
    Exponential,
    Truth,
    Workspace,
    WorkspaceSettings,
)
from tests.unit.simulator.support import HandClock, reported, workspace


def dial_if_it_fits(of: Workspace) -> Call | None:
    try:
        return of.dial()
    except CallRefused:
        return None


def busy_hour(**knobs: Any) -> tuple[list[Call], Truth, Workspace]:
    """An hour of a dial each second, and every call as it ended; no rate."""
    clock = HandClock()
    settings = WorkspaceSettings(cps=None, talk_time=Exponential(20.0), **{"limit": 10, **knobs})
    model = Workspace(settings, clock)
    placed = []
    for second in range(3600):
        clock.now = float(second)
        call = dial_if_it_fits(model)
        if call is not None:
            placed.append(call.call_id)
    truth = model.truth()
    clock.now += 36_000.0
    calls = [call for call in map(model.call, placed) if call is not None]
    assert len(calls) == len(placed)
    return calls, truth, model


def fates(calls: list[Call]) -> list[tuple[float | None, float | None]]:
    """What was drawn for each call: how long until its answer, and how long it lasted then."""
    return [
        (
            None if call.answered_at is None else round(call.answered_at - call.placed_at, 6),
            None
            if call.answered_at is None or call.ended_at is None
            else round(call.ended_at - call.answered_at, 6),
        )
        for call in calls
    ]


def test_life_of_an_answered_call() -> None:
    """A dialer would learn of an answer or an end at the wrong time, or not at all."""
    clock = HandClock(100.0)
    model = workspace(clock)
    call = model.dial(from_number="+1", to_number="+2", agent_id="a", metadata={"row": 7})
    assert (call.status, call.from_number, call.to_number) == ("registered", "+1", "+2")
    assert (call.agent_id, call.metadata, call.placed_at) == ("a", {"row": 7}, 100.0)
    assert call.call_id.startswith("call_")

    seen = {}
    for clock.now in (104.9, 105.0, 114.9, 115.0):
        now = model.call(call.call_id)
        assert now is not None
        seen[clock.now] = (now.status, now.answered_at, now.ended_at, now.disconnection_reason)
    assert seen == {
        104.9: ("registered", None, None, None),
        105.0: ("ongoing", 105.0, None, None),
        114.9: ("ongoing", 105.0, None, None),
        115.0: ("ended", 105.0, 115.0, "user_hangup"),
    }


@pytest.mark.parametrize(
    ("knobs", "rings"),
    [
        ({}, 30.0),
        ({"ring_limit": 12.0}, 12.0),
        ({"unanswered_ring": Constant(3.0)}, 3.0),
        ({"unanswered_ring": Constant(99.0)}, 30.0),
    ],
)
def test_unanswered_call_rings_out(knobs: dict[str, Any], rings: float) -> None:
    """A call that nobody answers would hold its slot for a wrong time."""
    clock = HandClock()
    model = workspace(clock, answer_rate=0.0, **knobs)
    call_id = model.dial().call_id
    clock.now = rings - 0.01
    assert model.count == 1
    clock.now = rings
    assert model.count == 0
    call = model.call(call_id)
    assert call is not None
    assert (call.status, call.disconnection_reason) == ("not_connected", "dial_no_answer")
    assert (call.answered_at, call.ended_at) == (None, rings)


def test_ring_time_is_cut_to_the_ring_limit() -> None:
    """A call would be answered after the agent gave up."""
    clock = HandClock()
    model = workspace(clock, ring_time=Constant(45.0))
    call_id = model.dial().call_id
    clock.now = 30.0
    call = model.call(call_id)
    assert call is not None
    assert call.answered_at == 30.0


def test_stop() -> None:
    """A stopped call would go on, come back to life by its answer, or be stopped twice."""
    clock = HandClock()
    model = workspace(clock)
    ringing, talking = model.dial().call_id, ""
    clock.now = 1.0
    assert model.stop(ringing)
    talking = model.dial().call_id
    clock.now = 8.0
    assert model.stop(talking)
    assert not model.stop(talking)
    assert not model.stop("call_unknown")
    clock.now = 100.0
    calls = [model.call(ringing), model.call(talking)]
    assert [(c.status, c.ended_at, c.disconnection_reason) for c in calls if c] == [
        ("not_connected", 1.0, "manual_stopped"),
        ("ended", 8.0, "manual_stopped"),
    ]
    truth = model.truth()
    assert (truth.placed, truth.answered, truth.ended, truth.count) == (2, 1, 2, 0)


@pytest.mark.parametrize(
    ("limits", "fit"),
    [
        ({"limit": 3}, 3),
        ({"limit": 0}, 0),
        ({"limit": 3, "reserved_inbound": 1}, 2),
        ({"limit": 3, "reserved_inbound": 5}, 0),
        ({"limit": 3, "burst_limit": 5}, 5),
        ({"limit": 3, "burst_limit": 5, "reserved_inbound": 1}, 4),
        # A burst limit below the limit doesn't lower it.
        ({"limit": 3, "burst_limit": 2}, 3),
    ],
)
def test_outbound_ceiling(limits: dict[str, int], fit: int) -> None:
    """The simulated provider would admit more or fewer calls than the real one."""
    model = workspace(HandClock(), **limits)
    placed = [dial_if_it_fits(model) for _ in range(fit + 2)]
    assert [call is not None for call in placed] == [True] * fit + [False] * 2
    truth = model.truth()
    assert (truth.placed, truth.refusals, truth.peak) == (fit, 2, fit)
    assert truth.worst_excess == (0 if fit else None)


def test_refusal() -> None:
    """A dialer could not tell a refusal from other faults, as it does by the status."""
    model = workspace(HandClock(), limit=0)
    with pytest.raises(CallRefused, match="0 calls are going on") as refusal:
        model.dial()
    assert refusal.value.status_code == 429


def test_worst_excess_is_measured_when_calls_are_placed() -> None:
    """How close a dialer came to the ceiling would be judged by other moments than its dials."""
    clock = HandClock()
    model = workspace(clock, limit=5)
    assert model.truth().worst_excess is None
    model.dial()
    assert model.truth().worst_excess == -4
    model.dial()
    model.set_limits(limit=1)
    assert model.truth().worst_excess == -3
    clock.now = 100.0
    model.set_limits(limit=5)
    model.dial()
    assert model.truth().worst_excess == -3


def test_ringing_that_does_not_count() -> None:
    """Where ringing calls don't count they would take slots, or be enforced before the answer."""
    clock = HandClock()
    model = workspace(clock, limit=2, counts_ringing=False)
    for _ in range(4):
        model.dial()
    assert (model.count, reported(model)) == (0, 0)
    assert model.truth().live == 4
    clock.now = 5.0
    assert (model.count, reported(model)) == (4, 4)
    assert dial_if_it_fits(model) is None
    assert (model.truth().worst_excess, model.truth().peak) == (2, 4)


def test_ringing_that_never_counted() -> None:
    """An unanswered call would be taken off a counter that never had it."""
    clock = HandClock()
    model = workspace(clock, counts_ringing=False, answer_rate=0.0)
    model.dial()
    clock.now = 100.0
    truth = model.truth()
    assert (truth.count, reported(model), truth.live, truth.ended) == (0, 0, 0, 1)
    assert (truth.call_seconds, truth.live_seconds) == (0.0, 30.0)


def test_the_counter_is_as_late_as_it_is_set_to_be() -> None:
    """The reported number would be earlier or later than the lags say."""
    clock = HandClock()
    model = workspace(clock, rise_lag=2.0, fall_lag=4.0)
    model.dial()
    seen = []
    for clock.now in (0.0, 1.99, 2.0, 14.99, 15.0, 18.99, 19.0):
        seen.append((model.count, reported(model)))
    assert seen == [(1, 0), (1, 0), (1, 1), (1, 1), (0, 1), (0, 1), (0, 0)]


def test_counter_never_shows_a_call_that_is_hidden_before_its_rise() -> None:
    """A call shorter than the rise lag would leave the reported number wrong for good."""
    clock = HandClock()
    model = workspace(clock, rise_lag=20.0, fall_lag=1.0)
    model.dial()
    for clock.now in (0.0, 15.0, 16.0, 20.0, 21.0, 100.0):
        assert reported(model) == 0


@given(
    rise_lag=st.integers(0, 8),
    fall_lag=st.integers(0, 8),
    counts_ringing=st.booleans(),
    answer_rate=st.sampled_from([0.0, 0.5, 1.0]),
    steps=st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 20)), max_size=30),
)
def test_counter_agrees_with_its_definition(
    rise_lag: int,
    fall_lag: int,
    counts_ringing: bool,
    answer_rate: float,
    steps: list[tuple[int, bool, int]],
) -> None:
    """The events would add up to another number than a look at every call gives."""
    clock = HandClock()
    model = workspace(
        clock,
        limit=6,
        answer_rate=answer_rate,
        counts_ringing=counts_ringing,
        ring_time=Constant(3.0),
        talk_time=Constant(4.0),
        ring_limit=5.0,
        rise_lag=float(rise_lag),
        fall_lag=float(fall_lag),
    )
    placed: list[str] = []

    def on(call: Call, rise: int, fall: int) -> bool:
        since = call.placed_at if counts_ringing else call.answered_at
        if since is None:
            return False
        ended = call.ended_at
        return since + rise <= clock.now and (ended is None or ended + fall > clock.now)

    for wait, stops, choice in steps:
        clock.now += wait
        if stops and placed:
            model.stop(placed[choice % len(placed)])
        elif call := dial_if_it_fits(model):
            placed.append(call.call_id)
        calls = [call for call in map(model.call, placed) if call is not None]
        assert model.count == sum(on(call, 0, 0) for call in calls)
        assert reported(model) == sum(on(call, rise_lag, fall_lag) for call in calls)


def test_published_fields() -> None:
    """The limits that a client parses would not be those of the workspace."""
    model = workspace(HandClock(), limit=50, burst_limit=150, reserved_inbound=3)
    model.dial()
    assert Limits.parse(model.concurrency()) == Limits(
        current_concurrency=1,
        concurrency_limit=50,
        reserved_inbound_concurrency=3,
        concurrency_burst_enabled=True,
        concurrency_burst_limit=150,
        base_concurrency=20,
        purchased_concurrency=30,
        concurrency_purchase_limit=100,
        remaining_purchase_limit=70,
    )
    limits = Limits.parse(workspace(HandClock(), limit=5).concurrency())
    assert not limits.concurrency_burst_enabled
    assert limits.concurrency_burst_limit == 0
    assert (limits.base_concurrency, limits.purchased_concurrency) == (5, 0)


def test_readings_are_counted() -> None:
    """One could not tell how often a gate asks."""
    model = workspace(HandClock())
    model.concurrency()
    model.concurrency()
    assert model.truth().readings == 2


def test_limits_lowered_below_the_count() -> None:
    """A lowered limit would end calls, or let more in before enough have ended."""
    clock = HandClock()
    model = workspace(clock, limit=3)
    for clock.now in (0.0, 1.0, 2.0):
        model.dial()
    model.set_limits(limit=2)
    assert (model.count, model.settings.limit) == (3, 2)
    assert dial_if_it_fits(model) is None
    clock.now = 15.0
    assert dial_if_it_fits(model) is None
    clock.now = 16.0
    assert dial_if_it_fits(model) is not None
    assert model.truth().seconds_over_limit == 13.0


def test_each_limit_is_set_alone() -> None:
    """Changing one limit would reset another, and a wrong one would change any."""
    model = workspace(HandClock(), limit=10, burst_limit=30, reserved_inbound=1)
    model.set_limits(burst_limit=0)
    model.set_limits(reserved_inbound=2)
    settings = model.settings
    assert (settings.limit, settings.burst_limit, settings.reserved_inbound) == (10, 0, 2)
    with pytest.raises(ValueError, match="limit"):
        model.set_limits(limit=-1, reserved_inbound=5)
    assert model.settings == settings


def test_integrals_by_hand() -> None:
    """Utilisation and the cost of burst would be wrong."""
    clock = HandClock()
    model = workspace(clock, limit=1, burst_limit=3)
    model.dial()  # counts from 0 to 15
    clock.now = 4.0
    model.dial()  # counts from 4 to 19, and began above the limit of 1
    clock.now = 10.0
    at_ten = model.truth()
    clock.now = 100.0
    truth = model.truth()
    assert (truth.call_seconds, truth.live_seconds) == (30.0, 30.0)
    assert (truth.seconds_over_limit, truth.surcharge_seconds) == (11.0, 15.0)
    assert (truth.elapsed, truth.peak) == (100.0, 2)
    assert (at_ten.call_seconds, at_ten.surcharge_seconds, at_ten.elapsed) == (16.0, 6.0, 10.0)
    # What is left between the two truths: 5 s of the first call and 9 s of the second.
    assert truth.call_seconds - at_ten.call_seconds == 14.0


def test_integrals_do_not_depend_on_when_one_looks() -> None:
    """Watching the simulation would change it."""

    def integrals(step: float) -> tuple[dict[str, Any], int]:
        clock = HandClock()
        model = workspace(clock, talk_time=Exponential(8.0), inbound_rate=0.25, limit=4, seed=5)
        for tick in range(int(128 / step)):
            clock.now = tick * step
            if clock.now % 8 == 0:
                dial_if_it_fits(model)
        clock.now = 200.0
        truth = asdict(model.truth())
        return {name: pytest.approx(value) for name, value in truth.items()}, truth["placed"]

    assert integrals(0.25) == integrals(8.0)


def test_ringing_in_the_integrals() -> None:
    """Calls that ring without counting would be missed as slots taken."""
    clock = HandClock()
    model = workspace(clock, counts_ringing=False)
    model.dial()
    clock.now = 50.0
    assert (model.truth().call_seconds, model.truth().live_seconds) == (10.0, 15.0)


def test_conservation() -> None:
    """Calls would get lost, or be counted twice, in hours of traffic."""
    clock = HandClock()
    model = Workspace(
        WorkspaceSettings(limit=8, inbound_rate=0.05, talk_time=Exponential(30.0), seed=2), clock
    )
    for attempts in range(1, 6000):
        clock.now = 3.0 * attempts
        dial_if_it_fits(model)
        truth = model.truth()
        assert truth.placed + truth.inbound_started == (
            truth.ended + truth.inbound_ended + truth.live
        )
        assert truth.placed + truth.refusals == attempts
        assert truth.count <= 8
    assert truth.answered / truth.placed == pytest.approx(0.7, abs=0.05)
    arrived = truth.inbound_started + truth.inbound_turned_away
    assert arrived == pytest.approx(0.05 * clock.now, rel=0.1)
    assert truth.refusals > 100
    assert truth.inbound_turned_away > 100


def test_a_call_can_come_in_at_any_moment() -> None:
    """If this fails, a test can't say when somebody calls in, or the call isn't counted."""
    clock = HandClock()
    model = workspace(clock, limit=1)
    call = model.call_in(10.0)
    assert call is not None
    assert (call.direction, model.count, model.calls("inbound")) == ("inbound", 1, [call])
    assert model.call_in(10.0) is None
    assert model.truth().inbound_turned_away == 1
    clock.now += 10.0
    assert model.count == 0


def test_inbound_takes_the_full_limit() -> None:
    """Calls by others would be held back by the reserve that is meant for them."""
    clock = HandClock()
    model = workspace(
        clock,
        limit=4,
        reserved_inbound=2,
        inbound_rate=1.0,
        inbound_talk_time=Constant(1e6),
    )
    clock.now = 60.0
    truth = model.truth()
    assert (truth.count, reported(model), truth.inbound_started) == (4, 4, 4)
    assert truth.inbound_turned_away > 0
    assert (truth.placed, truth.worst_excess) == (0, None)
    assert dial_if_it_fits(model) is None


def test_inbound_may_burst() -> None:
    """Calls by others would not use the burst that the workspace has on."""
    clock = HandClock()
    model = workspace(
        clock, limit=4, burst_limit=6, inbound_rate=1.0, inbound_talk_time=Constant(1e6)
    )
    clock.now = 60.0
    assert model.count == 6
    assert model.truth().surcharge_seconds > 0


def test_inbound_that_ignores_the_limit() -> None:
    """A workspace that others overfill could not be simulated."""
    clock = HandClock()
    model = workspace(
        clock,
        limit=4,
        inbound_rate=1.0,
        inbound_talk_time=Constant(1e6),
        inbound_respects_limit=False,
    )
    clock.now = 60.0
    truth = model.truth()
    assert truth.count == truth.inbound_started > 4
    assert (truth.inbound_turned_away, truth.peak) == (0, truth.count)


def test_inbound_is_in_the_late_counter() -> None:
    """Calls by others would be seen earlier or later than one's own."""
    clock = HandClock()
    model = workspace(
        clock, inbound_rate=0.5, inbound_talk_time=Constant(7.0), rise_lag=3.0, fall_lag=3.0
    )
    counts = []
    for second in range(0, 60, 3):
        clock.now = float(second)
        counts.append((model.count, reported(model)))
    # With equal lags the reported number is the true one of 3 s ago.
    assert [late for _, late in counts[1:]] == [true for true, _ in counts[:-1]]
    assert max(true for true, _ in counts) > 1


def test_same_seed_same_trace() -> None:
    """A run could not be replayed from its seed."""
    first, second, other = busy_hour(seed=1), busy_hour(seed=1), busy_hour(seed=2)
    assert first[:2] == second[:2]
    assert first[0][0].call_id != other[0][0].call_id


@pytest.mark.parametrize(
    "knobs",
    [
        {"limit": 3},
        {"inbound_rate": 0.05},
        {"counts_ringing": False},
        {"unanswered_ring": Exponential(5.0)},
        {"rise_lag": 5.0, "reserved_inbound": 2},
    ],
)
def test_knobs_do_not_shuffle_the_calls(knobs: dict[str, Any]) -> None:
    """Two settings could not be compared on the same calls: luck would differ too."""
    plain, changed = fates(busy_hour()[0]), fates(busy_hour(**knobs)[0])
    common = min(len(plain), len(changed))
    assert common > 100
    assert plain[:common] == changed[:common]


def test_ring_time_and_answer_rate_do_not_shuffle_the_talk() -> None:
    """A change to the ringing would change how long the answered calls last."""
    talks = [talk for _, talk in fates(busy_hour()[0])]
    for knobs in ({"ring_time": Constant(2.0)}, {"answer_rate": 1.0}):
        changed = [talk for _, talk in fates(busy_hour(**knobs)[0])]
        both = [pair for pair in zip(talks, changed, strict=False) if None not in pair]
        assert len(both) > 100
        assert all(before == after for before, after in both)


def test_old_calls_are_forgotten() -> None:
    """Hours of simulation would fill the memory, or calls that go on would be forgotten."""
    clock = HandClock()
    model = workspace(clock, limit=2, talk_time=Constant(1.0), ring_time=Constant(0.0))
    ids = []
    for number in range(KEPT_CALLS + 1):
        clock.now = float(number)
        ids.append(model.dial().call_id)
    clock.now = KEPT_CALLS + 0.5
    assert (model.call(ids[0]) is None, model.call(ids[-1]) is None) == (False, False)
    clock.now = KEPT_CALLS + 1.0
    assert model.call(ids[0]) is None
    assert all(model.call(call_id) for call_id in ids[1:])
    assert model.truth().ended == KEPT_CALLS + 1


def test_clock_that_runs_backwards() -> None:
    """A clock that jumps back would give negative call-seconds."""
    clock = HandClock(10.0)
    model = workspace(clock)
    model.dial()
    clock.now = 13.0
    before = model.truth()
    clock.now = 5.0
    assert model.truth() == before
    clock.now = 14.0
    assert (model.truth().call_seconds, model.elapsed) == (4.0, 4.0)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"limit": -1}, "limit must be a whole number of calls"),
        ({"limit": 2.5}, "limit must be a whole number of calls"),
        ({"limit": True}, "limit must be a whole number of calls"),
        ({"burst_limit": "60"}, "burst_limit must be"),
        ({"reserved_inbound": None}, "reserved_inbound must be"),
        ({"answer_rate": 1.1}, "answer_rate must be a share"),
        ({"answer_rate": -0.1}, "answer_rate must be a share"),
        ({"ring_limit": float("inf")}, "ring_limit must be a finite number of seconds"),
        ({"rise_lag": -1.0}, "rise_lag must be"),
        ({"fall_lag": "1"}, "fall_lag must be"),
        (
            {"inbound_rate": float("nan")},
            "inbound_rate must be a finite number of calls",
        ),
        ({"cps": 0}, "cps must be a finite number of calls per second, above 0, got 0"),
        ({"cps": True}, "cps must be"),
        ({"cps": "1"}, "cps must be"),
        ({"trunks": ["+1"]}, "trunks must be by number a finite number of calls per second"),
        ({"trunks": {"+1": 0.0}}, "trunks must be"),
        ({"trunks": {1: 1.0}}, "trunks must be"),
        ({"cps_rule": None}, "cps_rule must be one of window, spacing"),
        ({"cps_refusal": 429}, "cps_refusal must be one of 429, dead-call"),
        ({"talk_time": 12.0}, "talk_time must be a distribution"),
        ({"unanswered_ring": 12.0}, "unanswered_ring must be a distribution or None"),
        ({"numbers": {"+1": "busy"}}, "numbers must be fates by number"),
        ({"numbers": {"+1": []}}, "numbers must be fates by number, with at least one for each"),
    ],
)
def test_wrong_settings(knobs: dict[str, Any], message: str) -> None:
    """A slip in the settings would simulate something else in silence."""
    with pytest.raises(ValueError, match=message):
        WorkspaceSettings(**knobs)


def test_every_call_can_be_listed() -> None:
    """Somebody who asks which leads were called would have to keep every id."""
    of = workspace(HandClock())
    placed = [of.dial(to_number=f"+1{number}") for number in range(3)]
    assert of.stop(placed[0].call_id)
    assert [call.to_number for call in of.calls()] == ["+10", "+11", "+12"]
    assert [call.ended_at is None for call in of.calls()] == [False, True, True]


def test_whoever_watches_is_told_of_every_outbound_call() -> None:
    """Webhooks would be missing, or of another time than that of the call's change."""
    clock = HandClock()
    of = workspace(clock, inbound_rate=1.0)
    seen: list[tuple[str, str, float | None, float | None]] = []
    of.watch(lambda call: seen.append((call.call_id, call.status, call.answered_at, call.ended_at)))
    first = of.dial().call_id
    clock.now = 1.0
    second = of.dial().call_id
    clock.now = 2.0
    of.stop(second)
    assert seen[1:] == [(second, "registered", None, None), (second, "not_connected", None, 2.0)]
    clock.now = 100.0
    assert of.now == 100.0
    assert [(status, *times) for call_id, status, *times in seen if call_id == first] == [
        ("registered", None, None),
        ("ongoing", 5.0, None),
        ("ended", 5.0, 15.0),
    ]
    assert {call_id for call_id, *_ in seen} == {first, second}


def test_what_happens_next() -> None:
    """Somebody who waits for an event would look too late, or again and again for nothing."""
    clock = HandClock(50.0)
    of = workspace(clock)
    assert of.next_event_at is None
    of.dial()
    moments: list[float] = []
    while (at := of.next_event_at) is not None:
        moments.append(at)
        clock.now = max(clock.now, at)
        assert of.now == clock.now
    # The counter's rise, the answer, and the end with the counter's fall.
    assert moments == [50.0, 55.0, 65.0]

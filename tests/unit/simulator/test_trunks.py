"""How fast calls may start in a simulated workspace."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.simulator import (
    CPS_REFUSALS,
    CPS_RULES,
    KEPT_CALLS,
    Call,
    CallRefused,
    CallTooFast,
    CpsRefusal,
    CpsRule,
    Workspace,
)
from tests.unit.simulator.support import HandClock, workspace

ROOMY = 10_000

LEFT, RIGHT, OTHER = "+11", "+12", "+13"


def dialled(of: Workspace, from_number: str = "+10") -> str:
    """What becomes of a dial: placed, refused for want of room, too fast, or dead."""
    try:
        call = of.dial(from_number=from_number)
    except CallTooFast:
        return "too fast"
    except CallRefused:
        return "no room"
    return "dead" if call.status == "error" else "placed"


@pytest.mark.parametrize(
    ("cps", "rule", "due", "early"),
    [
        # One a second is the same by either rule; what comes just a second later isn't early.
        (1.0, "window", [0.0, 1.0, 2.5, 3.5], [0.0, 0.999, 1.0, 1.5, 3.0, 3.499]),
        (1.0, "spacing", [0.0, 1.0, 2.5, 3.5], [0.0, 0.999, 1.0, 1.5, 3.0, 3.499]),
        # A second may begin anywhere, also between two starts of the one before.
        (3.0, "window", [0.0, 0.9, 0.9, 1.0, 1.9, 1.9, 2.0], [0.95, 0.99, 1.0, 1.89, 1.95]),
        (2.0, "spacing", [0.0, 0.5, 1.5, 2.0], [0.0, 0.4, 0.9, 1.9]),
        # A fraction of a call can't start.
        (2.9, "window", [0.0, 0.0, 1.0, 1.0], [0.0, 0.5, 1.0]),
        (2.5, "spacing", [0.0, 0.4, 0.8], [0.39, 0.79]),
        # Below one a second both are a spacing.
        (0.5, "window", [0.0, 2.0, 5.0], [1.0, 1.999, 6.0, 6.999]),
        (0.5, "spacing", [0.0, 2.0, 5.0], [1.0, 1.999, 6.0, 6.999]),
        (None, "window", [0.0] * 100, []),
        (None, "spacing", [0.0] * 100, []),
        (1e300, "window", [0.0] * 100, []),
    ],
)
def test_what_is_due_and_what_is_early(
    cps: float | None, rule: CpsRule, due: list[float], early: list[float]
) -> None:
    """The simulated provider would refuse what the real one takes, or take what it refuses."""
    clock = HandClock()
    of = workspace(clock, limit=ROOMY, cps=cps, cps_rule=rule)
    arrivals = sorted([(at, 0, "placed") for at in due] + [(at, 1, "too fast") for at in early])
    for clock.now, _, expected in arrivals:
        assert (clock.now, dialled(of)) == (clock.now, expected)
    truth = of.truth()
    assert (truth.placed, truth.refusals, truth.rate_refusals) == (len(due), len(early), len(early))


def test_seconds_that_were_added_up_are_not_too_early() -> None:
    """A dialer that keeps the rate to the letter would be refused for how numbers are rounded."""
    clock = HandClock()
    of = workspace(clock, limit=ROOMY, cps=5.0, cps_rule="spacing")
    assert 1.0 - 0.8 < 1 / 5.0
    for _ in range(1000):
        assert dialled(of) == "placed"
        clock.now += 0.2


@given(
    cps=st.sampled_from(["0.25", "0.4", "0.5", "1", "1.5", "2", "2.9", "3", "5", "16"]),
    rule=st.sampled_from(CPS_RULES),
    refusal=st.sampled_from(CPS_REFUSALS),
    gaps=st.lists(st.one_of(st.just(0), st.integers(0, 40), st.integers(0, 200)), max_size=60),
)
def test_just_what_breaks_the_rule_is_refused(
    cps: str, rule: CpsRule, refusal: CpsRefusal, gaps: list[int]
) -> None:
    """A dialer would be refused at a rate that is allowed, or get away with a higher one."""
    rate = Fraction(cps)
    room, seconds = (1, 1 / rate) if rule == "spacing" or rate < 1 else (int(rate), Fraction(1))
    clock = HandClock()
    of = workspace(clock, limit=ROOMY, cps=float(cps), cps_rule=rule, cps_refusal=refusal)
    arrivals: list[Fraction] = []
    starts: list[Fraction] = []
    for gap in gaps:
        now = (arrivals[-1] if arrivals else Fraction(0)) + Fraction(gap, 32)
        clock.now = float(now)
        arrivals.append(now)
        became = dialled(of)
        fits = sum(now - start < seconds for start in starts) < room
        assert became == ("placed" if fits else "too fast" if refusal == "429" else "dead")
        if became == "placed":
            starts.append(now)
    for begin in starts:
        assert sum(begin <= start < begin + seconds for start in starts) <= room
    truth = of.truth()
    assert (truth.placed, truth.refusals) == (len(starts), len(arrivals) - len(starts))
    assert truth.most_dials_in_a_second == max(
        (sum(begin <= arrival < begin + 1 for arrival in arrivals) for begin in arrivals), default=0
    )


def test_each_trunk_has_a_rate_of_its_own() -> None:
    """Two trunks would share a rate, or a number would have none because it isn't named."""
    of = workspace(HandClock(), limit=ROOMY, cps=1.0, trunks={LEFT: 3.0, RIGHT: None})
    became = [
        [dialled(of, from_number=number) for _ in range(5)] for number in (LEFT, RIGHT, OTHER)
    ]
    assert became == [
        ["placed"] * 3 + ["too fast"] * 2,
        ["placed"] * 5,
        ["placed"] + ["too fast"] * 4,
    ]
    assert dialled(of) == "too fast", "the numbers that aren't named share one rate"
    most = [of.most_dials_in_a_second(number) for number in (LEFT, RIGHT, OTHER, "+14")]
    assert most == [5, 5, 6, 6]
    assert of.truth().most_dials_in_a_second == 6


@pytest.mark.parametrize("refusal", CPS_REFUSALS)
def test_what_was_refused_is_no_start(refusal: CpsRefusal) -> None:
    """A dialer that dials on in haste would never get through."""
    clock = HandClock()
    of = workspace(clock, cps=1.0, cps_refusal=refusal)
    became = []
    for clock.now in (0.0, 0.5, 0.9, 1.0, 1.9, 2.0):
        became.append(dialled(of) == "placed")
    assert became == [True, False, False, True, False, True]


def test_a_call_without_room_is_not_refused_for_its_rate() -> None:
    """The two causes would be mixed up, or a full workspace would use up its rate."""
    clock = HandClock()
    of = workspace(clock, limit=1, cps=1.0)
    assert [dialled(of), dialled(of)] == ["placed", "no room"]
    clock.now = 14.5
    assert dialled(of) == "no room"
    clock.now = 15.0
    assert [dialled(of), dialled(of)] == ["placed", "no room"]
    of.set_limits(limit=2)
    assert dialled(of) == "too fast"
    truth = of.truth()
    assert (truth.placed, truth.refusals, truth.rate_refusals) == (2, 4, 1)


def test_a_refusal_for_the_rate_can_be_told() -> None:
    """Who handles refusals alike would miss it, or who looks closer could not tell the cause."""
    of = workspace(HandClock(), cps=2.5, trunks={LEFT: 1.0})
    of.dial(from_number=LEFT)
    with pytest.raises(CallTooFast, match=r"faster than 1\.0 per second") as refusal:
        of.dial(from_number=LEFT)
    assert isinstance(refusal.value, CallRefused)
    assert refusal.value.status_code == 429


def test_a_dead_call_is_a_call_of_which_nothing_comes() -> None:
    """It would count, be answered, come back to life, or be taken for one that was placed."""
    clock = HandClock(7.0)
    of = workspace(clock, cps=1.0, cps_refusal="dead-call")
    seen: list[Call] = []
    of.watch(seen.append)
    alive, dead = of.dial(), of.dial(to_number="+2", metadata={"row": 7})
    assert (dead.status, dead.disconnection_reason) == ("error", "concurrency_limit_reached")
    assert (dead.placed_at, dead.answered_at, dead.ended_at) == (7.0, None, 7.0)
    assert (dead.to_number, dead.metadata) == ("+2", {"row": 7})
    assert dead.call_id != alive.call_id
    assert seen == [alive, dead]
    assert not of.stop(dead.call_id)
    assert (of.count, of.truth().live) == (1, 1)
    clock.now = 100.0
    truth = of.truth()
    assert (truth.placed, truth.answered, truth.ended, truth.refusals) == (1, 1, 1, 1)
    assert of.call(dead.call_id) == dead
    assert dead in of.calls()


def test_dead_calls_are_forgotten_too() -> None:
    """A dialer that is refused for hours would fill the memory."""
    of = workspace(HandClock(), cps=1.0, cps_refusal="dead-call")
    dead = [of.dial() for _ in range(KEPT_CALLS + 2)][1:]
    assert of.call(dead[0].call_id) is None
    assert of.call(dead[1].call_id) == dead[1]


@pytest.mark.parametrize("refusal", CPS_REFUSALS)
def test_what_is_refused_does_not_shuffle_the_calls(refusal: CpsRefusal) -> None:
    """Two dialers could not be compared on the same calls: one that is refused had other luck."""

    def answers(**knobs: Any) -> list[float]:
        clock = HandClock()
        of = workspace(clock, limit=ROOMY, answer_rate=0.5, **knobs)
        for second in range(200):
            clock.now = float(second)
            for _ in range(2):
                dialled(of)
        clock.now += 60.0
        return [
            call.ended_at - call.placed_at
            for call in of.calls()
            if call.status != "error" and call.ended_at is not None
        ]

    slow = answers(cps=1.0, cps_refusal=refusal)
    assert len(slow) == 200
    assert slow == pytest.approx(answers()[:200])

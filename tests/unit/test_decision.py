"""The rule of admission, by table and in full for small numbers."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import pytest

from callguard import Lane, Limits, Outage, Snapshot, Usage
from callguard.decision import Ceilings, decide
from callguard.ledger import MemoryLedger
from tests.support.times import times

MAX_AGE = 15.0


def limits(
    limit: int = 20, *, current: int = 0, reserved: int = 0, burst: int = 0, enabled: bool = True
) -> Limits:
    return Limits(
        current_concurrency=current,
        concurrency_limit=limit,
        reserved_inbound_concurrency=reserved,
        concurrency_burst_enabled=enabled and burst > 0,
        concurrency_burst_limit=burst,
    )


@pytest.mark.parametrize(
    ("allowed", "lane", "normal", "burst", "included"),
    [
        (limits(20), Lane("a"), 20, None, 20),
        (limits(20, reserved=3), Lane("a", reserve=2), 15, None, 17),
        (limits(20, burst=60), Lane("a"), 20, None, 20),
        (limits(20, burst=60), Lane("a", burst=5), 20, 25, 20),
        (limits(20, burst=60), Lane("a", burst="all"), 20, 60, 20),
        (limits(20, burst=60), Lane("a", burst=500), 20, 60, 20),
        (limits(20, burst=60, reserved=3), Lane("a", burst=5, reserve=2), 15, 20, 17),
        (limits(20, burst=60, enabled=False), Lane("a", burst="all"), 20, None, 20),
        (limits(100, burst=60), Lane("a", burst="all"), 100, None, 100),
        (limits(20, burst=20), Lane("a", burst="all"), 20, None, 20),
        (limits(0), Lane("a"), 0, None, 0),
        (limits(2, reserved=1), Lane("a", reserve=4), -3, None, 1),
    ],
)
def test_ceilings(
    allowed: Limits, lane: Lane, normal: int, burst: int | None, included: int
) -> None:
    """A lane would go higher than it may, or not as high, or tell the wrong price."""
    assert Ceilings.of(allowed, lane) == Ceilings(normal, burst, included)


@pytest.mark.parametrize("inbound", range(7))
@pytest.mark.parametrize("reserve", [0, 1, 4])
@pytest.mark.parametrize("burst", [0, 5])
def test_the_ceiling_where_inbound_calls_are_counted_apart(
    inbound: int, reserve: int, burst: int
) -> None:
    """The one ceiling would not be what the two conditions say that it stands for."""
    allowed, cap = limits(20, burst=60, reserved=3), 20 + burst
    ceilings = Ceilings.of(allowed, Lane("a", reserve=reserve, burst=burst), inbound)
    highest = ceilings.highest
    for own in range(30):
        usage = own + inbound
        costs_nothing = usage + 1 <= 20 and min(own, usage) + 1 <= 20 - 3
        assert (ceilings.tier(usage + 1) == "normal") is costs_nothing
        fits = usage + 1 <= cap - reserve and min(own, usage) + 1 <= cap - 3
        assert (usage + 1 <= highest) is fits


@pytest.mark.parametrize(
    ("used", "tier"), [(0, "normal"), (16, "normal"), (17, "normal"), (19, "normal"), (20, "burst")]
)
def test_what_a_lane_leaves_free_costs_nothing(used: int, tier: str) -> None:
    """A call below the limit would be told as one that costs burst's surcharge."""
    allowed = limits(20, current=used, burst=60)
    lane = Lane("a", reserve=4, burst=5)
    snapshot = Snapshot(allowed, 0.0, 0.0)
    decision = decide(lane, Usage(used, 0, 0), snapshot, now=0.0, max_age=MAX_AGE)
    assert decision.tier == tier


def test_every_small_case_follows_the_law() -> None:
    """The rule would differ from the law somewhere: usage + 1 <= ceiling, burst only if allowed."""
    small = range(4)
    bursts: tuple[int | Literal["all"], ...] = (0, 1, 2, "all")
    cases = itertools.product(small, small, small, bursts, small, small, range(2), range(2))
    for limit, burst_limit, reported, burst, reserved, reserve, dialling, uncounted in cases:
        lane = Lane("a", burst=burst, reserve=reserve)
        allowed = limits(limit, current=reported, reserved=reserved, burst=burst_limit)
        usage = Usage(reported, dialling, uncounted)
        decision = decide(lane, usage, Snapshot(allowed, 0.0, 0.0), now=1.0, max_age=MAX_AGE)

        normal = limit - reserved - reserve
        highest = normal
        if burst and burst_limit > limit:
            above = burst_limit - limit if burst == "all" else min(burst, burst_limit - limit)
            highest = normal + above
        after = reported + dialling + uncounted + 1
        assert decision.admitted == (after <= highest)
        assert decision.headroom == highest - after + 1
        if decision.admitted:
            assert decision.tier == ("normal" if after <= limit - reserved else "burst")
        else:
            assert decision.tier is None
        assert (decision.constraint is None) == decision.admitted


def test_the_ledger_commits_exactly_what_the_rule_admits() -> None:
    """The fast path and the explanation would disagree."""
    for limit, reported, age, already in itertools.product(
        range(4), range(4), (0.0, MAX_AGE, MAX_AGE + 0.001), range(3)
    ):
        ledger = MemoryLedger(times(max_age=MAX_AGE))
        snapshot = Snapshot(limits(limit, current=reported), 0.0, 0.1)
        ledger.record(snapshot)
        ceiling = Ceilings.of(snapshot.limits, Lane("a")).highest
        for _ in range(already):
            ledger.acquire(ceiling, 0.0)
        decision = decide(Lane("a"), ledger.usage(), snapshot, now=age, max_age=MAX_AGE)
        assert bool(ledger.acquire(ceiling, age)) == decision.admitted


@pytest.mark.parametrize(
    ("lane", "allowed", "used", "constraint"),
    [
        (Lane("a"), limits(20), 20, "limit"),
        (Lane("a"), limits(20, burst=60), 20, "limit"),
        (Lane("a", burst=5), limits(20, burst=60, enabled=False), 20, "limit"),
        (Lane("a", burst=5), limits(20, burst=60), 25, "lane burst"),
        (Lane("a", burst="all"), limits(20, burst=60), 60, "burst limit"),
        (Lane("a", burst=40), limits(20, burst=60), 60, "burst limit"),
        (Lane("a", reserve=2), limits(20), 18, "reserve"),
        (Lane("a"), limits(20, reserved=5), 15, "reserve"),
        (Lane("a", reserve=2), limits(20), 20, "limit"),
        (Lane("a"), limits(20), 19, None),
    ],
)
def test_the_constraint_that_binds(
    lane: Lane, allowed: Limits, used: int, constraint: str | None
) -> None:
    """An operator would turn the wrong knob."""
    snapshot = Snapshot(allowed, 0.0, 0.0)
    decision = decide(lane, Usage(used, 0, 0), snapshot, now=0.0, max_age=MAX_AGE)
    assert decision.constraint == constraint


@pytest.mark.parametrize(
    ("options", "constraint"),
    [
        ({"now": 15.0}, None),
        ({"now": 15.001}, "snapshot too old"),
        ({"now": -5.0}, None),
        ({"now": 1.0, "withheld": "snapshot spent"}, "snapshot spent"),
        ({"now": 1.0, "withheld": "ledger lost"}, "ledger lost"),
        ({"now": 1.0, "withheld": "local share"}, "local share"),
        ({"now": 99.0, "withheld": "ledger away"}, "ledger away"),
    ],
)
def test_a_reading_decides_only_while_it_may_be_trusted(
    options: dict[str, Any], constraint: str | None
) -> None:
    """A count that is too old, or proved wrong, would let calls in."""
    snapshot = Snapshot(limits(20), 0.0, 0.0)
    decision = decide(Lane("a"), Usage(0, 0, 0), snapshot, max_age=MAX_AGE, **options)
    assert decision.constraint == constraint


def test_without_a_reading_nothing_is_known_and_nobody_admitted() -> None:
    """An unknown count would be read as 0."""
    decision = decide(Lane("a"), Usage(None, 1, 2), None, now=0.0, max_age=MAX_AGE)
    assert decision.constraint == "no snapshot"
    assert (decision.usage.total, decision.headroom, decision.ceilings) == (None, None, None)
    assert (decision.age, decision.limits, decision.tier) == (None, None, None)


@pytest.mark.parametrize(("counted", "whose"), [(3, "3 ours, 0 others"), (2, "2 ours, 1 other")])
def test_one_call_by_others_is_one_other(counted: int, whose: str) -> None:
    """The command line would speak of 1 others."""
    assert Usage(3, 0, 0, counted=counted).whose == whose


@pytest.mark.parametrize(
    ("lane", "allowed", "usage", "options", "sentence"),
    [
        (
            Lane("bulk"),
            limits(20, current=17),
            Usage(17, 1, 2),
            {},
            (
                "denied: 20 of 20 in use (17 reported 0.4 s ago, 1 dialling, 2 uncounted); "
                "reserve 0; burst not allowed on lane 'bulk'"
            ),
        ),
        (
            Lane("bulk"),
            limits(20, current=19),
            Usage(19, 1, 2, counted=14, ended=2),
            {},
            (
                "denied: 20 of 20 in use (17 ours, up to 3 others; 19 reported 0.4 s ago, 2 of "
                "them over or counted twice, 1 dialling, 2 uncounted); reserve 0; "
                "burst not allowed on lane 'bulk'"
            ),
        ),
        (
            Lane("bulk"),
            limits(20, current=3),
            Usage(3, 0, 0),
            {},
            (
                "admitted: 3 of 20 in use (3 reported 0.4 s ago, 0 dialling, 0 uncounted); "
                "reserve 0; burst not allowed on lane 'bulk'"
            ),
        ),
        (
            Lane("vip", burst=5, reserve=1),
            limits(20, current=24, burst=60, reserved=2),
            Usage(22, 0, 0),
            {},
            (
                "denied: 22 of 25 in use (22 reported 0.4 s ago, 0 dialling, 0 uncounted); "
                "reserve 1 and 2 for inbound; burst of 5 above the limit allowed on lane 'vip'"
            ),
        ),
        (
            Lane("vip", burst="all"),
            limits(100, current=100, burst=60),
            Usage(100, 0, 0),
            {},
            (
                "denied: 100 of 100 in use (100 reported 0.4 s ago, 0 dialling, "
                "0 uncounted); reserve 0; burst off in the workspace"
            ),
        ),
        (
            Lane("bulk"),
            limits(20, current=17),
            Usage(17, 1, 2),
            {"max_age": 0.3},
            (
                "denied: the last snapshot is older than 0.3 s (17 reported 0.4 s ago, 1 dialling, "
                "2 uncounted)"
            ),
        ),
        (
            Lane("bulk"),
            limits(20, current=17),
            Usage(17, 1, 2),
            {"withheld": "snapshot spent"},
            (
                "denied: the provider refused a call after the last snapshot; awaiting a later one "
                "(17 reported 0.4 s ago, 1 dialling, 2 uncounted)"
            ),
        ),
        (
            Lane("bulk"),
            limits(20, current=17),
            Usage(17, 1, 2),
            {"withheld": "ledger lost"},
            (
                "denied: the ledger is new or was lost; awaiting a snapshot that shows all calls "
                "from before (17 reported 0.4 s ago, 1 dialling, 2 uncounted)"
            ),
        ),
        (
            Lane("bulk"),
            limits(20, current=17),
            Usage(17, 1, 2),
            {"withheld": "local share"},
            (
                "denied: the ledger's server can't be reached, and this gate's own share is used "
                "up (17 reported 0.4 s ago, 1 dialling, 2 uncounted)"
            ),
        ),
        (
            Lane("bulk"),
            None,
            Usage(None, 1, 2),
            {"withheld": "ledger away"},
            ("denied: the ledger's server can't be reached (1 dialling, 2 uncounted)"),
        ),
        (
            Lane("bulk"),
            None,
            Usage(None, 1, 2),
            {},
            "denied: no snapshot of the limits yet (1 dialling, 2 uncounted)",
        ),
        (
            Lane("bulk"),
            None,
            Usage(None, 0, 0),
            {"outage": Outage("HTTP 503", 12.34)},
            (
                "denied: no snapshot of the limits yet (0 dialling, 0 uncounted); unable to "
                "read the limits for 12.3 s, the latest error: HTTP 503"
            ),
        ),
    ],
)
def test_the_sentence_is_one_that_an_operator_understands(
    lane: Lane, allowed: Limits | None, usage: Usage, options: dict[str, Any], sentence: str
) -> None:
    """The reason would leave out a number, or not name what binds."""
    snapshot = None if allowed is None else Snapshot(allowed, 1.0, 1.1)
    decision = decide(lane, usage, snapshot, **({"now": 1.4, "max_age": MAX_AGE} | options))
    assert str(decision).replace("; until when is unknown", "") == sentence


@pytest.mark.parametrize(
    ("used", "options", "lifts_in", "ending"),
    [
        (0, {}, 0.0, "on lane 'a'"),
        (0, {"now": 16.0, "reading_in": 0.7}, 0.7, "; the next reading in 0.7 s"),
        (0, {"now": 16.0, "reading_in": 0.01}, 0.01, "; the next reading in 0.1 s"),
        (0, {"now": 16.0, "reading_in": 0.0}, 0.0, "; the next reading is due now"),
        (0, {"now": 16.0}, None, "; until when is unknown"),
        (0, {"withheld": "snapshot spent", "reading_in": 0.2}, 0.2, "; the next reading in 0.2 s"),
        (0, {"withheld": "ledger lost", "reading_in": 0.2}, 0.2, "; the next reading in 0.2 s"),
        (0, {"withheld": "ledger away", "reading_in": 0.2}, None, "; until when is unknown"),
        (0, {"withheld": "local share", "reading_in": 0.2}, None, "; until when is unknown"),
        (20, {"reading_in": 0.2}, None, "; until when is unknown"),
        (20, {"reading_in": 0.2, "due_in": 0.4, "trunk": "t"}, None, "; until when is unknown"),
        (0, {"reading_in": 0.2, "due_in": 0.4, "trunk": "t"}, 0.4, "on lane 'a'"),
    ],
)
def test_what_keeps_a_call_out_says_when_it_lifts(
    used: int, options: dict[str, Any], lifts_in: float | None, ending: str
) -> None:
    """Whoever asks why nothing is dialled would be told of the wrong moment."""
    snapshot = Snapshot(limits(20), 0.0, 0.0)
    asked = {"now": 1.0, **options}
    decision = decide(Lane("a"), Usage(used, 0, 0), snapshot, max_age=MAX_AGE, **asked)
    assert decision.lifts_in == lifts_in
    assert str(decision).endswith(ending)


@pytest.mark.parametrize(
    ("usage", "at_least", "whose"),
    [
        (Usage(18, 0, 0, counted=14), 4, "14 ours, 4 others"),
        (Usage(12, 0, 9, counted=3), 0, "12 ours, up to 9 others"),
        (Usage(18, 1, 2, counted=11), 4, "14 ours, up to 7 others"),
        (Usage(18, 0, 0), None, "ours and others unknown"),
    ],
)
def test_calls_that_may_be_ours_are_not_said_to_be_others(
    usage: Usage, at_least: int | None, whose: str
) -> None:
    """An operator would look for a stranger who dials, where there is none."""
    assert (usage.others_at_least, usage.whose) == (at_least, whose)

"""A trunk's rate on the server: one for all workers, the same as in one process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from redis import Redis

from callguard import Limits, Trunk
from callguard.ledger import Claim
from callguard.ledger.redis.keys import trunk_hash
from callguard.ledger.redis.settings import Settings
from callguard.ledger.redis.trunks import said_of
from callguard.pacing import paced
from tests.unit.ledger.bent_clock import (
    RING_LIMIT,
    BentLedger,
    Happening,
    Worker,
    claim,
    joined,
    settings,
    side_of,
)

MakeLedger = Callable[[Settings], BentLedger]

TWILIO, FAST = Trunk("twilio", cps=1.05), Trunk("fast", cps=4.2)
"""Their starts are 1000 and 250 ms apart."""

TRUNKS = [TWILIO, FAST, Trunk("telnyx", cps=2.0, window=2.0)]

PATIENT = {"max_age": 1e6, "ttl": 1e6}


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> BentLedger:
    return make_ledger(settings(lease=1e5, **PATIENT))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "cancel", "place", "refuse", "restore"]),
        st.integers(0, 2),
        st.sampled_from([0, 1, 3, 4, 6, 7, 125, 250, 500, 746, 875, 999, 1000, 1003, 1125]),
    ),
    max_size=40,
)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(steps=STEPS)
def test_the_server_and_one_process_keep_the_same_rate(
    client: Redis, workspace_key: str, steps: list[tuple[str, int, int]]
) -> None:
    """The two implementations of the rule would part, and only one of them be right."""
    with BentLedger(client, workspace_key, settings(lease=1e5, **PATIENT)) as ledger:
        (worker,) = joined(ledger, "one")
        paces = {trunk.name: paced(trunk) for trunk in TRUNKS}
        held: list[tuple[int, Trunk]] = []
        cancelled: list[tuple[int, Trunk]] = []
        for what, which, wait in steps:
            ledger.now += wait
            worker.say()
            now = ledger.now / 1000
            if what == "ask":
                trunk = TRUNKS[which]
                pace = paces[trunk.name]
                given = worker.ask(99, trunk=trunk)
                assert given == (now >= pace.due_at - 1e-9)
                worker.say(claims=[claim(ceiling=0, callers=0, trunk=trunk)])
                if given:
                    number = worker.held.pop()
                    pace.start(number, now)
                    held.append((number, trunk))
            elif what == "restore":
                if cancelled:
                    number, trunk = cancelled.pop(which % len(cancelled))
                    restart: Happening = ["restart", number, trunk_hash(trunk.name), "default"]
                    worker.say(restart, ["place", number, "default"])
                    paces[trunk.name].restart(number, now)
                    paces[trunk.name].succeed(number)
            elif held:
                number, trunk = held.pop(which % len(held))
                pace = paces[trunk.name]
                if what == "cancel":
                    worker.say(["unstart", number], ["release", number])
                    pace.give_back(number)
                    cancelled.append((number, trunk))
                elif what == "place":
                    worker.say(["place", number, "default"])
                    pace.succeed(number)
                else:
                    apart = math.ceil(trunk.span / trunk.most * 1000)
                    pushed: Happening = ["push_back", number, trunk_hash(trunk.name), apart]
                    worker.say(pushed, ["release", number])
                    pace.push_back(number, now)


def test_a_wide_window_takes_as_many_starts_as_it_may_and_no_more(ledger: BentLedger) -> None:
    """The provider would refuse what comes too early, or a part of the rate would be wasted."""
    wide = Trunk("wide", cps=10.0, window=2.0)
    (one,) = joined(ledger, "one")
    assert one.ask(99, 9, trunk=wide) == 9
    ledger.now += 100
    assert one.ask(99, 99, trunk=wide) == 11
    ledger.now += 1999
    assert one.ask(99, 99, trunk=wide) == 0
    ledger.now += 1
    assert one.ask(99, 99, trunk=wide) == 9


def test_starts_that_matter_no_more_go_once_there_are_many(ledger: BentLedger) -> None:
    """Each trunk would have all of its starts on the server for ever."""
    (one,) = joined(ledger, "one")
    for _ in range(200):
        ledger.now += 250
        assert one.ask(999, trunk=FAST) == 1
    assert ledger.client.zcard(ledger.names.keys[11].decode()) <= 64


def test_all_workers_together_keep_one_rate(ledger: BentLedger) -> None:
    """Each would dial at the whole rate, and the provider refuse all but one."""
    one, two = joined(ledger, "one", "two")
    assert one.ask(9, 1, trunk=TWILIO) == 1
    assert two.ask(9, 3, trunk=TWILIO) == 0
    assert two.ask(9, 3, trunk=FAST) == 1
    ledger.now += 999
    assert two.ask(9, 3, trunk=TWILIO) == 0
    ledger.now += 1
    two.say(claims=[claim(ceiling=9, callers=3, trunk=TWILIO)])
    assert len(two.held) == 2


@pytest.mark.parametrize(("trunk", "span"), [(TWILIO, 1000), (FAST, 250)])
def test_a_start_that_is_late_by_a_little_counts_from_when_it_was_due(
    ledger: BentLedger, trunk: Trunk, span: int
) -> None:
    """The lateness of exchanges would add up, or be saved up for starts too close to each other."""
    (worker,) = joined(ledger, "one")
    pace, began = paced(trunk), ledger.now
    asked = [(0, 0), (1, 3), (2, 0), (3, 6), (4, 1), (4, 5), (4, 6), (5, 5), (5, 6)]
    given = []
    for number, (spans, late) in enumerate(asked):
        ledger.now = began + spans * span + late
        given.append(bool(worker.ask(99, trunk=trunk)))
        worker.say(claims=[claim(ceiling=0, callers=0, trunk=trunk)])
        now = (ledger.now - began) / 1000
        assert given[-1] == (now >= pace.due_at - 1e-9)
        if given[-1]:
            pace.start(number + 1, now)
    assert given == [True, True, True, True, False, False, True, False, True]


class OneWaits:
    """A claimant at which a caller waits for a trunk."""

    def claims(self, limits: Limits | None = None) -> list[Claim]:
        return [Claim("default", 0, 9, 1, 0.0, TWILIO)]

    def granted(self, claim: Claim, number: int, usage: int) -> None:
        raise AssertionError("it came after the lease")


def test_a_slot_that_came_after_the_lease_has_started_nothing(ledger: BentLedger) -> None:
    """A worker whose machine slept would cost the trunk a start that nobody has dialled."""
    joined(ledger, "one")
    clock, claimant = [0.0], cast("Any", OneWaits())
    late = side_of(
        "late", ledger.names, ledger.settings, claimant, lambda: clock[0], trunks=[TWILIO]
    )
    talk, starts = late.conversation, ledger.names.keys[11]
    assert talk.accept(ledger.run(*talk.request()))  # it hears of the snapshot
    answer = ledger.run(*talk.request())
    assert ledger.client.zcard(starts) == 1
    clock[0] += ledger.settings.lease + 1.0
    assert talk.accept(answer)
    claimant.claims = lambda _: []
    assert talk.accept(ledger.run(*talk.request()))
    assert ledger.client.zcard(starts) == 0


def test_workers_take_turns_on_a_trunk(ledger: BentLedger) -> None:
    """One worker would have all the starts, and the callers of the others wait for ever."""
    one, two = joined(ledger, "one", "two")
    one.ask(9, 5, trunk=TWILIO)
    two.ask(9, 5, trunk=TWILIO)
    for _ in range(6):
        ledger.now += 1000
        for worker in (one, two):
            worker.say(claims=[claim(ceiling=9, callers=5, trunk=TWILIO)])
        two.say(claims=[claim(ceiling=9, callers=5, trunk=TWILIO)])
        one.say(claims=[claim(ceiling=9, callers=5, trunk=TWILIO)])
    assert abs(len(one.held) - len(two.held)) <= 1
    assert len(one.held) + len(two.held) == 7


def test_one_of_those_that_wait_is_told_when_the_trunk_is_due(ledger: BentLedger) -> None:
    """Nobody would come when it is, or everybody at once."""
    one, two, six = joined(ledger, "one", "two", "six")
    told = [
        worker.say(claims=[claim(ceiling=9, callers=1, trunk=TWILIO)]).get("again")
        for worker in (one, two, six)
    ]
    assert told == [None, 1000, None]
    ledger.now += 1000
    reply = two.say(claims=[claim(ceiling=9, callers=1, trunk=TWILIO)])
    assert (len(reply["grants"]), reply["again"]) == (1, 1000)  # for six, which waits still
    ledger.now += 1000
    assert 0 < two.say()["again"] <= 251  # until six has come, which was called
    reply = six.say(claims=[claim(ceiling=9, callers=1, trunk=TWILIO)])
    assert len(reply["grants"]) == 1
    assert reply.get("again") is None


def test_who_waits_for_no_rate_is_told_of_none(ledger: BentLedger) -> None:
    """Each admission would cost an exchange more a second later."""
    (one,) = joined(ledger, "one")
    reply = one.say(claims=[claim(ceiling=9, callers=1, trunk=TWILIO)])
    assert len(one.held) == 1
    assert reply.get("again") is None


def test_a_trunk_that_is_not_due_holds_up_nobody_on_another(ledger: BentLedger) -> None:
    """Calls that could start would wait behind those that can't."""
    one, two = joined(ledger, "one", "two")
    one.ask(9, 5, priority=0, trunk=TWILIO)
    assert two.ask(9, 1, priority=1, trunk=FAST) == 1
    two.say(claims=[claim(ceiling=9, callers=2, priority=1)])
    assert len(two.held) == 3


def test_the_reply_says_when_a_trunk_is_due(ledger: BentLedger) -> None:
    """`explain` would say that a call fits which has to wait for another worker's."""
    one, two = joined(ledger, "one", "two")
    one.ask(9, 1, trunk=TWILIO)
    ledger.now += 400
    assert two.say(claims=[claim(ceiling=9, callers=1, trunk=TWILIO)])["dues"] == [[0, 600]]


def test_a_ledger_that_lost_its_starts_begins_with_a_full_span(
    ledger: BentLedger, client: Redis
) -> None:
    """Calls would start too soon after those that nobody knows of any more."""
    (one,) = joined(ledger, "one")
    assert one.ask(9, 1, trunk=TWILIO) == 1
    ledger.now += 500
    client.delete(next(key for key in ledger.names.keys if key.endswith(b":starts")))
    assert one.ask(9, 1, trunk=TWILIO) == 0
    ledger.now += 999
    assert one.ask(9, 1, trunk=TWILIO) == 0
    ledger.now += 1
    assert one.ask(9, 1, trunk=TWILIO) == 1


def test_a_clock_that_catches_up_brings_no_start_forward(make_ledger: MakeLedger) -> None:
    """After an exchange that was late, two calls would start too close together."""
    told: Settings = settings(lease=1e5, **PATIENT)
    ledger = make_ledger(told)
    one, two = joined(ledger, "one", "two")
    late = one.words(claims=[claim(ceiling=9, callers=1, trunk=TWILIO)])
    ledger.now += 800  # it was under way for so long
    one.believe(one.send(late))
    assert len(one.held) == 1
    ledger.now += 800
    two.say()
    assert two.ask(9, 1, trunk=TWILIO) == 0
    ledger.now += 200
    assert two.ask(9, 1, trunk=TWILIO) == 1


@pytest.mark.parametrize("is_early", [False, True])
@pytest.mark.parametrize("trunk", TRUNKS, ids=lambda trunk: trunk.name)
def test_a_refusal_that_another_worker_hears_of_pushes_the_trunk_back_for_all(
    ledger: BentLedger, trunk: Trunk, *, is_early: bool
) -> None:
    """The worker that takes webhooks in placed no call, and all would dial on into the refusals."""
    one, two = Worker(ledger, "one"), Worker(ledger, "two")
    for worker in (one, two):
        trunks = said_of(TRUNKS, RING_LIMIT)
        worker.say(join={**worker.introduction(), "trunks": trunks}, renew=True)
    ledger.now += 10
    one.read()
    assert one.ask(9, trunk=trunk) == 1
    pace = paced(trunk)
    pace.start(1, 0.01)
    ledger.now += 5000
    pace.succeed(1)
    placed: list[Happening] = [["place", 1, "default"], ["bind", 1, "hash"]]
    if not is_early:
        one.say(*placed)
    two.say(["note_refused", "hash"], ["note_ended", "hash"])
    if is_early:
        one.say(*placed)
    pace.push_back(1, 5.01)
    said = two.say(claims=[claim(ceiling=9, trunk=trunk)])
    assert "grants" not in said
    [(_, due)] = said["dues"]
    assert due == math.ceil(round((pace.due_at - 5.01) * 1000, 3)) > 0


def test_a_refusal_of_a_call_without_a_rate_pushes_no_trunk_back(ledger: BentLedger) -> None:
    """A call of which nobody knows the trunk would break the exchange, or hold up another trunk."""
    one, two = joined(ledger, "one", "two")
    assert one.ask(9) == 1
    one.say(["place", 1, "default"], ["bind", 1, "hash"])
    two.say(["note_refused", "hash"], ["note_refused", "never heard of"])
    assert one.ask(9, trunk=TWILIO) == 1

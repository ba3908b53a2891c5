"""The calls on a trunk that takes so many: in one process, and on a server the same for all."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from redis import Redis

from callguard import Snapshot, Trunk
from callguard.ledger import MemoryLedger
from callguard.ledger.occupancy import Occupancy
from callguard.ledger.redis.keys import trunk_hash
from callguard.ledger.redis.settings import Settings
from callguard.ledger.redis.shared_trunks import lasting_ms
from callguard.limits import Limits
from tests.support.times import times
from tests.unit.ledger.bent_clock import (
    RING_LIMIT,
    BentLedger,
    Happening,
    Worker,
    claim,
    joined,
    settings,
)

MakeLedger = Callable[[Settings], BentLedger]

TWO = Trunk("two", cps=None, calls=2, longest_call=30.0)
LASTS = lasting_ms(TWO, RING_LIMIT)
"""Milliseconds: a call is on the trunk for so long at most."""

TRUNKS = [TWO, Trunk("one", cps=None, calls=1, longest_call=2.0), Trunk("both", cps=1.05, calls=2)]

PATIENT = {"max_age": 1e6, "ttl": 1e6, "counted_after": 0.5}


@pytest.fixture
def ledger(make_ledger: MakeLedger) -> BentLedger:
    return make_ledger(settings(lease=1e5, **PATIENT))


# In one process ----------------------------------------------------------------------------------


def occupied(trunk: Trunk = TWO) -> MemoryLedger:
    """A ledger with room for nine calls."""
    ledger = MemoryLedger(times(max_age=1e6), [trunk])
    ledger.record(Snapshot(Limits(current_concurrency=0, concurrency_limit=9), 0.0, 0.0))
    return ledger


def test_the_machine_sleeps_and_calls_come_to_their_end() -> None:
    """A trunk would be taken for as long as the machine slept, and then for an hour."""
    ledger = occupied()
    pace = ledger.pace("two")
    for now in (1.0, 2.0):
        ledger.place(ledger.acquire(9, now, pace), now)
    assert ledger.acquire(9, 3.0, pace) == 0
    ledger.note_sleep(50.0, 3.0)
    assert ledger.acquire(9, 10.9, pace) == 0
    assert ledger.acquire(9, 11.0, pace) == 3
    assert ledger.acquire(9, 11.0, pace) == 0


def test_as_many_as_are_too_many_have_to_end_first() -> None:
    """What was placed after all would be taken for a call less, and one more admitted."""
    ledger = occupied()
    pace = ledger.pace("two")
    first = ledger.acquire(9, 1.0, pace)
    ledger.release(first)
    for now in (2.0, 3.0):
        ledger.place(ledger.acquire(9, now, pace), now)
    ledger.restore(first, 4.0, "two")
    assert ledger.calls_on("two", 5.0) == 3
    assert ledger.acquire(9, 62.5, pace) == 0
    assert ledger.acquire(9, 63.0, pace) == 4


def test_a_refusal_on_a_trunk_that_is_full_pushes_its_rate_back_and_no_further() -> None:
    """The trunk would never be due again."""
    ledger = occupied(Trunk("full", cps=1.05, calls=1))
    pace = ledger.pace("full")
    number = ledger.acquire(9, 1.0, pace)
    ledger.refuse(1.5, number, "full")
    ledger.release(number)
    assert ledger.due_at("full", 0.0) == pytest.approx(2.5)
    assert pace is not None
    assert pace.due_at == pytest.approx(2.5)


def test_ids_of_calls_that_are_over_are_forgotten() -> None:
    """A gate would remember every call that it has ever placed."""
    pace = Occupancy(TWO, 2, RING_LIMIT)
    for number in range(1, 100):
        pace.start(number, now=100.0 * number)
        pace.place(number, 100.0 * number)
        assert pace.bind(number, f"call_{number}")
    assert pace.number_of("call_98") is None
    assert pace.number_of("call_99") == 99
    assert not pace.bind(98, "call_98")


# On a server -------------------------------------------------------------------------------------


def ask(worker: Worker, trunk: Trunk = TWO, callers: int = 1) -> int:
    """Ask for slots, and for nothing any more; how many were given."""
    given = worker.ask(9, callers, trunk=trunk)
    worker.say(claims=[claim(ceiling=0, callers=0, trunk=trunk)])
    return given


def calls_on(worker: Worker, trunk: Trunk = TWO) -> int:
    said: list[int] = worker.say(trunks=[(trunk_hash(trunk.name), lasting_ms(trunk, RING_LIMIT))])[
        "on_trunks"
    ]
    return said[0]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "place", "place", "release", "end", "back", "bury"]),
        st.integers(0, 2),
        st.sampled_from([0, 1, 1, 8, 40, 320]),
    ),
    max_size=40,
)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(steps=STEPS)
def test_the_server_and_one_process_count_the_same_calls(
    client: Redis, workspace_key: str, steps: list[tuple[str, int, int]]
) -> None:
    """The two implementations of the rule would part, and only one of them be right."""
    with BentLedger(client, workspace_key, settings(lease=1e5, **PATIENT)) as ledger:
        (worker,) = joined(ledger, "one")
        rooms = {trunk.name: Occupancy(trunk, trunk.calls or 0, RING_LIMIT) for trunk in TRUNKS}
        permits: dict[str, list[tuple[int, Trunk]]] = {"held": [], "placed": [], "gone": []}
        for what, which, wait in steps:
            ledger.now += 125 * wait
            worker.say()
            _step(ledger, worker, rooms, permits, what, which)
            for trunk in TRUNKS:
                assert calls_on(worker, trunk) == rooms[trunk.name].calls(ledger.now / 1000)


def _step(
    ledger: BentLedger,
    worker: Worker,
    rooms: dict[str, Occupancy],
    permits: dict[str, list[tuple[int, Trunk]]],
    what: str,
    which: int,
) -> None:
    now = ledger.now / 1000
    before, after = {
        "ask": ("", "held"),
        "place": ("held", "placed"),
        "release": ("held", "gone"),
        "end": ("placed", "gone"),
        "back": ("gone", "placed"),
        "bury": ("", ""),
    }[what]
    if what == "bury":
        return
    if what == "ask":
        trunk = TRUNKS[which]
        given = ask(worker, trunk)
        assert given == (now >= rooms[trunk.name].due_at), trunk
        if given:
            number = worker.held.pop()
            rooms[trunk.name].start(number, now)
            permits[after].append((number, trunk))
    elif permits[before]:
        number, trunk = permits[before].pop(which % len(permits[before]))
        permits[after].append((number, trunk))
        room = rooms[trunk.name]
        if what == "place":
            worker.say(["place", number, "default"])
            room.place(number, now)
        elif what == "back":
            worker.say(joining(number, trunk), ["place", number, "default"])
            room.join(number)
            room.place(number, now)
        else:
            worker.say(["release" if what == "release" else "withdraw", number])
            room.leave(number)


def joining(number: int, trunk: Trunk) -> Happening:
    return ["join", number, trunk_hash(trunk.name), lasting_ms(trunk, RING_LIMIT)]


def test_all_workers_together_have_one_trunk(ledger: BentLedger) -> None:
    """Each would have as many calls on it as it takes."""
    one, two = joined(ledger, "one", "two")
    assert (ask(one), ask(two, callers=2)) == (1, 1)
    assert (ask(one), ask(two)) == (0, 0)
    assert calls_on(one) == calls_on(two) == 2


def test_a_call_that_a_snapshot_absorbed_is_on_its_trunk_until_anybody_says_that_it_is_over(
    ledger: BentLedger, client: Redis
) -> None:
    """A place would be given twice, or never again."""
    one, two = joined(ledger, "one", "two")
    assert ask(one, callers=2) == 2
    for number, call in ((1, "call_1"), (2, "call_2")):
        one.say(["place", number, "default"], ["bind", number, ledger.names.call(call)])
    ledger.now += 5_000
    one.say(["note_change"])
    one.read(current=2)
    assert counts(one) == [0, 0]
    assert ask(two) == 0
    two.say(["note_ended", ledger.names.call("call_2")])
    assert ask(two) == 1
    one.say(["withdraw", 1])
    assert ask(one) == 1
    two.say(*two.returned())
    one.say(*one.returned())
    (calls,) = (key for key in ledger.names.keys if key.endswith(b":calls"))
    assert not client.exists(calls)  # of calls that are over nothing is left


def counts(worker: Worker) -> Any:
    return worker.say()["counts"]


def test_an_end_that_was_heard_before_the_dial_returned_gives_the_trunk_back(
    ledger: BentLedger,
) -> None:
    """A call that was over at once would be on its trunk for as long as a call can last."""
    (one,) = joined(ledger, "one")
    assert ask(one) == 1
    name = ledger.names.call("call_1")
    one.say(["note_ended", name], ["place", 1, "default"], ["bind", 1, name])
    assert calls_on(one) == 0


def test_whoever_waits_for_a_trunk_is_called_when_a_call_on_it_ends(ledger: BentLedger) -> None:
    """A trunk would be empty until the one that waits asks again by itself."""
    one, two = joined(ledger, "one", "two")
    assert ask(one, callers=2) == 2
    one.say(["place", 1, "default"])
    assert two.ask(9, 1, trunk=TWO) == 0
    reply = one.say(["withdraw", 1])
    assert reply["others"]
    assert 0 < reply["again"] <= 251  # until two has come, which was called
    two.say(claims=[claim(ceiling=9, callers=1, trunk=TWO)])
    assert len(two.held) == 1


def test_one_of_those_that_wait_is_told_when_the_first_call_is_surely_over(
    ledger: BentLedger,
) -> None:
    """Where nobody tells of an end, nobody would ask again; or everybody, all the time."""
    one, two = joined(ledger, "one", "two")
    assert ask(one, callers=2) == 2
    waiting = [claim(ceiling=9, callers=1, trunk=TWO)]
    assert two.say(claims=waiting).get("again") is None  # while both are dialling, nobody knows
    one.say(["place", 1, "default"])
    ledger.now += 100
    one.say(["place", 2, "default"])
    assert two.say(claims=waiting)["again"] == LASTS - 100 + 1
    assert two.say(claims=waiting).get("again") is None
    ledger.now += LASTS - 99
    two.say(claims=waiting)
    assert len(two.held) == 1
    assert two.say(claims=waiting).get("again") == 100


def test_a_full_trunk_holds_up_nobody_on_another(ledger: BentLedger) -> None:
    """Calls that could start would wait behind those that can't."""
    one, two = joined(ledger, "one", "two")
    one.ask(9, 5, priority=0, trunk=TWO)
    assert two.ask(9, 1, priority=1, trunk=TRUNKS[1]) == 1
    two.say(claims=[claim(ceiling=9, callers=2, priority=1)])
    assert len(two.held) == 3


def test_what_a_worker_was_dialling_that_is_gone_is_on_its_trunk_as_if_it_had_just_been_placed(
    make_ledger: MakeLedger,
) -> None:
    """A call that a worker dialled before it died would be one too many; or stay there for ever."""
    ledger = make_ledger(settings(lease=10.0, **PATIENT))
    one, two = joined(ledger, "one", "two")
    assert ask(one, callers=2) == 2
    ledger.now += 9_000
    two.say(renew=True)
    ledger.now += 2_000
    two.say()  # buries the other
    assert calls_on(two) == 2
    live_on(ledger, two, LASTS - 500)
    assert calls_on(two) == 2
    live_on(ledger, two, 501)
    assert calls_on(two) == 0


def test_calls_that_are_surely_over_go_once_there_are_many(ledger: BentLedger) -> None:
    """The server would keep every call for ever of whose end nobody tells."""
    (one,) = joined(ledger, "one")
    for _ in range(100):
        assert one.ask(999, trunk=TWO) == 1
        one.place()
        ledger.now += LASTS + 1
    (occupied,) = (key for key in ledger.names.keys if key.endswith(b":occupied"))
    assert ledger.client.zcard(occupied.decode()) <= 64 + 2


def test_what_a_worker_was_given_and_never_heard_of_leaves_its_trunk(ledger: BentLedger) -> None:
    """An answer that was lost would take a trunk for good: nobody will ever dial."""
    (one,) = joined(ledger, "one")
    one.lose(claims=[claim(ceiling=9, callers=2, trunk=TWO)])
    one.next += 2
    one.join()
    assert calls_on(one) == 0


def test_a_ledger_that_lost_its_trunks_admits_nobody_there_until_every_call_is_surely_over(
    make_ledger: MakeLedger, client: Redis
) -> None:
    """Calls would go on that nobody knows of any more, and others come on top."""
    ledger = make_ledger(settings(lease=10.0, **PATIENT))
    (one,) = joined(ledger, "one")
    assert ask(one, callers=2) == 2
    client.delete(next(key for key in ledger.names.keys if key.endswith(b":occupied")))
    assert one.say()["status"] == "unknown"
    one.held.clear()
    one.join()
    live_on(ledger, one, 12_000)
    turn = one.turn()
    assert turn is not None
    one.record(turn)
    assert one.ask(9) == 1  # only the trunk is in the way
    live_on(ledger, one, LASTS - 2_001)
    assert ask(one) == 0
    assert calls_on(one) == -1
    live_on(ledger, one, 1)
    assert ask(one) == 1
    assert calls_on(one) == 1


def live_on(ledger: BentLedger, worker: Worker, milliseconds: int) -> None:
    """Time passes, in which a worker renews its lease."""
    until = ledger.now + milliseconds
    while ledger.now < until:
        ledger.now = min(until, ledger.now + 4_000)
        worker.say(renew=True)


def test_an_exchange_that_failed_half_way_leaves_nobody_on_a_trunk(
    ledger: BentLedger, client: Redis
) -> None:
    """What a server has left of a script that it ended would take a trunk for good."""
    (one,) = joined(ledger, "one")
    (key,) = (key for key in ledger.names.keys if key.endswith(b":occupied"))
    client.zadd(key, {f"{trunk_hash('two')} {9 * 10**12} {each}": 0 for each in "ab"})
    assert calls_on(one) == 0
    assert ask(one, callers=2) == 2


def test_a_trunk_on_which_a_call_lasts_for_ever_is_one(ledger: BentLedger) -> None:
    """A number that the server can't hold would break every exchange."""
    for_ever = Trunk("for ever", cps=None, calls=1, longest_call=math.nextafter(math.inf, 0))
    (one,) = joined(ledger, "one")
    assert ask(one, for_ever) == 1
    one.say(["place", 1, "default"])
    ledger.now += 10**8
    one.join()
    assert calls_on(one, for_ever) == 1

"""What the ledger does when its server misbehaves: parts that go missing, older dumps, a clock that
steps, commands that are denied.

The times are those of `test_scripts`: a call is visible 2000 ms after its dial, a lease lasts for
10000 ms, and so a ledger that is found to be lost at 5000 ms stays closed until 17000 ms.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from callguard.ledger.redis.scripts import EXCHANGE
from tests.unit.ledger.bent_clock import LIMITS, START, BentLedger, Worker, claim, joined

(
    LEDGER,
    WORKERS,
    SESSIONS,
    PERMITS,
    DIALLING,
    UNCOUNTED,
    CLAIMS,
    QUEUE,
    CALLED,
    CALLS,
    EARLY,
) = range(11)
"""Which key is which."""

HOUR = 3_600_000

CALL = "0123456789abcdef01234567"
"""What stands for a call."""


def come_back(worker: Worker) -> None:
    """Make an exchange, and join where the server asks for it."""
    if worker.say()["status"] == "unknown":
        worker.join()


def opens_at(ledger: BentLedger, *workers: Worker) -> int:
    """When the first of the workers is admitted under a ceiling of 9, in ms; a try each 500 ms."""
    began = ledger.now
    for ledger.now in range(began, began + 60_000, 500):
        for worker in workers:
            come_back(worker)
            worker.say(renew=True)
        turn = workers[0].turn()
        if turn is not None:
            workers[0].record(turn)
        workers[0].say()
        if workers[0].ask(9):
            return ledger.now
    raise AssertionError("closed for a minute")


# Parts that go missing ---------------------------------------------------------------------------


@pytest.mark.parametrize("part", [LEDGER, WORKERS, DIALLING, UNCOUNTED])
@pytest.mark.parametrize("newcomer", [False, True])
def test_a_ledger_that_lost_a_part_is_lost_whoever_comes_first(
    ledger: BentLedger, part: int, newcomer: bool
) -> None:
    """A cache that evicts a key would pass the limit in silence."""
    first, other = joined(ledger, "one", "two")
    first.ask(9, 3)
    other.ask(9, 3)
    first.place()
    ledger.now = 5000
    ledger.client.delete(ledger.names.keys[part])
    comer = Worker(ledger, "three") if newcomer else other
    come_back(comer) if comer is other else comer.join()
    assert opens_at(ledger, comer, first) == 17_500
    dialling = 2 if newcomer else 2 + 3
    assert first.say()["counts"] == [dialling + 1, 0]


@pytest.mark.parametrize("part", [SESSIONS, PERMITS, CLAIMS, QUEUE, CALLED, CALLS, EARLY])
def test_a_part_that_nothing_is_counted_by_may_go(ledger: BentLedger, part: int) -> None:
    """An eviction that costs a label or a little patience would close every gate."""
    first, other = joined(ledger, "one", "two")
    first.ask(9, 3)
    first.place()
    first.say(["bind", 1, "0123456789abcdef01234567"], ["note_ended", "1123456789abcdef01234567"])
    other.ask(0, 2)
    ledger.now = 5000
    ledger.client.delete(ledger.names.keys[part])
    assert first.say()["counts"] == [2, 1]
    assert other.ask(9, 9) == 6


@pytest.mark.parametrize("part", range(11))
def test_nothing_is_held_for_ever_whatever_part_goes(ledger: BentLedger, part: int) -> None:
    """Without the set of those that are to be absorbed, a call would hold its slot for good."""
    worker, dead = joined(ledger, "one", "two")
    worker.ask(9, 3)
    dead.ask(9, 2)
    worker.place()
    dead.place()
    ledger.client.delete(ledger.names.keys[part])
    for ledger.now in range(1_000, 40_000, 1_000):
        come_back(worker)
        worker.say(*worker.returned(), renew=True)
        turn = worker.turn()
        if turn is not None:
            worker.record(turn)
    assert worker.say()["counts"] == [0, 0]


# Older dumps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [1_000, 30_000], ids=["within the lease", "after the lease"])
@pytest.mark.parametrize("dumped", ["before it joined", "before it dialled"])
def test_a_server_that_comes_back_from_an_older_dump_is_noticed(
    ledger: BentLedger, away: int, dumped: str
) -> None:
    """Placed calls that the dump knows nothing of would be forgotten, and their slots given."""
    (other,) = joined(ledger, "zero")
    image = ledger.image()
    worker = Worker(ledger, "one")
    worker.join()
    if dumped == "before it dialled":
        image = ledger.image()
    worker.ask(9, 4)
    worker.place()
    found_at = ledger.now = ledger.now + away
    ledger.turn_back(image)
    assert other.say()["status"] in {"ok", "unknown"}
    assert worker.say()["status"] == "unknown"
    worker.join()
    assert opens_at(ledger, worker, other) > found_at + 12_000


def test_a_dump_that_is_older_than_the_last_reading_that_was_heard_is_noticed(
    ledger: BentLedger,
) -> None:
    """A worker that was only told of a reading would go on with a ledger that is older."""
    reader, listener = joined(ledger, "one", "two")
    image = ledger.image()
    ledger.now = 2000
    turn = reader.turn()
    assert turn is not None
    reader.record(turn)
    listener.knows = turn["began"]
    ledger.turn_back(image)
    assert listener.say()["status"] == "unknown"


def lose(ledger: BentLedger, *workers: Worker) -> None:
    """Have the ledger lose its main part, and the workers come back to the one that begins anew."""
    ledger.client.delete(ledger.names.keys[LEDGER])
    for worker in workers:
        come_back(worker)


def test_an_older_ledger_that_had_begun_anew_itself_is_noticed(ledger: BentLedger) -> None:
    """It would be taken for one that is closed already, for a loss that is long past."""
    first, other = joined(ledger, "one", "two")
    lose(ledger, first, other)
    opens_at(ledger, first, other)
    image = ledger.image()
    lose(ledger, first, other)
    opened_at = opens_at(ledger, first, other)
    first.place()
    ledger.turn_back(image)
    come_back(other)
    come_back(first)
    assert opens_at(ledger, other, first) > opened_at + 12_000


def test_an_older_ledger_whose_clock_fell_behind_stays_closed_for_as_long(
    ledger: BentLedger,
) -> None:
    """One that was cut off since would move its clock to where the ledger's was before, at a step
    forward, and so the pause would be over at once."""
    cut_off, other = joined(ledger, "one", "two")
    image = ledger.image()
    lose(ledger, other)
    ledger.now, ledger.step = 40_000, -60_000
    ledger.turn_back(image)
    come_back(other)
    ledger.step = HOUR
    come_back(cut_off)
    assert opens_at(ledger, cut_off, other) > 40_000 + 12_000


def test_one_that_went_on_with_an_older_ledger_knows_better_than_the_later_one(
    ledger: BentLedger,
) -> None:
    """Its calls would be forgotten, because its ledger is one that the later one came after."""
    first, cut_off = joined(ledger, "one", "two")
    older = ledger.image()
    lose(ledger, first)
    opens_at(ledger, first)
    later = ledger.image()
    ledger.turn_back(older)
    come_back(cut_off)
    ledger.now += 500
    cut_off.read()
    assert cut_off.ask(9, 5) == 5
    ledger.now += 500
    ledger.turn_back(later)
    found_at = ledger.now
    come_back(first)
    come_back(cut_off)
    assert opens_at(ledger, first, cut_off) > found_at + 12_000


@pytest.mark.parametrize("sleeper_first", [False, True])
def test_one_that_slept_through_two_losses_closes_nothing(
    ledger: BentLedger, sleeper_first: bool
) -> None:
    """Each that wakes would close the ledger for all, however often it was told of the loss."""
    sleeper, first, other = joined(ledger, "one", "two", "three")
    ledger.client.delete(ledger.names.keys[DIALLING])
    first.ask(9)
    lose(ledger, *((sleeper, first) if sleeper_first else (first, other)))
    ledger.now = 1000
    ledger.client.hset(ledger.names.keys[LEDGER], "dialling", 7)
    come_back(first)
    opens_at(ledger, first)
    epoch = first.epoch
    come_back(sleeper)
    come_back(other)
    assert first.say()["epoch"] == epoch
    assert first.ask(9) == 1


def test_a_ledger_that_is_new_has_nothing_of_the_one_before(ledger: BentLedger) -> None:
    """What nobody counts by would stay on the server for as long as anybody works."""
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    worker.say(["place", worker.held.pop(0), "default"], ["bind", 1, CALL])
    counted = (LEDGER, WORKERS, DIALLING, UNCOUNTED)
    ledger.client.delete(*(ledger.names.keys[key] for key in counted))
    come_back(worker)
    assert not ledger.client.exists(ledger.names.keys[CALLS])


def test_a_worker_whose_lease_ran_out_is_remembered_for_a_day(ledger: BentLedger) -> None:
    """A laptop that slept for an hour would close the ledger for all when it wakes."""
    sleeper, other = joined(ledger, "one", "two")
    sleeper.ask(9)
    for ledger.now in range(9_000, 3 * HOUR, 9_000):
        other.say(renew=True)
    assert sleeper.say()["status"] == "unknown"
    reply = sleeper.join()
    assert (reply.get("void"), reply["lost"]) == (True, False)


def test_nobody_is_remembered_for_more_than_a_day(ledger: BentLedger) -> None:
    """Workers that come and go would fill the server."""
    _, other = joined(ledger, "one", "two")
    for ledger.now in range(9_000, 25 * HOUR, 9_000):
        other.say(renew=True)
    assert ledger.client.zrange(ledger.names.keys[WORKERS], 0, -1) == [b"two"]
    assert not ledger.client.hexists(ledger.names.keys[LEDGER], "number/one")


# The clock ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-HOUR, -5_000, 5_000, HOUR])
def test_a_step_of_the_clock_absorbs_nothing_early_and_freezes_nothing(
    ledger: BentLedger, step: int
) -> None:
    """The server's is a wall clock: a call would be taken for counted, or nobody be admitted."""
    first, other = joined(ledger, "one", "two")
    first.ask(9, 2)
    ledger.now = 100
    first.place()
    ledger.step = step
    for worker, ledger.now in ((other, 110), (first, 120)):
        worker.say(renew=True)
    absorbed_at = None
    for ledger.now in range(200, 6_000, 100):
        for worker in (other, first):
            assert worker.say(renew=True)["status"] == "ok"
        turn = first.turn()
        if turn is not None and first.record(turn)["counts"] == [1, 0]:
            absorbed_at = ledger.now
            break
    assert absorbed_at is not None
    assert 2102 <= absorbed_at <= 2102 + 1100
    assert first.ask(9) == 1


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_step_of_the_clock_is_told(ledger: BentLedger, step: int) -> None:
    """An operator would not know that the server's clock can't be relied on."""
    (worker,) = joined(ledger, "one")
    ledger.step = step
    ledger.now = 500
    assert worker.say()["stepped"] == pytest.approx(step, abs=500)
    assert "stepped" not in worker.say()


@pytest.mark.parametrize("step", [-HOUR, HOUR])
def test_a_reading_under_way_while_the_clock_stepped_is_not_dated(
    ledger: BentLedger, step: int
) -> None:
    """Its date would be of before the step, and the calls that it absorbs of after it."""
    (worker,) = joined(ledger, "one")
    ledger.now = 2000
    turn = worker.turn()
    assert turn is not None
    ledger.step = step
    ledger.now = 2500
    worker.say()
    before = worker.knows
    worker.record({**turn, "began": turn["began"] + 500}, current=7)
    assert worker.knows == before
    ledger.now = 5000
    worker.read(7)
    assert worker.knows > before


@pytest.mark.parametrize("heard_between", [False, True])
def test_a_reading_under_way_while_the_clock_lost_a_part_of_what_passed_is_not_dated(
    ledger: BentLedger, heard_between: bool
) -> None:
    """A step back that is shorter than the time since the last exchange looks like less time."""
    reader, other = joined(ledger, "one", "two")
    ledger.now = 2000
    turn = reader.turn()
    assert turn is not None
    ledger.now, ledger.step = 3000, -600
    if heard_between:
        other.say()
    before = reader.knows
    reader.record({**turn, "began": turn["began"] + 900})
    assert reader.knows == before


def test_an_exchange_that_was_late_costs_no_reading_and_no_time(ledger: BentLedger) -> None:
    """One worker whose exchanges take half a second would stop the readings of all."""
    reader, late = joined(ledger, "one", "two")
    ledger.now = 2000
    turn = reader.turn()
    assert turn is not None
    ledger.now = 2600
    reply = late.say(sent=START + 2000)
    assert (reply["now"], reply.get("stepped")) == (START + 2000, None)
    before = reader.knows
    reader.record(turn)
    assert reader.knows > before
    assert reader.say()["now"] == START + 2600


def test_a_worker_that_has_just_come_absorbs_nothing_early_at_a_small_step(
    ledger: BentLedger,
) -> None:
    """As much as passes between two exchanges would be enough to take a call for counted."""
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    ledger.now = 100
    worker.place()
    ledger.now = 1050
    worker.say()
    ledger.now, ledger.step = 1100, 1500
    stranger = Worker(ledger, "two")
    stranger.join(sent=None)
    assert stranger.read()["counts"] == [0, 1]


def test_what_one_has_placed_that_has_just_come_is_not_absorbed_early(ledger: BentLedger) -> None:
    """The clock that its call is dated by has not heard yet of the time since the last exchange."""
    (worker,) = joined(ledger, "one")
    ledger.now = 1800
    stranger = Worker(ledger, "two")
    stranger.join(["place", 1, "default"], sent=None)
    ledger.now = 3700
    assert worker.read()["counts"] == [0, 1]
    ledger.now = 5700
    assert worker.read()["counts"] == [0, 0]


def test_what_one_was_dialling_that_comes_and_leaves_is_not_absorbed_early(
    ledger: BentLedger,
) -> None:
    """A gate that closes as it comes back to a lost ledger may have dialled until now."""
    (worker,) = joined(ledger, "one")
    ledger.now = 1800
    stranger = Worker(ledger, "two")
    stranger.held.append(1)
    stranger.join(sent=None, leaves=True)
    ledger.now = 3700
    assert worker.read()["counts"] == [0, 1]
    ledger.now = 5700
    assert worker.read()["counts"] == [0, 0]


def test_an_answer_that_one_tells_who_has_just_come_counts_from_then(ledger: BentLedger) -> None:
    """The call whose id is told later would be taken for counted before the counter shows it."""
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    ledger.now = 1800
    Worker(ledger, "two").join(["note_answered", CALL], sent=None)
    ledger.now = 1810
    worker.say(["place", worker.held.pop(), "default"], ["bind", 1, CALL])
    ledger.now = 3700
    assert worker.read()["counts"] == [0, 1]


def test_a_refusal_that_one_tells_who_has_just_come_spends_a_reading_before_it(
    ledger: BentLedger,
) -> None:
    """Calls would be admitted on a count that the provider has contradicted since."""
    (worker,) = joined(ledger, "one")
    ledger.now = 1010
    turn = worker.turn()
    assert turn is not None
    ledger.now = 2000
    Worker(ledger, "two").join(["refuse"], sent=None)
    ledger.now = 2100
    assert worker.record({**turn, "began": START + 1990})["spent"]
    ledger.now = 3100
    assert not worker.read()["spent"]


@pytest.mark.parametrize("step", [5_000, HOUR])
def test_a_worker_that_has_just_come_moves_the_clock_no_further_than_a_living_one_lets_pass(
    ledger: BentLedger, step: int
) -> None:
    """It has no clock to deny a jump with, so it would end the leases of all others."""
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    ledger.now, ledger.step = 100, step
    stranger = Worker(ledger, "two")
    assert stranger.say(join=stranger.introduction(), renew=True, sent=None)["counts"] == [1, 0]
    assert worker.say()["status"] == "ok"


def test_a_clock_of_a_worker_that_stood_still_stops_nobody(ledger: BentLedger) -> None:
    """A machine that slept would hold up the ledger's clock for all others."""
    sleeper, other = joined(ledger, "one", "two")
    for ledger.now in range(1_000, 60_000, 1_000):
        other.say(renew=True)
        asleep = sleeper.say(renew=True, sent=START + 10)
        if asleep["status"] == "unknown":
            sleeper.join(sent=START + 10)
    assert other.say()["now"] >= START + ledger.now - 2_000


# Commands that are denied ------------------------------------------------------------------------

WRITES = ("hset", "hsetnx", "zadd", "zrem", "hdel", "pexpire", "zrangebyscore", "zremrangebyscore")
"""Commands of the exchange, each of which an administrator may have forgotten to allow."""


@pytest.fixture
def client_without(client: Redis) -> Iterator[Callable[[str], Redis]]:
    """Makes a client whose user may not use one command."""
    made: list[Redis] = []

    def make(command: str) -> Redis:
        client.acl_setuser(
            "restricted",
            enabled=True,
            nopass=True,
            categories=["+@all"],
            commands=[f"-{command}"],
            keys=["*"],
            channels=["*"],
            reset=True,
        )
        options = client.connection_pool.connection_kwargs
        made.append(
            Redis(host=options["host"], port=options["port"], username="restricted", password="x")
        )
        return made[-1]

    yield make
    for restricted in made:
        restricted.close()
    client.acl_deluser("restricted")


def test_where_telling_others_is_denied_everything_is_written_all_the_same(
    ledger: BentLedger, client_without: Callable[[str], Redis]
) -> None:
    """Calls would be absorbed by a reading that is not kept, and the limit be passed."""
    (worker,) = joined(ledger, "one")
    worker.ask(9, 2)
    worker.place()
    restricted = BentLedger(client_without("publish"), "", ledger.settings)
    restricted.names = ledger.names
    ledger.now = restricted.now = 2500
    turn = worker.turn()
    assert turn is not None
    taken = {**turn, "current": 5, "limits": LIMITS}
    words = worker.words(taken=taken)
    reply = json.loads(restricted.run(words, worker.constants))
    assert reply["counts"] == [1, 0]
    assert "can't run this command" in reply["untold"]
    worker.believe(reply)
    assert worker.knows == turn["began"]
    assert worker.ask(9, 9) == 3


@pytest.mark.parametrize("command", WRITES)
def test_an_exchange_that_fails_half_way_has_not_happened_or_is_noticed(
    ledger: BentLedger, client_without: Callable[[str], Redis], command: str
) -> None:
    """What it wrote before it failed would stay, without what belongs to it."""
    first, other = joined(ledger, "one", "two")
    first.ask(9, 3)
    other.ask(9, 3)
    first.place()
    ledger.now = 2500
    turn = other.turn()
    assert turn is not None
    restricted = BentLedger(client_without(command), "", ledger.settings)
    restricted.names, restricted.now = ledger.names, ledger.now
    words: list[dict[str, Any]] = [
        {"taken": {**turn, "current": 1, "limits": LIMITS}},
        {"claims": [claim(ceiling=9, callers=2)], "renew": True},
        {"leaves": True},
    ]
    for said in words:
        with contextlib.suppress(RedisError):
            restricted.run(other.words(["place", 1, "default"], **said), other.constants)
    come_back(first)
    given = first.ask(9, 9)
    assert given + 1 + 2 + 3 <= 9


@pytest.mark.parametrize("write", range(1, 12))
@pytest.mark.parametrize("part", [LEDGER, DIALLING])
def test_a_lost_ledger_that_failed_to_begin_anew_is_a_lost_one_still(
    ledger: BentLedger, part: int, write: int
) -> None:
    """The next that comes would take it for a new one, of which nobody knows any calls."""
    (worker,) = joined(ledger, "one")
    worker.ask(9, 3)
    ledger.now = 5000
    ledger.client.delete(ledger.names.keys[part])
    unlucky, next_one = Worker(ledger, "two"), Worker(ledger, "three")
    words = unlucky.words(join=unlucky.introduction(), renew=True)
    with contextlib.suppress(RedisError):
        ledger.exchange(ledger.now, words, unlucky.constants, fails=f"write {write}")
    next_one.join()
    assert opens_at(ledger, next_one) > 5000 + 12_000


@pytest.mark.parametrize("command", WRITES)
def test_a_worker_that_could_not_join_leaves_nothing(
    ledger: BentLedger, client_without: Callable[[str], Redis], command: str
) -> None:
    """Nobody would ever take its name out, since it has no lease to run out."""
    (worker,) = joined(ledger, "one")
    restricted = BentLedger(client_without(command), "", ledger.settings)
    restricted.names, restricted.now = ledger.names, ledger.now
    stranger = Worker(ledger, "two")
    with contextlib.suppress(RedisError):
        restricted.run(stranger.words(join=stranger.introduction(), renew=True), stranger.constants)
    for ledger.now in range(1_000, 40_000, 1_000):
        come_back(worker)
        worker.say(renew=True)
    assert ledger.client.hkeys(ledger.names.keys[SESSIONS]) == [b"one"]


# Another release ---------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [0, 1, 3])
def test_the_ledger_of_another_protocol_is_left_alone(ledger: BentLedger, protocol: int) -> None:
    """Two releases on one server would misread each other in silence."""
    (worker,) = joined(ledger, "one")
    ledger.client.hset(ledger.names.keys[LEDGER], "protocol", protocol)
    before = ledger.image()
    for said in (worker, Worker(ledger, "two")):
        assert said.join() == {"status": "foreign", "protocol": protocol}
    assert ledger.image() == before


def test_every_script_is_written_for_the_protocol_that_stands_in_the_ledger(
    ledger: BentLedger,
) -> None:
    """A ledger would be opened without its protocol, and read by every release."""
    joined(ledger, "one")
    protocol = ledger.client.hget(ledger.names.keys[LEDGER], "protocol")
    assert f"local PROTOCOL = {int(protocol or 0)} " in EXCHANGE.text

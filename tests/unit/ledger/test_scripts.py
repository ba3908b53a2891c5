"""What the server does in one exchange, by tables of (time, what is said, answer).

Unless a test says otherwise: a call is visible 2000 ms after its dial or its answer, readings come
every 1000 ms, 250 ms apart at least, and may be trusted for 15000 ms; a lease lasts for 10000 ms.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from callguard import Trunk
from callguard.backoff import backoff
from callguard.ledger.redis.settings import Settings
from tests.unit.ledger.bent_clock import (
    LIMITS,
    START,
    BentLedger,
    Happening,
    Reply,
    Worker,
    claim,
    joined,
    settings,
)

MakeLedger = Callable[[Settings], BentLedger]

CALL = "0123456789abcdef01234567"
"""What stands for a call."""


def read_at(ledger: BentLedger, worker: Worker, began: int, now: int | None = None) -> Reply:
    """Record a reading that began at `began` and counts no call, whoever's turn it was."""
    ledger.now = began if now is None else now
    return worker.record({"token": 0, "began": START + began})


def with_right(ledger: BentLedger, *names: str) -> tuple[Any, ...]:
    """The right to read, which the first of these workers has since 1010 ms, and the workers."""
    workers = joined(ledger, *names)
    ledger.now = 1010
    turn = workers[0].turn()
    assert turn is not None
    return turn, *workers


def counts(worker: Worker) -> list[int]:
    """The dialling and the uncounted."""
    found: list[int] = worker.say()["counts"]
    return found


def everything(client: Redis, ledger: BentLedger) -> dict[bytes, Any]:
    """All keys of the ledger, and what they hold."""
    found = {}
    for key in client.scan_iter(f"{ledger.names.channels}*"):
        is_hash = client.type(key) == b"hash"
        found[key] = client.hgetall(key) if is_hash else client.zrange(key, 0, -1, withscores=True)
    return found


# Exchanges and their numbers ---------------------------------------------------------------------


def test_an_exchange_that_runs_after_a_later_one_changes_nothing(
    client: Redis, ledger: BentLedger
) -> None:
    """An exchange that was given up would give back a slot that another call has by now."""
    (worker,) = joined(ledger, "one")
    worker.ask(1)
    late = worker.words(["release", 1])
    worker.join()
    before = everything(client, ledger)
    assert worker.send(late)["status"] == "overtaken"
    assert everything(client, ledger) == before


def test_an_exchange_that_runs_twice_gives_slots_once(ledger: BentLedger) -> None:
    """A client that tries again by itself would take two slots for one call."""
    (worker,) = joined(ledger, "one")
    twice = worker.words(claims=[claim(ceiling=9)])
    assert worker.send(twice)["counts"] == [1, 0]
    assert worker.send(twice)["status"] == "overtaken"
    worker.next += 1
    assert worker.join()["counts"] == [0, 0]


@pytest.mark.parametrize(
    "change",
    [{"name": "new"}, {"epoch": "another"}, {"acknowledged": 1}],
    ids=["never joined", "other ledger", "an answer was lost"],
)
def test_a_worker_that_knows_another_ledger_has_to_join(
    client: Redis, ledger: BentLedger, change: dict[str, Any]
) -> None:
    """Ledger and worker would go on from different ideas of what was given."""
    (worker,) = joined(ledger, "one")
    before = everything(client, ledger)
    stranger = Worker(ledger, change.get("name", "one"))
    stranger.epoch, stranger.number = worker.epoch, worker.number
    stranger.acknowledged = change.get("acknowledged", worker.acknowledged)
    stranger.epoch = change.get("epoch", worker.epoch)
    assert stranger.say(["note_change"])["status"] == "unknown"
    assert everything(client, ledger) == before


# Joining -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("began", "given"), [(999, 0), (1000, 0), (1001, 1)])
def test_a_new_ledger_admits_nobody_before_a_reading_that_began_after_the_grace(
    make_ledger: MakeLedger, began: int, given: int
) -> None:
    """Ledger that were lost would fill before a worker that knew them could say so."""
    ledger = make_ledger(settings(grace=1.0))
    worker = Worker(ledger, "one")
    worker.join()
    read_at(ledger, worker, began)
    assert worker.ask(9) == given


def test_after_a_lost_answer_what_it_gave_goes_back_and_what_is_held_stays(
    ledger: BentLedger,
) -> None:
    """A slot would be lost with the answer that gave it, or be taken from a call."""
    worker, other = joined(ledger, "one", "two")
    assert worker.ask(9, 2) == 2
    assert other.ask(9, 1) == 1
    worker.place()
    assert worker.lose(claims=[claim(ceiling=9, callers=3)])["counts"] == [5, 1]
    worker.next += 3
    reply = worker.join()
    assert (reply["counts"], reply.get("void"), reply["spent"]) == ([2, 1], None, False)
    assert worker.ask(9) == 1


def test_a_worker_in_doubt_of_its_last_exchange_is_asked_for_that_alone(ledger: BentLedger) -> None:
    """Who dials thousands of calls would keep the server from others whenever an answer is lost."""
    (worker,) = joined(ledger, "one")
    assert [worker.ask(999, 100) for _ in range(5)] == 5 * [100]
    worker.lose(claims=[claim(ceiling=999, callers=20)])
    worker.since, worker.next = worker.next, worker.next + 20
    reply = worker.join()
    assert (reply["counts"], ledger.items < 200) == ([500, 0], True)


@pytest.mark.parametrize("ran_out", [False, True], ids=["known", "lease ran out"])
def test_what_a_worker_held_before_its_last_exchange_is_looked_for_where_it_was_unknown(
    ledger: BentLedger, *, ran_out: bool
) -> None:
    """A worker that the ledger took for dead would dial calls that nobody counts as such."""
    worker, other = joined(ledger, "one", "two")
    assert worker.ask(9, 3) == 3
    ledger.now = 10001 if ran_out else 5000
    other.say(renew=True)
    worker.since = worker.next
    reply = worker.join()
    assert (reply["counts"], reply.get("void")) == ([3, 0], True if ran_out else None)


def test_a_dial_told_again_after_a_lost_answer_is_counted_once(ledger: BentLedger) -> None:
    """A call would count twice because the worker could not know that it was heard."""
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    worker.lose(["place", 1, "default"])
    assert worker.join(["place", 1, "default"])["counts"] == [0, 1]


def lose_all(ledger: BentLedger, image: dict[bytes, bytes]) -> None:
    ledger.forget()


def turn_back(ledger: BentLedger, image: dict[bytes, bytes]) -> None:
    ledger.turn_back(image)


def forget_the_worker(ledger: BentLedger, image: dict[bytes, bytes]) -> None:
    ledger.client.hdel(ledger.names.keys[0], "number/one")


@pytest.mark.parametrize("lose", [lose_all, turn_back, forget_the_worker])
@pytest.mark.parametrize(("began", "given"), [(17_000, 0), (17_001, 1)])
def test_a_lost_ledger_stays_closed_until_every_call_that_was_dialled_is_visible(
    ledger: BentLedger,
    lose: Callable[[BentLedger, dict[bytes, bytes]], None],
    began: int,
    given: int,
) -> None:
    """A flushed server or a lagging replica would start from zero.

    Here it is noticed at 5000 ms; another worker may dial until its lease is over, at 15000 ms.
    """
    (worker,) = joined(ledger, "one")
    image = ledger.image()
    worker.ask(9, 2)
    worker.place()
    ledger.now = 5000
    lose(ledger, image)
    assert worker.say()["status"] == "unknown"
    reply = worker.join()
    assert (reply["spent"], reply.get("void"), reply["counts"][0]) == (True, None, 1)
    ledger.now = 12_000
    worker.say(renew=True)
    read_at(ledger, worker, began)
    assert worker.ask(9) == given


def test_the_longest_times_that_any_worker_goes_by_count_when_a_ledger_is_lost(
    client: Redis, ledger: BentLedger, workspace_key: str
) -> None:
    """A worker with short times would open ledger in which another's calls are not visible yet."""
    patient = BentLedger(client, workspace_key, settings(counted_after=8.0, lease=20.0))
    Worker(patient, "slow").join()
    worker = Worker(ledger, "fast")
    worker.join()
    ledger.client.hdel(ledger.names.keys[0], "number/fast")
    ledger.now = 100
    worker.join()
    for ledger.now in (9_000, 18_000, 27_000):
        worker.say(renew=True)
    read_at(ledger, worker, 28_100)
    assert worker.ask(9) == 0
    read_at(ledger, worker, 28_101)
    assert worker.ask(9) == 1


# Leases ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "counted"), [(9999, [2, 0]), (10000, [0, 2])])
def test_what_a_silent_worker_was_dialling_is_placed_when_its_lease_runs_out(
    ledger: BentLedger, now: int, counted: list[int]
) -> None:
    """A worker that was killed would hold its slots for ever, or lose calls that it dialled."""
    silent, other = joined(ledger, "one", "two")
    silent.ask(9, 2)
    ledger.now = 9000
    other.say(renew=True)
    ledger.now = now
    assert counts(other) == counted


@pytest.mark.parametrize(("began", "uncounted"), [(12001, 1), (12002, 0)])
def test_a_buried_call_is_seen_by_a_reading_that_began_late_enough(
    ledger: BentLedger, began: int, uncounted: int
) -> None:
    """A call dialled at the last moment of a worker's life would not be counted."""
    silent, other = joined(ledger, "one", "two")
    silent.ask(9)
    ledger.now = 10000
    other.join()
    assert read_at(ledger, other, began)["counts"] == [0, uncounted]


def test_a_silent_worker_waits_in_the_queue_no_more(ledger: BentLedger) -> None:
    """Slots would be kept for callers that are gone."""
    silent, other = joined(ledger, "one", "two")
    silent.ask(0, 3)
    assert other.say()["others"]
    ledger.now = 10000
    assert not other.join()["others"]


def test_a_renewed_lease_lasts_from_the_renewal_on(ledger: BentLedger) -> None:
    """A call that lasts for hours would lose its slot to the lease of its first seconds."""
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    for ledger.now in range(9_000, 60_000, 9_999):
        assert worker.say(renew=True)["status"] == "ok"
    assert counts(worker) == [1, 0]


@pytest.mark.parametrize("absorbed", [False, True])
def test_a_worker_that_comes_back_after_its_lease_is_told_and_counted_once(
    ledger: BentLedger, absorbed: bool
) -> None:
    """A paused worker would dial on a slot that it has lost, without a word or a count."""
    silent, other = joined(ledger, "one", "two")
    silent.ask(9)
    ledger.now = 10000
    other.join()
    if absorbed:
        assert read_at(ledger, other, 12002)["counts"] == [0, 0]
    assert silent.say()["status"] == "unknown"
    reply = silent.join()
    assert (reply["void"], reply["counts"], reply["spent"]) == (True, [1, 0], False)
    assert silent.place()["counts"] == [0, 1]


def test_a_worker_that_leaves_leaves_nothing_but_what_it_was_dialling(
    client: Redis, ledger: BentLedger
) -> None:
    """A closed gate would stay queued, or take the calls with it that may have been placed."""
    worker, other = joined(ledger, "one", "two")
    worker.ask(9, 3)
    worker.ask(0, 4)
    worker.say(["release", 1], ["place", 2, "default"], leaves=True)
    reply = other.say()
    assert (reply["counts"], reply["others"]) == ([0, 2], False)
    left = {name for name, held in everything(client, ledger).items() if "one" in str(held)}
    permits_and_uncounted = {ledger.names.keys[3], ledger.names.keys[5]}
    assert left - {ledger.names.keys[0]} == permits_and_uncounted
    assert not client.hexists(ledger.names.keys[0], "number/one")


def test_a_worker_that_left_may_say_so_again(ledger: BentLedger) -> None:
    """A gate whose last answer is lost would close the ledger for all."""
    worker, other = joined(ledger, "one", "two")
    worker.lose(leaves=True)
    worker.join(leaves=True)
    assert other.ask(9) == 1


# What a reading authorises, and what it absorbs --------------------------------------------------


@pytest.mark.parametrize(("now", "given"), [(15009, 1), (15010, 1), (15011, 0)])
def test_a_reading_authorises_nothing_past_its_age(
    make_ledger: MakeLedger, now: int, given: int
) -> None:
    """Calls would be admitted on a count that is long out of date."""
    ledger = make_ledger(settings(lease=60.0))
    (worker,) = joined(ledger, "one")
    ledger.now = now
    assert worker.ask(9) == given


@pytest.mark.parametrize(("began", "given"), [(499, 0), (500, 0), (501, 1)])
def test_a_refusal_spends_every_reading_that_did_not_begin_later(
    ledger: BentLedger, began: int, given: int
) -> None:
    """Calls would be admitted on a count that the provider has just contradicted."""
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    ledger.now = 500
    reply = worker.say(["refuse"], ["release", 1])
    assert (reply["spent"], reply["counts"]) == (True, [0, 0])
    assert worker.ask(9) == 0
    reply = read_at(ledger, worker, began, now=600)
    assert reply["spent"] is not bool(given)
    assert worker.ask(9) == given


def test_without_a_reading_nobody_is_let_in(ledger: BentLedger) -> None:
    """An unknown count would be 0."""
    worker = Worker(ledger, "one")
    worker.join()
    ledger.now = 100
    assert worker.ask(9) == 0
    assert worker.say()["due_in"] <= 0


@pytest.mark.parametrize(
    ("answered_at", "began", "uncounted"),
    [
        (None, 2101, 1),
        (None, 2102, 0),
        (300, 801, 1),
        (300, 802, 0),
        (1900, 2101, 1),
        (1900, 2102, 0),
    ],
)
def test_a_call_is_seen_by_a_reading_that_began_after_it_was_surely_visible(
    make_ledger: MakeLedger, answered_at: int | None, began: int, uncounted: int
) -> None:
    """A call would be dropped too early, or be kept for too long.

    Placed at 100 ms, it is visible 2000 ms later, or 500 ms after its answer if that is earlier;
    one millisecond more is for rounding.
    """
    ledger = make_ledger(settings(counter_lag=0.5))
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    ledger.now = 100
    worker.place()
    if answered_at is not None:
        ledger.now = answered_at
        worker.say(["answered", 1])
    assert read_at(ledger, worker, began)["counts"] == [0, uncounted]


def test_a_call_that_is_dialled_still_is_not_absorbed(ledger: BentLedger) -> None:
    """A slow dial would lose its slot to a reading that can't have counted it."""
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    assert read_at(ledger, worker, 9000)["counts"] == [1, 0]


def test_a_reading_replaces_the_count_of_the_one_before(ledger: BentLedger) -> None:
    """Counts of two readings would add up, or the old one would stay."""
    (worker,) = joined(ledger, "one")
    for ledger.now, current in ((1010, 7), (2010, 3), (3010, 9)):
        worker.read(current)
        assert worker.ask(10, 10) == 10 - current
        worker.say(*worker.returned())


def test_time_that_runs_backwards_lets_in_no_more_than_fit(ledger: BentLedger) -> None:
    """A server whose clock was set back would forget calls, or admit more."""
    (worker,) = joined(ledger, "one")
    ledger.now = 8000
    worker.read()
    worker.ask(3)
    worker.place()
    ledger.now = 100
    assert worker.ask(3, 9) == 2
    assert worker.turn() is None
    assert counts(worker) == [2, 1]


# Ends of permits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("happenings", "counted"),
    [
        ([["release", 1]], [1, 0]),
        ([["release", 1], ["release", 1]], [1, 0]),
        ([["withdraw", 1]], [1, 0]),
        ([["place", 1, "default"]], [1, 1]),
        ([["place", 1, "default"], ["place", 1, "default"]], [1, 1]),
        ([["place", 1, "default"], ["withdraw", 1]], [1, 0]),
        ([["place", 1, "default"], ["answered", 1]], [1, 1]),
        ([["place", 1, "default"], ["bind", 1, CALL], ["note_ended", CALL]], [1, 0]),
        ([["bind", 1, CALL], ["note_ended", CALL]], [2, 0]),
        ([["answered", 1]], [2, 0]),
        ([["note_ended", CALL]], [2, 0]),
    ],
    ids=lambda value: " ".join(str(word[0]) for word in value if isinstance(word, list)),
)
def test_what_is_counted_after_what_was_told_of_one_call_of_two(
    ledger: BentLedger, happenings: list[Happening], counted: list[int]
) -> None:
    """A step of the accounting would lose a call, or count it for ever."""
    (worker,) = joined(ledger, "one")
    worker.ask(9, 2)
    assert worker.say(*happenings)["counts"] == counted


@pytest.mark.parametrize("at_once", [False, True])
def test_a_call_that_was_given_back_and_placed_after_all_counts(
    ledger: BentLedger, at_once: bool
) -> None:
    """A dial that came through after `cancel` would not be counted."""
    (worker,) = joined(ledger, "one")
    worker.ask(9, 2)
    happenings: list[Happening] = [["release", 1], ["place", 1, ""]]
    if not at_once:
        worker.say(happenings.pop(0))
    assert worker.say(*happenings)["counts"] == [1, 1]


def test_a_permit_that_was_absorbed_can_not_give_its_slot_back_again(ledger: BentLedger) -> None:
    """An end that is told late would take a slot from another call."""
    (worker,) = joined(ledger, "one")
    worker.ask(9, 2)
    worker.place()
    assert read_at(ledger, worker, 5000)["counts"] == [1, 0]
    assert worker.say(["withdraw", 1], ["answered", 1], ["bind", 1, CALL])["counts"] == [1, 0]


def test_a_slot_that_is_given_back_goes_to_the_next_in_the_same_exchange(
    ledger: BentLedger,
) -> None:
    """Every call would cost a round trip more than it needs."""
    (worker,) = joined(ledger, "one")
    assert worker.ask(2, 5) == 2
    assert worker.ask(2, 3, happenings=[["release", 1]]) == 1


# Evidence ----------------------------------------------------------------------------------------


def test_evidence_counts_whichever_worker_it_came_to(ledger: BentLedger) -> None:
    """A webhook that lands at another process would be of no use."""
    worker, other = joined(ledger, "one", "two")
    worker.ask(9)
    worker.say(["place", 1, "default"], ["bind", 1, CALL])
    assert other.say(["note_ended", CALL])["counts"] == [0, 0]


@pytest.mark.parametrize(
    ("kinds", "began", "uncounted"),
    [
        (["note_ended"], 1100, 0),
        (["note_answered"], 1101, 1),
        (["note_answered"], 1102, 0),
        (["note_answered", "note_ended"], 1100, 0),
        (["note_ended", "note_answered"], 1100, 0),
    ],
)
def test_evidence_that_came_before_the_dial_returned_counts_from_when_it_came(
    make_ledger: MakeLedger, kinds: list[str], began: int, uncounted: int
) -> None:
    """An answer at 600 ms would be forgotten, or count only from when the dial returned."""
    ledger = make_ledger(settings(counter_lag=0.5))
    worker, other = joined(ledger, "one", "two")
    worker.ask(9)
    for ledger.now, kind in zip((600, 700), kinds, strict=False):
        other.say([kind, CALL])
    ledger.now = 1000
    worker.say(["place", 1, "default"], ["bind", 1, CALL])
    assert read_at(ledger, worker, began)["counts"] == [0, uncounted]


@pytest.mark.parametrize(("now", "uncounted"), [(300_099, 0), (300_100, 1)])
def test_early_evidence_is_forgotten_after_five_minutes(
    make_ledger: MakeLedger, now: int, uncounted: int
) -> None:
    """Evidence of calls that were never placed here would pile up."""
    ledger = make_ledger(settings(lease=1000.0))
    (worker,) = joined(ledger, "one")
    worker.ask(9)
    ledger.now = 100
    worker.say(["note_ended", CALL])
    ledger.now = now
    worker.say(["note_ended", "f" * 24])
    assert worker.say(["place", 1, "default"], ["bind", 1, CALL])["counts"] == [0, uncounted]


def test_a_storm_of_early_evidence_pushes_out_the_oldest(client: Redis, ledger: BentLedger) -> None:
    """Evidence of calls that were never placed here would fill the server."""
    (worker,) = joined(ledger, "one")
    early = ledger.names.keys[10]
    client.zadd(early, {f"e{number:024x}": START + number for number in range(10_000)})
    ledger.now = 20_000
    worker.join(["note_ended", CALL])
    assert client.zcard(early) == 10_000
    assert client.zscore(early, f"e{0:024x}") is None
    assert client.zscore(early, f"e{CALL}") == START + 20_000


def test_ids_of_calls_leave_with_their_permits(client: Redis, ledger: BentLedger) -> None:
    """The server would remember every call for as long as the workspace is busy."""
    (worker,) = joined(ledger, "one")
    worker.ask(9, 3)
    calls = [f"{number:024x}" for number in range(3)]
    for lease, call in enumerate(calls, start=1):
        worker.say(["place", lease, "default"], ["bind", lease, call])
    assert client.hlen(ledger.names.keys[9]) == 6
    worker.say(["withdraw", 1], ["note_ended", calls[1]])
    assert client.hlen(ledger.names.keys[9]) == 2
    read_at(ledger, worker, 5000)
    assert not client.exists(ledger.names.keys[9])


# Whose turn it is to read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("happenings", "due_at"),
    [([], 1010), ([["note_change"]], 260), ([["refuse"]], 260)],
    ids=["nothing happened", "the count changed", "a call was refused"],
)
def test_when_the_next_reading_is_due(
    ledger: BentLedger, happenings: list[Happening], due_at: int
) -> None:
    """Readings would be too many, or come late when something is known to have changed."""
    worker, other = joined(ledger, "one", "two")
    ledger.now = 100
    worker.say(*happenings)
    ledger.now = due_at - 1
    assert other.turn() is None
    assert other.say()["due_in"] == 1
    ledger.now = due_at
    assert other.turn() is not None
    assert worker.turn() is None


def test_a_reading_that_a_change_came_after_is_followed_by_another_soon(ledger: BentLedger) -> None:
    """What changed while a reading was under way would be known a whole interval later."""
    turn, worker, other = with_right(ledger, "one", "two")
    ledger.now = 1100
    other.say(["note_change"])
    ledger.now = 1200
    assert worker.record(turn)["due_in"] == 60


@pytest.mark.parametrize(("now", "taken_over"), [(3009, False), (3010, True)])
def test_a_turn_lapses_when_nothing_comes_of_it(
    ledger: BentLedger, now: int, taken_over: bool
) -> None:
    """The death of whoever reads would leave all without readings, or two would read at once."""
    worker, other = joined(ledger, "one", "two")
    ledger.now = 1010
    assert worker.turn() is not None
    ledger.now = now
    assert (other.turn() is not None) is taken_over


def test_a_slow_reader_can_not_overwrite_a_newer_reading(ledger: BentLedger) -> None:
    """The count would go back to what it was seconds ago."""
    turn, slow, other = with_right(ledger, "one", "two")
    ledger.now = 4000
    other.read(current=5)
    ledger.now = 4500
    reading = slow.record(turn, current=1)["snapshot"]
    assert (reading["began"], reading["received"], reading["reader"]) == (
        START + 4000,
        START + 4000,
        "two",
    )
    assert slow.ask(9, 9) == 4


def test_a_slow_reader_does_not_end_the_turn_of_another(ledger: BentLedger) -> None:
    """Two workers would read at once after every slow answer."""
    turn, slow, other, third = with_right(ledger, "one", "two", "six")
    ledger.now = 3100
    assert other.turn() is not None
    slow.fail(turn)
    slow.record(turn)
    assert third.turn() is None


@pytest.mark.parametrize(("wait", "due_in"), [(0, 760), (7000, 7000)])
def test_a_failed_reading_is_followed_by_another_when_the_provider_wants_it(
    ledger: BentLedger, wait: int, due_in: int
) -> None:
    """A counter in trouble would be asked by every worker in turn, at once or at each webhook."""
    turn, worker, other = with_right(ledger, "one", "two")
    ledger.now = 1500
    assert worker.fail(turn, wait)["due_in"] == due_in
    other.say(["note_change"])
    ledger.now = 1500 + due_in - 1
    assert other.turn() is None
    ledger.now = 1500 + due_in
    assert other.turn() is not None


def test_the_pause_after_failures_in_a_row_grows_and_is_the_same_for_all(
    ledger: BentLedger,
) -> None:
    """Workers that take turns would hammer a provider that is down, each with its first tries."""
    workers = joined(ledger, "one", "two", "six")
    ledger.now = 1010
    for failures in range(1, 9):
        for worker in workers:
            worker.say(renew=True)
        turn = workers[failures % 3].turn()
        assert turn is not None
        ledger.now += 100
        due_in = workers[failures % 3].fail(turn)["due_in"]
        assert due_in == backoff(1.0, failures) * 1000
        ledger.now += due_in - 1
        assert [worker.turn() for worker in workers] == [None] * 3
        ledger.now += 1
    workers[0].read()
    ledger.now += 1000
    turn = workers[1].turn()
    assert turn is not None
    assert workers[1].fail(turn)["due_in"] == 1000


def test_a_failure_is_told_to_each_worker_once_and_not_after_a_reading(ledger: BentLedger) -> None:
    """A gate would not know why nobody is admitted, or believe in an outage that is over."""
    turn, worker, other, late = with_right(ledger, "one", "two", "six")
    failed = worker.fail(turn)["failed"]
    assert (failed["token"], failed["text"]) == (turn["token"], "HTTP 503")
    assert other.say(heard=0)["failed"] == failed
    assert "failed" not in other.say(heard=turn["token"])
    ledger.now = 2010
    other.read()
    assert "failed" not in late.say(heard=0)


@pytest.mark.parametrize(("stale", "given"), [(False, [[0, 1], [0, 2]]), (True, None)])
def test_the_bringer_of_a_snapshot_is_given_slots_by_it_at_once(
    ledger: BentLedger, stale: bool, given: list[list[int]] | None
) -> None:
    """Its callers would wait for one exchange more; or be admitted under the ceilings of a snapshot
    that the ledger has not taken."""
    (worker,) = joined(ledger, "one")
    ledger.now = 2000
    turn = worker.turn()
    assert turn is not None
    taken = {**turn, "current": 0, "limits": LIMITS}
    if stale:
        taken["began"] = START + 5
    reply = worker.say(taken=taken, claims=[claim(ceiling=2, callers=3)])
    assert (reply.get("grants") or None) == given
    assert (reply.get("again") == 0) is stale


def test_a_failure_is_told_to_all_at_once(ledger: BentLedger) -> None:
    """Callers at other gates would wait in silence until their gate asks."""
    turn, worker = with_right(ledger, "one")
    why = {"text": "HTTP 503", "kind": "unavailable", "status": 0, "mark": "key", "took": 0}
    words = worker.words(failed={"token": turn["token"], "wait": 0, "why": why})
    _, published = ledger.exchange(ledger.now, words, worker.constants)
    ((channel, message),) = published
    assert channel.endswith("all")
    said = json.loads(message)
    assert said["failed"] == {"token": turn["token"], **why}
    assert (said["due_in"], said["free_in"]) == (1000, 1000)


def test_a_failure_that_is_told_twice_is_one(ledger: BentLedger) -> None:
    """An exchange whose answer was lost would double the pause."""
    turn, worker = with_right(ledger, "one")
    assert worker.fail(turn)["due_in"] == 1000
    assert worker.fail(turn)["due_in"] == 1000


def test_a_turn_lasts_as_long_as_its_worker_says_that_it_goes_on(ledger: BentLedger) -> None:
    """Another worker would ask a provider that hangs already, or none would when one is gone."""
    turn, worker, other = with_right(ledger, "one", "two")
    while ledger.now < 3000:
        ledger.now += 1900
        worker.say(reads=turn["token"])
        assert other.turn() is None
    ledger.now += 1999
    assert other.turn() is None
    ledger.now += 1
    taken = other.turn()
    assert taken is not None
    ledger.now += 1900
    worker.say(reads=turn["token"])
    ledger.now += 100
    assert worker.turn() is not None


def test_a_turn_that_has_failed_does_not_go_on(ledger: BentLedger) -> None:
    """What a late exchange says of it would keep everybody from the next one."""
    turn, worker, other = with_right(ledger, "one", "two")
    worker.fail(turn)
    ledger.now = 1900
    worker.say(reads=turn["token"])
    ledger.now = 2010
    assert other.turn() is not None


# Slots -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "ceiling", "callers", "given"),
    [(0, 5, 3, 3), (0, 5, 9, 5), (3, 5, 9, 2), (5, 5, 9, 0), (9, 5, 9, 0), (0, -1, 9, 0)],
)
def test_as_many_slots_are_given_as_fit_and_are_asked_for(
    ledger: BentLedger, current: int, ceiling: int, callers: int, given: int
) -> None:
    """The count would exceed the ceiling, or slots would be wasted."""
    (worker,) = joined(ledger, "one", current=current)
    assert worker.ask(ceiling, callers) == given


def test_every_slot_comes_with_the_usage_that_it_made(ledger: BentLedger) -> None:
    """A permit would be taken for a normal one that only the burst ceiling admit."""
    (worker,) = joined(ledger, "one", current=3)
    asked = [
        claim(lane="bulk", priority=5, ceiling=6, callers=9),
        claim(lane="urgent", priority=0, ceiling=9, callers=2),
    ]
    assert worker.say(claims=asked)["grants"] == [[1, 4], [1, 5], [0, 6]]


def test_ceilings_of_an_older_reading_take_no_place(ledger: BentLedger) -> None:
    """A worker would go up to a limit that has been lowered since."""
    worker, other = joined(ledger, "one", "two")
    ledger.now = 2000
    other.read()
    reply = worker.say(claims=[claim(ceiling=9)])
    assert (reply.get("grants"), reply["again"]) == (None, 0)
    assert reply["snapshot"]["began"] == START + 2000
    assert worker.ask(9) == 1


def waiting(ledger: BentLedger, *names: str, free: int) -> list[Worker]:
    """Workers with five callers each, who came in this order; then slots became free."""
    reader, *workers = joined(ledger, "reader", *names, current=10)
    for worker in workers:
        assert worker.ask(10, 5) == 0
    ledger.now = 1010
    reader.read(current=10 - free)
    for worker in workers:
        worker.knows = START + 1010
    return workers


def test_workers_of_equal_priority_take_turns_one_slot_each(ledger: BentLedger) -> None:
    """Whoever speaks first would take all the slots."""
    workers = waiting(ledger, "one", "two", "six", free=4)
    assert [worker.ask(10, 5) for worker in workers] == [2, 1, 1]


def test_turns_go_on_where_they_stopped(ledger: BentLedger) -> None:
    """The same worker would be first at every slot that is given back."""
    one, two = waiting(ledger, "one", "two", free=1)
    given = [worker.ask(10, 5, happenings=worker.returned()) for worker in (one, two) * 4]
    assert given == [1, 0, 0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(("now", "given"), [(1010, 0), (1260, 0), (1261, 1)])
def test_a_slot_is_set_aside_for_a_worker_that_is_called_and_does_not_come(
    ledger: BentLedger, now: int, given: int
) -> None:
    """A worker that is gone would hold up all, or one that is coming would find nothing."""
    _, two = waiting(ledger, "one", "two", free=1)
    assert two.ask(10, 5) == 0
    ledger.now = now
    assert two.ask(10, 5) == given


def test_whoever_speaks_next_passes_a_worker_over_that_does_not_come(ledger: BentLedger) -> None:
    """Those who wait would ask again and again, only to see whether it is their turn by now."""
    _, two = waiting(ledger, "one", "two", free=1)
    idle = Worker(ledger, "six")
    idle.join()
    called = []
    for ledger.now in (1260, 1261, 1262):
        called.append(called_by(ledger, idle))
    assert called == [[], ["two"], []]
    assert two.ask(10, 5) == 1


def called_by(ledger: BentLedger, worker: Worker) -> list[str]:
    """Whom an exchange of this worker calls, which has nothing to say."""
    answer, published = ledger.exchange(ledger.now, worker.words(), worker.constants)
    worker.believe(json.loads(answer))
    return [channel.rpartition(":")[2] for channel, told in published if b"come" in told]


def test_a_worker_is_told_when_to_ask_again(ledger: BentLedger) -> None:
    """Slots that nobody comes for would stay free until the next reading."""
    _, two = waiting(ledger, "one", "two", free=1)
    asked = [claim(ceiling=10, callers=5)]
    assert two.say(claims=asked)["again"] == 251
    ledger.now += 100
    assert two.say(claims=asked)["again"] == 151


def test_a_worker_that_was_passed_over_has_its_turn_when_it_comes(ledger: BentLedger) -> None:
    """Being late once would cost a worker its place in the queue."""
    one, two = waiting(ledger, "one", "two", free=2)
    two.ask(10, 5)
    ledger.now += 300
    assert two.ask(10, 5) == 1
    assert two.ask(10, 5, happenings=two.returned()) == 2
    assert one.ask(10, 5) == 0
    assert two.ask(10, 5, happenings=two.returned()) == 1
    assert one.ask(10, 5) == 1


def test_a_higher_priority_goes_first_whichever_worker_it_waits_at(ledger: BentLedger) -> None:
    """Urgent calls of one process would wait for the bulk of another."""
    reader, bulk, urgent = joined(ledger, "reader", "one", "two", current=10)
    bulk.ask(10, 5, priority=5)
    urgent.ask(10, 3)
    ledger.now = 1010
    reader.read(current=6)
    bulk.knows = urgent.knows = START + 1010
    assert bulk.ask(10, 5, priority=5) == 1
    assert urgent.ask(10, 3) == 3


def test_a_priority_that_can_not_go_holds_up_nobody(ledger: BentLedger) -> None:
    """A lane with a large reserve would keep all lower ones waiting."""
    reader, bulk, urgent = joined(ledger, "reader", "one", "two", current=10)
    urgent.ask(2, 3)
    ledger.now = 1010
    reader.read(current=6)
    bulk.say()
    assert bulk.ask(10, 5, priority=5) == 4


def test_who_waits_no_more_is_not_waited_for(ledger: BentLedger) -> None:
    """A slot would be set aside for callers that have left."""
    one, two = waiting(ledger, "one", "two", free=1)
    one.ask(10, 0)
    assert two.ask(10, 5) == 1


# What is told unasked ----------------------------------------------------------------------------


def test_a_worker_is_called_once_and_alone_and_a_reading_is_told_to_all(
    client: Redis, ledger: BentLedger
) -> None:
    """Slots would wait for the next tick, or every worker would come for each of them."""
    prefix = ledger.names.channels
    heard: list[tuple[str, dict[str, Any]]] = []
    with client.pubsub() as bell:  # type: ignore[no-untyped-call]
        bell.psubscribe(f"{prefix}*")
        one, two = waiting(ledger, "one", "two", free=1)
        two.ask(10, 5)
        two.ask(10, 5)
        one.ask(10, 5)
        client.publish(f"{prefix}end", "{}")
        while not heard or heard[-1][0] != "end":
            message = bell.get_message(timeout=10.0)
            assert message is not None
            if message["type"] == "pmessage":
                channel = message["channel"].decode().removeprefix(prefix)
                heard.append((channel, json.loads(message["data"])))
    calls = [channel for channel, told in heard if "come" in told]
    readings = [told for channel, told in heard if channel == "all" and "snapshot" in told]
    assert calls == ["one"]
    assert [told["snapshot"]["began"] - START for told in readings] == [10, 1010]
    assert readings[-1]["counts"] == [0, 0]


# What an exchange costs --------------------------------------------------------------------------


def test_an_exchange_uses_no_more_commands_than_its_changes_need(ledger: BentLedger) -> None:
    """Each admission of each worker would cost the server more."""
    (worker,) = joined(ledger, "one")
    worker.say()
    idle = ledger.commands
    worker.ask(9, 3)
    worker.ask(9, 3, happenings=worker.returned())
    assert (idle, ledger.commands) == (6, 12)


def crowded(ledger: BentLedger, permits: int) -> tuple[Worker, Worker]:
    """Two workers, of which the first is dialling so many calls."""
    one, two = joined(ledger, "one", "two")
    while len(one.held) < permits:
        one.ask(permits, min(500, permits - len(one.held)))
    return one, two


def placed(worker: Worker, calls: int) -> list[Happening]:
    """What says that so many of its dials have returned."""
    return [["place", worker.held.pop(), "default"] for _ in range(calls)]


def test_an_exchange_looks_at_no_more_claims_than_there_are_slots(ledger: BentLedger) -> None:
    """Each slot that is given back would cost the server a look at all who wait."""
    worker, *others = joined(ledger, "one", *(f"w{number}" for number in range(40)), current=1)
    worker.ask(3, 2)
    for other in others:
        other.ask(3, 5)
    worker.say(*worker.returned()[:1])
    few = ledger.items
    for other in others:
        other.say(claims=[claim(ceiling=3, callers=0)])
    worker.ask(3, 2)
    others[0].ask(3, 5)
    others[1].ask(3, 5)
    worker.say(*worker.returned()[:1])
    assert few == ledger.items


def test_a_snapshot_absorbs_so_many_permits_at_once_and_the_rest_soon(ledger: BentLedger) -> None:
    """One worker's snapshot would keep the server from all others for as long as it has permits."""
    one, two = crowded(ledger, 250)
    one.say(*placed(one, 250))
    reply = read_at(ledger, two, 5000)
    left = [(reply["counts"], reply.get("again"))]
    assert ledger.items < 500
    for worker in (one, two, one):
        reply = worker.say()
        left.append((reply["counts"], reply.get("again")))
    assert left == [([0, 150], 0), ([0, 50], 0), ([0, 0], None), ([0, 0], None)]


@pytest.mark.parametrize("leaves", [False, True])
def test_a_worker_that_is_gone_is_buried_by_and_by(ledger: BentLedger, leaves: bool) -> None:
    """The death of one worker would keep the server from all others."""
    one, two = crowded(ledger, 250)
    if leaves:
        one.say(leaves=True)
    else:
        ledger.now = 9000
        two.say(renew=True)
        ledger.now = 10000
    buried = [two.say()["counts"] for _ in range(4 - leaves)]
    assert buried[-3:] == [[50, 200], [0, 250], [0, 250]]
    assert ledger.client.zrangebyscore(ledger.names.keys[1], 0, "+inf") == [b"two"]


def test_a_worker_that_comes_back_half_buried_is_told(ledger: BentLedger) -> None:
    """It would go on dialling on slots that a snapshot may free."""
    one, two = crowded(ledger, 250)
    ledger.now = 9000
    two.say(renew=True)
    ledger.now = 10000
    assert two.say()["counts"] == [150, 100]
    assert one.say()["status"] == "unknown"
    del one.held[:50]
    reply = one.join()
    assert (reply["void"], reply["counts"][0]) == (True, 200)
    assert sum(counts(two)) == sum(reply["counts"])


def test_a_worker_that_joins_reads_nothing_of_the_permits_of_others(ledger: BentLedger) -> None:
    """Each worker that comes would keep the server from those that dial."""
    one, two = joined(ledger, "one", "two")
    two.join()
    beside_none = ledger.items
    for _ in range(2):
        one.ask(1000, 100)
    one.say(*placed(one, 100))
    two.join()
    assert ledger.items == beside_none


# What is on the server, and for how long ---------------------------------------------------------


def busy(ledger: BentLedger, api_key: str) -> list[Worker]:
    """Workers that have made use of every key."""
    one, two, six = workers = joined(ledger, "one", "two", "six")
    name = ledger.names.call
    one.ask(9, 1, trunk=Trunk("twilio", calls=5, longest_call=600.0))
    one.ask(9, 2)
    one.say(["place", 1, "default"], ["bind", 1, name("call_bound")])
    one.say(["note_ended", name("call_early")])
    two.ask(0, 3)
    six.ask(3, 3)
    one.say(["release", 2])
    one.say(["pause", '["bulk",null]', "host:1", "why"])
    return workers


def test_neither_the_api_key_nor_an_id_of_a_call_is_on_the_server(
    client: Redis, ledger: BentLedger, workspace_key: str
) -> None:
    """Whoever reads the server would learn a secret, or whom the workspace talks to."""
    busy(ledger, workspace_key)
    found = everything(client, ledger)
    assert set(found) == set(ledger.names.keys)
    for secret in (workspace_key, "call_bound", "call_early"):
        assert secret not in str(found)


def test_every_key_expires_an_hour_after_the_last_call_is_surely_over(
    client: Redis, ledger: BentLedger, workspace_key: str
) -> None:
    """A workspace that is no longer used would stay on the server, or be lost while calls go on."""
    for worker in busy(ledger, workspace_key):
        worker.say(renew=True)
    assert set(everything(client, ledger)) == set(ledger.names.keys)
    _, paused = ledger.names.keys_of_pauses
    for key in set(ledger.names.keys) - {paused}:
        assert 4_130_000 < client.pttl(key) <= 4_230_000


def test_a_key_that_is_new_expires_without_another_renewal(
    client: Redis, ledger: BentLedger, workspace_key: str
) -> None:
    """The last worker's last calls would stay on the server for ever."""
    for worker in busy(ledger, workspace_key):
        worker.say(leaves=True)
    _, paused = ledger.names.keys_of_pauses
    assert [key for key in everything(client, ledger) if client.pttl(key) < 0] == [paused]

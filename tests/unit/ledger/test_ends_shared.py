"""Ends that free at once on a server, by tables of what is said and what is in use then.

A call is counted 2000 ms after its dial or its answer, and a counter is 1000 ms late.
"""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from redis import Redis

from callguard.in_hand import MOST, WINDOW
from callguard.ledger.redis.own_calls import OwnCalls
from tests.unit.ledger.bent_clock import START, BentLedger, Happening, Reply, Worker, claim

LONGEST = 7_200_000
"""Milliseconds for which a call can last."""

CEILING = 5

TAKEN: dict[str, Any] = {
    "token": 0,
    "current": CEILING,
    "limits": json.dumps({"current_concurrency": CEILING, "concurrency_limit": 9}),
}
"""A snapshot, but for when it began."""


class Ending(Worker):
    """A worker where ends free at once."""

    def words(self, *happenings: Happening, **more: object) -> str:
        return super().words(*happenings, **{"ends": LONGEST, "renew": True, **more})


def joined(ledger: BentLedger, *workers: Worker) -> None:
    """Let workers come, the first of which reads that nobody calls."""
    for worker in workers:
        worker.join()
    ledger.now = 10
    workers[0].read()
    for worker in workers[1:]:
        worker.say()


def call(number: int) -> str:
    return f"{number:024x}"


def placed(worker: Worker, calls: int) -> None:
    """Dial as many calls as there may be, and know their ids."""
    assert worker.ask(CEILING, calls) == calls
    said: list[Happening] = []
    for number in worker.held:
        said += [["place", number, "default"], ["bind", number, call(number)]]
    worker.held.clear()
    worker.say(*said)


def read(ledger: BentLedger, worker: Worker, current: int, *, after: int = 3000) -> int:
    """Read a count so many ms later; returns when that began, on the ledger's clock."""
    ledger.now += after
    worker.read(current)
    return START + ledger.now


def ended(worker: Worker, number: int, heard: int = 0) -> Reply:
    """Say that a call is over, and after which snapshot."""
    return worker.say(
        ["note_ended", call(number), heard] if heard else ["note_ended", call(number)]
    )


def usage(reply: Reply, current: int) -> int:
    """What is in use by a snapshot that counts `current` calls."""
    dialling, uncounted, *_ = reply["counts"]
    return int(current + dialling + uncounted - reply.get("ended", 0))


def facts(ledger: BentLedger) -> dict[str, str]:
    """The fields of the ledger's hash."""
    found = cast("dict[bytes, bytes]", ledger.client.hgetall(ledger.names.keys[0].decode()))
    return {name.decode(): value.decode() for name, value in found.items()}


@pytest.fixture
def full(ledger: BentLedger) -> tuple[Ending, int]:
    """A worker whose calls 1 to 5 are in the count, and when the snapshot began that says so."""
    worker = Ending(ledger, "one")
    joined(ledger, worker)
    placed(worker, CEILING)
    return worker, read(ledger, worker, CEILING, after=6000)  # it alone is in hand


def test_a_call_that_ended_after_the_snapshot_frees_its_slot(full: tuple[Ending, int]) -> None:
    """A slot would stay taken until the count falls, which is what is to be gained."""
    worker, began = full
    assert worker.ask(CEILING) == 0
    assert ended(worker, 1, began)["ended"] == 1
    assert worker.ask(CEILING, 2) == 1
    assert worker.ask(CEILING) == 0


@pytest.mark.parametrize("heard", [0, -1])
def test_a_call_that_may_have_ended_before_the_snapshot_frees_nothing(
    full: tuple[Ending, int], heard: int
) -> None:
    """The snapshot may not count it, so that one call too many would be dialled."""
    worker, began = full
    assert "ended" not in ended(worker, 1, began + heard if heard else 0)
    assert worker.ask(CEILING) == 0


def test_an_end_that_is_told_twice_frees_one_slot(full: tuple[Ending, int]) -> None:
    """Webhooks come twice, and each copy would admit a call."""
    worker, began = full
    ended(worker, 1, began)
    assert ended(worker, 1, began)["ended"] == 1
    again = worker.say(["withdraw", 1], ["note_ended", call(1), began])
    assert again["ended"] == 1


@pytest.mark.parametrize("end", ["early", "withdraw"])
def test_an_end_without_a_moment_frees_nothing(full: tuple[Ending, int], end: str) -> None:
    """What came before the call's id, or from the caller, doesn't say when the call ended."""
    worker, began = full
    if end == "early":
        ended(worker, 1, began)
        worker.ask(CEILING)
        number = worker.held.pop()
        worker.say(["note_ended", call(number), began])
        last = worker.say(["place", number, "default"], ["bind", number, call(number)])
        assert last["ended"] == 1
    else:
        last = worker.say(["withdraw", 1])
        assert "ended" not in last


def test_what_a_later_snapshot_proves_is_not_forgotten(
    ledger: BentLedger, full: tuple[Ending, int]
) -> None:
    """Others that came since an early snapshot would be hidden by the credit against that one."""
    worker, began = full
    ended(worker, 1, began)
    ended(worker, 2, began)
    read(ledger, worker, CEILING, after=2500)  # so both have left the counter, and two others came
    assert usage(worker.say(), CEILING) == CEILING


def test_a_late_counter_keeps_nothing_taken(ledger: BentLedger, full: tuple[Ending, int]) -> None:
    """The next snapshot counts the calls that are over a moment longer, and would take slots."""
    worker, began = full
    ended(worker, 1, began)
    ended(worker, 2, began)
    read(ledger, worker, CEILING, after=1000)
    assert usage(worker.say(), CEILING) == CEILING - 2


def test_a_snapshot_is_in_hand_for_the_window(ledger: BentLedger, full: tuple[Ending, int]) -> None:
    """What others add would be hidden for longer than the reserve is for."""
    worker, began = full
    ended(worker, 1, began)
    for _ in range(MOST + 3):
        read(ledger, worker, CEILING, after=1000)
    snapshots = json.loads(facts(ledger)["in_hand"])["snapshots"]
    assert len(snapshots) == WINDOW + 1
    ledger.now += 1000 * int(WINDOW) + 1
    worker.read(CEILING)
    assert len(json.loads(facts(ledger)["in_hand"])["snapshots"]) == 1
    assert usage(worker.say(), CEILING) == CEILING


def test_no_more_snapshots_are_in_hand_than_are_worth_it(
    ledger: BentLedger, full: tuple[Ending, int]
) -> None:
    """Each exchange would read and write ever more."""
    worker, _ = full
    for _ in range(MOST + 3):
        ledger.now += 50
        worker.record({"token": 0, "began": START + ledger.now}, CEILING)
    assert len(json.loads(facts(ledger)["in_hand"])["snapshots"]) == MOST


def test_an_absorption_in_pieces_counts_each_call_once(
    client: Redis, workspace_key: str, ledger: BentLedger
) -> None:
    """Where a snapshot counts more calls than one exchange absorbs, usage would stay too high."""
    worker = Ending(ledger, "one")
    worker.constants = worker.constants.replace(b" 100 ", b" 2 ", 1)
    joined(ledger, worker)
    for _ in range(3):
        worker.ask(6, 2)
    placed_all: list[Happening] = []
    for number in worker.held:
        placed_all += [["place", number, "default"], ["bind", number, call(number)]]
    worker.say(*placed_all)
    began = read(ledger, worker, 6)
    for _ in range(3):
        worker.say()
    assert usage(worker.say(), 6) == 6
    assert ended(worker, 1, began)["ended"] == 1


def test_a_worker_without_it_sees_and_decides_by_the_plain_rule(
    ledger: BentLedger, full: tuple[Ending, int]
) -> None:
    """A gate that was not set to believe this would dial by it, and what the other kept would be
    held against calls that have ended meanwhile."""
    worker, began = full
    plain = Worker(ledger, "plain")
    plain.join()
    ended(worker, 1, began)
    assert plain.ask(CEILING) == 0
    assert "ended" not in plain.say()
    assert plain.say(["note_ended", call(2), began])["counts"] == [0, 0]
    assert "ended" not in worker.say()
    assert ended(worker, 3, began)["ended"] == 1


def test_calls_of_a_worker_without_it_take_their_slots(
    ledger: BentLedger, full: tuple[Ending, int]
) -> None:
    """They aren't listed, and would be missing in the usage, or be taken for ended ones."""
    worker, _ = full
    plain = Worker(ledger, "plain")
    plain.join()
    read(ledger, worker, 3, after=3000)
    plain.say()
    assert plain.ask(CEILING, 2) == 2
    assert usage(worker.say(), 3) == CEILING
    plain.say(["place", 1, "default"], ["place", 2, "default"])
    assert usage(worker.say(), 3) == CEILING
    later = read(ledger, worker, CEILING)
    assert usage(worker.say(), CEILING) == CEILING
    assert ended(worker, 1, later)["ended"] == 1
    assert usage(worker.say(), CEILING) == CEILING - 1


def test_a_permit_that_comes_back_to_dialling_counts_again(
    ledger: BentLedger, full: tuple[Ending, int]
) -> None:
    """A worker whose lease ran out dials after all, and its call is not the one that was taken to
    be in the count."""
    worker, _ = full
    assert usage(worker.say(["hold", 1, "default"]), CEILING) == CEILING + 1


def test_a_refusal_ends_it_for_all_and_for_good(
    ledger: BentLedger, full: tuple[Ending, int]
) -> None:
    """A wrong belief would cost one refused dial after another."""
    worker, began = full
    ended(worker, 1, began)
    refused = worker.say(["refuse"])
    assert "ended" not in refused
    assert refused["counts"][2] == -1
    read(ledger, worker, CEILING)
    assert "ended" not in ended(worker, 2, START + ledger.now)


def test_a_lost_ledger_owes_nothing(
    client: Redis, ledger: BentLedger, full: tuple[Ending, int]
) -> None:
    """Ends from before would free slots in a ledger that doesn't know the calls."""
    worker, began = full
    ended(worker, 1, began)
    ledger.forget()
    worker.say()
    worker.join(["note_ended", call(2), began])
    assert "in_hand" not in facts(ledger)
    ledger.now += 60_000
    worker.join()
    began = read(ledger, worker, CEILING)
    assert "ended" not in ended(worker, 3, began)


def test_a_restored_ledger_owes_nothing(ledger: BentLedger, full: tuple[Ending, int]) -> None:
    """A dump would bring back the credit for calls that the next snapshot misses already."""
    worker, began = full
    ended(worker, 1, began)
    image = ledger.image()
    read(ledger, worker, CEILING - 1)
    ledger.turn_back(image)
    assert worker.say()["status"] == "unknown"
    reply = worker.join()
    assert reply["lost"]
    assert "ended" not in reply


@pytest.mark.parametrize("by", [-3_600_000, -700, 60_000])
def test_a_step_of_the_servers_clock_leaves_the_latest_snapshot_in_hand(
    ledger: BentLedger, full: tuple[Ending, int], by: int
) -> None:
    """The window would last for as long as the clock has stepped back."""
    worker, began = full
    ended(worker, 1, began)
    ledger.step += by
    ledger.now += 100
    assert "ended" not in worker.say()
    assert len(json.loads(facts(ledger)["in_hand"])["snapshots"]) == 1


def test_all_are_told_the_same(ledger: BentLedger, full: tuple[Ending, int]) -> None:
    """One gate would show and claim by another usage than the others."""
    worker, began = full
    ended(worker, 1, began)
    ledger.now += 1000
    taken = {**TAKEN, "began": START + ledger.now}
    answer, published = ledger.exchange(ledger.now, worker.words(taken=taken), worker.constants)
    (told,) = (json.loads(message) for _, message in published)
    assert told["ended"] == json.loads(answer)["ended"] == 1


@pytest.mark.parametrize("belief", ["ends", "apart"])
@pytest.mark.parametrize(("happenings", "own"), [([], 0), ([["refuse"]], -1)])
def test_all_are_told_of_no_own_calls_as_of_some(
    ledger: BentLedger, belief: str, happenings: list[Happening], own: int
) -> None:
    """A gate that only listens would not know whose the calls are, while none is its own."""
    worker = Worker(ledger, "one")
    joined(ledger, worker)
    ledger.now += 1000
    said = {belief: LONGEST, "taken": {**TAKEN, "began": START + ledger.now}}
    answer, published = ledger.exchange(
        ledger.now, worker.words(*happenings, **said), worker.constants
    )
    (told,) = (json.loads(message) for _, message in published)
    assert told["counts"] == json.loads(answer)["counts"] == [0, 0, own]


def test_a_slot_that_is_freed_goes_to_whoever_waits(
    ledger: BentLedger, full: tuple[Ending, int]
) -> None:
    """A caller of another worker would wait for the next snapshot."""
    worker, began = full
    other = Ending(ledger, "other")
    other.join()
    other.say()
    other.say(claims=[claim(ceiling=CEILING)])
    ended(worker, 1, began)
    other.say(claims=[claim(ceiling=CEILING)])
    assert len(other.held) == 1


@pytest.mark.parametrize("later", [0, 999, 1001])
@pytest.mark.parametrize("current", [3, 4, 5])
def test_people_see_what_a_new_reading_would_show(
    ledger: BentLedger, full: tuple[Ending, int], later: int, current: int
) -> None:
    """`callguard status` reads anew, and would tell another headroom than the gates have then."""
    worker, began = full
    ledger.now += 2000
    ended(worker, 1, began)
    ended(worker, 2, began)
    ledger.now += later
    (key,) = [key.decode() for key in ledger.names.keys if key.endswith(b":occupied")]
    members = cast("list[bytes]", ledger.client.zrange(key, 0, -1))
    listed = [member.decode() for member in members]
    seen = OwnCalls.found(facts(ledger), listed, START + ledger.now)
    assert seen.ended() == worker.say()["ended"] == 2
    expected = seen.ended_by(current, dialling=0, uncounted=0)
    worker.read(current)
    assert worker.say().get("ended", 0) == expected


def test_one_end_that_is_sure_hides_no_other(full: tuple[Ending, int]) -> None:
    """Of two ends in one exchange, that without a moment would free a slot as well."""
    worker, began = full
    both = worker.say(["note_ended", call(1), began], ["note_ended", call(2)])
    assert both["ended"] == 1


def test_what_a_worker_without_it_did_is_not_taken_for_nothing(ledger: BentLedger) -> None:
    """What it absorbed would hide what has ended meanwhile, by its word."""
    worker, plain = Ending(ledger, "one"), Worker(ledger, "plain")
    joined(ledger, worker, plain)
    placed(worker, CEILING - 1)
    read(ledger, worker, CEILING - 1, after=6000)
    assert worker.ask(CEILING) == 1
    worker.say(["place", worker.held.pop(), "default"])
    ledger.now += 2500
    assert worker.ask(CEILING + 1) == 1
    worker.say(*worker.returned())
    turn = plain.say(["note_ended", call(1)], wants_reading=True, renew=True)["right_to_read"]
    plain.record(turn, CEILING)
    assert usage(worker.say(), CEILING) == CEILING

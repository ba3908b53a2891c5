"""What a worker says of many permits, in pieces of three, and what the server does at once.

The times are those of `test_scripts`: a call is visible 2000 ms after its dial, and a lease lasts
for 10000 ms.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from callguard import CallGuardError, Limits
from callguard.ledger import Claim, DatedPause
from callguard.ledger.redis.settings import Settings
from tests.unit.ledger.bent_clock import BentLedger, Worker, claim, joined, settings, side_of

PERMITS = 10
"""More than three pieces."""

Request = dict[str, Any]


@pytest.fixture
def ledger(make_ledger: Callable[[Settings], BentLedger]) -> BentLedger:
    return make_ledger(replace(settings(), at_once=3))


class Holder:
    """The library's side of a worker, whose exchanges the test makes or loses."""

    def __init__(self, ledger: BentLedger, share: int | None = None) -> None:
        self.wanted = 0
        self.held: list[int] = []
        self.taken_for_placed: set[int] = set()
        self._ledger = ledger
        side = side_of("holder", ledger.names, ledger.settings, self, self._time, share=share)
        self.view, self._conversation = side.view, side.conversation

    def _time(self) -> float:
        return self._ledger.now / 1000

    def request(self) -> tuple[Request, bytes]:
        words, constants = self._conversation.request()
        request: Request = json.loads(words)
        return request, self._ledger.run(words, constants)

    def lose(self) -> Request:
        """Make an exchange whose answer doesn't come."""
        request, _ = self.request()
        self._conversation.doubt()
        return request

    def say(self) -> Request:
        """Make an exchange, which has to take place, and hear its answer."""
        request, answer = self.request()
        assert self._conversation.accept(answer), answer
        return request

    def come_back(self) -> Request:
        """Make an exchange that the ledger doesn't take, and then join."""
        _, answer = self.request()
        assert not self._conversation.accept(answer)
        self._conversation.doubt()
        return self.say()

    def say_all(self) -> list[Request]:
        """Make exchanges until there is nothing more to say."""
        said: list[Request] = []
        while self._goes_on:
            assert len(said) < PERMITS
            said.append(self.say())
        return said

    @property
    def _goes_on(self) -> bool:
        asks = bool(self.wanted) and self._conversation.ask_again_at is not None
        return bool(self.view.outbox) or self._conversation.goes_on or asks

    def leave(self) -> None:
        self._conversation.leaves = True

    def take(self, permits: int) -> None:
        self.wanted = permits
        for _ in range(permits):
            self.say()

    @property
    def counts(self) -> tuple[int, int]:
        usage = self.view.usage()
        return usage.dialling, usage.uncounted

    def claims(self, limits: Limits | None = None) -> list[Claim]:
        return [Claim("default", 0, 99, self.wanted, 0.0)] if self.wanted else []

    def granted(self, claim: Claim, number: int, usage: int) -> None:
        self.held.append(number)
        self.wanted -= 1

    def lost(self, lanes: Mapping[int, str]) -> None:
        self.taken_for_placed |= set(lanes)

    def take_pauses(self, pauses: Sequence[DatedPause]) -> None: ...

    def unreachable(self, error: CallGuardError) -> None: ...

    def reachable(self, away: float) -> None: ...


def holding(ledger: BentLedger, permits: int = PERMITS) -> tuple[Holder, Worker]:
    """A worker that is dialling so many calls, and another."""
    (other,) = joined(ledger, "other")
    holder = Holder(ledger)
    holder.say()
    holder.take(permits)
    assert holder.counts == (permits, 0)
    return holder, other


def begun_anew(ledger: BentLedger, permits: int = PERMITS) -> tuple[Holder, Worker]:
    """The same, after the ledger was lost and the other has opened a new one; at 20000 ms."""
    holder, other = holding(ledger, permits)
    ledger.forget()
    assert other.say()["status"] == "unknown"
    other.join()
    for ledger.now in (8_000, 16_000, 20_000):
        other.say(renew=True)
    other.read()
    assert other.ask(9) == 1
    return holder, other


def read_at(ledger: BentLedger, worker: Worker, now: int) -> None:
    """Take a snapshot then, after renewals of the lease."""
    for at in (*range(ledger.now + 3000, now, 3000), now):
        ledger.now = at
        worker.say(renew=True)
    worker.read()


def test_a_holder_that_comes_back_names_all_its_permits_a_few_at_a_time(ledger: BentLedger) -> None:
    """It would keep the server from all others for as long as it has permits."""
    holder, _ = begun_anew(ledger)
    first = holder.come_back()
    assert first["join"]["held"] == [[8, 10, "default"]]
    assert holder.counts == (1 + 3, 0)
    rest = holder.say_all()
    assert [len(each["happenings"]) for each in rest] == [3, 3, 1]
    assert holder.counts == (1 + PERMITS, 0)


@pytest.mark.parametrize("pieces", [0, 1, 2])
@pytest.mark.parametrize(("began", "given"), [(12_000, 0), (12_001, 1)])
def test_a_ledger_that_was_told_of_a_part_admits_nobody_until_all_calls_are_visible(
    ledger: BentLedger, pieces: int, began: int, given: int
) -> None:
    """The holder dies between two pieces; others would be admitted on the part that it has said."""
    holder, other = begun_anew(ledger)
    holder.come_back()
    for _ in range(pieces):
        ledger.now += 1000
        assert holder.say()["unsaid"]
    read_at(ledger, other, ledger.now + began)
    assert other.ask(99) == given


def test_a_ledger_that_was_told_of_everything_at_once_goes_on(ledger: BentLedger) -> None:
    """Each worker that comes back with a few permits would stop all others for its lease."""
    holder, other = begun_anew(ledger, permits=3)
    assert "holds_more" not in holder.come_back()["join"]
    assert other.ask(9) == 1


def test_what_was_taken_for_placed_is_dialling_again_piece_by_piece(ledger: BentLedger) -> None:
    """A call that is dialled late would be taken for counted too early."""
    holder, other = holding(ledger)
    for ledger.now in (5_000, 10_010, 10_110, 10_210, 10_310):
        other.say(renew=True)
    assert other.say()["counts"] == [0, PERMITS]
    holder.come_back()
    assert holder.taken_for_placed == set(holder.held)
    assert holder.counts == (3, PERMITS - 3)
    holder.view.place(holder.held[0], ledger.now / 1000)
    said = holder.say_all()
    assert holder.counts == (PERMITS - 1, 1)
    assert not any("unsaid" in each for each in said)
    assert not other.say()["spent"]


def test_a_holder_that_leaves_names_all_its_permits_before(ledger: BentLedger) -> None:
    """Those that it did not name would be counted by nobody."""
    holder, other = begun_anew(ledger)
    holder.leave()
    assert "leaves" not in holder.come_back()
    assert [each.get("leaves") for each in holder.say_all()] == [None, None, True]
    assert sum(other.say()["counts"]) == 1 + PERMITS


def test_one_exchange_grants_a_few_slots_and_the_next_comes_at_once(ledger: BentLedger) -> None:
    """A thousand callers would keep the server from all others until each has its slot."""
    worker, other = joined(ledger, "one", "two")
    other.ask(0, 1)
    reply = worker.say(claims=[claim(ceiling=9, callers=5)])
    assert (len(reply["grants"]), reply["again"]) == (3, 0)
    assert other.say(claims=[claim(ceiling=9)])["others"]


def test_if_the_next_exchange_does_not_come_others_get_the_slots(ledger: BentLedger) -> None:
    """Slots would stay free while callers wait for them, because one worker was killed."""
    worker, other, third = joined(ledger, "one", "two", "three")
    worker.ask(9, 4)
    worker.say(*worker.returned())
    worker.ask(0, 3)
    other.ask(0, 1)
    other.ask(9, 9)
    assert worker.say()["counts"] == [3, 0]
    ledger.now += 300
    assert third.ask(9) == 1


def test_a_worker_that_joins_claims_nothing_and_then_at_once(ledger: BentLedger) -> None:
    """While no answer comes, the server would have ever more permits to look for."""
    holder, _ = holding(ledger)
    holder.wanted = 4
    for _ in range(5):
        request = holder.lose()
    assert request["join"]["until"] - request["join"]["since"] == 3
    holder.say()
    assert holder.counts == (PERMITS, 0)
    holder.say_all()
    assert (holder.wanted, holder.counts) == (0, (PERMITS + 4, 0))


def test_a_permit_of_the_share_that_the_server_may_know_is_given_back(ledger: BentLedger) -> None:
    """The server would hold its slot until the worker is gone."""
    joined(ledger, "other")
    holder = Holder(ledger, share=9)
    holder.say()
    holder.lose()
    holder.view.alone = True
    numbers = [holder.view.acquire(9, ledger.now / 1000) for _ in range(5)]
    assert holder.lose()["join"]["held"] == [[1, 5, ""]]
    holder.view.release(numbers[-1])
    holder.view.alone = False
    holder.say()
    holder.say_all()
    assert holder.counts == (4, 0)

"""Inbound calls that are counted apart on a server, and several workers that wait.

A call is counted 2000 ms after its dial. Of fourteen calls at most, eight are kept free for inbound
ones, of which two go on.
"""

from __future__ import annotations

import json

import pytest

from tests.unit.ledger.bent_clock import BentLedger, Happening, Worker, claim

LONGEST = 7_200_000
"""Milliseconds for which a call can last."""

OUTBOUND, RESERVED, INBOUND = 6, 8, 2


class Apart(Worker):
    """A worker that counts inbound calls apart, all of whose callers are on one lane."""

    def words(self, *happenings: Happening, **more: object) -> str:
        return super().words(*happenings, **{"apart": LONGEST, "renew": True, **more})

    def wait(self, callers: int, *happenings: Happening) -> int:
        """Claim slots for so many callers; how many are given."""
        before = len(self.held)
        asked = claim(ceiling=OUTBOUND, callers=callers, kept_free=(RESERVED, 0))
        self.say(*happenings, claims=[asked])
        return len(self.held) - before


def ended(number: int) -> Happening:
    return ["note_ended", f"{number:024x}"]


@pytest.fixture
def workers(ledger: BentLedger) -> tuple[Apart, Apart]:
    """Two workers, of which the first has all the calls that fit, and all of these are counted."""
    one, two = Apart(ledger, "one"), Apart(ledger, "two")
    one.join()
    two.join()
    ledger.now = 10
    one.read()
    assert one.wait(OUTBOUND) == OUTBOUND
    said: list[Happening] = []
    for number in one.held:
        said += [["place", number, "default"], ["bind", number, f"{number:024x}"]]
    one.held.clear()
    one.say(*said)
    ledger.now += 3000
    one.read(OUTBOUND + INBOUND)
    two.say()
    return one, two


def told(ledger: BentLedger, worker: Worker, *happenings: Happening) -> list[str]:
    """Say something; to which workers the server says that they are to come."""
    answer, published = ledger.exchange(ledger.now, worker.words(*happenings), worker.constants)
    worker.believe(json.loads(answer))
    come = [channel for channel, message in published if "come" in json.loads(message)]
    return [channel.rpartition(":")[2] for channel in come]


def test_who_waits_is_called_when_another_worker_hears_of_an_end(
    ledger: BentLedger, workers: tuple[Apart, Apart]
) -> None:
    """A caller would wait for its worker's next heartbeat beside a slot that is free."""
    one, two = workers
    assert two.wait(1) == 0
    assert told(ledger, one) == []
    assert told(ledger, one, ended(1)) == ["two"]
    assert two.wait(1) == 1


def test_of_those_that_wait_at_two_workers_nobody_overtakes(
    workers: tuple[Apart, Apart],
) -> None:
    """Whichever worker hears of an end would take its slot, however long others have waited."""
    one, two = workers
    assert two.wait(2) == 0
    assert one.wait(2) == 0
    waiting, order = {"two": 2, "one": 2}, []
    for number in (1, 2, 3, 4):
        one.say(ended(number))
        for name, worker in (("one", one), ("two", two)):
            if given := worker.wait(waiting[name]):
                waiting[name] -= given
                order += [name] * given
    assert order == ["two", "one", "two", "one"]


def test_who_counts_all_together_judges_others_likewise(
    ledger: BentLedger, workers: tuple[Apart, Apart]
) -> None:
    """It can't tell own calls from others', and would keep slots free for those who can't go."""
    _, two = workers
    assert two.wait(1) == 0
    other = Worker(ledger, "six")
    other.join()
    other.say()
    assert told(ledger, other, ended(1)) == []
    assert two.wait(1) == 1

"""The premises that workers of a shared ledger have seen not to hold, as people see them."""

from __future__ import annotations

from typing import cast

from callguard.ledger.redis.premises import PREMISE, LedgerPremise, premises_in, said_of
from callguard.premises import Broken
from tests.unit.ledger.bent_clock import BentLedger, Worker

LATE = Broken("counter_lag", 2.0, 3.2, "calls were not counted; set more", begins=True)


def look(ledger: BentLedger, sessions: dict[str, str]) -> list[LedgerPremise]:
    found = cast("dict[bytes, bytes]", ledger.client.hgetall(ledger.names.keys[0]))
    facts = {name.decode(): value.decode() for name, value in found.items()}
    return list(premises_in(facts, sessions, float(facts["clock"])))


def test_what_a_worker_has_seen_is_there_for_as_long_as_the_worker_is(ledger: BentLedger) -> None:
    """Nobody could see from outside what is to be set, or would be told it after it was set."""
    one, other = Worker(ledger, "one"), Worker(ledger, "other")
    one.join()
    other.join()
    one.say([PREMISE, "counter_lag", said_of(LATE)])
    ledger.now += 5000
    other.say()
    sessions = {"one": "web:1", "other": "web:2"}
    [seen] = look(ledger, sessions)
    assert seen == LedgerPremise("counter_lag", 2.0, 3.2, LATE.why, "web:1", 5.0)
    assert str(seen) == (
        "a premise of the promise does not hold, counter_lag: calls were not counted; set more "
        "(seen by web:1 5 s ago)"
    )
    assert look(ledger, {"other": "web:2"}) == []


def test_of_each_premise_the_latest_word_stands(ledger: BentLedger) -> None:
    """The list would grow with every snapshot, or one word hide all that came after it."""
    one, other = Worker(ledger, "one"), Worker(ledger, "other")
    one.join()
    other.join()
    one.say([PREMISE, "counter_lag", said_of(LATE)])
    wrong = Broken("counts_ringing", True, False, "ringing; is not", begins=True)
    one.say([PREMISE, "counts_ringing", said_of(wrong)])
    other.say([PREMISE, "counter_lag", said_of(LATE._replace(seen=4.0))])
    seen = look(ledger, {"one": "web:1", "other": "web:2"})
    assert [(each.premise, each.seen, each.worker) for each in seen] == [
        ("counter_lag", 4.0, "web:2"),
        ("counts_ringing", False, "web:1"),
    ]

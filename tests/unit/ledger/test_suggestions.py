"""What workers of a shared ledger have learnt, as people see it."""

from __future__ import annotations

from typing import cast

from callguard.ledger.redis.suggestions import LEARNT, Suggestion, suggestions_in
from tests.unit.ledger.bent_clock import BentLedger, Worker

SESSIONS = {"one": "web:1", "other": "web:2"}


def facts_of(ledger: BentLedger) -> dict[str, str]:
    found = cast("dict[bytes, bytes]", ledger.client.hgetall(ledger.names.keys[0]))
    return {name.decode(): value.decode() for name, value in found.items()}


def look(ledger: BentLedger, sessions: dict[str, str]) -> list[Suggestion]:
    facts = facts_of(ledger)
    return list(suggestions_in(facts, sessions, float(facts["clock"])))


def learnt_by_both(ledger: BentLedger) -> tuple[Worker, Worker]:
    """Two workers, the second of which has learnt it first."""
    one, other = Worker(ledger, "one"), Worker(ledger, "other")
    one.join()
    other.join()
    ledger.now += 1000
    other.say([LEARNT, 1])
    ledger.now += 5000
    one.say([LEARNT, 1])
    return one, other


def test_it_is_suggested_once_however_many_workers_have_learnt_it(ledger: BentLedger) -> None:
    """The same line would be there for each worker, or nobody know how many agree."""
    learnt_by_both(ledger)
    [suggestion] = look(ledger, SESSIONS)
    assert suggestion.workers == ("web:2", "web:1")
    assert str(suggestion) == (
        "the provider seems to count ringing calls (learnt by web:2 and 1 more, 5 s ago): to use "
        "that, open the gates with counts_ringing=True"
    )


def test_a_worker_that_doubts_it_again_or_is_gone_suggests_nothing(ledger: BentLedger) -> None:
    """A wrong setting would be suggested on, or one that was made long ago."""
    one, other = learnt_by_both(ledger)
    other.say([LEARNT, 0])
    [suggestion] = look(ledger, SESSIONS)
    assert str(suggestion) == (
        "the provider seems to count ringing calls (learnt by web:1, 0 s ago): to use that, open "
        "the gates with counts_ringing=True"
    )
    assert look(ledger, {"other": "web:2"}) == []
    one.say(leaves=True)
    other.say([LEARNT, 1], leaves=True)
    assert [name for name in facts_of(ledger) if name.startswith(LEARNT)] == []

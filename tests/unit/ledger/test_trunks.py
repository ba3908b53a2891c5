"""The trunks of a shared ledger, as people see them."""

from __future__ import annotations

from typing import cast

import pytest

from callguard import Trunk
from callguard.ledger.redis.keys import trunk_hash
from callguard.ledger.redis.trunks import LedgerTrunk, said_of, trunks_in
from tests.unit.ledger.bent_clock import BentLedger, Worker, claim

SPACED, WINDOW = Trunk("a trunk", cps=0.5), Trunk("telnyx", cps=1.0, window=2.0)


@pytest.mark.parametrize("trunk", [SPACED, WINDOW])
def test_a_trunk_is_due_when_the_server_says_that_to_its_workers(
    ledger: BentLedger, trunk: Trunk
) -> None:
    """Whoever looks would be told another moment than those who wait."""
    worker = Worker(ledger, "one")
    introduction = {**worker.introduction(), "trunks": said_of([trunk])}
    worker.say(join=introduction, renew=True)
    ledger.now += 2000
    worker.read()
    seen = [look(ledger)]
    said = worker.say(claims=[claim(ceiling=9, callers=trunk.most + 1, trunk=trunk)])
    assert len(said["grants"]) == trunk.most
    seen.append(look(ledger))
    worker.say(["push_back", 1, trunk_hash(trunk.name), 5000])
    seen.append(look(ledger))
    [(_, left)] = said["dues"]
    assert [each.due_in for each in seen] == [0.0, left / 1000, 5.0]
    assert [each.pushed_back for each in seen] == [False, False, True]
    assert (seen[0].name, seen[0].cps, seen[0].window) == (trunk.name, trunk.cps, trunk.window)


def look(ledger: BentLedger) -> LedgerTrunk:
    """The only trunk, at the ledger's time."""
    contents, starts = ledger.names.keys[0], ledger.names.keys[11]
    found = cast("dict[bytes, bytes]", ledger.client.hgetall(contents))
    facts = {name.decode(): value.decode() for name, value in found.items()}
    members = cast("list[bytes]", ledger.client.zrange(starts, 0, -1))
    started = [member.decode() for member in members]
    [trunk] = trunks_in(facts, started, float(facts["clock"]))
    return trunk


def test_a_trunk_is_shown_in_one_line() -> None:
    """Nobody would see at a glance how fast calls start, and why none does now."""
    assert str(LedgerTrunk("a", 1.0, None, 0.0, pushed_back=False)) == (
        "trunk 'a': 1 a second; next start now"
    )
    assert str(LedgerTrunk("b", 16.0, 5.0, 0.04, pushed_back=True)) == (
        "trunk 'b': 16 a second in any 5 s together; next start in 0.1 s, pushed back by a refusal"
    )

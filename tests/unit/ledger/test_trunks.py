"""The trunks of a shared ledger, as people see them."""

from __future__ import annotations

from typing import cast

import pytest

from callguard import Trunk
from callguard.ledger.redis.keys import trunk_hash
from callguard.ledger.redis.shared_trunks import lasting_ms
from callguard.ledger.redis.trunks import LedgerTrunk, said_of, trunks_in
from tests.unit.ledger.bent_clock import RING_LIMIT, BentLedger, Worker, claim

SPACED, WINDOW = Trunk("a trunk", cps=0.5), Trunk("telnyx", cps=1.0, window=2.0)


@pytest.mark.parametrize("trunk", [SPACED, WINDOW])
def test_a_trunk_is_due_when_the_server_says_that_to_its_workers(
    ledger: BentLedger, trunk: Trunk
) -> None:
    """Whoever looks would be told another moment than those who wait."""
    worker = Worker(ledger, "one")
    introduction = {**worker.introduction(), "trunks": said_of([trunk], RING_LIMIT)}
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
    contents, starts, occupied = (ledger.names.keys[part] for part in (0, 11, 12))
    found = cast("dict[bytes, bytes]", ledger.client.hgetall(contents))
    facts = {name.decode(): value.decode() for name, value in found.items()}
    [trunk] = trunks_in(
        facts, texts(ledger, starts), texts(ledger, occupied), float(facts["clock"])
    )
    return trunk


def texts(ledger: BentLedger, key: bytes) -> list[str]:
    """The members of a sorted set."""
    return [each.decode() for each in cast("list[bytes]", ledger.client.zrange(key, 0, -1))]


def test_the_calls_on_a_trunk_are_as_many_as_the_server_tells_its_workers(
    ledger: BentLedger,
) -> None:
    """Whoever looks would be told that there is room, and those who wait that there is none."""
    trunk = Trunk("two", cps=None, calls=2, longest_call=1.0)
    lasts = lasting_ms(trunk, ring_limit=0.0)
    worker = Worker(ledger, "one")
    worker.say(join={**worker.introduction(), "trunks": said_of([trunk], 0.0)}, renew=True)
    ledger.now += 2000
    worker.read()
    asked = {**claim(ceiling=9, callers=3, trunk=trunk), "longest": lasts}
    assert len(worker.say(claims=[asked])["grants"]) == 2
    worker.say(["place", 1, "default"])
    seen = []
    for wait in (0, 1000, 1):
        ledger.now += wait
        [on] = worker.say(trunks=[(trunk_hash("two"), lasts)])["on_trunks"]
        seen.append((on, look(ledger).on_trunk))
    assert seen == [(2, 2), (2, 2), (1, 1)]
    began = ledger.client.hget(ledger.names.keys[0], "clock")
    ledger.client.hset(ledger.names.keys[0], "unknown_since", cast("bytes", began))
    assert look(ledger).on_trunk == 2


def test_a_trunk_is_shown_in_one_line() -> None:
    """Nobody would see at a glance how fast calls start, and why none does now."""
    assert str(LedgerTrunk("a", 1.0, None, 0.0, pushed_back=False)) == (
        "trunk 'a': 1 a second; next start now"
    )
    both = LedgerTrunk("c", 1.0, None, 0.0, pushed_back=False, calls=5, on_trunk=5)
    assert str(both) == "trunk 'c': 1 a second; next start now; 5 of 5 calls"
    full = LedgerTrunk("d", None, None, 0.0, pushed_back=False, calls=5, on_trunk=2)
    assert str(full) == "trunk 'd': 2 of 5 calls"
    assert str(LedgerTrunk("b", 16.0, 5.0, 0.04, pushed_back=True)) == (
        "trunk 'b': 16 a second in any 5 s together; next start in 0.1 s, pushed back by a refusal"
    )

"""Own calls on a server where inbound calls are counted apart, by tables of what is said.

A call is counted 2000 ms after its dial. The limit is 20, and 5 are reserved for inbound calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from redis import Redis

from callguard import Limits, Snapshot, Trunk
from callguard.ledger import MemoryLedger
from callguard.ledger.occupancy import lasting
from callguard.ledger.redis.own_calls import OwnCalls
from tests.support.times import times
from tests.unit.ledger.bent_clock import (
    RING_LIMIT,
    START,
    BentLedger,
    Happening,
    Worker,
    claim,
    settings,
)

HOUR = 3_600_000
"""Milliseconds."""

LONGEST = 2 * HOUR + round(RING_LIMIT * 1000)
"""Milliseconds for which a call can go on."""

LIMIT, RESERVED = 20, 5


class Apart(Worker):
    """A worker that counts inbound calls apart."""

    def words(self, *happenings: Happening, **more: object) -> str:
        return super().words(*happenings, **{"apart": LONGEST, "renew": True, **more})

    def dial(self, callers: int, trunk: Trunk | None = None) -> int:
        """Ask for slots under the outbound rule, and place what was given; how many."""
        asked = claim(ceiling=LIMIT - RESERVED, callers=callers, trunk=trunk)
        asked["reserved"], asked["reserve"] = RESERVED, 0
        self.say(claims=[asked])
        placed: list[Happening] = [["place", number, "default"] for number in self.held]
        self.held.clear()
        self.say(*placed)
        self.say(claims=[{**asked, "count": 0}])
        return len(placed)

    def own(self) -> int | None:
        """The most own calls that can be going on."""
        _, _, *own = self.say()["counts"]
        return own[0] if own else None


@pytest.fixture
def ledger(client: Redis, workspace_key: str) -> Iterator[BentLedger]:
    """Ledger that tests may leave alone for hours."""
    with BentLedger(client, workspace_key, settings(lease=1e6)) as ledger:
        yield ledger


@pytest.fixture
def worker(ledger: BentLedger) -> Apart:
    """A worker that has read that nobody calls."""
    worker = Apart(ledger, "one")
    worker.join()
    ledger.now = 10
    worker.read()
    return worker


def read(ledger: BentLedger, worker: Apart, current: int, *, after: int = 5000) -> None:
    """Read a count so many ms later."""
    ledger.now += after
    worker.read(current)


TRUNKS = [
    None,
    Trunk("short", cps=None, calls=LIMIT, longest_call=600.0),
    Trunk("long", cps=None, calls=LIMIT, longest_call=3 * HOUR / 1000),
]


# Calls whose end nobody reports ------------------------------------------------------------------


@pytest.mark.parametrize("trunk", TRUNKS)
def test_a_call_is_an_own_one_until_it_has_lasted_as_long_as_a_call_can(
    ledger: BentLedger, worker: Apart, trunk: Trunk | None
) -> None:
    """It would deny dials for as long as the ledger lives; or be taken for an inbound one."""
    assert worker.dial(15, trunk) == 15
    placed_at = ledger.now
    read(ledger, worker, 15)
    longest = LONGEST if trunk is None else round(lasting(trunk, RING_LIMIT) * 1000)
    ledger.now = placed_at + max(longest, LONGEST)
    worker.read(15)
    assert (worker.own(), worker.dial(5)) == (15, 0)
    read(ledger, worker, 15)
    assert (worker.own(), worker.dial(5)) == (0, 5)
    assert worker.own() == 5


def test_calls_that_were_all_forgotten_leave_nothing(
    client: Redis, ledger: BentLedger, worker: Apart
) -> None:
    """What the server keeps of them would pile up."""
    for trunk in TRUNKS:
        worker.dial(5, trunk)
    read(ledger, worker, 15)
    read(ledger, worker, 0, after=4 * HOUR)
    assert worker.own() == 0
    (occupied,) = (key for key in ledger.names.keys if key.endswith(b":occupied"))
    assert not client.exists(occupied)


def test_more_calls_than_one_exchange_forgets_are_forgotten_soon(
    ledger: BentLedger, worker: Apart
) -> None:
    """They would keep the server from other workers, or be own ones for as many readings."""
    worker.constants = worker.constants.replace(b" 100 ", b" 4 ", 1)
    for _ in range(3):
        worker.dial(4)
    for _ in range(3):
        read(ledger, worker, 12)
    ledger.now += LONGEST
    replies = [worker.read(12), *(worker.say() for _ in range(4))]
    assert [(reply["counts"][2], reply.get("again")) for reply in replies[:4]] == [
        (8, 0),
        (4, 0),
        (0, 0),
        (0, None),
    ]


# What a snapshot counts is a bound ---------------------------------------------------------------


def shown(ledger: BentLedger) -> int | None:
    """The most own calls that can be going on, as people see it."""
    found = cast("dict[bytes, bytes]", ledger.client.hgetall(ledger.names.keys[0].decode()))
    facts = {name.decode(): value.decode() for name, value in found.items()}
    (key,) = [key.decode() for key in ledger.names.keys if key.endswith(b":occupied")]
    members = cast("list[bytes]", ledger.client.zrange(key, 0, -1))
    listed = [member.decode() for member in members]
    return OwnCalls.found(facts, listed, START + ledger.now).most


def test_calls_whose_end_nobody_reports_do_not_add_up(ledger: BentLedger, worker: Apart) -> None:
    """Outbound's share would be used up for hours by calls that are over."""
    for _ in range(4):
        assert worker.dial(10) == 10
        read(ledger, worker, 10)
        read(ledger, worker, 0)
        assert worker.own() == shown(ledger) == 0
    read(ledger, worker, 12)
    assert worker.dial(9) == 8


@pytest.mark.parametrize(
    ("count", "uncounted", "ended", "own"),
    [
        (10, 0, 0, 10),
        (4, 0, 0, 4),
        (4, 0, 6, 4),
        (4, 0, 7, 3),
        (4, 0, 10, 0),
        (0, 0, 0, 0),
        (4, 2, 0, 6),
        (4, 2, 7, 5),
        (15, 2, 1, 11),
    ],
)
def test_no_more_own_calls_are_counted_than_the_snapshot_counts(
    ledger: BentLedger, worker: Apart, count: int, uncounted: int, ended: int, own: int
) -> None:
    """A ledger in memory would give another answer; each end may be one of those that it knew."""
    memory = MemoryLedger(times(), inbound_apart=True)
    memory.record(Snapshot(Limits(0, LIMIT), 0.0, 0.0))
    worker.dial(10)
    for _ in range(10):
        memory.place(memory.acquire(LIMIT, 1.0), 1.0)
    read(ledger, worker, 10)
    memory.record(Snapshot(Limits(10, LIMIT), 6.0, 6.0))
    ledger.now += 2000
    assert worker.dial(uncounted) == uncounted
    for _ in range(uncounted):
        memory.place(memory.acquire(LIMIT, 8.0), 8.0)
    read(ledger, worker, count, after=1000)
    memory.record(Snapshot(Limits(count, LIMIT), 9.0, 9.0))
    for number in range(1, ended + 1):
        worker.say(["withdraw", number])
        memory.withdraw(number)
    assert worker.own() == shown(ledger) == memory.usage().own == own


@pytest.mark.parametrize(
    ("first", "then", "ended", "own"),
    [(7, 7, 0, 7), (7, 9, 0, 9), (7, 5, 0, 5), (7, 5, 2, 5), (2, 4, 0, 4), (2, 9, 2, 4)],
)
def test_calls_from_before_the_ledger_are_in_that_bound(
    client: Redis, workspace_key: str, first: int, then: int, ended: int, own: int
) -> None:
    """All workers that are started anew would dial a second share, or none at all."""
    with BentLedger(client, workspace_key, settings(lease=1e6)) as ledger:
        worker = Apart(ledger, "one")
        worker.join()
        memory = MemoryLedger(times(), inbound_apart=True)
        read(ledger, worker, first)
        memory.record(Snapshot(Limits(first, LIMIT), 5.0, 5.0))
        assert worker.dial(4) == 4
        for _ in range(4):
            memory.place(memory.acquire(LIMIT, 5.0), 5.0)
        read(ledger, worker, then)
        memory.record(Snapshot(Limits(then, LIMIT), 10.0, 10.0))
        for number in range(1, ended + 1):
            worker.say(["withdraw", number])
            memory.withdraw(number)
        assert worker.own() == shown(ledger) == memory.usage().own == own
        read(ledger, worker, 12, after=LONGEST + 6000)
        memory.record(Snapshot(Limits(12, LIMIT), 7300.0, 7300.0))
        assert worker.own() == shown(ledger) == memory.usage().own == 0


def test_calls_that_are_absorbed_in_pieces_are_bounded_as_well(
    ledger: BentLedger, worker: Apart
) -> None:
    """Where a snapshot counts more calls than one exchange absorbs, own ones would be too many."""
    for _ in range(3):
        worker.dial(4)
    worker.constants = worker.constants.replace(b" 100 ", b" 4 ", 1)
    read(ledger, worker, 3)
    for _ in range(2):
        worker.say()
    assert worker.say()["counts"] == [0, 0, 3]


def test_a_permit_that_comes_back_to_dialling_is_an_own_call_besides(
    ledger: BentLedger, worker: Apart
) -> None:
    """It is none of those that the snapshot counts, and one call too many would be dialled."""
    worker.dial(5)
    read(ledger, worker, 5)
    read(ledger, worker, 2)
    assert worker.own() == 2
    assert worker.say(["hold", 1, "default"])["counts"] == [1, 0, 3]
    assert worker.say(["place", 1, "default"])["counts"] == [0, 1, 3]
    read(ledger, worker, 2)
    assert worker.own() == shown(ledger) == 2


def test_nothing_is_bounded_while_calls_may_be_missing_from_the_list(
    ledger: BentLedger, worker: Apart
) -> None:
    """What a gate without the setting does would be taken for the end of own calls."""
    worker.dial(5)
    read(ledger, worker, 5)
    read(ledger, worker, 0)
    plain = Worker(ledger, "plain")
    plain.join()
    plain.say()
    assert plain.ask(LIMIT) == 1
    plain.say(["withdraw", 1], *plain.returned())
    read(ledger, worker, 1)
    assert worker.own() is None
    ledger.now += 3 * HOUR
    worker.say()
    assert shown(ledger) == 0
    assert worker.own() == 5
    read(ledger, worker, 1)
    assert worker.own() == 0

"""Own calls on a server where inbound calls are counted apart, by tables of what is said.

A call is counted 2000 ms after its dial. The limit is 20, and 5 are reserved for inbound calls.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from callguard import Trunk
from callguard.ledger.occupancy import lasting
from tests.unit.ledger.bent_clock import (
    RING_LIMIT,
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

"""Who gets which slot: the server, which looks at the first in the queue only, and a plain model
that looks at every claim, under the same exchanges."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from redis import Redis

from callguard.ledger.redis import wire
from callguard.ledger.redis.settings import AT_ONCE
from tests.unit.ledger.bent_clock import (
    LIMITS,
    START,
    BentLedger,
    Happening,
    Worker,
    claim,
    joined,
)
from tests.unit.ledger.bent_clock import settings as ledger_settings

PATIENCE = int(1000 * wire.PATIENCE)
"""Milliseconds for which a slot is set aside for a worker that was called."""

LANES = {"urgent": 0, "bulk": 1, "slow": 1}
"""With their priorities."""

WORKERS = ("one", "two", "six", "ten")

KEPT_FREE = {"urgent": (3, 1), "bulk": (3, 0), "slow": (3, 2)}
"""What the ceiling of each lane leaves free for inbound calls, and for what others add between two
snapshots, where inbound calls are counted apart."""

LONGEST = 7_200_000
"""Milliseconds for which a call can last."""


@dataclass
class Row:
    """A claim as the model knows it; as in lua/slots.lua."""

    worker: str
    index: int
    priority: int
    ceiling: int
    callers: int
    order: int
    next_order: int = 0
    called_at: int | None = None
    served: int = 0
    reserved: int = 0
    reserve: int = 0


class Model:
    """All claims, each of which is looked at in each exchange.

    Args:
        apart: whether inbound calls are counted apart.

    Attributes:
        in_use: the slots that are in use.
        inbound: how many of them inbound calls use.
    """

    def __init__(self, *, apart: bool) -> None:
        self.in_use = 0
        self.inbound = 0
        self._apart = apart
        self._rows: dict[tuple[str, str], Row] = {}
        self._orders = itertools.count(1)
        self._look_at: int | None = None

    def exchange(
        self,
        worker: str,
        asked: dict[str, tuple[int, int]],
        freed: int,
        now: int,
        inbound: int | None = None,
    ) -> tuple[list[list[int]], bool, int | None]:
        """The grants, whether others wait, and when to ask again.

        A snapshot may have come that counts other inbound calls.
        """
        self.in_use -= freed
        if inbound is not None:
            self.in_use += inbound - self.inbound
            self.inbound = inbound
        own = [self._now_of(worker, index, *each) for index, each in enumerate(asked.items())]
        grants: list[list[int]] = []
        called: list[int] = []
        is_late = self._look_at is not None and now >= self._look_at
        is_new = freed or inbound is not None
        if is_new or is_late or any(self.in_use < self._ceiling(row) for row in own):
            usage = self.in_use
            for row in self._slots(now):
                usage += 1
                if row.worker != worker:
                    row.next_order = row.next_order or next(self._orders)
                    row.called_at = now if row.called_at is None else row.called_at
                    called.append(row.called_at)
                else:
                    row.order = row.next_order or next(self._orders)
                    row.next_order = 0
                    grants.append([row.index, usage])
            self._look_at = min(called) + PATIENCE + 1 if called else None
        self.in_use += len(grants)
        for index, row in enumerate(own):
            row.callers -= sum(granted == index for granted, _ in grants)
        self._rows = {key: row for key, row in self._rows.items() if row.callers}
        others = any(row.worker != worker for row in self._rows.values())
        return grants, others, min(called) + PATIENCE + 1 - now if called else None

    def _now_of(self, worker: str, index: int, lane: str, asked: tuple[int, int]) -> Row:
        ceiling, callers = asked
        before = self._rows.get((worker, lane))
        row = Row(
            worker,
            index,
            LANES[lane],
            ceiling,
            callers,
            before.order if before else next(self._orders),
            before.next_order if before else 0,
        )
        if self._apart:
            row.reserved, row.reserve = KEPT_FREE[lane]
        self._rows[worker, lane] = row
        return row

    def _ceiling(self, row: Row) -> int:
        """Up to which usage a claim may go beside the inbound calls."""
        return row.ceiling + min(row.reserved, row.reserve + self.inbound)

    def _slots(self, now: int) -> Iterator[Row]:
        """Whose each free slot is, one after the other."""
        usage = self.in_use
        rows = sorted(self._rows.values(), key=lambda row: (row.priority, row.order))
        for _, equals in itertools.groupby(rows, key=lambda row: row.priority):
            group = [
                row for row in equals if row.called_at is None or now <= row.called_at + PATIENCE
            ]
            for row in group:
                row.served = 0
            while any(row.served < row.callers and usage < self._ceiling(row) for row in group):
                for row in group:
                    if row.served < row.callers and usage < self._ceiling(row):
                        row.served += 1
                        usage += 1
                        yield row


asked_for = st.fixed_dictionaries(
    {lane: st.tuples(st.integers(0, 5), st.sampled_from([0, 0, 1, 2, 4])) for lane in LANES}
)
"""The ceiling of each lane, and its callers."""

exchanges = st.tuples(
    st.sampled_from([0, 0, 1, 100, PATIENCE + 1]),
    st.sampled_from(WORKERS),
    asked_for,
    st.integers(0, 3),
    st.sampled_from([None, None, 0, 1, 3, 6]),
)
"""Milliseconds that pass, who speaks, what for, the slots that it gives back, and the inbound calls
of a snapshot that it brings, if it does and if any time has passed since the last."""

Exchange = tuple[int, str, dict[str, tuple[int, int]], int, int | None]


@pytest.mark.parametrize("apart", [False, True])
def test_slots_go_to_the_same_claims_as_if_each_was_looked_at(
    client: Redis, workspace_key: str, apart: bool
) -> None:
    """A claim that is behind others in the queue would be overtaken, or get what is another's."""
    numbers = itertools.count()
    patient = ledger_settings(lease=1e6, max_age=1e6)

    @settings(max_examples=200)
    @given(st.lists(exchanges, min_size=10, max_size=40))
    def agree(history: list[Exchange]) -> None:
        workspace = f"{workspace_key} {next(numbers)}"
        with BentLedger(client, workspace, patient) as ledger:
            replay(ledger, history, apart=apart)

    agree()


def replay(ledger: BentLedger, history: list[Exchange], *, apart: bool) -> None:
    """Make the exchanges with the server and with the model."""
    rule: dict[str, object] = {"apart": LONGEST} if apart else {}
    workers = {name: Worker(ledger, name) for name in WORKERS}
    for worker in workers.values():
        worker.join(**rule)
    ledger.now = 10
    workers["one"].read()
    for worker in workers.values():
        worker.say()
    model, began = Model(apart=apart), ledger.now
    for passed, name, asked, most, inbound in history:
        ledger.now += passed
        worker = workers[name]
        freed = [worker.held.pop() for _ in range(min(most, len(worker.held)))]
        happenings: list[Happening] = [["release", number] for number in freed]
        claims = [
            claim(
                lane=lane,
                priority=LANES[lane],
                ceiling=ceiling,
                callers=callers,
                kept_free=KEPT_FREE[lane] if apart else None,
            )
            for lane, (ceiling, callers) in asked.items()
        ]
        said = {"claims": claims, "knows": START + began, **rule}
        counted = inbound if ledger.now > began else None
        if counted is not None:
            began = ledger.now
            told = {"token": 1, "began": START + began, "current": counted, "limits": LIMITS}
            said["taken"] = told
        reply = worker.say(*happenings, **said)
        expected = model.exchange(name, asked, len(freed), ledger.now, counted)
        assert (reply.get("grants") or [], reply["others"], reply.get("again")) == expected


def test_lanes_of_equal_priority_take_turns_on_a_server(ledger: BentLedger) -> None:
    """A lane with a long queue would starve its equals, or the pages describe another order."""
    (one,) = joined(ledger, "one")
    claims = [
        claim(lane=lane, ceiling=7, callers=callers, priority=1)
        for lane, callers in (("bulk", 9), ("slow", 2))
    ]
    served = one.say(claims=claims)
    assert [index for index, _ in served["grants"]] == [0, 1, 0, 1, 0, 0, 0]


def released(ledger: BentLedger, *names: str) -> list[Worker]:
    """Workers that hold nothing and all wait but the first, which has three times `AT_ONCE`."""
    one, *others = joined(ledger, *names)
    for _ in range(3):
        one.ask(3 * AT_ONCE, 1000)
    for each in others:
        assert not each.ask(3 * AT_ONCE, 1000)
    return [one, *others]


def test_an_exchange_sets_aside_no_more_slots_than_it_grants(ledger: BentLedger) -> None:
    """The server would serve nobody else while it hands out slots by the thousand."""
    one, two, six = released(ledger, "one", "two", "six")
    assert one.ask(3 * AT_ONCE, 1000, happenings=one.returned()) == AT_ONCE // 2, "in turn"
    for _ in range(8):
        for each in (two, six, one):
            each.ask(3 * AT_ONCE, 1000)
    held = [len(each.held) for each in (one, two, six)]
    assert sum(held) == 3 * AT_ONCE
    assert min(held) > AT_ONCE * 0.8


def test_slots_for_workers_that_do_not_come_are_asked_for_once_more_and_then_later(
    ledger: BentLedger,
) -> None:
    """Free slots would stay unused, or be asked for all the time until somebody comes."""
    one, _, _ = released(ledger, "one", "two", "six")
    assert one.say(*one.returned())["again"] == 0
    assert one.say()["again"] == PATIENCE + 1
    ledger.now += PATIENCE + 1
    while one.ask(3 * AT_ONCE, 1000):
        pass
    assert len(one.held) == 3 * AT_ONCE

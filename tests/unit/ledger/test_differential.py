"""Ledger in memory and on a server, under the same calls: they have to give the same answers.

Two workers share the server's ledger, and what goes wrong between them and the server (an exchange
that is lost, whose answer is lost, or that runs twice) must make no difference. Time passes in
steps of 2 ms and more, because the server rounds by one, to the safe side.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings
from redis import Redis

from callguard import CallGuardError, Limits, Snapshot, Trunk, accounting, in_hand
from callguard.ledger import Claim, DatedPause, MemoryLedger, Times, early
from callguard.ledger.redis.keys import trunk_hash
from callguard.ledger.redis.readings import SharedRight
from callguard.ledger.redis.settings import Settings
from callguard.ledger.redis.view import View
from tests.unit.ledger.bent_clock import START, BentLedger, at_once, side_of

COUNTED_AFTER, COUNTER_LAG, MAX_AGE = 400, 100, 1500
"""Milliseconds."""

RING_LIMIT, LONGEST_CALL = 300, 601
"""Milliseconds. Their sum is odd, and all steps are even, so no step ends as a call is over."""

FEW = Trunk("few", cps=None, calls=3, longest_call=LONGEST_CALL / 1000)
"""A trunk on which there may be fewer calls than the workspace takes."""


def settings_of(
    ttl: int, min_interval: int, *, ends_free: bool = False, apart: bool = False
) -> Settings:
    """How long things last where readings are so many ms apart."""
    times = Times(
        counted_after=COUNTED_AFTER / 1000,
        counter_lag=COUNTER_LAG / 1000,
        ttl=ttl / 1000,
        min_interval=min_interval / 1000,
        max_age=MAX_AGE / 1000,
        ring_limit=RING_LIMIT / 1000,
    )
    return Settings(
        times, lease=1e6, grace=0.0, timeout=1.0, inbound_apart=apart, ends_free=ends_free
    )


STEPS = (2, 50, 100, 400, MAX_AGE, MAX_AGE + 2)
"""Milliseconds."""

Happening = tuple[Any, ...]
"""What a method of `Both` is called, and its arguments."""

NEXT = {
    "dialling": ("place", "place", "release", "note_answered", "note_ended"),
    "placed": ("bind", "bind", "answered", "note_answered", "note_ended", "withdraw"),
    "counted": ("note_ended_now", "note_ended_now", "note_ended_before", "note_ended"),
    "given back": ("restore",),
}
"""What can happen to a call, by what became of it."""


class Side:
    """A worker: its view, and what the claimant of a gate would do."""

    def __init__(self, name: str, ledger: BentLedger) -> None:
        self.wanted: list[Claim] = []
        self.given: list[tuple[str, int, int]] = []
        self._ledger = ledger
        side = side_of(
            name,
            ledger.names,
            ledger.settings,
            self,
            lambda: ledger.now / 1000,
            exchange=self.exchange,
            trunks=[FEW],
        )
        self.view, self.readings, self.conversation = side.view, side.readings, side.conversation
        self._faults: deque[str] = deque()

    def fail(self, fault: str) -> None:
        """The next exchange goes wrong."""
        self._faults.append(fault)

    def exchange(self) -> None:
        """Make an exchange, and others until nothing is left to say or to ask at once."""
        more = True
        while more:
            accepted = self._exchange_once()
            again_at = self.conversation.ask_again_at
            is_due = again_at is not None and again_at <= self._ledger.now / 1000
            asks_again = bool(self.wanted) and is_due
            goes_on = self.conversation.goes_on or bool(self.view.outbox)
            more = not accepted or goes_on or asks_again

    def _exchange_once(self) -> bool:
        request = self.conversation.request()
        fault = self._faults.popleft() if self._faults else None
        answer = b"" if fault == "not sent" else self._ledger.run(*request)
        if fault == "sent twice":
            assert b"overtaken" in self._ledger.run(*request)
        lost = fault in {"not sent", "not answered"}
        if lost or not self.conversation.accept(answer):
            self.conversation.doubt()
            return False
        return True

    def claims(self, limits: Limits | None = None) -> list[Claim]:
        return list(self.wanted)

    def granted(self, granted: Claim, number: int, usage: int) -> None:
        self.given.append((granted.lane, number, usage))
        self.wanted = [
            claim._replace(callers=claim.callers - (claim.key == granted.key))
            for claim in self.wanted
        ]
        self.wanted = [claim for claim in self.wanted if claim.callers]

    def lost(self, lanes: Mapping[int, str]) -> None:
        raise AssertionError("no lease runs out here")

    def take_pauses(self, pauses: Sequence[DatedPause]) -> None: ...

    def unreachable(self, error: CallGuardError) -> None:
        raise AssertionError("nobody says so here")

    def reachable(self, duration: float) -> None:
        raise AssertionError("nobody says so here")


@dataclass
class Call:
    """A call, under the number that each ledger has given it."""

    side: Side
    number: int
    in_memory: int
    name: str
    trunk: str | None
    state: str = "dialling"
    bound: bool = False
    counted_at: int = 0


@dataclass
class Flight:
    """A reading under way."""

    side: Side
    right: SharedRight
    began: int


@dataclass
class Both:
    """Both ledgers, and what a gate would know of the calls in them; times are in ms."""

    ledger: BentLedger
    calls: list[Call] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.memory = MemoryLedger(
            Times(
                counted_after=COUNTED_AFTER,
                counter_lag=COUNTER_LAG,
                ttl=self.ledger.settings.times.ttl * 1000,
                min_interval=self.ledger.settings.times.min_interval * 1000,
                max_age=MAX_AGE,
                ring_limit=RING_LIMIT,
            ),
            [replace(FEW, longest_call=LONGEST_CALL)],
            inbound_apart=self.ledger.settings.inbound_apart,
            ends_free=self.ledger.settings.ends_free,
        )
        self.sides = [Side(name, self.ledger) for name in ("one", "two")]
        # When it became known of calls, before they were bound, that they were answered.
        self._answered_early: dict[str, int] = {}
        self._answered_last = -1
        for side in self.sides:
            side.exchange()
        self.ledger.now += 2
        self.begin_reading(0)
        self.finish_reading(0, 0)

    @property
    def now(self) -> int:
        return self.ledger.now

    def step(self, milliseconds: int) -> None:
        """Time passes; all that has happened was told before."""
        self.agree()
        if self.memory._in_hand:  # or it would know of those that left now a little later
            self.memory._in_hand.note_time(self.now)
        self.ledger.now += milliseconds

    def tell_all(self) -> None:
        for side in self.sides:
            if side.view.outbox:
                side.exchange()

    def fail(self, which: int, fault: str) -> None:
        self.sides[which % 2].fail(fault)

    def acquire(self, which: int, urgent: int, bulk: int, ceiling: int) -> None:
        """Callers come on two lanes, of which the higher may go further."""
        bulk_claim = Claim("bulk", 1, ceiling, bulk, 0.0)
        self._acquire(which, [bulk_claim, Claim("urgent", 0, ceiling + 1, urgent, 0.0)])

    def acquire_few(self, which: int, callers: int, ceiling: int) -> None:
        """Callers come who dial on the trunk that takes few calls."""
        self._acquire(which, [Claim("bulk", 1, ceiling, callers, 0.0, FEW)])

    def _acquire(self, which: int, asked: list[Claim]) -> None:
        """Callers come, those of the lowest lane first in the list."""
        self.tell_all()
        side = self.sides[which % 2]
        side.wanted = [claim for claim in asked if claim.callers]
        side.given = []
        side.exchange()
        side.wanted = []
        side.exchange()
        expected = []
        for claim in reversed(asked):
            _, trunk = claim.key
            pace = None if trunk is None else self.memory.pace(trunk)
            for _ in range(claim.callers):
                if number := self.memory.acquire(claim.ceiling, self.now, pace):
                    expected.append((claim.lane, self.memory.in_use))
                    self.calls.append(Call(side, 0, number, f"call_{number}", trunk))
        assert [(lane, usage) for lane, _, usage in side.given] == expected
        for call, (_, number, _) in zip(
            self.calls[len(self.calls) - len(expected) :], side.given, strict=True
        ):
            call.number = number

    def happens_next(self, choice: int, which: int, call: Call) -> None:
        """One of the things that can happen to a call; evidence comes to any worker."""
        is_counted = call.bound and call.counted_at < self.now and self.memory.ends_free
        can_happen = NEXT["counted" if is_counted else call.state]
        name = can_happen[choice % len(can_happen)]
        told_by = self.sides[which % 2] if name.startswith("note") else call.side
        getattr(self, name)(call, told_by.view)

    def place(self, call: Call, view: View) -> None:
        call.state, call.counted_at = "placed", self.now + COUNTED_AFTER
        view.place(call.number, self.now)
        self.memory.place(call.in_memory, self.now)

    def release(self, call: Call, view: View) -> None:
        call.state = "given back"
        view.release(call.number)
        self.memory.release(call.in_memory)

    def withdraw(self, call: Call, view: View) -> None:
        call.state = "given back"
        view.withdraw(call.number)
        self.memory.withdraw(call.in_memory)

    def restore(self, call: Call, view: View) -> None:
        call.state, call.counted_at = "placed", self.now + COUNTED_AFTER
        view.restore(call.number, self.now, call.trunk)
        self.memory.restore(call.in_memory, self.now, call.trunk)

    def answered(self, call: Call, view: View) -> None:
        self._note_answer(call)
        view.answered(call.number, self.now)
        self.memory.answered(call.in_memory, self.now)

    def bind(self, call: Call, view: View) -> None:
        """A call gets its id, once.

        Ledger in memory keep what was answered in the order in which they heard of it. So evidence
        that is older than the latest would last longer there, which is safe; it is left out here.
        """
        known_at = self._answered_early.get(call.name, self.now)
        if call.bound or known_at < self._answered_last:
            return
        call.bound = True
        if call.name in self._answered_early:
            self._answered_last = known_at
            call.counted_at = min(call.counted_at, known_at + COUNTER_LAG)
        view.bind(call.number, call.name, self.now)
        self.memory.bind(call.in_memory, call.name, self.now)

    def note_answered(self, call: Call, view: View) -> None:
        if call.bound:
            self._note_answer(call)
        else:
            self._answered_early.setdefault(call.name, self.now)
        view.note_answered(call.name, self.now)
        self.memory.note_answered(call.name, self.now)

    def note_ended(self, call: Call, view: View, after: float = -math.inf) -> None:
        """A call is over. The server hears of a time of its end in the same order as the memory.

        An end frees nothing there if it comes before the call's id, or after the same end without
        a time, which another worker may be about to tell.
        """
        if after > -math.inf:
            self.tell_all()
        view.note_ended(call.name, self.now / 1000, after / 1000)
        self.memory.note_ended(call.name, self.now, after)
        if after > -math.inf:
            self.tell_all()

    def note_ended_now(self, call: Call, view: View) -> None:
        """The call surely ended after all that happened before now."""
        self.note_ended(call, view, self.now - 1)

    def note_ended_before(self, call: Call, view: View) -> None:
        """It surely ended after what happened a while ago."""
        self.note_ended(call, view, self.now - 401)

    def _note_answer(self, call: Call) -> None:
        self._answered_last = self.now
        call.counted_at = min(call.counted_at, self.now + COUNTER_LAG)

    def note_change(self, which: int) -> None:
        self.sides[which % 2].view.note_change(self.now)
        self.memory.note_change(self.now)

    def refuse(self, which: int) -> None:
        self.sides[which % 2].view.refuse(self.now)
        self.memory.refuse(self.now)

    def begin_reading(self, which: int) -> None:
        """Take the right to read, if it is to be had."""
        side = self.sides[which % 2]
        right = at_once(side.readings.right(self.now / 1000))
        if right is not None:
            assert isinstance(right, SharedRight)
            at_once(self.memory.readings.right(self.now))
            self.flights.append(Flight(side, right, self.now))

    def finish_reading(self, which: int, current: int) -> None:
        """The answer to any request that is under way."""
        if not self.flights:
            return
        self.tell_all()
        flight = self.flights.pop(which % len(self.flights))
        limits = Limits(current_concurrency=current, concurrency_limit=9)
        seconds = Snapshot(limits, flight.right.heard, self.now / 1000)
        at_once(flight.side.readings.report(flight.right, seconds, self.now / 1000))
        self.memory.record(Snapshot(limits, flight.began, self.now))

    def read_as_it_shows(self, which: int, late: int, call: Call) -> None:
        """A reading at the moment from which on the counter shows a call, or shortly after it."""
        self.step(max(2, call.counted_at + late - self.now))
        self.begin_reading(which)
        self.finish_reading(-1, 0)
        self.agree()

    def agree(self) -> None:
        """What either worker sees, once it has heard of all, is what the ledger in memory say."""
        self.tell_all()
        for side in self.sides:
            side.exchange()
            usage = self.memory.usage()
            assert replace(side.view.usage(), counted=None) == replace(usage, counted=None)
            assert side.view.inbound == self.memory.inbound
            assert side.view.in_use == self.memory.in_use
            assert side.view.spent is self.memory.spent
            assert side.view.withheld == self.memory.withheld
            due_at = max(self.now, side.readings.due_at * 1000)  # one of the past is now
            assert due_at == pytest.approx(max(self.now, self.memory.readings.due_at))
        _, _, _, permits, dialling, uncounted, *_ = self.ledger.names.keys
        client = self.ledger.client
        counted = [*client.zrange(dialling, 0, -1), *client.zrange(uncounted, 0, -1)]
        assert sorted(client.hkeys(permits)) == sorted(counted)
        assert self._calls_on_few() == self.memory.calls_on(FEW.name, self.now)

    def _calls_on_few(self) -> int:
        """The calls that the server has on the trunk; see lua/occupancy.lua."""
        (occupied,) = [key for key in self.ledger.names.keys if key.endswith(b":occupied")]
        trunk, later = trunk_hash(FEW.name), START + self.now + 1 + 10**12
        return self.ledger.client.zlexcount(occupied, f"[{trunk} {later:013d}", f"({trunk}!")


number = st.integers(0, 3)
of_a_call = st.tuples(st.just("happens_next"), st.sampled_from(range(6)), number, number)
of_all = st.one_of(
    st.tuples(st.just("acquire"), number, number, number, st.integers(1, 6)),
    st.tuples(st.just("acquire_few"), number, st.integers(1, 4), st.integers(1, 6)),
    st.tuples(st.just("read_as_it_shows"), number, st.just(0), number),
    st.tuples(st.just("read_as_it_shows"), number, st.just(2), number),
    st.tuples(st.just("begin_reading"), number),
    st.tuples(st.just("finish_reading"), number, number),
    st.tuples(st.just("step"), st.sampled_from(STEPS)),
    st.tuples(st.just("fail"), number, st.sampled_from(["not sent", "not answered", "sent twice"])),
    st.tuples(st.sampled_from(["refuse", "note_change"]), number),
)
histories = st.lists(st.tuples(st.lists(of_a_call, max_size=4), of_all), min_size=5, max_size=20)
"""What happens to calls, and then something that concerns all, again and again."""


CHANGED_MEANWHILE: list[tuple[list[Happening], Happening]] = [
    ([], each)
    for each in (
        ("step", 400),
        ("begin_reading", 0),
        ("step", 2),
        ("note_change", 0),
        ("finish_reading", 0, 0),
        ("step", 2),
    )
]
"""The count changes while a reading is under way, so that the next is due sooner."""


PLACE = BIND = ("happens_next", 0, 0, 0)
ENDED_WHILE_COUNTED: list[tuple[list[Happening], Happening]] = [
    ([PLACE, BIND], ("read_as_it_shows", 0, 2, 0)),
    ([("happens_next", 4, 0, 0)], ("step", 2)),
]
"""A call on the trunk is in the count, and then it is known from its id that it is over."""

ENDED_AFTER_THE_SNAPSHOT: list[tuple[list[Happening], Happening]] = [
    ([PLACE, BIND, ("happens_next", 0, 0, 1), ("happens_next", 0, 0, 1)], ("step", 2)),
    ([], ("read_as_it_shows", 0, 2, 0)),
    ([], ("step", 50)),
    ([("happens_next", 0, 1, 0), ("happens_next", 3, 1, 1)], ("step", 50)),
    ([], ("begin_reading", 1)),
    ([], ("finish_reading", 0, 3)),
    ([], ("step", 50)),
]
"""Of two counted calls one surely ended after the snapshot, and a later one counts more."""


def replay(both: Both, history: list[tuple[list[Happening], Happening]]) -> None:
    """Let everything happen to both, to four calls at first; a call is told by its age."""
    both.acquire(0, 2, 0, 6)
    both.acquire_few(1, 2, 6)
    for to_calls, to_all in history:
        for name, *arguments in [*to_calls, to_all]:
            if name in {"happens_next", "read_as_it_shows"}:
                arguments[-1] = both.calls[-1 - arguments[-1]]
            getattr(both, name)(*arguments)
    both.agree()


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("ends_free", [False, True])
@pytest.mark.parametrize(("ttl", "min_interval"), [(1, 0), (60, 20)])
def test_both_ledgers_give_the_same_answers(
    client: Redis,
    workspace_key: str,
    monkeypatch: pytest.MonkeyPatch,
    ttl: int,
    min_interval: int,
    ends_free: bool,
    apart: bool,
) -> None:
    """The law would hold in one process and not among many, or the other way round."""
    in_milliseconds = 1000 * early.EARLY_EVIDENCE_SECONDS
    monkeypatch.setattr(early, "EARLY_EVIDENCE_SECONDS", in_milliseconds)
    monkeypatch.setattr(in_hand, "WINDOW", 1000 * in_hand.WINDOW)
    monkeypatch.setattr(accounting, "LONGEST_CALL", 1000 * accounting.LONGEST_CALL)
    numbers = itertools.count()
    told = settings_of(ttl, min_interval, ends_free=ends_free, apart=apart)

    @settings(max_examples=100)
    @given(histories)
    @example(CHANGED_MEANWHILE)
    @example(ENDED_WHILE_COUNTED)
    @example(ENDED_AFTER_THE_SNAPSHOT)
    def agree(history: list[tuple[list[Happening], Happening]]) -> None:
        workspace = f"{workspace_key} {next(numbers)}"
        with BentLedger(client, workspace, told) as ledger:
            replay(Both(ledger), history)

    agree()

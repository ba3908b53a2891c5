"""The usage of the ledger in memory beside the plain rule: the count, dialling and uncounted.

Own calls and others' are told apart by evidence, and that may change no usage.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from callguard import Limits, Snapshot
from callguard.ledger import MemoryLedger
from tests.support.times import times

COUNTED_AFTER, COUNTER_LAG, LIMIT = 8.0, 2.0, 12


class PlainRule:
    """The usage, counted anew from what each permit is.

    Attributes:
        count: of the latest snapshot.
        dialling: the permits whose dial has not returned.
        uncounted: the placed ones, and from when on the counter surely shows each.
        over: calls that are known to be over, by their ids, though not whose they are.
        answers: likewise of calls that are known to be answered, and when.
        ids: the ids of the uncounted calls.
        heard: the uncounted calls that are known to be answered, in the order in which that became
            known: by that order they are absorbed.
    """

    def __init__(self) -> None:
        self.count = 0
        self.began = -math.inf
        self.dialling: set[int] = set()
        self.uncounted: dict[int, float] = {}
        self.over: set[str] = set()
        self.answers: dict[str, float] = {}
        self.ids: dict[str, int] = {}
        self.heard: list[int] = []

    @property
    def usage(self) -> int:
        return self.count + len(self.dialling) + len(self.uncounted)

    def place(self, number: int, now: float) -> None:
        self.dialling.discard(number)
        self.uncounted[number] = now + COUNTED_AFTER

    def answered(self, number: int, at: float) -> None:
        if number not in self.heard and at + COUNTER_LAG < self.uncounted.get(number, at):
            self.uncounted[number] = at + COUNTER_LAG
            self.heard.append(number)

    def bind(self, number: int, call_id: str) -> None:
        if number not in self.uncounted:
            return
        self.ids[call_id] = number
        if call_id in self.over:
            self.forget(number)
        elif call_id in self.answers:
            self.answered(number, self.answers[call_id])

    def note_answered(self, call_id: str, now: float) -> None:
        if call_id in self.ids:
            self.answered(self.ids[call_id], now)
        elif call_id not in self.over:
            self.answers.setdefault(call_id, now)

    def note_ended(self, call_id: str) -> None:
        if call_id in self.ids:
            self.forget(self.ids[call_id])
        else:
            self.over.add(call_id)

    def forget(self, number: int) -> None:
        if self.uncounted.pop(number, None) is not None and number in self.heard:
            self.heard.remove(number)
        self.ids.pop(f"call {number}", None)

    def record(self, count: int, began: float) -> None:
        if began > self.began:
            self.count, self.began = count, began
            shown = {number for number, since in self.uncounted.items() if since < began}
            waits = next((i for i, each in enumerate(self.heard) if each not in shown), None)
            for number in shown - set(() if waits is None else self.heard[waits:]):
                self.forget(number)


class History:
    """One random history of both; each step is one thing that happens to a gate."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ledger = MemoryLedger(times(counted_after=COUNTED_AFTER, counter_lag=COUNTER_LAG))
        self.plain = PlainRule()
        self.now = 0.0
        self.placed: list[int] = []
        self.given_back: list[int] = []
        self.read()
        self.steps: list[Callable[[], None]] = [
            *[self.enter] * 4,
            *[self.place] * 4,
            *[self.read] * 4,
            self.release,
            self.withdraw,
            self.restore,
            self.answer,
            self.hear_of_answer,
            self.hear_of_end,
            self.hear_of_end,
        ]

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.now += self.random.choice((0.25, 0.25, 0.5, 1.0, 3.0))
            self.random.choice(self.steps)()
            usage = self.ledger.usage()
            assert usage.total == self.ledger.in_use == self.plain.usage
            assert usage.dialling == len(self.plain.dialling)
            assert usage.uncounted == len(self.plain.uncounted)
            if usage.own is not None and usage.others is not None:
                assert usage.own + usage.others == usage.total

    def enter(self) -> None:
        room = self.plain.usage < LIMIT
        number = self.ledger.acquire(LIMIT, self.now)
        assert bool(number) is (room and self.now <= self.plain.began + 15.0)
        if number:
            self.plain.dialling.add(number)

    def place(self) -> None:
        for number in [*self.plain.dialling][:1]:
            self.ledger.place(number, self.now)
            self.plain.place(number, self.now)
            self.placed.append(number)
            if self.random.random() < 0.8:
                self.ledger.bind(number, f"call {number}", self.now)
                self.plain.bind(number, f"call {number}")

    def read(self) -> None:
        count = self.random.randrange(LIMIT)
        began = self.now - self.random.choice((0.0, 0.0, 0.25, 1.0))
        self.ledger.record(Snapshot(Limits(count, LIMIT), began, self.now))
        self.plain.record(count, began)

    def release(self) -> None:
        for number in [*self.plain.dialling][:1]:
            self.ledger.release(number)
            self.plain.dialling.discard(number)
            self.given_back.append(number)

    def withdraw(self) -> None:
        if self.placed:
            number = self.placed.pop(self.random.randrange(len(self.placed)))
            self.ledger.withdraw(number)
            self.plain.forget(number)
            self.given_back.append(number)

    def restore(self) -> None:
        if self.given_back:
            number = self.given_back.pop()
            self.ledger.restore(number, self.now)
            self.plain.place(number, self.now)
            self.placed.append(number)

    def answer(self) -> None:
        if self.placed:
            number = self.random.choice(self.placed)
            self.ledger.answered(number, self.now)
            self.plain.answered(number, self.now)

    def hear_of_answer(self) -> None:
        call_id = self.any_call()
        self.ledger.note_answered(call_id, self.now)
        self.plain.note_answered(call_id, self.now)

    def hear_of_end(self) -> None:
        call_id = self.any_call()
        self.ledger.note_ended(call_id, self.now)
        self.plain.note_ended(call_id)

    def any_call(self) -> str:
        """The id of a call of this ledger, placed or not yet, or of somebody else."""
        newest = self.ledger.granted + 1
        return f"call {self.random.randint(max(1, newest - 15), newest)}"


def test_evidence_of_whose_a_call_is_changes_no_usage() -> None:
    """Telling own calls from others' would let in one call too many, or too few."""
    for seed in range(2_000):
        History(seed).run(40)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 100_000, 25_000))
def test_evidence_changes_no_usage_in_many_histories(first: int) -> None:
    """The same, where it takes a rare history."""
    for seed in range(first, first + 25_000):
        History(seed).run(40)

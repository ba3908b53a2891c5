"""What a gate says of the premises of its promise, and when it keeps quiet."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from callguard import AdmissionTimeout, Gate, Lane, Limits, NoHeadroom, Snapshot
from callguard.events import Event, PremiseBroken
from callguard.premises import Broken, Premises
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Refusal, opened

LIMIT = 20


class Workspace(ScriptedSource):
    """Counts the calls of others, and those of the gate that are told to it."""

    def __init__(self) -> None:
        super().__init__()
        self.others = self.own = 0
        self.starts: list[float] = []

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        now = asyncio.get_running_loop().time()
        return Snapshot(Limits(self.others + self.own, LIMIT), now, now)


class Watched:
    """A gate in front of the workspace, and what it says of its premises."""

    def __init__(self, workspace: Workspace, gate: Gate, heard: list[Event]) -> None:
        self.workspace = workspace
        self.gate = gate
        self._heard = heard

    @property
    def said(self) -> list[tuple[str, float | None, float | None]]:
        events = [each for each in self._heard if isinstance(each, PremiseBroken)]
        return [(each.premise, each.said, each.seen) for each in events]

    async def dial(self, *, apart: float = 0.0) -> None:
        """One call, which the provider refuses that begins sooner than `apart` after the last."""
        starts, now = self.workspace.starts, asyncio.get_running_loop().time
        with suppress(Refusal):
            async with self.gate.admit() as permit:
                early = bool(starts) and now() < starts[-1] + apart
                if early:
                    raise Refusal
                starts.append(now())
                self.workspace.own += 1
                permit.placed()


@asynccontextmanager
async def watched(
    reserve: int = 0, cps: float | None = None, others: int = 0
) -> AsyncIterator[Watched]:
    workspace, heard = Workspace(), list[Event]()
    workspace.others = others
    lane = Lane("default", reserve=reserve, default=True)
    async with opened(workspace, lane, cps=cps, listener=heard.append) as gate:
        yield Watched(workspace, gate, heard)


def test_a_rate_that_is_set_too_high_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever says a rate of 5 where the number takes one would see refusals, and not why."""

    async def scenario() -> None:
        async with watched(cps=5.0) as here:
            while not here.said:
                await here.dial(apart=1.0)
            assert asyncio.get_running_loop().time() < 60.0
            assert here.said == [("cps", 5.0, None)]
            assert here.gate.statistics().premises_broken["cps"] >= 1
            (why,) = here.gate.explain().premises
            assert why.startswith("cps: 3 dials on trunk 'default' were refused")
            assert why.endswith("set a lower cps")
            here.gate.pause()
            with pytest.raises(NoHeadroom, match=f"a premise .* does not hold, {re.escape(why)}$"):
                async with here.gate.try_admit():
                    pass

    with caplog.at_level(logging.WARNING, "callguard"):
        run(scenario())
    (line,) = [record.getMessage() for record in caplog.records if "premise" in record.message]
    assert "trunk 'default'" in line
    assert "set a lower cps" in line


def test_a_rate_that_is_kept_is_not_doubted() -> None:
    """A gate that works well would ask for another setting."""

    async def scenario() -> None:
        async with watched(cps=1.0) as here:
            for _ in range(12):
                await here.dial(apart=1.0)
            assert here.said == []
            assert here.gate.statistics().premises_broken == {}
            assert here.gate.explain().premises == ()

    run(scenario())


def test_others_that_exceed_the_reserve_are_said(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever keeps nothing free for others would go above the limit, and not know why."""

    async def scenario() -> None:
        async with watched(reserve=1, others=LIMIT - 2) as here:
            await here.dial()
            for _ in range(3):
                await _some_readings(here)
                assert here.said == []
                here.workspace.others += 3
            await _some_readings(here)
            assert here.said == [("reserve", 1, 3)]

    with caplog.at_level(logging.WARNING, "callguard"):
        run(scenario())
    (line,) = [record.getMessage() for record in caplog.records if "premise" in record.message]
    assert "set Lane(reserve=3)" in line


def test_own_calls_are_not_taken_for_those_of_others() -> None:
    """Every gate that dials would be told that others do."""

    async def scenario() -> None:
        async with watched(others=LIMIT - 4) as here:
            for _ in range(4):
                await asyncio.gather(*(here.dial() for _ in range(4)))
                await _some_readings(here)
                here.workspace.own = 0
            assert here.said == []
            assert here.gate.statistics().admitted == 16

    run(scenario())


async def _some_readings(here: Watched) -> None:
    """Somebody waits who doesn't fit, for whom the gate reads once a second."""
    with suppress(AdmissionTimeout):
        async with here.gate.admit(timeout=3.5) as permit:
            permit.cancel()


def _premises(reserve: int = 0) -> Premises:
    return Premises(reserve, {"default": 5.0}, counter_lag=2.0, max_age=15.0, alone=True)


class Script:
    """Snapshots one second apart, held against the premises one after the other."""

    def __init__(self, premises: Premises) -> None:
        self._premises = premises
        self._before: Snapshot | None = None

    def take(self, count: int, at: float, *, unsettled: int = 0, granted: int = 1) -> list[Broken]:
        snapshot, before = Snapshot(Limits(count, LIMIT), at, at + 0.1), self._before
        self._before = snapshot
        return self._premises.taken(
            snapshot, before, unsettled=unsettled, granted=granted, ceiling=LIMIT
        )


def _refusals(premises: Premises, script: Script, counts: Iterator[int]) -> list[Broken]:
    found = []
    for i in range(3):
        premises.refused(i * 10.0, "default", 429)
        for after in (0.5, 2.5):
            found += script.take(next(counts), i * 10.0 + after)
    return found


def test_two_refusals_though_there_was_room_are_no_trend() -> None:
    """A limit of requests that was met by chance would be told to be a rate."""
    premises = _premises()
    script = Script(premises)
    for at in (0.0, 10.0):
        premises.refused(at, "default", 429)
        assert not [*script.take(3, at + 0.5), *script.take(3, at + 2.5)]
    premises.refused(20.0, "default", 429)
    (broken,) = [*script.take(3, 20.5), *script.take(3, 22.5)]
    assert (broken.premise, broken.begins) == ("cps", True)


def test_refusals_of_a_full_workspace_say_nothing_of_the_rate() -> None:
    """The rate would be lowered, and the calls refused all the same."""
    premises = _premises()
    full = iter([LIMIT, LIMIT - 3] * 3)
    assert not [each for each in _refusals(premises, Script(premises), full)
                if each.premise == "cps"]  # fmt: skip


def test_room_that_a_late_counter_shows_is_not_believed() -> None:
    """Others who took the room would not be in the count yet, and the rate would be blamed."""
    premises = _premises()
    late = iter([LIMIT - 3, LIMIT] * 3)
    found = _refusals(premises, Script(premises), late)
    assert not [each for each in found if each.premise == "cps"]


@pytest.mark.parametrize("status", [None, 403])
def test_a_refusal_that_is_no_429_says_nothing_of_the_rate(status: int | None) -> None:
    """The provider's own word that it was full would be taken for the rate."""
    premises = _premises()
    script = Script(premises)
    for i in range(5):
        premises.refused(i * 10.0, "default", status)
        assert not [*script.take(3, i * 10.0 + 0.5), *script.take(3, i * 10.0 + 2.5)]


def test_one_excess_is_said_at_once_where_a_call_was_refused() -> None:
    """The cause of a refusal would be told after two more."""
    premises = _premises(reserve=1)
    script = Script(premises)
    script.take(10, 0.0)
    assert not script.take(14, 1.0)
    premises.refused(1.5, None, 429)
    (broken,) = script.take(17, 2.0)
    assert (broken.premise, broken.said, broken.seen) == ("reserve", 1, 4)


@pytest.mark.parametrize(
    ("unsettled", "granted", "ended_at"),
    [(4, 0, None), (0, 4, None), (0, 0, 0.5)],
    ids=["uncounted before", "granted since", "over and still counted"],
)
def test_whatever_may_be_an_own_call_is_none_of_others(
    unsettled: int, granted: int, ended_at: float | None
) -> None:
    """Own calls would be told to be those of others."""
    premises = _premises()
    script = Script(premises)
    for i in range(10):
        at = 20.0 * i
        if ended_at is not None:
            for _ in range(4):
                premises.gave_back(at - ended_at)
        script.take(0, at, unsettled=unsettled, granted=1 + 10 * i)
        assert not script.take(4, at + 1.0, granted=1 + 10 * i + granted)


def test_snapshots_that_are_far_apart_say_nothing_of_the_reserve() -> None:
    """Whoever comes to work in the morning would be told what others dialled at night."""
    premises = _premises()
    script = Script(premises)
    assert not [each for i in range(10) for each in script.take(3 * i, 60.0 * i)]


def test_calls_that_are_over_and_counted_now_and_then_are_none_of_others() -> None:
    """A counter of several machines, each as late as it may be, would be taken for others."""
    script = Script(_premises())
    for i in range(10):
        left = LIMIT - 2 * i
        for j, count in enumerate((left, left - 2, left, left - 2, left - 2, left - 2)):
            assert not script.take(count, 4.0 * i + 0.66 * j)

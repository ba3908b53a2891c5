"""A caller whose lead may not be called after a moment leaves the queue then."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from callguard import AdmissionTimeout, Gate, GateClosed, Lane, Permit, QueueFull
from callguard.events import Admitted, Cancelled, Event, TimedOut
from callguard.gate import dated
from callguard.testing import ScriptedSource, VirtualTimeLoop
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, Refusal, opened, settle

NOON = datetime(2026, 11, 26, 12, tzinfo=timezone(timedelta(hours=-5)))

ENDS = NOON + timedelta(seconds=60)

TOO_LATE = r"too late: not to be admitted after 2026-11-26T12:01:00-05:00"


class WallClock(datetime):
    """Stands at noon, unless a test sets it."""

    shown = NOON

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.shown.astimezone(tz)


@pytest.fixture(autouse=True)
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WallClock, "shown", NOON)
    monkeypatch.setattr(dated, "datetime", WallClock)


async def _enter(gate: Gate, **terms: Any) -> None:
    async with gate.admit(**terms):
        pass


async def _place(gate: Gate, **terms: Any) -> None:
    await gate.place(_dialled, **terms)


async def _dialled(permit: Permit) -> str:
    return permit.id


EITHER_WAY = pytest.mark.parametrize("enter", [_enter, _place])
Enter = Callable[..., Awaitable[None]]


@EITHER_WAY
@pytest.mark.parametrize(
    ("terms", "lane", "waits", "why"),
    [
        ({}, Lane("a"), 60.0, TOO_LATE + "; denied: 1 of 1 in use"),
        ({"timeout": 90.0}, Lane("a"), 60.0, TOO_LATE),
        ({"timeout": 30.0}, Lane("a"), 30.0, "timed out in the queue"),
        ({"timeout": 0}, Lane("a"), 0.0, "timed out in the queue"),
        ({}, Lane("a", max_wait=30.0), 30.0, "timed out in the queue"),
        ({}, Lane("a", max_wait=90.0), 60.0, TOO_LATE),
    ],
)
def test_whichever_ends_first_ends_the_wait_and_is_named(
    enter: Enter, terms: dict[str, Any], lane: Lane, waits: float, why: str
) -> None:
    """A lead would be called after hours, or given up for a reason that isn't so."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1, current=1), lane) as gate:
            began = asyncio.get_running_loop().time()
            with pytest.raises(AdmissionTimeout, match=why) as caught:
                await enter(gate, lane="a", not_after=ENDS, **terms)
            assert asyncio.get_running_loop().time() - began == pytest.approx(waits)
            assert caught.value.not_after == (ENDS if "late" in why else None)
            assert gate.statistics().waiting["a"] == 0

    run(main())


@EITHER_WAY
def test_who_comes_too_late_is_denied_though_there_is_room(enter: Enter) -> None:
    """A lead would be called after hours because nobody was in the way."""

    async def main() -> None:
        events: list[Event] = []
        async with opened(ScriptedSource(limit=9), listener=events.append) as gate:
            for seconds in (0, 1, 1e6):
                with pytest.raises(AdmissionTimeout, match="too late") as caught:
                    await enter(gate, not_after=NOON - timedelta(seconds=seconds))
                assert "admitted:" not in str(caught.value)
                assert caught.value.retry_after is None
            kinds = {type(event) for event in events}
            assert TimedOut in kinds
            assert Admitted not in kinds
            assert gate.statistics().timed_out == 3

    run(main())


def test_in_time_it_is_an_admission_as_any_other() -> None:
    """Whoever says until when would be admitted later than others, or not at all."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            async with gate.admit(not_after=ENDS) as permit:
                assert permit.state == "dialling"
                permit.cancel()
            assert await gate.place(_dialled, not_after=ENDS)

    run(main())


def test_a_wall_clock_that_is_set_while_a_caller_waits_changes_nothing() -> None:
    """A clock that is set back by an hour would let calls out an hour after hours."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1, current=1)) as gate:
            entering = asyncio.create_task(_enter(gate, not_after=ENDS))
            await settle()
            WallClock.shown = NOON - timedelta(hours=1)
            await asyncio.sleep(59.9)
            assert not entering.done()
            await asyncio.sleep(0.2)
            with pytest.raises(AdmissionTimeout, match=TOO_LATE):
                await entering

    run(main())


def test_the_moment_counts_from_the_call_and_not_from_entering() -> None:
    """An admission that is kept for a while would be entered after hours."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            admission = gate.admit(not_after=ENDS)
            await asyncio.sleep(61)
            with pytest.raises(AdmissionTimeout, match=TOO_LATE):
                await admission.__aenter__()

    run(main())


def test_a_slot_that_comes_when_it_is_too_late_goes_to_the_next() -> None:
    """A loop that was held up would let a call out after hours, or the slot would be lost."""

    async def main() -> None:
        events: list[Event] = []
        async with opened(ScriptedSource(limit=1), listener=events.append) as gate:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            crowd = Crowd(gate)
            crowd.send("holder")
            await settle()
            late = asyncio.create_task(_enter(gate, not_after=ENDS))
            await settle()
            crowd.send("next")
            await settle()
            crowd.dismiss(["holder"])  # its task has not run when the clock goes on
            loop.now += 120.0
            with pytest.raises(AdmissionTimeout, match=TOO_LATE):
                await late
            await asyncio.sleep(5)
            assert crowd.arrived == ["holder", "next"]
            assert [type(event) for event in events].count(Cancelled) == 2
            await crowd.disperse()

    run(main())


def test_a_refused_call_is_not_dialled_again_when_it_is_too_late() -> None:
    """A call that the provider refused would go out after hours."""

    async def main() -> None:
        dials: list[float] = []
        loop = asyncio.get_running_loop()

        async def dial(_: Permit) -> None:
            dials.append(loop.time())
            await asyncio.sleep(25)
            raise Refusal

        async with opened(ScriptedSource(limit=9)) as gate:
            with pytest.raises(AdmissionTimeout, match=TOO_LATE):
                await gate.place(dial, not_after=ENDS)
            assert len(dials) == 3
            assert max(dials) < 60

    run(main())


def test_a_call_of_unknown_outcome_is_not_dialled_again_when_it_is_too_late() -> None:
    """A dial that is repeated under its permit would place the call after hours."""

    async def main() -> None:
        dials: list[float] = []
        loop = asyncio.get_running_loop()

        async def dial(_: Permit) -> None:
            dials.append(loop.time())
            await asyncio.sleep(29.9)
            raise TimeoutError

        async with opened(ScriptedSource(limit=9)) as gate:
            with pytest.raises(TimeoutError):
                await gate.place(dial, not_after=ENDS, idempotent=True)
            assert 1 < len(dials) < 4
            assert max(dials) < 60
            assert gate.statistics().usage.uncounted == 1

    run(main())


def test_what_else_keeps_a_caller_out_is_said_as_ever() -> None:
    """A full queue, or a gate that is closed, would look like the end of the calling hours."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=0), Lane("a", max_waiting=0)) as gate:
            with pytest.raises(QueueFull):
                await _enter(gate, lane="a", not_after=ENDS)
        with pytest.raises(GateClosed):
            await _enter(gate, lane="a", not_after=NOON)

    run(main())


def test_a_moment_that_says_too_little_is_refused_with_advice() -> None:
    """A time of day without its zone would be taken for another's, hours off."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            entries: list[Callable[..., Any]] = [gate.admit, partial(_place, gate)]
            for enter in entries:
                with pytest.raises(ValueError, match=r"in which time zone .*ZoneInfo"):
                    await _tried(enter(not_after=datetime(2026, 11, 26, 20)))  # noqa: DTZ001
                for wrong in (5.0, "20:00", date(2026, 11, 26)):
                    with pytest.raises(TypeError, match="a datetime with a time zone"):
                        await _tried(enter(not_after=wrong))
            assert gate.statistics().usage.total == 0

    run(main())


async def _tried(entering: Any) -> None:
    if asyncio.iscoroutine(entering):
        await entering


def test_the_error_can_be_copied_and_sent() -> None:
    """A process pool or a log handler would break on it."""

    async def main() -> AdmissionTimeout:
        async with opened(ScriptedSource(limit=1)) as gate:
            with pytest.raises(AdmissionTimeout) as caught:
                await _enter(gate, not_after=NOON)
            return caught.value

    error = run(main())
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(same) == str(error)
        assert same.not_after == NOON

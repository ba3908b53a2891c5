"""What a listener hears, and what a gate shows of itself."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TypeVar

import pytest

from callguard import (
    AdmissionTimeout,
    Gate,
    Lane,
    LimitsUnavailable,
    Listener,
    Trunk,
    Usage,
    open_gate,
)
from callguard.events import (
    Admitted,
    Cancelled,
    Event,
    LimitsChanged,
    OutageBegan,
    OutageEnded,
    Placed,
    Queued,
    ReadingFailed,
    ReadingTaken,
    Refused,
    TimedOut,
)
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Refusal, opened

T = TypeVar("T")


def test_a_listener_hears_every_kind_of_event_with_its_numbers() -> None:
    """Somebody's metrics would miss a fact, or get wrong numbers."""
    heard: list[Event] = []

    async def main() -> None:
        fetcher = ScriptedSource(limit=1, latency=0.1)
        async with opened(fetcher, listener=heard.append) as gate:
            async with gate:
                with pytest.raises(AdmissionTimeout):
                    async with gate.admit(timeout=0.5):
                        pass
            fetcher.answer(limit=4)
            async with gate.admit():
                pass
            fetcher.error = LimitsUnavailable("HTTP 503")
            await asyncio.sleep(5.0)
            async with gate.admit() as permit:
                permit.cancel()
            await asyncio.sleep(1.5)
            fetcher.answer(limit=4)
            with pytest.raises(Refusal):
                async with gate:
                    await asyncio.sleep(2.0)
                    raise Refusal

    run(main())
    kinds = [type(event) for event in heard]
    assert set(kinds) == {
        Admitted, Queued, TimedOut, Placed, Cancelled, Refused, ReadingTaken, ReadingFailed,
        LimitsChanged, OutageBegan, OutageEnded,
    }  # fmt: skip
    assert kinds.count(OutageBegan) == kinds.count(OutageEnded) == 1
    queued = _first(heard, Queued)
    assert (queued.lane, queued.waiting) == ("default", 1)
    assert _first(heard, TimedOut).waited == pytest.approx(0.5)
    reading = _first(heard, ReadingTaken)
    assert reading.duration == pytest.approx(0.1)
    assert reading.age == pytest.approx(0.1)
    changed = _first(heard, LimitsChanged)
    assert (changed.before.concurrency_limit, changed.after.concurrency_limit) == (1, 4)
    waits = [event.waited for event in heard if isinstance(event, Admitted)]
    assert waits[0] == 0.0
    assert waits[1] > 0.5


def test_a_listener_that_fails_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A fault in somebody's metrics would keep calls out, or go unnoticed."""

    def faulty(event: Event) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), listener=faulty) as gate:
            async with gate.admit() as permit:
                permit.cancel()
            assert gate.statistics().admitted == 1

    with caplog.at_level(logging.ERROR, logger="callguard"):
        run(main())
    assert "faulty" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_each_of_several_listeners_hears_although_one_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault in somebody's log would blind the metrics."""
    before: list[Event] = []
    after: list[Event] = []

    def faulty(event: Event) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        listeners = iter([before.append, faulty, after.append])
        async with open_gate(source=ScriptedSource(limit=1), listener=listeners) as gate:
            async with gate.admit() as permit:
                permit.cancel()

    with caplog.at_level(logging.ERROR, logger="callguard"):
        run(main())
    assert [type(event) for event in before] == [ReadingTaken, Admitted, Cancelled]
    assert after == before
    assert caplog.text.count("faulty failed on") == 3


class Companion:
    """A listener that is handed its gate, and fails if it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self._fails = fails
        self.seen: list[tuple[str, Gate]] = []

    def __call__(self, event: Event) -> None:
        pass

    def opened(self, gate: Gate) -> None:
        self._note("opened", gate)

    def closed(self, gate: Gate) -> None:
        self._note("closed", gate)

    def _note(self, what: str, gate: Gate) -> None:
        self.seen.append((what, gate))
        if self._fails:
            raise ZeroDivisionError


def test_a_listener_is_handed_its_gate_once_it_is_open_and_once_it_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Metrics could not ask for the statistics, or would go on asking a closed gate."""
    faulty, sound = Companion(fails=True), Companion()

    async def main() -> None:
        listeners: list[Listener] = [faulty, sound]
        async with open_gate(source=ScriptedSource(limit=1), listener=listeners) as gate:
            assert sound.seen == [("opened", gate)]
            await gate.aclose()
            assert sound.seen == [("opened", gate), ("closed", gate)]
        assert sound.seen == faulty.seen == [("opened", gate), ("closed", gate)]

    with caplog.at_level(logging.ERROR, logger="callguard"):
        run(main())
    assert "Companion failed on opened" in caplog.text
    assert "Companion failed on closed" in caplog.text


class Choosy:
    """A listener that hears timeouts only."""

    hears = (TimedOut,)

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.heard.append(event)


@pytest.mark.parametrize("beside", [True, False], ids=["beside one that hears all", "alone"])
def test_a_listener_hears_only_what_it_names(*, beside: bool) -> None:
    """Whoever counts timeouts would pay for every other event."""
    heard: list[Event] = []
    choosy = Choosy()
    listeners: list[Listener] = [choosy, heard.append] if beside else [choosy]

    async def main() -> None:
        async with open_gate(source=ScriptedSource(limit=1), listener=listeners) as gate:
            async with gate.admit() as permit:
                with pytest.raises(AdmissionTimeout):
                    async with gate.admit(timeout=0.5):
                        pass
                permit.placed("call_1")

    run(main())
    assert [type(event) for event in choosy.heard] == [TimedOut]
    assert {type(event) for event in heard} >= ({Admitted, Placed, TimedOut} if beside else set())


def test_statistics_count_admissions_by_lane_trunk_and_tier_and_how_long_they_waited() -> None:
    """Metrics would lack what nobody told them as events."""

    async def main() -> None:
        fetcher = ScriptedSource()
        fetcher.answer(limit=2, burst_limit=5)
        lanes = Lane("urgent", burst=1), Lane("bulk")
        trunks = [Trunk("twilio", cps=1000.0)]
        async with open_gate(source=fetcher, lanes=lanes, trunks=trunks, cps=None) as gate:
            async with gate.admit("bulk") as first, gate.admit("bulk", trunk="twilio"):
                async with gate.admit("urgent"):
                    waits = asyncio.create_task(_enter(gate))
                    await asyncio.sleep(2.0)
                    first.cancel()
                    fetcher.answer(limit=20)
                    await waits
            picture = gate.statistics()
            assert picture.limits is not None
            assert picture.limits.concurrency_limit == 20
            found = {
                (each.lane, each.trunk): (
                    each.normal,
                    each.burst,
                    each.cancelled,
                    sum(each.waits.callers),
                )
                for each in picture.admissions
            }
            assert found == {
                ("urgent", None): (0, 1, 0, 0),
                ("bulk", None): (2, 0, 1, 1),
                ("bulk", "twilio"): (1, 0, 0, 0),
            }
            (waits_of_bulk,) = (each.waits for each in picture.admissions if each.waits.seconds[3])
            assert waits_of_bulk.callers[3] == 1  # of more than 1 s, and 2.5 s at most
            assert waits_of_bulk.seconds[3] == pytest.approx(2.0, abs=0.3)
            assert picture.admitted == 4

    run(main())


async def _enter(gate: Gate) -> None:
    async with gate.admit("bulk"):
        pass


def test_statistics_are_a_frozen_picture_with_every_part() -> None:
    """A picture would change under its reader's eyes, or leave something out."""

    async def main() -> None:
        fetcher = ScriptedSource()
        fetcher.answer(limit=20, current=10, burst_limit=60, reserved_inbound=2)
        async with opened(fetcher, Lane("urgent", burst=5, reserve=1)) as gate:
            async with gate:
                pass
            async with gate:
                await asyncio.sleep(0.5)
                picture = gate.statistics()
            assert picture.usage == Usage(reported=10, dialling=1, uncounted=1)
            assert picture.usage.total == 12
            assert {name: made.highest for name, made in picture.ceilings.items() if made} == {
                "urgent": 22,
                "default": 18,
            }
            assert dict(picture.headroom) == {"urgent": 10, "default": 6}
            assert dict(picture.waiting) == {"urgent": 0, "default": 0}
            assert picture.snapshot_age == pytest.approx(0.5)
            assert (picture.admitted, picture.refused, picture.timed_out) == (2, 0, 0)
            assert picture.readings["taken"] == 1
            with pytest.raises(dataclasses.FrozenInstanceError):
                picture.admitted = 3  # type: ignore[misc]
            assert gate.statistics().waiting is not picture.waiting

    run(main())


def test_explain_says_what_an_operator_wants_to_know() -> None:
    """`explain` would not be the sentence that is promised."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=20, current=17), Lane("bulk")) as gate:
            for _ in range(2):
                async with gate:
                    pass
            async with gate:
                await asyncio.sleep(0.4)
                assert str(gate.explain("bulk")) == (
                    "denied: 20 of 20 in use (17 reported 0.4 s ago, 1 dialling, "
                    "2 uncounted); reserve 0; burst not allowed on lane 'bulk'; until when is "
                    "unknown"
                )

    run(main())


def _first(heard: list[Event], kind: type[T]) -> T:
    return next(event for event in heard if isinstance(event, kind))

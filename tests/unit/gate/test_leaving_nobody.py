"""Whatever a caller passes, and whatever is raised on its way in, it leaves nobody in the queue."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from callguard import AdmissionTimeout, Gate, Lane, Permit
from callguard.events import Admitted, Event, Queued
from callguard.testing import ScriptedSource
from tests.support.virtual_time import VirtualTimeLoop, run
from tests.unit.gate.support import Crowd, opened, settle


class Number:
    """A number as other libraries have them, numpy's among them."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __float__(self) -> float:
        return self._value


class Index:
    def __index__(self) -> int:
        return 5


class Odd:
    def __float__(self) -> float:
        raise ValueError("no number after all")


class OddType:
    def __float__(self) -> Any:
        return "5"


def _kind(value: object) -> str:
    return value.__name__ if isinstance(value, type) else type(value).__name__


class NotDialled(Exception):
    pass


NUMBERS = [5, 5.0, Decimal(5), Fraction(10, 2), Number(5.0), Index()]
NO_NUMBERS = [
    "5", b"5", True, False, [5], (5,), {5}, {"timeout": 5}, object(), 5j, timedelta(seconds=5),
    Odd(), OddType(), float, Decimal("sNaN"), type("bool_", (Number,), {})(1.0), Lane("a"),
]  # fmt: skip
NO_TIMES = [
    math.nan, -math.inf, -1, -0.001, Decimal(-5), Decimal("NaN"), Fraction(-1, 3),
    Number(math.nan), -(10**400), Decimal("-Infinity"),
]  # fmt: skip
FOR_EVER = [None, math.inf, Decimal("Infinity"), 10**400, Number(math.inf)]

Enter = Callable[[Gate, Any], Coroutine[Any, Any, None]]


async def admit(gate: Gate, timeout: Any) -> None:
    async with gate.admit(timeout=timeout) as permit:
        permit.cancel()


async def place(gate: Gate, timeout: Any) -> None:
    with suppress(NotDialled):
        await gate.place(_do_not_dial, timeout=timeout)


both = pytest.mark.parametrize("enter", [admit, place])


@both
@pytest.mark.parametrize("timeout", NUMBERS, ids=_kind)
def test_a_number_of_any_kind_is_a_timeout(enter: Enter, timeout: Any) -> None:
    """A timeout of another library's number would fail on the way, or be taken for another."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=0)) as gate:
            with pytest.raises(AdmissionTimeout):
                await enter(gate, timeout)
            assert asyncio.get_running_loop().time() == pytest.approx(5.0)
            await _nobody_is_left(gate)

    run(main())


@both
@pytest.mark.parametrize("timeout", [0, 0.0, Decimal(0), -0.0], ids=_kind)
def test_a_timeout_of_0_is_now_or_never(enter: Enter, timeout: Any) -> None:
    """A caller without time would wait, or be turned away though there is room."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher) as gate:
            await enter(gate, timeout)
            async with gate.admit() as held:
                with pytest.raises(AdmissionTimeout):
                    await enter(gate, timeout)
                held.cancel()
            assert asyncio.get_running_loop().time() == 0.0
            await _nobody_is_left(gate)

    run(main())


@both
@pytest.mark.parametrize("room", [0, 1])
@pytest.mark.parametrize(
    ("timeout", "error"),
    [*((each, TypeError) for each in NO_NUMBERS), *((each, ValueError) for each in NO_TIMES)],
    ids=_kind,
)
def test_what_is_no_time_is_refused_before_anybody_queues(
    enter: Enter, room: int, timeout: Any, error: type[Exception]
) -> None:
    """A caller with a wrong timeout would wait for ever, or leave a ghost that takes a slot."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=room)) as gate:
            with pytest.raises(error, match=r"^timeout .*must be "):
                await enter(gate, timeout)
            assert gate.statistics().admitted == 0
            await _nobody_is_left(gate)

    run(main())


@both
@pytest.mark.parametrize("timeout", FOR_EVER, ids=_kind)
def test_infinity_waits_as_long_as_it_takes(enter: Enter, timeout: Any) -> None:
    """A caller that wants to wait would be refused, or set a timer that no loop can hold."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=0)
        async with opened(fetcher, Lane("default", max_wait=math.inf, default=True)) as gate:
            waits = asyncio.create_task(enter(gate, timeout))
            await asyncio.sleep(1_000.0)
            assert not waits.done()
            fetcher.answer(limit=1)
            await waits

    run(main())


@pytest.mark.parametrize("max_wait", NUMBERS, ids=_kind)
def test_a_number_of_any_kind_is_a_lanes_max_wait(max_wait: Any) -> None:
    """A lane's bound on waiting would fail at the first caller that has to wait."""

    async def main() -> None:
        async with opened(
            ScriptedSource(limit=0), Lane("default", max_wait=max_wait, default=True)
        ) as gate:
            with pytest.raises(AdmissionTimeout):
                await admit(gate, None)
            assert asyncio.get_running_loop().time() == pytest.approx(5.0)

    run(main())


class Stop(BaseException):
    """What no part of callguard knows."""


RAISED = [KeyboardInterrupt, SystemExit, GeneratorExit, Stop, asyncio.CancelledError, MemoryError]

Trap = Callable[[Gate, type[BaseException], pytest.MonkeyPatch], None]


def _from(place: str, after: int = 0) -> Trap:
    """Make a method of something that the gate has raise, after so many calls, once."""
    *path, name = place.split(".")

    def spring(gate: Gate, error: type[BaseException], patch: pytest.MonkeyPatch) -> None:
        owner = functools.reduce(getattr, path, gate)
        real, calls = getattr(owner, name), iter(range(after + 2))

        def sprung(*args: Any, **options: Any) -> Any:
            if next(calls, None) == after:
                raise error
            return real(*args, **options)

        kind = type(owner)
        if name in getattr(kind, "__slots__", ()) or not hasattr(owner, "__dict__"):
            patch.setattr(kind, name, lambda _self, *args, **options: sprung(*args, **options))
        else:
            patch.setattr(owner, name, sprung)

    return spring


WAYS_TO_FAIL = {
    "the clock": _from("_parts.watch.time"),
    "the clock that goes on in sleep": _from("_parts.watch.clock"),
    "the same, asked again": _from("_parts.watch.clock", after=1),
    "the ledger, told of the queue": _from("_parts.ledger.note_queue"),
    "the timer": _from("_home.loop.call_later"),
    "the future": _from("_home.loop.create_future"),
    "the reading": _from("_parts.schedule.want"),
    "telling": _from("_parts.reporter.teller._tell"),
}


@both
@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_what_is_raised_between_joining_and_waiting_leaves_nobody_behind(
    enter: Enter, way: str, error: type[BaseException]
) -> None:
    """A caller that failed on the way in would stay in the queue and take a slot for ever."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher, listener=_listen) as gate:
            async with gate.admit() as held:
                await asyncio.sleep(2.0)  # so that a reading is due
                with pytest.MonkeyPatch.context() as patch:
                    WAYS_TO_FAIL[way](gate, error, patch)
                    with suppress(error):
                        _step(enter(gate, 50.0))
                assert gate.statistics().waiting == {"default": 0}
                held.cancel()
            await _nobody_is_left(gate)

    run(main())


@both
@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize("way", WAYS_TO_FAIL)
def test_what_is_raised_while_there_is_room_keeps_no_slot(
    enter: Enter, way: str, error: type[BaseException]
) -> None:
    """A slot taken for a caller that never got its permit would be lost for good."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), listener=_listen) as gate:
            await asyncio.sleep(2.0)
            with pytest.MonkeyPatch.context() as patch:
                WAYS_TO_FAIL[way](gate, error, patch)
                with suppress(error):
                    _step(enter(gate, 50.0))
            await _nobody_is_left(gate)

    run(main())


@pytest.mark.parametrize("kind", [Queued, Admitted])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_listener_that_ends_the_program_leaves_nobody_behind(
    kind: type[Event], error: type[BaseException]
) -> None:
    """A listener's exit would leave a ghost in the queue, or a slot that is nobody's."""
    armed = False

    def listen(event: Event) -> None:
        if armed and isinstance(event, kind):
            raise error

    async def main() -> None:
        nonlocal armed
        async with opened(ScriptedSource(limit=1), listener=listen) as gate:
            async with gate.admit() as held:
                if kind is Admitted:
                    held.cancel()
                armed = True
                with pytest.raises(error):
                    _step(admit(gate, None))
                armed = False
                held.cancel()
            await _nobody_is_left(gate)

    run(main())


@pytest.mark.parametrize("granted", [False, True])
@both
def test_a_caller_whose_coroutine_is_closed_leaves_the_queue(enter: Enter, granted: bool) -> None:
    """A caller that another framework drops, instead of cancelling it, would become a ghost."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            async with gate.admit() as held:
                waiting: Any = enter(gate, None)
                waiting.send(None)
                assert gate.statistics().waiting == {"default": 1}
                if granted:
                    held.cancel()
                waiting.close()
                assert gate.statistics().waiting == {"default": 0}
                held.cancel()
            await _nobody_is_left(gate)

    run(main())


@pytest.mark.parametrize("error", [*RAISED, TimeoutError])
@pytest.mark.parametrize("granted", [False, True])
def test_asking_a_shared_ledger_may_fail_and_leaves_nobody_behind(
    granted: bool, error: type[BaseException]
) -> None:
    """Who doesn't want to wait would be left waiting where the ledger's server fails."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            async with gate.admit() as held:

                async def consult() -> None:
                    if granted:
                        held.cancel()
                    raise error

                gate._parts.admissions._consult = consult
                with pytest.raises(error):
                    await gate.try_admit().__aenter__()
                gate._parts.admissions._consult = None
                held.cancel()
            await _nobody_is_left(gate)

    run(main())


@pytest.mark.parametrize("error", RAISED)
def test_a_ledger_that_fails_while_a_slot_is_given_loses_nobody(error: type[BaseException]) -> None:
    """Whoever was next would be taken out of the queue without a slot, and wait for ever."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            crowd = Crowd(gate)
            crowd.send("holder")
            await settle()
            crowd.send("next")
            await settle()
            with pytest.MonkeyPatch.context() as patch:
                _from("_parts.ledger.acquire")(gate, error, patch)
                with suppress(error):
                    crowd.permits["holder"].cancel()
            await asyncio.sleep(1.5)
            assert crowd.arrived == ["holder", "next"]
            await crowd.disperse()

    run(main())


def _listen(event: Event) -> None:
    pass


async def _do_not_dial(permit: Permit) -> None:
    permit.cancel()
    raise NotDialled


def _step(coroutine: Any) -> None:
    """Run a caller in the current task until it would wait, so that nothing swallows its error."""
    try:
        coroutine.send(None)
    except StopIteration:
        pass
    finally:
        coroutine.close()


async def _nobody_is_left(gate: Gate) -> None:
    """Whether the gate admits as many as fit, and nobody else is in the queue."""
    assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    fetcher = gate._parts.schedule._source
    assert isinstance(fetcher, ScriptedSource)
    fetcher.answer(limit=2)
    await asyncio.sleep(60.0)
    statistics = gate.statistics()
    assert statistics.waiting == dict.fromkeys(statistics.waiting, 0)
    assert statistics.usage.dialling == statistics.usage.uncounted == 0
    async with asyncio.timeout(5.0), gate.admit() as one, gate.admit() as other:
        one.cancel()
        other.cancel()

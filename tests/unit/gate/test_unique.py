"""One admission, one permit, one call: nothing doubles, leaks or mixes up what a gate has given."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest

from callguard import AdmissionTimeout, Gate, UsageError
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Refusal, opened, settle


@dataclasses.dataclass
class Job:
    """What users put a permit into."""

    what: Any


COPIES: dict[str, Callable[[Any], object]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy of a list": lambda what: copy.deepcopy([what]),
    "asdict": lambda what: dataclasses.asdict(Job(what)),
    "a process": ForkingPickler.dumps,
    **{
        f"pickle {protocol}": partial(pickle.dumps, protocol=protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("which", ["permit", "gate", "admission", "attempt"])
@pytest.mark.parametrize("way", COPIES)
def test_what_there_is_one_of_is_not_copied(which: str, way: str) -> None:
    """A copied permit would give its slot back twice, and the limit would be passed."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                things = {
                    "permit": permit,
                    "gate": gate,
                    "admission": gate.admit(),
                    "attempt": gate.try_admit(),
                }
                with pytest.raises(TypeError, match="can't be copied or pickled: it"):
                    COPIES[way](things[which])
                permit.cancel()
            assert gate.statistics().usage.total == 0

    run(main())


MAKE: dict[str, Callable[[Gate], Any]] = {
    "admit": lambda gate: gate.admit(timeout=50.0),
    "try_admit": lambda gate: gate.try_admit(),
}


@pytest.mark.parametrize("room", [1, 9])
@pytest.mark.parametrize("make", MAKE)
def test_one_admission_entered_by_two_tasks_takes_one_slot(make: str, room: int) -> None:
    """The second task's permit would hide the first's, whose slot would never be given back."""

    async def enter(admission: Any, leave: asyncio.Event) -> None:
        async with admission as permit:
            await leave.wait()
            permit.cancel()

    async def main() -> None:
        fetcher = ScriptedSource(limit=room, latency=0.5)
        async with opened(fetcher) as gate:
            leave = asyncio.Event()
            async with gate.admit() as held:
                await asyncio.sleep(1.0)  # a reading is due, which try_admit waits for
                admission = MAKE[make](gate)
                tasks = [asyncio.create_task(enter(admission, leave)) for _ in range(3)]
                await settle()
                held.cancel()
            leave.set()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(each) for each in outcomes] == [type(None), UsageError, UsageError]
            assert "one each" in str(outcomes[1])
            assert gate.statistics().admitted == 2
            assert gate.statistics().usage.total == 0
            assert gate.statistics().waiting == {"default": 0}

    run(main())


@pytest.mark.parametrize("make", MAKE)
def test_an_admission_is_for_one_call(make: str) -> None:
    """Entering one admission again, inside or after its block, would lose a permit."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=9)) as gate:
            admission = MAKE[make](gate)
            async with admission:
                with pytest.raises(UsageError, match="one each"):
                    await admission.__aenter__()
            with pytest.raises(UsageError, match="one each"):
                async with admission:
                    pass
            assert gate.statistics().usage.total == 1

    run(main())


def test_an_admission_that_failed_is_asked_for_anew() -> None:
    """Whether an admission can be used again would depend on how it ended."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=0)) as gate:
            admission = gate.admit(timeout=1.0)
            with pytest.raises(AdmissionTimeout):
                await admission.__aenter__()
            with pytest.raises(UsageError, match="one each"):
                await admission.__aenter__()
            assert gate.statistics().waiting == {"default": 0}

    run(main())


def test_the_short_form_gives_no_permit() -> None:
    """A permit of the short form could be told what then happens to another's call."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=9)) as gate:
            async with gate as permit:
                assert permit is None

    run(main())


async def _calls(gate: Gate, raises: Exception | None = None) -> AsyncIterator[str]:
    """A generator that dials between two steps of whoever iterates."""
    async with gate:
        yield "dialling"
        if raises is not None:
            raise raises


@pytest.mark.parametrize("first", [0, 1])
def test_blocks_of_one_task_that_are_not_nested_are_left_one_by_one(first: int) -> None:
    """Leaving one would give back another's slot while its call is still being dialled."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=9), counted_after=1000.0) as gate:
            calls = [_calls(gate), _calls(gate, Refusal())]
            for each in calls:
                await anext(each)
            async with gate:
                for each in calls if first == 0 else reversed(calls):
                    with pytest.raises((StopAsyncIteration, Refusal)):
                        await anext(each)
                usage = gate.statistics().usage
                assert (usage.dialling, usage.uncounted) == (1, 1)
            usage = gate.statistics().usage
            assert (usage.dialling, usage.uncounted) == (0, 2)
            assert gate.statistics().refused == 1

    run(main())


def test_a_block_may_be_left_by_another_task_than_entered_it() -> None:
    """A generator that the loop closes, or a stack that another task unwinds, would leak a slot."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=9)) as gate:
            call = _calls(gate)
            assert await asyncio.create_task(anext(call)) == "dialling"  # type: ignore[arg-type]
            async with aclosing(call):  # type: ignore[type-var]
                assert gate.statistics().usage.dialling == 1
            usage = gate.statistics().usage
            assert (usage.dialling, usage.uncounted) == (0, 1)

    run(main())


def test_nested_blocks_and_many_tasks_each_count_one_call() -> None:
    """Leaving one block would place another one's call."""

    async def brief(gate: Gate) -> None:
        async with gate:
            await asyncio.sleep(1.0)

    async def main() -> None:
        async with opened(ScriptedSource(limit=9)) as gate:
            async with gate, gate:
                await asyncio.gather(*(brief(gate) for _ in range(3)))
                usage = gate.statistics().usage
                assert (usage.dialling, usage.uncounted) == (2, 3)
            usage = gate.statistics().usage
            assert (usage.dialling, usage.uncounted) == (0, 5)

    run(main())


def test_leaving_a_gate_that_was_not_entered_is_refused() -> None:
    """A block left twice by hand would give back the slot of somebody else."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=9)) as gate:
            async with gate:
                pass
            with pytest.raises(UsageError, match="left more often than entered"):
                await gate.__aexit__(None, None, None)

    run(main())

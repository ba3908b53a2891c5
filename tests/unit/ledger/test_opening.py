"""Gates that open on a shared ledger where readings fail, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from callguard import LimitsRejected, RedisLedger, open_gate
from callguard.gate.opening import Opening
from callguard.testing import ScriptedSource
from tests.support.bent_client import Line
from tests.support.virtual_time import run
from tests.unit.ledger.bent_clock import BentLedger, Worker, claim

Opens = Callable[[ScriptedSource], Opening]


@pytest.fixture
def opened(ledger: BentLedger, workspace_key: str) -> Opens:
    """Opens a gate on the test's ledger."""
    lines: list[Line] = []

    def opened(source: ScriptedSource) -> Opening:
        line: Any = Line(ledger, lines)
        return open_gate(source=source, ledger=RedisLedger(line, name=workspace_key), ttl=1.0)

    return opened


@pytest.mark.parametrize(("later", "asked"), [(0.5, 1), (1.5, 2)])
def test_a_key_that_was_refused_once_is_tried_again(
    opened: Opens, later: float, asked: int
) -> None:
    """No gate could open any more: each would believe the first, and none would ask; or it would
    report what has happened before its time."""

    async def scenario() -> None:
        source = await refused(opened)
        await asyncio.sleep(later)
        with nullcontext() if asked == 2 else pytest.raises(LimitsRejected):
            async with opened(source) as gate, gate.admit(timeout=1.0):
                assert gate.statistics().readings["rejected"] == 0
        assert len(source.asked) == asked

    run(scenario())


def test_a_failure_is_not_believed_while_another_reads_again(opened: Opens) -> None:
    """A gate that opens just then would be told of what was mended long ago."""

    async def scenario() -> None:
        source = await refused(opened)
        source.latency = 0.5
        await asyncio.sleep(1.5)
        async with asyncio.TaskGroup() as group:
            group.create_task(opens_and_closes(opened(source)))
            await asyncio.sleep(0.25)
            group.create_task(opens_and_closes(opened(source)))
        assert len(source.asked) == 2

    run(scenario())


def test_a_gate_that_can_not_open_leaves_nothing_behind(opened: Opens, ledger: BentLedger) -> None:
    """It would read for those who wait elsewhere, for as long as the process lives."""
    other = Worker(ledger, "other")
    other.join(claims=[claim(ceiling=1)])

    async def scenario() -> set[str]:
        await refused(opened)
        left = set()
        for _ in range(50):
            left |= {task.get_name() for task in asyncio.all_tasks()}
            await asyncio.sleep(0.1)
        return {name for name in left if name.startswith("callguard")}

    assert run(scenario()) == set()


async def refused(opened: Opens) -> ScriptedSource:
    """A source that has refused the first gate that there was, and has room for one call now."""
    source = ScriptedSource()
    source.error = LimitsRejected("HTTP 401: Invalid API Key", 401)
    with pytest.raises(LimitsRejected):
        await opens_and_closes(opened(source))
    source.answer(limit=1)
    return source


async def opens_and_closes(gate: Opening) -> None:
    async with gate:
        pass

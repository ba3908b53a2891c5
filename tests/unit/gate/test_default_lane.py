"""Which lane a call goes by that names none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

import callguard
from callguard import Gate, Lane, Permit, UsageError
from callguard.lanes import checked_lanes
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle


def _gate(fetcher: ScriptedSource, lanes: list[Lane]) -> AbstractAsyncContextManager[Gate]:
    return opened(fetcher, *checked_lanes(lanes), with_default=False)


async def _enter(block: Any) -> str:
    async with block as permit:
        permit.cancel()
        return str(permit.lane.name)


async def _place(gate: Gate) -> str:
    async def dial(permit: Permit) -> str:
        return permit.lane.name

    return await gate.place(dial)


async def _short(gate: Gate) -> str:
    before = gate.statistics().admitted
    async with gate:
        assert gate.statistics().admitted == before + 1
    return "default"


async def _explain(gate: Gate) -> str:
    return gate.explain().lane.name


UNNAMED: dict[str, Callable[[Gate], Awaitable[str]]] = {
    "admit": lambda gate: _enter(gate.admit()),
    "admit None": lambda gate: _enter(gate.admit(None, timeout=0)),
    "try_admit": lambda gate: _enter(gate.try_admit()),
    "place": _place,
    "the short form": _short,
    "explain": _explain,
}

every_way = pytest.mark.parametrize("way", UNNAMED)

WITHOUT_DEFAULT = [
    [Lane("urgent"), Lane("bulk", reserve=2)],
    [Lane("bulk", reserve=2)],
    [Lane("default", reserve=2), Lane("urgent")],
]


@every_way
@pytest.mark.parametrize("lanes", WITHOUT_DEFAULT)
def test_a_call_names_its_lane_where_none_is_the_default(way: str, lanes: list[Lane]) -> None:
    """A call without a lane would go before all others, and keep no reserve."""

    async def main() -> None:
        async with _gate(ScriptedSource(limit=20), lanes) as gate:
            known = ", ".join(repr(lane.name) for lane in lanes)
            with pytest.raises(UsageError, match=f"name one of {known}.*default=True"):
                await UNNAMED[way](gate)
            statistics = gate.statistics()
            assert statistics.admitted == 0
            assert statistics.waiting == {lane.name: 0 for lane in lanes}
            assert await _enter(gate.admit(lanes[0].name)) == lanes[0].name

    run(main())


@every_way
def test_a_call_without_a_lane_goes_by_the_default(way: str) -> None:
    """The lane that is said to be for the rest would not be taken."""

    async def main() -> None:
        lanes = [Lane("urgent"), Lane("rest", reserve=2, default=True), Lane("bulk")]
        async with _gate(ScriptedSource(limit=20), lanes) as gate:
            lane = await UNNAMED[way](gate)
            assert lane == ("default" if way == "the short form" else "rest")
            assert list(gate.statistics().ceilings) == ["urgent", "rest", "bulk"]

    run(main())


def test_the_default_lane_keeps_its_own_rules() -> None:
    """A call without a lane would be admitted on rules that nobody wrote."""

    async def main() -> None:
        lanes = [Lane("urgent"), Lane("rest", priority=1, reserve=2, default=True)]
        async with _gate(ScriptedSource(limit=3), lanes) as gate:
            crowd = Crowd(gate)
            crowd.send("first", "second")
            await settle()
            assert crowd.arrived == ["first"]
            async with gate.admit("urgent") as permit:
                permit.cancel()
            await crowd.disperse()

    run(main())


@every_way
def test_without_lanes_nothing_has_to_be_named(way: str) -> None:
    """The simplest use would ask for what it doesn't need."""

    async def main() -> None:
        async with _gate(ScriptedSource(limit=20), []) as gate:
            assert await UNNAMED[way](gate) == "default"
            assert await _enter(gate.admit("default")) == "default"

    run(main())


def test_no_lane_is_added_to_those_that_are_given() -> None:
    """A lane that nobody wrote would stand in statistics, and let calls in."""
    lanes = [Lane("urgent"), Lane("bulk")]
    assert checked_lanes(lanes) == lanes

    async def main() -> None:
        async with _gate(ScriptedSource(limit=20), lanes) as gate:
            with pytest.raises(UsageError, match="no lane 'default', only 'urgent', 'bulk'"):
                gate.admit("default")

    run(main())


def test_open_gate_takes_the_lanes_as_they_are() -> None:
    """What is said of lanes would hold for a gate of the tests only."""

    class Unplugged:
        def get(self, *_: object, **__: object) -> Any:
            raise OSError("no network")

    async def main() -> None:
        lanes = [Lane("urgent"), Lane("bulk")]
        async with callguard.open_gate(
            "key_x",
            base_url="http://localhost:1",
            session=Unplugged(),  # type: ignore[arg-type]
            lanes=lanes,
        ) as gate:
            assert list(gate.statistics().waiting) == ["urgent", "bulk"]
            with pytest.raises(UsageError, match="default=True"):
                gate.admit()
            await asyncio.sleep(0)

    run(main())

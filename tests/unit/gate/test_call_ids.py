"""One permit, one call: what happens when two ids are said, or one that can't be."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from callguard import Permit, UsageError
from callguard.fetcher import CallState
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened


@pytest.mark.parametrize("between", ["nothing", "answered", "cancel"])
def test_a_second_id_is_an_error_that_names_both_and_the_first_stands(between: str) -> None:
    """Of two calls under one permit one would not be counted, and nobody would know."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
                if between != "nothing":
                    getattr(permit, between)()
                with pytest.raises(UsageError, match=r"'call_1'.* 'call_2'.*The first id stands"):
                    permit.placed("call_2")
                permit.placed("call_1")
            assert permit.call_id == "call_1"
            assert list(gate._parts.ledger.uncounted_calls()) == ["call_1"]
            gate.note_ended("call_2")
            assert gate.statistics().usage.uncounted == 1
            gate.note_ended("call_1")
            assert gate.statistics().usage.total == 0

    run(main())


def test_nobody_is_asked_for_a_call_that_the_count_shows() -> None:
    """The provider would be asked about a call after each reading, for ever."""
    asked: list[str] = []

    async def ask(call_id: str) -> CallState:
        asked.append(call_id)
        return CallState()

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher, counted_after=5.0, ask=ask) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
                with suppress(UsageError):
                    permit.placed("call_2")
            fetcher.answer(limit=1, current=1)
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(10.0)
            assert set(asked) == {"call_1"}
            asked.clear()
            await asyncio.sleep(60.0)
            assert asked == []
            await crowd.disperse()

    run(main())


def test_a_call_that_was_over_is_not_asked_for() -> None:
    """The provider would be asked about a call of which all is known."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                permit.ended()
                permit.placed("call_1")
            assert permit.call_id == "call_1"
            assert list(gate._parts.ledger.uncounted_calls()) == []

    run(main())


@pytest.mark.parametrize("call_id", ["call_1", "call_2"])
def test_after_a_refusal_the_same_permit_may_have_a_call(call_id: str) -> None:
    """Evidence about the second dial would find no permit, so that its slot were held longer."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
                permit.refused()
                permit.placed(call_id)
            assert permit.call_id == call_id
            assert list(gate._parts.ledger.uncounted_calls()) == [call_id]
            gate.note_ended(call_id)
            assert gate.statistics().usage.total == 0

    run(main())


@pytest.mark.parametrize(
    ("call_id", "error"),
    [
        (7, TypeError),
        (b"call_1", TypeError),
        (SimpleNamespace(call_id="call_1", to_number="+12137774445"), TypeError),
        ({"call_id": "call_1", "to_number": "+12137774445"}, TypeError),
        ("", ValueError),
        ("\ud800", ValueError),
    ],
)
def test_an_id_that_cant_be_is_an_error_and_the_call_is_placed(
    call_id: Any, error: type[Exception]
) -> None:
    """The response passed for its id would fail far from where it was said, or be asked about."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                with pytest.raises(error, match=r"^call_id must be") as caught:
                    permit.placed(call_id)
                assert "1213" not in str(caught.value)
            assert gate.statistics().usage.uncounted == 1
            permit.placed("call_1")
            assert list(gate._parts.ledger.uncounted_calls()) == ["call_1"]
            for note in (gate.note_answered, gate.note_ended):
                with pytest.raises(error, match=r"^call_id must be"):
                    note(call_id)

    run(main())


@pytest.mark.parametrize(
    ("said", "result", "bound"),
    [
        ("call_1", {"call_id": "lead_7"}, "call_1"),
        ("call_1", {"call_id": "call_1"}, "call_1"),
        (None, {"call_id": "call_1"}, "call_1"),
        (None, {"call_id": ""}, None),
        (None, {"call_id": "\ud800"}, None),
        (None, {"call_id": 7}, None),
    ],
)
def test_what_the_dial_says_goes_before_what_it_returns(
    said: str | None, result: dict[str, object], bound: str | None
) -> None:
    """A dialer that answers with an id of its own would fail after its call was placed."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:

            async def dial(permit: Permit) -> dict[str, object]:
                if said is not None:
                    permit.placed(said)
                return result

            assert await gate.place(dial) is result
            assert list(gate._parts.ledger.uncounted_calls()) == ([bound] if bound else [])
            assert gate.statistics().usage.uncounted == 1

    run(main())

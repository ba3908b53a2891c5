"""A gate that counts inbound calls apart from its own."""

from __future__ import annotations

import asyncio
import logging

import pytest

import callguard
from callguard import Gate, NoHeadroom
from callguard.events import Event, GivenUp
from callguard.gate.opening import Opening
from callguard.testing import ScriptedSource, run
from tests.unit.gate.support import Refusal

LIMIT, RESERVED = 10, 3


def source(current: int = 0) -> ScriptedSource:
    script = ScriptedSource(limit=LIMIT)
    script.answer(LIMIT, current, reserved_inbound=RESERVED)
    return script


def opened(script: ScriptedSource, heard: list[Event] | None = None) -> Opening:
    return callguard.open_gate(
        source=script,
        cps=None,
        counts_ringing=True,
        reserved_inbound="outbound",
        refused=lambda error: isinstance(error, Refusal),
        listener=None if heard is None else heard.append,
    )


async def dial(gate: Gate, calls: int, first: int = 1) -> None:
    for number in range(first, first + calls):
        async with gate.try_admit() as permit:
            permit.placed(f"call_{number}")


async def read(gate: Gate, script: ScriptedSource, current: int) -> None:
    """Have the gate read a count that surely shows all calls from before."""
    script.answer(LIMIT, current, reserved_inbound=RESERVED)
    await asyncio.sleep(3.0)
    await gate._parts.schedule.renew()


def headroom(gate: Gate) -> int | None:
    return gate.statistics().headroom["default"]


def test_inbound_calls_use_their_own_slots() -> None:
    """An inbound call in progress would cost outbound one, though slots are reserved for it."""

    async def main() -> None:
        script = source()
        async with opened(script) as gate:
            await dial(gate, 7)
            with pytest.raises(NoHeadroom, match="3 for inbound, of which others have 0"):
                await dial(gate, 1)
            await read(gate, script, 9)
            assert headroom(gate) == 0
            gate.note_ended("call_1")
            assert (gate.statistics().usage.own, gate.statistics().usage.others) == (6, 3)
            assert headroom(gate) == 1, "of outbound's share, at once"
            await dial(gate, 1, first=8)
            assert headroom(gate) == 0

    run(main())


def test_outbound_calls_never_use_more_than_their_share() -> None:
    """Own calls would take the slots that are reserved for others, once those are gone."""

    async def main() -> None:
        script = source(current=2)
        async with opened(script) as gate:
            await dial(gate, 5)
            await read(gate, script, 7)
            assert headroom(gate) == 0, "the two may be calls from before this gate"
            await read(gate, script, 5)
            assert headroom(gate) == 2
            await dial(gate, 2, first=6)
            assert headroom(gate) == 0

    run(main())


def test_the_limit_holds_for_all_calls_together() -> None:
    """Inbound calls beyond the reserved slots would be forgotten."""

    async def main() -> None:
        script = source()
        async with opened(script) as gate:
            await dial(gate, 2)
            await read(gate, script, 9)
            assert headroom(gate) == 1
            await dial(gate, 1, first=3)
            with pytest.raises(NoHeadroom):
                await dial(gate, 1)

    run(main())


def test_a_waiting_caller_goes_when_an_own_call_ends() -> None:
    """The share of outbound calls would stay unused until the next reading."""

    async def main() -> None:
        script = source()
        async with opened(script) as gate:
            await dial(gate, 7)
            await read(gate, script, 9)
            waiting = asyncio.create_task(dial_when_admitted(gate))
            await asyncio.sleep(0)
            assert not waiting.done()
            gate.note_ended("call_3")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert waiting.done()

    async def dial_when_admitted(gate: Gate) -> None:
        async with gate.admit() as permit:
            permit.placed("call_8")

    run(main())


def test_the_first_refusal_ends_the_belief_for_good(caplog: pytest.LogCaptureFixture) -> None:
    """A wrong belief about the provider would cost one refused call after another."""

    async def main() -> None:
        script, heard = source(), list[Event]()
        async with opened(script, heard) as gate:
            await dial(gate, 4)
            await read(gate, script, 7)
            assert headroom(gate) == 3
            with pytest.raises(Refusal), caplog.at_level(logging.WARNING):
                async with gate.try_admit():
                    raise Refusal
            for _ in range(2):
                await read(gate, script, 7)
                assert headroom(gate) == 0
            gate.note_ended("call_1", refused=True)
            assert gate.statistics().given_up == ["reserved_inbound"]
        told = [event.setting for event in heard if isinstance(event, GivenUp)]
        assert told == ["reserved_inbound"]
        assert "reserved_inbound is given up" in caplog.text

    run(main())


def test_without_the_setting_all_calls_count_together() -> None:
    """What can't be told from inside would be the default."""

    async def main() -> None:
        async with callguard.open_gate(source=source(current=4), cps=None) as gate:
            assert headroom(gate) == LIMIT - RESERVED - 4

    run(main())


@pytest.mark.parametrize("wrong", ["inbound", None, True])
def test_another_word_is_an_error(wrong: object) -> None:
    """A mistyped word would be taken for the default."""
    with pytest.raises((TypeError, ValueError), match="reserved_inbound"):
        callguard.open_gate(source=source(), reserved_inbound=wrong)  # type: ignore[arg-type]

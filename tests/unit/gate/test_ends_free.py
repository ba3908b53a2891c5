"""A gate whose ended calls make room at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest

import callguard
from callguard import FixedLimit, Gate
from callguard.events import Event, GivenUp
from callguard.testing import run
from tests.support.fake_network import FakeSession, Reply, limits_reply
from tests.unit.gate.support import Refusal

LIMIT, AHEAD = 5, 1.75e9


class Provider:
    """A counter that says what it is told to, and the time."""

    def __init__(self) -> None:
        self.count = 0

    def limits(self, _method: str, _url: str, _headers: Mapping[str, str]) -> Reply:
        date = formatdate(asyncio.get_running_loop().time() + AHEAD, usegmt=True)
        reply = limits_reply(self.count, LIMIT)
        return Reply(reply.status, reply.body, {"Date": date})


@asynccontextmanager
async def full(
    heard: list[Event] | None = None, *, ends_free_at_once: bool = True
) -> AsyncIterator[tuple[Gate, Provider]]:
    """A gate whose calls, "call_1" and so on, a snapshot counts; it began now."""
    provider = Provider()
    async with callguard.open_gate(
        "key_test",
        session=FakeSession(provider.limits),
        cps=None,
        counts_ringing=True,
        ends_free_at_once=ends_free_at_once,
        track=None,
        refused=lambda error: isinstance(error, Refusal),
        listener=None if heard is None else heard.append,
    ) as gate:
        for number in range(LIMIT):
            async with gate.try_admit() as permit:
                permit.placed(f"call_{number + 1}")
        provider.count = LIMIT
        await read_after(gate, 6.0)  # the first snapshot, before the calls, is in hand no more
        yield gate, provider


async def read_after(gate: Gate, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await gate._parts.schedule.renew()


def ended(gate: Gate, call_id: str, *, ago: float = 0.0) -> None:
    """The call was over so many seconds ago by the provider's clock."""
    gate.note_ended(call_id, at=asyncio.get_running_loop().time() + AHEAD - ago)


def headroom(gate: Gate) -> int | None:
    return gate.statistics().headroom["default"]


def test_a_call_that_surely_ended_after_the_snapshot_makes_room_at_once() -> None:
    """Each ended call would use a slot until the counter has noticed and was read."""

    async def main() -> None:
        async with full() as (gate, _):
            await asyncio.sleep(2.0)
            assert headroom(gate) == 0
            ended(gate, "call_1")
            ended(gate, "call_2")
            assert headroom(gate) == 2
            assert (gate.statistics().usage.ended, gate.statistics().usage.own) == (2, 3)
            assert "5 reported 2.0 s ago, 2 of them over or counted twice," in str(gate.explain())
            async with gate.try_admit() as permit:
                permit.placed("call_6")

    run(main())


@pytest.mark.parametrize("ago", [1.6, None])
def test_a_call_that_may_have_ended_before_the_snapshot_makes_none(ago: float | None) -> None:
    """A call that the snapshot no longer counts would be subtracted from it."""

    async def main() -> None:
        async with full() as (gate, _):
            await asyncio.sleep(2.0)
            if ago is None:
                gate.note_ended("call_1")
            else:
                ended(gate, "call_1", ago=ago)
            assert headroom(gate) == 0

    run(main())


def test_without_the_setting_an_end_waits_for_the_count() -> None:
    """What rests on the provider's word alone would be the default."""

    async def main() -> None:
        async with full(ends_free_at_once=False) as (gate, _):
            await asyncio.sleep(2.0)
            ended(gate, "call_1")
            assert headroom(gate) == 0

    run(main())


def test_the_first_refusal_ends_the_belief_for_good(caplog: pytest.LogCaptureFixture) -> None:
    """A provider that refuses by its late counter would refuse one call after another."""

    async def main() -> None:
        heard = list[Event]()
        async with full(heard) as (gate, provider):
            await asyncio.sleep(2.0)
            ended(gate, "call_1")
            with pytest.raises(Refusal), caplog.at_level(logging.WARNING):
                async with gate.try_admit():
                    raise Refusal
            assert headroom(gate) == 0
            await read_after(gate, 1.0)
            await asyncio.sleep(2.0)
            ended(gate, "call_2")
            gate.note_ended("call_3", refused=True)
            assert headroom(gate) == 0
            provider.count = 3
            await read_after(gate, 1.0)
            assert headroom(gate) == 2
            assert gate.statistics().given_up == ["ends_free_at_once"]
            assert "; ends_free_at_once was given up at a refusal" in str(gate.explain())
        told = [event.setting for event in heard if isinstance(event, GivenUp)]
        assert told == ["ends_free_at_once"]
        assert "ends_free_at_once is given up" in caplog.text

    run(main())


def test_a_caller_that_waits_goes_when_a_call_ends() -> None:
    """The slot would be free, and nobody would be told."""

    async def main() -> None:
        async with full() as (gate, _):
            waiting = asyncio.create_task(dial(gate))
            await asyncio.sleep(1.9)
            ended(gate, "call_1")
            await asyncio.sleep(0.01)
            assert waiting.done()

    async def dial(gate: Gate) -> None:
        async with gate.admit():
            pass

    run(main())


def test_a_fixed_limit_has_no_count_from_which_an_end_could_be_missing() -> None:
    """A call that its snapshots never counted would be subtracted from them."""

    async def main() -> None:
        source = FixedLimit(LIMIT, longest_call=10.0)
        async with callguard.open_gate(source=source, ends_free_at_once=True, cps=None) as gate:
            assert not gate._parts.ledger.ends_free

    run(main())


@pytest.mark.parametrize("wrong", ["yes", None, 1])
def test_only_true_and_false_are_taken(wrong: object) -> None:
    """A mistyped value would be taken for yes."""
    with pytest.raises(TypeError, match="ends_free_at_once"):
        callguard.open_gate("key", ends_free_at_once=wrong)  # type: ignore[arg-type]

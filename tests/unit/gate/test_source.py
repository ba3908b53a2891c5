"""A gate whose limits are read by a source of the user's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import callguard
from callguard import FixedLimit, LimitsRejected, LimitsUnavailable, RedisLedger, UsageError
from callguard.testing import ScriptedSource, run
from callguard.testing.redis_server import RedisServer


def test_a_gate_goes_by_what_its_source_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who dials through another provider would have to imitate Retell AI's server."""
    monkeypatch.delenv("RETELL_API_KEY", raising=False)

    async def main() -> None:
        source = ScriptedSource(limit=2, current=1)
        async with callguard.open_gate(source=source) as gate, gate.try_admit() as permit:
            assert str(gate.explain()).startswith("denied: 2 of 2 in use")
            permit.cancel()

    run(main())


def test_an_outage_of_a_source_is_waited_out() -> None:
    """Callers would get the error of a source that works again a second later."""

    async def main() -> None:
        source = ScriptedSource(limit=1)
        source.error = LimitsUnavailable("down for a moment")
        async with callguard.open_gate(source=source) as gate:
            assert gate.explain().outage is not None
            source.answer(limit=1)
            async with gate.admit(timeout=60.0) as permit:
                permit.cancel()

    run(main())


def test_a_key_that_a_source_is_refused_opens_no_gate() -> None:
    """Everybody would wait for a source that can never answer."""

    async def main() -> None:
        source = ScriptedSource()
        source.error = LimitsRejected("wrong key", 401)
        with pytest.raises(LimitsRejected, match="wrong key"):
            await callguard.connect(source=source)

    run(main())


async def test_workers_share_a_source_on_a_ledger_with_a_name(
    own_redis: RedisServer, no_grace: None
) -> None:
    """A workspace without an API key could have one worker only."""
    async with (
        RedisLedger.from_url(own_redis.url, name="another provider") as ledger,
        callguard.open_gate(source=ScriptedSource(limit=1), ledger=ledger) as one,
        callguard.open_gate(source=ScriptedSource(limit=1), ledger=ledger) as other,
        one.admit() as permit,
    ):
        with pytest.raises(callguard.NoHeadroom):
            await other.try_admit().__aenter__()
        permit.cancel()


@pytest.mark.parametrize(
    ("ends", "after"), [("permit.ended", 5.0), ("gate.note_ended", 5.0), ("nothing", 60.0)]
)
def test_under_a_fixed_limit_a_call_holds_its_slot_until_it_is_over(
    ends: str, after: float
) -> None:
    """Calls that nobody counts would be forgotten, and more be placed than may go on; or one of
    whose end nobody tells would hold its slot for ever."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        source = FixedLimit(1, longest_call=60.0)
        async with callguard.open_gate(source=source) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
            permit.answered()
            if ends == "permit.ended":
                loop.call_later(5.0, permit.ended)
            elif ends == "gate.note_ended":
                loop.call_later(5.0, gate.note_ended, "call_1")
            async with gate.admit() as another:
                another.cancel()
            assert after <= loop.time() <= after + 1.1

    run(main())


async def test_workers_share_a_fixed_limit(own_redis: RedisServer, no_grace: None) -> None:
    """Each would have the whole limit for itself."""
    async with (
        RedisLedger.from_url(own_redis.url, name="fixed") as ledger,
        callguard.open_gate(source=FixedLimit(1), ledger=ledger) as one,
        callguard.open_gate(source=FixedLimit(1), ledger=ledger) as other,
    ):
        async with one.admit(timeout=20.0) as permit:
            permit.placed("call_1")
        with pytest.raises(callguard.NoHeadroom):
            await other.try_admit().__aenter__()
        other.note_ended("call_1")
        async with other.admit(timeout=20.0) as permit:
            permit.cancel()


@pytest.mark.parametrize(
    ("limit", "longest_call", "error"),
    [(-1, 60.0, ValueError), (1.5, 60.0, TypeError), (1, 0.0, ValueError), (1, "60", TypeError)],
)
def test_a_fixed_limit_that_can_not_be_is_refused(
    limit: Any, longest_call: Any, error: type[Exception]
) -> None:
    """A slip of the pen would open a gate that admits nobody, or anybody."""
    with pytest.raises(error):
        FixedLimit(limit, longest_call=longest_call)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"api_key": "key_here"}, UsageError, "api_key is for reading Retell AI's limits"),
        ({"session": object()}, UsageError, "session is for reading"),
        ({"source": ScriptedSource}, TypeError, "source must have a method"),
        ({"source": object()}, TypeError, "source must have a method"),
        ({"ledger": "redis://localhost"}, UsageError, "give it a name that all workers know"),
    ],
)
def test_what_makes_no_sense_with_a_source_is_refused_at_the_call(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    """A key that is not used would be taken for one that is."""
    with pytest.raises(error, match=said):
        callguard.open_gate(**{"source": ScriptedSource(), **arguments})


async def test_a_gate_that_was_connected_is_closed_once_and_for_all() -> None:
    """A framework that stops twice would fail, or a task go on in the background."""
    gate = await callguard.connect(source=ScriptedSource(limit=1))
    async with gate:
        pass
    await gate.aclose()
    await gate.aclose()
    with pytest.raises(callguard.GateClosed):
        async with gate:
            pass

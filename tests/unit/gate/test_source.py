"""A gate whose limits are read by a source of the user's."""

from __future__ import annotations

from typing import Any

import pytest

import callguard
from callguard import LimitsRejected, LimitsUnavailable, RedisLedger, UsageError
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
    ("arguments", "error", "said"),
    [
        ({"api_key": "key_here"}, UsageError, "api_key is for reading Retell AI's limits"),
        ({"track": "ask"}, UsageError, "track is for reading"),
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

"""The provider's stamps of ends, as they reach the ledger."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from unittest.mock import patch

import pytest

import callguard
from callguard import Gate
from tests.support.fake_network import FakeSession, Reply, limits_reply
from tests.support.virtual_time import run

AHEAD = 1.75e9
"""Seconds by which the provider's clock is ahead of the loop's."""

Headers = Callable[[float], dict[str, str]]


def dated(now: float) -> dict[str, str]:
    return {"Date": formatdate(now + AHEAD, usegmt=True)}


def undated(_: float) -> dict[str, str]:
    return {}


def of_a_cache(now: float) -> dict[str, str]:
    return {"Date": formatdate(now + AHEAD - 30.0, usegmt=True), "Age": "30"}


def of_nobody(_: float) -> dict[str, str]:
    return {"Date": "yesterday"}


@asynccontextmanager
async def opened_with(headers: Headers) -> AsyncIterator[tuple[Gate, dict[str, float]]]:
    """A gate whose provider answers with these headers; and after when each call surely ended."""
    loop = asyncio.get_running_loop()
    over = {"call_status": "ended", "end_timestamp": (AHEAD + 2.0) * 1000}

    def limits(_method: str, _url: str, _headers: Mapping[str, str]) -> Reply:
        reply = limits_reply(0, 2)
        return Reply(reply.status, reply.body, headers(loop.time()))

    def posts(_url: str, _headers: Mapping[str, str], body: bytes) -> Reply:
        ids = json.loads(body)["filter_criteria"]["call_id"]["value"]
        return Reply.json({"items": [{"call_id": each, **over} for each in ids]})

    session = FakeSession(limits, posts)
    async with callguard.open_gate("key_test", session=session, cps=None) as gate:
        told: dict[str, float] = {}
        ledger = gate._parts.ledger
        note_ended = ledger.note_ended

        def noted(call_id: str, now: float, ended_after: float = math.nan) -> None:
            told[call_id] = ended_after
            note_ended(call_id, now, ended_after)

        with patch.object(type(ledger), "note_ended", staticmethod(noted)):
            yield gate, told


def test_a_stamp_that_is_reported_reaches_the_ledger_on_our_clock() -> None:
    """A webhook's stamp would be lost on its way, or be taken for a time on our clock."""

    async def main() -> None:
        async with opened_with(dated) as (gate, told):
            async with gate, gate:
                with pytest.raises(callguard.AdmissionTimeout):  # for a second dated answer
                    await gate.admit(timeout=5.0).__aenter__()
            gate.note_ended("call_1", at=AHEAD + 4.0)
            gate.note_ended("call_2")
            assert 4.0 - 1.6 < told["call_1"] <= 4.0 - 0.5
            assert told["call_2"] == -math.inf

    run(main())


def test_a_stamp_that_asking_brings_reaches_the_ledger_on_our_clock() -> None:
    """Where no webhook comes no end would have a time."""

    async def main() -> None:
        async with opened_with(dated) as (gate, told):
            await asyncio.sleep(3.0)
            for number in range(2):
                async with gate.admit() as permit:
                    permit.placed(f"call_{number}")
            async with gate.admit(timeout=10.0):
                assert set(told) == {"call_0", "call_1"}
                assert all(2.0 - 1.6 < after <= 2.0 - 0.5 for after in told.values())

    run(main())


@pytest.mark.parametrize("headers", [undated, of_a_cache, of_nobody])
def test_without_a_date_that_was_made_for_us_no_end_has_a_time(headers: Headers) -> None:
    """An end would be dated by a clock that nobody has seen, or by one that is late."""

    async def main() -> None:
        async with opened_with(headers) as (gate, told):
            gate.note_ended("call_1", at=AHEAD + 4.0)
            assert told == {"call_1": -math.inf}

    run(main())

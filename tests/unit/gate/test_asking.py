"""Asking what became of the calls that the counter may not show."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

import callguard
from callguard import LimitsMalformed, LimitsUnavailable
from callguard.events import Ended, Event, Refused
from callguard.fetcher import CallState
from callguard.fetcher.calls import call_path, parse_call
from callguard.testing import ScriptedSource
from tests.support.fake_network import FakeSession, Reply, limits_reply
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle


class Provider:
    """Answers about calls with what the test has set."""

    def __init__(self) -> None:
        self.states: dict[str, CallState] = {}
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.error: Exception | None = None

    async def __call__(self, call_id: str) -> CallState:
        self.asked.append(call_id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.05)
        self.at_once -= 1
        if self.error is not None:
            raise self.error
        return self.states.get(call_id, CallState())


def test_only_uncounted_calls_are_asked_about_and_only_after_readings() -> None:
    """The provider would be asked about calls that the counter shows, or in a loop."""

    async def main() -> None:
        provider = Provider()
        fetcher = ScriptedSource(limit=2)
        async with opened(fetcher, counted_after=5.0, counter_lag=2.0, ask=provider) as gate:
            for number in range(2):
                async with gate.admit() as permit:
                    permit.placed(f"call_{number}")
            await asyncio.sleep(10.0)
            assert provider.asked == []
            crowd = Crowd(gate)
            fetcher.answer(limit=2, current=2)
            crowd.send("a")
            await asyncio.sleep(20.0)
            assert provider.asked == []
            await crowd.disperse()

    run(main())


def test_an_answer_that_a_call_is_over_gives_its_slot_to_the_next() -> None:
    """Asking would find out and change nothing."""

    async def main() -> None:
        provider = Provider()
        async with opened(ScriptedSource(limit=1), counted_after=1000.0, ask=provider) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
            crowd = Crowd(gate)
            crowd.send("next")
            await asyncio.sleep(3.5)
            assert crowd.arrived == []
            provider.states["call_1"] = CallState(over=True)
            await asyncio.sleep(1.0)
            assert crowd.arrived == ["next"]
            await crowd.disperse()

    run(main())


def test_a_refusal_that_asking_finds_out_is_told_and_counted_once() -> None:
    """A workspace that is full would be seen by nobody who watches the gate."""

    async def main() -> None:
        heard: list[Event] = []
        provider = Provider()
        async with opened(
            ScriptedSource(limit=1), counted_after=1000.0, ask=provider, listener=heard.append
        ) as gate:
            async with gate.admit("default") as permit:
                permit.placed("call_1")
            crowd = Crowd(gate)
            crowd.send("next", "last")
            provider.states["call_1"] = CallState(over=True, refused=True)
            await asyncio.sleep(3.5)
            gate.note_ended("call_1", refused=True)
            permit.ended()
            (refusal,) = (event for event in heard if isinstance(event, Refused))
            assert (refusal.permit_id, refusal.lane) == (permit.id, "default")
            assert (refusal.call_id, refusal.status) == ("call_1", None)
            assert gate.statistics().refused == 1
            assert not any(isinstance(event, Ended) for event in heard)
            assert crowd.arrived == ["next"]
            await crowd.disperse()

    run(main())


def test_an_answer_that_a_call_is_answered_moves_it_into_the_counter() -> None:
    """A call that is known to be answered would be counted twice for half a minute."""

    async def main() -> None:
        provider = Provider()
        provider.states["call_1"] = CallState(answered=True)
        async with opened(ScriptedSource(limit=1), counted_after=1000.0, ask=provider) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
            crowd = Crowd(gate)
            crowd.send("next")
            await asyncio.sleep(5.0)
            assert crowd.arrived == ["next"]
            await crowd.disperse()

    run(main())


def test_faults_cost_nothing_but_the_evidence() -> None:
    """A provider that doesn't say would stop the gate, or its questions."""

    async def main() -> None:
        provider = Provider()
        provider.error = LimitsUnavailable("HTTP 500")
        async with opened(ScriptedSource(limit=1), counted_after=1000.0, ask=provider) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
            crowd = Crowd(gate)
            crowd.send("next")
            await asyncio.sleep(5.5)
            assert len(provider.asked) == 5
            provider.error = None
            provider.states["call_1"] = CallState(over=True)
            await asyncio.sleep(1.0)
            assert crowd.arrived == ["next"]
            await crowd.disperse()

    run(main())


def test_a_bounded_number_is_asked_at_once_and_closing_ends_the_round() -> None:
    """A large workspace would send a burst of requests, or leave them behind."""

    async def main() -> None:
        provider = Provider()
        async with opened(ScriptedSource(limit=50), counted_after=1000.0, ask=provider) as gate:
            for number in range(50):
                async with gate.admit() as permit:
                    permit.placed(f"call_{number}")
            crowd = Crowd(gate)
            crowd.send("next")
            await asyncio.sleep(1.9)
            assert sorted(set(provider.asked)) == sorted(f"call_{number}" for number in range(50))
            assert provider.most_at_once == 8
            await asyncio.sleep(0.15)
            await crowd.disperse()
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_open_gate_asks_over_http() -> None:
    """`track="ask"` would ask nobody, or about another path."""
    asked: list[str] = []

    def provider(method: str, url: str, headers: Mapping[str, str]) -> Reply:
        if url.endswith("/get-concurrency"):
            return limits_reply(0, 1)
        asked.append(url)
        return Reply.json({"call_status": "not_connected"})

    async def main() -> None:
        async with callguard.open_gate(
            "key_test", session=FakeSession(provider), base_url="https://x.test", track="ask"
        ) as gate:
            async with gate.admit() as permit:
                permit.placed("call/1")
            async with gate:
                assert asked == ["https://x.test/v2/get-call/call%2F1"]

    run(main())


def test_another_way_to_track_is_refused_by_name() -> None:
    """A misspelt option would be ignored."""

    async def main() -> None:
        with pytest.raises(ValueError, match="aks"):
            async with callguard.open_gate("key_test", track="aks"):  # type: ignore[arg-type]
                pass

    run(main())


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"call_status": "registered"}, CallState(ringing=True)),
        ({"call_status": "ongoing"}, CallState(answered=True)),
        ({"call_status": "ended"}, CallState(over=True)),
        ({"call_status": "not_connected"}, CallState(over=True)),
        ({"call_status": "error"}, CallState(over=True)),
        (
            {"call_status": "error", "disconnection_reason": "concurrency_limit_reached"},
            CallState(over=True, refused=True),
        ),
        ({"call_status": "of tomorrow"}, CallState()),
        ({"call_status": ["ended"]}, CallState()),
        ({}, CallState()),
    ],
)
def test_a_status_proves_what_the_provider_documents_and_no_more(
    body: dict[str, object], state: CallState
) -> None:
    """A status that is new or odd would be taken for the end of a call."""
    assert parse_call(json.dumps(body).encode()) == state


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 50_000, b"\xff", b"null"])
def test_what_is_no_call_is_malformed(body: bytes) -> None:
    """A broken answer would crash the round."""
    with pytest.raises(LimitsMalformed):
        parse_call(body)


def test_an_id_is_quoted_into_its_path() -> None:
    """An odd id would ask for another path."""
    assert call_path("../x?y#z") == "/v2/get-call/..%2Fx%3Fy%23z"

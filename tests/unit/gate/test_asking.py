"""Asking what became of the calls that the counter may not show."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain, pairwise
from typing import Any
from unittest.mock import Mock, patch

import pytest

import callguard
from callguard import Gate, LimitsMalformed, LimitsRejected, LimitsUnavailable
from callguard.events import Ended, Event, Refused
from callguard.fetcher import CallState
from callguard.fetcher.calls import call_path, parse_call, parse_list
from callguard.gate.asking import BESIDES_AGAIN, Asker
from callguard.gate.budget import INTERVAL, LISTS_AGAIN, LONGEST_BACKOFF, MOST_LISTED
from callguard.testing import ScriptedSource
from tests.support.fake_network import FakeSession, Reply, limits_reply
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, opened, settle


class Provider:
    """Answers about calls with what the test has set.

    Attributes:
        states: the answers; a list leaves out every other call, as it may those that ring.
        listed: the calls of each list that was asked for, and when.
        asked: each call that was asked about alone.
        refuses_lists: the error for every list.
        error: the error for every question.
        seconds: that an answer takes.
    """

    def __init__(self, states: Mapping[str, CallState] | None = None) -> None:
        self.states = dict(states or {})
        self.listed: list[tuple[float, list[str]]] = []
        self.asked: list[str] = []
        self.refuses_lists: Exception | None = None
        self.error: Exception | None = None
        self.seconds = 0.05
        self.at_once = 0
        self.most_at_once = 0

    async def ask(self, call_id: str) -> CallState:
        self.asked.append(call_id)
        await self._answer()
        return self.states.get(call_id, CallState())

    async def ask_all(self, call_ids: Sequence[str]) -> Mapping[str, CallState]:
        self.listed.append((asyncio.get_running_loop().time(), list(call_ids)))
        await self._answer()
        if self.refuses_lists is not None:
            raise self.refuses_lists
        return {each: self.states[each] for each in call_ids if each in self.states}

    async def _answer(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        if self.error is not None:
            raise self.error


class Asking:
    """An asker alone, of whose answers nobody hears."""

    def __init__(self) -> None:
        self.provider = Provider()
        self._asker = Asker(self.provider, Mock(), asyncio.get_running_loop().time, 30.0)

    async def go_on(self, seconds: int, *, first: Sequence[str], besides: Sequence[str]) -> None:
        """Ask once a second."""
        for _ in range(seconds):
            self._asker.ask(first, besides=besides)
            await asyncio.sleep(1.0)


@asynccontextmanager
async def full(
    provider: Provider, calls: int = 2, *, waiting: int = 1, **options: Any
) -> AsyncIterator[tuple[Gate, Crowd]]:
    """A gate that so many calls fill, which the count doesn't show, and a crowd that waits."""
    options = {"counted_after": 100_000.0, **options}
    source = ScriptedSource(limit=calls)
    async with opened(source, questions=provider, **options) as gate:
        for number in range(calls):
            async with gate.admit() as permit:
                permit.placed(f"call_{number}")
        crowd = Crowd(gate)
        crowd.send(*(f"waits {number}" for number in range(waiting)))
        await asyncio.sleep(0.5)
        yield gate, crowd
        await crowd.disperse()


def test_only_uncounted_calls_are_asked_about_and_only_after_readings() -> None:
    """The provider would be asked about calls that the counter shows, or in a loop."""

    async def main() -> None:
        provider = Provider()
        fetcher = ScriptedSource(limit=2)
        async with opened(fetcher, counted_after=5.0, counter_lag=2.0, questions=provider) as gate:
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
        async with opened(
            ScriptedSource(limit=1), counted_after=1000.0, questions=provider
        ) as gate:
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
            ScriptedSource(limit=1), counted_after=1000.0, questions=provider, listener=heard.append
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
        async with opened(
            ScriptedSource(limit=1), counted_after=1000.0, questions=provider
        ) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
            crowd = Crowd(gate)
            crowd.send("next")
            await asyncio.sleep(5.0)
            assert crowd.arrived == ["next"]
            await crowd.disperse()

    run(main())


def test_many_calls_are_one_question_for_each_reading() -> None:
    """A workspace would be asked as many questions as it has calls."""

    async def main() -> None:
        provider = Provider()
        async with full(provider, 50) as (gate, _):
            readings = gate.statistics().readings["taken"]
            await asyncio.sleep(10.0)
            lists = [call_ids for _, call_ids in provider.listed]
            assert gate.statistics().readings["taken"] - readings == 10
            assert len(lists) in {10, 11}
            assert all(set(each) == {f"call_{n}" for n in range(50)} for each in lists)
            assert provider.asked == []

    run(main())


def test_readings_that_are_brought_forward_bring_no_more_questions() -> None:
    """Each answer would bring a reading, and each reading a question: four a second."""

    async def main() -> None:
        provider = Provider()
        async with full(provider, 20, waiting=1000) as (gate, _):
            readings = gate.statistics().readings["taken"]
            for number in range(20):
                provider.states[f"call_{number}"] = CallState(over=True)
                await asyncio.sleep(1.0)
            assert gate.statistics().readings["taken"] - readings > 30
            times = [when for when, _ in provider.listed]
            assert min(after - before for before, after in pairwise(times)) >= INTERVAL

    run(main())


def test_a_gate_with_a_quarter_of_the_calls_on_its_ledger_asks_a_quarter_as_often() -> None:
    """Twenty workers would ask twenty times as often as one, and use up the readings' requests."""

    async def main() -> None:
        provider = Provider()
        async with full(provider, 20) as (gate, _):
            with patch.object(type(gate._parts.ledger), "unsettled", lambda _: 5):
                await asyncio.sleep(40.0)
            assert 9 <= len(provider.listed) <= 12

    run(main())


def test_counted_calls_are_asked_about_in_the_same_lists_while_it_is_learnt_what_is_counted() -> (
    None
):
    """An end that nobody tells of would look like a move of somebody else, or cost a request."""

    async def main() -> None:
        asker = Asking()
        await asker.go_on(10, first=["new"], besides=["old", "older"])
        lists = [set(call_ids) for _, call_ids in asker.provider.listed]
        assert lists[0] == {"new", "old", "older"}
        assert len(lists) + len(asker.provider.asked) == 10
        times = [when for when, call_ids in asker.provider.listed if "old" in call_ids]
        assert BESIDES_AGAIN < max(after - before for before, after in pairwise(times)) <= 4.0
        assert min(after - before for before, after in pairwise(times)) > BESIDES_AGAIN

    run(main())


def test_counted_calls_take_no_room_in_a_list_from_the_others() -> None:
    """Calls that take up a slot would be asked about too late, in order to learn something."""

    async def main() -> None:
        asker = Asking()
        first = [f"new {number}" for number in range(MOST_LISTED - 1)]
        await asker.go_on(3, first=first, besides=["old", "older"])
        lists = [call_ids for _, call_ids in asker.provider.listed]
        assert [call_ids[-1] for call_ids in lists] == ["old", "older", first[-1]]
        assert all(set(first) < set(call_ids) for call_ids in lists[:2])

    run(main())


def test_counted_calls_are_not_asked_about_one_by_one() -> None:
    """Where lists are refused, learning would cost requests of its own."""

    async def main() -> None:
        asker = Asking()
        asker.provider.refuses_lists = LimitsRejected("HTTP 404", 404)
        await asker.go_on(5, first=["new", "newer"], besides=["old", "older"])
        assert len(asker.provider.listed) == 1
        assert set(asker.provider.asked) == {"new", "newer"}

    run(main())


def test_nobody_is_asked_while_nobody_waits() -> None:
    """A quiet program would ask the provider for as long as its calls last."""

    async def main() -> None:
        provider = Provider()
        async with full(provider) as (gate, crowd):
            await crowd.disperse()
            await asyncio.sleep(2.0)
            provider.listed.clear()
            for _ in range(10):
                gate.note_ended("call of somebody else")
                await asyncio.sleep(10.0)
            assert provider.listed == []

    run(main())


def test_what_was_told_is_not_told_again() -> None:
    """A shared ledger's server would hear of each answered call after each reading."""

    async def main() -> None:
        provider = Provider({f"call_{number}": CallState(answered=True) for number in range(2)})
        async with full(provider, counter_lag=10_000.0) as (gate, _):
            await asyncio.sleep(2.0)
            heard = list[str]()
            told = gate._parts.issuer
            with patch.object(
                told, "note_answered", lambda call_id, *_, **__: heard.append(call_id)
            ):
                await asyncio.sleep(10.0)
            assert len(provider.listed) > 5
            assert heard == []

    run(main())


def test_a_list_that_is_refused_is_remembered_and_a_few_calls_are_asked_about_alone() -> None:
    """A workspace without lists would give no evidence, or be asked for one each second."""

    async def main() -> None:
        provider = Provider()
        provider.refuses_lists = LimitsRejected("HTTP 404", 404)
        async with full(provider, 10) as (_, crowd):
            await asyncio.sleep(20.0)
            assert len(provider.listed) == 1
            assert Counter(provider.asked).keys() == {f"call_{number}" for number in range(10)}
            assert len(provider.asked) <= 2 * 20 / INTERVAL
            assert provider.most_at_once == 1
            provider.states["call_7"] = CallState(over=True)
            await asyncio.sleep(10.0)
            assert crowd.arrived == ["waits 0"]
            await asyncio.sleep(LISTS_AGAIN)
            assert len(provider.listed) == 1  # nobody waits
            crowd.send("more")
            await asyncio.sleep(2.0)
            assert len(provider.listed) == 2

    run(main())


@pytest.mark.parametrize(
    "error",
    [
        LimitsUnavailable("HTTP 429", status=429),
        LimitsUnavailable("HTTP 500"),
        LimitsMalformed("no list"),
        RuntimeError("a fault of the session's"),
    ],
    ids=repr,
)
def test_faults_cost_nothing_but_the_evidence(error: Exception) -> None:
    """A provider that doesn't answer would stop the gate or its questions, or be asked the more."""

    async def main() -> None:
        provider = Provider()
        provider.error = error
        async with full(provider) as (gate, crowd):
            readings = gate.statistics().readings["taken"]
            await asyncio.sleep(300.0)
            assert gate.statistics().readings["taken"] - readings == 300
            assert 5 <= len(provider.listed) + len(provider.asked) <= 12
            provider.error = None
            provider.states["call_1"] = CallState(over=True)
            await asyncio.sleep(LONGEST_BACKOFF + 2.0)
            assert crowd.arrived == ["waits 0"]

    run(main())


def test_a_wait_that_the_provider_asks_for_is_kept() -> None:
    """A provider that says for how long it has had enough would be asked nevertheless."""

    async def main() -> None:
        provider = Provider()
        provider.error = LimitsUnavailable("HTTP 429", 40.0, 429)
        async with full(provider):
            await asyncio.sleep(40.0)
            assert len(provider.listed) == 1
            await asyncio.sleep(3.0)
            assert len(provider.listed) == 2

    run(main())


def test_a_reading_that_fails_puts_questions_off() -> None:
    """Questions would use up the requests that the readings need."""

    async def main() -> None:
        provider = Provider()
        source = ScriptedSource(limit=2)
        async with opened(source, questions=provider, counted_after=1000.0) as gate:
            for number in range(2):
                async with gate.admit() as permit:
                    permit.placed(f"call_{number}")
            crowd = Crowd(gate)
            crowd.send("waits")
            await asyncio.sleep(2.0)
            assert provider.listed
            source.error = LimitsUnavailable("HTTP 500")
            await asyncio.sleep(15.0)
            source.error = None
            provider.listed.clear()
            taken = gate.statistics().readings["taken"]
            await asyncio.sleep(8.0)
            assert gate.statistics().readings["taken"] > taken + 2
            assert provider.listed == []
            await asyncio.sleep(30.0)
            assert provider.listed
            await crowd.disperse()

    run(main())


def test_an_answer_that_is_late_delays_no_reading_and_closing_ends_its_round() -> None:
    """A question that hangs would stop the gate, or outlive it."""

    async def main() -> None:
        provider = Provider()
        provider.seconds = 1e5
        async with full(provider) as (gate, _):
            await asyncio.sleep(100.0)
            assert gate.statistics().readings["taken"] > 100
            assert len(provider.listed) == 1
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_list_that_is_overtaken_by_webhooks_frees_each_slot_once() -> None:
    """A late list would free a slot that its caller has given to the next call."""

    async def main() -> None:
        states = {f"call_{number}": CallState(over=True) for number in range(3)}
        provider = Provider(states)
        provider.seconds = 3.0
        async with full(provider, 3, waiting=4) as (gate, crowd):
            await asyncio.sleep(1.0)
            assert (len(provider.listed), crowd.arrived) == (1, [])
            gate.note_ended("call_0")
            gate.note_answered("call_1")
            await settle()
            assert crowd.arrived == ["waits 0"]
            await asyncio.sleep(4.0)
            assert crowd.arrived == ["waits 0", "waits 1", "waits 2"]
            assert gate.statistics().usage.dialling == 3

    run(main())


def test_of_very_many_calls_each_has_its_turn() -> None:
    """One answer would be of any size, or the youngest calls never be asked about."""

    async def main() -> None:
        provider = Provider()
        async with full(provider, 3 * MOST_LISTED):
            await asyncio.sleep(3.5)
            parts = [call_ids for _, call_ids in provider.listed[:3]]
            assert [len(each) for each in parts] == [MOST_LISTED] * 3
            assert len(set(chain(*parts))) == 3 * MOST_LISTED

    run(main())


def test_lists_that_can_not_be_read_become_shorter_and_then_end() -> None:
    """A list that is too long would be asked for over and over, and no call be known."""

    async def main() -> None:
        provider = Provider()
        provider.refuses_lists = LimitsMalformed("answered with more than 1048576 bytes")
        async with full(provider, MOST_LISTED):
            await asyncio.sleep(20.0)
            assert [len(call_ids) for _, call_ids in provider.listed] == [100, 50, 25]
            assert provider.asked

    run(main())


def test_a_call_that_is_missing_in_a_list_may_be_in_any_state() -> None:
    """A list that leaves out calls that ring would free their slots while they ring."""

    async def main() -> None:
        async with full(Provider(), ring_limit=30.0) as (gate, crowd):
            await asyncio.sleep(29.0)
            assert crowd.arrived == []
            assert gate.statistics().usage.uncounted == 2

    run(main())


def test_a_list_that_lacks_calls_which_can_not_ring_any_more_is_not_believed_for_ever() -> None:
    """Where lists are of no use, there would be no evidence, though it can be had."""

    class Empty(Provider):
        async def ask_all(self, call_ids: Sequence[str]) -> Mapping[str, CallState]:
            await super().ask_all(call_ids)
            return {}

    async def main() -> None:
        provider = Empty()
        async with full(provider, 10, ring_limit=30.0, counter_lag=10_000.0):
            await asyncio.sleep(29.0)
            assert provider.asked == []
            provider.states |= {f"call_{n}": CallState(answered=True) for n in range(10)}
            await asyncio.sleep(60.0)
            assert len(provider.listed) < 40
            assert set(provider.asked) == {f"call_{number}" for number in range(10)}

    run(main())


class Strict(Provider):
    """It knows no call that is asked about alone."""

    async def ask(self, call_id: str) -> CallState:
        self.asked.append(call_id)
        raise LimitsRejected("HTTP 422", 422)


def test_a_call_that_nobody_knows_costs_the_others_nothing() -> None:
    """One id that isn't the provider's would take the evidence from all calls."""

    async def main() -> None:
        provider = Strict({"call_1": CallState(answered=True)})
        async with full(provider, counter_lag=10_000.0, ring_limit=30.0):
            await asyncio.sleep(300.0)
            assert len(provider.listed) > 290
            assert set(provider.asked) == {"call_0"}
            assert len(provider.asked) <= 10

    run(main())


def test_a_call_that_nobody_knows_puts_no_later_question_off() -> None:
    """A single id that isn't the provider's would keep the next call's evidence for a minute."""

    async def main() -> None:
        provider = Strict()
        async with full(provider, 1, counter_lag=10_000.0):
            await asyncio.sleep(30.0)
            assert len(provider.asked) > 25

    run(main())


@pytest.mark.parametrize("track", ["by default", None])
def test_open_gate_asks_over_http_unless_it_is_told_not_to(track: str | None) -> None:
    """Nobody would be asked, or about another path; or `track=None` would not end it."""
    lists: list[Any] = []
    asked: list[str] = []
    options: dict[str, Any] = {} if track == "by default" else {"track": None}

    def provider(_method: str, url: str, _headers: Mapping[str, str]) -> Reply:
        if url.endswith("/get-concurrency"):
            return limits_reply(0, 3)
        asked.append(url)
        return Reply.json({"call_id": "call/2", "call_status": "not_connected"})

    def posts(url: str, _headers: Mapping[str, str], body: bytes) -> Reply:
        assert url == "https://x.test/v3/list-calls"
        lists.append(json.loads(body))
        over = {"call_status": "ended", "end_timestamp": 1_000}
        return Reply.json(
            {"items": [{"call_id": each, **over} for each in ("call/0", "call/1", "call/9")]}
        )

    async def main() -> None:
        async with callguard.open_gate(
            "key_test",
            session=FakeSession(provider, posts),
            base_url="https://x.test",
            cps=None,
            **options,
        ) as gate:
            for number in range(3):
                async with gate.admit() as permit:
                    permit.placed(f"call/{number}")
            for _ in range(3):
                async with gate.admit(timeout=30.0):
                    pass

    if track is None:
        with pytest.raises(callguard.AdmissionTimeout):
            run(main())
        assert lists == asked == []
        return
    run(main())
    assert lists == [
        {
            "filter_criteria": {
                "call_id": {"type": "enum", "op": "in", "value": ["call/0", "call/1", "call/2"]}
            },
            "limit": 3,
        }
    ]
    assert asked[0] == "https://x.test/v2/get-call/call%2F2"


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
        (
            {"call_status": "ongoing", "start_timestamp": 1_500, "end_timestamp": 2_000},
            CallState(answered=True, answered_at=1.5),
        ),
        (
            {"call_status": "ended", "start_timestamp": 1_500, "end_timestamp": 2_250},
            CallState(over=True, answered_at=1.5, ended_at=2.25),
        ),
        (
            {"call_status": "ended", "start_timestamp": True, "end_timestamp": "2250"},
            CallState(over=True),
        ),
        ({"call_status": "ended", "end_timestamp": -1}, CallState(over=True)),
        ({"call_status": "ended", "end_timestamp": 1e300}, CallState(over=True)),
        ({"call_id": "call_1", "call_status": "ended"}, CallState(over=True)),
        (
            {"call_status": "ongoing", "disconnection_reason": "concurrency_limit_reached"},
            CallState(answered=True),
        ),
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
    assert parse_call(json.dumps(body).encode(), "call_1") == state
    listed = {"items": [{**body, "call_id": "call_1"}]}
    assert parse_list(json.dumps(listed).encode(), ["call_0", "call_1"]) == {"call_1": state}


@pytest.mark.parametrize("body", [b"", b"[]", b"[" * 50_000, b"\xff", b"null"])
def test_what_is_no_call_is_malformed(body: bytes) -> None:
    """A broken answer would crash the round."""
    with pytest.raises(LimitsMalformed):
        parse_call(body, "call_1")
    with pytest.raises(LimitsMalformed):
        parse_list(body, ["call_1"])


@pytest.mark.parametrize("items", [None, {}, "call_1"])
def test_what_is_no_list_is_malformed(items: object) -> None:
    """Rubbish would be taken for a list without any of the calls."""
    with pytest.raises(LimitsMalformed):
        parse_list(json.dumps({"items": items}).encode(), ["call_1"])


def test_what_is_in_a_list_besides_is_left_out() -> None:
    """A call that nobody asked about would be ended, or one odd item spoil the rest."""
    items = [None, 3, {}, {"call_id": 1}, {"call_id": "x", "call_status": "ended"}]
    items.append({"call_id": "call_1", "call_status": "ongoing"})
    found = parse_list(json.dumps({"items": items}).encode(), ["call_1", "call_2"])
    assert found == {"call_1": CallState(answered=True)}


def test_the_answer_of_another_call_is_malformed() -> None:
    """A slot would be given back because another call is over."""
    body = json.dumps({"call_id": "call_2", "call_status": "ended"}).encode()
    with pytest.raises(LimitsMalformed):
        parse_call(body, "call_1")


def test_an_id_is_quoted_into_its_path() -> None:
    """An odd id would ask for another path."""
    assert call_path("../x?y#z") == "/v2/get-call/..%2Fx%3Fy%23z"

"""``callguard serve``: a request that its client sends again goes on from where it was."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from callguard import Trunk, simulator
from callguard.gate import Gate
from callguard.serve.settings import WorkspaceSettings
from callguard.simulator import Constant
from tests.integration.serve_support import (
    CREATE,
    LEAD,
    Provider,
    Proxy,
    answering,
    client,
    hanging_up,
    served,
    stub,
    until,
)

KEYED = LEAD | {"idempotency_key": "mine"}
OTHER = LEAD | {"to_number": "+14155550199"}
REGISTER = "/v2/register-phone-call"


def the_gate(proxy: Proxy) -> Gate:
    (workspace,) = proxy.workspaces.open()
    return workspace.gate


def keys(provider: Provider) -> list[str]:
    return [dial["idempotency_key"] for dial in provider.dials]


async def dialled(
    proxy: Proxy, provider: Provider, session: aiohttp.ClientSession
) -> tuple[asyncio.Task[aiohttp.ClientResponse], asyncio.Future[web.Response]]:
    """A dial that has come to the provider, and a future for its answer."""
    before = len(provider.dials)
    answer: asyncio.Future[web.Response] = asyncio.get_running_loop().create_future()

    async def late(request: web.Request) -> web.StreamResponse:
        return await answer

    provider.answers = [late]
    dial = asyncio.ensure_future(session.post(proxy.url + CREATE, json=LEAD))
    await until(lambda: len(provider.dials) > before)
    return dial, answer


async def hung_up(dial: asyncio.Task[aiohttp.ClientResponse]) -> None:
    dial.cancel()
    await asyncio.wait([dial])


@pytest.mark.parametrize(
    ("path", "body"),
    [(CREATE, KEYED), (CREATE, LEAD), (REGISTER, LEAD)],
    ids=["keyed", "plain", "register"],
)
async def test_who_comes_back_after_a_wait_has_its_old_position(
    path: str, body: dict[str, Any]
) -> None:
    """Callers that are told to come back would lose to those who came later, for ever."""
    async with stub(limit=1, count=1) as provider, served(provider.url) as proxy, client() as s:

        async def lead(path: str, body: dict[str, Any], wait: str) -> int:
            headers = {"X-Callguard-Wait": wait}
            async with s.post(proxy.url + path, json=body, headers=headers) as answer:
                return answer.status

        assert await lead(path, body, "0") == 429
        gate = the_gate(proxy)
        late = asyncio.create_task(lead(CREATE, OTHER, "20"))
        await until(lambda: gate.statistics().waiting["default"] == 1)
        early = asyncio.create_task(lead(path, body, "20"))
        await until(lambda: gate.statistics().waiting["default"] == 2)
        provider.count = 0
        assert await early == 201
        late.cancel()
        assert [dial["to_number"] for dial in provider.dials] == [LEAD["to_number"]]


@pytest.mark.parametrize("body", [KEYED, LEAD], ids=["keyed", "plain"])
async def test_who_hung_up_while_it_waited_has_its_old_position_too(body: dict[str, Any]) -> None:
    """A client whose own time-out is shorter than the wait would begin at the end each time."""
    async with stub(limit=1, count=1) as provider, served(provider.url) as proxy, client() as s:

        async def dial(body: dict[str, Any]) -> None:
            async with s.post(proxy.url + CREATE, json=body):
                pass

        first = asyncio.create_task(dial(body))
        await until(lambda: bool(proxy.workspaces.open()))
        gate = the_gate(proxy)
        await until(lambda: gate.statistics().waiting["default"] == 1)
        late = asyncio.create_task(dial(OTHER))
        await until(lambda: gate.statistics().waiting["default"] == 2)
        first.cancel()
        await until(lambda: gate.statistics().waiting["default"] == 1)
        again = asyncio.create_task(dial(body))
        await until(lambda: gate.statistics().waiting["default"] == 2)
        provider.count = 0
        await again
        late.cancel()
        assert [dial["to_number"] for dial in provider.dials] == [LEAD["to_number"]]


async def test_calls_that_can_not_be_told_apart_have_no_position_to_come_back_to() -> None:
    """A newcomer would take the position of somebody else, whose web call looks the same."""
    async with stub(limit=1, count=1) as provider, served(provider.url) as proxy, client() as s:

        async def lead(wait: str) -> int:
            url, headers = f"{proxy.url}/v3/create-web-call", {"X-Callguard-Wait": wait}
            async with s.post(url, json={"agent_id": "a"}, headers=headers) as answer:
                return answer.status

        async def phone() -> int:
            async with s.post(proxy.url + CREATE, json=OTHER) as answer:
                return answer.status

        assert await lead("0") == 429
        gate = the_gate(proxy)
        first = asyncio.create_task(phone())
        await until(lambda: gate.statistics().waiting["default"] == 1)
        second = asyncio.create_task(lead("20"))
        await until(lambda: gate.statistics().waiting["default"] == 2)
        provider.count = 0
        assert await first == 201
        second.cancel()


async def test_a_dial_whose_end_its_client_did_not_see_is_repeated_under_its_key() -> None:
    """A client whose time-out is over during the dial would call the lead twice."""
    latency = Constant(0.4)
    async with simulator.serve(cps=None, latency=latency) as provider:
        async with served(provider.url) as proxy, client(provider.api_key) as session:

            async def dial() -> object:
                async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                    assert answer.status == 201
                    return (await answer.json())["call_id"]

            first = asyncio.create_task(dial())
            await until(lambda: bool(proxy.workspaces.open()))
            gate = the_gate(proxy)
            await until(lambda: gate.statistics().usage.dialling == 1)
            first.cancel()
            again = await dial()
            assert provider.workspace.truth().placed == 1
            assert await dial() != again
        assert provider.workspace.truth().placed == 2


@pytest.mark.parametrize(
    "doubt", [hanging_up, answering(503), answering(409)], ids=["broken", "503", "409"]
)
async def test_a_dial_in_doubt_is_repeated_under_its_key_until_an_answer_is_seen(
    doubt: Any,
) -> None:
    """A program that tries again after an error would call the lead twice."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.answers = [doubt, doubt]
        for status in (False, False, True, True):
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                assert answer.ok is status
        first, second, third, fourth = keys(provider)
        assert first == second == third
        assert fourth != third, "who was answered and calls the same number again means it"


@pytest.mark.parametrize("no", [429, 400, 401, 402])
async def test_a_key_in_doubt_outlives_a_no_to_a_later_dial(no: int) -> None:
    """The call that an earlier dial may have placed would be placed again under another key."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.answers = [answering(500), *[answering(no)] * (3 if no == 429 else 1)]
        for status in (500, no, 201):
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                assert answer.status == status
                assert ("x-should-retry" in answer.headers) is not answer.ok
        assert len(set(keys(provider))) == 1


async def test_a_dead_call_whose_client_has_hung_up_leaves_no_key() -> None:
    """The client that comes back would get the dead call again, and lose its lead."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        dial, answer = await dialled(proxy, provider, session)
        await hung_up(dial)
        reason = {"disconnection_reason": "concurrency_limit_reached"}
        answer.set_result(web.json_response({"call_id": "call_dead", **reason}, status=201))
        await until(lambda: the_gate(proxy).statistics().refused == 1)
        async with session.post(proxy.url + CREATE, json=LEAD) as again:
            assert again.status == 201
        assert len(set(keys(provider))) == 2


async def test_a_dial_without_a_client_does_not_keep_its_key_twice() -> None:
    """Who was answered, and calls the same number again on purpose, would place no call."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        dial, answer = await dialled(proxy, provider, session)
        await hung_up(dial)
        async with session.post(proxy.url + CREATE, json=LEAD):
            pass
        answer.set_result(web.json_response({}, status=504))
        await until(lambda: the_gate(proxy).statistics().usage.dialling == 0)
        async with session.post(proxy.url + CREATE, json=LEAD):
            pass
        first, second, third = keys(provider)
        assert first == second != third


async def test_two_calls_in_doubt_to_one_number_come_back_with_both_keys() -> None:
    """One of them would be placed a second time, under a third key."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        answers = [await dialled(proxy, provider, session) for _ in range(2)]
        for dial, answer in answers:
            answer.set_result(web.json_response({}, status=500))
            await dial
        for _ in range(2):
            async with session.post(proxy.url + CREATE, json=LEAD):
                pass
        first, second, third, fourth = keys(provider)
        assert {first, second} == {third, fourth}
        assert first != second


async def test_the_same_call_again_takes_one_place_on_its_trunk() -> None:
    """Each repetition would fill the trunk for an hour, since its call ends just once."""
    settings = WorkspaceSettings(cps=None, trunks=(Trunk("g", cps=None, calls=3),))
    async with stub() as provider, served(provider.url, settings) as proxy, client() as session:

        async def same(request: web.Request) -> web.StreamResponse:
            return web.json_response({"call_id": "call_1"}, status=201)

        provider.answers = [same, same, same]
        for _ in range(3):
            headers = {"X-Callguard-Trunk": "g"}
            async with session.post(proxy.url + CREATE, json=KEYED, headers=headers) as answer:
                assert (await answer.json())["call_id"] == "call_1"
        gate = the_gate(proxy)
        assert (gate.statistics().on_trunk["g"].calls, gate.statistics().usage.total) == (1, 1)
        gate.note_ended("call_1")
        assert (gate.statistics().on_trunk["g"].calls, gate.statistics().usage.total) == (0, 0)


async def test_refusals_that_take_their_time_count_to_the_wait() -> None:
    """A request would be dialled without end, long after its client has given up."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:

        async def slow(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(0.1)
            return web.json_response({}, status=429)

        provider.answers = [slow] * 100
        headers = {"X-Callguard-Wait": "0.15"}
        async with session.post(proxy.url + CREATE, json=LEAD, headers=headers) as answer:
            assert answer.status == 429
        assert len(provider.dials) <= 2


async def test_calls_to_one_number_at_once_have_keys_of_their_own() -> None:
    """The second of two calls that are meant would not be placed."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        may_answer = asyncio.Event()

        async def late(request: web.Request) -> web.StreamResponse:
            await may_answer.wait()
            return web.json_response({"call_id": f"call_{len(provider.dials)}"}, status=201)

        async def dial() -> int:
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                return answer.status

        provider.answers = [late, late]
        dials = [asyncio.create_task(dial()) for _ in range(2)]
        await until(lambda: len(provider.dials) == 2)
        may_answer.set()
        assert await asyncio.gather(*dials) == [201, 201]
        assert len(set(keys(provider))) == 2

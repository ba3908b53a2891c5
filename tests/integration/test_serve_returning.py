"""``callguard serve``: a request that its client sends again goes on from where it was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from callguard import simulator
from callguard.gate import Gate
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


async def test_a_key_in_doubt_is_kept_when_it_is_refused_and_passed_on_at_the_third_time() -> None:
    """The call that an earlier dial may have placed would be placed again under another key."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.answers = [answering(500), *[answering(429)] * 3]
        for status in (500, 429):
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                assert answer.status == status
        assert len(provider.dials) == 4
        assert len(set(keys(provider))) == 1


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

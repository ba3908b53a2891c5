"""What retell-sdk relies on, through the proxy: the same as from the provider itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import retell
from aiohttp import web
from retell import AsyncRetell
from retell.types import PhoneCallResponse

from callguard import simulator
from callguard.serve.settings import WorkspaceSettings
from callguard.simulator import Constant, Fault, Faults
from tests.integration.serve_support import served, stub
from tests.integration.support import LONGEST

NUMBERS: dict[str, Any] = {"from_number": "+14157774444", "to_number": "+12137774445"}
KEY = "key_simulated"
QUICK: dict[str, Any] = {"counter_lag": 0.2, "ring_limit": 0.2, "ttl": 0.1, "min_interval": 0.05}

Ask = Callable[[AsyncRetell], Awaitable[object]]


@asynccontextmanager
async def through(provider_url: str, **settings: Any) -> AsyncIterator[str]:
    """The address of a proxy in front of a provider whose counter is quick."""
    async with served(
        provider_url, WorkspaceSettings(cps=None, options=QUICK), **settings
    ) as proxy:
        yield proxy.url


def sdk(url: str, key: str = KEY, **options: Any) -> AsyncRetell:
    return AsyncRetell(api_key=key, base_url=url, **{"max_retries": 0, **options})


async def outcome(ask: Ask, url: str, key: str) -> tuple[object, ...]:
    """What a program gets to see: the SDK's result, or its exception with all that it tells."""
    async with sdk(url, key) as client:
        try:
            return (type(await ask(client)),)
        except retell.APIStatusError as error:
            return type(error), error.status_code, error.body, error.message


@pytest.mark.parametrize("key", [KEY, "key_of_somebody_else"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.concurrency.retrieve(),
        lambda client: client.call.retrieve("call_of_nobody"),
        lambda client: client.call.list(limit=5),
        lambda client: client.call.list(limit=5000),
        lambda client: client.call.stop("call_of_nobody"),
        lambda client: client.agent.list(),
        lambda client: client.call.create_phone_call(**NUMBERS),
        lambda client: client.call.create_phone_call(**NUMBERS, metadata=[]),
        lambda client: client.batch_call.create_batch_call(from_number="+1", tasks=[]),
    ],
    ids=[
        "limits",
        "call",
        "calls",
        "too-many-calls",
        "stop",
        "agents",
        "dial",
        "bad-dial",
        "batch",
    ],
)
async def test_answers_and_errors_are_the_providers(ask: Ask, key: str) -> None:
    """A program that handles the provider's errors would meet others, or none."""
    async with simulator.serve(cps=None) as provider, through(provider.url) as proxy:
        assert await outcome(ask, proxy, key) == await outcome(ask, provider.url, key)


@pytest.mark.parametrize("fault", ["500", "cut"])
@pytest.mark.parametrize("key", [{}, {"idempotency_key": "lead 1"}])
async def test_the_sdk_repeats_a_dial_in_doubt_only_under_a_key(
    fault: Fault, key: dict[str, Any]
) -> None:
    """The SDK, which repeats what failed, would call a lead twice that was called already."""
    faults = Faults(schedule=((0.0, LONGEST, fault),))
    async with (
        simulator.serve(cps=None, dial_faults=faults) as provider,
        through(provider.url) as proxy,
        sdk(proxy) as client,
    ):
        with pytest.raises(retell.InternalServerError):
            await client.call.create_phone_call(**NUMBERS, **key, max_retries=1)
        assert provider.workspace.truth().placed == 1


async def test_who_waited_too_long_is_told_when_to_come_back() -> None:
    """The SDK would raise an error that no program treats as a lack of room, or retry at once."""
    async with (
        simulator.serve(limit=1, cps=None) as provider,
        through(provider.url, wait=0.0) as proxy,
        sdk(proxy) as client,
    ):
        await client.call.create_phone_call(**NUMBERS)
        with pytest.raises(retell.RateLimitError) as told:
            await client.call.create_phone_call(**NUMBERS)
        assert int(told.value.response.headers["Retry-After"]) > 0
        assert isinstance(told.value.body, dict)
        assert (told.value.body["status"], told.value.body["limit"]) == (429, 1)
        assert provider.workspace.truth().refusals == 0


async def test_the_sdk_repeats_by_itself_until_there_is_room() -> None:
    """A program that leaves waiting to the SDK would lose leads that only had to wait."""
    async with (
        simulator.serve(
            limit=1, cps=None, ring_limit=0.1, talk_time=Constant(0.2), rise_lag=0.1, fall_lag=0.1
        ) as provider,
        through(provider.url, wait=0.5) as proxy,
        sdk(proxy, max_retries=20) as client,
    ):

        async def dial(lead: int) -> PhoneCallResponse:
            key = f"lead {lead}"
            return await client.call.create_phone_call(
                **NUMBERS, idempotency_key=key, max_retries=20
            )

        async with asyncio.timeout(LONGEST):
            calls = await asyncio.gather(*(dial(lead) for lead in range(3)))
        assert len({call.call_id for call in calls}) == 3
        assert provider.workspace.truth().refusals == 0


@dataclass
class Provider:
    """A provider that answers as a test says, and keeps what it was asked.

    Attributes:
        answer: the status and the headers of each answer.
        asked: the requests' headers, in lower case.
    """

    answer: tuple[int, dict[str, str]] = (200, {})
    asked: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        status, headers = self.answer
        return web.json_response({"items": []}, status=status, headers=headers)


@asynccontextmanager
async def listening(handle: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"x-request-id": "req_1", "x-ratelimit-remaining": "7"}),
        (500, {"x-should-retry": "false"}),
        (400, {"x-should-retry": "true", "retry-after-ms": "1"}),
        (429, {"retry-after-ms": "1"}),
        (429, {"retry-after-ms": "1", "x-should-retry": "false"}),
        (503, {"retry-after-ms": "1"}),
    ],
)
async def test_headers_pass_both_ways(answer: tuple[int, dict[str, str]]) -> None:
    """The SDK would repeat what it must not, or not repeat what it should."""
    seen = []
    provider = Provider(answer)
    async with listening(provider.handle) as url, through(url) as proxy:
        for address in (url, proxy):
            provider.asked.clear()
            async with sdk(address, max_retries=2) as client:
                try:
                    raw = await client.call.with_raw_response.list(limit=5)
                    headers = raw.headers
                except retell.APIStatusError as error:
                    headers = error.response.headers
            for asked in provider.asked:
                for changing in ("host", "x-callguard-forwarded-by", "connection"):
                    asked.pop(changing, None)
            seen.append((list(provider.asked), {name: headers[name] for name in answer[1]}))
    bare, proxied = seen
    assert proxied == bare
    assert len(bare[0]) == (
        1 if answer[1].get("x-should-retry") == "false" or answer[0] == 200 else 3
    )


async def test_an_answer_comes_as_the_provider_sends_it() -> None:
    """Who reads an answer while it is made would wait for its end."""
    first_is_here = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        await response.write(b"first")
        await first_is_here.wait()
        await response.write(b"second")
        return response

    async with listening(handle) as url, through(url) as proxy, sdk(proxy) as client:
        async with client.call.with_streaming_response.list() as response:
            chunks = response.iter_bytes()
            async with asyncio.timeout(LONGEST):
                assert await anext(chunks) == b"first"
                first_is_here.set()
                assert await anext(chunks) == b"second"


async def test_the_sdk_announces_how_long_it_waits_for_a_call() -> None:
    """Its programs would be sent away after 25 s, while they wait for 120 s."""
    async with stub(key=KEY) as provider, through(provider.url) as proxy, sdk(proxy) as client:
        await client.call.create_phone_call(**NUMBERS)
        assert provider.requests[-1].headers["X-Stainless-Read-Timeout"] == "120"

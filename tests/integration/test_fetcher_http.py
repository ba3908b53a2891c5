"""The limit fetcher over real sockets, against a small server on this machine.

Where a time runs out, the clock jumps, so that no busy machine uses it up.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from callguard import LimitsMalformed, LimitsRejected, LimitsUnavailable, UsageError
from callguard.fetcher import LimitFetcher
from callguard.fetcher.http import LONGEST_BODY
from tests.support.virtual_time import jumping

KEY = "key_5ecretc0ffee1234567890"
LIMITS = {"current_concurrency": 3, "concurrency_limit": 20}

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Provider:
    """A server that gives one answer for each request; the last serves all that follow.

    Attributes:
        requests: every request so far, in order.
        base_url: where it is.
    """

    def __init__(self, answers: list[Answer]) -> None:
        self.requests: list[web.Request] = []
        self.base_url = ""
        self._answers = answers

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return await answer(request)


@asynccontextmanager
async def provider_of(*answers: Answer) -> AsyncIterator[Provider]:
    provider = Provider(list(answers))
    app = web.Application()
    app.router.add_get("/{path:.*}", provider.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    provider.base_url = f"http://{host}:{port}"
    try:
        yield provider
    finally:
        await runner.cleanup()


def json(payload: object, status: int = 200) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response(payload, status=status)

    return answer


def body(content: bytes, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=content, headers=named)

    return answer


async def cut(request: web.Request) -> web.StreamResponse:
    """The connection is gone before the answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_in_the_body(request: web.Request) -> web.StreamResponse:
    """The connection is gone in the middle of the answer."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"current_concurrency": 3,')
    assert request.transport is not None
    request.transport.close()
    return response


async def hang(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("nobody can have set this event")


async def drip_for_ever(request: web.Request) -> web.StreamResponse:
    """A body without an end."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 16_384)
        await asyncio.sleep(0)


async def test_a_reading_over_http() -> None:
    """If this fails, the fetcher can't read the limits from a real server."""
    async with (
        provider_of(json(LIMITS)) as provider,
        LimitFetcher(KEY, base_url=f"{provider.base_url}/prefix/") as fetcher,
    ):
        snapshot = await fetcher.get()
        [request] = provider.requests
    assert snapshot.limits.current_concurrency == 3
    assert snapshot.began <= snapshot.received  # uvloop's clock shows whole milliseconds
    assert request.path == "/prefix/get-concurrency"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Accept-Encoding"] == "identity"


async def test_a_thousand_callers_cause_one_request() -> None:
    """If this fails, every waiting caller opens a connection."""
    async with (
        provider_of(json(LIMITS)) as provider,
        LimitFetcher(KEY, base_url=provider.base_url) as fetcher,
    ):
        snapshots = await asyncio.gather(*[fetcher.get() for _ in range(1000)])
        assert len(set(map(id, snapshots))) == 1
        assert len(provider.requests) == 1


async def test_a_redirect_is_not_followed() -> None:
    """If this fails, the key is carried to wherever an answer points."""

    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    async with (
        provider_of(redirect, json(LIMITS)) as provider,
        LimitFetcher(KEY, base_url=provider.base_url) as fetcher,
    ):
        with pytest.raises(LimitsRejected, match="no redirect is followed, here to /elsewhere"):
            await fetcher.get()
        assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "envelope",
    [
        {"status": "error", "message": "Invalid API Key."},
        {"error_message": "Invalid API Key."},
    ],
)
async def test_both_envelopes_of_a_401(envelope: dict[str, str]) -> None:
    """If this fails, a wrong key is tried again, or reported without the provider's words."""
    async with (
        provider_of(json(envelope, status=401), json(LIMITS)) as provider,
        LimitFetcher(KEY, base_url=provider.base_url) as fetcher,
    ):
        with pytest.raises(LimitsRejected, match=r"HTTP 401: Invalid API Key\.") as caught:
            await fetcher.get()
        assert caught.value.status == 401
        assert len(provider.requests) == 1


async def test_a_busy_moment_is_outlived() -> None:
    """If this fails, one 503 makes the limits unknown."""
    async with (
        provider_of(json({}, status=503), json(LIMITS)) as provider,
        LimitFetcher(KEY, base_url=provider.base_url) as fetcher,
    ):
        assert (await fetcher.get()).limits.concurrency_limit == 20
        assert len(provider.requests) == 2


@pytest.mark.parametrize("fault", [cut, cut_in_the_body])
async def test_a_cut_connection_is_outlived(fault: Answer) -> None:
    """If this fails, one lost connection makes the limits unknown."""
    async with (
        provider_of(fault, fault, json(LIMITS)) as provider,
        LimitFetcher(KEY, base_url=provider.base_url) as fetcher,
    ):
        assert (await fetcher.get()).limits.concurrency_limit == 20
        assert len(provider.requests) == 3


@jumping
async def test_a_hanging_attempt_is_given_up_and_followed_by_another() -> None:
    """If this fails, a provider that hangs once makes its callers hang."""
    async with (
        provider_of(hang, json(LIMITS)) as provider,
        LimitFetcher(KEY, base_url=provider.base_url) as fetcher,
    ):
        assert (await fetcher.get()).limits.concurrency_limit == 20
        assert len(provider.requests) == 2


@jumping
async def test_nobody_listening_is_an_outage(nowhere: str) -> None:
    """If this fails, a provider that is down raises what aiohttp raises."""
    async with LimitFetcher(KEY, base_url=nowhere) as fetcher:
        with pytest.raises(LimitsUnavailable, match="ClientConnectorError"):
            await fetcher.get()


@jumping
async def test_what_is_not_http_is_an_outage() -> None:
    """If this fails, a server of another kind raises what aiohttp raises."""

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, LimitFetcher(KEY, base_url=f"http://127.0.0.1:{port}") as fetcher:
        with pytest.raises(
            LimitsUnavailable, match=r"gave no answer: Client(Response|ConnectionReset)Error"
        ) as caught:
            await fetcher.get()
    assert KEY not in repr(caught.value)


@pytest.mark.parametrize("answer", [body(b" " * (LONGEST_BODY + 1)), drip_for_ever])
async def test_an_oversized_body_is_malformed(answer: Answer) -> None:
    """If this fails, a long body fills the memory, or keeps the callers waiting."""
    async with (
        provider_of(answer) as provider,
        LimitFetcher(KEY, base_url=provider.base_url) as fetcher,
    ):
        with pytest.raises(LimitsMalformed, match="more than 65536 bytes"):
            await fetcher.get()
        assert len(provider.requests) == 1


async def test_broken_json_is_malformed() -> None:
    """If this fails, a page of HTML in the answer's place crashes the fetcher."""
    async with (
        provider_of(body(b"<html>")) as provider,
        LimitFetcher(KEY, base_url=provider.base_url) as fetcher,
    ):
        with pytest.raises(LimitsMalformed, match="not JSON"):
            await fetcher.get()


async def test_a_gzip_bomb_is_not_unfolded() -> None:
    """If this fails, a small answer unfolds to fill the memory."""
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < LONGEST_BODY
    async with (
        provider_of(body(bomb, Content_Encoding="gzip")) as provider,
        LimitFetcher(KEY, base_url=provider.base_url) as fetcher,
    ):
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        try:
            with pytest.raises(LimitsMalformed, match="answered in gzip, unasked"):
                await fetcher.get()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak - before < 5_000_000


async def test_the_callers_session_is_used_as_it_must_be_and_left_open() -> None:
    """If this fails, a session's own settings change the request, or closing breaks its owner."""
    async with (
        provider_of(json({}, status=503), json(LIMITS)) as provider,
        aiohttp.ClientSession(
            headers={"Authorization": "Bearer another", "X-Trace": "1"}, raise_for_status=True
        ) as session,
    ):
        async with LimitFetcher(KEY, base_url=provider.base_url, session=session) as fetcher:
            await fetcher.get()
        assert not session.closed
        assert provider.requests[1].headers["Authorization"] == f"Bearer {KEY}"
        assert provider.requests[1].headers["X-Trace"] == "1"


async def test_a_session_that_raises_for_a_status_makes_no_outage_of_a_refusal() -> None:
    """If this fails, a 401 through such a session is tried again and again."""
    async with (
        provider_of(json({}, status=401), json(LIMITS)) as provider,
        aiohttp.ClientSession(raise_for_status=True) as session,
        LimitFetcher(KEY, base_url=provider.base_url, session=session) as fetcher,
    ):
        with pytest.raises(LimitsRejected):
            await fetcher.get()
        assert len(provider.requests) == 1


async def test_a_fetchers_own_session_is_closed_with_it() -> None:
    """If this fails, connections are left open, and Python warns of them."""
    async with provider_of(json(LIMITS)) as provider:
        async with LimitFetcher(KEY, base_url=provider.base_url) as fetcher:
            await fetcher.get()
        del fetcher
        gc.collect()


async def test_closing_ends_a_request_under_way() -> None:
    """If this fails, closing waits for a provider that hangs, or leaves its connection open."""
    arrived = asyncio.Event()

    async def arrive_and_hang(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await hang(request)

    async with provider_of(arrive_and_hang) as provider:
        fetcher = LimitFetcher(KEY, base_url=provider.base_url)
        caller = asyncio.create_task(fetcher.get())
        await arrived.wait()
        await fetcher.aclose()
        with pytest.raises(UsageError, match="closed"):
            await caller
        del fetcher, caller
        gc.collect()


async def test_a_fetcher_that_never_asked_has_nothing_to_close() -> None:
    """If this fails, a session is made before it is needed."""
    fetcher = LimitFetcher(KEY)
    await fetcher.aclose()

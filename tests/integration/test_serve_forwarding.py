"""``callguard serve`` over real sockets: what it forwards stays as it is."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from callguard.serve.forwarding import Forwarder
from callguard.serve.problems import Problem
from callguard.serve.running import listening
from callguard.serve.settings import Bounds, ServeSettings
from tests.integration.serve_support import (
    CREATE,
    KEY,
    LEAD,
    Dial,
    client,
    on_a_socket,
    served,
    stub,
)
from tests.support.virtual_time import jumping


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_method_path_query_and_body_go_on_as_they_are(method: str) -> None:
    """The provider would be asked for something else."""
    path = "/a%2Fb//c;d/?q=%20+%41&empty=&q=2"
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        url = URL(proxy.url + path, encoded=True)
        body = None if method == "GET" else b"\x00\xff" * 100_000
        async with session.request(method, url, data=body) as answer:
            assert answer.headers["X-Path"] == path
            assert await answer.read() == (body or b"")
        assert provider.requests[0].method == method


async def test_headers_go_on_but_for_those_of_one_connection_and_ours() -> None:
    """A token of ours would be sent to the provider, or a header of the client's get lost."""
    async with stub() as provider, served(provider.url) as proxy:
        headers = CIMultiDict(
            {
                "Authorization": f"Bearer {KEY}",
                "User-Agent": "a-dialer/1.0",
                "Accept-Encoding": "br, zstd",
                "Cookie": "a=1",
                "Connection": "keep-alive, X-Of-This-Hop",
                "X-Of-This-Hop": "1",
                "TE": "trailers",
                "X-Callguard-Token": "secret",
                "X-Callguard-Lane": "urgent",
            }
        )
        headers.add("X-Twice", "1")
        headers.add("X-Twice", "2")
        async with aiohttp.ClientSession(skip_auto_headers=("Accept", "Content-Type")) as session:
            async with session.get(f"{proxy.url}/v2/get-call/1", headers=headers):
                pass
        (got,) = provider.requests
        assert got.headers.getall("X-Twice") == ["1", "2"]
        assert (got.headers["User-Agent"], got.headers["Cookie"]) == ("a-dialer/1.0", "a=1")
        assert (got.headers["Accept-Encoding"], got.headers["Host"]) == (
            "br, zstd",
            provider.url.removeprefix("http://"),
        )
        for name in ("TE", "X-Of-This-Hop", "X-Callguard-Token", "X-Callguard-Lane", "Accept"):
            assert name not in got.headers


async def test_a_header_that_is_spelt_in_two_ways_goes_on_with_all_its_values() -> None:
    """What another proxy adds to a header would replace what the client said."""
    async with stub() as provider, served(provider.url) as proxy:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", int(proxy.url.rpartition(":")[2])
        )
        writer.write(b"GET /a HTTP/1.1\r\nHost: here\r\nX-Twice: 1\r\nX-Other: 3\r\n")
        writer.write(b"x-twice: 2\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        (got,) = provider.requests
        assert got.headers.getall("X-Twice") == ["1", "2"]
        assert got.headers["X-Other"] == "3"


async def answered_by(dial: Dial, path: str = "/anything") -> tuple[int, CIMultiDict[str], bytes]:
    """What a client gets through the proxy where the provider answers so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", dial)
    async with on_a_socket(app) as url, served(url) as proxy:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            async with session.get(proxy.url + path, allow_redirects=False) as answer:
                return answer.status, CIMultiDict(answer.headers), await answer.read()


async def test_an_answer_comes_back_as_it_is() -> None:
    """A client would get another status, or a body that doesn't fit its headers."""
    packed = gzip.compress(b"said" * 1000)

    async def answer(request: web.Request) -> web.StreamResponse:
        headers = CIMultiDict({"Content-Encoding": "gzip", "Server": "theirs", "X-Request-Id": "7"})
        headers.add("Set-Cookie", "a=1")
        headers.add("Set-Cookie", "b=2")
        return web.Response(status=418, reason="A teapot", body=packed, headers=headers)

    status, headers, body = await answered_by(answer)
    assert (status, body) == (418, packed)
    assert headers.getall("Set-Cookie") == ["a=1", "b=2"]
    assert (headers["Server"], headers["X-Request-Id"]) == ("theirs", "7")
    assert headers["Content-Length"] == str(len(packed))


async def test_a_placed_call_whose_answer_has_a_long_header_is_placed() -> None:
    """A call that goes on would be said to be in doubt."""
    long = "a" * 50_000

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"call_id": "call_1"}, status=201, headers={"X-Long": long})

    async with stub() as provider, served(provider.url) as proxy:
        provider.answers.append(answer)
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(headers=headers, max_field_size=60_000) as session:
            async with session.post(proxy.url + CREATE, json=LEAD) as got:
                assert (got.status, got.headers["X-Long"]) == (201, long)


async def test_a_redirect_is_passed_on_and_not_followed() -> None:
    """The key would be sent to an address that the provider's answer names."""

    async def answer(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://127.0.0.1:1/elsewhere")

    status, headers, _ = await answered_by(answer)
    assert (status, headers["Location"]) == (302, "http://127.0.0.1:1/elsewhere")


async def test_an_answer_is_passed_on_while_it_comes() -> None:
    """A client that follows a stream would see nothing before its end."""
    may_end = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await may_end.wait()
        await response.write(b"last")
        return response

    app = web.Application()
    app.router.add_get("/stream", answer)
    async with on_a_socket(app) as url, served(url) as proxy, aiohttp.ClientSession() as session:
        async with session.get(f"{proxy.url}/stream") as got:
            assert await got.content.read(5) == b"first"
            may_end.set()
            assert await got.content.read() == b"last"


async def test_a_body_is_passed_on_while_it_comes() -> None:
    """An upload would have to fit into the server's memory."""
    arrived = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        assert await request.content.read(5) == b"first"
        arrived.set()
        return web.Response(body=await request.content.read())

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await arrived.wait()
        yield b"last"

    app = web.Application()
    app.router.add_post("/upload", answer)
    async with on_a_socket(app) as url, served(url) as proxy, aiohttp.ClientSession() as session:
        async with session.post(f"{proxy.url}/upload", data=body()) as got:
            assert await got.read() == b"last"


async def test_an_answer_that_breaks_off_breaks_off() -> None:
    """A client would take half of an answer for the whole."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    with pytest.raises(aiohttp.ClientPayloadError):
        await answered_by(answer)


async def test_a_provider_that_is_not_there_is_said_to_be_so() -> None:
    """A client would wait, or see a traceback."""
    async with served("http://127.0.0.1:1") as proxy, client() as session:
        async with session.get(f"{proxy.url}/v2/get-call/1") as answer:
            assert answer.status == 502
            assert answer.content_type == "application/problem+json"
            assert KEY not in await answer.text()


@jumping
async def test_a_question_for_the_limits_is_given_up_soon() -> None:
    """While the provider hangs, each request without a key would take up a place for minutes."""
    loop = asyncio.get_running_loop()
    async with stub() as provider:
        provider.may_answer.clear()
        forwarder, began = Forwarder(ServeSettings(provider_url=provider.url)), loop.time()
        with pytest.raises(Problem) as caught:
            await forwarder.ask_limits(f"Bearer {KEY}")
        assert (caught.value.status, provider.readings) == (504, 1)
        assert loop.time() - began < 10.0
        await forwarder.aclose()
        provider.may_answer.set()


async def test_a_body_that_is_too_large_is_not_forwarded() -> None:
    """One client could use up the server's connection to the provider."""
    bounds = Bounds(max_forwarded_body=1000)

    async def chunks() -> AsyncIterator[bytes]:
        yield b" " * 600
        yield b" " * 600

    async with stub() as provider, served(provider.url, bounds=bounds) as proxy, client() as s:
        async with s.post(f"{proxy.url}/upload", data=b" " * 1001) as answer:
            assert answer.status == 413
        async with s.post(f"{proxy.url}/upload", data=chunks()) as answer:
            assert answer.status == 413
        assert provider.bodies == []


async def test_the_server_forwards_nothing_to_itself() -> None:
    """One request would go round until there are no more connections."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = ServeSettings(port=port, provider_url=f"http://127.0.0.1:{port}")
    async with listening(settings) as (url, _), client() as session:
        async with session.get(f"{url}/v2/get-call/1") as answer:
            assert answer.status == 508
            assert "forward to itself" in await answer.text()


async def test_a_batch_is_forwarded_and_said_to_be_outside_of_the_gate(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Somebody would believe that the calls of a batch wait at the gate."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        async with proxy.workspaces.use(KEY) as workspace:
            pass
        async with session.post(f"{proxy.url}/create-batch-call", json={"tasks": []}) as answer:
            assert answer.status == 200
            assert "outside of the gate" in answer.headers["X-Callguard-Warning"]
        assert "outside of the gate" in workspace.journal.happenings()[0].sentence
        assert provider.bodies == [b'{"tasks": []}']
    assert "outside of the gate" in caplog.text


async def test_requests_from_elsewhere_need_the_token_or_the_servers_own_key() -> None:
    """Whoever reaches the port could use the server for a workspace of their own."""
    token = "token_of_a_test"
    async with stub() as provider, served(provider.url, token=token, api_key=KEY) as proxy:
        get = f"{proxy.url}/v2/get-call/1"
        async with client("key_of_somebody") as session:
            for said, status in (("", 401), ("token_of_a_tesT", 401), (token, 200)):
                headers = {"X-Callguard-Token": said}
                async with session.get(get, headers=headers) as answer:
                    assert answer.status == status
        async with client(KEY) as session, session.get(get) as answer:
            assert answer.status == 200
        assert len(provider.requests) == 2

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from callguard import CallGuardError, LimitsMalformed, LimitsRejected, LimitsUnavailable, UsageError
from callguard.fetcher import ProviderClient
from callguard.fetcher.http import LONGEST_BODY
from tests.support.fake_network import FakeSession, Handler, Reply, after, hang, in_turn
from tests.support.virtual_time import run
from tests.unit.fetcher.leaks import KEY, assert_keyless

URL = "https://api.retellai.com/v2/create-phone-call"


class PostSession(FakeSession):
    """A fake session whose POSTs go where its GETs do, and are kept in `sent`."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler)
        self.sent: list[bytes] = []

    def post(  # type: ignore[override]
        self, url: str, *, data: bytes, **options: Any
    ) -> Any:
        self.sent.append(data)
        return self.get(url, **options)


async def place(handler: Handler, *, timeout: float = 5.0) -> bytes:
    client = ProviderClient(KEY, session=PostSession(handler), timeout=timeout)
    return await client.post("/v2/create-phone-call", {})


def fault_of(outcome: Reply | Exception | Handler) -> CallGuardError:
    with pytest.raises(CallGuardError) as caught:
        run(place(in_turn(outcome)))
    return caught.value


def test_one_request_carries_the_key_and_the_payload() -> None:
    """If this fails, the provider gets another request than the documented one."""
    session = PostSession(in_turn(Reply(201, b"{}")))
    client = ProviderClient(KEY, session=session)
    assert run(client.post("/v2/create-phone-call", {"to_number": "+1ü"})) == b"{}"
    [request] = session.requests
    assert request.url == URL
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept-Encoding"] == "identity"
    assert [json.loads(sent) for sent in session.sent] == [{"to_number": "+1ü"}]


@pytest.mark.parametrize("status", [200, 201, 204])
def test_what_was_done_is_accepted(status: int) -> None:
    """If this fails, a call that was placed or stopped is reported as a failure."""
    assert run(place(in_turn(Reply(status, b"x")))) == b"x"


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Reply(400), LimitsRejected),
        (Reply(401), LimitsRejected),
        (Reply(402), LimitsRejected),
        (Reply(422), LimitsRejected),
        (Reply(302, headers={"Location": "https://evil.example"}), LimitsRejected),
        (Reply(408), LimitsUnavailable),
        (Reply(429), LimitsUnavailable),
        (Reply(500), LimitsUnavailable),
        (Reply(503), LimitsUnavailable),
        (Reply(202), LimitsMalformed),
        (Reply(201, b"x" * (LONGEST_BODY + 1)), LimitsMalformed),
        (Reply(201, headers={"Content-Encoding": "gzip"}), LimitsMalformed),
        (Reply(201, fault=aiohttp.ClientPayloadError("broke off")), LimitsUnavailable),
        (Reply(401, fault=aiohttp.ClientPayloadError("broke off")), LimitsRejected),
        (aiohttp.ServerDisconnectedError(), LimitsUnavailable),
        (RuntimeError("no session"), UsageError),
    ],
)
def test_a_fault_of_a_post_is_what_it_is_of_a_get(
    outcome: Reply | Exception, kind: type[CallGuardError]
) -> None:
    """If this fails, whoever catches callguard's errors misses one, or takes it for another."""
    assert type(fault_of(outcome)) is kind


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_post_is_never_repeated(status: int) -> None:
    """If this fails, somebody is called twice."""
    session = PostSession(in_turn(Reply(status)))
    with pytest.raises(LimitsUnavailable):
        run(ProviderClient(KEY, session=session).post("/v2/create-phone-call", {}))
    assert len(session.requests) == 1


def test_a_refusal_tells_its_status_first() -> None:
    """If this fails, the probe can't tell a refused call from one that may be going on."""
    error = fault_of(Reply.json({"message": "x answered HTTP 500"}, 429))
    assert str(error).startswith(f"{URL} answered HTTP 429: ")


def test_no_answer_in_time_is_an_outage() -> None:
    """If this fails, a provider that hangs makes its callers hang."""

    async def main() -> float:
        with pytest.raises(LimitsUnavailable, match=r"gave no answer within 2.5 s"):
            await place(hang, timeout=2.5)
        return asyncio.get_running_loop().time()

    assert run(main()) == 2.5
    assert run(place(after(2.4, Reply(201, b"{}")), timeout=2.5)) == b"{}"


def test_a_closed_client_sends_nothing() -> None:
    """If this fails, a call is placed by a client that nobody waits for."""

    async def main() -> None:
        session = PostSession(hang)
        client = ProviderClient(KEY, session=session)
        await client.aclose()
        with pytest.raises(UsageError, match="the client is closed"):
            await client.post("/v2/create-phone-call", {})
        assert session.sent == []

    run(main())


@pytest.mark.parametrize(
    "outcome",
    [
        Reply.json({"message": f"{KEY} is unknown"}, status=401),
        Reply.json({"message": KEY}, status=503),
        aiohttp.ClientOSError(5, KEY),
    ],
)
def test_an_echoed_key_is_starred_out(outcome: Reply | Exception) -> None:
    """If this fails, a provider or a library that echoes the key puts it into a log."""
    error = fault_of(outcome)
    assert_keyless(error)
    assert "***" in str(error)


async def test_a_connection_that_breaks_under_a_post_is_not_tried_again() -> None:
    """If this fails, aiohttp itself dials a second time where a kept connection was gone."""
    arrived: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        arrived.append(request.method)
        if request.method == "POST" and request.transport is not None:
            request.transport.close()
        return web.Response(body=b"{}")

    app = web.Application()
    app.router.add_route("*", "/{path}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        client = ProviderClient(KEY, base_url=f"http://127.0.0.1:{site.port}")
        try:
            await client.get("/first")
            with pytest.raises(LimitsUnavailable):
                await client.post("/second", {})
        finally:
            await client.aclose()
    finally:
        await runner.cleanup()
    assert arrived == ["GET", "POST"]

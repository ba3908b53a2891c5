"""Webhooks over real sockets: the handler's side, and the simulator's.

Where it matters what comes first, the clock jumps, so that no busy machine mixes it up.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import callguard.webhooks
from callguard import UsageError
from callguard.simulator import Constant, Server, WebhookPlan, serve
from callguard.webhooks import LONGEST_BODY, EvidenceGate
from tests.integration.support import LONGEST
from tests.support.virtual_time import jumping
from tests.unit.simulator.support import HandClock
from tests.unit.webhooks.support import KEY, NOW, Witness, body_of, now, signed

MEGABYTE = 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SHORT_CALLS: dict[str, Any] = {
    "limit": 50,
    "cps": None,
    "answer_rate": 1.0,
    "ring_time": Constant(0.02),
    "talk_time": Constant(0.02),
}
PROMPT: dict[str, Any] = {"late": Constant(0.0), "analysis_time": Constant(0.02)}


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    """The URL at which `handler` answers posts in the meantime."""
    app = web.Application()
    app.router.add_post("/webhook", handler)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{site.port}/webhook"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def posting_to(gate: EvidenceGate) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Posts a body with headers to the ready handler; gives the status and the answer's text."""
    handler = callguard.webhooks.handler(gate, api_key=KEY, now=now)
    async with listening(handler) as url, aiohttp.ClientSession() as session:

        async def post(body: Any, signature: str | None = None, **headers: str) -> Any:
            if signature is not None:
                headers["X-Retell-Signature"] = signature
            data = io.BytesIO(body) if isinstance(body, bytes) else body
            async with session.post(url, data=data, headers=headers) as response:
                return response.status, await response.text()

        yield post


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONGEST):
        while not condition():  # noqa: ASYNC110 - a request over a socket sets no event
            await asyncio.sleep(0.001)


class Receiver:
    """Answers deliveries with the statuses that it was given, the last of them for good."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.came: list[tuple[bytes, str | None]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.came.append((await request.read(), request.headers.get("x-retell-signature")))
        status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
        return web.Response(status=status)


async def test_a_good_delivery() -> None:
    """True evidence would not reach the gate, or be answered so that it is sent again."""
    gate, body = Witness(), body_of("call_ended")
    async with posting_to(gate) as post:
        assert await post(body, signed(body)) == (204, "")
        assert await post(body, signed(body)) == (204, "")
    assert set(gate.notes) == {("ended", "call_1", False)}


@pytest.mark.parametrize(
    ("body", "signature", "status", "reason"),
    [
        (body_of("call_ended"), None, 401, "not signed"),
        (body_of("call_ended"), signed(body_of("call_ended"), key="k"), 401, "does not fit"),
        (body_of("call_ended"), signed(body_of("call_ended"), at=NOW - 301), 401, "301 s ago"),
        (bytes(LONGEST_BODY + 1), None, 413, "more than"),
        (b"[]", signed(b"[]"), 400, "not an event"),
        (b"", signed(b""), 400, "not a JSON"),
    ],
)
async def test_a_bad_delivery(body: bytes, signature: str | None, status: int, reason: str) -> None:
    """A stranger would change the usage, or get another answer than is promised, or a secret."""
    gate = Witness()
    async with posting_to(gate) as post:
        answered, text = await post(body, signature)
    assert answered == status
    assert text.startswith('{"status": "error", "message": "')
    assert reason in text
    assert KEY not in text
    assert signed(body)[-64:] not in text
    assert gate.notes == []


async def test_a_body_that_never_ends() -> None:
    """A stranger could fill the memory, or keep a connection busy for ever."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * LONGEST_BODY:
            sent += MEGABYTE
            yield bytes(MEGABYTE)

    gate = Witness()
    async with posting_to(gate) as post:
        assert (await post(endless()))[0] == 413
    assert sent < 100 * LONGEST_BODY
    assert gate.notes == []


async def test_longer_than_aiohttps_own_bound() -> None:
    """The end of a long call would be refused for its transcript."""
    gate, body = Witness(), body_of("call_ended", transcript="word " * MEGABYTE)
    async with posting_to(gate) as post:
        assert (await post(body, signed(body)))[0] == 204
    assert gate.notes == [("ended", "call_1", False)]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"no gzip", 400), (gzip.compress(bytes(100 * MEGABYTE)), 413)],
)
async def test_compressed_bodies(body: bytes, status: int) -> None:
    """A stranger could crash the handler, or fill the memory with a few kilobytes."""
    gate = Witness()
    async with posting_to(gate) as post:
        assert (await post(body, signed(body), **{"Content-Encoding": "gzip"}))[0] == status
    assert gate.notes == []


async def test_a_body_that_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    """Half a delivery would be believed, or fill the log with tracebacks."""
    gate, body = Witness(), body_of("call_ended")
    handler = callguard.webhooks.handler(gate, api_key=KEY, now=now)
    async with listening(handler) as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /webhook HTTP/1.1\r\nHost: x\r\nX-Retell-Signature: {signed(body)}\r\n"
        writer.write(f"{head}Content-Length: {len(body) + 1}\r\n\r\n".encode() + body)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.05)
    assert gate.notes == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_gate_that_cannot_take_it(caplog: pytest.LogCaptureFixture) -> None:
    """Evidence that was lost in a fault would be accepted, and so not be sent again."""

    class Closed(Witness):
        def note_ended(
            self, call_id: str, *, refused: bool = False, at: float | None = None
        ) -> None:
            raise UsageError("the gate is closed")

    body = body_of("call_ended")
    with caplog.at_level(logging.CRITICAL):
        async with posting_to(Closed()) as post:
            assert (await post(body, signed(body)))[0] == 500


def test_the_handlers_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key would be found at the first delivery, and not at the start."""
    monkeypatch.delenv("RETELL_API_KEY", raising=False)
    with pytest.raises(UsageError, match="RETELL_API_KEY"):
        callguard.webhooks.handler(Witness())
    monkeypatch.setenv("RETELL_API_KEY", KEY)
    callguard.webhooks.handler(Witness())


@jumping
async def test_from_the_simulator_to_the_handler() -> None:
    """The simulator's webhooks would not be those that the handler is made for."""
    gate = Witness()
    handler = callguard.webhooks.handler(gate, api_key="key_7")
    async with (
        listening(handler) as url,
        serve(
            api_key="key_7", webhook_url=url, webhooks=WebhookPlan(**PROMPT), **SHORT_CALLS
        ) as server,
    ):
        ids = [server.workspace.dial().call_id for _ in range(20)]
        await until(lambda: server.webhook_answers.get(204) == 60)
        assert server.webhook_answers == {204: 60}
    for call_id in ids:
        assert [(kind, refused) for kind, told, refused in gate.notes if told == call_id] == [
            ("started", False),
            ("ended", False),
            ("ended", False),
        ]


@jumping
async def test_forged_deliveries_are_refused_and_not_repeated() -> None:
    """A gate could not be tested against a stranger who knows its address."""
    gate = Witness()
    plan = WebhookPlan(lost=1.0, forged=1.0, retry_wait=0.0, **PROMPT)
    handler = callguard.webhooks.handler(gate, api_key="key_simulated")
    async with (
        listening(handler) as url,
        serve(webhook_url=url, webhooks=plan, **SHORT_CALLS) as server,
    ):
        for _ in range(20):
            server.workspace.dial()
        await until(lambda: server.webhook_answers.get(401) == 60)
        await asyncio.sleep(0.05)
        assert server.webhook_answers == {401: 60}
    assert gate.notes == []


@pytest.mark.parametrize(
    ("statuses", "posts"),
    [((200,), 1), ((500, 503, 204), 3), ((500,), 4), ((307,), 4), ((404, 500, 429, 200), 4)],
)
@jumping
async def test_deliveries_that_are_not_accepted_are_repeated(
    statuses: tuple[int, ...], posts: int
) -> None:
    """A receiver that fails for a moment would be tested against another provider than the real."""
    receiver = Receiver(*statuses)
    plan = WebhookPlan(retry_wait=0.01, late=Constant(0.0), analysis_time=Constant(1e6))
    knobs = {**SHORT_CALLS, "talk_time": Constant(1e6)}
    async with (
        listening(receiver.handle) as url,
        serve(webhook_url=url, webhooks=plan, **knobs) as server,
    ):
        server.workspace.dial()
        await until(lambda: len(receiver.came) == posts)
        await asyncio.sleep(0.1)
    assert len(receiver.came) == posts
    # Word for word the same, and still within the tolerance.
    assert len(set(receiver.came)) == 1


async def test_a_receiver_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that hangs would hold the simulator's posts for ever."""
    monkeypatch.setattr("callguard.simulator.posting._TIMEOUT_SECONDS", 0.05)

    async def hang(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    plan = WebhookPlan(retry_wait=0.0, late=Constant(0.0), analysis_time=Constant(1e6))
    knobs = {**SHORT_CALLS, "talk_time": Constant(1e6)}
    async with (
        listening(hang) as url,
        serve(webhook_url=url, webhooks=plan, **knobs) as server,
    ):
        server.workspace.dial()
        await until(lambda: server.webhook_answers.get(0) == 4)


async def test_nobody_listens(nowhere: str) -> None:
    """A wrong address would break the simulator."""
    plan = WebhookPlan(retry_wait=0.0, **PROMPT)
    async with serve(webhook_url=f"{nowhere}/webhook", webhooks=plan, **SHORT_CALLS) as server:
        server.workspace.dial()
        await until(lambda: server.webhook_answers.get(0) == 12)


@pytest.mark.parametrize("cancelled", [False, True])
@jumping
async def test_leaving_breaks_deliveries_off(cancelled: bool) -> None:
    """A server that was stopped would go on posting, or leave tasks and timers behind."""
    hanging = 0

    async def hang(request: web.Request) -> web.Response:
        nonlocal hanging
        hanging += 1
        await asyncio.Event().wait()
        return web.Response()

    async def visit(url: str) -> Server:
        async with serve(webhook_url=url, webhooks=WebhookPlan(**PROMPT), **SHORT_CALLS) as server:
            for _ in range(5):
                server.workspace.dial()
            await until(lambda: hanging >= 5)
            if cancelled:
                await asyncio.Event().wait()
            server.workspace.dial()
        return server

    async with listening(hang) as url:
        before = asyncio.all_tasks()
        began = asyncio.get_running_loop().time()
        task = asyncio.create_task(visit(url))
        if cancelled:
            await until(lambda: hanging >= 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            (await task).workspace.dial()
        assert asyncio.get_running_loop().time() - began < 1.0
        came = hanging
        await asyncio.sleep(0.1)
        assert hanging == came
        # What is left belongs to the receiver, which learns of it from its sockets.
        left = {each.get_coro().__qualname__ for each in asyncio.all_tasks() - before}  # type: ignore[union-attr]
        assert not [name for name in left if "Poster" in name]


async def test_webhooks_by_a_clock_of_its_own() -> None:
    """With a clock that the test sets, webhooks would come when somebody asks, or never."""
    clock, receiver = HandClock(), Receiver(204)
    knobs = {**SHORT_CALLS, "ring_time": Constant(10.0), "talk_time": Constant(1e6)}
    async with (
        listening(receiver.handle) as url,
        serve(clock=clock, webhook_url=url, **knobs) as server,
    ):
        server.workspace.dial()
        clock.now = 9.0
        await asyncio.sleep(0.2)
        assert receiver.came == []
        clock.now = 11.0
        await until(lambda: len(receiver.came) == 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"webhooks": WebhookPlan()}, "without a webhook_url"),
        ({"webhook_url": "localhost:8000/webhook"}, "webhook_url must begin with"),
        ({"webhook_url": "ftp://localhost/webhook"}, "webhook_url must begin with"),
        ({"webhook_url": "http:///webhook"}, "webhook_url must begin with"),
    ],
)
async def test_settings_that_would_send_nothing(options: dict[str, Any], message: str) -> None:
    """A test of webhooks would pass because none is ever sent."""
    with pytest.raises(ValueError, match=message):
        await serve(**options).__aenter__()

"""A proxy on a socket, and a provider that answers dials as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from callguard.serve.running import listening
from callguard.serve.settings import ServeSettings, WorkspaceSettings
from callguard.serve.workspaces import WORKSPACES, Workspaces

__all__ = [
    "CREATE",
    "KEY",
    "LEAD",
    "Dial",
    "Provider",
    "Proxy",
    "answering",
    "client",
    "hanging_up",
    "on_a_socket",
    "served",
    "silent",
    "stub",
    "until",
]

CREATE = "/v2/create-phone-call"

KEY = "key_of_a_test"

LEAD = {"from_number": "+14155550100", "to_number": "+14155550101"}

Dial = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Provider:
    """A provider that keeps what it was sent, and accepts the keys that begin with `key`.

    Attributes:
        key: how the keys begin that it accepts.
        limit: its concurrency limit.
        count: its current concurrency.
        dials: the bodies of the dials that came.
        answers: what the next dials are answered with; 201 once there are none.
        requests: the requests that came, but for the readings.
        bodies: their bodies.
        readings: how often its limits were read.
        may_answer: whether such a reading is answered now.
        url: its address.
    """

    key: str = KEY
    limit: int = 20
    count: int = 0
    dials: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Dial] = field(default_factory=list)
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    readings: int = 0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def limits(self, request: web.Request) -> web.StreamResponse:
        if not request.headers.get("Authorization", "").startswith(f"Bearer {self.key}"):
            return web.json_response({"status": "error", "message": "Invalid API Key."}, status=401)
        self.readings += 1
        await self.may_answer.wait()
        return web.json_response(
            {"current_concurrency": self.count, "concurrency_limit": self.limit}
        )

    async def dial(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.bodies.append(body)
        self.dials.append(json.loads(body))
        self.requests.append(request)
        if self.answers:
            return await self.answers.pop(0)(request)
        return web.json_response({"call_id": f"call_{len(self.dials)}"}, status=201)

    async def echo(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests.append(request)
        self.bodies.append(body)
        return web.Response(body=body, headers={"X-Path": request.raw_path})


def answering(status: int, message: str = "no") -> Dial:
    """A dial's answer with a status and a message."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "error", "message": message}, status=status)

    return answer


async def hanging_up(request: web.Request) -> web.StreamResponse:
    """A provider that breaks the connection when it has read the dial."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def silent(request: web.Request) -> web.StreamResponse:
    """A provider that never answers."""
    await asyncio.Event().wait()
    return web.Response()


@asynccontextmanager
async def stub(**settings: Any) -> AsyncIterator[Provider]:
    """A provider on a socket."""
    provider = Provider(**settings)
    provider.may_answer.set()
    app = web.Application(client_max_size=2**30)
    app.router.add_get("/get-concurrency", provider.limits)
    for path in ("v2/create-phone-call", "v2/register-phone-call", "v3/create-web-call"):
        app.router.add_post(f"/{path}", provider.dial)
    app.router.add_route("*", "/{path:.*}", provider.echo)
    async with on_a_socket(app, auto_decompress=False) as url:
        provider.url = url
        yield provider


@dataclass(frozen=True)
class Proxy:
    """A running proxy.

    Attributes:
        url: its address.
        workspaces: its gates.
    """

    url: str
    workspaces: Workspaces


@asynccontextmanager
async def served(
    provider_url: str, workspace: WorkspaceSettings | None = None, **settings: Any
) -> AsyncIterator[Proxy]:
    """A proxy on any free port; its default trunk has no rate."""
    workspace = workspace or WorkspaceSettings(cps=None)
    chosen = ServeSettings(port=0, provider_url=provider_url, workspace=workspace, **settings)
    async with listening(chosen) as (url, app):
        yield Proxy(url, app[WORKSPACES])


def client(key: str = KEY) -> aiohttp.ClientSession:
    """A client with a provider's key."""
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {key}"}, timeout=aiohttp.ClientTimeout(20)
    )


@asynccontextmanager
async def on_a_socket(app: web.Application, **options: Any) -> AsyncIterator[str]:
    """An application's address on any free port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, **options)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, for 20 s at most."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is watched has no event
            await asyncio.sleep(0.005)

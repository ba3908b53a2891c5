"""A provider's counter whose answers the test sets, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Provider:
    """Answers ``GET /get-concurrency``; tells its clients apart by their keys.

    Attributes:
        url: where it listens.
        limit: what it allows, in calls.
        current: what it counts, in calls.
        latency: seconds that an answer takes, by the client's key.
        failing: the keys of the clients whose requests fail.
        asked: who asked, and when on the event loop's clock.
    """

    def __init__(self, limit: int) -> None:
        self.url = ""
        self.limit = limit
        self.current = 0
        self.latency: dict[str, float] = {}
        self.failing: set[str] = set()
        self.asked: list[tuple[str, float]] = []

    def asked_after(self, moment: float) -> list[str]:
        """The keys of those who asked later than `moment`, in their order."""
        return [key for key, at in self.asked if at > moment]

    async def _answer(self, request: web.Request) -> web.Response:
        key = request.headers["Authorization"].removeprefix("Bearer ")
        self.asked.append((key, asyncio.get_running_loop().time()))
        body = {"current_concurrency": self.current, "concurrency_limit": self.limit}
        await asyncio.sleep(self.latency.get(key, 0.0))
        return web.Response(status=500) if key in self.failing else web.json_response(body)


@asynccontextmanager
async def provider(limit: int) -> AsyncIterator[Provider]:
    served = Provider(limit)
    app = web.Application()
    app.router.add_get("/get-concurrency", served._answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        served.url = f"http://127.0.0.1:{site.port}"
        yield served
    finally:
        await runner.cleanup()

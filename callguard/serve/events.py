"""``GET /v1/events``: what happens at a workspace's gate, as server-sent events.

The form is that of html.spec.whatwg.org/multipage/server-sent-events.html, read 2026-11-26.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from aiohttp import web

from callguard.serve.access import using
from callguard.serve.fields import in_query
from callguard.serve.happenings import Follower

__all__ = ["HEARTBEAT", "routes"]

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent, as the standard recommends, so that no proxy
takes the connection for dead."""

_HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would collect events before it passes them on
}


def routes() -> Iterable[web.RouteDef]:
    """The route of the events."""
    yield web.get("/v1/events", _events, allow_head=False)


async def _events(request: web.Request) -> web.StreamResponse:
    in_query(request)
    async with using(request) as workspace:
        follower = workspace.happenings.follow(request.headers.get("Last-Event-ID", ""))
        response = web.StreamResponse(headers=_HEADERS)
        await response.prepare(request)
        await response.write(b": connected\n\n")
        with suppress(ConnectionError):
            await _send(response, follower)
    return response


async def _send(response: web.StreamResponse, follower: Follower) -> None:
    """Send events until the server stops, or the client hangs up.

    A client that reads slowly is waited for here, and holds up nobody else.
    """
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT):
                events = await follower.next()
        except TimeoutError:
            await response.write(b": nothing happened\n\n")
            continue
        if events is None:
            return
        await response.write(events)

"""The connections of clients: how many there may be, and how long one may say nothing."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from aiohttp import web

from callguard.serve.settings import Bounds

__all__ = ["CONNECTIONS", "Connections"]

_TURNED_AWAY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


class Connections:
    """Makes the protocol of each connection.

    aiohttp waits for the first request of a connection for ever.

    Args:
        bounds: how many there may be at once, and how long the first request may take.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._server: web.Server | None = None
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def serve(self, server: web.Server | None) -> None:
        """Make protocols of `server` from now on."""
        self._server = server

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        server, bounds = self._server, self._bounds
        if server is None or len(server.connections) >= bounds.max_clients:
            return _TurnedAway()
        protocol = server()
        loop = asyncio.get_running_loop()
        self._silent[protocol] = loop.call_later(bounds.body_seconds, self._give_up, protocol)
        return protocol

    def heard(self, request: web.Request) -> None:
        """Note that a connection has made a request."""
        timer = self._silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Stop watching."""
        for timer in self._silent.values():
            timer.cancel()
        self._silent.clear()

    def _give_up(self, protocol: web.RequestHandler) -> None:
        del self._silent[protocol]
        protocol.force_close()


class _TurnedAway(asyncio.Protocol):
    """Answers a connection that is one too many, and closes it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        to_client = cast("asyncio.Transport", transport)  # not by its class on uvloop
        to_client.write(_TURNED_AWAY)
        to_client.close()


CONNECTIONS: Final = web.AppKey("connections", Connections)
"""Where the application keeps its connections."""

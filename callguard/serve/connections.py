"""The connections of clients: how many there may be, and how long one may say nothing."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from callguard.serve.settings import Bounds

__all__ = ["Connections"]

_TURNED_AWAY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


class Connections:
    """Makes the protocol of each connection.

    Args:
        runner: the server, which is set up.
        bounds: how many there may be at once.
    """

    def __init__(self, runner: web.AppRunner, bounds: Bounds) -> None:
        self._runner = runner
        self._most = bounds.max_clients

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        server = self._runner.server
        if server is None or len(server.connections) >= self._most:
            return _TurnedAway()
        return server()


class _TurnedAway(asyncio.Protocol):
    """Answers a connection that is one too many, and closes it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.write(_TURNED_AWAY)
        transport.close()

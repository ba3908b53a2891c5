"""Running the server: it listens, and a signal drains it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiohttp import web

from callguard.serve.application import application, break_off
from callguard.serve.connections import CONNECTIONS
from callguard.serve.settings import ServeSettings
from callguard.serve.starting import STARTER
from callguard.serve.workspaces import WORKSPACES

__all__ = ["listening", "run"]

logger = logging.getLogger("callguard")

_SHUTDOWN_SECONDS: Final = 1.0
"""Seconds in which clients get the answers that are ready when the server ends."""

_KEEPALIVE_SECONDS: Final = 75.0
"""Seconds for which a connection without a request is kept: longer than clients keep theirs (httpx
5 s, aiohttp 15 s, Node.js 5 s), so that none sends into one that is being closed."""


async def run(settings: ServeSettings, listens: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C, and drain then.

    From then on requests that start calls, those that wait among them, are told to come back. It
    takes `ServeSettings.drain` seconds at most until the count shows every call. A second signal,
    or cancelling this, ends it at once. Live calls go on in each case; a dial that has no answer
    yet is broken off, and its client told that the call may have been placed.

    Args:
        settings: the server's settings.
        listens: called with the server's address when it listens.

    Raises:
        OSError: the port can't be opened.
    """
    async with listening(settings) as (url, app):
        listens(url)
        await _signal()
        logger.info(
            "the server drains: it ends when the count shows every call, after %g s at most; a "
            "second signal ends it at once",
            settings.drain,
        )
        try:
            await _drained(app, settings.drain)
        finally:
            await _without_dials(app)


@asynccontextmanager
async def listening(settings: ServeSettings) -> AsyncIterator[tuple[str, web.Application]]:
    """Listen for the length of the block; yields the address and the application.

    Leaving the block closes every gate and connection, and waits for nobody in a queue.

    Raises:
        OSError: the port can't be opened.
    """
    app = application(settings)
    runner = web.AppRunner(
        app,
        handler_cancellation=True,
        auto_decompress=False,
        access_log=None,
        logger=_silent(),
        shutdown_timeout=_SHUTDOWN_SECONDS,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        max_headers=settings.bounds.max_headers,
    )
    await runner.setup()
    try:
        connections = app[CONNECTIONS]
        connections.serve(runner.server)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(connections, settings.host, settings.port, backlog=1024)
        host, port = server.sockets[0].getsockname()[:2]
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}", app
        finally:
            server.close()
            connections.close()
    finally:
        await runner.cleanup()


def _silent() -> logging.Logger:
    """A log that nobody reads: of a request that can't be parsed, aiohttp logs a part.

    That part may be the key. What a handler raises is logged by the application.
    """
    log = logging.getLogger("callguard.serve.aiohttp")
    log.disabled = True
    return log


async def _drained(app: web.Application, seconds: float) -> None:
    """Tell everybody who waits to come back, and wait until the count shows every call."""
    try:
        async with asyncio.timeout(seconds):
            await app[WORKSPACES].drain()
            await app[STARTER].aclose()
    except TimeoutError:
        logger.warning(
            "after %g s the count may not show every call yet: a server that takes over should "
            "share a ledger with this one, or start ring_limit + counter_lag later",
            seconds,
        )


async def _without_dials(app: web.Application) -> None:
    """Wait for no dial that is left, so that its client hears of it before the server ends."""
    try:
        async with asyncio.timeout(0):
            await app[STARTER].aclose()
    except TimeoutError:
        await break_off(app)


async def _signal() -> None:
    """Wait for SIGTERM or Ctrl-C; the next one cancels the task that waits here now."""
    loop, came, task = asyncio.get_running_loop(), asyncio.Event(), asyncio.current_task()

    def receive() -> None:
        if came.is_set() and task is not None:
            task.cancel()
        came.set()

    with suppress(NotImplementedError):  # on Windows
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, receive)
    await came.wait()

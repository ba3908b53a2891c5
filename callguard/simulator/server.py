"""A simulated workspace on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web

from callguard.simulator.app import create_app
from callguard.simulator.distributions import Distribution
from callguard.simulator.faults import Faults
from callguard.simulator.model import Workspace
from callguard.simulator.settings import WorkspaceSettings

__all__ = ["Server", "serve"]

# Requests are broken off as the server stops, so this is only for those that are stuck in a
# client that doesn't read.
_SHUTDOWN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running simulated workspace.

    Attributes:
        url: where it listens, such as ``"http://127.0.0.1:54321"``.
        api_key: the key that it lets in.
        workspace: the model behind it, for its truth and for changing its limits.
    """

    url: str
    api_key: str
    workspace: Workspace


@asynccontextmanager
async def serve(
    settings: WorkspaceSettings | None = None,
    *,
    port: int = 0,
    clock: Callable[[], float] | None = None,
    api_key: str = "key_simulated",
    latency: Distribution | None = None,
    faults: Faults | None = None,
    dial_faults: Faults | None = None,
    dial_faults_place: bool = True,
    **knobs: Any,
) -> AsyncIterator[Server]:
    """Run a simulated workspace on this machine, for the length of an ``async with`` block.

    ::

        async with callguard.simulator.serve(limit=5, seed=1) as server:
            ...  # server.url, server.api_key, server.workspace

    Leaving the block, by cancellation too, breaks off the requests that are going on, and leaves
    no task and no socket behind.

    Args:
        settings: what the workspace is like; None for the defaults.
        port: where to listen on the loopback address; 0 for any free port.
        clock: the workspace's time in seconds; None for the event loop's.
        api_key: the bearer key that is let in.
        latency: how long each answer takes, in seconds; see `create_app`.
        faults: what goes wrong with the reading of the limits; see `create_app`.
        dial_faults: what goes wrong with dials; see `create_app`.
        dial_faults_place: whether a call whose dial goes wrong is placed nevertheless.
        knobs: fields of `WorkspaceSettings`, over those of `settings`.

    Raises:
        OSError: the port is taken.
        TypeError: an unknown knob.
        ValueError: a knob that can't be right, or a fault that a dial can't have.
    """
    workspace = Workspace(
        replace(settings or WorkspaceSettings(), **knobs),
        clock or asyncio.get_running_loop().time,
    )
    app = create_app(
        workspace,
        api_key=api_key,
        latency=latency,
        faults=faults,
        dial_faults=dial_faults,
        dial_faults_place=dial_faults_place,
    )
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield Server(f"http://127.0.0.1:{site.port}", api_key, workspace)
    finally:
        await runner.cleanup()

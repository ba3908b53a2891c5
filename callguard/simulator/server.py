"""A simulated workspace on a real socket."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from callguard.simulator.app import create_app
from callguard.simulator.courier import Courier
from callguard.simulator.distributions import Distribution
from callguard.simulator.faults import Faults
from callguard.simulator.model import Workspace
from callguard.simulator.posting import Poster
from callguard.simulator.request_limit import RequestLimit
from callguard.simulator.settings import WorkspaceSettings
from callguard.simulator.webhooks import Deliveries, WebhookPlan

__all__ = ["Server", "serve"]

# Requests are broken off when the server stops, so this is only for answers that their client
# doesn't read.
_SHUTDOWN_SECONDS: Final = 1.0

# How often a clock that is not the loop's is read, to see which webhooks are due.
_FOREIGN_CLOCK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Server:
    """A running simulated workspace.

    Attributes:
        url: its address, such as ``"http://127.0.0.1:54321"``.
        api_key: the key that it accepts.
        workspace: the model behind it, for its truth and for changing its limits.
        webhook_answers: how often each HTTP status has answered a webhook; 0 stands for no answer.
            A live view, which goes on counting.
        request_limit: how many requests it has answered and refused, by endpoint.
    """

    url: str
    api_key: str
    workspace: Workspace
    webhook_answers: Mapping[int, int] = field(default_factory=dict)
    request_limit: RequestLimit = field(default_factory=RequestLimit)


@asynccontextmanager
async def serve(
    settings: WorkspaceSettings | None = None,
    *,
    port: int = 0,
    clock: Callable[[], float] | None = None,
    epoch: float | None = None,
    api_key: str = "key_simulated",
    latency: Distribution | None = None,
    faults: Faults | None = None,
    dial_faults: Faults | None = None,
    dial_faults_place: bool = True,
    lists_ringing: bool = False,
    requests_per_minute: int | None = None,
    webhook_url: str | None = None,
    webhooks: WebhookPlan | None = None,
    **knobs: Any,
) -> AsyncIterator[Server]:
    """Run a simulated workspace on this machine for the length of an ``async with`` block.

    ::

        async with callguard.simulator.serve(limit=5, seed=1) as server:
            ...  # server.url, server.api_key, server.workspace

    Leaving the block, also by cancellation, breaks off the requests and webhooks in progress, and
    leaves no task and no socket behind.

    Args:
        settings: the settings of the workspace; None for the defaults.
        port: the port on the loopback address; 0 for any free port.
        clock: the workspace's time in seconds; None for the event loop's.
        epoch: what a right clock shows when `clock` shows 0, in seconds since 1970; None to go by
            this machine's, to the nearest second, so that fractions are the same in each run.
        api_key: the bearer key that is accepted.
        latency: how long each answer takes, in seconds; see `create_app`.
        faults: what goes wrong with the reading of the limits; see `create_app`.
        dial_faults: what goes wrong with dials; see `create_app`.
        dial_faults_place: whether a call whose dial goes wrong is placed nevertheless.
        lists_ringing: whether a list-calls shows calls that still ring; see `create_app`.
        requests_per_minute: requests of all kinds that are answered in any rolling minute; those
            beyond it get a 429. None for no limit.
        webhook_url: the URL to which each event of an outbound call is posted, signed with
            `api_key`; None to post nothing. As with the provider, a post waits 10 s for its answer,
            and is repeated up to three times if that is not a 2xx.
        webhooks: how late, how often and in what order webhooks come.
        knobs: fields of `WorkspaceSettings`, which override those of `settings`.

    Raises:
        OSError: the port is taken.
        TypeError: a field is unknown.
        ValueError: a field can't be right, a dial can't have one of the `dial_faults`, the URL
            can't be posted to, or there are `webhooks` without a URL.
    """
    if webhooks is not None and webhook_url is None:
        raise ValueError("webhooks are sent nowhere without a webhook_url")
    time_of = clock or asyncio.get_running_loop().time
    workspace = Workspace(
        replace(settings or WorkspaceSettings(), **knobs),
        time_of,
        epoch=round(time.time() - time_of()) if epoch is None else epoch,
    )
    request_limit = RequestLimit(requests_per_minute)
    app = create_app(
        workspace,
        api_key=api_key,
        latency=latency,
        faults=faults,
        dial_faults=dial_faults,
        dial_faults_place=dial_faults_place,
        lists_ringing=lists_ringing,
        request_limit=request_limit,
    )
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        longest_sleep = math.inf if clock is None else _FOREIGN_CLOCK_SECONDS
        async with _sent(workspace, api_key, webhook_url, webhooks, longest_sleep) as answers:
            yield Server(
                f"http://127.0.0.1:{site.port}", api_key, workspace, answers, request_limit
            )
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _sent(
    workspace: Workspace,
    api_key: str,
    url: str | None,
    plan: WebhookPlan | None,
    longest_sleep: float,
) -> AsyncIterator[Mapping[int, int]]:
    """Send the workspace's webhooks during the block; yields the count of the answers."""
    if url is None:
        yield {}
        return
    plan = plan or WebhookPlan()
    async with Poster(url, retry_wait=plan.retry_wait) as poster:
        deliveries = Deliveries(workspace, plan, api_key=api_key)
        courier = Courier(workspace, deliveries, poster.post, longest_sleep=longest_sleep)
        try:
            yield MappingProxyType(poster.answers)
        finally:
            courier.close()

"""The server's application: what every request passes, and who answers which."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from callguard.errors import CallGuardError
from callguard.serve import api, events, permits_api
from callguard.serve.access import bearer, guarded, open_to_all, require_forwardable
from callguard.serve.asked import is_batch, start_path
from callguard.serve.batches import WARNING
from callguard.serve.connections import CONNECTIONS, Connections
from callguard.serve.forwarding import FORWARDER, Forwarder
from callguard.serve.page.gates import PAGES, pages
from callguard.serve.page.routes import Pages
from callguard.serve.problems import Problem, problem_of
from callguard.serve.routing import only, unknown
from callguard.serve.settings import SETTINGS, ServeSettings
from callguard.serve.starting import STARTER, Starter
from callguard.serve.workspaces import WORKSPACES, Workspaces

__all__ = ["application", "break_off"]

logger = logging.getLogger("callguard")

_BREAKING_OFF: Final = 1.0
"""Seconds in which what is broken off has to end; it takes a few steps of the event loop. Our own
choice."""


def application(settings: ServeSettings) -> web.Application:
    """Return the proxy as an aiohttp application; `callguard.serve.running` runs it.

    Whoever runs it otherwise must set ``handler_cancellation=True``, or a client that hangs up
    stays in the queue, and ``auto_decompress=False``, or bodies are changed on the way.

    Args:
        settings: the server's settings.
    """
    app = web.Application(
        middlewares=[_problems, guarded], client_max_size=settings.bounds.max_body
    )
    app[SETTINGS] = settings
    app[CONNECTIONS] = Connections(settings.bounds)
    app[FORWARDER] = Forwarder(settings)
    app[WORKSPACES] = Workspaces(settings)
    app[PAGES] = pages(settings, app[WORKSPACES])
    app[STARTER] = Starter(settings, app[WORKSPACES], app[FORWARDER])
    app.on_shutdown.append(_end_streams)
    app.cleanup_ctx.append(_closed_in_the_end)
    app.add_routes(_routes(app[PAGES]))
    return app


def _routes(shown: Pages) -> Iterable[web.RouteDef]:
    """The routes of all modules; what none of them answers is the provider's."""
    yield from only([*permits_api.routes(), *events.routes(), *api.routes(), *shown.routes()])
    yield web.route("*", "/v1/{path:.*}", unknown)
    yield web.route("*", "/{path:.*}", _forwarded)


@open_to_all
async def _forwarded(request: web.Request) -> web.StreamResponse:
    require_forwardable(request)
    path = start_path(request)
    if path is not None:
        return await request.app[STARTER].start(request, path)
    if is_batch(request):
        logger.warning("a batch was forwarded: %s", WARNING)
        request.app[WORKSPACES].note_batch(bearer(request) or "")
        return await request.app[FORWARDER].forward(request, {"X-Callguard-Warning": WARNING})
    return await request.app[FORWARDER].forward(request)


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error as a problem, and none with a secret."""
    request.app[CONNECTIONS].heard(request)
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except CallGuardError as error:
        return problem_of(error).response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return Problem(error.status, error.reason).response()
    except Exception as error:  # noqa: BLE001 - a client gets an answer, whatever it is
        # Only the kind of error: the request is in the traceback, and so the key.
        logger.error("a request failed: %s", type(error).__name__)  # noqa: TRY400
        return Problem(500, "this server failed, and its log says where").response()


async def break_off(app: web.Application) -> None:
    """Break off what is on its way to the provider; the call of such a dial counts as placed.

    A connection that is only being opened ends by itself.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_BREAKING_OFF):
            await app[FORWARDER].aclose()
            await app[STARTER].aclose()


async def _end_streams(app: web.Application) -> None:
    app[WORKSPACES].end_streams()
    await app[PAGES].aclose()


async def _closed_in_the_end(app: web.Application) -> AsyncIterator[None]:
    yield
    await break_off(app)
    await app[WORKSPACES].aclose()

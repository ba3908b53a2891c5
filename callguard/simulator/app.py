"""The workspace behind the provider's HTTP paths."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from cachetools import TTLCache

from callguard.simulator.bodies import (
    NO_AUTHORIZATION,
    TOO_FAST,
    Answer,
    DialRequest,
    described,
    error,
    half,
    spoilt,
)
from callguard.simulator.distributions import Distribution, stream
from callguard.simulator.faults import DIAL_FAULTS, Fault, Faults
from callguard.simulator.listing import ListRequest
from callguard.simulator.model import Workspace
from callguard.simulator.records import Call, CallRefused, CallTooFast
from callguard.simulator.request_limit import RequestLimit

__all__ = ["create_app"]

_IDEMPOTENCY_SECONDS: Final = 3600.0  # "for up to one hour", says create-phone-call's reference.
_IDEMPOTENCY_KEYS: Final = 10_000


def create_app(
    workspace: Workspace,
    *,
    api_key: str = "key_simulated",
    latency: Distribution | None = None,
    faults: Faults | None = None,
    dial_faults: Faults | None = None,
    dial_faults_place: bool = True,
    lists_ringing: bool = False,
    request_limit: RequestLimit | None = None,
) -> web.Application:
    """Return the workspace as an aiohttp application, for your own runner; `serve` has one.

    It answers ``GET /get-concurrency``, ``POST /v2/create-phone-call``,
    ``GET /v2/get-call/{call_id}``, ``POST /v3/list-calls`` and ``POST /v2/stop-call/{call_id}``. A
    list-calls takes a `limit`, a `sort_order` and the filter by ids. A create-phone-call with
    the `idempotency_key` of a call placed in the last hour places nothing, and answers with that
    call. A dial that is refused by a 429 doesn't use up its key, but one whose call dies at once
    does. The last 10,000 keys are kept. Every answer has a ``Date``, by the provider's clock.

    Run it with ``handler_cancellation=True``, or a request that hangs outlives its client.

    Args:
        workspace: the workspace behind the paths.
        api_key: the bearer key that is accepted.
        latency: how long each answer takes, in seconds. A request is carried out when it arrives,
            so the count in an answer is as old as the latency, and a dial is placed even if the
            client gives up on it.
        faults: what goes wrong with ``GET /get-concurrency``.
        dial_faults: what goes wrong with ``POST /v2/create-phone-call``; only `DIAL_FAULTS` can.
        dial_faults_place: whether a call whose dial goes wrong is placed nevertheless.
        lists_ringing: whether a list-calls shows calls that still ring. The provider doesn't say;
            its filter by status doesn't know them (SDK 6.2.13).
        request_limit: counts the requests that have the key, and refuses those that are too many by
            a 429, before anything is done.

    Raises:
        ValueError: `dial_faults` contain a fault that a dial can't have.
    """
    if dial_faults is not None:
        dial_faults.require_only(DIAL_FAULTS)
    api = _Api(
        workspace,
        api_key,
        latency,
        faults,
        dial_faults,
        dial_faults_place,
        lists_ringing,
        request_limit,
    )
    app = web.Application(middlewares=[api.authorize])
    app.router.add_get("/get-concurrency", api.get_concurrency)
    app.router.add_post("/v2/create-phone-call", api.create_phone_call)
    app.router.add_get("/v2/get-call/{call_id}", api.get_call)
    app.router.add_post("/v3/list-calls", api.list_calls)
    app.router.add_post("/v2/stop-call/{call_id}", api.stop_call)
    app.on_response_prepare.append(api.date)
    app.on_shutdown.append(api.break_off)
    return app


class _Api:
    """The request handlers and the state that they share."""

    def __init__(
        self,
        workspace: Workspace,
        api_key: str,
        latency: Distribution | None,
        faults: Faults | None,
        dial_faults: Faults | None,
        dial_faults_place: bool,
        lists_ringing: bool,
        request_limit: RequestLimit | None,
    ) -> None:
        self._workspace = workspace
        self._api_key = api_key
        self._latency = latency
        self._latencies = stream(workspace.settings.seed, "latencies")
        self._faults = faults
        self._dial_faults = dial_faults
        self._dial_faults_place = dial_faults_place
        self._lists_ringing = lists_ringing
        self._request_limit = request_limit or RequestLimit()
        self._closing = asyncio.Event()
        self._placed: TTLCache[str, Call] = TTLCache(
            _IDEMPOTENCY_KEYS, _IDEMPOTENCY_SECONDS, timer=lambda: workspace.elapsed
        )

    async def break_off(self, app: web.Application) -> None:  # noqa: ARG002 - aiohttp passes it
        """Break off the requests in progress, because the server stops."""
        self._closing.set()

    async def date(self, request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG002 - aiohttp passes it
        """Date an answer by the provider's clock, which need not be this machine's."""
        response.headers["Date"] = self._workspace.provider_clock.date(self._workspace.now)

    @web.middleware
    async def authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass the request on if it has the key and isn't one too many."""
        authorization = request.headers.get("Authorization")
        if authorization is None:
            return await self._deliver(request, NO_AUTHORIZATION)
        if authorization != f"Bearer {self._api_key}":
            return await self._deliver(request, error(401))
        if not self._has_room(request):
            return await self._deliver(request, error(429))
        return await handler(request)

    def _has_room(self, request: web.Request) -> bool:
        resource = request.match_info.route.resource
        if resource is None:  # no endpoint of the provider's
            return True
        return self._request_limit.has_room(resource.canonical, self._workspace.now)

    async def get_concurrency(self, request: web.Request) -> web.StreamResponse:
        """The limits and the late counter, or a fault."""
        answer = Answer.of(200, self._workspace.concurrency())
        return await self._deliver(request, answer, self._next(self._faults))

    async def create_phone_call(self, request: web.Request) -> web.StreamResponse:
        """Dial, once for each idempotency key."""
        dial = DialRequest.parse(await request.read())
        if dial is None:
            return await self._deliver(request, error(400))
        fault = self._next(self._dial_faults)
        reached = fault is None or self._dial_faults_place
        answer = self._dial(dial) if reached else error(500)
        return await self._deliver(request, answer, fault)

    async def get_call(self, request: web.Request) -> web.StreamResponse:
        """A call as it stands now."""
        call = self._workspace.call(request.match_info["call_id"])
        answer = error(422) if call is None else Answer.of(200, self._described(call))
        return await self._deliver(request, answer)

    async def list_calls(self, request: web.Request) -> web.StreamResponse:
        """Calls as they stand now."""
        asked = ListRequest.parse(await request.read())
        if asked is None:
            return await self._deliver(request, error(400))
        workspace = self._workspace
        listed = asked.answer(
            workspace.call,
            lambda: workspace.calls(None),
            clock=workspace.provider_clock,
            ringing=self._lists_ringing,
        )
        return await self._deliver(request, Answer.of(200, listed))

    async def stop_call(self, request: web.Request) -> web.StreamResponse:
        """End a call; does nothing if it is over."""
        call_id = request.match_info["call_id"]
        known = self._workspace.call(call_id) is not None
        self._workspace.stop(call_id)
        return await self._deliver(request, Answer(204) if known else error(422))

    def _dial(self, dial: DialRequest) -> Answer:
        call = None if dial.idempotency_key is None else self._placed.get(dial.idempotency_key)
        if call is None:
            try:
                call = self._place(dial)
            except CallTooFast:
                return TOO_FAST
            except CallRefused:
                return error(429)
        return Answer.of(201, self._described(call))

    def _described(self, call: Call) -> dict[str, object]:
        return described(call, self._workspace.provider_clock)

    def _place(self, dial: DialRequest) -> Call:
        call = self._workspace.dial(
            from_number=dial.from_number,
            to_number=dial.to_number,
            agent_id=dial.agent_id,
            metadata=dial.metadata,
        )
        if dial.idempotency_key is not None:
            self._placed[dial.idempotency_key] = call
        return call

    def _next(self, faults: Faults | None) -> Fault | None:
        return None if faults is None else faults.next(self._workspace.elapsed)

    async def _deliver(
        self, request: web.Request, answer: Answer, fault: Fault | None = None
    ) -> web.StreamResponse:
        if self._latency is not None:
            await self._wait(self._latency(self._latencies))
        if fault == "cut":
            return await _cut(request, answer)
        if fault == "hang":
            await self._wait(None)
            _hang_up(request)
        sent = spoilt(answer, fault)
        return web.Response(status=sent.status, body=sent.body, headers=sent.headers)

    async def _wait(self, seconds: float | None) -> None:
        """Wait for `seconds`, or for ever if None; return early when the server stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()


async def _cut(request: web.Request, answer: Answer) -> web.StreamResponse:
    headers = {**answer.headers, "Content-Length": str(len(answer.body))}
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    await response.write(half(answer.body))
    _hang_up(request)
    return response


def _hang_up(request: web.Request) -> None:
    """Close the connection; aiohttp then believes that the client left, and drops the answer."""
    if request.transport is not None:
        request.transport.close()

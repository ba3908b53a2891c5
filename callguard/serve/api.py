"""What the server tells about a workspace, what an operator orders, and what the provider tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from aiohttp import web

from callguard import webhooks
from callguard.errors import GateClosed, MissingExtra
from callguard.gate import Gate
from callguard.ledger import workspace_hash
from callguard.serve.access import open_to_all, using
from callguard.serve.fields import in_body, in_query, reason, seconds, text
from callguard.serve.problems import Problem, numbers
from callguard.serve.settings import SETTINGS, USUAL_PATIENCE
from callguard.serve.workspaces import WORKSPACES
from callguard.trunks import DEFAULT_TRUNK
from callguard.webhooks import SIGNATURE_HEADER

__all__ = ["routes"]

_LANE, _TRUNK = text("lane", or_null="for all lanes"), text("trunk", or_null="for all trunks")


def routes() -> Iterable[web.RouteDef]:
    """The routes beside permits and events."""
    yield web.get("/v1/status", _status, allow_head=False)
    yield web.get("/v1/explain", _explain, allow_head=False)
    yield web.post("/v1/pause", _pause)
    yield web.post("/v1/resume", _resume)
    yield web.post("/v1/drain", _drain)
    yield web.get("/healthz", _health, allow_head=False)
    yield web.head("/healthz", _health)
    yield web.get("/metrics", _metrics, allow_head=False)
    yield web.get("/openapi.json", _openapi, allow_head=False)
    yield web.post("/webhooks/retell", _webhook)


async def _status(request: web.Request) -> web.Response:
    in_query(request)
    async with using(request) as workspace:
        return _json((await workspace.overview()).as_json())


async def _explain(request: web.Request) -> web.Response:
    """Whether a call would be admitted now; an empty ``trunk`` is for a call without one."""
    given = in_query(request, text("lane"), reason("trunk"))
    trunk = given.get("trunk", DEFAULT_TRUNK) or None
    async with using(request) as workspace:
        decision = workspace.gate.explain(given.get("lane"), trunk=trunk)
    said = {"admitted": decision.admitted, "sentence": str(decision), "tier": decision.tier}
    return _json(said | numbers(decision))


async def _pause(request: web.Request) -> web.Response:
    in_query(request)
    given = await _order(request, _LANE, _TRUNK, reason("reason"))
    async with using(request) as workspace:
        gate = workspace.gate
        gate.pause(given.get("lane"), given.get("trunk"), reason=given.get("reason", ""))
        return _json(_pauses(gate))


async def _resume(request: web.Request) -> web.Response:
    in_query(request)
    given = await _order(request, _LANE, _TRUNK)
    async with using(request) as workspace:
        resumed = workspace.gate.resume(given.get("lane"), given.get("trunk"))
        return _json({"resumed": resumed} | _pauses(workspace.gate))


async def _drain(request: web.Request) -> web.Response:
    """Begin to drain, and wait for the end of it for a while."""
    wait = in_query(request, seconds("wait")).get("wait", 0.0)
    await _order(request)
    drained = False
    async with using(request) as workspace:
        with suppress(TimeoutError, GateClosed):
            async with asyncio.timeout(min(wait, USUAL_PATIENCE)):
                await workspace.gate.drain()
                drained = True
        usage = workspace.gate.statistics().usage
    return _json({"draining": True, "drained": drained, "usage": usage.as_json()})


async def _order(request: web.Request, *fields: Any) -> dict[str, Any]:
    """The fields of an operator's order.

    Raises:
        Problem: the server takes no orders, or the body is wrong.
    """
    if request.app[SETTINGS].read_only:
        raise Problem(403, "this server is read-only; start it without --read-only for this")
    return await in_body(request, *fields)


@open_to_all
async def _health(request: web.Request) -> web.Response:
    """Whether new calls are welcome: for load balancers, which send no token."""
    if request.app[WORKSPACES].draining:
        return _json({"status": "draining"}, 503)
    return _json({"status": "ok"})


async def _metrics(request: web.Request) -> web.Response:
    """The metrics of all workspaces; the server's token is needed, and no key means one."""
    try:
        text, kind = request.app[WORKSPACES].scrape.text()
    except MissingExtra as error:
        raise Problem(501, f"{error}, and start the server again", kind="extra") from None
    return web.Response(body=text, headers={"Content-Type": kind, "Cache-Control": "no-store"})


@open_to_all
async def _openapi(_request: web.Request) -> web.Response:
    return web.Response(text=_document(), content_type="application/json")


@cache
def _document() -> str:
    return files("callguard.serve").joinpath("openapi.json").read_text("utf-8")


@open_to_all
async def _webhook(request: web.Request) -> web.Response:
    """Take a delivery of the provider's for the workspace that signed it."""
    in_query(request)
    key = _webhook_key(request)
    try:
        body = await _delivery(request)
        webhooks.verify(body, request.headers.get(SIGNATURE_HEADER), key)
        await _deliver(request, body, key)
    except webhooks.WebhookError as error:
        raise Problem(error.status, str(error), kind="webhook") from None
    return web.Response(status=204)


async def _delivery(request: web.Request) -> bytes:
    """The body of a delivery.

    Raises:
        WebhookTooLarge: it is too large.
        Problem: it is too slow.
    """
    longest = request.app[SETTINGS].bounds.body_seconds
    try:
        async with asyncio.timeout(longest):
            return await webhooks.read(request.content.iter_any())
    except TimeoutError:
        raise Problem(408, f"the body did not come within {longest:g} s") from None


def _webhook_key(request: web.Request) -> str:
    """The key of the workspace that a delivery is for.

    Raises:
        Problem: that workspace isn't open here.
    """
    default, named = request.app[SETTINGS].api_key, request.query.get("workspace")
    if default is not None and named in {None, workspace_hash(default)}:
        return default
    workspace = None if named is None else request.app[WORKSPACES].find(named)
    if workspace is None:
        raise Problem(404, "no such workspace is open here", kind="no-such-workspace")
    return workspace.key


async def _deliver(request: web.Request, body: bytes, key: str) -> None:
    """Report a delivery to the gate; one that isn't open waits for no news."""
    workspaces, name = request.app[WORKSPACES], workspace_hash(key)
    signature = request.headers.get(SIGNATURE_HEADER)
    if workspaces.find(name) is not None:
        async with workspaces.use_open(name) as workspace:
            webhooks.receive(workspace.gate, body, signature, api_key=key)


def _pauses(gate: Gate) -> dict[str, object]:
    return {"pauses": [asdict(pause) for pause in gate.statistics().pauses]}


def _json(body: object, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    text = json.dumps(body)
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)

"""``/v1/permits``: permits for dialers that place their calls by themselves, in any language."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from callguard.errors import GateClosed
from callguard.eta import Eta
from callguard.gate import Gate
from callguard.serve.access import using
from callguard.serve.fields import flag, in_body, in_query, seconds, status, text
from callguard.serve.held import Asked, HeldPermit, Report
from callguard.serve.permits import Permits
from callguard.serve.workspaces import Workspace
from callguard.trunks import DEFAULT_TRUNK

__all__ = ["routes"]

_ASKED: Final = (
    text("lane"),
    text("trunk", or_null="for a call without one"),
    text("key"),
    seconds("wait", or_null="for any time"),
)
_CALL_ID: Final = text("call_id", or_null="if it is unknown")
_POLL: Final = seconds("wait")


def routes() -> Iterable[web.RouteDef]:
    """The routes of permits, and of calls whose permits nobody knows any more."""
    permit = "/v1/permits/{id}"
    yield web.post("/v1/permits", _ask)
    yield web.get(permit, _poll, allow_head=False)
    yield web.delete(permit, _cancel)
    yield web.put(f"{permit}/placed", _placed)
    yield web.put(f"{permit}/answered", _answered)
    yield web.put(f"{permit}/ended", _ended)
    yield web.put(f"{permit}/refused", _refused)
    yield web.put("/v1/calls/{call_id}/answered", _call_answered)
    yield web.put("/v1/calls/{call_id}/ended", _call_ended)


async def _ask(request: web.Request) -> web.Response:
    """A new permit, or the one that the key stands for."""
    in_query(request)
    given = await in_body(request, *_ASKED)
    asked = Asked(given.get("lane"), given.get("trunk", DEFAULT_TRUNK), given.get("wait"))
    async with using(request) as workspace:
        held = workspace.permits.ask(asked, given.get("key"))
        try:
            await workspace.permits.first(held)
        except asyncio.CancelledError:
            if "key" not in given:  # the client hung up, and can't know of its permit
                workspace.permits.cancel(held)
            raise
        answer = _answer(workspace, held, {"dialling": 201, "waiting": 202}.get(held.state, 200))
    answer.headers["Location"] = str(
        request.rel_url.with_path(f"/v1/permits/{held.id}", keep_query=True)
    )
    return answer


async def _poll(request: web.Request) -> web.Response:
    """The permit as it is, or as soon as it is admitted."""
    wait = in_query(request, _POLL).get("wait", 0.0)
    async with using(request) as workspace:
        held = workspace.permits.find(request.match_info["id"])
        await workspace.permits.poll(held, wait)
        return _answer(workspace, held)


async def _cancel(request: web.Request) -> web.Response:
    in_query(request)
    async with using(request) as workspace:
        held = workspace.permits.find(request.match_info["id"])
        workspace.permits.cancel(held)
        return _answer(workspace, held)


async def _placed(request: web.Request) -> web.Response:
    given = await in_body(request, _CALL_ID)
    return await _reported(request, "placed", call_id=given.get("call_id"))


async def _answered(request: web.Request) -> web.Response:
    await in_body(request)
    return await _reported(request, "answered")


async def _ended(request: web.Request) -> web.Response:
    await in_body(request)
    return await _reported(request, "ended")


async def _refused(request: web.Request) -> web.Response:
    given = await in_body(request, status("status"))
    return await _reported(request, "refused", status=given.get("status"))


async def _reported(request: web.Request, word: Report, **said: Any) -> web.Response:
    in_query(request)
    async with using(request) as workspace:
        held = workspace.permits.find(request.match_info["id"])
        workspace.permits.report(held, word, **said)
        return _answer(workspace, held)


async def _call_answered(request: web.Request) -> web.Response:
    in_query(request)
    await in_body(request)
    call_id = _call_id(request)
    async with using(request) as workspace:
        workspace.gate.note_answered(call_id)
    return web.Response(status=204)


async def _call_ended(request: web.Request) -> web.Response:
    in_query(request)
    given = await in_body(request, flag("refused"))
    call_id = _call_id(request)
    async with using(request) as workspace:
        workspace.gate.note_ended(call_id, refused=given.get("refused", False))
    return web.Response(status=204)


def _call_id(request: web.Request) -> str:
    return str(text("call_id").checked(request.match_info["call_id"]))


def _answer(workspace: Workspace, held: HeldPermit, status: int = 200) -> web.Response:
    body = json.dumps(_as_json(workspace.gate, workspace.permits, held))
    headers = {"Cache-Control": "no-store"}
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)


def _as_json(gate: Gate, permits: Permits, held: HeldPermit) -> dict[str, object]:
    permit, state = held.permit, held.state
    waits = state == "waiting"
    admitted = permit.state not in {"new", "waiting"}
    eta = _eta(gate, held) if waits else None
    return {
        "id": held.id,
        "state": state,
        "lane": permit.lane.name,
        "trunk": held.asked.trunk,
        "tier": permit.tier if admitted else None,
        "position": permits.position(held),
        "eta": None if eta is None else {"p50": eta.p50, "p90": eta.p90},
        "expires_in": permits.expires_in(held),
        "call_id": permit.call_id,
        "permit_id": permit.id if admitted else None,
        "lost": state == "dialling" and permit.lost,
    }


def _eta(gate: Gate, held: HeldPermit) -> Eta | None:
    """The wait of a caller that joined now: the held permit's is no longer."""
    try:
        return gate.eta(held.asked.lane, trunk=held.asked.trunk)
    except GateClosed:
        return None

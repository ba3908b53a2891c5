"""The requests that start calls: they wait at the gate, and only then go on to the provider."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from callguard.serve.forwarding import FORWARDER, passed_back
from callguard.serve.settings import SETTINGS
from callguard.serve.workspaces import WORKSPACES

__all__ = ["STARTS", "start", "start_path"]

STARTS: Final = frozenset(
    {
        "/v2/create-phone-call",
        "/v2/register-phone-call",
        "/v3/create-web-call",
        "/v2/create-web-call",
    }
)
"""The paths that start a call by a POST (docs.retellai.com/api-references, read 2026-11-22)."""

_SLASHES: Final = re.compile("/{2,}")


def start_path(request: web.Request) -> str | None:
    """The path of `STARTS` that a request asks for, however it writes it; None for another."""
    if request.method != "POST":
        return None
    path = request.raw_path.partition("?")[0]
    plain = _SLASHES.sub("/", unquote(path)).rstrip("/").lower()
    return plain if plain in STARTS else None


async def start(request: web.Request) -> web.StreamResponse:
    """Wait for a slot, start the call, and pass the provider's answer back."""
    key = request.headers.get("Authorization", "").removeprefix("Bearer ")
    body = await request.read()
    async with (
        request.app[WORKSPACES].use(key) as workspace,
        workspace.gate.admit(timeout=request.app[SETTINGS].wait) as permit,
        request.app[FORWARDER].sent(request, body) as answer,
    ):
        said = await answer.read()
        if answer.status == 429:
            permit.refused(answer.status)
        return await passed_back(request, answer, said)

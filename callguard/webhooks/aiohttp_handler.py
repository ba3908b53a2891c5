"""The provider's webhooks as a route of an aiohttp application."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from callguard.fetcher.settings import checked_api_key
from callguard.webhooks.errors import WebhookError, WebhookMalformed
from callguard.webhooks.receiving import EvidenceGate, check_gate, read, receive
from callguard.webhooks.signature import SIGNATURE_HEADER, TOLERANCE

__all__ = ["handler"]


def handler(
    gate: EvidenceGate,
    *,
    api_key: str | None = None,
    tolerance: float = TOLERANCE,
    now: Callable[[], float] = time.time,
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler for ``app.router.add_post("/webhook", callguard.webhooks.handler(gate))``.

    It answers a valid delivery with 204 at once, and any other with the status of its
    `WebhookError` and the reason as JSON, in the provider's own form. It reads no more than
    `LONGEST_BODY` bytes, whatever the application's `client_max_size` is.

    Args:
        gate: the gate to report deliveries to; see `receive`.
        api_key: the workspace's key that has the webhook badge; else the value of
            `RETELL_API_KEY` in the environment when this is called.
        tolerance: seconds between signing and now at most; see `verify`.
        now: the wall clock, in seconds since 1970; see `verify`.

    Raises:
        UsageError: there is no key, or it can't be right.
        TypeError: `gate` is not an open gate.
    """
    check_gate(gate)
    key = checked_api_key(api_key)

    async def handle(request: web.Request) -> web.Response:
        try:
            body = await _body(request)
            signature = request.headers.get(SIGNATURE_HEADER)
            receive(gate, body, signature, api_key=key, tolerance=tolerance, now=now)
        except WebhookError as error:
            return _refusal(error)
        return web.Response(status=204)

    return handle


async def _body(request: web.Request) -> bytes:
    try:
        return await read(request.content.iter_any())
    except web.RequestPayloadError:
        raise WebhookMalformed("the body broke off, or is not encoded as its headers say") from None


def _refusal(error: WebhookError) -> web.Response:
    reason = {"status": "error", "message": str(error)}
    return web.json_response(reason, status=error.status)

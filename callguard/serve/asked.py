"""What a request that starts a call asks for: the call, and its way through the gate."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from posixpath import normpath
from typing import Final
from urllib.parse import unquote

from aiohttp import web

from callguard.serve.problems import Problem
from callguard.serve.settings import SETTINGS, USUAL_PATIENCE, WorkspaceSettings
from callguard.showing import shown
from callguard.trunks import DEFAULT_TRUNK

__all__ = ["Asked", "body_of", "is_batch", "start_path"]

_PHONE_CALLS: Final = frozenset({"/v2/create-phone-call", "/v2/register-phone-call"})
_WEB_CALLS: Final = frozenset({"/v3/create-web-call", "/v2/create-web-call"})

_TAKES_A_KEY: Final = "/v2/create-phone-call"
"""The one endpoint with an `idempotency_key` (docs.retellai.com, read 2026-11-22)."""

_ANNOUNCED: Final = ("X-Stainless-Timeout", "X-Stainless-Read-Timeout")
"""The headers in which the provider's SDKs announce their time-out, in seconds (retell-sdk 5.66.1
for TypeScript and 6.2.13 for Python; of create-phone-call it is 120 in both)."""

_SHARE_FOR_WAITING: Final = 0.75
"""The part of a client's time-out in which its request may wait; the rest is for the dial, which
the client would otherwise not see the end of. Our own choice."""


def _plain_path(request: web.Request) -> str:
    """The path that a request means, however it writes it."""
    path = unquote(request.raw_path.partition("?")[0])
    return "/" + normpath(path).lstrip("/").lower()


def start_path(request: web.Request) -> str | None:
    """The path of a request that starts a call, however it writes it; None for another request."""
    path = _plain_path(request)
    is_start = request.method == "POST" and path in _PHONE_CALLS | _WEB_CALLS
    return path if is_start else None


def is_batch(request: web.Request) -> bool:
    """Whether a request starts a batch of calls, which the provider dials by itself."""
    return request.method == "POST" and _plain_path(request).endswith("/create-batch-call")


async def body_of(request: web.Request) -> bytes:
    """The body of a request that the server has to know itself.

    Raises:
        Problem: the body is too large, or too slow.
    """
    bounds = request.app[SETTINGS].bounds
    too_large = Problem(413, f"the body of this request may have {bounds.max_body} bytes at most")
    if (request.content_length or 0) > bounds.max_body:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(bounds.body_seconds):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > bounds.max_body:
                    raise too_large
    except TimeoutError:
        raise Problem(408, f"the body did not come within {bounds.body_seconds:g} s") from None
    return bytes(body)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    Attributes:
        path: the path, as `start_path` gives it.
        lane: the name of the lane; None for the default lane.
        trunk: the name of the trunk, as far as the request names it; None if it doesn't.
        wait: seconds to wait for a slot at most.
        body: the body as it came.
        from_number: the number to call from; None if there is none.
        takes_key: whether an idempotency key can be put in.
        idempotency_key: the client's own; None if there is none, or the endpoint has none.
        identity: by what the same call is known when its client sends it again: the client's own
            idempotency key, else the whole body if it names the number to call; None if neither.
    """

    path: str
    lane: str | None
    trunk: str | None
    wait: float
    body: bytes
    from_number: str | None
    takes_key: bool
    idempotency_key: str | None
    identity: str | bytes | None

    @classmethod
    async def of(cls, request: web.Request, path: str) -> Asked:
        """Read a request.

        Raises:
            Problem: it can't be what it says.
        """
        headers = request.headers
        wait = _wait(headers.get("X-Callguard-Wait"), request)
        body = await body_of(request)
        is_plain = "Content-Encoding" not in headers
        call = _call(body) if is_plain else {}
        own_key = _text(call, "idempotency_key") if path == _TAKES_A_KEY else None
        return cls(
            path=path,
            lane=headers.get("X-Callguard-Lane"),
            trunk=headers.get("X-Callguard-Trunk"),
            wait=wait,
            body=body,
            from_number=_text(call, "from_number"),
            takes_key=is_plain and path == _TAKES_A_KEY and own_key is None,
            idempotency_key=own_key,
            identity=own_key or (body if _text(call, "to_number") else None),
        )

    def lane_among(self, settings: WorkspaceSettings) -> str | None:
        """The name of the lane; None for the default one.

        Raises:
            Problem: there is no such lane, or none was named and none is the default.
        """
        lanes = settings.lanes
        names = [lane.name for lane in lanes] or ["default"]
        is_known = self.lane in names or self.lane is None
        if is_known and (self.lane or not lanes or any(lane.default for lane in lanes)):
            return self.lane
        raise _unknown("lane", self.lane, names)

    def trunk_among(self, settings: WorkspaceSettings) -> str | None:
        """The name of the trunk; None for a call without one.

        Raises:
            Problem: there is no such trunk.
        """
        names = [DEFAULT_TRUNK, *(trunk.name for trunk in settings.trunks)]
        if self.trunk is not None and self.trunk not in names:
            raise _unknown("trunk", self.trunk, names)
        if self.trunk is not None:
            return self.trunk
        return None if self.path in _WEB_CALLS else self._by_number(settings.trunk_of)

    def body_with(self, idempotency_key: str) -> bytes:
        """The body with an idempotency key, if it has none and the endpoint has one.

        The rest stays byte for byte. The key comes last, where it holds over an empty one.
        """
        if not self.takes_key:
            return self.body
        beginning, _, end = self.body.rpartition(b"}")
        comma = b"" if beginning.strip() == b"{" else b", "
        member = b'"idempotency_key": ' + json.dumps(idempotency_key).encode()
        return beginning + comma + member + b"}" + end

    def _by_number(self, trunk_of: Mapping[str, str]) -> str:
        number = self.from_number or ""
        fits = [
            rule
            for rule in trunk_of
            if rule == number or (rule.endswith("*") and number.startswith(rule[:-1]))
        ]
        return trunk_of[max(fits, key=len)] if fits else DEFAULT_TRUNK


def _call(body: bytes) -> Mapping[str, object]:
    try:
        call = json.loads(body.decode())
    except (ValueError, RecursionError):
        call = None
    if not isinstance(call, dict):
        raise Problem(400, "the body of this request must be a JSON object in UTF-8")
    return call


def _text(call: Mapping[str, object], name: str) -> str | None:
    value = call.get(name)
    return value if isinstance(value, str) and value else None


def _wait(text: str | None, request: web.Request) -> float:
    settings = request.app[SETTINGS]
    if text is None:
        announced = _announced(request.headers)
        longest = USUAL_PATIENCE if announced is None else announced * _SHARE_FOR_WAITING
        if settings.wait is None:
            return min(longest, settings.max_wait)
        return settings.wait if announced is None else min(longest, settings.wait)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= settings.max_wait:
        raise Problem(
            400, f"X-Callguard-Wait must be seconds, 0 to {settings.max_wait:g}, got {shown(text)}"
        )
    return seconds


def _announced(headers: Mapping[str, str]) -> float | None:
    """The client's time-out in seconds, if it announces one."""
    for name in _ANNOUNCED:
        with suppress(KeyError, ValueError):
            seconds = float(headers[name])
            if 0 < seconds < math.inf:
                return seconds
    return None


def _unknown(kind: str, name: str | None, names: list[str]) -> Problem:
    known = ", ".join(names)
    header = f"X-Callguard-{kind.title()}"
    if name is None:
        return Problem(400, f"a call has to name its {kind} here, by {header}: {known}")
    return Problem(400, f"no {kind} {shown(name)}, only {known}; {header} names one")

"""A session without a network: a handler takes the network's place, and decides every answer."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

if TYPE_CHECKING:
    from aiohttp import ClientSession as _ClientSession
else:
    _ClientSession = object

Handler = Callable[[str, str, Mapping[str, str]], "Reply | Awaitable[Reply]"]
"""Gets the method, the URL and the headers. It may reply, raise, wait or hang."""

PostHandler = Callable[[str, Mapping[str, str], bytes], "Reply | Awaitable[Reply]"]
"""Gets the URL, the headers and the body of a POST request, and may do the same."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request; a `fault`, if there is one, is raised at the end of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Exception | None = None

    @classmethod
    def json(cls, payload: object, status: int = 200, **headers: str) -> Reply:
        """A reply of JSON; underscores in the headers' names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(payload).encode(), named)


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was made, at `at` seconds on the event loop's clock."""

    method: str
    url: str
    headers: Mapping[str, str]
    at: float


class FakeSession(_ClientSession):
    """A stand-in for `aiohttp.ClientSession`, as far as callguard's client uses one.

    Args:
        handler: decides the answer to every GET request.
        posts: decides the answer to every POST request; None to find nothing there.

    Attributes:
        requests: every request so far, in order.
    """

    def __init__(self, handler: Handler, posts: PostHandler | None = None) -> None:
        self.requests: list[Request] = []
        self._handler = handler
        self._posts = posts
        self._is_closed = False

    def get(  # type: ignore[override]
        self, url: str, *, headers: Mapping[str, str], **_options: Any
    ) -> _Exchange:
        return _Exchange(self, url, CIMultiDict(headers))

    def post(  # type: ignore[override]
        self, url: str, *, headers: Mapping[str, str], data: bytes, **_options: Any
    ) -> _Exchange:
        return _Exchange(self, url, CIMultiDict(headers), data)

    @property
    def closed(self) -> bool:
        return self._is_closed

    async def close(self) -> None:
        self._is_closed = True

    async def _reply(self, url: str, headers: Mapping[str, str], sent: bytes | None) -> Reply:
        if self._is_closed:
            raise RuntimeError("Session is closed")
        now = asyncio.get_running_loop().time()
        method = "GET" if sent is None else "POST"
        self.requests.append(Request(method, url, headers, now))
        if sent is None:
            reply = self._handler("GET", url, headers)
        elif self._posts is not None:
            reply = self._posts(url, headers, sent)
        else:
            return Reply.json({"status": "error"}, 404)
        return await reply if inspect.isawaitable(reply) else reply


class _Exchange:
    def __init__(
        self,
        session: FakeSession,
        url: str,
        headers: Mapping[str, str],
        sent: bytes | None = None,
    ) -> None:
        self._session = session
        self._url = url
        self._headers = headers
        self._sent = sent

    async def __aenter__(self) -> _Response:
        return _Response(await self._session._reply(self._url, self._headers, self._sent))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class _Response:
    def __init__(self, reply: Reply) -> None:
        self.status = reply.status
        self.headers = CIMultiDict(reply.headers)
        self.content = _Content(reply)


class _Content:
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        body = self._reply.body
        for start in range(0, len(body), size):
            yield body[start : start + size]
        if self._reply.fault is not None:
            raise self._reply.fault


def limits_reply(current: int = 0, limit: int = 20, **fields: object) -> Reply:
    """The limits as the provider answers them, in calls; `fields` adds to them or replaces them."""
    payload = {
        "current_concurrency": current,
        "concurrency_limit": limit,
        "base_concurrency": limit,
        "purchased_concurrency": 0,
        "concurrency_purchase_limit": 100,
        "remaining_purchase_limit": 100,
        "reserved_inbound_concurrency": 0,
        "concurrency_burst_enabled": False,
        "concurrency_burst_limit": 0,
    }
    return Reply.json(payload | fields)


def in_turn(*outcomes: Reply | Exception | Handler) -> Handler:
    """A handler with one outcome for each request; the last serves all that follow."""
    left = list(outcomes)

    def handle(method: str, url: str, headers: Mapping[str, str]) -> Reply | Awaitable[Reply]:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome if isinstance(outcome, Reply) else outcome(method, url, headers)

    return handle


def after(seconds: float, outcome: Reply | Exception) -> Handler:
    """A handler that takes its time, in seconds on the event loop's clock."""

    async def handle(_method: str, _url: str, _headers: Mapping[str, str]) -> Reply:
        await asyncio.sleep(seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return handle


async def hang(_method: str, _url: str, _headers: Mapping[str, str]) -> Reply:
    """A handler that never answers."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody can have set this future")

"""Forwarding: a request goes to the provider as it is, and its answer comes back as it is."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

import aiohttp
from aiohttp import ClientTimeout, hdrs, web
from multidict import CIMultiDict
from yarl import URL

from callguard.serve.problems import AGAIN_IN, Problem
from callguard.serve.settings import ServeSettings

__all__ = ["FORWARDER", "Forwarder", "end_to_end", "no_answer"]

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The headers of one connection (RFC 9110, section 7.6.1), which end with it."""

_OURS: Final = "x-callguard-"
"""How the names of headers begin that are for this server, and are not forwarded."""

_FORWARDED_BY: Final = "X-Callguard-Forwarded-By"
"""Names the servers that have forwarded a request, so that none does so twice."""

_NOT_SENT: Final = frozenset({"host", "expect"})

_CHUNK: Final = 64 * 1024

_KEEPALIVE_SECONDS: Final = 4.0
"""Seconds for which a connection without a request is kept: less than servers keep theirs (Node.js
5 s, nodejs.org/api/http.html, read 2026-11-26), so that no request goes into one that is being
closed."""

_LONGEST_LINE: Final = 65536
"""Bytes of a header of an answer at most, as Python's http.client takes (`_MAXLINE`). The client
library's own bound is 8,190, and the answer to a dial that is longer leaves the call in doubt."""

_CONNECT_SECONDS: Final = 10.0
_SILENT_SECONDS: Final = 300.0
"""Seconds without a byte after which an answer is given up; retell-sdk 6.2.13 waits 300 s at most,
for create-batch-call."""

_ASKING_SECONDS: Final = 5.0
"""Seconds in which the limits have to come, as in the gate's own readings (`ProviderClient`): else
requests whose key is refused would pile up behind a provider that hangs."""


class Forwarder:
    """Sends requests on to the provider.

    Args:
        settings: the server's settings.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._base_url = settings.provider_url
        self._longest = settings.bounds.max_forwarded_body
        self._id = secrets.token_hex(8)
        self._session: aiohttp.ClientSession | None = None

    async def forward(
        self, request: web.Request, also: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """Send a request on, and its answer back, both as they come.

        Cancelling this breaks the connection to the provider off.

        Args:
            request: the client's request.
            also: further headers of the answer.

        Raises:
            Problem: the request can't be forwarded, or the provider gave no answer.
        """
        if (request.content_length or 0) > self._longest:
            raise _too_large(self._longest)
        body = self._body(request) if request.body_exists else None
        try:
            async with self.sent(request, body) as answer:
                return await _passed_back(request, answer, also or {})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # What the body raised is the cause of what aiohttp raises.
            cause = error.__cause__
            raise (cause if isinstance(cause, Problem) else no_answer(error)) from None

    def sent(
        self,
        request: web.Request,
        body: AsyncIterator[bytes] | bytes | None,
        instead: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request on, with `body` in place of its own, and `instead` of such headers.

        Raises:
            Problem: the request can't be forwarded.
        """
        headers = self._headers(request)
        headers.update(instead or {})
        if isinstance(body, bytes):
            headers[hdrs.CONTENT_LENGTH] = str(len(body))
        return self.session.request(
            request.method,
            self.url(request),
            headers=headers,
            data=body,
            allow_redirects=False,
        )

    def url(self, request: web.Request) -> URL:
        """The provider's address of what a request asks for, byte for byte.

        Raises:
            Problem: the request has no path, as one to a proxy of all servers has.
        """
        if not request.raw_path.startswith("/"):
            raise Problem(400, "a request must name a path, and no other server's address")
        return URL(self._base_url + request.raw_path, encoded=True)

    def address(self, path: str) -> str:
        """The provider's address of a path."""
        return self._base_url + path

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections to the provider; they share nothing but the address."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                max_line_size=_LONGEST_LINE,
                max_field_size=_LONGEST_LINE,
                skip_auto_headers=(hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.USER_AGENT,
                                   hdrs.CONTENT_TYPE),
                timeout=ClientTimeout(
                    total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS
                ),
            )  # fmt: skip
        return self._session

    async def ask_limits(self, authorization: str | None) -> tuple[int, str, bytes]:
        """Ask for the limits with a client's key: a request that can start nothing.

        Returns:
            The status, the type and the body of the answer.

        Raises:
            Problem: the provider gave no answer.
        """
        headers = {} if authorization is None else {hdrs.AUTHORIZATION: authorization}
        url = URL(self._base_url + "/get-concurrency", encoded=True)
        request = self.session.get(
            url, headers=headers, allow_redirects=False, timeout=ClientTimeout(_ASKING_SECONDS)
        )
        try:
            async with request as answer:
                return answer.status, answer.content_type, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise no_answer(error) from None

    async def aclose(self) -> None:
        """Close the connections to the provider."""
        if self._session is not None:
            await self._session.close()

    def _headers(self, request: web.Request) -> CIMultiDict[str]:
        by = request.headers.getall(_FORWARDED_BY, [])
        if self._id in by:
            raise Problem(
                508, "this server was told to forward to itself; set another --provider-url"
            )
        headers = _spelt_alike(end_to_end(request.headers))
        for name in list(headers):
            if name.lower() in _NOT_SENT or name.lower().startswith(_OURS):
                headers.popall(name, None)
        headers.extend((_FORWARDED_BY, each) for each in (*by, self._id))
        return headers

    async def _body(self, request: web.Request) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > self._longest:
                raise _too_large(self._longest)
            yield chunk


async def _passed_back(
    request: web.Request, answer: aiohttp.ClientResponse, also: Mapping[str, str]
) -> web.StreamResponse:
    """Send the provider's answer to the client as it comes.

    If it breaks off, so does the connection to the client, which can't take half for the whole.
    """
    headers = end_to_end(answer.headers)
    headers.update(also)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    except (aiohttp.ClientError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers without those of the one connection."""
    kept = CIMultiDict(headers)
    named = {
        name.strip().lower() for value in kept.getall("Connection", []) for name in value.split(",")
    }
    for name in _HOP_BY_HOP | named:
        kept.popall(name, None)
    return kept


def _spelt_alike(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """The headers, each name as it is spelt first: of two spellings aiohttp sends the last."""
    spelt: dict[str, str] = {}
    return CIMultiDict(
        (spelt.setdefault(name.lower(), name), value) for name, value in headers.items()
    )


def no_answer(error: BaseException) -> Problem:
    """The problem of a provider that gave no answer; what was asked may have been done."""
    if isinstance(error, asyncio.TimeoutError):
        return Problem(504, "the provider gave no answer in time", retry_after=AGAIN_IN)
    return Problem(
        502,
        f"the provider could not be asked, or broke the connection: {type(error).__name__}",
        retry_after=AGAIN_IN,
    )


def _too_large(most: int) -> Problem:
    return Problem(413, f"a body may have {most} bytes here")


FORWARDER: Final = web.AppKey("forwarder", Forwarder)
"""Where the application keeps its way to the provider."""

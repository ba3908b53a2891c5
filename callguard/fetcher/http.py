"""One HTTP exchange with the provider: no cache, no retry, and no error but callguard's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from callguard.arguments import checked_flag, checked_seconds
from callguard.errors import (
    CallGuardError,
    LimitsError,
    LimitsMalformed,
    LimitsRejected,
    LimitsUnavailable,
    UsageError,
)
from callguard.fetcher.retry_after import retry_after
from callguard.fetcher.settings import checked_api_key, checked_base_url, checked_session
from callguard.showing import without_numbers
from callguard.strangers import ends_us

__all__ = ["LONGEST_BODY", "ProviderClient"]

LONGEST_BODY = 64 * 1024
"""Bytes of a body that are read. The published example of the limits has under 400."""

_LONGEST_QUOTATION = 200

_TRANSIENT = (aiohttp.ClientError, HttpProcessingError, OSError, asyncio.CancelledError)
"""Faults that another attempt may not meet; `TimeoutError` is an OSError. The CancelledError is
that of something that a middleware awaited, and not the caller's."""

_LASTING = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, aiohttp.RedirectClientError)
"""The aiohttp.ClientErrors that say the request itself is wrong."""

_READ = frozenset({200})
"""The statuses of a GET that brought what it asked for."""

_DONE = frozenset({200, 201, 204})
"""The statuses of a POST that was carried out; 201 is create-phone-call's, 204 stop-call's."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class ProviderClient:
    """Asks the provider one thing at a time.

    No redirect is followed, because the key would follow it. The key appears in no error.

    Args:
        api_key: the workspace's key; else the environment's `RETELL_API_KEY`.
        base_url: the provider's address, with a path prefix if it has one; else the
            environment's `RETELL_BASE_URL`, else the production server.
        session: an aiohttp session to use, which stays open; else the client makes its own at
            the first request and `aclose` closes it.
        timeout: seconds for one request, from its beginning to the last byte of the answer.
        allow_plain_http: whether the key may travel unencrypted to another machine.

    Attributes:
        base_url: the provider's address, without a slash at its end.

    Raises:
        UsageError: no key, or a key or an address that can't be used.
        ValueError: a timeout that is not more than 0 s and finite.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        session: aiohttp.ClientSession | None = None,
        timeout: float = 5.0,
        allow_plain_http: bool = False,
    ) -> None:
        checked_flag("allow_plain_http", allow_plain_http)
        self._key = checked_api_key(api_key)
        self.base_url = checked_base_url(base_url, allow_plain_http=allow_plain_http)
        self._timeout = checked_seconds("timeout", timeout, above_zero=True)
        checked_session(session)
        self._session = session
        self._owns_session = session is None
        self._closed = False

    def __repr__(self) -> str:
        return f"ProviderClient(base_url={self.base_url!r})"

    async def get(self, path: str) -> bytes:
        """The body of the answer to one GET request. Cancelling leaves nothing behind.

        Args:
            path: what follows the base URL, from its slash on, already quoted.

        Returns:
            The body, at most `LONGEST_BODY` bytes, of an answer with status 200.

        Raises:
            LimitsUnavailable: no answer in time, a broken connection, or a status of 408, 429 or
                500 and above. Another attempt may fare better.
            LimitsRejected: a redirect, or any other status of 400 and above.
            LimitsMalformed: any other status, or a body that is too long or compressed.
            UsageError: the client or its session is closed, or the session can't send this.
        """
        return await self._ask(path, None, _READ)

    async def post(self, path: str, payload: Mapping[str, object]) -> bytes:
        """The body of the answer to one POST request, which is never sent a second time.

        Cancelling leaves the provider to do what it was asked for, or not: nobody knows.

        Args:
            path: what follows the base URL, from its slash on, already quoted.
            payload: what is sent, as JSON.

        Returns:
            The body, at most `LONGEST_BODY` bytes, of an answer with status 200, 201 or 204.

        Raises:
            LimitsUnavailable: no answer in time, a broken connection, or a status of 408, 429 or
                500 and above. Only after a 429 is it sure that nothing was done.
            LimitsRejected: a redirect, or any other status of 400 and above. Nothing was done.
            LimitsMalformed: any other status, or a body that is too long or compressed. It may
                have been done.
            UsageError: the client or its session is closed, or the session can't send this.
            TypeError: a payload that JSON can't say. Nothing was sent.
        """
        return await self._ask(path, json.dumps(payload).encode(), _DONE)

    def url(self, path: str) -> str:
        """The address that a request for `path` goes to."""
        return self.base_url + path

    def without_key(self, body: bytes) -> bytes:
        """The body with stars instead of the key, should it echo the key."""
        return body.replace(self._key.encode(), b"***")

    def quoted(self, text: str, *, numbers: bool = True) -> str:
        """A stranger's text, fit for an error: without the key, on one line, and not long.

        Args:
            text: what the stranger said.
            numbers: whether there can be no phone number in it, but ids or addresses.
        """
        keyless = text.replace(self._key, "***")
        keyless = keyless if numbers else without_numbers(keyless)
        line = " ".join("".join(c if c.isprintable() else " " for c in keyless).split())
        if len(line) <= _LONGEST_QUOTATION:
            return line
        return f"{line[: _LONGEST_QUOTATION - 3]}..."

    async def aclose(self) -> None:
        """Close the session if it is the client's own. Cancelling may leave connections open."""
        self._closed = True
        if self._owns_session and self._session is not None:
            await self._session.close()

    async def _ask(self, path: str, sent: bytes | None, accepted: frozenset[int]) -> bytes:
        if self._closed:
            raise UsageError("the client is closed")
        outcome = await self._exchange(self.url(path), sent, accepted)
        # Raised here and not where it was caught: a fault of aiohttp holds the request's headers,
        # and the key is one of them, so it must be neither cause nor context.
        if isinstance(outcome, CallGuardError):
            raise outcome
        return self._accepted(self.url(path), outcome, accepted)

    async def _exchange(
        self, url: str, sent: bytes | None, accepted: frozenset[int]
    ) -> _Answer | CallGuardError:
        answer: _Answer | None = None
        try:
            async with asyncio.timeout(self._timeout), self._request(url, sent) as response:
                answer = _Answer(response.status, response.headers)
                return replace(answer, body=await _read_body(response))
        # The session may be the caller's, with middlewares that raise anything.
        except BaseException as fault:
            if ends_us(fault):
                raise
            # A refusal is one though its body breaks off, and must not be taken for an outage.
            if answer is not None and answer.status not in accepted:
                return answer
            return self._explained(url, fault)

    def _request(
        self, url: str, sent: bytes | None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        # A compressed body could unfold to any size; it is neither asked for nor unfolded.
        headers = {"Authorization": f"Bearer {self._key}", "Accept-Encoding": "identity"}
        request = self._session.get
        if sent is not None:
            # aiohttp sends what is idempotent again over a connection that had gone stale, so a
            # POST must go out as one.
            request = partial(self._session.post, data=sent)
            headers["Content-Type"] = "application/json"
        return request(
            url,
            headers=headers,
            auto_decompress=False,
            allow_redirects=False,
            raise_for_status=False,
            timeout=aiohttp.ClientTimeout(),
        )

    def _explained(self, url: str, fault: BaseException) -> CallGuardError:
        if type(fault) is TimeoutError:  # asyncio.timeout's; those of aiohttp are subclasses
            return LimitsUnavailable(f"{url} gave no answer within {self._timeout:g} s")
        text = self.quoted(f"{type(fault).__name__}: {fault}")
        if isinstance(fault, _TRANSIENT) and not isinstance(fault, _LASTING):
            return LimitsUnavailable(f"{url} gave no answer: {text}")
        return UsageError(f"{url} could not be asked: {text}")

    def _accepted(self, url: str, answer: _Answer, accepted: frozenset[int]) -> bytes:
        if answer.status not in accepted:
            raise self._refusal(url, answer)
        if len(answer.body) > LONGEST_BODY:
            raise LimitsMalformed(f"{url} answered with more than {LONGEST_BODY} bytes")
        coding = answer.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise LimitsMalformed(f"{url} answered in {self.quoted(coding)}, unasked")
        return answer.body

    def _refusal(self, url: str, answer: _Answer) -> LimitsError:
        reason = self.quoted(_reason(answer), numbers=answer.status < 400)
        text = f"{url} answered HTTP {answer.status}" + (f": {reason}" if reason else "")
        if answer.status >= 500 or answer.status in {408, 429}:
            return LimitsUnavailable(text, retry_after(answer.headers), answer.status)
        if answer.status >= 300:
            return LimitsRejected(text, answer.status)
        return LimitsMalformed(text)


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    """The body, cut off one byte or more behind `LONGEST_BODY`."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(LONGEST_BODY + 1):
        body += chunk
        if len(body) > LONGEST_BODY:
            break
    return bytes(body)


def _reason(answer: _Answer) -> str:
    """What the provider says in either of its envelopes, the documented one or the other."""
    if 300 <= answer.status < 400:
        return f"no redirect is followed, here to {answer.headers.get('Location', 'nowhere')}"
    try:
        envelope = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(envelope, dict):
        return ""
    reason = envelope.get("message") or envelope.get("error_message")
    return reason if isinstance(reason, str) else ""

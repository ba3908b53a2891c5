"""Single HTTP exchanges with the provider: no cache, no retry, and only callguard's own errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import NamedTuple

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
from callguard.fetcher.dates import timestamp
from callguard.fetcher.retry_after import retry_after
from callguard.fetcher.settings import checked_api_key, checked_base_url, checked_session
from callguard.showing import without_numbers
from callguard.stamps import ProviderClock
from callguard.strangers import ends_us

__all__ = ["LONGEST_BODY", "ProviderClient"]

LONGEST_BODY = 64 * 1024
"""Bytes of a body that are read at most, unless the caller expects more. The published example of
the limits has under 400."""

_LONGEST_QUOTATION = 200

_TRANSIENT = (aiohttp.ClientError, HttpProcessingError, OSError, asyncio.CancelledError)
"""Faults after which another attempt may succeed; `TimeoutError` is an OSError. A CancelledError
here comes from something that a middleware awaited, not from the caller's cancellation."""

_LASTING = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, aiohttp.RedirectClientError)
"""The aiohttp.ClientErrors for which the request itself is at fault."""

_READ = frozenset({200})
"""The statuses of a GET that succeeded."""

_DONE = frozenset({200, 201, 204})
"""The statuses of a POST that succeeded: 201 for create-phone-call, 204 for stop-call."""


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class ProviderClient:
    """Sends single requests to the provider.

    It follows no redirect, because the key would go with it. The key appears in no error.

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
        clock: the provider's clock, by the dates of its answers.

    Raises:
        UsageError: there is no key, or the key or the address can't be used.
        ValueError: `timeout` is not more than 0 s and finite.
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
        self.clock = ProviderClock()
        self._closed = False

    def __repr__(self) -> str:
        return f"ProviderClient(base_url={self.base_url!r})"

    async def get(self, path: str, *, longest: int = LONGEST_BODY) -> bytes:
        """Send one GET request and return the body. Cancelling leaves nothing behind.

        Args:
            path: the path below the base URL, with its leading slash, already quoted.
            longest: bytes of the body, at most.

        Returns:
            The body of an answer with status 200.

        Raises:
            LimitsUnavailable: no answer in time, a broken connection, or a status of 408, 429 or
                500 and above. Another attempt may succeed.
            LimitsRejected: a redirect, or any other status of 400 and above.
            LimitsMalformed: any other status, or a body that is too long or compressed.
            UsageError: the client or its session is closed, or the session can't send this.
        """
        return await self._ask(path, None, _READ, longest)

    async def post(
        self, path: str, payload: Mapping[str, object], *, longest: int = LONGEST_BODY
    ) -> bytes:
        """Send one POST request, never a second time, and return the body.

        After a cancellation nobody knows whether the provider carried out the request.

        Args:
            path: the path below the base URL, with its leading slash, already quoted.
            payload: the request's body, sent as JSON.
            longest: bytes of the answer's body, at most.

        Returns:
            The body of an answer with status 200, 201 or 204.

        Raises:
            LimitsUnavailable: no answer in time, a broken connection, or a status of 408, 429 or
                500 and above. Only after a 429 is it sure that nothing was done.
            LimitsRejected: a redirect, or any other status of 400 and above. Nothing was done.
            LimitsMalformed: any other status, or a body that is too long or compressed. The
                request may have been carried out.
            UsageError: the client or its session is closed, or the session can't send this.
            TypeError: JSON can't represent the payload. Nothing was sent.
        """
        return await self._ask(path, json.dumps(payload).encode(), _DONE, longest)

    def url(self, path: str) -> str:
        """The full address of `path`."""
        return self.base_url + path

    def without_key(self, body: bytes) -> bytes:
        """The body with the key, if it occurs there, replaced by stars."""
        return body.replace(self._key.encode(), b"***")

    def quoted(self, text: str, *, numbers: bool = True) -> str:
        """Foreign text made fit for an error: without the key, on one line, at most 200 characters.

        Args:
            text: the text, such as a part of the provider's answer.
            numbers: whether to keep long numbers, as in ids and addresses; False where the text may
                hold phone numbers, which are then masked.
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

    async def _ask(
        self, path: str, sent: bytes | None, accepted: frozenset[int], longest: int
    ) -> bytes:
        if self._closed:
            raise UsageError("the client is closed")
        outcome = await self._exchange(self.url(path), sent, accepted, longest)
        # Raised here, not where aiohttp's exception was caught: that one holds the request's
        # headers, and so the key, and must not become the cause or the context of this error.
        if isinstance(outcome, CallGuardError):
            raise outcome
        return self._accepted(self.url(path), outcome, accepted, longest)

    async def _exchange(
        self, url: str, sent: bytes | None, accepted: frozenset[int], longest: int
    ) -> _Answer | CallGuardError:
        answer: _Answer | None = None
        time = asyncio.get_running_loop().time
        began = time()
        try:
            async with asyncio.timeout(self._timeout), self._request(url, sent) as response:
                answer = _Answer(response.status, response.headers)
                self._note_date(response.headers, began, time())
                return answer._replace(body=await _read_body(response, longest))
        # The session may be the caller's, with middlewares that raise anything.
        except BaseException as fault:
            if ends_us(fault):
                raise
            # A refusal whose body breaks off is still a refusal, not an outage.
            if answer is not None and answer.status not in accepted:
                return answer
            return self._explained(url, fault)

    def _note_date(self, headers: Mapping[str, str], began: float, received: float) -> None:
        date = timestamp(headers.get("Date", ""))
        if date is not None and "Age" not in headers:  # which an answer from a cache has
            self.clock.dated(date, began, received)

    def _request(
        self, url: str, sent: bytes | None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        # A compressed body could expand to any size, so none is asked for, and none decompressed.
        headers = {"Authorization": f"Bearer {self._key}", "Accept-Encoding": "identity"}
        request = self._session.get
        if sent is not None:
            # aiohttp repeats idempotent requests, such as a GET, after a stale connection, so this
            # must be a real POST.
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

    def _accepted(self, url: str, answer: _Answer, accepted: frozenset[int], longest: int) -> bytes:
        if answer.status not in accepted:
            raise self._refusal(url, answer)
        if len(answer.body) > longest:
            raise LimitsMalformed(f"{url} answered with more than {longest} bytes")
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


async def _read_body(response: aiohttp.ClientResponse, longest: int) -> bytes:
    """Read the body, but stop once it is longer than `longest`."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(LONGEST_BODY + 1):
        body += chunk
        if len(body) > longest:
            break
    return bytes(body)


def _reason(answer: _Answer) -> str:
    """The provider's message, from its documented error envelope or its undocumented one."""
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

"""Posts webhooks to a URL, as the provider does."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from callguard.simulator.settings import InvalidSetting
from callguard.simulator.webhooks import Delivery
from callguard.tasks import begin

__all__ = ["Poster"]

# The timeout and the retries are those of docs.retellai.com/features/webhook-overview.
_TIMEOUT_SECONDS: Final = 10.0
_RETRIES: Final = 3

_MOST_AT_ONCE: Final = 1000
"""Deliveries in flight at most; those beyond that are lost."""

_NO_ANSWER: Final = 0


class Poster:
    """Posts deliveries concurrently, each up to four times.

    Leaving the ``async with`` block cancels the posts in flight, and leaves no task and no socket
    behind.

    Args:
        url: the address to post to.
        retry_wait: seconds until a delivery that was not accepted is posted again.

    Attributes:
        answers: how often each HTTP status came back; 0 stands for no answer.

    Raises:
        InvalidSetting: the URL is not an address of a web server.
    """

    def __init__(self, url: str, *, retry_wait: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidSetting("webhook_url", f"must begin with http:// or https://, got {url!r}")
        self.answers: Counter[int] = Counter()
        self._url = url
        self._retry_wait = retry_wait
        self._session: aiohttp.ClientSession | None = None
        self._posts: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(_TIMEOUT_SECONDS)
        self._session = await aiohttp.ClientSession(timeout=timeout).__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for post in self._posts:
            post.cancel()
        await asyncio.gather(*self._posts, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def post(self, delivery: Delivery) -> None:
        """Start to post `delivery`. A forged one is posted once, whatever the answer."""
        if self._session is not None and len(self._posts) < _MOST_AT_ONCE:
            post = begin(self._insist(self._session, delivery), "callguard delivery")
            self._posts.add(post)
            post.add_done_callback(self._posts.discard)

    async def _insist(self, session: aiohttp.ClientSession, delivery: Delivery) -> None:
        for _ in range(_RETRIES):
            accepted = await self._attempt(session, delivery)
            if accepted or delivery.forgery is not None:
                return
            await asyncio.sleep(self._retry_wait)
        await self._attempt(session, delivery)

    async def _attempt(self, session: aiohttp.ClientSession, delivery: Delivery) -> bool:
        """Post once; return whether the delivery was accepted."""
        try:
            async with session.post(
                self._url, data=delivery.body, headers=delivery.headers, allow_redirects=False
            ) as response:
                status = response.status
        except (aiohttp.ClientError, OSError):
            status = _NO_ANSWER
        self.answers[status] += 1
        return 200 <= status < 300

"""`LimitFetcher`: one request for the limits serves all callers."""

from __future__ import annotations

import asyncio
import copy
import math
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import aiohttp
from cachetools import TLRUCache

from callguard.arguments import checked_moment, checked_seconds, checked_whole
from callguard.errors import CallGuardError, UsageError
from callguard.fetcher.calls import (
    LIST_PATH,
    LONGEST_CALLS,
    CallState,
    call_path,
    list_payload,
    parse_call,
    parse_list,
)
from callguard.fetcher.http import ProviderClient
from callguard.fetcher.later import later_than
from callguard.fetcher.patience import Patience
from callguard.fetcher.reading import Reading
from callguard.limits import Snapshot
from callguard.stamps import ProviderClock
from callguard.tasks import begin

__all__ = ["LimitFetcher"]

_WORKSPACE = "limits"
"""The cache's only key: a fetcher reads one workspace."""


class LimitFetcher:
    """Reads the workspace's limits, at most once per `ttl`, for any number of callers.

    Simultaneous callers share one request. They also share its failure, which is not cached. If its
    answer is late, by how long answers take of late, there is a second one, and the first answer
    counts; there are never more than two at once.

    Args:
        api_key: the workspace's key; else the environment's `RETELL_API_KEY`.
        base_url: the provider's address; else the environment's `RETELL_BASE_URL`, else the
            production server.
        session: an aiohttp session to use, which stays open; else the fetcher makes its own.
        ttl: seconds from a request's beginning for which its snapshot is cached.
        timeout: seconds for one attempt.
        deadline: seconds for all attempts of one reading and the waits between them.
        attempts: attempts per reading, at most; None for as many as the deadline allows.
        min_interval: seconds from a request to the second one, at least, and from that one to the
            next reading.
        allow_plain_http: whether the key may travel unencrypted to another machine.

    Raises:
        UsageError: there is no key, or the key or the address can't be used.
        TypeError: a time or the number of attempts is not a number.
        ValueError: a time is not more than 0 s and finite (`min_interval` may be 0), or `attempts`
            is less than 1.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        session: aiohttp.ClientSession | None = None,
        ttl: float = 1.0,
        timeout: float = 5.0,
        deadline: float = 10.0,
        attempts: int | None = None,
        min_interval: float = 0.25,
        allow_plain_http: bool = False,
    ) -> None:
        self._ttl = checked_seconds("ttl", ttl, above_zero=True)
        self._deadline = checked_seconds("deadline", deadline, above_zero=True)
        self._attempts = None if attempts is None else checked_whole("attempts", attempts, least=1)
        checked_seconds("min_interval", min_interval, above_zero=False)
        self._patience = Patience(min_interval)
        self._client = ProviderClient(
            api_key,
            base_url=base_url,
            session=session,
            timeout=timeout,
            allow_plain_http=allow_plain_http,
        )
        self._cache = TLRUCache[str, Snapshot, float](1, self._expiry, timer=_now)
        self._latest: Snapshot | None = None
        self._flight: asyncio.Task[Snapshot | CallGuardError] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"LimitFetcher({self._client!r}, ttl={self._ttl!r}, deadline={self._deadline!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def base_url(self) -> str:
        """The provider's address, without a slash at its end."""
        return self._client.base_url

    @property
    def clock(self) -> ProviderClock:
        """The provider's clock, by the dates of its answers."""
        return self._client.clock

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot ever taken, whatever its age; None before the first."""
        return self._latest

    @property
    def free_at(self) -> float:
        """The earliest moment for the next reading, in seconds on the event loop's clock.

        It is later than now only if a second request has just begun.
        """
        return self._patience.next_at

    async def get(self, *, newer_than: float | None = None) -> Snapshot:
        """Return a snapshot, from the cache or from a request that all callers share.

        Cancelling a caller doesn't cancel the request. It goes on even if no caller is left, and
        its snapshot is cached.

        Args:
            newer_than: a moment, in seconds on the event loop's clock, after which the snapshot's
                request must have begun. This may take a second request after the one in flight. A
                moment in the future is waited for. None accepts any cached snapshot.

        Returns:
            A snapshot that began less than `ttl` ago, one whose request was in flight when this was
            called, or a new one.

        Raises:
            LimitsUnavailable: there were only transient faults until the deadline. The request in
                flight can raise this too, even if it began too early for `newer_than`.
            LimitsRejected: the provider refused the request, say for its key.
            LimitsMalformed: the answer can't be right.
            UsageError: the fetcher is closed, or belongs to another event loop.
            ValueError: `newer_than` is not a moment.
        """
        after = -math.inf if newer_than is None else checked_moment("newer_than", newer_than)
        while (snapshot := self._cached()) is None or snapshot.began <= after:
            if _now() <= after:
                await later_than(after)
                continue
            taken = await self._join_flight()
            if taken.began > after:
                return taken
        return snapshot

    async def ask(self, call_id: str) -> CallState:
        """Ask for the state of one call, once and uncached. Cancelling leaves nothing behind.

        Raises:
            LimitsError: the provider gave no valid answer.
            UsageError: the fetcher is closed.
        """
        body = await self._client.get(call_path(call_id), longest=LONGEST_CALLS)
        return parse_call(body, call_id)

    async def ask_all(self, call_ids: Sequence[str]) -> Mapping[str, CallState]:
        """Ask for the states of up to 1000 calls in one request, once and uncached.

        Cancelling leaves nothing behind.

        Returns:
            The states by id. A call that isn't among them may be in any state.

        Raises:
            LimitsError: the provider gave no valid answer.
            UsageError: the fetcher is closed.
        """
        asked = list_payload(call_ids)
        body = await self._client.post(LIST_PATH, asked, longest=LONGEST_CALLS)
        return parse_list(body, call_ids)

    async def aclose(self) -> None:
        """Cancel the request in flight, and close the session if it is the fetcher's own.

        Callers that wait for a snapshot get a UsageError. Closing twice is allowed. Cancelling this
        may leave connections open.
        """
        self._closed = True
        try:
            if self._flight is not None:
                self._flight.cancel()
                await asyncio.wait([self._flight])
        finally:
            await self._client.aclose()

    def _cached(self) -> Snapshot | None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._closed:
            raise UsageError("the limit fetcher is closed")
        if self._loop is not loop:
            raise UsageError("the limit fetcher belongs to another event loop")
        return self._cache.get(_WORKSPACE)

    async def _join_flight(self) -> Snapshot:
        if self._flight is None or self._flight.done():
            self._flight = begin(self._fly(), "callguard limits")
        flight = self._flight
        # Unlike awaiting the task itself, this doesn't cancel it when the caller is cancelled.
        await asyncio.wait([flight])
        if flight.cancelled():
            raise UsageError("the limit fetcher was closed while it read the limits")
        outcome = flight.result()
        if isinstance(outcome, Snapshot):
            return outcome
        # Each caller raises a copy: one exception raised in many tasks would collect the
        # tracebacks and contexts of all of them.
        raise copy.copy(outcome)

    async def _fly(self) -> Snapshot | CallGuardError:
        """Take a snapshot. Returns failures: a raised one would be logged if no caller is left."""
        try:
            if (wait := self._patience.next_at - _now()) > 0.0:
                await asyncio.sleep(wait)
            reading = Reading(self._client, self._deadline, self._attempts, self._patience)
            return self._keep(await reading.take())
        except CallGuardError as error:
            return error

    def _keep(self, snapshot: Snapshot) -> Snapshot:
        """Keep the snapshot unless a newer one is known, and return the newest."""
        if self._latest is None or snapshot.began >= self._latest.began:
            self._latest = snapshot
            self._cache[_WORKSPACE] = snapshot
        return self._latest

    def _expiry(self, _key: str, snapshot: Snapshot, _stored_at: float) -> float:
        return snapshot.began + self._ttl


def _now() -> float:
    return asyncio.get_running_loop().time()

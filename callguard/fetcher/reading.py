"""One reading of the limits: as many attempts as fit under one deadline."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from callguard.errors import CallGuardError, LimitsMalformed, LimitsUnavailable
from callguard.fetcher.http import ProviderClient
from callguard.fetcher.patience import Patience
from callguard.fetcher.twice import asked_twice
from callguard.limits import Limits, Snapshot

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Reading"]

PATH = "/get-concurrency"
"""docs.retellai.com/api-references/get-concurrency, read 2026-11-22."""


class Reading:
    """One reading of the limits, made inside the event loop and used once.

    Its snapshot is dated by the request that was answered. An attempt makes a second request if the
    answer to its first one is late.

    Args:
        client: the client that asks the provider.
        deadline: seconds for all attempts and the waits between them.
        most: attempts at most; None for as many as fit.
        patience: tells when an answer is late, and learns from those of this reading; None to make
            no second requests.
    """

    def __init__(
        self,
        client: ProviderClient,
        deadline: float,
        most: int | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._client = client
        self._most = most
        self._patience = patience or Patience(min_interval=math.inf)
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._ends = self._began + deadline
        self._attempts = 0
        self._last_fault = LimitsUnavailable(f"{client.url(PATH)} gave no answer in time")

    async def take(self) -> Snapshot:
        """Ask until there is an answer. Cancelling leaves nothing behind.

        Raises:
            LimitsUnavailable: every attempt met a transient fault, and the deadline or `most`
                allows no further one.
            LimitsRejected: the provider refused; there was no further attempt.
            LimitsMalformed: the answer can't be right; there was no further attempt.
            UsageError: the client is closed, or its session can't be used.
        """
        from callguard.fetcher.retrying import retrying  # brings tenacity

        try:
            async with asyncio.timeout_at(self._ends):
                return await retrying(self._is_enough)(self._attempt)
        except (LimitsUnavailable, TimeoutError):
            pass
        text = str(self._last_fault) if self._most == 1 else self._summary()
        raise LimitsUnavailable(text, self._last_fault.retry_after, self._last_fault.status)

    async def _attempt(self) -> Snapshot:
        self._attempts += 1
        outcome = await asked_twice(self._request, self._patience.seconds, self._note_second)
        if isinstance(outcome, Snapshot):
            self._patience.note_answer(outcome.received - outcome.began)
            return outcome
        self._patience.note_failure()
        if isinstance(outcome, LimitsUnavailable):
            self._last_fault = outcome
        raise outcome

    async def _request(self) -> Snapshot | CallGuardError:
        began = self._loop.time()
        try:
            body = await self._client.get(PATH)
            return Snapshot(self._parsed(body), began, self._loop.time())
        except CallGuardError as error:
            return error

    def _note_second(self) -> None:
        self._patience.note_second(self._loop.time())

    def _parsed(self, body: bytes) -> Limits:
        try:
            return Limits.from_json(body)
        except LimitsMalformed:
            pass
        # The error quotes the body, which may contain the key, so parse again without the key.
        try:
            return Limits.from_json(self._client.without_key(body))
        except LimitsMalformed as error:
            fault = self._client.quoted(str(error))
        raise LimitsMalformed(f"{self._client.url(PATH)} gave a malformed answer: {fault}")

    def _is_enough(self, state: RetryCallState) -> bool:
        if self._attempts == self._most:
            return True
        # tenacity's own stops measure time.monotonic(), which is not the event loop's clock.
        return self._loop.time() + state.upcoming_sleep >= self._ends

    def _summary(self) -> str:
        attempts = "1 attempt" if self._attempts == 1 else f"{self._attempts} attempts"
        seconds = self._loop.time() - self._began
        fault = self._last_fault
        return f"could not read the limits: {attempts} in {seconds:.1f} s, the last fault: {fault}"

"""Dialling through the gate, and dialling again if that is safe."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import AsyncRetrying, stop_after_attempt, wait_none, wait_random_exponential

from callguard.arguments import checked_whole, is_sendable
from callguard.fetcher.calls import REFUSED_REASON
from callguard.gate.admissions import Admissions
from callguard.gate.dated import DatedPermit, Deadline
from callguard.gate.permit import Permit
from callguard.gate.queue import Queue, Terms, shorter
from callguard.gate.refusal import is_transient
from callguard.strangers import ends_us

if TYPE_CHECKING:
    from tenacity import RetryCallState
    from tenacity.stop import StopBaseT
    from tenacity.wait import WaitBaseT

__all__ = ["Dialling"]

T = TypeVar("T")

_BACKOFF = wait_random_exponential(multiplier=0.5, max=8.0)
"""Seconds between two dials under one permit: up to 0.5, then 1, 2, 4 and at most 8, as in the
provider's own client (SDK 6.2.13)."""


class Dialling:
    """One call on its way through the gate; see `Gate.place`.

    Attributes:
        rank: the call's position in the order of arrival: a given one if it comes back.

    Raises:
        TypeError: `attempts` is neither a whole number nor a strategy to stop.
        ValueError: `attempts` is below 1.
    """

    def __init__(
        self,
        admissions: Admissions,
        queue: Queue,
        timeout: float | None,
        attempts: int | StopBaseT,
        idempotent: bool,
        give_up_after: float,
        deadline: Deadline | None = None,
        rank: int | None = None,
    ) -> None:
        self._issuer = admissions.issuer
        self._admissions = admissions
        self._queue = queue
        self.rank = admissions.queues.next_rank() if rank is None else rank
        self._comes_back = rank is not None
        self._patience = shorter(timeout, queue.lane.max_wait)
        self._stop = _stop_of(attempts)
        self._is_patient = not callable(attempts) and attempts > 1
        self._give_up_after = give_up_after
        self._deadline = deadline
        self._first_dial: float | None = None
        self._idempotent = idempotent
        self._in_doubt = False
        self._permit: Permit | None = None

    async def place(self, dial: Callable[[Permit], Awaitable[T]]) -> T:
        """Enter the gate and dial, and do both again after a refusal.

        Raises:
            TypeError: `dial` can't be called, or didn't return an awaitable.
        """
        if not callable(dial):
            raise TypeError(
                "dial must be callable: a function that takes the permit and returns an awaitable; "
                f"got an object of type {type(dial).__name__}. Write `gate.place(lambda permit: "
                "client.create(...))`, not `gate.place(client.create(...))`"
            )
        again = self._retrying(self._was_refused, wait_none(), self._gives_up)
        return await again(self._enter, dial)

    async def _enter(self, dial: Callable[[Permit], Awaitable[T]]) -> T:
        rank = self.rank if self._comes_back else None
        began = self._issuer.time()
        self._permit = None
        async with self._admission(Terms(self._patience, rank=rank)) as permit:
            self._comes_back = True
            self._permit = permit
            if self._patience is not None:
                self._patience -= self._issuer.time() - began
            if self._first_dial is None:
                self._first_dial = self._issuer.time()
            result = await self._dial(dial, permit)
            self._note(result, permit)
            return result

    def _admission(self, terms: Terms) -> Permit:
        if self._deadline is None:
            return Permit(self._admissions, self._queue, terms)
        return DatedPermit(self._admissions, self._queue, terms, self._deadline)

    async def _dial(self, dial: Callable[[Permit], Awaitable[T]], permit: Permit) -> T:
        if not self._idempotent:
            return await _dialled(dial, permit)
        again = self._retrying(self._may_be_placed, _BACKOFF, self._stops_asking)
        try:
            return await again(_dialled, dial, permit)
        except BaseException:
            if self._in_doubt:
                permit.placed()
            raise

    def _note(self, result: object, permit: Permit) -> None:
        """Report what the result of `dial` shows beyond what `dial` reported to the permit."""
        call_id = _field(result, "call_id") if permit.call_id is None else None
        if self._in_doubt or call_id is not None:
            permit.placed(call_id)
        if not self._in_doubt and _field(result, "disconnection_reason") == REFUSED_REASON:
            permit.refused()

    def _may_be_placed(self, attempt: RetryCallState) -> bool:
        """Whether to dial again under the same permit, because the outcome is unknown."""
        error = _error_of(attempt)
        if error is None:
            return False
        outcome = self._issuer.judge.judge(error).outcome
        unknown = outcome == "unknown" and is_transient(error)
        self._in_doubt = self._in_doubt or unknown
        return unknown or (outcome == "refused" and self._in_doubt)

    def _was_refused(self, attempt: RetryCallState) -> bool:
        """Whether the call was refused, by the permit's state, and so has to enter again."""
        error = _error_of(attempt)
        if error is not None and ends_us(error):
            return False
        return self._permit is not None and self._permit.state == "refused"

    def _gives_up(self, attempt: RetryCallState) -> bool:
        """Whether to give up a call that was refused."""
        if not self._stop(attempt):
            return False
        first = self._first_dial
        if first is None or not self._is_patient:
            return True
        return self._issuer.time() - first >= self._give_up_after

    def _stops_asking(self, attempt: RetryCallState) -> bool:
        """Whether to stop dialling a call of unknown outcome under its permit."""
        is_late = self._deadline is not None and self._deadline.left <= attempt.upcoming_sleep
        return is_late or self._stop(attempt)

    def _retrying(
        self,
        again: Callable[[RetryCallState], bool],
        wait: WaitBaseT,
        stop: StopBaseT,
    ) -> AsyncRetrying:
        return AsyncRetrying(
            retry=again,
            stop=stop,
            wait=wait,
            sleep=asyncio.sleep,
            retry_error_callback=_answer_of,
        )


async def _dialled(dial: Callable[[Permit], Awaitable[T]], permit: Permit) -> T:
    """Call `dial`, of any kind of callable, and return its final result.

    If `dial` forgot an `await`, it is added here. A plain result may mean that a blocking client
    placed the call, or that a `return` was forgotten: neither is passed off as a success, and both
    count as placed.
    """
    answer: Any = dial(permit)
    if not inspect.isawaitable(answer):
        permit.placed(_field(answer, "call_id"))
        raise TypeError(
            f"dial must return an awaitable, got an object of type {type(answer).__name__}; make "
            "it `async def`, return the coroutine that it made, or call a blocking client by "
            "`asyncio.to_thread`. It counts as a placed call"
        )
    while inspect.isawaitable(answer):
        answer = await answer
    return answer  # type: ignore[no-any-return]


def _stop_of(attempts: int | StopBaseT) -> StopBaseT:
    if callable(attempts):
        return attempts
    return stop_after_attempt(checked_whole("attempts", attempts, least=1))


def _answer_of(attempt: RetryCallState) -> object:
    """The result of the last attempt, which is also the final one."""
    return None if attempt.outcome is None else attempt.outcome.result()


def _error_of(attempt: RetryCallState) -> BaseException | None:
    return None if attempt.outcome is None else attempt.outcome.exception()


def _field(result: object, name: str) -> str | None:
    found = result.get(name) if isinstance(result, Mapping) else None
    found = getattr(result, name, found)
    return found if isinstance(found, str) and is_sendable(found) else None

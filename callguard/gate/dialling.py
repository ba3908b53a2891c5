"""Dialling through the gate, again where that is safe."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    wait_none,
    wait_random_exponential,
)

from callguard.arguments import checked_whole
from callguard.gate.admission import Admission
from callguard.gate.permit import Permit
from callguard.gate.refusal import is_transient
from callguard.gate.waiting import Line, shorter

if TYPE_CHECKING:
    from tenacity.stop import StopBaseT
    from tenacity.wait import WaitBaseT

    from callguard.gate.gate import Gate

__all__ = ["Dialling"]

T = TypeVar("T")

_BACKOFF = wait_random_exponential(multiplier=0.5, max=8.0)
"""Seconds between two dials under one permit: up to 0.5, then 1, 2, 4 and at most 8, like the
provider's own client (SDK 6.2.13)."""


class Dialling:
    """One call on its way through the gate; see `Gate.place`.

    Raises:
        TypeError: `attempts` is neither a whole number nor a strategy to stop.
        ValueError: `attempts` is below 1.
    """

    def __init__(
        self,
        gate: Gate,
        line: Line,
        timeout: float | None,
        attempts: int | StopBaseT,
        idempotent: bool,
    ) -> None:
        self._gate = gate
        self._line = line
        self._ticket = gate._lines.ticket()
        self._comes_back = False
        self._patience = shorter(timeout, line.lane.max_wait)
        self._stop = _stop_of(attempts)
        self._idempotent = idempotent
        self._in_doubt = False

    async def place(self, dial: Callable[[Permit], Awaitable[T]]) -> T:
        """Enter and dial, again after a refusal.

        Raises:
            TypeError: `dial` can't be called, or returned nothing that can be awaited.
        """
        if not callable(dial):
            raise TypeError(
                "dial must be callable: a function that takes the permit and returns an awaitable; "
                f"got an object of type {type(dial).__name__}. Write `gate.place(lambda permit: "
                "client.create(...))`, not `gate.place(client.create(...))`"
            )
        return await self._retrying(self._was_refused, wait_none())(self._enter, dial)

    async def _enter(self, dial: Callable[[Permit], Awaitable[T]]) -> T:
        ticket = self._ticket if self._comes_back else None
        began = self._gate._time()
        async with Admission(self._gate, self._line, self._patience, ticket) as permit:
            self._comes_back = True
            if self._patience is not None:
                self._patience -= self._gate._time() - began
            result = await self._dial(dial, permit)
            permit.placed(_call_id_of(result))
            return result

    async def _dial(self, dial: Callable[[Permit], Awaitable[T]], permit: Permit) -> T:
        if not self._idempotent:
            return await _dialled(dial, permit)
        try:
            return await self._retrying(self._may_be_placed, _BACKOFF)(_dialled, dial, permit)
        except BaseException:
            if self._in_doubt:
                permit.placed()
            raise

    def _may_be_placed(self, error: BaseException) -> bool:
        refused = self._gate._judge.is_refusal(error)
        unknown = is_transient(error) and not refused
        self._in_doubt = self._in_doubt or unknown
        return unknown or (refused and self._in_doubt)

    def _was_refused(self, error: BaseException) -> bool:
        return self._gate._judge.is_refusal(error) and not self._in_doubt

    def _retrying(self, again: Callable[[BaseException], bool], wait: WaitBaseT) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception(again),
            stop=self._stop,
            wait=wait,
            sleep=asyncio.sleep,
            reraise=True,
        )


async def _dialled(dial: Callable[[Permit], Awaitable[T]], permit: Permit) -> T:
    """What `dial` answers in the end, of whatever kind of callable it is.

    An `await` that was forgotten inside is made up for. A plain result may be a call that was
    placed by a blocking client, or what is left of a forgotten `return`: neither is passed off as
    success, and both count as placed.
    """
    answer: Any = dial(permit)
    if not inspect.isawaitable(answer):
        permit.placed(_call_id_of(answer))
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


def _call_id_of(result: object) -> str | None:
    found = result.get("call_id") if isinstance(result, Mapping) else None
    found = getattr(result, "call_id", found)
    return found if isinstance(found, str) else None

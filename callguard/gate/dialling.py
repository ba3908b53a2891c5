"""Dialling through the gate, again where that is safe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    wait_none,
    wait_random_exponential,
)

from callguard.gate.admission import Admission
from callguard.gate.permit import Permit
from callguard.gate.refusal import outcome_is_unknown
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
    """One call on its way through the gate; see `Gate.place`."""

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
        self._stop = stop_after_attempt(attempts) if isinstance(attempts, int) else attempts
        self._idempotent = idempotent
        self._in_doubt = False

    async def place(self, dial: Callable[[Permit], Awaitable[T]]) -> T:
        """Enter and dial, again after a refusal."""
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
            return await dial(permit)
        try:
            return await self._retrying(self._may_be_placed, _BACKOFF)(dial, permit)
        except BaseException:
            if self._in_doubt:
                permit.placed()
            raise

    def _may_be_placed(self, error: BaseException) -> bool:
        refused = self._gate._is_refusal(error)
        unknown = outcome_is_unknown(error) and not refused
        self._in_doubt = self._in_doubt or unknown
        return unknown or (refused and self._in_doubt)

    def _was_refused(self, error: BaseException) -> bool:
        return self._gate._is_refusal(error) and not self._in_doubt

    def _retrying(self, again: Callable[[BaseException], bool], wait: WaitBaseT) -> AsyncRetrying:
        return AsyncRetrying(
            retry=retry_if_exception(again),
            stop=self._stop,
            wait=wait,
            sleep=asyncio.sleep,
            reraise=True,
        )


def _call_id_of(result: object) -> str | None:
    found = result.get("call_id") if isinstance(result, Mapping) else None
    found = getattr(result, "call_id", found)
    return found if isinstance(found, str) else None

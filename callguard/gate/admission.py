"""What ``async with`` enters: the two ways through the gate."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from callguard.errors import UsageError
from callguard.gate.entered import Entered
from callguard.gate.permit import Permit
from callguard.gate.unique import Unique
from callguard.gate.waiting import Line

if TYPE_CHECKING:
    from callguard.gate.gate import Gate

__all__ = ["Admission", "ImmediateAdmission"]


class _Block(Unique, Entered):
    """A block that holds one permit; it can be entered once."""

    __slots__ = ("_gate", "_line", "_permit", "_used")

    _advice = "it is for one call; ask the gate for one each"

    def __init__(self, gate: Gate, line: Line) -> None:
        self._gate = gate
        self._line = line
        self._permit: Permit | None = None
        self._used = False

    def _use(self) -> None:
        """Refuse who comes second, before anything is taken for it: it would be nobody's."""
        if self._used:
            raise UsageError(
                "an admission is for one call and was entered before; ask the gate for one each: "
                "`async with gate.admit()`"
            )
        self._used = True

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._permit is not None:
            self._permit._leave(error)


class Admission(_Block):
    """Waits in the queue; see `Gate.admit`.

    Args:
        gate: what to enter.
        line: the lane's.
        timeout: seconds to wait at most, or None.
        ticket: the old place of a caller that comes back; it finds the line never too long.
    """

    __slots__ = ("_ticket", "_timeout")

    _how = "async with gate.admit() as permit:"

    def __init__(
        self, gate: Gate, line: Line, timeout: float | None, ticket: int | None = None
    ) -> None:
        super().__init__(gate, line)
        self._timeout = timeout
        self._ticket = ticket

    async def __aenter__(self) -> Permit:
        self._use()
        permit = self._gate._take(self._line)
        if permit is None:
            permit = await self._gate._wait(self._line, self._timeout, self._ticket)
        self._permit = permit
        return permit


class ImmediateAdmission(_Block):
    """Doesn't wait in the queue; see `Gate.try_admit`."""

    __slots__ = ()

    _how = "async with gate.try_admit() as permit:"

    async def __aenter__(self) -> Permit:
        self._use()
        self._permit = permit = await self._gate._take_or_deny(self._line)
        return permit

"""`Gate`: the gate of one thread with an event loop, for any number of other threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from callguard.arguments import checked_call_id, checked_flag, checked_patience, checked_seconds
from callguard.errors import UsageError
from callguard.gate import Gate as AsyncGate
from callguard.gate import Permit as AsyncPermit
from callguard.gate.unique import Unique
from callguard.sync.awaited import Awaited
from callguard.sync.entered import Entered
from callguard.sync.loop_thread import LoopThread
from callguard.sync.permit import Permit
from callguard.sync.placing import Placing
from callguard.sync.wording import sections, worded

if TYPE_CHECKING:
    from callguard.lanes import Lane
    from callguard.trunks import Trunk

__all__ = ["Gate"]

P = ParamSpec("P")
T = TypeVar("T")


def _admitting(
    admit: Callable[Concatenate[AsyncGate, P], AsyncPermit],
) -> Callable[Concatenate[Gate, P], Permit]:
    """The method of a gate for threads that gives the permit of `admit`."""

    @wraps(admit)
    def enter(self: Gate, /, *args: P.args, **options: P.kwargs) -> Permit:
        gate = self._gate
        return Permit(self._thread, lambda: admit(gate, *args, **options), by_hand=self._by_hand)

    enter.__doc__ = None
    return enter


def _asking(
    answer: Callable[Concatenate[AsyncGate, P], T],
) -> Callable[Concatenate[Gate, P], T]:
    """The method of a gate for threads that answers as `answer` does in the gate's thread."""

    @wraps(answer)
    def ask(self: Gate, /, *args: P.args, **options: P.kwargs) -> T:
        gate = self._gate
        return self._thread.ask(lambda: answer(gate, *args, **options))

    ask.__doc__ = None
    return ask


def _placing(
    place: Callable[
        Concatenate[AsyncGate, Callable[[AsyncPermit], Awaitable[Any]], P], Coroutine[Any, Any, Any]
    ],
) -> Callable[Concatenate[Gate, Callable[[Permit], T], P], T]:
    """The method of a gate for threads that dials as `place` does, in the caller's thread."""

    @wraps(place)
    def through(
        self: Gate, dial: Callable[[Permit], T], /, *args: P.args, **options: P.kwargs
    ) -> T:
        if not callable(dial):
            raise TypeError(
                "dial must be callable: a plain function that takes the permit; got an object of "
                f"type {type(dial).__name__}"
            )
        gate = self._gate
        placing = Placing[T](self._thread, dial, lambda turn: place(gate, turn, *args, **options))
        return placing.result()

    through.__doc__ = f"""Place a call through the gate: enter it, dial, and record the call's id.

    As `callguard.Gate.place`, but `dial` is a plain function, which is called in this thread. If an
    exception that is no `Exception` interrupts it, as by Ctrl-C, its call counts as placed.

    {sections(place)}"""
    return through


@worded(AsyncGate)
class Gate(Unique, Entered):
    """Admits exactly as many calls as fit; made by `callguard.sync.open_gate`.

    ``with gate:`` is the short form of ``with gate.admit():``, for dials about which nothing more
    will be reported: it gives no permit.

    Every method may be called from any number of threads. `admit`, `try_admit`, `place`, `drain`
    and `close` may take long, and what asks or steers the gate waits for one round of its event
    loop; none of them may be called in a thread that runs an event loop. `note_answered`,
    `note_ended` and the reports of a permit never wait, and may come from anywhere.

    A gate doesn't survive a fork: in a child of the process, every method raises a `UsageError`,
    except `close`, which does nothing there.

    Attributes:
        id: an id that is unique in the world; the first part of every permit's id.
        workspace: a hash of the API key, or of the ledger's name if it has one, as events have it.
    """

    _how = "with gate:"
    _advice = "its calls would be counted twice; open one in each process, on one ledger"

    def __init__(self, thread: LoopThread, gate: AsyncGate, *, in_memory: bool) -> None:
        self.id = gate.id
        self.workspace = gate.workspace
        self._thread = thread
        self._gate = gate
        # A ledger in memory doesn't ask for the task of a caller. One on a server has time-outs,
        # which do.
        self._by_hand = in_memory
        # The short form's permits, oldest first; see `callguard.Gate`.
        self._unheld: deque[Permit] = deque()

    def __repr__(self) -> str:
        return repr(self._gate)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return self._gate.lanes

    @property
    def trunks(self) -> tuple[Trunk, ...]:
        return self._gate.trunks

    admit = _admitting(AsyncGate.admit)
    try_admit = _admitting(AsyncGate.try_admit)
    place = _placing(AsyncGate.place)
    explain = _asking(AsyncGate.explain)
    eta = _asking(AsyncGate.eta)
    statistics = _asking(AsyncGate.statistics)
    placed_permits = _asking(AsyncGate.placed_permits)
    pause = _asking(AsyncGate.pause)
    resume = _asking(AsyncGate.resume)

    def note_answered(self, call_id: str, *, at: float | None = None) -> None:
        checked_call_id(call_id)
        _check_moment(at)
        self._thread.hand_over(lambda: self._gate.note_answered(call_id, at=at))

    def note_ended(self, call_id: str, *, refused: bool = False, at: float | None = None) -> None:
        checked_call_id(call_id)
        checked_flag("refused", refused)
        _check_moment(at)
        self._thread.hand_over(lambda: self._gate.note_ended(call_id, refused=refused, at=at))

    def drain(self, timeout: float | None = None) -> None:
        """Stop dialling, say before a restart: admit nobody any more, and wait for live calls.

        As `callguard.Gate.drain`. An interruption of this, as by Ctrl-C, leaves the gate draining.

        Args:
            timeout: seconds to wait at most; None to wait for any time.

        Raises:
            TimeoutError: there were live calls after `timeout`; the gate goes on draining.
            GateClosed: the gate is closed, or is closed while this waits.
            UsageError: this thread runs an event loop.
            TypeError: `timeout` is not a number.
            ValueError: `timeout` is negative or NaN.
        """
        patience = checked_patience("timeout", timeout)

        async def drained() -> None:
            async with asyncio.timeout(patience):
                await self._gate.drain()

        Awaited(self._thread, drained).result()

    def __enter__(self) -> None:
        permit = self.admit()
        permit.__enter__()
        self._unheld.append(permit)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            permit = self._unheld.popleft()
        except IndexError:
            raise UsageError(
                "the gate was left more often than entered; use `with gate:`"
            ) from None
        permit.__exit__(kind, error, traceback)

    def close(self) -> None:
        """Close the gate: waiting callers get a `GateClosed`, and its thread ends.

        Live calls are not touched. Closing twice is allowed. If this is interrupted, as by Ctrl-C,
        the gate closes nevertheless. In a child of the process this does nothing.

        Raises:
            UsageError: this thread runs an event loop, or is the gate's own.
        """
        self._thread.close()


def _check_moment(at: float | None) -> None:
    if at is not None:
        checked_seconds("at (unless None)", at, above_zero=False)

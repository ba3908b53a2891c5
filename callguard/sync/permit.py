"""`Permit`: a thread's handle on one admission, by which it enters and reports on its call."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self
from weakref import ref

from callguard.arguments import checked_call_id
from callguard.errors import UsageError
from callguard.gate import Permit as AsyncPermit
from callguard.gate.unique import Unique
from callguard.sync.awaited import Awaited
from callguard.sync.entered import Entered
from callguard.sync.loop_thread import LoopThread
from callguard.sync.wording import worded

if TYPE_CHECKING:
    from callguard.decision import Tier
    from callguard.gate.states import State
    from callguard.lanes import Lane

__all__ = ["Permit"]


@worded(AsyncPermit)
class Permit(Unique, Entered):
    """One call's way through the gate, and the reports about it.

    ``with gate.admit() as permit:`` waits, and gives the permit once the call is admitted; it can
    be entered once. Every report may be made any number of times, from any thread, and after the
    block too. None of them waits: the gate's thread acts on it as soon as it can. What they mean is
    what they mean for `callguard.Permit`.
    """

    __slots__ = ("__weakref__", "_call_id", "_is_reported", "_permit", "_thread", "_wait")

    _how = "with gate.admit() as permit:"
    _advice = "it stands for one call; pass the permit itself, or its id as text"

    def __init__(
        self, thread: LoopThread, admit: Callable[[], AsyncPermit], *, by_hand: bool
    ) -> None:
        self._thread = thread
        self._wait: _Entering | None = _Entering(thread, self, admit, by_hand=by_hand)
        self._is_reported = False  # so that leaving the block says nothing new
        self._permit: AsyncPermit | None = None
        self._call_id: str | None = None

    @classmethod
    def of(cls, thread: LoopThread, permit: AsyncPermit) -> Self:
        """The handle on a permit that was entered in the gate's thread, which leaves it too."""
        handle = cls(thread, lambda: permit, by_hand=False)
        handle._wait = None
        handle._permit = permit
        return handle

    def __repr__(self) -> str:
        return "<Permit, not entered>" if self._permit is None else repr(self._permit)

    def __enter__(self) -> Self:
        wait, self._wait = self._wait, None
        if wait is None:
            raise UsageError(
                "an admission is for one call and was entered before; ask the gate for one each: "
                "`with gate.admit()`"
            )
        self._permit = wait.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the block: for any reason, the call counts as placed, unless the provider says no.

        After `placed`, no exception takes that back.
        """
        try:
            if error is not None or not self._is_reported:
                self._leave(kind, error, traceback)
        except BaseException:  # a signal's handler, perhaps before anything was handed over
            self._leave(kind, error, traceback)
            raise

    def _leave(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        permit = self._permit
        if permit is None or self._thread.is_forked:  # it is the parent's
            return
        self._thread.hand_over(partial(_left, permit, kind, error, traceback))

    @property
    def call_id(self) -> str | None:
        """The provider's id, as passed to `placed`; None before."""
        known = self._call_id
        return self._permit.call_id if known is None and self._permit is not None else known

    @property
    def id(self) -> str:
        return self._entered().id

    @property
    def number(self) -> int:
        return self._entered().number

    @property
    def lane(self) -> Lane:
        return self._entered().lane

    @property
    def trunk(self) -> str | None:
        return self._entered().trunk

    @property
    def tier(self) -> Tier:
        return self._entered().tier

    @property
    def state(self) -> State:
        if self._permit is None:
            return "waiting" if self._wait is None else "new"
        permit = self._permit
        return self._thread.ask(lambda: permit.state)

    @property
    def lost(self) -> bool:
        permit = self._entered()
        return self._thread.ask(lambda: permit.lost)

    def placed(self, call_id: str | None = None) -> None:
        if call_id is not None:
            checked_call_id(call_id)
        permit = self._entered()
        report = partial(permit.placed, call_id)
        if call_id is None or self.call_id in {None, call_id}:
            self._report(report)
        else:  # right after a refusal only, of which the gate's thread knows
            self._thread.ask(report)
        self._call_id = call_id or self._call_id

    def answered(self) -> None:
        self._report(self._entered().answered)

    def ended(self) -> None:
        self._report(self._entered().ended)

    def refused(self, status: int | None = None) -> None:
        self._report(partial(self._entered().refused, status))

    def cancel(self) -> None:
        self._report(self._entered().cancel)

    def _report(self, report: Callable[[], None]) -> None:
        self._thread.hand_over(report)
        self._is_reported = True

    def _entered(self) -> AsyncPermit:
        if self._permit is None:
            raise UsageError(f"there is no call before this is entered: {self._how}")
        return self._permit

    # Hidden from type checkers, which report the wrong use by themselves.
    if not TYPE_CHECKING:

        def __bool__(self) -> bool:
            self._entered()
            return True


class _Entering(Awaited[AsyncPermit]):
    """The wait for an admission."""

    __slots__ = ("_handle",)

    def __init__(
        self,
        thread: LoopThread,
        handle: Permit,
        admit: Callable[[], AsyncPermit],
        *,
        by_hand: bool,
    ) -> None:
        super().__init__(
            thread, lambda: admit().__aenter__(), in_vain=AsyncPermit.cancel, by_hand=by_hand
        )
        self._handle = ref(handle)

    def give(self, value: AsyncPermit) -> None:
        """Give the permit, and see to it that its block is left at the latest when it is gone.

        A signal's handler may raise where nobody can catch that: as ``__exit__`` begins.
        """
        handle = self._handle()
        if handle is None:
            value.cancel()
        else:
            self._thread.when_gone(handle, partial(_left, value, None, None, None))
        super().give(value)


def _left(
    permit: AsyncPermit,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
) -> None:
    """Leave the block of a permit, which never waits."""
    with suppress(StopIteration):
        permit.__aexit__(kind, error, traceback).send(None)

"""An event loop whose clock jumps, so that hours of waiting pass in no time, deterministically."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

__all__ = ["VirtualTimeLoop", "run"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_GRACE: Final = 0.001
"""Real seconds that a byte may take from one socket of the loop to another. On Linux it arrives
before the call that sends it returns."""

_PATIENCE: Final = (0.01,) * 100
"""Real seconds for which virtual time stands still while a thread is at work. Not longer, because
the thread may be waiting for virtual time to pass; and not all at once, because a machine that
stands still uses up those that it falls into."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop that sets its clock to the next timer, instead of sleeping until then.

    Everything that uses the loop's clock jumps with it: ``asyncio.sleep``, every timeout, a gate
    and the simulator. ``time.time()`` and ``time.monotonic()`` don't.

    Sockets work if both ends are in this loop, and threads if the loop awaits them: virtual time
    stands still while they are at work. It doesn't wait for other processes, so a test with a real
    server needs a real clock.

    pytest-asyncio, from 1.4 on, runs async tests on it, with a hook in ``conftest.py``::

        def pytest_asyncio_loop_factories(config, item):
            return {"virtual time": callguard.testing.VirtualTimeLoop}

    Args:
        horizon: seconds on the loop's clock after which the run is given up with a RuntimeError,
            because something waits for an event that never comes.

    Attributes:
        now: seconds on the loop's clock, which begins at 0. A test may set it.
    """

    def __init__(self, horizon: float = 1e6) -> None:
        self._threads_at_work = 0
        super().__init__(_JumpingSelector(self._pass_time))
        self._horizon = horizon
        self.now = 0.0

    def time(self) -> float:
        """Seconds on the loop's clock."""
        return self.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run `func` in a thread, as any loop does; virtual time stands still meanwhile."""
        result = super().run_in_executor(executor, func, *args)
        self._threads_at_work += 1
        result.add_done_callback(self._thread_is_done)
        return result

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads, as any loop does; virtual time stands still meanwhile."""
        self._threads_at_work += 1
        try:
            # Python 3.11 takes no timeout.
            await super().shutdown_default_executor(*(() if timeout is None else (timeout,)))
        finally:
            self._threads_at_work -= 1

    def _thread_is_done(self, _result: asyncio.Future[T]) -> None:
        self._threads_at_work -= 1

    def _pass_time(self, select: _Select, seconds: float | None, *, has_sockets: bool) -> _Ready:
        """Wait a little real time for events, and advance the clock if there are none."""
        if self._threads_at_work and (ready := next(filter(None, map(select, _PATIENCE)), [])):
            return ready
        if has_sockets and (ready := select(_GRACE)):
            return ready
        if seconds is None:
            raise RuntimeError("nothing is left that could wake the loop")
        self.now += seconds
        if self.now > self._horizon:
            raise RuntimeError(f"the run has not ended in {self._horizon:g} s of virtual time")
        return []


_Ready = list[tuple[selectors.SelectorKey, int]]
_Select = Callable[[float], _Ready]


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that calls `pass_time` instead of sleeping when no event is ready."""

    def __init__(self, pass_time: Callable[..., _Ready]) -> None:
        super().__init__()
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> _Ready:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        has_sockets = len(self.get_map()) > 1  # besides the loop's own, by which threads wake it
        return self._pass_time(super().select, timeout, has_sockets=has_sockets)


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, on a clock that jumps; see `VirtualTimeLoop`."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)

"""An event loop whose clock jumps: hours of waiting pass in no time, always the same way."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.loops import with_task_factory

T = TypeVar("T")


HORIZON = 1e6
"""Seconds after which a run is given up: something waits for what never comes."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Instead of sleeping until the next timer, sets its clock to it."""

    def __init__(self) -> None:
        super().__init__(_JumpingSelector(self))
        self.now = 0.0
        with_task_factory(self)

    def time(self) -> float:
        return self.now


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing is left that could wake the loop")
            self._loop.now += timeout
            if self._loop.now > HORIZON:
                raise RuntimeError(f"nothing has ended the run in {HORIZON:g} s of its own time")
        return ready


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, with a clock that jumps."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)

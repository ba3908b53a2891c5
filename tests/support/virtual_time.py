"""The public clock that jumps, on loops with the task factory of this test run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from callguard import testing
from tests.support.loops import with_task_factory

P = ParamSpec("P")
T = TypeVar("T")


class VirtualTimeLoop(testing.VirtualTimeLoop):
    def __init__(self) -> None:
        super().__init__()
        with_task_factory(self)


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, with a clock that jumps."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


def jumping(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """A test that is run so: over real sockets, too, no busy machine uses up its times."""

    @wraps(test)
    def on_a_clock_that_jumps(*args: P.args, **kwargs: P.kwargs) -> T:
        return run(test(*args, **kwargs))

    return on_a_clock_that_jumps

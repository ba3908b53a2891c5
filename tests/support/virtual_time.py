"""The public clock that jumps, on loops whose tasks begin as this run of the tests has them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from callguard import testing
from tests.support.loops import with_task_factory

T = TypeVar("T")


class VirtualTimeLoop(testing.VirtualTimeLoop):
    def __init__(self) -> None:
        super().__init__()
        with_task_factory(self)


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, with a clock that jumps."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)

"""The event loops and task factories that the suite runs on: ``pytest --loop eager``, or uvloop."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import warnings
from typing import Any, Final

LOOPS: Final = ("asyncio", "eager", "uvloop")

_CHOSEN: Final = "CALLGUARD_TEST_LOOP"
"""The variable is in the environment, so that processes started by tests use the loop too."""


class _EagerPolicy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return with_task_factory(super().new_event_loop())


def choose(name: str) -> None:
    """Make every later loop, in this process and those that it starts, one of this kind.

    Raises:
        RuntimeError: this Python has no such loop.
    """
    os.environ[_CHOSEN] = name
    follow()


def chosen() -> str:
    """The kind of this process's loops."""
    return os.environ.get(_CHOSEN, "asyncio")


def follow() -> None:
    """Use the kind of loop that was chosen here, or in the process that started this one."""
    name = chosen()
    if name == "asyncio":
        return
    policy: Any
    if name == "uvloop":
        policy = importlib.import_module("uvloop").EventLoopPolicy
    elif sys.version_info >= (3, 12):
        policy = _EagerPolicy
    else:
        raise RuntimeError("tasks begin eagerly on Python 3.12 and newer")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        asyncio.set_event_loop_policy(policy())


def with_task_factory(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """Return the loop, with eager tasks if those were chosen."""
    if sys.version_info >= (3, 12) and chosen() == "eager":
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop

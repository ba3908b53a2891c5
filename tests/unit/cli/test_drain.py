"""What `callguard drain` says while it waits."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from callguard.cli.drain import left_after
from callguard.testing import run


class Emptying:
    """A ledger whose calls come into the count at these seconds."""

    def __init__(self, *settled_at: float) -> None:
        self._settled_at = settled_at

    async def look(self, _key: str) -> Any:
        now = asyncio.get_running_loop().time()
        return SimpleNamespace(unsettled=sum(at > now for at in self._settled_at))


def test_progress_is_said_when_it_changes_and_once_a_second(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever waits would think that it hangs, or see a hundred lines that say the same."""

    async def drained() -> int:
        now = asyncio.get_running_loop().time()
        ledger = Emptying(now + 0.3, now + 0.4, now + 0.6, now + 5.0, now + 9.0)
        return await left_after(cast("Any", ledger), "", 60.0)

    assert run(drained()) == 0
    are_left = "being dialled, or may not be in the count yet"
    assert capsys.readouterr().err.splitlines() == [
        f"waiting: 5 calls are {are_left}",
        f"waiting: 2 calls are {are_left}",
        f"waiting: 1 call is {are_left}",
    ]

"""The positions of callers that were told to come back, by the idempotency keys of their calls."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Final

from cachetools import TTLCache

from callguard.gate.turn import Turn
from callguard.serve.workspaces import Workspace

__all__ = ["Returning", "position"]

_POSITIONS: Final = 20_000


class Returning:
    """Keeps the positions of those who are away.

    Args:
        seconds: for how long.
    """

    def __init__(self, seconds: float) -> None:
        self._turns: TTLCache[bytes, Turn] = TTLCache(_POSITIONS, seconds, timer=_time)

    def take(self, name: bytes | None) -> Turn | None:
        """Take the position with this name out; None if there is none, or no more."""
        return None if name is None else self._turns.pop(name, None)

    def keep(self, name: bytes | None, turn: Turn) -> None:
        """Keep a position until its caller comes back; one without a name is lost."""
        if name is not None:
            self._turns[name] = turn


def position(
    workspace: Workspace, lane: str | None, trunk: str | None, idempotency_key: str | None
) -> bytes | None:
    """The name of the position of a call; None without a key to know it by."""
    if idempotency_key is None:
        return None
    # The gate's id, not the workspace's: another gate has another queue. A digest has one length.
    whole = (workspace.gate.id, lane, trunk, idempotency_key)
    return sha256(repr(whole).encode()).digest()


def _time() -> float:
    return asyncio.get_running_loop().time()

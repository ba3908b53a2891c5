"""The calls whose clients are away, which go on from where they were when the client is back."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cachetools import TTLCache

from callguard.clock import loop_time
from callguard.gate.turn import Turn
from callguard.serve.asked import Asked
from callguard.serve.workspaces import Workspace

__all__ = ["Away", "Returning", "name_of"]

_MOST: Final = 20_000
"""Names that are kept of each kind: twice as many as requests wait at once by default."""

_MOST_ALIKE: Final = 100
"""Calls that are kept under one name. More than a few are a test that calls one number."""


@dataclass(eq=False, slots=True)
class Away:
    """A call whose client was told to come back, hung up, or saw no answer to the dial.

    Attributes:
        turn: its position in the queue.
        key: the idempotency key of a dial that may have placed it; None if there was no such dial.
    """

    turn: Turn
    key: str | None = None


class Returning:
    """Keeps the calls whose clients are away.

    Args:
        seconds: for how long.
    """

    def __init__(self, seconds: float) -> None:
        # Apart, because a key that is forgotten may cost a second call, and a position just time.
        self._in_doubt: TTLCache[bytes, tuple[Away, ...]] = TTLCache(
            _MOST, seconds, timer=loop_time
        )
        self._positions: TTLCache[bytes, tuple[Away, ...]] = TTLCache(
            _MOST, seconds, timer=loop_time
        )

    def take(self, name: bytes | None) -> Away | None:
        """Take a call with this name out, one in doubt first; None if there is none, or no more."""
        if name is None:
            return None
        for kept in (self._in_doubt, self._positions):
            first, *others = kept.pop(name, (None,))
            if others:
                kept[name] = tuple(others)
            if first is not None:
                return first
        return None

    def keep(self, name: bytes | None, away: Away) -> None:
        """Keep a call until its client comes back; one without a name is lost.

        A key that is cleared later counts at once.
        """
        if name is not None:
            kept = self._positions if away.key is None else self._in_doubt
            kept[name] = (*kept.get(name, ()), away)[-_MOST_ALIKE:]


def name_of(
    workspace: Workspace, lane: str | None, trunk: str | None, asked: Asked
) -> bytes | None:
    """By what a call is known again; None if it can't be told from other calls."""
    if asked.identity is None:
        return None
    # The gate's id, not the workspace's: another gate has another queue. A digest has one length.
    whole = (workspace.gate.id, lane, trunk, asked.path, asked.identity)
    return sha256(repr(whole).encode()).digest()

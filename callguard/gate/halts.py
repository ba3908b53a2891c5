"""What is paused: everything, a lane, a trunk, or a lane on a trunk. Nobody is stopped here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from callguard.decision import Pause
from callguard.ledger import Halt

__all__ = ["Halts", "Scope"]


class Scope(NamedTuple):
    """What a pause is of, by names; None for each lane, or each trunk."""

    lane: str | None
    trunk: str | None


class Halts:
    """The pauses of one gate, each with the moment since when it holds.

    Args:
        time: gives seconds.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._held: dict[Scope, tuple[float, str, str]] = {}

    def set(self, scope: Scope, by: str, reason: str) -> Pause:
        """From now on, `scope` is paused; by the latest who says so, and for that reason."""
        self._held[scope] = (self._time(), by, reason)
        return Pause(*scope, by, 0.0, reason)

    def lift(self, scope: Scope) -> Pause | None:
        """From now on, `scope` is paused no more; the pause that it was, if it was."""
        found = self._of(scope)
        self._held.pop(scope, None)
        return found

    def replace(self, halts: Iterable[Halt]) -> tuple[list[Pause], list[Pause]]:
        """From now on, just these pauses hold; those of them that are news, and those that end."""
        before = self._held
        self._held = {
            Scope(halt.lane, halt.trunk): (halt.since, halt.by, halt.reason) for halt in halts
        }
        made = [
            self._pause(scope, *held)
            for scope, held in self._held.items()
            if scope not in before or before[scope][1:] != held[1:]
        ]
        ended = [scope for scope in before if scope not in self._held]
        return made, [self._pause(scope, *before[scope]) for scope in ended]

    def on(self, lane: str, trunk: str | None) -> Pause | None:
        """The widest pause that concerns a lane and a trunk; None where there is none."""
        scopes = Scope(None, None), Scope(lane, None), Scope(None, trunk), Scope(lane, trunk)
        return next((found for scope in scopes if (found := self._of(scope)) is not None), None)

    def all(self) -> tuple[Pause, ...]:
        """All pauses, in the order in which they were set first."""
        return tuple(found for scope in self._held if (found := self._of(scope)) is not None)

    def _of(self, scope: Scope) -> Pause | None:
        if scope not in self._held:
            return None
        return self._pause(scope, *self._held[scope])

    def _pause(self, scope: Scope, since: float, by: str, reason: str) -> Pause:
        return Pause(*scope, by, max(0.0, self._time() - since), reason)

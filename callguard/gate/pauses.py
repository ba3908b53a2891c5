"""The pauses of a gate: of everything, a lane, a trunk, or a lane on a trunk. Only a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from callguard.decision import Pause
from callguard.ledger import DatedPause

__all__ = ["Pauses", "Scope"]


class Scope(NamedTuple):
    """The scope of a pause, by names; None for all lanes, or all trunks."""

    lane: str | None
    trunk: str | None


class Pauses:
    """The pauses of one gate, each with the moment when it began.

    Args:
        time: the clock, in seconds.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._held: dict[Scope, tuple[float, str, str]] = {}

    def set(self, scope: Scope, by: str, reason: str) -> Pause:
        """Pause `scope`; a later pause of the same scope replaces the author and the reason."""
        self._held[scope] = (self._time(), by, reason)
        return Pause(*scope, by, 0.0, reason)

    def lift(self, scope: Scope) -> Pause | None:
        """Lift the pause of `scope`, and return it; None if there was none."""
        found = self._of(scope)
        self._held.pop(scope, None)
        return found

    def replace(self, pauses: Iterable[DatedPause]) -> tuple[list[Pause], list[Pause]]:
        """Replace all pauses by `pauses`; return those that are new, and those that end."""
        before = self._held
        self._held = {
            Scope(pause.lane, pause.trunk): (pause.since, pause.by, pause.reason)
            for pause in pauses
        }
        made = [
            self._pause(scope, *held)
            for scope, held in self._held.items()
            if scope not in before or before[scope][1:] != held[1:]
        ]
        ended = [scope for scope in before if scope not in self._held]
        return made, [self._pause(scope, *before[scope]) for scope in ended]

    def on(self, lane: str, trunk: str | None) -> Pause | None:
        """The widest pause that applies to a lane and a trunk; None if there is none."""
        scopes = Scope(None, None), Scope(lane, None), Scope(None, trunk), Scope(lane, trunk)
        return next((found for scope in scopes if (found := self._of(scope)) is not None), None)

    def all(self) -> tuple[Pause, ...]:
        """All pauses, in the order in which they were first made."""
        return tuple(found for scope in self._held if (found := self._of(scope)) is not None)

    def _of(self, scope: Scope) -> Pause | None:
        if scope not in self._held:
            return None
        return self._pause(scope, *self._held[scope])

    def _pause(self, scope: Scope, since: float, by: str, reason: str) -> Pause:
        return Pause(*scope, by, max(0.0, self._time() - since), reason)

"""What a gate tells its listener, held against itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import callguard
from callguard.events import Admitted, Cancelled, Ended, Event, Placed, Refused, TimedOut

__all__ = ["Told"]

MAY_FOLLOW: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"Admitted"}),
    "Admitted": frozenset({"Placed", "Cancelled", "Refused"}),
    "Placed": frozenset({"Ended", "Cancelled", "Refused"}),
    "Cancelled": frozenset({"Placed", "Refused"}),
    "Refused": frozenset({"Placed"}),
    "Ended": frozenset({"Refused"}),
}
"""What may be told of a permit next, by what was told last."""


class Told:
    """Each permit's life is told once and in its order, and the statistics count what is told.

    Args:
        blame: called with a rule and what broke it.
    """

    def __init__(self, blame: Callable[[str, str], None]) -> None:
        self._blame = blame
        self._last: dict[str, str] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def hear(self, event: Event) -> None:
        """An event has been told."""
        kind = type(event).__name__
        self._counts[event.gate, kind] += 1
        if not isinstance(event, Admitted | Placed | Ended | Cancelled | Refused):
            return
        if event.permit_id is None:
            return
        if not event.permit_id.startswith(event.gate):
            self._blame("told", f"{kind} of another gate's permit")
        last = self._last.get(event.permit_id, "")
        if kind not in MAY_FOLLOW[last]:
            self._blame("told", f"{kind} after {last or 'nothing'}")
        self._last[event.permit_id] = kind

    def closes(self, gate: callguard.Gate) -> None:
        """A gate is about to close."""
        statistics = gate.statistics()
        for kind, counted in {
            Admitted: statistics.admitted,
            Refused: statistics.refused,
            TimedOut: statistics.timed_out,
        }.items():
            told = self._counts[gate.id, kind.__name__]
            if told != counted:
                self._blame("told", f"{told} times {kind.__name__}, and {counted} are counted")

    def ends(self) -> None:
        """Nothing is said any more."""
        untold = Counter(self._last.values())["Admitted"]
        if untold:
            self._blame("told", f"nobody heard what became of {untold} permits")

"""The trunks of one ledger in memory: when each is due, and who is on those that fill."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from callguard.accounting import Counted
from callguard.call_ids import CallIds
from callguard.ledger.occupancy import Occupancy, pace_of
from callguard.pacing import Pace
from callguard.trunks import Trunk

__all__ = ["Paced", "Paces"]


class Paces:
    """What the trunks of a ledger hear of its permits.

    Args:
        trunks: those of the gate.
        ring_limit: seconds that a call rings at most.

    Attributes:
        fill: whether any takes only so many calls.
    """

    __slots__ = ("_by_trunk", "_occupied", "fill")

    def __init__(self, trunks: Iterable[Trunk], ring_limit: float) -> None:
        limited = (trunk for trunk in trunks if trunk.is_limited)
        self._by_trunk = {trunk.name: pace_of(trunk, ring_limit) for trunk in limited}
        # Those of the trunks that take only so many calls.
        self._occupied = [each for each in self._by_trunk.values() if isinstance(each, Occupancy)]
        self.fill = bool(self._occupied)

    def of(self, trunk: str) -> Pace | None:
        """When a trunk is due; None where nothing limits it."""
        return self._by_trunk.get(trunk)

    def due_at(self, trunk: str, now: float, *, behind: int = 0) -> float:
        """From when on a trunk's rate lets a call start; only of one that is limited.

        Args:
            trunk: its name.
            now: the earliest moment.
            behind: how many other calls start first, each as soon as it may.
        """
        return self._by_trunk[trunk].due_after(behind, now)

    def calls_on(self, trunk: str, now: float) -> int:
        """Calls that can be on a trunk; only of one that takes so many."""
        return sum(each.calls(now) for each in self._occupied if each.trunk.name == trunk)

    def calls_in_the_way(self, full: Collection[str]) -> Iterator[str]:
        """The ids of the calls on the trunks that are full, or that others have filled."""
        for each in self._occupied:
            if each.is_full or each.trunk.name in full:
                yield from each.call_ids

    def place(self, number: int, now: float) -> bool:
        """The dial of a permit has returned; whether that has to be said of others, too."""
        paces = self._by_trunk.values()
        for pace in paces:
            pace.succeed(number)
        for each in self._occupied:
            each.place(number, now)
        return self.fill or any(pace.pushed_back for pace in paces)

    def push_back(self, trunk: str | None, number: int, now: float) -> bool:
        """The provider refused the dial of a permit; whether a limited trunk has heard of it."""
        pace = None if trunk is None else self._by_trunk.get(trunk)
        if pace is not None:
            pace.push_back(number, now)
        return pace is not None

    def has(self, number: int) -> bool:
        """Whether the call of a permit is on a trunk that takes so many."""
        return any(each.has(number) for each in self._occupied)

    def restore(self, number: int, trunk: str | None, now: float, *, restarts: bool) -> None:
        """The call of a permit is on a trunk after all; whether that is a start of its own."""
        pace = None if trunk is None else self._by_trunk.get(trunk)
        if pace is not None and restarts:
            pace.restart(number, now)
        if isinstance(pace, Occupancy):
            pace.join(number)

    def leave(self, number: int) -> None:
        """The call of a permit is over, or never was."""
        for each in self._occupied:
            each.leave(number)

    def bind(self, number: int, call_id: str) -> bool:
        """The call of a permit has that id; whether it is on a trunk that has to know."""
        return any(each.bind(number, call_id) for each in self._occupied)

    def number_of(self, call_id: str) -> int | None:
        """The permit of a call that is on a trunk which has to know."""
        found = (each.number_of(call_id) for each in self._occupied)
        return next((number for number in found if number is not None), None)

    def note_sleep(self, slept: float) -> None:
        """The clock stood still for `slept` seconds."""
        for pace in self._by_trunk.values():
            pace.note_sleep(slept)


class Paced:
    """The part of a ledger in memory that says of its trunks when they are due, and how full."""

    __slots__ = ()

    _paces: Paces
    _counted: Counted
    _ids: CallIds
    inbound_apart: bool
    ends_free: bool

    def pace(self, trunk: str) -> Pace | None:
        """When a trunk is due, for `acquire`; None where nothing limits it."""
        return self._paces.of(trunk)

    def due_at(self, trunk: str, now: float, *, behind: int = 0) -> float:
        """From when on a trunk's rate lets a call start, behind so many others; see `Paces`."""
        return self._paces.due_at(trunk, now, behind=behind)

    def calls_on(self, trunk: str, now: float) -> int:
        """Calls that can be on a trunk; only of one that takes so many."""
        return self._paces.calls_on(trunk, now)

    def calls_in_the_way(self, full: Collection[str] = ()) -> Iterable[str]:
        """The ids of calls that are in somebody's way unless they are over.

        They are those on trunks that are full, and all of the ledger's own that a snapshot counts:
        where inbound calls are counted apart, since they take up outbound's share, and where ends
        free at once.

        Args:
            full: the names of trunks that others have filled.
        """
        yield from self._paces.calls_in_the_way(full)
        if self.inbound_apart or self.ends_free:
            yield from self.counted_calls()

    def counted_calls(self) -> Iterable[str]:
        """The ids of own calls that a snapshot surely counts, and that are not known to be over."""
        return self._ids.of(self._counted.numbers)

    def unstart(self, number: int, pace: Pace | None) -> None:
        """Nobody has dialled with a permit: its start on a trunk, if it was charged, never was."""
        if pace is not None:
            pace.give_back(number)

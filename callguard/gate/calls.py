"""The permits of calls, and what was reported of each call, so that nothing is reported twice."""

from __future__ import annotations

from typing import Final, Protocol

from cachetools import FIFOCache

from callguard.lanes import Lane

__all__ = ["Calls", "Issued"]

MOST: Final = 20_000
"""The latest calls of each kind that are remembered: more than a workspace has going at once, and
more than end in the minutes in which a webhook is repeated. A forgotten call only means an event
without its permit, or an event that is repeated; slots are counted elsewhere."""


class Issued(Protocol):
    """A permit, as far as it is told by its names."""

    call_id: str | None

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def number(self) -> int:
        """Its number among the permits of the gate."""

    @property
    def lane(self) -> Lane:
        """Its lane."""

    @property
    def trunk(self) -> str | None:
        """The name of its trunk; None where nothing limits that."""


class Calls:
    """Calls by the provider's ids. No decision uses them."""

    __slots__ = ("_ended", "_permits", "_refused")

    def __init__(self) -> None:
        self._permits: FIFOCache[str, Issued] = FIFOCache(MOST)
        self._ended: FIFOCache[str, None] = FIFOCache(MOST)
        self._refused: FIFOCache[str, Issued | None] = FIFOCache(MOST)

    def bind(self, call_id: str, permit: Issued) -> None:
        """Record that the call is that of `permit`."""
        self._permits[call_id] = permit

    def permit_of(self, call_id: str) -> Issued | None:
        """The call's permit; None where this gate knows of none."""
        permit = self._permits.get(call_id)
        return permit if permit is not None and permit.call_id == call_id else None

    def note_end(self, call_id: str) -> bool:
        """Record that the call is over; return whether that is news."""
        if call_id in self._ended:
            return False
        self._ended[call_id] = None
        return True

    def note_refusal(self, call_id: str, permit: Issued | None = None) -> bool:
        """Record that the provider refused the call; return whether that is news.

        Args:
            call_id: the provider's id of the call.
            permit: the permit that reports it; None if it is known from elsewhere.
        """
        self.note_end(call_id)
        if call_id in self._refused:
            said_by = self._refused[call_id]
            if permit is None or said_by is None or said_by is permit:
                return False
        self._refused[call_id] = permit
        return True

"""The permits that a worker holds on a shared ledger, as far as its server has heard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from callguard.ledger.redis.wire import Happening

__all__ = ["ENDS_DIALLING", "Held"]

ENDS_DIALLING: Final = {"place", "release", "withdraw"}
"""The happenings after which a permit is no longer dialling."""


class Held:
    """Permits whose end the server is not known to have heard of.

    Attributes:
        lanes: theirs.
        alone: those of them that were given without the server, which doesn't know of them yet.
    """

    __slots__ = ("_lost", "alone", "lanes")

    def __init__(self) -> None:
        self.lanes: dict[int, str] = {}
        self.alone: set[int] = set()
        self._lost: set[int] = set()

    def lost(self, number: int, *, expired: bool) -> bool:
        """Whether the server took a dialling permit for a placed one.

        Args:
            number: the permit's.
            expired: whether the worker's lease has run out.
        """
        if number in self.alone:
            return False
        return number in self._lost or (number in self.lanes and expired)

    def heard(self, happenings: Iterable[Happening]) -> None:
        """The server has heard of these."""
        for happening in happenings:
            if happening[0] in ENDS_DIALLING:
                self.lanes.pop(int(happening[1]), None)
            elif happening[0] == "adopt":
                self.alone.discard(int(happening[1]))

    def lose(self, unheard: Iterable[Happening]) -> dict[int, str]:
        """The server has taken the permits for placed calls, but those whose end it will hear of.

        Returns:
            Those that are dialling still and were not lost before, with their lanes.
        """
        safe = {int(said[1]) for said in unheard if said[0] in ENDS_DIALLING}
        safe |= self.alone | self._lost
        lost = {number: lane for number, lane in self.lanes.items() if number not in safe}
        self._lost.update(lost)
        return lost

    def placed_alone(self, unheard: Iterable[Happening]) -> Iterator[int]:
        """The permits that were given and placed without the server."""
        placed = {int(said[1]) for said in unheard if said[0] == "place"}
        return iter(self.alone & placed)

    def forget(self, number: int) -> None:
        """A permit is over, of which the server never hears."""
        self.alone.discard(number)
        self.lanes.pop(number, None)

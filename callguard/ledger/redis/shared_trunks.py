"""The trunks of a gate, as the server of a shared ledger hears and tells of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from callguard.accounting import longest_of
from callguard.ledger.occupancy import lasting
from callguard.ledger.redis.keys import trunk_hash
from callguard.ledger.redis.settings import Settings
from callguard.ledger.redis.trunks import apart_ms
from callguard.ledger.redis.wire import Request
from callguard.trunks import Trunk

__all__ = ["SharedTrunks", "lasting_ms"]


class SharedTrunks:
    """What is said of trunks, and what the server said last.

    Args:
        trunks: those of the gate.
        settings: those of the ledger.

    Attributes:
        due_at: by trunk, from when on its rate lets the next call start.
        calls: by trunk that takes only so many calls, those that can be on it.
        fill: whether any trunk takes only so many calls.
    """

    def __init__(self, trunks: Sequence[Trunk], settings: Settings) -> None:
        self.due_at: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._ring_limit = settings.times.ring_limit
        self._limited = {trunk.name: trunk for trunk in trunks if trunk.is_limited}
        self._filling = [trunk for trunk in self._limited.values() if trunk.calls is not None]
        self.fill = bool(self._filling)
        self._asked: Sequence[Trunk] = ()
        longest = settings.times.ring_limit + longest_of(trunks)
        # Where the server has to know of every own call until it is over: for how many ms a call
        # can go on at most once it is placed.
        lists = settings.inbound_apart or settings.ends_free
        self._listed = math.ceil(1000 * longest) if lists else None
        self._settings = settings

    def __bool__(self) -> bool:
        """Whether anything limits any of them."""
        return bool(self._limited)

    def add_to(self, request: Request) -> None:
        """Say in a request whether every own call is listed, and what for."""
        if self._listed is not None and self._settings.inbound_apart:
            request["apart"] = self._listed
        if self._listed is not None and self._settings.ends_free:
            request["ends"] = self._listed

    def question(
        self, claimed: Collection[Trunk | None], *, about_all: bool
    ) -> list[tuple[str, int]]:
        """Whose calls the server is asked for: of the trunks on which anybody waits, or of all."""
        self._asked = [each for each in self._filling if about_all or each in claimed]
        return [(trunk_hash(each.name), self._lasting_ms(each)) for each in self._asked]

    def take_answer(self, calls: Iterable[int]) -> None:
        """The calls on those trunks; below 0 where they aren't known, and can be as many as any."""
        for trunk, count in zip(self._asked, calls, strict=False):
            self.calls[trunk.name] = (trunk.calls or 0) if count < 0 else count

    @property
    def full(self) -> Collection[str]:
        """The names of the trunks that have as many calls as they take."""
        return [
            trunk.name
            for trunk in self._filling
            if trunk.calls is not None and self.calls.get(trunk.name, 0) >= trunk.calls
        ]

    def joining(self, trunk: str | None) -> tuple[str, int] | None:
        """What a call is entered on its trunk with; None where the trunk takes any number.

        Where every own call is listed, each is on a trunk for the server.
        """
        limited = self._limited.get(trunk or "")
        if limited is None or limited.calls is None:
            return None if self._listed is None else ("-", self._listed)
        return trunk_hash(limited.name), self._lasting_ms(limited)

    def pushing_back(self, trunk: str | None) -> tuple[str, int] | None:
        """What tells of a trunk that a dial was refused on it; None where it has no rate."""
        limited = self._limited.get(trunk or "")
        if limited is None or limited.cps is None:
            return None
        return trunk_hash(limited.name), apart_ms(limited)

    def _lasting_ms(self, trunk: Trunk) -> int:
        return lasting_ms(trunk, self._ring_limit)


def lasting_ms(trunk: Trunk, ring_limit: float) -> int:
    """Milliseconds for which a call is on a trunk at most, from the return of its dial."""
    return math.ceil(lasting(trunk, ring_limit) * 1000)

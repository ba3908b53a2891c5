"""Which calls are a shared ledger's own, and which are others', for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from callguard.decision import Usage

__all__ = ["OwnCalls", "usage_of"]


def usage_of(most: int | None, reported: int | None, dialling: int, uncounted: int) -> Usage:
    """Return a usage that distinguishes own calls from others'.

    Args:
        most: the most own calls that can be going on; None where that isn't known.
        reported: the snapshot's count, or None.
        dialling: permits whose dial has not returned.
        uncounted: placed calls that the snapshot may have missed.
    """
    if most is None:
        return Usage(reported, dialling, uncounted)
    counted = min(max(0, most - dialling - uncounted), reported or 0)
    return Usage(reported, dialling, uncounted, counted)


@dataclass(frozen=True, slots=True)
class OwnCalls:
    """The calls of all gates on a ledger whose gates count inbound calls apart.

    Attributes:
        most: how many can be going on, as the gates have it; None where that isn't known: because
            no gate counts inbound calls apart, so that nobody keeps a list of own calls, or because
            some may be missing from it.
        apart: whether any gate on this ledger is set to count inbound calls apart.
        given_up: whether a refusal has ended that.
    """

    most: int | None = None
    apart: bool = False
    given_up: bool = False

    @classmethod
    def found(cls, facts: Mapping[str, str], occupied: Iterable[str], now: float) -> Self:
        """Find them by the rule of lua/occupancy.lua.

        Args:
            facts: the fields of the ledger's hash.
            occupied: each as "#permit trunk over longest" among others.
            now: the ledger's time in ms.
        """

        def fact(name: str) -> float:
            return float(facts.get(name, 0))

        if not (apart := fact("apart")):
            return cls()
        longest = max(fact("longest"), apart)
        unlisted = max(fact("unknown_since"), fact("unlisted"))
        most = None
        if not unlisted or unlisted + longest < now:
            listed = sum(text.startswith("#") for text in occupied)
            most = listed + (int(fact("older")) if fact("opened") + longest >= now else 0)
        return cls(most, apart=True, given_up=fact("refused_once") > 0)

"""Which calls are a shared ledger's own, and which are others', for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from callguard.decision import Usage

__all__ = ["OwnCalls", "usage_of"]


def usage_of(
    most: int | None, reported: int | None, dialling: int, uncounted: int, ended: int = 0
) -> Usage:
    """Return a usage that distinguishes own calls from others'.

    Args:
        most: the most own calls that can be going on; None where that isn't known.
        reported: the snapshot's count, or None.
        dialling: permits whose dial has not returned.
        uncounted: placed calls that the snapshot may have missed.
        ended: how many calls the usage is lower by, where ends free at once.
    """
    counted = None
    if most is not None:
        counted = max(0, min(most - dialling - uncounted, (reported or 0) - ended))
    return Usage(reported, dialling, uncounted, counted, ended)


@dataclass(frozen=True, slots=True)
class OwnCalls:
    """The calls of all gates on a ledger on which own calls are listed until they are over.

    Attributes:
        most: how many can be going on at most; None if that isn't known, because no gate has its
            calls listed, or because some may be missing from the list.
        apart: whether any gate on this ledger is set to count inbound calls apart.
        given_up: the settings that rest on the provider's word alone, and that a refusal has ended.
        window: what the snapshots in hand say; None where ends don't free at once.
    """

    most: int | None = None
    apart: bool = False
    given_up: tuple[str, ...] = ()
    window: Window | None = None

    @classmethod
    def found(cls, facts: Mapping[str, str], occupied: Iterable[str], now: float) -> Self:
        """Find them by the rules of lua/occupancy.lua and lua/in_hand.lua.

        Args:
            facts: the fields of the ledger's hash.
            occupied: the members of the sorted set of own calls, such as
                "#permit trunk over longest"; each call has one of these.
            now: the ledger's time in ms.
        """

        def fact(name: str) -> float:
            return float(facts.get(name, 0))

        apart, ends = fact("apart"), fact("ends")
        if not (lasts := max(apart, ends)):
            return cls()
        longest = max(fact("longest"), lasts)
        unlisted = max(fact("unknown_since"), fact("unlisted"))
        listed, old = 0, 0
        for text in occupied:
            if text.startswith("#"):
                _, _, over, lasted = text.split()
                listed += 1
                old += int(over) - int(lasted) + longest <= now
        most = None
        if not unlisted or unlisted + longest < now:
            older = int(fact("older"))
            beyond = older - max(0, int(fact("ghosts")) - old)
            most = listed - old + min(older if fact("opened") + longest >= now else 0, beyond)
        believed = {"reserved_inbound": apart, "ends_free_at_once": ends}
        refused = fact("refused_once") > 0
        given_up = tuple(setting for setting, is_set in believed.items() if is_set and refused)
        is_kept = ends and not refused and "." in facts.get("raw", "")
        window = Window.parse(facts, listed, old, now) if is_kept else None
        return cls(most, apart=apart > 0, given_up=given_up, window=window)

    def ended(self) -> int:
        """How many calls the usage is lower by, because the latest snapshot still counts them."""
        return 0 if self.window is None else self.window.ended

    def ended_by(self, count: int, dialling: int, uncounted: int) -> int:
        """The same for a snapshot that begins now and counts so many calls; see `usage_of`."""
        return 0 if self.window is None else self.window.ended_by(count, dialling, uncounted)


class Window(NamedTuple):
    """The snapshots in hand, where ends free at once; in calls.

    Attributes:
        ended: those that the usage is lower by, because the latest snapshot still counts them.
        others: those that are left to others.
        listed: own calls, whether they are counted or not.
        left: those that have left own, and that a snapshot which begins now may still count.
    """

    ended: int
    others: int
    listed: int
    left: int

    @classmethod
    def parse(cls, facts: Mapping[str, str], listed: int, old: int, now: float) -> Self:
        """Parse the fields of the ledger's hash, where `listed` own calls are listed.

        Of these so many are `old`: the next snapshot forgets them.
        """
        said = json.loads(facts["in_hand"])
        ended = int(facts["ended"])
        others = int(facts["current"]) - said["counted"] - ended
        since = now - said["lag"]
        left = sum(calls for at, calls in said["left"] if at >= since)
        return cls(ended, others + old, listed - old, left + old)

    def ended_by(self, count: int, dialling: int, uncounted: int) -> int:
        """How many calls the usage is lower by, if a snapshot begins now and counts `count`."""
        leaves = count - (self.listed - dialling - uncounted)
        proves = count - max(self.listed, dialling + uncounted) - self.left
        return leaves - min(leaves, max(self.others, proves))

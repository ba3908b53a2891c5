"""The trunks of a shared ledger that have rates: as its workers say them, and when they are due."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from callguard.ledger.redis.keys import trunk_hash
from callguard.trunks import Trunk

__all__ = ["LedgerTrunk", "said_of", "trunks_in"]

_SAID, _PAUSE = "trunk/", "pause/"
"""Fields of the ledger's hash, before the hash of the trunk's name."""

_ZERO: Final = 10**12
"""What lua/state.lua adds to numbers that are ordered as text."""


@dataclass(frozen=True, slots=True)
class LedgerTrunk:
    """A trunk that has a rate.

    Attributes:
        name: the trunk's name.
        cps: calls that may start in a second.
        window: seconds, where the carrier counts the starts of so long a time together.
        due_in: seconds until the next call may start, by the starts of all workers; 0 for now.
        pushed_back: whether the provider has refused a dial there, and taken none since.
    """

    name: str
    cps: float
    window: float | None
    due_in: float
    pushed_back: bool

    def __str__(self) -> str:
        every = "" if self.window is None else f" in any {self.window:g} s together"
        when = f"in {max(0.1, self.due_in):.1f} s" if self.due_in else "now"
        why = ", pushed back by a refusal" if self.pushed_back else ""
        return f"trunk {self.name!r}: {self.cps:g} a second{every}; next start {when}{why}"


def said_of(trunks: Iterable[Trunk]) -> dict[str, str]:
    """What a worker says of its trunks that have rates, by the hash of each name."""
    return {
        trunk_hash(trunk.name): json.dumps([trunk.name, trunk.cps, trunk.window])
        for trunk in trunks
        if trunk.cps is not None
    }


def trunks_in(
    facts: Mapping[str, str], starts: Iterable[str], now: float
) -> tuple[LedgerTrunk, ...]:
    """The trunks in a ledger, by name. lua/rates.lua has the same rule of when one is due.

    Args:
        facts: the ledger's hash.
        starts: each as "trunk when permit".
        now: ms, on the clock of the starts.
    """
    began: dict[str, list[int]] = {}
    for start in starts:
        trunk, at, _ = start.split(" ", 2)
        began.setdefault(trunk, []).append(int(at) - _ZERO)
    return tuple(sorted(_trunks(facts, began, now), key=lambda trunk: trunk.name))


def _trunks(
    facts: Mapping[str, str], began: Mapping[str, list[int]], now: float
) -> Iterator[LedgerTrunk]:
    for field, text in facts.items():
        if not field.startswith(_SAID):
            continue
        name, cps, window = json.loads(text)
        trunk, digest = Trunk(name, cps=cps, window=window), field.removeprefix(_SAID)
        span, latest = trunk.span * 1000, began.get(digest, [])[-trunk.most :]
        ends, refusals, *_ = map(float, facts.get(_PAUSE + digest, "0 0").split()[:2])
        due = max(ends, latest[0] + span if len(latest) == trunk.most else 0.0)
        if lost := float(facts.get("rates_since", 0)):
            due = max(due, lost + span)
        yield LedgerTrunk(name, cps, window, max(0.0, due - now) / 1000, pushed_back=refusals > 0)

"""The limited trunks of a shared ledger: what its workers say of them, and how they are."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from callguard.ledger.occupancy import lasting
from callguard.ledger.redis.keys import trunk_hash
from callguard.trunks import Trunk

__all__ = ["LedgerTrunk", "apart_ms", "said_of", "trunks_in"]

_SAID, _BACKOFF = "trunk/", "backoff/"
"""Prefixes of fields in the ledger's hash; the hash of the trunk's name follows."""

_ZERO: Final = 10**12
"""The offset that lua/state.lua adds to numbers that are ordered as text."""


@dataclass(frozen=True, slots=True)
class LedgerTrunk:
    """A trunk that has a rate, or takes so many calls at once.

    Attributes:
        name: the trunk's name.
        cps: calls that may start in a second; None for any number.
        window: seconds, where the carrier counts the starts of so long a time together.
        due_in: seconds until the rate lets the next call start, by the starts of all workers; 0 for
            now.
        pushed_back: whether the provider has refused a dial there, and taken none since.
        calls: that it takes at once; None for any number.
        on_trunk: calls that can be on it; None where it takes any number.
    """

    name: str
    cps: float | None
    window: float | None
    due_in: float
    pushed_back: bool
    calls: int | None = None
    on_trunk: int | None = None

    def __str__(self) -> str:
        parts = []
        if self.cps is not None:
            parts.append(self._rate(self.cps))
        if self.calls is not None:
            parts.append(f"{self.on_trunk} of {self.calls} calls")
        return f"trunk {self.name!r}: {'; '.join(parts)}"

    def _rate(self, cps: float) -> str:
        every = "" if self.window is None else f" in any {self.window:g} s together"
        when = f"in {max(0.1, self.due_in):.1f} s" if self.due_in else "now"
        why = ", pushed back by a refusal" if self.pushed_back else ""
        return f"{cps:g} a second{every}; next start {when}{why}"


def said_of(trunks: Iterable[Trunk], ring_limit: float) -> dict[str, str]:
    """What a worker says of its trunks that are limited, by the hash of each name.

    lua/rates.lua uses the last of each, and people are shown the rest.

    Args:
        trunks: the worker's.
        ring_limit: seconds that a call rings at most.
    """
    return {
        trunk_hash(trunk.name): json.dumps(
            [
                trunk.name,
                trunk.cps,
                trunk.window,
                trunk.calls,
                lasting(trunk, ring_limit),
                None if trunk.cps is None else apart_ms(trunk),
            ]
        )
        for trunk in trunks
        if trunk.is_limited
    }


def apart_ms(trunk: Trunk) -> int:
    """Milliseconds from one start to the next on a trunk with a rate, on average at least."""
    return math.ceil(trunk.span / trunk.most * 1000)


def trunks_in(
    facts: Mapping[str, str], starts: Iterable[str], occupied: Iterable[str], now: float
) -> tuple[LedgerTrunk, ...]:
    """The trunks in a ledger, by name.

    lua/rates.lua has the same rule of when one is due, and lua/occupancy.lua of who is on one.

    Args:
        facts: the ledger's hash.
        starts: each as "trunk when permit".
        occupied: each as "trunk over permit" among others.
        now: ms, on the clock of the starts.
    """
    texts = [text for text in occupied if not text.startswith("#")]
    on_trunk = {trunk: sum(at > now for at in times) for trunk, times in _times_in(texts).items()}
    found = _trunks(facts, _times_in(starts), on_trunk, now)
    return tuple(sorted(found, key=lambda trunk: trunk.name))


def _times_in(texts: Iterable[str]) -> dict[str, list[int]]:
    """By trunk, the moments in texts of the form "trunk moment permit"."""
    times: dict[str, list[int]] = {}
    for text in texts:
        trunk, at, _ = text.split(" ", 2)
        times.setdefault(trunk, []).append(int(at) - _ZERO)
    return times


def _trunks(
    facts: Mapping[str, str],
    began: Mapping[str, list[int]],
    on_trunk: Mapping[str, int],
    now: float,
) -> Iterator[LedgerTrunk]:
    for field, text in facts.items():
        if not field.startswith(_SAID):
            continue
        name, cps, window, calls, lasts, _ = json.loads(text)
        trunk, digest = Trunk(name, cps=cps, window=window), field.removeprefix(_SAID)
        span, latest = trunk.span * 1000, began.get(digest, [])[-trunk.most :]
        ends, refusals, *_ = map(float, facts.get(_BACKOFF + digest, "0 0").split()[:2])
        due = max(ends, latest[0] + span if len(latest) == trunk.most else 0.0)
        if lost := float(facts.get("rates_since", 0)):
            due = max(due, lost + span)
        is_known = float(facts.get("unknown_since", 0)) + lasts * 1000 <= now
        on = on_trunk.get(digest, 0) if is_known else calls
        yield LedgerTrunk(
            name,
            cps,
            window,
            max(0.0, due - now) / 1000 if cps is not None else 0.0,
            pushed_back=refusals > 0,
            calls=calls,
            on_trunk=None if calls is None else on,
        )

"""The uncounted calls of a ledger in memory, and the snapshots that absorb them.

Where it was learnt that ringing calls are counted, a snapshot absorbs a call sooner than it would
by default. Until it would do so by default, the call is absorbed *on trust*: if what was learnt is
given up, it is uncounted again.
"""

from __future__ import annotations

from collections.abc import Mapping

from callguard.call_ids import CallIds
from callguard.ledger.freeing import Freeing
from callguard.ledger.protocol import PlacedState
from callguard.ledger.times import Times
from callguard.limits import Snapshot

__all__ = ["Absorbing"]


class Absorbing(Freeing):
    """The part of a `MemoryLedger` that has the placed calls which a snapshot may have missed.

    Args:
        times: the durations that the ledger uses.
        lasts, exact, ends_free: see `Freeing`.
    """

    __slots__ = (
        "_answered",
        "_counted_after",
        "_counter_lag",
        "_default_after",
        "_ids",
        "_on_trust",
        "_placed",
    )

    def __init__(self, times: Times, lasts: float, *, exact: bool, ends_free: bool) -> None:
        super().__init__(times, lasts, exact=exact, ends_free=ends_free)
        self._counted_after = self._default_after = times.counted_after
        self._counter_lag = times.counter_lag
        # The uncounted calls by number, in the order in which they were placed; and apart, those
        # that are known to be answered, in that order. The garbage collector skips mere numbers.
        self._placed: dict[int, float] = {}
        self._answered: dict[int, float] = {}
        # Those absorbed only because ringing calls are taken for counted: when they were placed.
        self._on_trust: dict[int, float] = {}
        # The provider's ids of all these calls and of the counted ones, as far as they are known.
        self._ids = CallIds()

    def uncounted_calls(self) -> Mapping[str, int]:
        """The uncounted calls by the provider's ids, as far as they are known, the oldest first.

        Those that are taken for counted only because of what was learnt are among them.
        """
        return self._ids.of(sorted((*self._placed, *self._answered, *self._on_trust)))

    def placed_permits(self) -> Mapping[int, PlacedState]:
        """The permits of the placed calls that can be going on, as far as each is known."""
        states: dict[int, PlacedState] = dict.fromkeys(self._counted.numbers, "counted")
        states.update(dict.fromkeys((*self._placed, *self._answered), "uncounted"))
        return states

    def answered(self, number: int, now: float) -> None:
        """Record that the call of a placed permit was answered, at `now` or before."""
        placed = self._placed.get(number)
        if placed is not None and now + self._counter_lag < placed + self._default_after:
            del self._placed[number]
            self._answered[number] = now
        placed = self._on_trust.get(number)
        if placed is not None:  # as if it had been placed so early that it is counted as soon
            self._on_trust[number] = min(placed, now + self._counter_lag - self._default_after)

    def take_ringing(self, *, for_counted: bool) -> None:
        """Take ringing calls for counted from now on, or stop doing so.

        If it stops, the calls that were absorbed for that reason alone are uncounted again, unless
        they were answered, or placed, long enough ago to be counted anyway.
        """
        if for_counted:
            self._counted_after = self._counter_lag
            return
        self._counted_after = self._default_after
        for number in self._on_trust:
            self._counted.end(number)
        self.in_use += len(self._on_trust)
        moments = {**self._on_trust, **self._placed}
        self._placed = dict(sorted(moments.items(), key=lambda each: each[1]))
        self._on_trust.clear()
        if self._in_hand is not None:
            self._free()

    def _absorb(self, uncounted: dict[int, float], before: float, snapshot: Snapshot) -> None:
        seen = []
        for number, moment in uncounted.items():
            if moment >= before:
                break
            seen.append(number)
        on_trust = uncounted is self._placed and self._counted_after < self._default_after
        for number in seen:
            moment = uncounted.pop(number)
            if on_trust:
                self._on_trust[number] = moment
        self._counted.add(seen, snapshot.began)
        self.in_use -= len(seen)

    def _trust(self, began: float) -> None:
        """Forget the calls absorbed on trust that would be absorbed by default by now."""
        before = began - self._default_after
        for number in [each for each, placed in self._on_trust.items() if placed < before]:
            del self._on_trust[number]
            if number not in self._counted.numbers:
                self._ids.forget(number)

    def _count(self, snapshot: Snapshot) -> None:
        """Tell of own calls and others' by a snapshot that has absorbed what it surely counts."""
        count = snapshot.limits.current_concurrency
        for number in self._counted.recorded(count, snapshot.began):
            if number not in self._on_trust:
                self._ids.forget(number)

    def _forget(self, number: int) -> bool:
        """Remove a permit from the uncounted ones; return whether it was among them."""
        self._on_trust.pop(number, None)
        uncounted = self._placed if number in self._placed else self._answered
        return uncounted.pop(number, None) is not None

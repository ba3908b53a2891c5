"""The evidence of refusals and snapshots against `cps` and `reserve`.

- `cps` is broken if three dials on a trunk with a rate were answered with 429 in ten minutes,
  although every snapshot left room under every lane's ceiling, from the refusal until the first
  snapshot that began `counter_lag` after it. Then the reason was not a lack of room, unless others
  took the room and gave it back at once, or took it with calls that are never counted. So there is
  no alarm if others exceeded the reserve in the last hundred pairs of snapshots, or if a refusal
  named a lack of room. A provider that accepts fewer requests per second than calls looks the same,
  and the same setting helps.
- `reserve` is broken if the count rose from one snapshot to the next by more than the smallest
  reserve, even if every own call that can have become counted in between did; and if the same holds
  from each snapshot of the last `counter_lag`, since for that long an ended call may be counted in
  some answers and not in others. This is arithmetic, not chance, as long as the counter is no later
  than said. But one such pair may do no harm, so it takes three pairs in the last hundred, or one
  in which the provider refused a call. Calls by others that are over and still counted add to the
  rise. Pairs further apart than `max_age` prove nothing, because nobody is admitted in between; nor
  do pairs before the gate's first grant, when nothing was at stake. The reserve is watched only if
  this gate alone grants, since it has to know of every grant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from callguard.limits import Snapshot
from callguard.premises.broken import RECENTLY, TREND, Broken, Sayings
from callguard.premises.histories import Histories

__all__ = ["Premises"]

PAIRS: Final = 100
"""How many of the latest pairs of successive snapshots are considered."""

MOST: Final = 10_000
"""How many of the latest ends of calls are remembered; if there are more, there is no alarm."""

_TOO_MANY_REQUESTS: Final = 429


class _Seen(NamedTuple):
    """A snapshot, the own calls that it may have missed, and the permits granted by then."""

    snapshot: Snapshot
    unsettled: int
    granted: int


class Premises:
    """Watches the premises of one gate.

    Args:
        reserve: the smallest reserve of the lanes, in calls.
        rates: calls per second, by the trunks that have a rate.
        counter_lag: seconds by which the counter is late, at most.
        max_age: seconds for which a snapshot is trusted.
        alone: whether this gate alone grants.
        histories: takes the evidence about own calls; None if no snapshot counts any.

    Attributes:
        histories: the argument.
    """

    def __init__(
        self,
        reserve: int,
        rates: Mapping[str, float],
        *,
        counter_lag: float,
        max_age: float,
        alone: bool,
        histories: Histories | None = None,
    ) -> None:
        self._reserve = reserve
        self._rates = rates
        self._lag = counter_lag
        self._max_age = max_age
        self._alone = alone
        self.histories: Final = histories
        self._sayings = Sayings()
        # The snapshots of the last `counter_lag` and one before them, the oldest first.
        self._latest: deque[_Seen] = deque()
        self._given_back: deque[float] = deque(maxlen=MOST)
        self._exceeded: deque[bool] = deque(maxlen=PAIRS)
        self._most = 0
        self._refused_at: float | None = None
        # The refusals that are not judged yet, and by trunk those that weren't for lack of room.
        self._suspected: list[tuple[str, float]] = []
        self._too_fast: dict[str, deque[float]] = {}

    def refused(self, now: float, trunk: str | None, status: int | None) -> None:
        """Note that the provider refused a call at `now`; None for an unknown status or trunk.

        Of the refusals on one trunk within `counter_lag` only the first counts.
        """
        self._refused_at = now
        if status != _TOO_MANY_REQUESTS:
            self._suspected.clear()
            self._too_fast.clear()
        elif trunk is not None and trunk in self._rates and not self._stands_for(trunk, now):
            self._suspected.append((trunk, now))

    def _stands_for(self, trunk: str, now: float) -> bool:
        return any(of == trunk and now <= at + self._lag for of, at in self._suspected)

    def gave_back(self, now: float) -> None:
        """Note at `now` that a call is over, and may still be counted, or that one counts again."""
        if self._alone:
            self._given_back.append(now)

    def taken(
        self,
        snapshot: Snapshot,
        before: Snapshot | None,
        *,
        unsettled: int,
        granted: int,
        ceiling: int,
    ) -> list[Broken]:
        """Compare a new snapshot with the one before it, and return the broken premises.

        Args:
            snapshot: the new snapshot.
            before: the snapshot before it; None if it is the first.
            unsettled: own calls that are dialling, or that the new snapshot may have missed.
            granted: permits granted so far.
            ceiling: the lowest ceiling of the lanes under the new snapshot, in calls.
        """
        found = []
        if self._alone:
            if before is not None and snapshot.began - before.began <= self._max_age:
                found += self._others(snapshot, granted)
            self._keep(_Seen(snapshot, unsettled, granted))
        if self._refused_at is not None and snapshot.began > self._refused_at:
            self._refused_at = None
        if self._suspected:
            room = ceiling - snapshot.limits.current_concurrency - unsettled
            found += self._judged(snapshot.began, has_room=room > 0)
        return found

    def _keep(self, seen: _Seen) -> None:
        latest, given_back = self._latest, self._given_back
        while len(latest) > 1 and latest[1].snapshot.began < seen.snapshot.began - self._lag:
            latest.popleft()
        latest.append(seen)
        while given_back and given_back[0] <= self._remembered_from(latest[0].snapshot):
            given_back.popleft()

    def _remembered_from(self, snapshot: Snapshot) -> float:
        """The moment after which an end may be of a call that is counted after `snapshot`.

        The counter may show a call for up to `counter_lag` after its end, and may be that late in
        showing it at first.
        """
        return snapshot.began - 2.0 * self._lag

    def _others(self, snapshot: Snapshot, granted: int) -> list[Broken]:
        if not granted or len(self._given_back) == MOST:
            return []
        count = snapshot.limits.current_concurrency
        added = min(count - self._explained(seen, granted) for seen in self._latest)
        self._exceeded.append(added > self._reserve)
        if added <= self._reserve:
            return []
        self._most = max(self._most, added)
        if self._refused_at is None and sum(self._exceeded) < TREND:
            return []
        why = (
            f"others added at least {self._most} calls between two snapshots, said: {self._reserve}"
            " at most; unless the counter is later than counter_lag, or calls are placed without "
            "the gate, which look the same"
        )
        return [self._sayings.broken("reserve", self._reserve, self._most, why)]

    def _explained(self, seen: _Seen, granted: int) -> int:
        """The highest count that own calls alone can explain, from an earlier snapshot on."""
        since = self._remembered_from(seen.snapshot)
        own = seen.unsettled + granted - seen.granted
        own += sum(at > since for at in self._given_back)
        return seen.snapshot.limits.current_concurrency + own

    def _judged(self, began: float, *, has_room: bool) -> list[Broken]:
        pending, self._suspected = self._suspected, []
        found = []
        for trunk, at in pending:
            if began <= at or (has_room and began <= at + self._lag):
                self._suspected.append((trunk, at))
            elif has_room and not any(self._exceeded):
                found += self._judged_too_fast(trunk, at)
        return found

    def _judged_too_fast(self, trunk: str, at: float) -> list[Broken]:
        times = self._too_fast.setdefault(trunk, deque(maxlen=TREND))
        times.append(at)
        if len(times) < TREND or at - times[0] > RECENTLY:
            return []
        cps = self._rates[trunk]
        why = (
            f"{TREND} dials on trunk {trunk!r} were refused within {at - times[0]:.0f} s though "
            f"there was room, and it is said to take {cps:g} starts a second"
        )
        return [self._sayings.broken("cps", cps, None, why, f"cps of {trunk}")]

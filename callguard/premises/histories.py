"""The evidence of own calls' histories against `counter_lag`, `ring_limit` and `counts_ringing`.

Evidence may be late or missing: a call that was reported as answered, but not as over, may be over.
So a call is used only once it is *proven* when it was going on, and how soon evidence comes makes
no difference. Proofs rest on two clocks, ours and the provider's, and use only differences of them:

- A call is our own if the ledger had it as placed, with the provider's id, when a snapshot came. It
  was placed by then, and it was granted after the last snapshot at which its number was not yet
  given.
- It was answered by the moment at which that was reported.
- By the provider's clock, it was answered and was over at the times of the provider's records
  (`at`). A call isn't answered before it is granted, so our clock is ahead of the provider's by at
  least the time of the grant less the record of the answer. The largest of these lower bounds over
  the own calls of the last `RECENTLY` holds. With it, less `SLACK`, a record gives a moment on our
  clock *before which* the call was surely not answered, or not over. The time at which a record was
  received, less the record, is an upper bound. If the two contradict each other, a clock was set or
  a record is wrong, and nothing is proven.

A premise is reported as broken after `TREND` such observations, so that one odd record or answer
does nothing:

- `counter_lag`: a snapshot counts fewer calls than there were own calls that went on until it had
  come, and whose answers were reported more than `counter_lag` before it began. The last
  `SNAPSHOTS` are considered. Calls by others can only hide this.
- `counts_ringing`, if it is set to True: the same for own calls that were placed more than
  `counter_lag` before the snapshot began. Some of them may have been ringing, so a late counter
  explains this as well. It is reported as `counter_lag` if the counter need not be more than
  `LATER` later than said, and nothing points to more within `RECENTLY`; else as `counts_ringing`.
- `ring_limit`, unless `counts_ringing` is True: an own call was surely not answered `ring_limit`
  after it was placed; or the provider, asked about it later than that, said that it was neither
  answered nor over. The last `RECENTLY` are considered.

None of this is a matter of chance: a report is wrong only if three records of the provider are.
Without records nothing is concluded, so neither from `permit.answered()` and `permit.ended()` nor
without evidence. Nothing is done before the first evidence.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from cachetools import FIFOCache

from callguard.limits import Snapshot
from callguard.premises.broken import RECENTLY, TREND, Broken, Sayings
from callguard.premises.learning import Learning
from callguard.premises.lives import Life

__all__ = ["Histories"]

SNAPSHOTS: Final = 100
"""How many of the latest snapshots are considered."""

LATER: Final = 10.0
"""Seconds by which a counter may be later than said before uncounted ringing is the better
explanation. Our own choice, since nothing is published about how late counters are."""

SLACK: Final = 1.0
"""Seconds by which records of one provider may differ from each other: its machines' clocks, and
what these gain on ours within `RECENTLY`, at a millisecond a second."""

MOST: Final = 10_000
"""How many of the latest calls are remembered; nothing is concluded from forgotten ones."""


@dataclass(slots=True, eq=False, repr=False)
class _Call(Life):
    """The known bounds of a call's life, and what its answer and its ringing showed.

    `placed` is infinity if the call isn't known to be our own.

    Attributes:
        answered_at: when the call was answered, on the provider's clock.
        rang: the call was surely neither answered nor over before then.
        too_long: whether the call was seen to ring too long.
    """

    answered_at: float | None = None
    rang: float = -math.inf
    too_long: bool = False


class _Over(NamedTuple):
    """An own call that is over: it was placed and answered by then, and went on until then."""

    placed: float
    answered: float
    until: float


@dataclass(slots=True, eq=False, repr=False)
class _Shown:
    """A snapshot, and how many own calls it must count, as far as that is proven by now.

    Attributes:
        unused: a number that no permit had when the snapshot came.
        came: when the snapshot came to the gate.
        answered: calls that it must count because they had been answered.
        ringing: further calls that it must count if ringing is counted.
        late: whether the snapshot counts fewer than `answered`.
        short: whether the snapshot counts fewer than `answered` and `ringing` together.
    """

    snapshot: Snapshot
    unused: int
    came: float
    answered: int = 0
    ringing: int = 0
    late: bool = False
    short: bool = False

    @property
    def count(self) -> int:
        return self.snapshot.limits.current_concurrency


class Histories:
    """The evidence about one gate's own calls, compared with its snapshots.

    Args:
        counter_lag: the setting, in seconds.
        ring_limit: the setting, in seconds; None if `counts_ringing` is True.
        slack: seconds by which the snapshots' dates may be wrong.
        learning: learns from the same calls whether ringing is counted; None if that is known.

    Attributes:
        learning: the argument.
    """

    def __init__(
        self,
        *,
        counter_lag: float,
        ring_limit: float | None,
        slack: float = 0.0,
        learning: Learning | None = None,
    ) -> None:
        self.learning: Final = learning
        self._lag = counter_lag
        self._ring_limit = ring_limit
        self._slack = slack
        self._sayings = Sayings()
        self._found: list[Broken] = []
        self._longest = 0.0
        self._latest = 0.0
        self.forget()

    def forget(self, slept: float = 0.0, now: float = 0.0) -> None:
        """Forget everything, because our clock stood still for `slept` seconds, until `now`."""
        if self.learning is not None:
            self.learning.forget(slept, now)
        self._heard = False
        self._calls: FIFOCache[str, _Call] = FIFOCache(MOST)
        self._over: deque[_Over] = deque(maxlen=MOST)
        self._shown: deque[_Shown] = deque(maxlen=SNAPSHOTS)
        self._too_long: deque[float] = deque(maxlen=TREND)
        # Until when it stays undecided whether ringing or the counter explains the counts, and how
        # late the counter would have to be.
        self._undecided_until = math.inf
        self._would_be_late = 0.0
        # By how many seconds our clock is ahead of the provider's, at least and at most, by each
        # record; and when that was learnt.
        self._at_least: deque[tuple[float, float]] = deque(maxlen=SNAPSHOTS)
        self._at_most: deque[tuple[float, float]] = deque(maxlen=SNAPSHOTS)

    # Snapshots -----------------------------------------------------------------------------------

    def placed(self, uncounted: Mapping[str, int], now: float) -> None:
        """Note the placed calls of the ledger when a snapshot comes, by id with their numbers."""
        if not self._heard:
            return
        for call_id, number in uncounted.items():
            self._place(call_id, number, now)

    def bound(self, call_id: str, number: int, now: float) -> None:
        """Note that a permit's call, placed at `now` or before, has the provider's id `call_id`."""
        if self._heard:
            self._place(call_id, number, now)

    def _place(self, call_id: str, number: int, now: float) -> None:
        call = self._call(call_id)
        if call.placed < math.inf:
            return
        call.placed = now
        call.granted_after = self._granted_after(number)
        if self.learning is not None:
            self.learning.placed(call)
        self._note_answer(call, now)

    def _granted_after(self, number: int) -> float:
        for shown in reversed(self._shown):
            if shown.unused <= number:
                return shown.came
        return -math.inf

    def taken(self, snapshot: Snapshot, unused: int, now: float) -> list[Broken]:
        """Take a new snapshot that came at `now`, before anybody is admitted by it.

        Args:
            snapshot: the new snapshot.
            unused: a number that no permit has had; each later number is above.
            now: when the snapshot came.

        Returns:
            The premises that were seen to be broken since the last snapshot.
        """
        self._shown.append(_Shown(snapshot, unused, now))
        if now > self._undecided_until:
            self._undecided_until = math.inf
            self._latest = max(self._latest, self._would_be_late)
            self._say_late()
        if self.learning is not None:
            self.learning.taken(snapshot, now)
        found, self._found = self._found, []
        return found

    # Evidence ------------------------------------------------------------------------------------

    def answered(self, call_id: str, now: float, at: float | None) -> None:
        """Note at `now` that a call was answered, at `at` by the provider's clock."""
        self._heard = True
        call = self._call(call_id)
        if at is not None and call.answered_at is None:
            call.answered_at = at
            self._at_most.append((now, now - at))
            self._note_answer(call, now)
        call.note_answered(now, max(call.rang, self._before(at, now)))

    def ringing(self, call_id: str, asked: float) -> None:
        """Note the provider's answer at `asked` that a call is neither answered nor over."""
        self._heard = True
        call = self._call(call_id)
        call.rang = asked
        self._judge_ringing(call, asked)

    def ended(self, call_id: str, now: float, at: float | None) -> None:
        """Note at `now` that a call is over, since `at` by the provider's clock."""
        self._heard = True
        call = self._calls.pop(call_id, None)
        if call is None:
            return
        if at is not None:
            self._at_most.append((now, now - at))
        if self.learning is not None:
            call.note_over(now, max(call.rang, self._before(at, now)))
            self.learning.ended(call)
        if at is None:
            return
        if call.placed < math.inf:
            until = self._surely(at, now)
            if until > call.placed:
                self._judge_snapshots(_Over(call.placed, call.answered, until), now)

    def _call(self, call_id: str) -> _Call:
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = _Call()
        return call

    def _note_answer(self, call: _Call, now: float) -> None:
        """Derive bounds of the provider's clock from its record of an own call's answer."""
        if call.answered_at is None or call.placed == math.inf:
            return
        if call.granted_after > -math.inf:
            self._at_least.append((now, call.granted_after - call.answered_at))
        self._judge_ringing(call, self._surely(call.answered_at, now))

    def _before(self, at: float | None, now: float) -> float:
        """As `_surely`, also of a moment of which there is no record."""
        return -math.inf if at is None else self._surely(at, now)

    def _surely(self, at: float, now: float) -> float:
        """The moment on our clock before which the provider's surely did not show `at`."""
        for bounds in (self._at_least, self._at_most):
            while bounds and bounds[0][0] < now - RECENTLY:
                bounds.popleft()
        ahead = max((by for _, by in self._at_least), default=-math.inf)
        if ahead > min((by for _, by in self._at_most), default=-math.inf):
            return -math.inf
        return at + ahead - SLACK

    # Conclusions ---------------------------------------------------------------------------------

    def _judge_ringing(self, call: _Call, not_before: float) -> None:
        """Judge a call that was surely not answered before `not_before`."""
        if self._ring_limit is None or call.too_long:
            return
        rang = not_before - call.placed
        if rang <= self._ring_limit:
            return
        call.too_long = True
        self._longest = max(self._longest, rang)
        self._too_long.append(not_before)
        if len(self._too_long) == TREND and not_before - self._too_long[0] <= RECENTLY:
            why = f"calls rang for {self._longest:.1f} s and more, said: {self._ring_limit:g} s"
            self._say(self._sayings.broken("ring_limit", self._ring_limit, self._longest, why))

    def _judge_snapshots(self, over: _Over, now: float) -> None:
        """Judge the snapshots that must have counted a call that is now over."""
        self._over.append(over)
        for shown in reversed(self._shown):
            snapshot = shown.snapshot
            if snapshot.received + self._slack > over.until:
                continue
            counted_since = snapshot.began - self._lag - self._slack
            if over.answered < counted_since:
                shown.answered += 1
            elif self._ring_limit is None and over.placed < counted_since:
                shown.ringing += 1
            else:
                break  # earlier snapshots need not have counted the call either
            if not shown.late and shown.count < shown.answered:
                shown.late = True
                self._note_late(shown)
            elif not shown.short and shown.count < shown.answered + shown.ringing:
                shown.short = True
                self._note_short(shown, now)

    def _note_late(self, shown: _Shown) -> None:
        since = [over.answered for over in self._going_on(shown)]
        self._latest = max(self._latest, _lateness(shown, since))
        if sum(each.late for each in self._shown) >= TREND:
            self._undecided_until = math.inf
            self._say_late()

    def _note_short(self, shown: _Shown, now: float) -> None:
        since = [over.placed for over in self._going_on(shown)]
        self._would_be_late = max(self._would_be_late, _lateness(shown, since))
        if any(each.late for each in self._shown):
            return
        if sum(each.short for each in self._shown) < TREND:
            return
        if self._would_be_late <= self._lag + LATER:
            self._undecided_until = min(self._undecided_until, now + RECENTLY)
        else:
            self._undecided_until = math.inf
            why = "fewer calls were counted than were going on, though not fewer than were answered"
            self._say(self._sayings.broken("counts_ringing", True, False, why))

    def _going_on(self, shown: _Shown) -> list[_Over]:
        received = shown.snapshot.received + self._slack
        return [over for over in self._over if over.until >= received]

    def _say_late(self) -> None:
        why = f"calls were not counted after {self._latest:.1f} s, said: {self._lag:g} s"
        self._say(self._sayings.broken("counter_lag", self._lag, self._latest, why))

    def _say(self, broken: Broken) -> None:
        self._found.append(broken)


def _lateness(shown: _Shown, since: list[float]) -> float:
    """How late a counter is, at least, if it shows calls in the order in which they began."""
    began = shown.snapshot.began
    before = sorted(at for at in since if at < began)
    return began - before[shown.count] if shown.count < len(before) else 0.0

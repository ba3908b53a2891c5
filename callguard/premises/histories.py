"""What the histories of own calls say against `counter_lag`, `ring_limit` and `counts_ringing`.

Evidence comes late, or not at all: a call of which it was said that it was answered, and not that
it is over, may be over. So a call counts for nothing before it is *proven* when it was going on,
and how soon evidence comes makes no difference. What is proven rests on two clocks, ours and the
provider's, of which only differences are taken:

- A call is own if the ledger had it as placed, with the provider's id, when a snapshot came. It was
  placed by then; and it was granted after the last snapshot before which its number was not given.
- It was answered by the moment at which that was heard.
- By the provider's clock it was answered, and was over, at the times of its own records (`at`). It
  wasn't answered before it was granted: so our clock is ahead of the provider's by at least the
  time of its grant less that record, for each own call of the last `RECENTLY`, of which the largest
  holds. By that, and less `SLACK`, a record gives the moment on our clock *before which* the call
  was surely not answered, or not over. It isn't ahead by more than the time at which a record was
  heard less the record: where the two contradict each other, a clock was set, or a record is wrong,
  and nothing is proven.

From that is concluded, where it was so of `TREND`, so that one odd record or answer is none:

- `counter_lag`: a snapshot counts fewer calls than own ones that were going on until it had come,
  and that were heard of as answered for longer than `counter_lag` before it began. Of the last
  `SNAPSHOTS`. Calls of others can only hide it.
- `counts_ringing`, where that was said: the same of own calls that were placed for longer than
  `counter_lag` before it began, of which some may have rung, so that a late counter explains it as
  well. It is taken for one, as `counter_lag`, where it need not be more than `LATER` later than was
  said, and nothing speaks for more within `RECENTLY`; else ringing isn't counted.
- `ring_limit`, where ringing is not said to be counted: an own call was surely not answered
  `ring_limit` after it was placed; or the provider, asked about it later than that, said that it
  was neither answered nor over. Within `RECENTLY`.

None of it is a matter of chance: it is wrong only where the provider's records are, three times.
Without records nothing is concluded: from `permit.answered()` and `permit.ended()`, or where
there is no evidence. Nothing is done before the first evidence.
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

__all__ = ["Histories"]

SNAPSHOTS: Final = 100
"""Snapshots that are looked back on."""

LATER: Final = 10.0
"""Seconds by which a counter may be later than was said, before ringing that isn't counted is the
better explanation. Our own choice; nothing is published of how late counters are."""

SLACK: Final = 1.0
"""Seconds by which records of one provider may differ from each other: its machines' clocks, and
what these gain on ours within `RECENTLY`, at a millisecond a second."""

MOST: Final = 10_000
"""Calls that are remembered, the latest; of what is forgotten nothing is concluded."""


@dataclass(slots=True)
class _Call:
    """What is known of a call. Moments are on our clock, but for `answered_at`.

    Attributes:
        placed: by when it was placed; infinity for a call that isn't known to be own.
        granted_after: since when at the earliest, minus infinity where that isn't known.
        answered: by when it was answered.
        answered_at: when, on the provider's clock.
        too_long: whether it has been seen to ring too long.
    """

    placed: float = math.inf
    granted_after: float = -math.inf
    answered: float = math.inf
    answered_at: float | None = None
    too_long: bool = False


class _Over(NamedTuple):
    """An own call that is over: by when it was placed and answered, and until when it went on."""

    placed: float
    answered: float
    until: float


@dataclass(slots=True)
class _Shown:
    """A snapshot, and how many own calls must be in it, as far as that is proven by now.

    Attributes:
        unused: a number that no permit had when it came.
        came: when it came to the gate.
        answered: such calls that had been answered.
        ringing: such calls beside those, if ringing is counted.
        late: whether it counts fewer than the first.
        short: whether it counts fewer than both.
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
    """What has been heard of one gate's own calls, and what the snapshots showed of them.

    Args:
        counter_lag: seconds.
        ring_limit: seconds; None where it is said that ringing is counted.
        slack: seconds by which the snapshots' dates may be wrong.
    """

    def __init__(self, *, counter_lag: float, ring_limit: float | None, slack: float = 0.0) -> None:
        self._lag = counter_lag
        self._ring_limit = ring_limit
        self._slack = slack
        self._sayings = Sayings()
        self._found: list[Broken] = []
        self._longest = 0.0
        self._latest = 0.0
        self.forget()

    def forget(self, slept: float = 0.0, now: float = 0.0) -> None:  # noqa: ARG002
        """Forget all that was seen: our clock stood still for `slept` seconds, until `now`."""
        self._heard = False
        self._calls: FIFOCache[str, _Call] = FIFOCache(MOST)
        self._over: deque[_Over] = deque(maxlen=MOST)
        self._shown: deque[_Shown] = deque(maxlen=SNAPSHOTS)
        self._too_long: deque[float] = deque(maxlen=TREND)
        # Until when nobody says whether it is ringing or the counter, and how late that would be.
        self._undecided_until = math.inf
        self._would_be_late = 0.0
        # By how many seconds our clock is ahead of the provider's, at least and at most, by each
        # record; and when that was learnt.
        self._at_least: deque[tuple[float, float]] = deque(maxlen=SNAPSHOTS)
        self._at_most: deque[tuple[float, float]] = deque(maxlen=SNAPSHOTS)

    # Snapshots -----------------------------------------------------------------------------------

    def placed(self, uncounted: Mapping[str, int], now: float) -> None:
        """The ledger has these calls as placed when a snapshot comes, by id with their numbers."""
        if not self._heard:
            return
        for call_id, number in uncounted.items():
            call = self._call(call_id)
            if call.placed == math.inf:
                call.placed = now
                call.granted_after = self._granted_after(number)
                self._note_answer(call, now)

    def _granted_after(self, number: int) -> float:
        for shown in reversed(self._shown):
            if shown.unused <= number:
                return shown.came
        return -math.inf

    def taken(self, snapshot: Snapshot, unused: int, now: float) -> list[Broken]:
        """Take a new snapshot that came at `now`, before anybody is admitted by it.

        Args:
            snapshot: the new one.
            unused: a number that no permit has had; each later one is above.
            now: when it came.

        Returns:
            What was seen to be broken since the last one.
        """
        self._shown.append(_Shown(snapshot, unused, now))
        if now > self._undecided_until:
            self._undecided_until = math.inf
            self._latest = max(self._latest, self._would_be_late)
            self._say_late()
        found, self._found = self._found, []
        return found

    # Evidence ------------------------------------------------------------------------------------

    def answered(self, call_id: str, now: float, at: float | None) -> None:
        """It was heard at `now` that a call was answered, at `at` by the provider's clock."""
        self._heard = True
        call = self._call(call_id)
        call.answered = min(call.answered, now)
        if at is not None and call.answered_at is None:
            call.answered_at = at
            self._at_most.append((now, now - at))
            self._note_answer(call, now)

    def ringing(self, call_id: str, asked: float) -> None:
        """The provider, `asked` then, said that a call is neither answered nor over."""
        self._heard = True
        self._judge_ringing(self._call(call_id), asked)

    def ended(self, call_id: str, now: float, at: float | None) -> None:
        """It was heard at `now` that a call is over, since `at` by the provider's clock."""
        self._heard = True
        call = self._calls.pop(call_id, None)
        if at is None or call is None:
            return
        self._at_most.append((now, now - at))
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
        """An own call was answered, by the provider's clock too: that sets bounds to that clock."""
        if call.answered_at is None or call.placed == math.inf:
            return
        if call.granted_after > -math.inf:
            self._at_least.append((now, call.granted_after - call.answered_at))
        self._judge_ringing(call, self._surely(call.answered_at, now))

    def _surely(self, at: float, now: float) -> float:
        """The moment on our clock before which it surely wasn't `at` on the provider's."""
        for bounds in (self._at_least, self._at_most):
            while bounds and bounds[0][0] < now - RECENTLY:
                bounds.popleft()
        ahead = max((by for _, by in self._at_least), default=-math.inf)
        if ahead > min((by for _, by in self._at_most), default=-math.inf):
            return -math.inf
        return at + ahead - SLACK

    # Conclusions ---------------------------------------------------------------------------------

    def _judge_ringing(self, call: _Call, not_before: float) -> None:
        """A call was surely not answered before that moment."""
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
        """A call is over that some snapshots must have counted."""
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
                break  # and so it is with those before
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
    """How late a counter is at least that shows those calls first that were there first."""
    began = shown.snapshot.began
    before = sorted(at for at in since if at < began)
    return began - before[shown.count] if shown.count < len(before) else 0.0

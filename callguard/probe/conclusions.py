"""The conclusions that ``callguard probe`` draws from the record of one call.

Two hypotheses can explain what the counter does: it counts a call from its placing on, or from its
answer on. Either way it may show the call late, by at most `longest_lag`. A hypothesis is accepted
only if it fits the record and the other one doesn't. If both fit, or neither, the findings say so
instead of guessing.

The conclusions rest on three assumptions:

- A snapshot is a photograph taken at an unknown moment between its request and its answer, so every
  moment is a `Span`, and every lag an interval.
- ``get-call`` is trusted: a status is true at some moment between its request and its answer. The
  provider doesn't promise this. A status that goes back is noticed, a late one is not.
- One call is one draw. If the counter is renewed every few seconds, its lag is anything up to that.

Calls by others can fool the probe only by looking like its call in every snapshot. If nobody
answers, and ringing calls are not counted, this takes one call by others, and no second one, that
begins within `longest_lag` of the dial and ends within `longest_lag` of the end of the probe's
call. Such a rise is therefore accepted only if nobody else was calling before, and with a remark.
With 20 s of ringing, calls by others of 60 s on average and the default plan, 9 of 6,000 simulated
probes were fooled that way (6 of 3,000 with a call by others every two minutes, 3 of 3,000 with one
every half minute), which is 1 of 260 clear results. If somebody answers, or ringing calls are
counted, two changes by others have to hide two of the probe's between the same snapshots: none of
3,500 simulated probes, 1,030 of them clear, was fooled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from callguard.probe.findings import Findings, Lag
from callguard.probe.record import (
    RINGING,
    UNANSWERED_END,
    Count,
    Record,
    Span,
    State,
    disturbed,
    unfinished,
    unsteady,
)

__all__ = ["conclude"]

_RANG: Final = frozenset({"dial_no_answer", "user_declined"})
"""The values of `disconnection_reason` that show that an unanswered call rang.

With any other, say ``dial_failed``, the call was ``registered``, but may never have rung.
"""

_BY_ONE_RISE: Final = (
    "nobody answered, so a call of others that began and ended with this one would look the same: "
    "answer the call to be surer"
)


def conclude(record: Record, longest_lag: float) -> Findings:
    """Draw the conclusions from a record; no I/O, no clock.

    Args:
        record: the counts and states that were seen.
        longest_lag: seconds by which the counter is assumed to be late, at most.
    """
    reason = (
        unsteady(record.baseline)
        or disturbed(record.baseline, record.counts)
        or unfinished(record.states)
    )
    if reason:
        return Findings(None, reason=reason)
    return _Case.of(record, longest_lag).findings()


@dataclass(frozen=True, slots=True)
class _Case:
    """A record of a call that ended, with a counter that rose and fell at most once.

    Attributes:
        placed, over: when the call was placed and was over.
        answered: when it was answered; None if it never was.
        reason: the provider's word for why it ended.
        rise, fall: when the counter changed; None if it never did.
        below: the counts after the dial and before the rise; all counts if there was no rise.
        above: the counts that showed the call.
        after: the counts after the fall.
        others: calls in the baseline.
        longest_lag: seconds by which the counter is assumed to be late, at most.
    """

    placed: Span
    answered: Span | None
    over: Span
    reason: str | None
    rise: Span | None
    fall: Span | None
    below: Sequence[Count]
    above: Sequence[Count]
    after: Sequence[Count]
    others: int
    longest_lag: float

    @classmethod
    def of(cls, record: Record, longest_lag: float) -> _Case:
        others = record.baseline[-1].calls
        below, above, after = _pulse(record.counts, others)
        last_below = [*record.baseline, *below][-1]
        return cls(
            placed=record.placed,
            answered=_answer(record.states, record.placed),
            over=_first(record.states, record.placed, lambda state: state.is_over),
            reason=record.states[-1].reason,
            rise=_between(last_below, above[0]) if above else None,
            fall=_between(above[-1], after[0]) if after else None,
            below=below,
            above=above,
            after=after,
            others=others,
            longest_lag=longest_lag,
        )

    def findings(self) -> Findings:
        reason = self._misfit_fall() or self._undecided() or self._doubted()
        if reason:
            return Findings(None, reason=reason)
        since = self.placed if self._fits_counted() else self.answered
        return Findings(
            counts_ringing=self._fits_counted(),
            snapshots=len(self._decisive()),
            rise_lag=_lag(since, self.rise, len(self.above)),
            fall_lag=_lag(self.over, self.fall, len(self.after)),
            remark=self._remark(),
        )

    def _fits_counted(self) -> bool:
        """Whether the record fits the hypothesis that the call counts from its placing on."""
        return self._fits(self.placed)

    def _fits_not_counted(self) -> bool:
        """Whether the record fits the hypothesis that the call counts from its answer on."""
        if self.answered is None:
            return self.rise is None
        rose_before = self.rise is not None and self.rise.latest <= self.answered.earliest
        return self._fits(self.answered) and not rose_before

    def _fits(self, began: Span) -> bool:
        due = began.latest + self.longest_lag
        if self.rise is not None:
            return self.rise.earliest <= due
        # A call that was over before the counter was due may never have been shown.
        return not any(
            count.during.earliest > due and count.during.latest <= self.over.earliest
            for count in self.below
        )

    def _misfit_fall(self) -> str:
        if self.rise is None:
            return ""
        if self.fall is None or self.fall.earliest > self.over.latest + self.longest_lag:
            return f"the counter did not fall within {self.longest_lag:g} s of the call's end"
        if self.fall.latest <= self.over.earliest:
            return "the counter fell while the call went on: others are calling"
        return ""

    def _undecided(self) -> str:
        if self._fits_counted() != self._fits_not_counted():
            return ""
        both = self._fits_counted()
        if self.rise is None:
            return self._too_short() if both else self._never_shown()
        if not both:
            return "the counter rose at a time that fits neither the placing nor the answer"
        return (
            "the counter rose too close to the answer to tell what made it rise: let the call "
            f"ring for more than {self.longest_lag:g} s before it is answered"
        )

    def _too_short(self) -> str:
        return (
            "the call was over before the counter had to show it: let it ring for more than "
            f"{self.longest_lag:g} s"
        )

    def _never_shown(self) -> str:
        return (
            f"the counter did not show the call within {self.longest_lag:g} s of its answer: it "
            "may be later than that, or the call was hidden by the end of another"
        )

    def _doubted(self) -> str:
        """The reason to doubt the one hypothesis that fits; "" if there is none."""
        if self.answered is not None:
            return ""
        if self.rise is not None and self.others:
            return (
                "nobody answered, and others are calling, so the rise may be theirs: answer the "
                "call, or probe while nobody else is calling"
            )
        if self.rise is None and self.reason not in _RANG:
            return f"the call may never have rung: it ended with {self.reason or 'no reason'}"
        return ""

    def _remark(self) -> str:
        if self.rise is not None:
            return _BY_ONE_RISE if self.answered is None else ""
        unknown = "so how late the counter is was not seen, and counter_lag is left at its default"
        if self.answered is None:
            return f"nobody answered, {unknown}: answer the call to learn it"
        return f"the call was over before the counter rose, {unknown}: talk for longer to learn it"

    def _decisive(self) -> Sequence[Count]:
        """The counts that the result rests on."""
        counted = self._fits_counted()
        if counted and self.answered is None:
            return self.above
        until = self.over if self.answered is None else self.answered
        counts = self.above if counted else self.below
        return [count for count in counts if count.during.latest <= until.earliest]


def _pulse(
    counts: Sequence[Count], others: int
) -> tuple[Sequence[Count], Sequence[Count], Sequence[Count]]:
    """Split the counts into those before the rise, those above, and those after the fall."""
    above = [index for index, count in enumerate(counts) if count.calls != others]
    if not above:
        return counts, [], []
    return counts[: above[0]], counts[above[0] : above[-1] + 1], counts[above[-1] + 1 :]


def _answer(states: Sequence[State], placed: Span) -> Span | None:
    if states[-1].status == UNANSWERED_END:
        return None
    return _first(states, placed, lambda state: state.status != RINGING)


def _first(states: Sequence[State], placed: Span, holds: Callable[[State], bool]) -> Span:
    """The span in which the first state began for which `holds` is true."""
    before = placed.earliest
    for state in states:
        if holds(state):
            return Span(before, state.during.latest)
        before = state.during.earliest
    raise AssertionError("the call has ended, so there is one")


def _between(before: Count, after: Count) -> Span:
    return Span(before.during.earliest, after.during.latest)


def _lag(since: Span | None, change: Span | None, snapshots: int) -> Lag | None:
    if since is None or change is None:
        return None
    at_least = max(change.earliest - since.latest, 0.0)
    return Lag(at_least, change.latest - since.earliest, snapshots)

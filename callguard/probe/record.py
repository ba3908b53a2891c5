"""The record of an experiment: dated counts and states, and checks of whether it can be used.

A count is a photograph taken at an unknown moment between its request and its answer, so every
moment is a `Span`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from callguard.limits import Snapshot

__all__ = [
    "RINGING",
    "UNANSWERED_END",
    "Count",
    "Record",
    "Span",
    "State",
    "disturbed",
    "unfinished",
    "unsteady",
]

RINGING: Final = "registered"
_TALKING: Final = "ongoing"
_ANSWERED_END: Final = "ended"
UNANSWERED_END: Final = "not_connected"
_FAILED_END: Final = "error"

_RANKS: Final = {
    RINGING: 0,
    _TALKING: 1,
    _ANSWERED_END: 2,
    UNANSWERED_END: 2,
    _FAILED_END: 2,
}
"""The values of `call_status`, in their order (docs.retellai.com, read 2026-11-22)."""

_OVER: Final = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A moment that is not known exactly, in seconds on the event loop's clock."""

    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class Count:
    """The calls that the counter reported, at some moment in `during`."""

    during: Span
    calls: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> Count:
        """The count of a snapshot."""
        during = Span(snapshot.began, snapshot.received)
        return cls(during, snapshot.limits.current_concurrency)


@dataclass(frozen=True, slots=True)
class State:
    """The call's status, and the reason of its end, at some moment in `during`."""

    during: Span
    status: str
    reason: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether the call has ended, in any way."""
        return _RANKS.get(self.status) == _OVER


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that was seen, in order.

    Attributes:
        baseline: the counts before the call, at least one.
        placed: when the call was placed.
        counts: the counts after the dial.
        states: the states of the call.
    """

    baseline: Sequence[Count]
    placed: Span
    counts: Sequence[Count]
    states: Sequence[State]


def unsteady(baseline: Sequence[Count]) -> str:
    """The reason why our call could not be told from calls by others; "" if it could."""
    seen = sorted({count.calls for count in baseline})
    if len(seen) == 1:
        return ""
    return f"others are calling: the counter was {seen[0]} to {seen[-1]} before the call"


def disturbed(baseline: Sequence[Count], counts: Sequence[Count]) -> str:
    """The sign that others are calling, which no later count can undo; "" if there is none."""
    others = baseline[-1].calls
    strange = [count.calls for count in counts if count.calls - others not in {0, 1}]
    if strange:
        return f"others are calling: the counter went from {others} to {strange[0]}"
    changes = sum(one.calls != next_.calls for one, next_ in pairwise([baseline[-1], *counts]))
    return "others are calling: the counter rose more than once" if changes > 2 else ""


def unfinished(states: Sequence[State]) -> str:
    """The reason why the call's states allow no conclusion; "" if they do."""
    unknown = [state.status for state in states if state.status not in _RANKS]
    if unknown:
        return f"the call has an unknown status: {unknown[0]}"
    ranks = [_RANKS[state.status] for state in states]
    if ranks != sorted(ranks):
        return "the call's status went back, so it can't be relied on"
    if not ranks or ranks[-1] != _OVER:
        return "the call was not seen to end"
    if states[-1].status == _FAILED_END:
        return f"the call failed: {states[-1].reason or 'no reason given'}"
    return ""

"""Settings that gates on a shared ledger have learnt, for people: no gate goes by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["LEARNT", "Suggestion", "suggestions_in"]

LEARNT: Final = "learnt"
"""The kind of happening that says that a gate has learnt a setting, or doubts it again; see
wire.py."""

_FIELD: Final = "learnt/"
"""The prefix of the field in the ledger's hash; the worker's id follows."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A setting that would use more of the limit, by what gates have learnt.

    Attributes:
        setting: the setting and its value, such as "counts_ringing=True".
        why: what was learnt.
        workers: the labels of the gates that have learnt it, in the order in which they did.
        age: seconds since the first of them did.
    """

    setting: str
    why: str
    workers: tuple[str, ...]
    age: float

    def __str__(self) -> str:
        first, *others = self.workers
        more = f" and {len(others)} more" if others else ""
        by = f"learnt by {first}{more}, {self.age:.0f} s ago"
        return f"{self.why} ({by}): to use that, open the gates with {self.setting}"


def suggestions_in(
    facts: Mapping[str, str], sessions: Mapping[str, str], now: float
) -> Iterator[Suggestion]:
    """The suggestions of the workers that are still on the ledger.

    A worker that has left may have been replaced by one that has the setting.

    Args:
        facts: the fields of the ledger's hash.
        sessions: the labels of the workers, by their ids.
        now: the ledger's time in ms.
    """
    since = {worker: float(facts.get(_FIELD + worker, 0)) for worker in sessions}
    learnt = sorted((at, sessions[worker]) for worker, at in since.items() if at)
    if learnt:
        yield Suggestion(
            setting="counts_ringing=True",
            why="the provider seems to count ringing calls",
            workers=tuple(label for _, label in learnt),
            age=max(0.0, now - learnt[0][0]) / 1000,
        )

"""The premises that workers of a shared ledger have seen to be wrong, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from callguard.premises import Broken

__all__ = ["PREMISE", "LedgerPremise", "premises_in", "said_of"]

PREMISE: Final = "premise"
"""The kind of the happening that a premise was seen to be wrong; see wire.py."""

_FIELD: Final = "premise/"
"""The prefix of the premises' fields in the ledger's hash, which lua/happenings.lua sets."""


@dataclass(frozen=True, slots=True)
class LedgerPremise:
    """A premise of the promise that a worker has seen to be wrong.

    Attributes:
        premise: the name of the setting, such as "counter_lag".
        said: the setting's value.
        seen: the value that would have been right so far, None if that is unknown.
        why: what was seen, and what to set.
        worker: the label of the gate that saw it last.
        age: seconds since the gate saw it.
    """

    premise: str
    said: float
    seen: float | None
    why: str
    worker: str
    age: float

    def __str__(self) -> str:
        by = f"seen by {self.worker} {self.age:.0f} s ago"
        return f"a premise of the promise does not hold, {self.premise}: {self.why} ({by})"


def said_of(broken: Broken) -> str:
    """Encode a broken premise for the ledger."""
    return json.dumps([broken.said, broken.seen, broken.why])


def premises_in(
    facts: Mapping[str, str], sessions: Mapping[str, str], now: float
) -> Iterator[LedgerPremise]:
    """The premises in a ledger, each only while the worker that saw it last is still there.

    A worker that is gone may have had other settings than the workers that came after it.

    Args:
        facts: the fields of the ledger's hash.
        sessions: the labels of the workers, by their ids.
        now: the ledger's time in ms.
    """
    for field, text in sorted(facts.items()):
        if field.startswith(_FIELD):
            at, worker, what = text.split(" ", 2)
            if worker in sessions:
                said, seen, why = json.loads(what)
                premise, age = field.removeprefix(_FIELD), (now - int(at)) / 1000
                yield LedgerPremise(premise, said, seen, why, sessions[worker], age)

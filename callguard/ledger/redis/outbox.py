"""The happenings and the evidence that one worker has to report to the ledger's server."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice, takewhile
from typing import Final

from callguard.ledger.redis.heard import HeardSnapshots
from callguard.ledger.redis.pauses import PAUSING
from callguard.ledger.redis.settings import AT_ONCE
from callguard.ledger.redis.wire import Happening

__all__ = ["Outbox"]

_Key = tuple[str, str | int | None]
"""The kind of a happening, and the number of the permit to which it happened."""

_Evidence = tuple[str, float]
"""The kind of the evidence, and a moment after which a call surely ended, on the event loop's
clock; minus infinity if that is unknown."""

MOST_EVIDENCE: Final = 10_000
"""Calls whose evidence is kept until it is reported; forgetting more only costs the evidence."""

NOTE_ANSWERED: Final = "note_answered"
NOTE_ENDED: Final = "note_ended"


class Outbox:
    """Happenings in their order, and evidence; of each kind only the latest about a permit or call.

    An item stays until an exchange with it was answered, so a lost exchange loses nothing. Items
    may be reported twice: each names a permit or a call, so nothing is counted twice.

    Pauses and resumes come first, in their order, and all go into the next exchange. The claims in
    it rest on them: a caller must not be granted a slot on a lane that is still paused by what the
    server knows.

    Args:
        at_once: how many happenings go into one exchange, evidence included, unless more scopes
            were paused or resumed.
        heard: the snapshots by which an end is dated; None to date none.
    """

    __slots__ = ("_at_once", "_batch", "_evidence", "_happenings", "_heard", "_held_alone")

    def __init__(self, at_once: int = AT_ONCE, heard: HeardSnapshots | None = None) -> None:
        self._at_once = at_once
        self._heard = heard
        self._happenings: dict[_Key, Happening] = {}
        self._evidence: dict[str, _Evidence] = {}
        self._batch: tuple[dict[_Key, Happening], dict[str, _Evidence]] = ({}, {})
        # Permits that were granted without the server, which may know of these by now.
        self._held_alone: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._happenings or self._evidence)

    def say(self, kind: str, *what: str | int) -> None:
        """Add a happening to a permit, or to the count."""
        key = kind, what[0] if what else None
        self._happenings.pop(key, None)
        self._happenings[key] = (kind, *what)
        if kind == PAUSING:
            in_order = sorted(self._happenings.items(), key=lambda item: item[0][0] != PAUSING)
            self._happenings = dict(in_order)

    def note(self, kind: str, call: str, ended_after: float = -math.inf) -> None:
        """Add evidence about a call; an end overrides an answer, and the first end another.

        Args:
            kind: what is known of the call.
            call: the hash of its id.
            ended_after: a moment after which it surely ended, in seconds on the event loop's clock.
        """
        known, _ = self._evidence.get(call, ("", 0.0))
        if known != NOTE_ENDED:
            self._evidence[call] = kind, ended_after
        if len(self._evidence) > MOST_EVIDENCE:
            del self._evidence[next(iter(self._evidence))]

    def forget_moments(self) -> None:
        """Forget when calls have ended, because the event loop's clock stood still."""
        for call, (kind, _) in self._evidence.items():
            self._evidence[call] = kind, -math.inf

    def forget(self, number: int) -> bool:
        """Drop the happenings of a permit that is over, if the server can't know of the permit.

        Returns:
            Whether they were dropped.
        """
        if ("adopt", number) not in self._happenings or number in self._held_alone:
            return False
        for key in [key for key in self._happenings if key[1] == number]:
            del self._happenings[key]
        return True

    def note_held(self, numbers: Iterable[int]) -> None:
        """Note that the server may know of these permits from now on."""
        self._held_alone.update(each for each in numbers if ("adopt", each) in self._happenings)

    def batch(self) -> list[Happening]:
        """The items for the next exchange: the last batch until `reported`, and new ones."""
        if not self._happenings and not self._evidence:
            return []
        pauses = sum(1 for _ in takewhile(lambda key: key[0] == PAUSING, self._happenings))
        most = max(self._at_once, pauses)
        happenings = dict(islice(self._happenings.items(), most))
        evidence = dict(islice(self._evidence.items(), most - len(happenings)))
        self._batch = happenings, evidence
        self._held_alone.update(int(said[1]) for said in happenings.values() if said[0] == "adopt")
        return [*happenings.values(), *map(self._dated, evidence, evidence.values())]

    def _dated(self, call: str, evidence: _Evidence) -> Happening:
        kind, ended_after = evidence
        heard = 0 if self._heard is None else self._heard.before(ended_after)
        return (kind, call, heard) if heard else (kind, call)

    @property
    def batch_is_all(self) -> bool:
        """Whether the last batch contains everything that is to be reported."""
        return self.batch_has_all_happenings and len(self._batch[1]) == len(self._evidence)

    @property
    def batch_has_all_happenings(self) -> bool:
        """Whether the last batch contains every happening, if not all evidence."""
        return self._batch[0] == self._happenings

    def pending(self) -> list[Happening]:
        """All happenings that the server may not know yet."""
        return list(self._happenings.values())

    def reported(self) -> list[Happening]:
        """Forget the last batch, because the server has it; return its happenings."""
        happenings, evidence = self._batch
        if not happenings and not evidence:
            return []
        self._batch = {}, {}
        for key, happening in happenings.items():
            if self._happenings.get(key) is happening:
                del self._happenings[key]
        for call, (kind, _) in evidence.items():
            if self._evidence.get(call, ("", 0.0))[0] == kind:
                del self._evidence[call]
        self._held_alone.difference_update(
            int(said[1]) for said in happenings.values() if said[0] == "adopt"
        )
        return list(happenings.values())

"""What one worker has to tell shared books, until they have heard it."""

from __future__ import annotations

from typing import Final

__all__ = ["Happening", "Outbox"]

Happening = tuple[str | int, ...]
"""What happened, to which lease or call, and a word more where there is one."""

MOST_AT_ONCE: Final = 1000
"""Happenings in one exchange, so that the server isn't kept from others: some 3 ms of its time."""

MOST_EVIDENCE: Final = 10_000
"""Calls whose evidence may wait to be told; what is forgotten costs nothing but the evidence."""

CALL_STARTED: Final = "call_started"
CALL_ENDED: Final = "call_ended"


class Outbox:
    """Happenings in their order, and evidence, of which only the latest word on a call counts.

    Nothing leaves it before an answer has come, so a lost exchange loses nothing, and each item
    may be told twice: nothing in it counts, everything names a lease or a call.
    """

    __slots__ = ("_batch", "_evidence", "_happenings")

    def __init__(self) -> None:
        self._happenings: list[Happening] = []
        self._evidence: dict[str, str] = {}
        self._batch: tuple[int, dict[str, str]] = (0, {})

    def __bool__(self) -> bool:
        return bool(self._happenings or self._evidence)

    def say(self, *happening: str | int) -> None:
        """Something happened to a lease, or to the count."""
        self._happenings.append(happening)

    def note(self, kind: str, call: str) -> None:
        """There is evidence about a call. That it is over outlasts that it was answered."""
        if self._evidence.get(call) != CALL_ENDED:
            self._evidence[call] = kind
        if len(self._evidence) > MOST_EVIDENCE:
            del self._evidence[next(iter(self._evidence))]

    def batch(self) -> list[Happening]:
        """What the next exchange tells; the same again until `told`, and what has come since."""
        happenings = self._happenings[:MOST_AT_ONCE]
        evidence = dict(list(self._evidence.items())[: MOST_AT_ONCE - len(happenings)])
        self._batch = len(happenings), evidence
        return [*happenings, *((kind, call) for call, kind in evidence.items())]

    @property
    def batch_is_all(self) -> bool:
        """Whether the last batch has everything that there is to tell."""
        number, evidence = self._batch
        return number == len(self._happenings) and len(evidence) == len(self._evidence)

    def pending(self) -> list[Happening]:
        """All happenings that the books have not been heard to have heard."""
        return list(self._happenings)

    def told(self) -> list[Happening]:
        """The books have heard the last batch: forget it. Returns its happenings."""
        number, evidence = self._batch
        self._batch = 0, {}
        heard = self._happenings[:number]
        del self._happenings[:number]
        for call, kind in evidence.items():
            if self._evidence.get(call) == kind:
                del self._evidence[call]
        return heard

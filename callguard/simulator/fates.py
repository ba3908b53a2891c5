"""The fate of a placed call: drawn at random, or scripted for its number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from callguard.simulator.distributions import stream

if TYPE_CHECKING:
    from callguard.simulator.settings import WorkspaceSettings

__all__ = [
    "BAD_NUMBER",
    "BUSY",
    "DECLINED",
    "FATES",
    "NO_ANSWER",
    "VOICEMAIL",
    "Draws",
    "Fate",
    "Script",
    "answered",
    "is_script",
]


@dataclass(frozen=True, slots=True)
class Fate:
    """How one call goes: how long it rings, whether it is answered, and why it ends.

    Args:
        ring_time: seconds that it rings, cut to the workspace's `ring_limit`.
        talk_time: seconds from its answer to its end; None if nobody answers.
        reason: why it ends, in the provider's words (`disconnection_reason`, SDK 6.2.13).

    Raises:
        ValueError: a time below 0.
    """

    ring_time: float
    talk_time: float | None
    reason: str

    def __post_init__(self) -> None:
        for seconds in (self.ring_time, self.talk_time or 0.0):
            if not seconds >= 0:
                raise ValueError(f"a fate's times must be at least 0 s, got {seconds!r}")


def answered(talk_time: float = 60.0, *, ring_time: float = 5.0) -> Fate:
    """A call that is answered after `ring_time` seconds and ends `talk_time` seconds later."""
    return Fate(ring_time, talk_time, "user_hangup")


# These durations are only plausible: they depend on carriers and people.
BUSY: Final = Fate(2.0, None, "dial_busy")
NO_ANSWER: Final = Fate(math.inf, None, "dial_no_answer")
DECLINED: Final = Fate(8.0, None, "user_declined")
BAD_NUMBER: Final = Fate(0.5, None, "invalid_destination")
VOICEMAIL: Final = Fate(20.0, 5.0, "voicemail_reached")
"""An answered call, as far as the provider's counter is concerned."""

FATES: Final[Mapping[str, Fate]] = MappingProxyType(
    {
        "answered": answered(),
        "bad-number": BAD_NUMBER,
        "busy": BUSY,
        "declined": DECLINED,
        "no-answer": NO_ANSWER,
        "voicemail": VOICEMAIL,
    }
)
"""The usual fates by their names."""


class Draws:
    """Random fates, one for each placed call.

    Args:
        settings: the settings of the workspace.
    """

    def __init__(self, settings: WorkspaceSettings) -> None:
        self._settings = settings
        self._answers = stream(settings.seed, "answers")
        self._rings = stream(settings.seed, "rings")
        self._unanswered_rings = stream(settings.seed, "unanswered rings")
        self._talks = stream(settings.seed, "talks")

    def next(self) -> Fate:
        """The next call's fate."""
        settings = self._settings
        # Every draw is made for every call, used or not, so that no setting shifts the next call's.
        is_answered = self._answers.random() < settings.answer_rate
        ring_time = settings.ring_time(self._rings)
        talk_time = settings.talk_time(self._talks)
        unanswered_ring = math.inf
        if settings.unanswered_ring is not None:
            unanswered_ring = settings.unanswered_ring(self._unanswered_rings)
        if is_answered:
            return answered(talk_time, ring_time=ring_time)
        return Fate(unanswered_ring, None, NO_ANSWER.reason)


class Script:
    """Fates by dialled number.

    Args:
        numbers: for each number one fate for all its calls, or a sequence, of which each fate is
            for one call and the last one for all calls after it.
    """

    def __init__(self, numbers: Mapping[str, Fate | Sequence[Fate]]) -> None:
        self._numbers = numbers
        self._calls = Counter[str]()

    def next(self, number: str) -> Fate | None:
        """The fate of the next call to this number; None if the script doesn't have the number."""
        fates = self._numbers.get(number)
        if fates is None or isinstance(fates, Fate):
            return fates
        self._calls[number] += 1
        return fates[min(self._calls[number], len(fates)) - 1]


def is_script(numbers: object) -> bool:
    """Whether `numbers` maps numbers to fates, with at least one fate for each."""
    return isinstance(numbers, Mapping) and all(
        isinstance(number, str)
        and (isinstance(fates, Fate) or (bool(fates) and all(isinstance(f, Fate) for f in fates)))
        for number, fates in numbers.items()
    )

"""What the ledger's server answers, and tells unasked: checked before any of it is believed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from callguard.ledger.redis.failure import Failure
from callguard.limits import Limits

__all__ = ["Answer", "News", "Pause", "SharedSnapshot"]


@dataclass(frozen=True, slots=True)
class SharedSnapshot:
    """The latest snapshot, in milliseconds on the server's clock; `reader` is the worker's name."""

    began: int
    received: int
    reader: str
    limits: Limits

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> Self:
        """The reading as the server told of it; raises as `Answer.parse` does."""
        limits = Limits.parse(json.loads(told["limits"]))
        return cls(_whole(told["began"]), _whole(told["received"]), str(told["reader"]), limits)


@dataclass(frozen=True, slots=True)
class News:
    """What concerns every worker.

    Attributes:
        counts: the calls that are dialled, and the ones that may be uncounted.
        spent: whether the reading authorises nothing.
        lost: whether that is because the ledger is new, or was lost.
        reading: None where the worker knows the latest.
    """

    counts: tuple[int, int]
    spent: bool
    lost: bool
    reading: SharedSnapshot | None

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> Self:
        """The news in an answer or a message; raises as `Answer.parse` does."""
        dialling, uncounted = told["counts"]
        reading = told.get("reading")
        return cls(
            (_whole(dialling, least=0), _whole(uncounted, least=0)),
            bool(told["spent"]),
            bool(told["lost"]),
            None if reading is None else SharedSnapshot.parse(reading),
        )


@dataclass(frozen=True, slots=True)
class Pause:
    """How long it is until the next reading may be taken, and others than its reader should.

    Attributes:
        failure: why the latest brought nothing; None where it brought something.
    """

    due_in: int
    late_in: int
    failure: Failure | None

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> Self:
        """The pause in an answer or a message; raises as `Answer.parse` does."""
        failed = told.get("failed")
        failure = None if failed is None else Failure.heard(failed)
        return cls(_whole(told["due_in"]), _whole(told["late_in"]), failure)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to an exchange that took place; times are in milliseconds.

    Attributes:
        void: whether what the worker held was taken for placed.
        others: whether callers of other workers are in the queue.
        again: when to ask again for slots that others are to take first; or None.
        turn: token and beginning of this worker's turn to read; or None.
        grants: for each slot the index of the claim that got it, and the usage it brought.
    """

    epoch: str
    now: int
    news: News
    void: bool
    others: bool
    pause: Pause
    again: int | None
    turn: tuple[int, int] | None
    grants: tuple[tuple[int, int], ...]
    stepped: int
    untold: str | None

    @classmethod
    def parse(cls, reply: Mapping[str, Any], claims: int) -> Self:
        """The answer to an exchange with so many claims.

        Raises:
            KeyError, TypeError, ValueError: it is none.
            LimitsMalformed: the reading in it is none.
        """
        again, turn = reply.get("again"), reply.get("right_to_read")
        grants = tuple((_whole(index), _whole(usage)) for index, usage in reply.get("grants") or ())
        if any(not 0 <= index < claims for index, _ in grants):
            raise ValueError(f"slots for claims that nobody made: {grants}")
        return cls(
            epoch=_word(reply["epoch"]),
            now=_whole(reply["now"]),
            news=News.parse(reply),
            void=bool(reply.get("void")),
            others=bool(reply["others"]),
            pause=Pause.parse(reply),
            again=None if again is None else _whole(again),
            turn=None if turn is None else (_whole(turn["token"]), _whole(turn["began"])),
            grants=grants,
            stepped=_whole(reply.get("stepped") or 0),
            untold=reply.get("untold"),
        )


def _whole(value: object, *, least: int | None = None) -> int:
    """A number that the server computed; it does so with doubles."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise ValueError(f"not a number of a ledger: {value!r}")
    if least is not None and value < least:
        raise ValueError(f"less than {least}: {value!r}")
    return math.floor(value)


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a word: {value!r}")
    return value

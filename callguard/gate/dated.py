"""An admission after which it may be too late: the hours in which a lead may be called end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, Self

from callguard.errors import AdmissionTimeout
from callguard.gate.admissions import Admissions
from callguard.gate.permit import Permit
from callguard.gate.queue import Queue, Terms, shorter

__all__ = ["DatedPermit", "Deadline"]


class Deadline(NamedTuple):
    """The moment after which nobody may be admitted.

    Attributes:
        moment: as the caller said it, for the error.
        at: the same on `clock`.
        clock: gives seconds, and goes on while the machine sleeps. The wall clock doesn't do: it
            may be set back while the caller waits.
    """

    moment: datetime
    at: float
    clock: Callable[[], float]

    @classmethod
    def of(cls, moment: datetime, clock: Callable[[], float]) -> Deadline:
        """The deadline of an aware `moment`, by what the wall clock shows now."""
        left = (moment - datetime.now(UTC)).total_seconds()
        return cls(moment, clock() + left, clock)

    @property
    def left(self) -> float:
        """Seconds that are left; 0 or less once it is over."""
        return self.at - self.clock()


class DatedPermit(Permit):
    """A permit of a call that may be admitted until its deadline, and never later.

    It is looked at before the caller comes to the gate, and once more when it has been admitted:
    the loop may have been held up in between, or the machine may have slept.

    Args:
        admissions: admits the caller.
        queue: where it waits.
        terms: how it comes.
        deadline: when it leaves.
    """

    __slots__ = ("_deadline",)

    def __init__(
        self, admissions: Admissions, queue: Queue, terms: Terms, deadline: Deadline
    ) -> None:
        super().__init__(admissions, queue, terms)
        self._deadline = deadline

    async def __aenter__(self) -> Self:
        deadline, terms = self._deadline, self._terms
        self._admissions.issuer.home.check_open()
        left = deadline.left
        if left <= 0.0:
            raise self._admissions.timed_out(self._queue, 0.0).at(deadline.moment)
        others = shorter(terms.timeout, self.lane.max_wait)
        self._terms = terms._replace(timeout=shorter(terms.timeout, left))
        try:
            await super().__aenter__()
        except AdmissionTimeout as error:
            if others is None or left < others:
                raise error.at(deadline.moment) from None
            raise
        if deadline.left <= 0.0:
            self.cancel()
            raise self._admissions.explainer.timed_out(self._queue).at(deadline.moment)
        return self

"""Admissions with a deadline, such as the end of the hours in which a lead may be called."""

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
        moment: the moment as the caller gave it, for the error.
        at: the same moment on `clock`.
        clock: returns seconds, and goes on while the machine sleeps. The wall clock can't be used
            here, because it may be set back while the caller waits.
    """

    moment: datetime
    at: float
    clock: Callable[[], float]

    @classmethod
    def of(cls, moment: datetime, clock: Callable[[], float]) -> Deadline:
        """Convert `moment`, which has a time zone, by the present time of the wall clock."""
        left = (moment - datetime.now(UTC)).total_seconds()
        return cls(moment, clock() + left, clock)

    @property
    def left(self) -> float:
        """Seconds until the deadline; 0 or less once it has passed."""
        return self.at - self.clock()


class DatedPermit(Permit):
    """A permit of a call that may be admitted until its deadline, and never later.

    The deadline is checked before the caller joins the queue, and again once it was admitted: the
    loop may have been blocked in between, or the machine may have slept.

    Args:
        admissions: admits the caller.
        queue: the queue of the caller.
        terms: how long the caller may wait.
        deadline: when the caller gives up.
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

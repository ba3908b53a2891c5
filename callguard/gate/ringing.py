"""Applies and reports what is learnt about ringing calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from callguard.gate.reporting import Reporter
from callguard.premises.learning import AFRESH, Learning

__all__ = ["Ringing"]


class _Ledger(Protocol):
    """A ledger that may take ringing calls for counted: one in memory."""

    def take_ringing(self, *, for_counted: bool) -> None: ...
    def counted_calls(self) -> Iterable[str]: ...


class Ringing:
    """Passes on to the ledger and the reporter whether ringing calls were learnt to be counted.

    Args:
        learning: learns whether ringing calls are counted.
        ledger: goes by what was learnt; None for a shared ledger, to whose users it is suggested.
        reporter: reports what was learnt.

    Attributes:
        learning: the argument.
        counted: whether ringing calls were learnt to be counted.
    """

    def __init__(self, learning: Learning, ledger: _Ledger | None, reporter: Reporter) -> None:
        self.learning: Final = learning
        self._ledger = ledger
        self._reporter = reporter
        self.counted = False

    @property
    def score(self) -> int:
        """How strong the evidence is that ringing calls are counted; see `Learning`."""
        return self.learning.score

    @property
    def applied(self) -> bool:
        """Whether the ledger takes ringing calls for counted."""
        return self.counted and self._ledger is not None

    def calls_in_question(self) -> Iterable[str]:
        """Return the ids of the counted calls: an unreported end looks like somebody else's.

        There are none where an answer would change nothing: on a shared ledger, after a refusal,
        and while the evidence that ringing calls are not counted is as strong as it gets.
        """
        learning = self.learning
        if self._ledger is None or learning.given_up or learning.score <= AFRESH:
            return ()
        return self._ledger.counted_calls()

    def refused(self) -> None:
        """Note that the provider refused a call: what was learnt is given up for good."""
        was_given_up = self.learning.given_up
        self.learning.refused()
        if self._ledger is not None and self.learning.given_up and not was_given_up:
            self._reporter.gave_up("counts_ringing")
        self.look()

    def look(self) -> None:
        """Let the ledger go by what has been learnt by now."""
        counted = self.learning.learnt
        if counted == self.counted:
            return
        self.counted = counted
        if self._ledger is not None:
            self._ledger.take_ringing(for_counted=counted)
        self._reporter.ringing_learnt(counted=counted, applied=self._ledger is not None)

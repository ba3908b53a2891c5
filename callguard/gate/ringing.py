"""What is learnt of ringing calls, and what follows from it."""

from __future__ import annotations

from typing import Final, Protocol

from callguard.gate.reporting import Reporter
from callguard.premises import Learning

__all__ = ["Ringing"]


class _Believer(Protocol):
    """A ledger that may take ringing calls for counted: one in memory."""

    def take_ringing(self, *, for_counted: bool) -> None: ...


class Ringing:
    """Tells the ledger and the reporter when it is learnt that ringing is counted, or doubted.

    Args:
        learning: learns it.
        ledger: goes by it; None for a shared ledger, to whose users it is only suggested.
        reporter: reports it.

    Attributes:
        learning: learns it.
        counted: whether ringing is taken for counted, or on a shared ledger, could be.
    """

    def __init__(self, learning: Learning, ledger: _Believer | None, reporter: Reporter) -> None:
        self.learning: Final = learning
        self._ledger = ledger
        self._reporter = reporter
        self.counted = False

    @property
    def score(self) -> int:
        """How much speaks for it that ringing is counted; see `Learning`."""
        return self.learning.score

    @property
    def applied(self) -> bool:
        """Whether the ledger goes by it."""
        return self.counted and self._ledger is not None

    def refused(self) -> None:
        """Note that the provider refused a call."""
        self.learning.refused()
        self.look()

    def look(self) -> None:
        """Let the ledger go by what is known by now."""
        counted = self.learning.learnt
        if counted == self.counted:
            return
        self.counted = counted
        if self._ledger is not None:
            self._ledger.take_ringing(for_counted=counted)
        self._reporter.ringing_learnt(counted=counted, applied=self._ledger is not None)

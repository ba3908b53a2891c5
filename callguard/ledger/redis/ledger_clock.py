"""The ledger's clock, as far as one worker knows it.

Moments of two clocks are never compared. The worker knows when it sent an exchange, when the answer
came, and what the ledger's clock showed in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["JITTER", "LedgerClock"]

JITTER: Final = 0.25
"""Seconds by which an exchange may be late, on either side, before a clock is doubted."""

DRIFT: Final = 1e-3
"""Seconds per second by which two clocks drift apart at most if nobody sets them: ten times the
usual drift of a computer's quartz."""


RESOLUTION: Final = 1e-3
"""The resolution of the ledger's clock in seconds; it shows whole milliseconds, rounded down."""


class LedgerClock:
    """One worker's knowledge of the ledger's clock, from its exchanges.

    Args:
        clock: the event loop's clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # A lower bound of the seconds by which the event loop's clock is ahead.
        self._offset = 0.0
        # An upper bound of the seconds by which the ledger's clock was ahead when an exchange was
        # sent, and the moment of that.
        self._lead: float | None = None
        self._lead_at = 0.0

    def word(self, sent_at: float) -> tuple[int, int] | None:
        """The bound on the ledger's clock that a worker reports in an exchange that it sends now.

        Args:
            sent_at: the present moment, in seconds on the event loop's clock.

        Returns:
            The latest time that the ledger's clock can show now, and how long ago the exchange was
            from which this is known, both in milliseconds; None if nothing is known.
        """
        if self._lead is None:
            return None
        return int((sent_at + self._lead) * 1000), int((sent_at - self._lead_at) * 1000)

    def showed(self, now: float, sent_at: float) -> None:
        """Note that the ledger's clock showed `now` at some moment since the exchange was sent.

        If the ledger's clock is further ahead, even at the present moment, than it can have got
        since the exchange before, then the event loop's clock stood still.
        """
        self._offset = sent_at - now - RESOLUTION
        lead = -self._offset
        if self._lead is not None:
            most = self._lead + DRIFT * max(0.0, sent_at - self._lead_at)
            stood_still = now - self._clock() > most + JITTER
            lead = lead if stood_still else min(lead, most)
        self._lead, self._lead_at = lead, sent_at

    def begin_anew(self) -> None:
        """Forget everything, because the ledger, and so its clock, is another one."""
        self._lead = None

    def local(self, milliseconds: int) -> float:
        """Convert a moment of the ledger's clock to the event loop's seconds, never too late."""
        return milliseconds / 1000 + self._offset

    def note_sleep(self, slept: float) -> None:
        """Note that the machine slept for `slept` seconds, while the ledger's clock went on."""
        self._offset -= slept
        if self._lead is not None:
            self._lead += slept
            self._lead_at -= slept

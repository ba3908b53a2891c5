"""The ledger's clock, as far as one worker knows it.

Moments of two clocks are never compared: the worker knows when it sent an exchange, when the answer
came, and what the ledger's clock showed in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["JITTER", "LedgerClock"]

JITTER: Final = 0.25
"""Seconds by which an exchange may be late before a clock is doubted, on either side."""

DRIFT: Final = 1e-3
"""Seconds in a second by which two clocks that nobody sets drift apart at most: ten times what is
usual for a computer's quartz."""


RESOLUTION: Final = 1e-3
"""Seconds: the ledger's clock shows whole milliseconds, and what is left over is cut off."""


class LedgerClock:
    """What one worker knows of the ledger's clock, from its exchanges.

    Args:
        clock: the event loop's, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Seconds by which the event loop's clock is ahead, and less than it really is.
        self._offset = 0.0
        # Seconds by which the ledger's clock was ahead, at most, as an exchange was sent, and when.
        self._lead: float | None = None
        self._lead_at = 0.0

    def word(self, sent_at: float) -> tuple[int, int] | None:
        """What a worker may say of the ledger's clock in an exchange that it sends now.

        Args:
            sent_at: now, in seconds on the event loop's clock.

        Returns:
            The latest that the ledger's clock can show now, and how long ago the exchange was from
            which that is known, both in milliseconds; None if nothing is known.
        """
        if self._lead is None:
            return None
        return int((sent_at + self._lead) * 1000), int((sent_at - self._lead_at) * 1000)

    def showed(self, now: float, sent_at: float) -> None:
        """The ledger's clock showed `now` at some moment since the exchange was sent.

        If that is further ahead, even of this moment, than the ledger's clock can have got since
        the exchange before, then the event loop's clock stood still.
        """
        self._offset = sent_at - now - RESOLUTION
        lead = -self._offset
        if self._lead is not None:
            most = self._lead + DRIFT * max(0.0, sent_at - self._lead_at)
            stood_still = now - self._clock() > most + JITTER
            lead = lead if stood_still else min(lead, most)
        self._lead, self._lead_at = lead, sent_at

    def begin_anew(self) -> None:
        """The ledger is another one, and nothing is known yet of its clock's way."""
        self._lead = None

    def local(self, milliseconds: int) -> float:
        """A moment of the ledger's clock, in seconds on the event loop's, and never too late."""
        return milliseconds / 1000 + self._offset

    def note_sleep(self, slept: float) -> None:
        """The machine slept for `slept` seconds, in which the ledger's clock went on."""
        self._offset -= slept
        if self._lead is not None:
            self._lead += slept
            self._lead_at -= slept

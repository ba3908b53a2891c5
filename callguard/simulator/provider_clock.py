"""The provider's clock, by which it stamps its calls and dates its answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import formatdate

__all__ = ["SimulatedClock"]


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    """Shows the workspace's times as the provider writes them.

    It shows seconds since 1970, and need not be right: what it is off by is a part of `ahead`.

    Args:
        ahead: how far it is ahead of the workspace's clock, in seconds.
    """

    ahead: float = 0.0

    def stamp(self, at: float) -> int:
        """The moment in whole milliseconds, as in ``start_timestamp`` and ``end_timestamp``.

        Args:
            at: seconds on the workspace's clock.
        """
        return round((at + self.ahead) * 1000)

    def date(self, at: float) -> str:
        """The header ``Date`` of an answer at that moment, in whole seconds, cut as servers do.

        Args:
            at: seconds on the workspace's clock.
        """
        return formatdate(math.floor(at + self.ahead), usegmt=True)

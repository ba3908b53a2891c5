"""How many requests the simulated provider answers."""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from callguard.simulator.settings import InvalidSetting

__all__ = ["RequestLimit"]

_MINUTE: Final = 60.0


class RequestLimit:
    """Counts the requests by endpoint, and says which are too many.

    The provider has a status for it, 429, but publishes no number, so any will do here. The limit
    is one for all endpoints, in any rolling minute. A refused request doesn't count towards it.

    Args:
        per_minute: requests that are answered in any rolling minute; None for no limit.

    Attributes:
        answered: requests by endpoint, such as ``"/get-concurrency"``.
        refused: those that were too many.

    Raises:
        InvalidSetting: `per_minute` is not a whole number of requests, at least 1.
    """

    def __init__(self, per_minute: int | None = None) -> None:
        if per_minute is not None and not (type(per_minute) is int and per_minute >= 1):
            expected = f"must be a whole number of requests, at least 1, got {per_minute!r}"
            raise InvalidSetting("requests_per_minute", expected)
        self.answered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._per_minute = per_minute
        self._times: deque[float] = deque()

    def has_room(self, endpoint: str, now: float) -> bool:
        """Count a request; return whether it is answered.

        Args:
            endpoint: what is asked for.
            now: when it came, in seconds, never earlier than before.
        """
        if self._per_minute is not None:
            while self._times and self._times[0] <= now - _MINUTE:
                self._times.popleft()
            if len(self._times) >= self._per_minute:
                self.refused[endpoint] += 1
                return False
            self._times.append(now)
        self.answered[endpoint] += 1
        return True

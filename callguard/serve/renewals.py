"""Which names were not renewed in time, with one timer for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Renewals"]


class Renewals:
    """Calls `lapsed` with each name that is kept and not renewed in time.

    All names have the same time, so the order of their renewals is that of their ends, and the
    first one is all that the timer has to know. While none is kept, there is no timer.

    Args:
        within: seconds after which a name lapses, unless it is renewed.
        lapsed: called once with a name that has lapsed, which is not kept any more by then.
    """

    def __init__(self, within: float, lapsed: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._within = within
        self._lapsed = lapsed
        self._due: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def renew(self, name: str) -> None:
        """Keep a name from now on, for the full time."""
        self._due.pop(name, None)
        self._due[name] = self._loop.time() + self._within
        if self._timer is None:
            self._timer = self._loop.call_later(self._within, self._ring)

    def drop(self, name: str) -> None:
        """Keep a name no longer; nothing happens if it isn't kept."""
        self._due.pop(name, None)
        if not self._due:
            self.stop()

    def due_in(self, name: str) -> float:
        """Seconds until a name lapses; the full time if it isn't kept."""
        at = self._due.get(name)
        return self._within if at is None else max(0.0, at - self._loop.time())

    def stop(self) -> None:
        """Forget all names, and the timer."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        late = [name for name, at in self._due.items() if at <= now]
        for name in late:
            del self._due[name]
        if self._due:
            first = next(iter(self._due.values()))
            self._timer = self._loop.call_at(first, self._ring)
        for name in late:
            self._lapsed(name)

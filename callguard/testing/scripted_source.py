"""A source of limits with answers set by a test."""

from __future__ import annotations

import asyncio

from callguard.errors import CallGuardError
from callguard.limits import Limits, Snapshot

__all__ = ["ScriptedSource"]


class ScriptedSource:
    """A `callguard.LimitSource` that gives the answer that was set when the request began.

    ::

        source = ScriptedSource(limit=5)
        async with callguard.open_gate(source=source) as gate:
            source.error = LimitsUnavailable("an outage")

    Args:
        limit: calls that may be live at once.
        current: calls that the counter reports.
        latency: seconds that each answer takes.

    Attributes:
        latency: seconds that each later answer takes; may be set.
        limits: the limits to answer with; may be set.
        error: an exception to raise instead of answering, or None; may be set.
        asked: when each request began, in seconds on the event loop's clock.
    """

    def __init__(self, limit: int = 20, current: int = 0, *, latency: float = 0.0) -> None:
        self.latency = latency
        self.error: CallGuardError | None = None
        self.asked: list[float] = []
        self.answer(limit, current)

    def answer(
        self,
        limit: int,
        current: int = 0,
        *,
        burst_limit: int = 0,
        reserved_inbound: int = 0,
    ) -> None:
        """Set the limits to answer with, and clear `error`.

        Args:
            limit: calls that may be live at once.
            current: calls that the counter reports.
            burst_limit: calls that may be live at once with burst; 0 if burst is off.
            reserved_inbound: calls that outbound calls leave free.
        """
        self.error = None
        self.limits = Limits(
            current_concurrency=current,
            concurrency_limit=limit,
            reserved_inbound_concurrency=reserved_inbound,
            concurrency_burst_enabled=burst_limit > 0,
            concurrency_burst_limit=burst_limit,
        )

    async def get(self, *, newer_than: float | None = None) -> Snapshot:  # noqa: ARG002
        """Return a new snapshot; `newer_than` is ignored.

        Raises:
            CallGuardError: the `error` that was set.
        """
        loop = asyncio.get_running_loop()
        began, limits, error = loop.time(), self.limits, self.error
        self.asked.append(began)
        if self.latency:
            await asyncio.sleep(self.latency)
        if error is not None:
            raise error
        return Snapshot(limits, began, loop.time())

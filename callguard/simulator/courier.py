"""Hands over each webhook when it is due."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from callguard.simulator.model import Workspace
from callguard.simulator.records import Call
from callguard.simulator.webhooks import Deliveries, Delivery

__all__ = ["Courier"]


class Courier:
    """Calls `deliver` with each delivery at its time, on the running event loop.

    It uses one timer and no task, however many deliveries are to come. If the workspace's clock is
    the loop's ``time``, it also works on a loop whose clock jumps.

    Args:
        workspace: the workspace whose calls the webhooks are about.
        deliveries: the deliveries of that workspace.
        deliver: called in the event loop with each delivery; its exceptions go to the loop's
            exception handler, and stop nothing.
        longest_sleep: seconds after which the workspace's clock is read again, at most; needed if
            that clock is not the loop's.
    """

    def __init__(
        self,
        workspace: Workspace,
        deliveries: Deliveries,
        deliver: Callable[[Delivery], None],
        *,
        longest_sleep: float = math.inf,
    ) -> None:
        self._workspace = workspace
        self._deliveries = deliveries
        self._deliver = deliver
        self._longest_sleep = longest_sleep
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._stirred = False
        self._closed = False
        workspace.watch(self._stir)
        self._sleep()

    def close(self) -> None:
        """Deliver nothing more."""
        self._closed = True
        self._stop_timer()

    def _stir(self, call: Call) -> None:  # noqa: ARG002 - whichever call it is
        """Look soon, not now: a watcher must not call the workspace."""
        if not self._stirred:
            self._stirred = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        if self._closed:
            return
        for delivery in self._deliveries.due():
            self._loop.call_soon(self._hand_over, delivery)
        self._stirred = False
        self._sleep()

    def _hand_over(self, delivery: Delivery) -> None:
        if not self._closed:
            self._deliver(delivery)

    def _sleep(self) -> None:
        # `now` comes first: it lets the workspace catch up, which may plan an earlier delivery.
        now = self._workspace.now
        self._stop_timer()
        at = self._deliveries.next_at
        if at is not None:
            seconds = min(max(at - now, 0.0), self._longest_sleep)
            self._timer = self._loop.call_later(seconds, self._look)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

"""Draining a gate: it admits nobody, and waits until all its calls are over or counted."""

from __future__ import annotations

import asyncio

from callguard.errors import GateClosed, GateDraining
from callguard.gate.admissions import Admissions
from callguard.gate.home import Home
from callguard.gate.schedule import Schedule
from callguard.ledger import Ledger

__all__ = ["Draining"]


class Draining:
    """Drains one gate, for any number of callers.

    Args:
        home: the gate's event loop and state.
        ledger: the gate's ledger.
        schedule: takes the snapshots that show the calls.
        admissions: the waiting callers.
    """

    def __init__(
        self, home: Home, ledger: Ledger, schedule: Schedule, admissions: Admissions
    ) -> None:
        self._home = home
        self._ledger = ledger
        self._schedule = schedule
        self._admissions = admissions
        # Done at each change that may complete the drain; each waiter for the next makes a new one.
        self._changed: asyncio.Future[None] | None = None

    async def drain(self) -> None:
        """Stop admitting, and wait until no call of this gate is dialling or uncounted.

        Raises:
            GateClosed: the gate is closed, or is closed while this waits.
            UsageError: this is not the gate's event loop.
        """
        if self._home.draining:
            self._home.check()
        else:
            self._begin()
        while self._ledger.unsettled():
            self._schedule.want()
            if self._changed is None:
                self._changed = self._home.loop.create_future()
            await asyncio.wait([self._changed])
            if not self._home.draining:
                raise GateClosed("the gate was closed while it was draining")

    @property
    def reads(self) -> bool:
        """Whether the drain needs readings, although nobody is in the queue."""
        return self._home.draining and self._ledger.unsettled() > 0

    def _begin(self) -> None:
        self._home.check_open()
        self._home.drain()
        self._admissions.served = self.look
        error = GateDraining("the gate began to drain while this caller waited in the queue")
        self._admissions.fail(error, "closed")

    def look(self) -> None:
        """Look again, after a snapshot came, a slot was given back, or the gate was closed."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None

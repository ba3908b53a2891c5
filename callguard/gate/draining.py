"""The end of a gate's work: nobody new, and a wait until all is known of the calls that go on."""

from __future__ import annotations

import asyncio

from callguard.errors import GateClosed, GateDraining
from callguard.gate.admissions import Admissions
from callguard.gate.home import Home
from callguard.gate.schedule import Schedule
from callguard.ledger import Ledger

__all__ = ["Draining"]


class Draining:
    """Drains one gate, for as many callers as ask for it.

    Args:
        home: where the gate lives.
        ledger: who holds what.
        schedule: takes the snapshots that show the calls.
        admissions: who waits.
    """

    def __init__(
        self, home: Home, ledger: Ledger, schedule: Schedule, admissions: Admissions
    ) -> None:
        self._home = home
        self._ledger = ledger
        self._schedule = schedule
        self._admissions = admissions
        # Done at each change after which all may be known; replaced by whoever waits for the next.
        self._changed: asyncio.Future[None] | None = None

    async def drain(self) -> None:
        """Let nobody in any more, and wait until no call of this gate's is dialling or uncounted.

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
        """Whether readings are taken for it, though nobody is in the queue."""
        return self._home.draining and self._ledger.unsettled() > 0

    def _begin(self) -> None:
        self._home.check_open()
        self._home.drain()
        self._admissions.served = self.look
        error = GateDraining("the gate began to drain while this caller waited in the queue")
        self._admissions.fail(error, "closed")

    def look(self) -> None:
        """Something has changed: a snapshot came, a slot was given back, or the gate is closed."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None

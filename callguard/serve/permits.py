"""The permits of one workspace that clients hold over HTTP, found by their ids or their keys.

The laws that this file holds:

- A key stands for one permit, so a client that lost an answer asks again and gets the same one. Its
  id is a digest of the key under a secret of this process, so one table finds both. A permit that
  left the queue without a slot frees its key.
- A permit that waits or is being dialled has to be renewed. If it isn't, one that waits leaves the
  queue, and the call of one that was admitted counts as placed: the client may have dialled. So a
  client that is lost leaks nothing, and gives nothing back that may be in use.
- A permit that is over, or placed, is remembered for a time, so that a repeated report gets the
  same answer. Forgetting one loses nothing: the gate takes the end of its call by the call's id.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import hmac
import secrets
from contextlib import suppress
from functools import partial
from typing import Final

from cachetools import TTLCache

from callguard.errors import GateClosed
from callguard.gate import Gate
from callguard.serve.held import Asked, HeldPermit, Report
from callguard.serve.permit_errors import KeyReused, PermitExpired, PermitUnknown, TooManyWaiting
from callguard.serve.renewals import Renewals
from callguard.serve.settings import USUAL_PATIENCE
from callguard.tasks import end

__all__ = ["AT_ONCE", "LONGEST_KEY", "Permits"]

AT_ONCE: Final = 0.25
"""Seconds within which a permit is said to be admitted at once: a shared ledger's answer takes no
longer. Our own choice."""

LONGEST_KEY: Final = 256
"""Characters of a key at most. Our own choice: a UUID has 36."""

REMEMBERED: Final = 10_000
"""Permits that are over, or placed, and remembered: more than a workspace has going at once."""

REMEMBERED_FOR: Final = 2.5 * 3600.0
"""Seconds for which they are remembered. A call lasts for up to 2 h."""


class Permits:
    """The permits that clients of one workspace hold.

    Args:
        gate: the workspace's gate.
        most_waiting: permits that may wait at once.
        renew_within: seconds within which a client has to ask for its permit again.
        longest_poll: seconds for which a request waits for an admission at most.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        most_waiting: int = 10_000,
        renew_within: float = 60.0,
        longest_poll: float = USUAL_PATIENCE,
    ) -> None:
        self._gate = gate
        self._most_waiting = most_waiting
        self._renew_within = renew_within
        self._longest_poll = longest_poll
        self._secret = secrets.token_bytes(32)
        self._live: dict[str, HeldPermit] = {}
        self._waiting: set[HeldPermit] = set()
        self._renewals = Renewals(renew_within, self._lapse)
        loop = asyncio.get_running_loop()
        self._past = TTLCache[str, HeldPermit](REMEMBERED, REMEMBERED_FOR, timer=loop.time)

    @property
    def live(self) -> int:
        """How many permits wait, or hold a slot for a dial."""
        return len(self._live)

    @property
    def open(self) -> bool:
        """Whether a client may still have something to report."""
        return bool(self._live) or any(held.state == "placed" for held in self._past.values())

    def ask(self, asked: Asked, key: str | None = None) -> HeldPermit:
        """Ask for a permit, which joins the queue; the same key gives the same permit.

        Raises:
            KeyReused: the key stands for a permit that was asked for with other words.
            TooManyWaiting: as many permits wait as may.
            GateClosed: the gate drains, or is closed.
            UsageError: the gate has no such lane or trunk.
            TypeError: `asked.wait` is not a number.
            ValueError: `asked.wait` is negative or NaN.
        """
        name = secrets.token_urlsafe(24) if key is None else self._name(key)
        known = self._live.get(name) or self._past.get(name)
        if known is not None and known.state not in {"expired", "denied"}:
            return self._same(known, asked)
        if len(self._waiting) >= self._most_waiting:
            raise TooManyWaiting(f"{self._most_waiting} permits wait, and no more may; try later")
        held = HeldPermit(name, asked, asked.permit(self._gate))
        self._past.pop(name, None)
        self._live[name] = held
        self._waiting.add(held)
        self._renewals.renew(name)
        held.entry.add_done_callback(partial(self._settled, held))
        return held

    def _name(self, key: str) -> str:
        return hmac.new(self._secret, key.encode(), hashlib.sha256).hexdigest()[:32]

    def _same(self, known: HeldPermit, asked: Asked) -> HeldPermit:
        if known.asked != asked:
            raise KeyReused(
                f"the key was used before for {known.asked}, and now for {asked}; a key is for one "
                "call"
            )
        self._renew(known)
        return known

    def find(self, name: str) -> HeldPermit:
        """Find a permit by its id.

        Raises:
            PermitUnknown: there is no such permit here.
        """
        held = self._live.get(name) or self._past.get(name)
        if held is None:
            raise PermitUnknown
        return held

    async def poll(self, held: HeldPermit, seconds: float) -> None:
        """Wait until a permit doesn't wait any more, or `seconds` have passed, and renew it.

        It doesn't expire meanwhile. Cancelling this leaves it as renewed at that moment.

        Raises:
            CallGuardError: the gate doesn't admit it any more.
            PermitExpired: it had left the queue before.
        """
        held.polls += 1
        self._renewals.drop(held.id)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(seconds, self._longest_poll)):
                    await held.settled.wait()
        finally:
            held.polls -= 1
            self._renew(held)
        if held.error is not None:
            raise copy.copy(held.error)  # raising adds to its traceback
        if held.state == "expired":
            raise PermitExpired(
                f"the permit left the queue, because it was not renewed for {self._renew_within:g} "
                "s; ask for another one, the same key may be used"
            )

    async def first(self, held: HeldPermit) -> None:
        """Wait until it is known whether a permit is admitted at once.

        Raises:
            CallGuardError: the gate doesn't admit it.
        """
        await self.poll(held, self._longest_poll if held.asked.wait == 0 else AT_ONCE)

    def report(
        self, held: HeldPermit, word: Report, call_id: str | None = None, status: int | None = None
    ) -> None:
        """Record what a client reports of its call; see `HeldPermit.report`."""
        try:
            held.report(word, call_id, status)
        finally:
            self._sort(held)

    def cancel(self, held: HeldPermit) -> None:
        """Take a permit out of the queue, or give its slot back; see `HeldPermit.cancel`."""
        held.cancel()
        self._sort(held)

    def expires_in(self, held: HeldPermit) -> float | None:
        """Seconds within which a permit has to be renewed; None if there is no need to."""
        return self._renewals.due_in(held.id) if held.live else None

    def position(self, held: HeldPermit) -> int | None:
        """The position of a permit in its lane's queue, at most; None if it doesn't wait.

        A lane's callers go in order, so nobody's position grows, and it is no greater than their
        number.
        """
        if held.state != "waiting":
            return None
        waiting = max(1, self._gate.statistics().waiting[held.permit.lane.name])
        held.position = waiting if held.position is None else min(held.position, waiting)
        return held.position

    async def aclose(self) -> None:
        """End every wait. Calls that are being dialled count as placed.

        Cancelling this leaves some entries to end by themselves.
        """
        self._renewals.stop()
        for held in list(self._live.values()):
            held.deny(GateClosed("the server stops, and admits nobody any more"))
            held.lapse()
            self._sort(held)
        await end(held.entry for held in list(self._waiting))

    def _renew(self, held: HeldPermit) -> None:
        if held.id in self._live and not held.polls:
            self._renewals.renew(held.id)

    def _lapse(self, name: str) -> None:
        held = self._live[name]
        held.lapse()
        self._sort(held)

    def _settled(self, held: HeldPermit, _entry: object) -> None:
        self._waiting.discard(held)
        self._sort(held)

    def _sort(self, held: HeldPermit) -> None:
        """Move a permit that nobody has to renew any more to those of the past."""
        if held.live:
            return
        if self._live.get(held.id) is held:
            del self._live[held.id]
            self._renewals.drop(held.id)
            self._past[held.id] = held
        elif self._past.get(held.id) is held:
            self._past[held.id] = held  # for the full time again

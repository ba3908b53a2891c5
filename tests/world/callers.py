"""Those who come to the gate: each has one call to place, and a way of its own of going wrong."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace, TracebackType
from typing import Protocol

import callguard
from tests.world.checkers import SLACK, Dials, Order, Pauses, Rates, Readings, Scene
from tests.world.plan import CallerPlan, DialPlan
from tests.world.provider import DialError, Refusal

__all__ = ["BEGINNING", "Caller", "Hall"]

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
"""What the wall clock shows as the world begins."""


class Hall(Protocol):
    """Where callers meet the gate."""

    @property
    def scene(self) -> Scene: ...
    @property
    def order(self) -> Order: ...
    @property
    def rates(self) -> Rates: ...
    @property
    def pauses(self) -> Pauses: ...
    @property
    def dials(self) -> Dials: ...
    @property
    def readings(self) -> Readings: ...
    def trace(self, line: str) -> None: ...


class BodyFailed(Exception):
    """What the body of a block raises: another service had enough of it."""

    status_code = 429
    request = SimpleNamespace(url="https://crm.test/leads", method="POST")


class _Unheld:
    """The permit of the short form: nobody can say anything of it."""

    def __init__(self, permit_id: str) -> None:
        self.id = permit_id

    def placed(self, call_id: str | None = None) -> None:
        """Nothing: who has no permit can't say so."""

    def cancel(self) -> None:
        """Nothing, likewise."""


class _Short:
    """The short form, which shows the world whom it has admit."""

    def __init__(self, gate: callguard.Gate) -> None:
        self._gate = gate

    async def __aenter__(self) -> _Unheld:
        await self._gate.__aenter__()
        return _Unheld(f"{self._gate.id}-{self._gate._unheld[-1]}")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._gate.__aexit__(kind, error, traceback)


class Caller:
    """One caller; `live` is its whole life.

    Attributes:
        name: in the trace.
        task: what it runs in.
        awaits_grant: whether it is to be cancelled when it is admitted.
    """

    def __init__(self, number: int, plan: CallerPlan, hall: Hall) -> None:
        self.name = f"caller {number}"
        self.task: asyncio.Task[None] | None = None
        self.awaits_grant = plan.cancelled is not None and plan.cancelled.at == "grant"
        self._plan = plan
        self._hall = hall
        self._scene = hall.scene
        self._dialled = 0
        self._permit: callguard.Permit | None = None
        self._in_doubt: callguard.Permit | _Unheld | None = None

    async def live(self) -> None:
        """Come, and be admitted or not."""
        self._hall.trace(f"{self.name} comes to {self._plan.lane} by {self._plan.way}")
        try:
            word = await self._come()
        except asyncio.CancelledError:
            word = "cancelled"
        except callguard.CallGuardError as error:
            word = type(error).__name__
            if isinstance(error, callguard.LimitsRejected):
                self._hall.readings.rejected()
        except (Refusal, DialError, OSError, BodyFailed) as error:
            word = type(error).__name__
        finally:
            self._hall.order.leaves(self.name)
        self._hall.trace(f"{self.name} goes: {word}")

    async def _come(self) -> str:
        gate, plan = self._scene.gate, self._plan
        if gate is None:
            return "no gate"
        self._hall.readings.wanted()
        if plan.way == "try":
            return await self._through(gate.try_admit(plan.lane, trunk=plan.trunk))
        timeout = None if plan.way == "short" else plan.timeout
        not_after = plan.not_after
        self._hall.order.joins(self.name, plan.lane, plan.trunk, timeout, not_after)
        hours_end = None if not_after is None else BEGINNING + timedelta(seconds=not_after)
        if plan.way == "short":
            return await self._through(_Short(gate))
        if plan.way == "admit":
            return await self._through(
                gate.admit(plan.lane, trunk=plan.trunk, timeout=timeout, not_after=hours_end)
            )
        await gate.place(
            self._dial_for_the_gate,
            lane=plan.lane,
            trunk=plan.trunk,
            timeout=timeout,
            not_after=hours_end,
            idempotent=plan.way == "place again",
        )
        return "placed"

    async def _through(
        self, block: AbstractAsyncContextManager[callguard.Permit | _Unheld, bool | None]
    ) -> str:
        async with block as permit:
            self._enter(permit)
            await self._body(permit)
        if self._plan.named == "after":
            self._say("placed")
        return "placed"

    def _enter(self, permit: callguard.Permit | _Unheld) -> None:
        if not self._scene.plan.gate.listens:
            self._hall.dials.admitted(permit.id)
            self._hall.readings.wanted()
        self._hall.rates.enters(permit.id)
        self._hall.pauses.enters(permit.id, self._plan.lane, self._plan.trunk)
        self._hall.order.enters(self.name, permit.id)
        if isinstance(permit, _Unheld):
            return
        self._permit = permit
        loop = asyncio.get_running_loop()
        for saying in self._plan.says:
            loop.call_later(saying.after, self._say_after_block, saying.what)

    async def _body(self, permit: callguard.Permit | _Unheld) -> None:
        plan = self._plan
        try:
            await asyncio.sleep(plan.thinks)
        except asyncio.CancelledError:
            if plan.tidy:
                self._cancel(permit)
            raise
        if plan.gives_up:
            self._cancel(permit)
            return
        call_id = await self._dial(permit)
        if plan.named == "in block":
            permit.placed(call_id)
            if plan.regrets:
                permit.cancel()
        if plan.fails:
            raise BodyFailed
        await asyncio.sleep(plan.lingers)

    async def _dial_for_the_gate(self, permit: callguard.Permit) -> dict[str, str]:
        if permit is not self._permit:
            self._enter(permit)
        if self._plan.not_after is not None and self._scene.now() > self._plan.not_after + SLACK:
            self._scene.blame("too late", f"{self.name} is dialled after {self._plan.not_after}")
        return {"call_id": await self._dial(permit)}

    async def _dial(self, permit: callguard.Permit | _Unheld) -> str:
        again = self._plan.way == "place again"
        self._hall.dials.asks(self.name, permit.id, again=again)
        try:
            return await self._scene.provider.dial(permit.id, self._next_dial())
        except Refusal:
            self._note_refusal(permit)
            raise
        except ConnectionRefusedError:
            self._in_doubt = permit
            if self._plan.tidy and not again:
                self._cancel(permit)
            raise
        except (DialError, OSError, asyncio.CancelledError):
            self._in_doubt = permit
            if self._plan.lies and not again and not isinstance(permit, _Unheld):
                self._lie(permit)
            raise

    def _next_dial(self) -> DialPlan:
        dials = self._plan.dials
        self._dialled += 1
        return dials[min(self._dialled, len(dials)) - 1]

    def _note_refusal(self, permit: callguard.Permit | _Unheld) -> None:
        """Where an earlier request may have placed the call, this one's refusal proves nothing."""
        scene = self._scene
        if not scene.gave(permit.id):
            return
        scene.perhaps_refused_at = scene.changed_at = scene.now()
        if permit is self._in_doubt:
            return
        scene.refused_at = scene.now()
        if self._plan.way in {"place", "place again"}:
            self._hall.order.comes_back(self.name)
            self._hall.readings.wanted()

    def _cancel(self, permit: callguard.Permit | _Unheld) -> None:
        self._hall.rates.cancels(permit.id)
        permit.cancel()

    def _lie(self, permit: callguard.Permit) -> None:
        self._hall.trace(f"{self.name} lies")
        self._scene.lied.add(permit.id)
        self._scene.denied.add(permit.id)
        self._cancel(permit)

    def _say_after_block(self, what: str) -> None:
        if self._permit is not None and (self.task is None or self.task.done()):
            self._say(what)

    def _say(self, what: str) -> None:
        """Say what is true by now, and nothing else."""
        permit, scene = self._permit, self._scene
        call = None if permit is None else scene.provider.call_of(permit.id)
        if permit is None or call is None:
            return
        if what == "started" and call.answered_at is None:
            return
        if what == "ended" and call.going_on:
            return
        self._hall.trace(f"{self.name} says {what}")
        scene.denied.discard(permit.id)
        if what == "placed":
            permit.placed(call.id)
        elif what == "started":
            permit.answered()
        else:
            if scene.gave(permit.id):
                scene.changed_at = scene.now()
            permit.ended()

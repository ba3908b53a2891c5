"""Trunks that take so many calls at once, seen at the provider and by what a gate tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import callguard
from callguard.ledger.redis.keys import trunk_hash
from tests.world.checkers import SLACK, Scene
from tests.world.losses import Losses
from tests.world.plan import Plan
from tests.world.provider import Call, Provider

__all__ = ["OnSharedTrunks", "OnTrunks"]


class OnTrunks:
    """No more of a gate's own calls go on, on a trunk, than it takes; and no call holds up another
    for longer than it has to.

    The gate's count of a trunk is between two others: the calls that really go on there, and those
    that it has told of and of whose end it has told nothing, until they have lasted as long as a
    call can. A call of which a caller has lied is left out of the first.

    A gate knows nothing of the calls of the one before it.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._trunks = {trunk.name: trunk for trunk in scene.plan.gate.trunks if trunk.calls}
        self.opened()

    def opened(self) -> None:
        """A gate is open, on which there is no call so far."""
        self._trunk_of: dict[str, str] = {}
        self._over_at: dict[str, float] = {}

    def admitted(self, permit_id: str, trunk: str | None) -> None:
        if trunk in self._trunks:
            self._trunk_of[permit_id] = trunk
            self._over_at[permit_id] = inf

    def told(self, event: callguard.events.Event) -> None:
        """The gate tells what became of a call."""
        match event:
            case callguard.events.Placed(permit_id) if permit_id in self._trunk_of:
                trunk = self._trunks[self._trunk_of[permit_id]]
                lasts = self._scene.plan.gate.ring_limit + trunk.longest_call
                self._over_at[permit_id] = self._scene.now() + lasts
            case (
                callguard.events.Ended(str(permit_id))
                | callguard.events.Refused(str(permit_id))
                | callguard.events.Cancelled(permit_id)
            ):
                self._over_at.pop(permit_id, None)

    def check(self) -> None:
        """All is done that can be done at an instant."""
        if self._scene.gate is None:
            return
        for name, (counted, most) in self._scene.gate.statistics().on_trunk.items():
            going_on = sum(
                self._is_on(call, name) for call in self._scene.provider.going_on.values()
            )
            told = sum(self._may_be_on(permit_id, name) for permit_id in self._over_at)
            if going_on > most:
                self._scene.blame("trunk", f"{going_on} calls on {name}, which takes {most}")
            if not going_on <= counted <= told:
                self._scene.blame(
                    "trunk", f"{counted} on {name}: {going_on} go on, {told} were told of"
                )

    def _is_on(self, call: Call, trunk: str) -> bool:
        lied = call.key in self._scene.lied
        return self._scene.is_own(call) and not lied and self._trunk_of.get(call.key) == trunk

    def _may_be_on(self, permit_id: str, trunk: str) -> bool:
        lasts_on = self._over_at[permit_id] > self._scene.now() - SLACK
        return lasts_on and self._trunk_of[permit_id] == trunk


class OnSharedTrunks:
    """No more calls of all workers go on, on a trunk, than it takes.

    But for those of permits that are excused: given by a ledger that had lost something of which
    nobody who had spoken to it knew.

    Args:
        blame: called with a rule and what broke it.
        plan: of the world.
        provider: knows what really goes on.
        losses: what the ledger has lost.
    """

    def __init__(
        self,
        blame: Callable[[str, str], None],
        plan: Plan,
        provider: Provider,
        losses: Losses,
    ) -> None:
        self._blame = blame
        self._provider = provider
        self._losses = losses
        self._trunks = {trunk_hash(each.name): each for each in plan.gate.trunks if each.calls}
        self._trunk_of: dict[str, str] = {}

    def made(self, worker: str, request: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
        """An exchange took place, or didn't."""
        if reply["status"] != "ok" or self._losses.pending:
            return
        for number, (index, _) in enumerate(reply.get("grants") or (), request["next"]):
            trunk = request["claims"][index].get("trunk")
            if trunk in self._trunks:
                self._trunk_of[f"{worker}-{number}"] = trunk

    def check(self, is_excused: Callable[[str], bool]) -> None:
        """A call has begun."""
        keys = [call.key for call in self._provider.going_on.values() if not is_excused(call.key)]
        on = Counter(self._trunk_of[key] for key in keys if key in self._trunk_of)
        for trunk, calls in on.items():
            plan = self._trunks[trunk]
            if calls > (plan.calls or 0):
                self._blame("trunk", f"{calls} calls on {plan.name}, which takes {plan.calls}")

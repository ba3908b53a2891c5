"""What a shared ledger's server lets start, seen where it says so: no trunk beyond its rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from callguard.ledger.redis.keys import trunk_hash
from tests.world.plan import SharedPlan, TrunkPlan

__all__ = ["Starts"]

RESOLUTION = 0.002
"""Seconds: the server goes by whole milliseconds, of two moments."""


class Starts:
    """The starts of all workers, by trunk.

    Where the server's clock steps, a start may be early by as much as the ledger can't tell.

    Args:
        blame: called with a rule and what broke it.
        now: seconds in the world.
        plan: of the world.
    """

    def __init__(
        self, blame: Callable[[str, str], None], now: Callable[[], float], plan: SharedPlan
    ) -> None:
        self._blame = blame
        self._now = now
        self._early = plan.untold + RESOLUTION
        rated = (trunk for trunk in plan.world.gate.trunks if trunk.cps)
        self._trunks: dict[str, TrunkPlan] = {trunk_hash(trunk.name): trunk for trunk in rated}
        self._starts: dict[str, dict[tuple[str, int], float]] = {}
        self.forget()

    def forget(self) -> None:
        """The server is one that knows nothing of what was."""
        self._starts = {trunk: {} for trunk in self._trunks}

    def made(self, worker: str, request: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
        """An exchange took place, or didn't."""
        if reply["status"] != "ok":
            return
        for happening in request["happenings"]:
            if happening[0] == "unstart":
                for starts in self._starts.values():
                    starts.pop((worker, happening[1]), None)
            elif happening[0] == "restart":  # it was dialled, whenever that was
                self._starts[happening[2]].setdefault((worker, happening[1]), self._now())
        for number, (index, _) in enumerate(reply.get("grants") or (), request["next"]):
            trunk = request["claims"][index].get("trunk")
            if trunk in self._trunks:
                self._start(trunk, (worker, number))

    def _start(self, trunk: str, permit: tuple[str, int]) -> None:
        plan, now, starts = self._trunks[trunk], self._now(), self._starts[trunk]
        starts[permit] = now
        span = plan.span - plan.late_by - self._early
        within = sum(at + span > now for at in starts.values())
        if within > max(plan.most, 1) and span > 0:
            self._blame("rate", f"{within} in {plan.span} s on {plan.name}")

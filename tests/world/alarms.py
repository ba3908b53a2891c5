"""What gates say of their premises, held against the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import callguard
from tests.world.checkers import Scene

__all__ = ["Alarms"]


class Alarms:
    """No premise is said to be broken that holds.

    A rate holds until the provider has refused a dial for another reason than want of room, and a
    limit to ringing until a call has rung longer.

    Args:
        scene: the world.
        premises_held: whether all premises of the promise have held so far, but for these two.

    Attributes:
        said: how often each premise was said to be broken, rightly or not.
    """

    def __init__(self, scene: Scene, premises_held: Callable[[], bool]) -> None:
        self._scene = scene
        self._premises_held = premises_held
        self._rates_hold = True
        self.said = Counter[str]()

    def refused(self, *, for_room: bool) -> None:
        """The provider has refused a dial."""
        self._rates_hold = self._rates_hold and for_room

    def broken(self, event: callguard.events.PremiseBroken) -> None:
        """A gate says that a premise doesn't hold."""
        self.said[event.premise] += 1
        if self._holds(event.premise):
            self._scene.blame("alarm", f"the premise {event.premise} holds: {event}")

    def _holds(self, premise: str) -> bool:
        match premise:
            case "ring_limit":
                return self._longest_ring() <= self._scene.plan.gate.ring_limit
            case "counter_lag" | "counts_ringing":
                return self._scene.plan.counter_in_time
            case "cps":
                # Where the counter doesn't show what it should, a refusal for want of room looks
                # like one for the rate.
                return self._premises_held() and self._rates_hold
            case _:
                return self._premises_held()

    def _longest_ring(self) -> float:
        now, calls = self._scene.now(), self._scene.provider.calls
        ends = (call.answered_at or call.ended_at or now for call in calls)
        return max(end - call.placed_at for end, call in zip(ends, calls, strict=True))

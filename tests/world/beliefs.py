"""What a gate believes of ringing, held against the provider."""

from __future__ import annotations

from collections import Counter

from tests.world.checkers import Scene

__all__ = ["Beliefs"]


class Beliefs:
    """A gate learns what is so, unless the world misleads it, and a refusal ends that for good.

    Where it is misled, the dials that it admitted by its belief may be refused, and none that it
    admitted after a refusal was reported.

    Args:
        scene: the world.

    Attributes:
        had: how often each of these was seen.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._given_up = False
        self._admitted_after: set[str] = set()
        self.had = Counter[str]()

    def opened(self) -> None:
        """A gate is open, which has learnt nothing."""
        self._given_up = False
        self._scene.is_misled = False

    def learnt(self, *, counted: bool) -> None:
        """The gate says that it has learnt that ringing is counted, or has given that up."""
        scene = self._scene
        scene.is_misled = counted and not scene.plan.counts_ringing
        self.had["learnt" if counted else "learnt no more"] += 1
        if counted and self._given_up:
            scene.blame("belief", "it is learnt again after a refusal")
        if scene.is_misled:
            self.had["learnt wrongly"] += 1
            if scene.plan.teaches == "truly":
                scene.blame("belief", "ringing isn't counted, and nobody misled the gate")

    def gave_up(self) -> None:
        """The gate says that a refusal has ended what it had learnt."""
        self._given_up = True
        self.had["learnt, given up at a refusal"] += 1

    def admitted(self, permit_id: str) -> None:
        if self._given_up:
            self._admitted_after.add(permit_id)

    def refused(self, key: str) -> None:
        """The provider has no room for a dial."""
        if key in self._admitted_after and self._scene.plan.teaches == "wrongly":
            self._scene.blame("belief", "a second dial was refused for a wrong belief")

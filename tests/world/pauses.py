"""What is paused on a shared ledger: the server keeps what it is told, and gives nothing there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from callguard.ledger.redis.keys import trunk_hash
from tests.world.plan import TrunkPlan

__all__ = ["Kept", "Scope", "covers"]

Scope = tuple[str | None, str | None]
"""The names of a lane and a trunk; None for each."""


def covers(scopes: Iterable[Scope], lane: str, trunk: str | None) -> bool:
    """Whether a lane and a trunk are paused where these are."""
    return any(of in {None, lane} and by in {None, trunk} for of, by in scopes)


def _scopes(pauses: str | bytes | None) -> set[Scope]:
    return {tuple(json.loads(scope)) for scope in json.loads(pauses or "{}")}


def _after(held: set[Scope], said: Iterable[Sequence[str]]) -> set[Scope]:
    """What is paused after these happenings."""
    for _, text, *why in said:
        scope: Scope = tuple(json.loads(text))
        held = held | {scope} if why else held - {scope}
    return held


class Kept:
    """Holds each exchange against what the server has of pauses right after it.

    Args:
        blame: called with a rule and what broke it.
        trunks: those of the gates.
    """

    def __init__(self, blame: Callable[[str, str], None], trunks: Iterable[TrunkPlan]) -> None:
        self._blame = blame
        self._names = {trunk_hash(trunk.name): trunk.name for trunk in trunks}

    def made(
        self,
        request: Mapping[str, Any],
        reply: Mapping[str, Any],
        before: Iterable[str | bytes | None],
        after: str | bytes | None,
    ) -> None:
        """An exchange took place, or didn't.

        Args:
            request: what the worker said.
            reply: what the server answered.
            before: what was paused before it: in the ledger, None if there was none, and in the
                one that would be begun anew.
            after: what is paused in the ledger after it.
        """
        if reply["status"] != "ok":
            return
        held = _scopes(after)
        said = [what for what in request["happenings"] if what[0] == "pause"]
        if held not in [_after(_scopes(text), said) for text in before if text is not None]:
            self._blame("paused", f"{held} after {before} and {said}")
        for index, _ in reply.get("grants") or ():
            claim = request["claims"][index]
            trunk = self._names.get(claim.get("trunk", ""))
            if covers(held, claim["lane"], trunk):
                self._blame("paused", f"a slot for {claim['lane']} and {trunk}, with {held}")

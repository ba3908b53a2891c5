"""What is paused on a shared ledger: the server keeps what it is told, and gives nothing there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from callguard.ledger.redis.keys import trunk_hash
from tests.world.plan import TrunkPlan

__all__ = ["Kept", "Scope", "covers"]

Scope = tuple[str | None, str | None]
"""The names of a lane and a trunk; None for each."""


def covers(scopes: Iterable[Scope], lane: str, trunk: str | None) -> bool:
    """Whether a lane and a trunk are paused where these are."""
    return any(of in {None, lane} and by in {None, trunk} for of, by in scopes)


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
        self, request: Mapping[str, Any], reply: Mapping[str, Any], pauses: str | bytes | None
    ) -> None:
        """An exchange took place, or didn't."""
        if reply["status"] != "ok":
            return
        held: set[Scope] = {tuple(json.loads(scope)) for scope in json.loads(pauses or "{}")}
        said = {what[1]: what for what in request["happenings"] if what[0] == "pause"}
        for scope, what in said.items():
            if (tuple(json.loads(scope)) in held) != (len(what) > 2):
                self._blame("paused", f"the server was told {what}, and has {held}")
        for index, _ in reply.get("grants") or ():
            claim = request["claims"][index]
            trunk = self._names.get(claim.get("trunk", ""))
            if covers(held, claim["lane"], trunk):
                self._blame("paused", f"a slot for {claim['lane']} and {trunk}, with {held}")

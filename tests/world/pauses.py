"""What is paused on a shared ledger: the server keeps what it is told, and gives nothing there.

A ledger that is new to a worker takes over what the worker knows of pauses, where that is later.
"""

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


def _changes(pauses: str | bytes | None) -> dict[Scope, tuple[int, bool]]:
    """Of each scope when that was last changed, and whether it is paused since."""
    return {
        tuple(json.loads(scope)): (change["since"], "by" in change)
        for scope, change in json.loads(pauses or "{}").items()
    }


def _scopes(changes: Mapping[Scope, tuple[int, bool]]) -> set[Scope]:
    return {scope for scope, (_, is_paused) in changes.items() if is_paused}


def _with_known(pauses: str | bytes, known: str) -> set[Scope]:
    """What is paused by two accounts of it, where they were made on one clock."""
    changes = _changes(pauses)
    for scope, change in _changes(known).items():
        changes[scope] = max(changes.get(scope, change), change, key=lambda each: each[0])
    return _scopes(changes)


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
        held = _scopes(_changes(after))
        said = [what for what in request["happenings"] if what[0] == "pause"]
        known = request.get("join", {}).get("pauses", "{}")
        if request["epoch"] == reply["epoch"]:
            known = "{}"
        kept = [_with_known(text, known) for text in before if text is not None]
        if held not in [_after(scopes, said) for scopes in kept]:
            self._blame("paused", f"{held} after {before}, {known} and {said}")
        for index, _ in reply.get("grants") or ():
            claim = request["claims"][index]
            trunk = self._names.get(claim.get("trunk", ""))
            if covers(held, claim["lane"], trunk):
                self._blame("paused", f"a slot for {claim['lane']} and {trunk}, with {held}")

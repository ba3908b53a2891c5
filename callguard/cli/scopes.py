"""What a pause is of, in words and in options, and whether the ledger knows it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callguard.ledger.redis.holders import Contents

__all__ = ["in_words", "still_paused", "unknown_names"]


def in_words(lane: str | None, trunk: str | None) -> str:
    """A scope for people; None for all lanes or trunks."""
    words = [f"lane {lane!r}"] if lane is not None else []
    words += [f"trunk {trunk!r}"] if trunk is not None else []
    return " on ".join(words) or "everything"


def still_paused(contents: Contents) -> str | None:
    """What is paused, and the command that resumes each; None if nothing is."""
    scopes = [(pause.lane, pause.trunk) for pause in contents.pauses]
    each = ", ".join(f"{in_words(*scope)} ({_resume(*scope)})" for scope in scopes)
    return f"still paused: {each}" if each else None


def unknown_names(contents: Contents, lane: str | None, trunk: str | None) -> Iterator[str]:
    """Sentences that warn of a name which the ledger doesn't know, though it knows others.

    It knows the lanes on which somebody dials or waits, and the trunks with a limit. A name that is
    paused already is taken for known, since nobody dials or waits there.

    Args:
        contents: the ledger's contents before the pause.
        lane: the lane to pause; None for all.
        trunk: the trunk to pause; None for all.
    """
    lanes = {each.lane for each in contents.permits} | {each.lane for each in contents.waiting}
    trunks = {each.name for each in contents.trunks}
    check = f"check the name; {_resume(lane, trunk)} lifts this pause"
    if _is_new(lane, lanes, {pause.lane for pause in contents.pauses}):
        others = f"but {_listed(lanes)}"
        yield f"nobody dials or waits on a lane {lane!r} of this ledger, {others}: {check}"
    if _is_new(trunk, trunks, {pause.trunk for pause in contents.pauses}):
        others = f"but {_listed(trunks)}"
        yield f"no gate on this ledger has a trunk {trunk!r} with a limit, {others}: {check}"


def _is_new(name: str | None, known: set[str], paused: set[str | None]) -> bool:
    return name is not None and bool(known) and name not in known | paused


def _resume(lane: str | None, trunk: str | None) -> str:
    options = "" if lane is None else f" --lane {shlex.quote(lane)}"
    options += "" if trunk is None else f" --trunk {shlex.quote(trunk)}"
    return f"`callguard resume{options}`"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))

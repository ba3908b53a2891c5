"""Lanes: classes of calls, each with its own priority, reserve and right to burst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from callguard.arguments import (
    checked_flag,
    checked_list,
    checked_patience,
    checked_text,
    checked_whole,
)
from callguard.showing import shown

__all__ = ["DEFAULT_LANE", "Lane", "checked_lanes"]


@dataclass(frozen=True, slots=True)
class Lane:
    """A class of calls.

    Args:
        name: what the lane is called in decisions, statistics and ``gate.admit("name")``.
        priority: lower goes first. Callers of lanes with equal priority go in the order of their
            arrival; on a shared ledger their lanes take turns instead, one call each.
        reserve: calls that this lane leaves free for others below every limit.
        burst: calls above the normal limit that this lane may use if the workspace has burst
            enabled, or ``"all"`` for as many as the burst limit allows. Burst is billed for the
            whole length of the call, so the default is none.
        max_wait: seconds that a caller may wait in the queue, or None for any time.
        max_waiting: callers that may wait in the queue at once, or None for any number.
        default: whether calls that name no lane use this one. Without a default lane, each call has
            to name its lane.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: the name is empty or has half a surrogate pair, a number is negative or above
            2,147,483,647, or `burst` is neither a whole number nor ``"all"``.
    """

    name: str
    priority: int = 0
    reserve: int = 0
    burst: int | Literal["all"] = 0
    max_wait: float | None = None
    max_waiting: int | None = None
    default: bool = False

    def __post_init__(self) -> None:
        checked_text("a lane's name", self.name, 'write Lane("urgent"), say')
        of = f"lane {shown(self.name)}:"
        checked_whole(f"{of} priority", self.priority)
        checked_whole(f"{of} reserve", self.reserve, least=0)
        if self.burst != "all":
            checked_whole(f'{of} burst (unless "all")', self.burst, least=0)
        if self.max_waiting is not None:
            checked_whole(f"{of} max_waiting (unless None)", self.max_waiting, least=0)
        checked_flag(f"{of} default", self.default)
        # A number of another type, such as a Decimal, becomes a float.
        object.__setattr__(self, "max_wait", checked_patience(f"{of} max_wait", self.max_wait))


def checked_lanes(lanes: object) -> list[Lane]:
    """The lanes of a gate, in the given order; `DEFAULT_LANE` if none is given.

    Raises:
        TypeError: the argument is not a list of lanes.
        ValueError: two lanes have the same name, or two are the default.
    """
    given = checked_list("lanes", lanes, Lane, "urgent")
    names = [lane.name for lane in given]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"lanes must have names of their own, and two are {shown(name)}")
    defaults = [shown(lane.name) for lane in given if lane.default]
    if len(defaults) > 1:
        raise ValueError(
            f"lanes must have one default at most, and {' and '.join(defaults)} say default=True"
        )
    return given or [DEFAULT_LANE]


DEFAULT_LANE = Lane("default", default=True)
"""The lane of a gate without lanes of its own."""

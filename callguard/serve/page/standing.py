"""How a workspace stands, in a word and a figure: the first thing that an operator looks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from callguard.serve.views import LaneView, Overview

__all__ = ["Standing", "lane_word", "standing"]

Tone = Literal["good", "wait", "bad"]


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a workspace.

    Attributes:
        word: the state in a word or two.
        tone: whether it is good, a reason to wait, or bad.
        calls: the usage, or "?" if unknown.
        limit: the limit, or "?" if unknown.
        waiting: callers in all queues.
        title: what a tab of the browser shows.
    """

    word: str
    tone: Tone
    calls: str
    limit: str
    waiting: int
    title: str


def standing(overview: Overview) -> Standing:
    """Say how a workspace stands."""
    word, tone = _word(overview)
    total, limits = overview.usage.total, overview.limits
    calls = "?" if total is None else str(total)
    limit = "?" if limits is None else str(limits.concurrency_limit)
    waiting = sum(lane.waiting for lane in overview.lanes)
    mark = "" if tone == "good" else f"{word}: "
    return Standing(word, tone, calls, limit, waiting, f"{mark}{calls}/{limit} · callguard")


def lane_word(lane: LaneView) -> tuple[str, Tone]:
    """Say in a word whether a lane's next call is admitted."""
    if lane.admits:
        return "open", "good"
    return ("paused", "bad") if lane.paused else ("waits", "wait")


def _word(overview: Overview) -> tuple[str, Tone]:
    if overview.draining:
        return "Draining", "bad"
    if any(pause.lane is None and pause.trunk is None for pause in overview.pauses):
        return "Paused", "bad"
    if overview.outage is not None:
        return "No reading", "bad"
    if overview.lanes and not any(lane.admits for lane in overview.lanes):
        return _closed(overview), "wait"
    if overview.pauses:
        return "Partly paused", "wait"
    return "Open", "good"


def _closed(overview: Overview) -> str:
    """Why no lane admits: there is no room, or something else has to come first."""
    total = overview.usage.total
    ceilings = [lane.ceiling for lane in overview.lanes if lane.ceiling is not None]
    if total is not None and ceilings and total >= max(ceilings):
        return "Full"
    return "Paused" if all(lane.paused for lane in overview.lanes) else "Waiting"

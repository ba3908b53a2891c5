"""A clock that is set by hand, and a workspace on it."""

from __future__ import annotations

from typing import Any

from callguard.simulator import Constant, Workspace, WorkspaceSettings


class HandClock:
    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def workspace(clock: HandClock, **knobs: Any) -> Workspace:
    """Every call is answered after 5 s and lasts 10 s, and the counter is not late; no rate."""
    plain: dict[str, Any] = {
        "cps": None,
        "answer_rate": 1.0,
        "ring_time": Constant(5.0),
        "talk_time": Constant(10.0),
        "rise_lag": 0.0,
        "fall_lag": 0.0,
    }
    return Workspace(WorkspaceSettings(**{**plain, **knobs}), clock)


def reported(of: Workspace) -> object:
    return of.concurrency()["current_concurrency"]

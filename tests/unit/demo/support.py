"""Records of campaigns, made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from callguard.demo.progress import Outcome, Progress, Reckoning
from callguard.simulator import Truth, Workspace

REASON = "denied: 17 of 20 in use; reserve 3; burst not allowed on lane 'bulk'"


def truth(**fields: Any) -> Truth:
    """That of a workspace in which nothing has happened, but for `fields`."""
    return replace(Workspace(None, lambda: 0.0).truth(), **fields)


def progress(
    elapsed: float = 0.0,
    count: int = 0,
    usage: int | None = 0,
    *,
    ours: int = 0,
    peak: int | None = None,
    placed: int = 0,
    refusals: int = 0,
    waiting: int = 100,
    lost: int = 0,
    surcharge_seconds: float = 0.0,
) -> Progress:
    """A campaign of 100 leads with a limit of 20."""
    return Progress(
        leads=100,
        limit=20,
        failed=3,
        truth=truth(
            elapsed=elapsed,
            count=count,
            outbound_count=ours,
            peak=count if peak is None else peak,
            placed=placed,
            refusals=refusals,
            surcharge_seconds=surcharge_seconds,
        ),
        reckoning=Reckoning(
            usage=usage,
            waiting={"urgent": 0, "bulk": waiting},
            reason=REASON,
            lost=lost,
        ),
    )


def outcome(*, dialled_once: int = 100, **fields: Any) -> Outcome:
    """Of such a campaign, with `fields` of its truth; kept where none is given."""
    return Outcome(
        dialer="gate",
        seed=1,
        leads=100,
        limit=20,
        dialled_once=dialled_once,
        failed=3,
        truth=truth(**{"placed": 100, "peak": 20, "worst_excess": -35, "elapsed": 10.0, **fields}),
    )

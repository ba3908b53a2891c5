"""The metrics of a shared ledger's contents, for whoever looks at it without a gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from callguard.decision import Ceilings
from callguard.lanes import DEFAULT_LANE
from callguard.metrics import table
from callguard.metrics.facts import Fact, of_limits, of_usage
from callguard.metrics.meter import Measurement

if TYPE_CHECKING:
    from callguard.ledger.redis.holders import Contents

__all__ = ["measured"]


def measured(contents: Contents, workspace: str) -> Measurement:
    """The gauges of a workspace, all its workers together.

    Args:
        contents: the ledger's contents.
        workspace: the ledger's id, which is the label.
    """
    found = Measurement()
    for metric, labels, value in _facts(contents):
        found.add(metric, (workspace, *labels), value)
    return found


def _facts(contents: Contents) -> Iterator[Fact]:
    usage, snapshot = contents.usage, contents.snapshot
    yield from of_usage(usage)
    if snapshot is not None:
        inbound = contents.inbound_by(usage)
        included = Ceilings.of(snapshot.limits, DEFAULT_LANE, inbound).included
        yield from of_limits(snapshot.limits, usage, included)
        yield table.SNAPSHOT_AGE, (), contents.now - snapshot.began
    for queue in contents.waiting:
        yield table.WAITING, (queue.lane,), queue.callers
    for trunk in contents.trunks:
        if trunk.cps is not None:
            yield table.TRUNK_DUE, (trunk.name,), trunk.due_in
        if trunk.calls is not None and trunk.on_trunk is not None:
            yield table.TRUNK_CALLS, (trunk.name,), trunk.on_trunk
            yield table.TRUNK_LIMIT, (trunk.name,), trunk.calls
    for pause in contents.pauses:
        yield table.PAUSED, (pause.lane or "", pause.trunk or ""), 1
    for setting in contents.given_up:
        yield table.GIVEN_UP, (setting,), 1
    workers = Counter("silent" if worker.silent else "answered" for worker in contents.workers)
    for state, gates in workers.items():
        yield table.GATES, (state,), gates

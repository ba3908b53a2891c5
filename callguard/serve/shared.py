"""The overview of a shared ledger: of all processes on it, not only of this one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from callguard.clock import clock_of
from callguard.decision import Decision, decide
from callguard.errors import LedgerUnavailable
from callguard.lanes import DEFAULT_LANE
from callguard.limits import Limits
from callguard.serve.overview import is_paused, overview
from callguard.serve.views import (
    Burst,
    Holder,
    LaneView,
    Overview,
    PremiseView,
    TrunkView,
)

if TYPE_CHECKING:
    from callguard.decision import Pause
    from callguard.gate import Gate
    from callguard.ledger import RedisLedger
    from callguard.ledger.redis.holders import Contents
    from callguard.ledger.redis.trunks import LedgerTrunk
    from callguard.serve.journal import Journal

__all__ = ["LedgerLook", "overview_of_ledger", "shared_overview"]

_APART: Final = 1.0
"""Seconds between two looks at the server at least: a look reads all that is in the ledger."""


class LedgerLook:
    """Looks at a shared ledger, at most once a second, however many ask.

    Args:
        ledger: the ledger.
        key: the workspace's API key, which names a ledger without a name.

    Attributes:
        latest: what was seen last; None if nothing was.
    """

    def __init__(self, ledger: RedisLedger, key: str) -> None:
        self.latest: Contents | None = None
        self._ledger = ledger
        self._key = key
        self._due_at = -math.inf
        self._one = asyncio.Lock()
        self._time = clock_of(asyncio.get_running_loop())

    async def aclose(self) -> None:
        """Close the ledger's connections, if its client was made for it."""
        await self._ledger.aclose()

    async def contents(self) -> Contents | None:
        """The ledger's contents, at most a second old; None while the server can't be reached.

        Cancelling this leaves nothing behind.
        """
        async with self._one:
            if self._time() >= self._due_at:
                try:
                    self.latest = await self._ledger.look(self._key)
                except LedgerUnavailable:
                    self.latest = None
                self._due_at = self._time() + _APART
            return self.latest


async def shared_overview(gate: Gate, journal: Journal, look: LedgerLook | None) -> Overview:
    """Look at a gate and its journal, and at the whole shared ledger that the gate may have.

    While the ledger's server can't be reached, this is about this process only. Cancelling this
    leaves nothing behind.

    Args:
        gate: the gate.
        journal: its journal.
        look: looks at the gate's shared ledger; None for a ledger in memory.
    """
    contents = None if look is None else await look.contents()
    seen = overview(gate, journal)
    if contents is None or not contents.known:
        return seen
    waiting = _waiting(contents)
    age = _age(contents)
    is_newer = age is not None and (seen.snapshot_age is None or age <= seen.snapshot_age)
    return replace(
        seen,
        limits=_limits(contents) if is_newer else seen.limits,
        usage=contents.usage if is_newer else seen.usage,
        snapshot_age=age if is_newer else seen.snapshot_age,
        lanes=tuple(
            replace(lane, waiting=max(lane.waiting, waiting.get(lane.name, 0)))
            for lane in seen.lanes
        ),
        trunks=tuple(_with_starts(seen.trunks, _trunks(contents))),
        holders=tuple(_holders(contents)),
        premises=tuple(_premises(contents, seen.premises)),
    )


def overview_of_ledger(contents: Contents, workspace: str, at: float) -> Overview:
    """What the contents of a shared ledger say without a gate.

    A lane's own reserve and burst are known to its gates only, so there are no ceilings, and the
    sentence is about the workspace.

    Args:
        contents: the ledger's contents.
        workspace: the hash that names the workspace.
        at: now, in seconds since 1970.
    """
    limits = _limits(contents)
    return Overview(
        workspace=workspace,
        gate="",
        at=at,
        draining=False,
        limits=limits,
        usage=contents.usage,
        snapshot_age=_age(contents),
        outage=None,
        lanes=tuple(_lanes(contents)),
        trunks=tuple(_trunks(contents)),
        holders=tuple(_holders(contents)),
        burst=Burst(None if limits is None else limits.concurrency_burst_enabled, None, None),
        pauses=contents.pauses,
        premises=tuple(_premises(contents, ())),
        given_up=tuple(contents.given_up),
        events=(),
        chart=(),
    )


def _lanes(contents: Contents) -> Iterator[LaneView]:
    waiting, plain = _waiting(contents), _decision(contents)
    standing = str(plain).partition("; reserve ")[0]
    held = {permit.lane for permit in contents.permits}
    paused = {pause.lane for pause in contents.pauses if pause.lane is not None}
    for name in dict.fromkeys((*waiting, *sorted(held | paused))):
        callers = waiting.get(name, 0)
        yield LaneView(
            name=name,
            sentence=_sentence(contents, name, standing),
            admits=plain.admitted and not callers and not _lane_paused(contents.pauses, name),
            lifts_in=None,
            ceiling=None,
            waiting=callers,
            wait_p50=None,
            wait_p90=None,
            eta_p50=None,
            eta_p90=None,
            dials_per_minute=None,
            refused=None,
            paused=_lane_paused(contents.pauses, name),
        )


def _sentence(contents: Contents, lane: str, standing: str) -> str:
    waited = [each.waited for each in contents.waiting if each.lane == lane]
    if not waited:
        return standing
    _, _, why = standing.partition(": ")
    return f"denied so far: the first has waited for {max(waited):.1f} s; {why}"


def _decision(contents: Contents) -> Decision:
    """The decision about a call on a lane without a reserve or burst."""
    usage, snapshot = contents.usage, contents.snapshot
    return decide(
        DEFAULT_LANE,
        usage,
        snapshot,
        now=contents.now,
        max_age=math.inf,
        withheld=None if snapshot is None else contents.withheld_from(snapshot.began),
        pause=contents.pause,
        inbound=contents.inbound_by(usage),
    )


def _waiting(contents: Contents) -> dict[str, int]:
    """By lane, the callers of all gates where nothing is paused; higher lanes first."""
    waiting: dict[str, int] = {}
    for each in contents.waiting:
        waiting[each.lane] = waiting.get(each.lane, 0) + each.callers
    return waiting


def _holders(contents: Contents) -> Iterator[Holder]:
    for permit in contents.permits:
        yield Holder(permit.id, permit.worker, permit.lane, permit.state, permit.age)


def _trunks(contents: Contents) -> Iterator[TrunkView]:
    for trunk in contents.trunks:
        yield TrunkView(
            name=trunk.name,
            cps=trunk.cps,
            window=trunk.window,
            due_in=None if trunk.cps is None else trunk.due_in,
            starts_in_last_minute=None,
            calls=trunk.on_trunk,
            most=trunk.calls,
            paused=_trunk_paused(contents.pauses, trunk),
        )


def _with_starts(own: Iterable[TrunkView], everyones: Iterable[TrunkView]) -> Iterator[TrunkView]:
    """The trunks of a gate, with what the ledger knows of all gates' calls on each."""
    by_name = {trunk.name: trunk for trunk in everyones}
    for trunk in own:
        shared = by_name.get(trunk.name, trunk)
        yield replace(trunk, due_in=shared.due_in, calls=shared.calls)


def _premises(contents: Contents, own: Iterable[PremiseView]) -> Iterator[PremiseView]:
    yield from own
    names = {each.name for each in own}
    for seen in contents.premises:
        if seen.premise not in names:
            sentence = f"{seen.why} (seen by {seen.worker} {seen.age:.0f} s ago)"
            yield PremiseView(seen.premise, seen.said, seen.seen, None, sentence)


def _lane_paused(pauses: Iterable[Pause], name: str) -> bool:
    return is_paused(name, ((each.lane, each.trunk) for each in pauses))


def _trunk_paused(pauses: Iterable[Pause], trunk: LedgerTrunk) -> bool:
    return is_paused(trunk.name, ((each.trunk, each.lane) for each in pauses))


def _limits(contents: Contents) -> Limits | None:
    return None if contents.snapshot is None else contents.snapshot.limits


def _age(contents: Contents) -> float | None:
    return None if contents.snapshot is None else contents.now - contents.snapshot.began

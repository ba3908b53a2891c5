"""Checks of the lanes against the workspace's limits."""

from __future__ import annotations

import math
from collections.abc import Iterator

from callguard.decision import Ceilings, Decision, Usage, decide
from callguard.doctor.case import Case
from callguard.doctor.finding import Finding
from callguard.lanes import Lane
from callguard.limits import Limits

__all__ = ["burst", "lanes", "limit", "room"]


def limit(case: Case) -> Iterator[Finding]:
    """Whether the workspace allows any outbound call."""
    if (limits := case.limits) is None:
        yield Finding(
            "limit",
            "unknown",
            "the limits could not be read",
            "lanes and trunks can't be compared with them",
            "mend what the other findings say, and run this again",
        )
        return
    allowed, reserved = limits.concurrency_limit, limits.reserved_inbound_concurrency
    if allowed < 1:
        yield Finding(
            "limit",
            "error",
            "the workspace's limit is 0 calls",
            "no call is ever admitted",
            "buy concurrency in the provider's dashboard, or pay what is due",
        )
    elif reserved >= allowed:
        yield Finding(
            "limit",
            "error",
            f"{reserved} slots are reserved for inbound calls, and the limit is {allowed}",
            "nothing is left for outbound calls",
            "reserve fewer in the provider's dashboard, under Settings > Limits",
        )
    else:
        kept = f", of which {reserved} are reserved for inbound calls" if reserved else ""
        yield Finding("limit", "ok", f"the workspace's limit is {allowed} calls{kept}")


def lanes(case: Case) -> Iterator[Finding]:
    """Whether each lane has a ceiling of at least one call when the workspace is empty."""
    limits = case.limits
    if limits is None or limits.reserved_inbound_concurrency >= limits.concurrency_limit:
        return
    shut = [lane for lane in case.setup.lanes if Ceilings.of(limits, lane).highest < 1]
    for lane in shut:
        cap = Ceilings.of(limits, lane).highest + lane.reserve
        yield Finding(
            "lanes",
            "error",
            f"lane {lane.name!r} leaves {lane.reserve} slots free, and {_of(limits, cap)}",
            "no call of this lane is ever admitted, however empty the workspace is",
            f"give it a reserve of at most {cap - 1}, or raise the limit",
        )
    if not shut:
        shown = ", ".join(
            f"{lane.name!r} up to {Ceilings.of(limits, lane).highest}" for lane in case.setup.lanes
        )
        yield Finding("lanes", "ok", f"with the workspace empty, calls fit on {shown}")


def _of(limits: Limits, cap: int) -> str:
    reserved = limits.reserved_inbound_concurrency
    kept = f" beside the {reserved} reserved for inbound calls" if reserved else ""
    return f"there are only {cap}{kept}"


def room(case: Case) -> Iterator[Finding]:
    """Whether a call of each lane fits now, and if not, whose calls are in the way."""
    for lane in case.setup.lanes:
        decision = _decision(case, lane)
        if decision is None or decision.ceilings is None or decision.ceilings.highest < 1:
            continue
        if decision.admitted:
            yield Finding(
                "room", "ok", f"{decision.headroom} more calls fit on lane {lane.name!r} now"
            )
            continue
        yield _full(lane, decision)


def _full(lane: Lane, decision: Decision) -> Finding:
    own, others = decision.usage.own, decision.usage.others
    what = f"no call fits on lane {lane.name!r} now: {decision}"
    if own is None or others is None:
        why = "a campaign waits until calls end, and it isn't known whose they are"
    elif own >= others:
        why = "calls of your own gates make room again as they end"
        return Finding("room", "note", what, why, "wait, or raise the limit")
    else:
        why = "a campaign waits until others' calls end, and gets no more than they leave"
    remedy = "see in the provider's dashboard who calls, or raise the limit"
    return Finding("room", "warning", what, why, remedy)


def _decision(case: Case, lane: Lane) -> Decision | None:
    snapshot, contents = case.snapshot, case.contents
    if snapshot is None:
        return None
    if contents is None or not contents.known:
        usage = Usage(snapshot.limits.current_concurrency, dialling=0, uncounted=0)
        return decide(lane, usage, snapshot, now=snapshot.received, max_age=math.inf)
    usage = contents.usage_by(snapshot.limits)
    return decide(
        lane,
        usage,
        snapshot,
        now=snapshot.received,
        max_age=math.inf,
        withheld=contents.withheld_from(contents.now),
        inbound=contents.inbound_by(usage),
    )


def burst(case: Case) -> Iterator[Finding]:
    """Whether the workspace and the lanes agree about burst, and the burst limit can be right."""
    if (limits := case.limits) is None:
        return
    allowed, with_burst = limits.concurrency_limit, limits.concurrency_burst_limit
    bursting = [lane.name for lane in case.setup.lanes if lane.burst]
    named = ", ".join(map(repr, bursting))
    is_on = limits.concurrency_burst_enabled
    if is_on and with_burst <= allowed:
        yield Finding(
            "burst",
            "warning" if bursting else "note",
            f"burst is on with a burst limit of {with_burst}, which is not above the limit of "
            f"{allowed}",
            "no call is a burst call by it, and no lane goes above the limit; the limit stays",
            "check the burst limit in the provider's dashboard, under Settings > Limits",
        )
    elif bursting and not is_on:
        yield Finding(
            "burst",
            "warning",
            f"lanes that may burst ({named}), and burst is off in the workspace",
            f"they go no higher than the limit of {allowed}",
            "turn burst on in the provider's dashboard, under Settings > Limits, or take burst "
            "from the lanes",
        )
    elif is_on and not bursting:
        yield Finding(
            "burst",
            "note",
            f"burst is on in the workspace, up to {with_burst} calls, and no lane may burst",
            f"callguard goes no higher than the limit of {allowed}, but calls by others may, at a "
            "surcharge",
            "give a lane burst=..., or turn burst off in the provider's dashboard",
        )
    elif is_on:
        yield Finding("burst", "ok", f"burst is on up to {with_burst} calls, for {named}")
    else:
        yield Finding("burst", "ok", "burst is off, and no lane may burst")

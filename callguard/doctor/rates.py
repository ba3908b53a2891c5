"""Checks of the trunks' rates, against what providers allow and against the limit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from callguard.decision import Ceilings
from callguard.doctor.case import Case
from callguard.doctor.finding import Finding
from callguard.trunks import DEFAULT_TRUNK, Trunk

__all__ = ["filling", "trunks"]

_DEFAULT: Final = 1.0
_TWILIO: Final = 5.0
_TELNYX: Final = 16.0
_CUSTOM: Final = 150.0
"""Calls a second that the provider allows: unless it is asked for more, and at most on each way to
the telephone network (docs.retellai.com/deploy/outbound-call, read 2026-11-22)."""

_LEADS: Final = 1000


def trunks(case: Case) -> Iterator[Finding]:
    """Whether each trunk has a rate that the provider allows, and room for its calls."""
    for trunk in _used(case.setup.trunks):
        wrong = [*_rate(trunk), *_calls(case, trunk)]
        yield from wrong
        if not wrong:
            yield Finding("trunks", "ok", _as_set(trunk))


def _rate(trunk: Trunk) -> Iterator[Finding]:
    if trunk.cps is None:
        yield Finding(
            "trunks",
            "note",
            f"{_shown(trunk)} has no rate",
            "the provider starts one phone call a second unless you asked for more, and rejects "
            "what comes faster; it documents no rate for web calls",
            "give it cps=..., unless its calls are web calls",
        )
    elif trunk.cps > _CUSTOM:
        yield Finding(
            "trunks",
            "warning",
            f"{_shown(trunk)} starts {_calls_a_second(trunk.cps)}, and the provider allows "
            f"{_CUSTOM:g} at most",
            "calls that start too fast are rejected",
            "give it the cps that the provider's dashboard shows",
        )
    elif trunk.cps > _DEFAULT:
        ways = "custom telephony alone"
        if trunk.cps <= _TELNYX:
            ways = "Telnyx and custom telephony, not Twilio"
        if trunk.cps <= _TWILIO:
            ways = "Twilio, Telnyx and custom telephony"
        yield Finding(
            "trunks",
            "note",
            f"{_shown(trunk)} starts {_calls_a_second(trunk.cps)}, which the provider allows for "
            f"{ways}, if it is asked",
            "calls that start too fast are rejected",
            "compare with the provider's dashboard",
        )


def _calls(case: Case, trunk: Trunk) -> Iterator[Finding]:
    highest = _highest(case)
    if trunk.calls is not None and highest is not None and trunk.calls > highest:
        yield Finding(
            "trunks",
            "note",
            f"{_shown(trunk)} takes {trunk.calls} calls at once, and no lane goes above {highest}",
            "the trunk is never full, and the workspace's limit holds first",
            "nothing, unless you expected the trunk to hold calls back",
        )


def filling(case: Case) -> Iterator[Finding]:
    """Whether the trunks start calls fast enough to fill the limit, and take so many at once."""
    ceiling, length = _highest(case), case.setup.average_call
    if ceiling is None or ceiling < 1:
        return
    used = _used(case.setup.trunks)
    at_once, by_limit = _at_once(used, length), ceiling / length
    if at_once >= ceiling:
        takes = _duration(_LEADS / by_limit)
        yield Finding(
            "filling",
            "ok",
            f"{_LEADS} calls of {length:g} s take about {takes}, as the limit allows: {ceiling} at "
            "once",
        )
        return
    most = sum(math.inf if trunk.calls is None else trunk.calls for trunk in used)
    if most < ceiling:
        what = f"the trunks take {most:g} calls at once"
        remedy = "raise calls=... of the trunks that take more, add a trunk, or buy fewer slots"
    else:
        starts = f"{at_once / length:.2g} starts a second"
        what = f"with {starts}, calls of {length:g} s are {at_once:.0f} at once"
        remedy = f"ask the provider for {by_limit:.2g} calls a second, or buy fewer slots"
    yield Finding(
        "filling",
        "note",
        f"{what}, and the limit of {ceiling} can't be filled",
        f"{_LEADS} calls of {length:g} s take about {_duration(_LEADS * length / at_once)}, and "
        f"the limit alone would allow {_duration(_LEADS / by_limit)}",
        remedy,
    )


def _at_once(trunks: Sequence[Trunk], length: float) -> float:
    """Calls of this length that the trunks have at once, all together, while callers wait."""
    return sum(
        min(
            math.inf if trunk.cps is None else trunk.most / trunk.span * length,
            math.inf if trunk.calls is None else trunk.calls,
        )
        for trunk in trunks
    )


def _used(trunks: Sequence[Trunk]) -> Sequence[Trunk]:
    """The trunks that calls use: the default one only where there is no other."""
    return [trunk for trunk in trunks if trunk.name != DEFAULT_TRUNK] or trunks


def _highest(case: Case) -> int | None:
    """The highest ceiling of any lane; None if the limits are unknown."""
    limits = case.limits
    if limits is None:
        return None
    return max(Ceilings.of(limits, lane).highest for lane in case.setup.lanes)


def _as_set(trunk: Trunk) -> str:
    rate = "at any rate" if trunk.cps is None else _calls_a_second(trunk.cps)
    return f"{_shown(trunk)} starts {rate}"


def _calls_a_second(cps: float) -> str:
    return "1 call a second" if cps == 1.0 else f"{cps:g} calls a second"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _shown(trunk: Trunk) -> str:
    if trunk.name == DEFAULT_TRUNK:
        return "the default trunk"
    return f"trunk {trunk.name!r}"

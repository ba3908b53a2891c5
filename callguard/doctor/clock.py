"""The check of this machine's clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from callguard.doctor.case import Case
from callguard.doctor.finding import Finding
from callguard.webhooks import TOLERANCE

__all__ = ["clock"]

_ON_THE_WAY: Final = 30.0
"""Seconds that a webhook may be on its way. The provider waits 10 s for an answer and tries four
times, by docs.retellai.com/features/webhook-overview (read 2026-11-22)."""

_SET_WRONG: Final = 5.0
"""Seconds by which no clock is off that is kept right by NTP. Our own choice."""


def clock(case: Case) -> Iterator[Finding]:
    """Whether this machine's clock agrees with the date of the provider's answers."""
    if not case.readings.outcomes:
        return
    if case.readings.ahead is None:
        yield Finding(
            "clock",
            "unknown",
            "no answer of the provider was dated",
            f"a clock that is off by {TOLERANCE:g} s refuses every webhook",
            "check that this machine's clock is kept right by NTP",
        )
        return
    # The provider's clock is ahead by something in between: its dates have whole seconds.
    least, most = case.readings.ahead
    off, how = (least, "behind") if least > 0 else (max(0.0, -most), "ahead of")
    if off <= _SET_WRONG:
        yield Finding("clock", "ok", f"this machine's clock is right to {max(-least, most):.1f} s")
        return
    fatal = off > TOLERANCE - _ON_THE_WAY
    yield Finding(
        "clock",
        "error" if fatal else "warning",
        f"this machine's clock is {off:.0f} s {how} the provider's",
        f"a webhook's signature may be {TOLERANCE:g} s old by this machine's clock, so "
        + ("webhooks are refused" if fatal else "late webhooks may be refused")
        + ", and `not_after` ends waits at the wrong moment",
        "let NTP set the clock, such as with `timedatectl set-ntp true`",
    )

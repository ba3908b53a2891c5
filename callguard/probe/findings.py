"""What ``callguard probe`` has found, and the settings that follow from it.

`callguard.probe.conclusions` and `callguard.probe.at_the_limit` find it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["AT_ONCE", "AtTheLimit", "Findings", "Lag", "RefusedBy", "ReservedInbound"]

MARGIN: Final = 2.0
"""The ratio of `Findings.counter_lag` to the largest lag seen.

One call shows one draw. If a counter is renewed every T seconds, its lag is anything up to T, and
twice a draw covers T in half of all cases. This is a margin, not a proof: probe more than once, and
take the largest result.
"""

SHORTEST_COUNTER_LAG: Final = 1.0
"""The least `Findings.counter_lag`, in seconds: one call without a lag proves little."""

AT_ONCE: Final = 0.75
"""A counter that falls within so many seconds falls at once.

That is the interval between two readings, half a second by default, and half of that for requests
that don't all take equally long. A gate hears of an end, and dials the next call, no sooner than a
few tenths of a second after the end.
"""

RefusedBy = Literal["calls", "counter"]
"""What a dial at the limit is refused by: the calls going on, or the count that is reported."""

ReservedInbound = Literal["total", "outbound"]
"""The values of `open_gate(reserved_inbound=...)`."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How late the counter was, as an interval.

    Attributes:
        at_least, at_most: the ends of the interval, in seconds.
        snapshots: how many snapshots showed the counter after its change.
    """

    at_least: float
    at_most: float
    snapshots: int


@dataclass(frozen=True, slots=True)
class AtTheLimit:
    """The result of the experiment at the limit.

    Attributes:
        refused_by: what dials are refused by; None if that isn't known.
        refused_by_reason: why it isn't known; empty if it is.
        reserved_inbound: which calls have to leave the slots free that are reserved for inbound
            calls, in the words of `open_gate`; None if that isn't known.
        reserved_inbound_reason: why it isn't known; empty if it is.
        falls_at_once: whether the counter was seen to fall at once when calls were stopped.
        needless: what wasn't asked, because no answer would make a difference, and why.
        dials: how many calls were dialled, with those that the provider refused.
    """

    refused_by: RefusedBy | None = None
    refused_by_reason: str = ""
    reserved_inbound: ReservedInbound | None = None
    reserved_inbound_reason: str = ""
    falls_at_once: bool = False
    needless: tuple[str, ...] = ()
    dials: int = 0

    @property
    def is_clear(self) -> bool:
        """Whether everything that was asked was answered."""
        return not (self.refused_by_reason or self.reserved_inbound_reason)


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of the experiments.

    Attributes:
        counts_ringing: whether a call counts while it rings; None if that isn't clear.
        snapshots: how many snapshots `counts_ringing` rests on.
        rise_lag: how late the counter rises: after the placing if ringing calls are counted, else
            after the answer. None if no rise was seen.
        fall_lag: how late the counter falls after the call's end. None if no fall was seen.
        reason: why the result isn't clear; empty if it is.
        remark: what a clear result lacks, or why it is less sure; empty if nothing.
        at_the_limit: the result of the experiment at the limit; None if there was none.
    """

    counts_ringing: bool | None
    snapshots: int = 0
    rise_lag: Lag | None = None
    fall_lag: Lag | None = None
    reason: str = ""
    remark: str = ""
    at_the_limit: AtTheLimit | None = None

    @property
    def is_clear(self) -> bool:
        """Whether it is known if ringing calls are counted, and all else that was asked."""
        at_the_limit = self.at_the_limit or AtTheLimit()
        return self.counts_ringing is not None and at_the_limit.is_clear

    @property
    def counter_lag(self) -> float | None:
        """The `counter_lag` to pass to `open_gate`, in seconds, rounded up to tenths.

        It is `MARGIN` times the upper end of `rise_lag`, and at least `SHORTEST_COUNTER_LAG`; None
        if no rise was seen. `fall_lag` has no part in it, because a counter that falls late only
        wastes room.
        """
        if self.rise_lag is None:
            return None
        tenths = math.ceil(round(self.rise_lag.at_most * MARGIN * 10, 6))
        return max(tenths / 10, SHORTEST_COUNTER_LAG)

    @property
    def falls_at_once(self) -> bool:
        """Whether the counter was seen to fall at once; False if it is late, or wasn't seen."""
        if self.at_the_limit is not None and self.at_the_limit.falls_at_once:
            return True
        return self.fall_lag is not None and self.fall_lag.at_most <= AT_ONCE

    @property
    def ends_free_at_once(self) -> bool | None:
        """The `ends_free_at_once` to pass to `open_gate`; None if that isn't known.

        If the counter falls at once, it makes no difference whether dials are refused by it or by
        the calls going on. If it is late, only the experiment at the limit can tell.
        """
        if self.falls_at_once:
            return True
        if self.at_the_limit is None or self.at_the_limit.refused_by is None:
            return None
        return self.at_the_limit.refused_by == "calls"

    @property
    def reserved_inbound(self) -> ReservedInbound | None:
        """The `reserved_inbound` to pass to `open_gate`; None if that isn't known."""
        return None if self.at_the_limit is None else self.at_the_limit.reserved_inbound

    @property
    def settings(self) -> str | None:
        """A call of `open_gate` to paste, with what was learnt; None if the first call taught
        nothing.
        """
        if self.counts_ringing is None:
            return None
        learnt = {
            "counts_ringing": self.counts_ringing,
            "counter_lag": self.counter_lag,
            "ends_free_at_once": self.ends_free_at_once,
            "reserved_inbound": self.reserved_inbound,
        }
        given = [f"{name}={_literal(value)}" for name, value in learnt.items() if value is not None]
        return f"callguard.open_gate({', '.join(given)})"


def _literal(value: object) -> str:
    """The value as Python source, with the quotation marks of this project."""
    return f'"{value}"' if isinstance(value, str) else repr(value)

"""The provider's counter: which calls count, and the late number that it reports of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from callguard.simulator.rule import OutboundRule
from callguard.simulator.tally import Tally

if TYPE_CHECKING:
    from callguard.simulator.settings import WorkspaceSettings

__all__ = ["Counted", "Counter"]


@dataclass(slots=True)
class Counted:
    """Whether a call, by us or by others, is in the true count and in the reported one.

    Attributes:
        rule: the rule when the call was placed; None for an inbound call.
        counts: whether it counts now.
        surcharged: whether it began to count above the normal limit.
        shown: whether the reported number includes it.
        hidden: whether the reported number has ceased to include it, or never will include it.
    """

    rule: OutboundRule | None
    counts: bool = False
    surcharged: bool = False
    shown: bool = False
    hidden: bool = False

    @property
    def outbound(self) -> int:
        """1 for an outbound call, 0 for an inbound one."""
        return self.rule is not None


class Counter:
    """Counts calls at once in the tally, and later in the number that it reports.

    Every method is called at an event of the workspace.

    Args:
        tally: where the true count is kept.
        after: plans an event, as many seconds from now.

    Attributes:
        reported: the number that the provider reports.
        reported_outbound: how many outbound calls are in it.
        surcharged: calls in the count that began to count above the normal limit.
    """

    def __init__(self, tally: Tally, after: Callable[[float, Callable[[], None]], None]) -> None:
        self._tally = tally
        self._after = after
        self.reported = 0
        self.reported_outbound = 0
        self.surcharged = 0

    def begin(self, counted: Counted, settings: WorkspaceSettings) -> None:
        """Count a call from now on."""
        tally = self._tally
        tally.count += 1
        tally.outbound_count += counted.outbound
        tally.peak = max(tally.peak, tally.count)
        if counted.rule is not None:
            tally.note_excess(counted.rule.excess(tally.count, tally.outbound_count))
        counted.counts = True
        counted.surcharged = tally.count > settings.limit
        self.surcharged += counted.surcharged
        self._after(settings.rise_lag, partial(self._show, counted))

    def cease(self, counted: Counted, settings: WorkspaceSettings) -> None:
        """Count a call no longer."""
        self._tally.count -= 1
        self._tally.outbound_count -= counted.outbound
        self.surcharged -= counted.surcharged
        counted.counts = False
        self._after(settings.fall_lag, partial(self._hide, counted))

    def enforced(self, settings: WorkspaceSettings) -> tuple[int, int]:
        """The numbers by which calls are refused: of all calls, and of outbound ones."""
        if settings.refuses_by_reported:
            return self.reported, self.reported_outbound
        return self._tally.count, self._tally.outbound_count

    def _show(self, counted: Counted) -> None:
        # A call that is shorter than `rise_lag` may be hidden before it is shown.
        if not counted.hidden:
            counted.shown = True
            self.reported += 1
            self.reported_outbound += counted.outbound

    def _hide(self, counted: Counted) -> None:
        counted.hidden = True
        if counted.shown:
            counted.shown = False
            self.reported -= 1
            self.reported_outbound -= counted.outbound

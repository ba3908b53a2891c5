"""Spans of OpenTelemetry: one for each wait in the queue, and one for each dial."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection
from typing import Final, NamedTuple

from opentelemetry.trace import Status, StatusCode, Tracer, TracerProvider

from callguard.events import Admitted, Cancelled, Event, LeftQueue, Placed, Refused, TimedOut

__all__ = ["MOST_DIALS", "Spans"]

MOST_DIALS: Final = 10_000
"""Dials that are remembered until they return; of more, the oldest get no span."""


class _Dial(NamedTuple):
    """An admitted call.

    Attributes:
        began: when it was admitted, in nanoseconds of the wall clock.
        event: the event that reported it.
    """

    began: int
    event: Admitted


class Spans:
    """A listener that makes spans when they end, back-dated to when they began.

    A caller is admitted in whatever task makes room for it, but its dial returns in its own. So
    both spans are made then, and belong to the caller's trace.

    Args:
        provider: makes the spans.

    Attributes:
        hears: the events that it is called with.
    """

    hears: Collection[type[Event]] = (Admitted, Placed, Cancelled, Refused, TimedOut, LeftQueue)

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer: Final[Tracer] = provider.get_tracer("callguard")
        self._dials: OrderedDict[str, _Dial] = OrderedDict()

    def __call__(self, event: Event, /) -> None:
        """Note a beginning, or make the spans of which `event` is the end."""
        match event:
            case Admitted():
                self._dials[event.permit_id] = _Dial(time.time_ns(), event)
                if len(self._dials) > MOST_DIALS:
                    self._dials.popitem(last=False)
            case Placed() | Cancelled() | Refused():
                self._end_dial(event)
            case TimedOut() | LeftQueue():
                why = event.why if isinstance(event, LeftQueue) else "timed out"
                attributes = {"callguard.workspace": event.workspace, "callguard.lane": event.lane}
                self._make("callguard.wait", time.time_ns(), event.waited, attributes, why)

    def _end_dial(self, event: Placed | Cancelled | Refused) -> None:
        dial = self._dials.pop(event.permit_id or "", None)
        if dial is None:
            return
        now, admitted = time.time_ns(), dial.event
        attributes = {
            "callguard.workspace": admitted.workspace,
            "callguard.lane": admitted.lane,
            "callguard.tier": admitted.tier,
        }
        if admitted.trunk is not None:
            attributes["callguard.trunk"] = admitted.trunk
        self._make("callguard.wait", dial.began, admitted.waited, attributes)
        outcome = type(event).__name__.lower()
        error = outcome if isinstance(event, Refused) else None
        attributes = {**attributes, "callguard.outcome": outcome}
        self._make("callguard.dial", now, (now - dial.began) / 1e9, attributes, error)

    def _make(
        self,
        name: str,
        ended: int,
        seconds: float,
        attributes: dict[str, str],
        error: str | None = None,
    ) -> None:
        began = ended - round(seconds * 1e9)
        span = self._tracer.start_span(name, attributes=attributes, start_time=began)
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(ended)

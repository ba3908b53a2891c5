"""The table of all metrics: names, units and labels, the same for every sink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["METRICS", "Kind", "Labels", "Metric", "Samples", "Together"]

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

Together: TypeAlias = Literal["sum", "max", "min"]

Labels: TypeAlias = tuple[str, ...]
"""The values of a metric's labels, in their order; "" for none."""

Samples: TypeAlias = "dict[Metric, dict[Labels, float]]"
"""The values of metrics, by their labels."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: its name, as OpenTelemetry writes names.
        kind: a counter only rises; a gauge is measured when it is asked for.
        help: a sentence that says what it is.
        labels: the names of its labels, the workspace's first.
        unit: as OpenTelemetry writes units: seconds are "s", and things are in braces.
        together: how the values of several gates are one: the sum, or for a fact of the workspace,
            which each gate on a shared ledger exports, that of the gate that knows of the most
            calls, which is the largest or the least.
    """

    name: str
    kind: Kind
    help: str
    labels: Labels
    unit: str
    together: Together = "sum"

    @property
    def shared(self) -> bool:
        """Whether it is a fact of the workspace."""
        return self.together != "sum"

    @property
    def family(self) -> str:
        """The name of its family, as Prometheus writes names; counters then end with _total."""
        return self.name.replace(".", "_") + ("_seconds" if self.unit == "s" else "")

    @property
    def series(self) -> str:
        """The name by which Prometheus is asked for it."""
        return self.family + ("_total" if self.kind == "counter" else "")


METRICS: Final[dict[str, Metric]] = {}
"""Every metric, by its name."""


def _metric(
    name: str, kind: Kind, unit: str, says: str, *labels: str, together: Together = "sum"
) -> Metric:
    metric = Metric(f"callguard.{name}", kind, says, ("workspace", *labels), unit, together)
    METRICS[metric.name] = metric
    return metric


def _counter(name: str, unit: str, says: str, *labels: str) -> Metric:
    return _metric(name, "counter", unit, says, *labels)


def _shared(name: str, unit: str, says: str, *labels: str, together: Together = "max") -> Metric:
    return _metric(name, "gauge", unit, says, *labels, together=together)


def _gauge(name: str, unit: str, says: str, *labels: str) -> Metric:
    return _metric(name, "gauge", unit, says, *labels)


CALLS = _shared(
    "calls",
    "{call}",
    "Calls: reported by the provider, dialling, and uncounted ones, which the report may lack.",
    "state",
)
USAGE = _shared("usage", "{call}", "The most calls that can be going on now.")
OWN = _shared(
    "calls.own",
    "{call}",
    "The most calls of the gates' own that can be going on; missing while unknown.",
)
OTHERS = _shared(
    "calls.others",
    "{call}",
    "Calls that the provider counts and that surely are others'; missing while unknown.",
)
BURST = _shared(
    "calls.burst",
    "{call}",
    "Calls of the provider's count that cost burst's surcharge, above the limit less what is "
    "reserved for inbound ones; 0 where burst is off.",
)
LIMIT = _shared(
    "limit",
    "{call}",
    "The provider's limits: normal, burst (if enabled), and reserved_inbound.",
    "kind",
)
CEILING = _shared("ceiling", "{call}", "The highest usage to which the lane may go.", "lane")
HEADROOM = _shared(
    "headroom",
    "{call}",
    "Calls that still fit on the lane; negative after a limit was lowered, and while placed calls "
    "may be counted twice.",
    "lane",
    together="min",
)
SNAPSHOT_AGE = _shared("snapshot.age", "s", "Age of the latest snapshot.")
OUTAGE = _shared(
    "outage", "s", "For how long the limits can't be read; 0 if they can, or nobody tries."
)
ETA = _shared(
    "eta",
    "s",
    "How long a caller that joined the queue now would wait; missing while unknown.",
    "lane",
    "percentile",
)
TRUNK_DUE = _shared("trunk.due", "s", "Time until the trunk may start its next call.", "trunk")
TRUNK_CALLS = _shared("trunk.calls", "{call}", "Calls on a trunk that takes only so many.", "trunk")
TRUNK_LIMIT = _shared(
    "trunk.limit", "{call}", "The most calls that the trunk takes at once.", "trunk"
)
PAUSED = _shared(
    "paused",
    "{pause}",
    "1 for each pause; an empty label stands for all lanes or trunks.",
    "lane",
    "trunk",
)
GIVEN_UP = _shared(
    "given_up", "{setting}", "1 for each setting that a refusal has ended.", "setting"
)
WAITING = _gauge("waiting", "{caller}", "Callers in the queue of the lane.", "lane")
GATES = _gauge(
    "gates",
    "{gate}",
    "Open gates: answered ones, and silent ones, whose event loop is blocked.",
    "state",
)
ADMISSIONS = _counter("admissions", "{call}", "Calls admitted.", "lane", "tier", "trunk")
REFUSALS = _counter(
    "refusals",
    "{call}",
    "Admitted calls that the provider refused; the status is empty if unknown.",
    "lane",
    "status",
)
TIMEOUTS = _counter(
    "timeouts", "{caller}", "Callers that left the queue because they had waited too long.", "lane"
)
LEFT_QUEUE = _counter(
    "left_queue",
    "{caller}",
    "Callers that left the queue for another reason: cancelled, closed or rejected.",
    "lane",
    "why",
)
CANCELLATIONS = _counter(
    "cancellations", "{call}", "Admitted calls that were not dialled, or surely not placed.", "lane"
)
ENDS = _counter(
    "ends",
    "{call}",
    "Calls known to be over by evidence; the lane is empty for other gates' calls.",
    "lane",
)
LOST = _counter(
    "lost",
    "{call}",
    "Permits that a shared ledger took for placed while they were being dialled.",
    "lane",
)
READINGS = _counter(
    "readings",
    "{reading}",
    "Attempts to read the limits: taken, rejected, unavailable or malformed.",
    "outcome",
)
OUTAGES = _counter("outages", "{outage}", "How often the limits could no longer be read.")
LEDGER_OUTAGES = _counter(
    "ledger.outages", "{outage}", "How often the ledger's server could no longer be reached."
)
PREMISES_BROKEN = _counter(
    "premises.broken",
    "{time}",
    "How often a premise of the promise was seen not to hold.",
    "premise",
)
WAIT = _metric(
    "wait",
    "histogram",
    "s",
    "How long those callers waited in the queue that were not admitted at once.",
    "lane",
)

"""The sink for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from callguard.gate.waits import WAIT_BOUNDS, Waits
from callguard.metrics.meter import Measurement, Meter
from callguard.metrics.table import METRICS, Metric

__all__ = ["PrometheusSink", "exposition"]

_BOUNDS = [*map(floatToGoString, WAIT_BOUNDS), "+Inf"]


class PrometheusSink(Meter):
    """A listener that exports metrics to Prometheus; made by `callguard.metrics.prometheus`.

    It is a collector of prometheus_client: whoever asks its registry asks this.

    Args:
        registry: where it is registered; None for the default one.

    Raises:
        ValueError: the registry has these metrics already.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__()
        (registry or REGISTRY).register(self)

    def describe(self) -> Iterator[Family]:
        """Every metric, without values: the names that the registry has to keep free."""
        for metric in METRICS.values():
            yield _family(metric)

    def collect(self) -> Iterator[Family]:
        """Every metric that has values now."""
        return _families(self.measure())


def exposition(found: Measurement) -> str:
    """A measurement in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Found(found))
    return generate_latest(registry).decode()


class _Found(Collector):
    """A collector of a measurement that was made before."""

    def __init__(self, found: Measurement) -> None:
        self._found = found

    def collect(self) -> Iterator[Family]:
        return _families(self._found)


def _families(found: Measurement) -> Iterator[Family]:
    """A measurement as prometheus_client has it; metrics without values are left out."""
    for metric in METRICS.values():
        family = _family(metric)
        for labels, waits in found.waits.items():
            if isinstance(family, HistogramMetricFamily):
                family.add_metric(labels, _buckets(waits), sum(waits.seconds))
        for labels, value in found.values.get(metric, {}).items():
            if not isinstance(family, HistogramMetricFamily):
                family.add_metric(labels, value)
        if family.samples:
            yield family


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily:
    match metric.kind:
        case "counter":
            return CounterMetricFamily(metric.family, metric.help, labels=metric.labels)
        case "gauge":
            return GaugeMetricFamily(metric.family, metric.help, labels=metric.labels)
        case "histogram":
            return HistogramMetricFamily(metric.family, metric.help, labels=metric.labels)


def _buckets(waits: Waits) -> list[tuple[str, float]]:
    return list(zip(_BOUNDS, map(float, accumulate(waits.callers)), strict=True))

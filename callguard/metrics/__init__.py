"""Metrics of gates: `prometheus` and `opentelemetry` each make a listener for ``open_gate``.

::

    async with callguard.open_gate(listener=callguard.metrics.prometheus()) as gate:

One listener takes any number of gates. Each needs the package of its extra, which is imported when
the listener is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from callguard.errors import MissingExtra

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry

    from callguard.ledger.redis.holders import Contents
    from callguard.metrics.to_opentelemetry import OpenTelemetrySink
    from callguard.metrics.to_prometheus import PrometheusSink

__all__ = ["exposition", "opentelemetry", "prometheus"]


def prometheus(registry: CollectorRegistry | None = None) -> PrometheusSink:
    """Make a listener that exports the metrics of its gates to Prometheus.

    Args:
        registry: where the metrics are registered; None for prometheus_client's default one. A
            registry takes one such listener.

    Raises:
        MissingExtra: prometheus_client is not installed.
        ValueError: the registry has these metrics already.
    """
    try:
        from callguard.metrics.to_prometheus import PrometheusSink
    except ImportError:
        raise _missing("prometheus", "prometheus_client", "prometheus-client>=0.20") from None
    return PrometheusSink(registry)


def exposition(contents: Contents, workspace: str) -> str:
    """Write the contents of a shared ledger as metrics, in Prometheus' text format.

    Args:
        contents: the ledger's contents.
        workspace: the ledger's id, which is the label.

    Raises:
        MissingExtra: prometheus_client is not installed.
    """
    try:
        from callguard.metrics import to_prometheus
    except ImportError:
        raise _missing("prometheus", "prometheus_client", "prometheus-client>=0.20") from None
    from callguard.metrics.of_ledger import measured

    return to_prometheus.exposition(measured(contents, workspace))


def opentelemetry(
    meter_provider: MeterProvider | None = None, tracer_provider: TracerProvider | None = None
) -> OpenTelemetrySink:
    """Make a listener that exports the metrics of its gates, and spans, by OpenTelemetry.

    Args:
        meter_provider: makes the instruments; None for the process's.
        tracer_provider: makes a span for each wait and each dial; None for no spans. Then nothing
            is done for each admission but counting it.

    Raises:
        MissingExtra: opentelemetry-api is not installed.
    """
    try:
        from callguard.metrics.to_opentelemetry import OpenTelemetrySink
    except ImportError:
        name = "opentelemetry"
        raise _missing(name, "opentelemetry-api", "opentelemetry-api>=1.30") from None
    return OpenTelemetrySink(meter_provider, tracer_provider)


def _missing(extra: str, package: str, requirement: str) -> MissingExtra:
    return MissingExtra(f"metrics for this need {package}", extra, f"pip install '{requirement}'")

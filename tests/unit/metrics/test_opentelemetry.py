"""What OpenTelemetry is told of a gate, and the spans."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    Sum,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry

import callguard
from callguard import AdmissionTimeout, FixedLimit, GateClosed
from callguard.metrics import gates, opentelemetry, prometheus, spans
from callguard.metrics.table import METRICS, WAIT
from tests.support.virtual_time import run
from tests.unit.metrics.support import campaign


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    provider = MeterProvider([reader], shutdown_on_exit=False)
    yield provider
    provider.shutdown()


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer_provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def collected(reader: InMemoryMetricReader) -> dict[str, Metric]:
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_both_sinks_say_the_same(reader: InMemoryMetricReader, provider: MeterProvider) -> None:
    """Whoever goes from one to the other would get other numbers."""
    registry = CollectorRegistry()

    async def main() -> dict[str, Metric]:
        sinks = [opentelemetry(provider), prometheus(registry)]
        gate = await campaign(*sinks)
        found = collected(reader)
        for name, metric in found.items():
            for point in metric.data.data_points:
                _same(registry, name, point)
        await gate.aclose()
        return found

    found = run(main())
    values = {metric.name for metric in METRICS.values() if _values(registry, metric.series)}
    assert set(found) >= values - {"callguard.wait"}
    assert found["callguard.wait"].unit == "s"
    assert isinstance(found["callguard.calls"].data, Gauge)
    assert isinstance(found["callguard.admissions"].data, Sum)
    assert found["callguard.admissions"].data.is_monotonic
    assert isinstance(found["callguard.waiting"].data, Sum)
    assert not found["callguard.waiting"].data.is_monotonic
    assert isinstance(found["callguard.wait"].data, Histogram)


def _values(registry: CollectorRegistry, series: str) -> list[float]:
    return [
        sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == series
    ]


def _same(registry: CollectorRegistry, name: str, point: Any) -> None:
    metric, attributes = METRICS[name], point.attributes
    labels = {label: attributes.get(label, "") for label in metric.labels}
    if metric is WAIT:
        count = registry.get_sample_value(f"{metric.series}_count", labels)
        total = registry.get_sample_value(f"{metric.series}_sum", labels)
        assert (point.count, point.sum) == (count, total)
        before = 0
        for bound, callers in zip(
            [*point.explicit_bounds, "+Inf"], point.bucket_counts, strict=True
        ):
            before += callers
            le = {**labels, "le": str(bound)}
            assert registry.get_sample_value(f"{metric.series}_bucket", le) == before
    else:
        assert registry.get_sample_value(metric.series, labels) == point.value


def test_waits_are_recorded_once_each(
    reader: InMemoryMetricReader, provider: MeterProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait would be counted again at every collection."""
    monkeypatch.setattr("callguard.metrics.to_opentelemetry._FRESH", -1.0)

    async def main() -> None:
        gate = await campaign(opentelemetry(provider))
        for _ in range(3):
            (point,) = collected(reader)["callguard.wait"].data.data_points
            assert isinstance(point, HistogramDataPoint)
            assert point.count == 1
        await gate.aclose()

    run(main())


def test_a_collection_while_the_loop_is_blocked_ends_without_gauges(
    reader: InMemoryMetricReader, provider: MeterProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exporter's thread would hang with the program."""
    monkeypatch.setattr(gates, "PATIENCE", 0.05)
    found: dict[str, Metric] = {}

    async def main() -> None:
        async with callguard.open_gate(
            source=FixedLimit(9), cps=None, listener=opentelemetry(provider)
        ) as gate:
            async with gate.admit():
                pass
            await asyncio.to_thread(lambda: gate)
            thread = threading.Thread(target=lambda: found.update(collected(reader)))
            thread.start()
            thread.join()  # the loop is blocked meanwhile

    asyncio.run(main())
    assert "callguard.ceiling" not in found
    (point,) = found["callguard.gates"].data.data_points
    assert dict(point.attributes or {})["state"] == "silent"


def test_a_wait_and_a_dial_are_spans_of_the_callers_trace(
    provider: MeterProvider, tracer_provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """A slow call's trace would not show that it had waited for room, or would show another's."""
    tracer = tracer_provider.get_tracer("of the caller")

    async def lead(gate: callguard.Gate, name: str) -> None:
        with tracer.start_as_current_span(name):
            async with gate.admit() as permit:
                await asyncio.sleep(0.05)
                permit.placed(f"call_{name}")
                permit.ended()

    async def main() -> None:
        sink = opentelemetry(provider, tracer_provider)
        async with callguard.open_gate(source=FixedLimit(1), cps=None, listener=sink) as gate:
            await asyncio.gather(lead(gate, "one"), lead(gate, "two"))

    asyncio.run(main())
    found = exporter.get_finished_spans()
    leads = {span.name: span for span in found if span.name in {"one", "two"}}
    for name, lead_span in leads.items():
        wait, dial = (_child(found, lead_span, kind) for kind in ("wait", "dial"))
        assert wait.end_time == dial.start_time
        assert _seconds(dial) >= 0.04
        assert (_seconds(wait) >= 0.04) == (name == "two")
        assert (dial.attributes or {})["callguard.outcome"] == "placed"
        assert not any("call_" in str(value) for value in (dial.attributes or {}).values())


def _child(found: tuple[ReadableSpan, ...], parent: ReadableSpan, kind: str) -> ReadableSpan:
    context = parent.get_span_context()
    assert context is not None
    (child,) = (
        span
        for span in found
        if span.name == f"callguard.{kind}"
        and span.parent is not None
        and span.parent.span_id == context.span_id
    )
    return child


def _seconds(span: ReadableSpan) -> float:
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


def test_a_wait_in_vain_and_a_refused_dial_are_spans_with_an_error(
    provider: MeterProvider, tracer_provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """A trace would end without saying why."""

    async def main() -> None:
        sink = opentelemetry(provider, tracer_provider)
        async with callguard.open_gate(source=FixedLimit(1), cps=None, listener=sink) as gate:
            async with gate.admit() as permit:
                with pytest.raises(AdmissionTimeout):
                    async with gate.admit(timeout=2.0):
                        pass
                waits = asyncio.create_task(_wait(gate))
                await asyncio.sleep(1.0)
                permit.refused(429)
                await gate.aclose()
                await waits

    run(main())
    found = [
        (span.name, span.status.description)
        for span in exporter.get_finished_spans()
        if span.status.status_code is StatusCode.ERROR
    ]
    assert found == [
        ("callguard.wait", "timed out"),
        ("callguard.dial", "refused"),
        ("callguard.wait", "closed"),
    ]


async def _wait(gate: callguard.Gate) -> None:
    with pytest.raises(GateClosed):
        async with gate.admit():
            pass


def test_dials_that_never_return_are_forgotten(
    provider: MeterProvider,
    tracer_provider: TracerProvider,
    exporter: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Permits that nobody leaves would fill the memory."""
    monkeypatch.setattr(spans, "MOST_DIALS", 2)

    async def main() -> None:
        sink = opentelemetry(provider, tracer_provider)
        async with callguard.open_gate(source=FixedLimit(9), cps=None, listener=sink) as gate:
            async with gate.admit(), gate.admit(), gate.admit():
                pass

    run(main())
    names = [span.name for span in exporter.get_finished_spans()]
    assert names.count("callguard.dial") == 2

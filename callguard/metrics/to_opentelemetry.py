"""The sink for OpenTelemetry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from threading import Lock
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.metrics import Meter as Instruments
from opentelemetry.trace import TracerProvider

from callguard.events import Event
from callguard.gate.waits import NO_WAITS, WAIT_BOUNDS, Waits
from callguard.metrics.meter import Measurement, Meter
from callguard.metrics.spans import Spans
from callguard.metrics.table import METRICS, WAIT, Labels, Metric

__all__ = ["OpenTelemetrySink"]

_FRESH: Final = 0.5
"""Seconds for which a measurement answers for all instruments, each of which is asked by itself."""


class OpenTelemetrySink(Meter):
    """A listener that exports by OpenTelemetry; made by `callguard.metrics.opentelemetry`.

    Args:
        meter_provider: makes the instruments; None for the process's.
        tracer_provider: makes the spans; None for none.
    """

    def __init__(
        self,
        meter_provider: MeterProvider | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        super().__init__()
        self._spans = None if tracer_provider is None else Spans(tracer_provider)
        if self._spans is not None:
            self.hears = (*self.hears, *self._spans.hears)
        instruments = metrics.get_meter("callguard", meter_provider=meter_provider)
        self._wait: Final = instruments.create_histogram(
            WAIT.name, WAIT.unit, WAIT.help, explicit_bucket_boundaries_advisory=WAIT_BOUNDS
        )
        for metric in METRICS.values():
            if metric is not WAIT:
                make = _maker(instruments, metric)
                make(metric.name, [partial(self._observe, metric)], metric.unit, metric.help)

    def _begin(self) -> None:
        super()._begin()
        self._measuring = Lock()
        self._latest = Measurement()
        self._measured_at: float | None = None
        self._recorded: dict[Labels, Waits] = {}

    def __call__(self, event: Event, /) -> None:
        """Count `event`, and end the spans that it ends."""
        super().__call__(event)
        if self._spans is not None:
            self._spans(event)

    def _observe(self, metric: Metric, _: CallbackOptions) -> Iterable[Observation]:
        with self._measuring:
            now = time.monotonic()
            if self._measured_at is None or now - self._measured_at > _FRESH:
                self._latest = self.measure()
                self._measured_at = time.monotonic()
                self._record_waits()
            found = self._latest.values.get(metric, {})
        return [Observation(value, _attributes(metric, labels)) for labels, value in found.items()]

    def _record_waits(self) -> None:
        """Record the waits since the last time, since no histogram is observed when it is asked.

        Each is recorded as the mean of those in its bucket, so buckets and sum are exact.
        """
        for labels, waits in self._latest.waits.items():
            attributes = _attributes(WAIT, labels)
            before = self._recorded.get(labels, NO_WAITS)
            for callers, known, seconds, of_known in zip(
                waits.callers, before.callers, waits.seconds, before.seconds, strict=True
            ):
                for _ in range(callers - known):
                    self._wait.record((seconds - of_known) / (callers - known), attributes)
            self._recorded[labels] = waits


def _maker(instruments: Instruments, metric: Metric) -> Callable[..., object]:
    if metric.kind == "counter":
        return instruments.create_observable_counter
    adds_up = not (metric.shared or metric.unit == "s")
    if adds_up:
        return instruments.create_observable_up_down_counter
    return instruments.create_observable_gauge


def _attributes(metric: Metric, labels: Labels) -> dict[str, str]:
    """The labels that have a value, by their names."""
    return {name: value for name, value in zip(metric.labels, labels, strict=True) if value}

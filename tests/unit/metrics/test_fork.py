"""What a process tells that was forked while a gate of its parent's was open."""

from __future__ import annotations

import os

import pytest

from tests.support.scripts import output_of

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

PROLOGUE = """
import os, signal, threading, callguard, callguard.sync
def dialled(sink):
    gate = callguard.sync.connect(source=callguard.FixedLimit(1), cps=None, listener=sink)
    with gate.admit() as permit:
        try:
            with gate.admit(timeout=0.0):
                pass
        except callguard.AdmissionTimeout:
            pass
    return gate
def forked(lock):
    held, free = threading.Event(), threading.Event()
    def hold():  # as if a scrape in another thread were under way
        with lock:
            held.set()
            free.wait()
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child:
        free.set()
        thread.join()
    else:
        signal.alarm(40)  # ends it if it hangs
    return child
def joined(child):
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_forked_process_exports_its_own_gates_to_prometheus_and_the_parent_its_own() -> None:
    """Each scrape of a worker would wait for its parent's gate, and count the parent's calls."""
    said = output_of(
        PROLOGUE,
        """
        import prometheus_client
        registry = prometheus_client.CollectorRegistry()
        sink = callguard.metrics.prometheus(registry)
        def values(name):
            families = registry.collect()
            found = [each for family in families for each in family.samples if each.name == name]
            return [(each.labels.get("state"), each.value) for each in found if each.value]
        def told():
            names = "gates", "admissions_total", "timeouts_total"
            return [values(f"callguard_{name}") for name in names]
        gate = dialled(sink)
        assert told() == [[("answered", 1.0)], [(None, 1.0)], [(None, 1.0)]]
        child = forked(sink._lock)
        if not child:
            assert told() == [[], [], []], told()
            own = dialled(sink)
            assert told() == [[("answered", 1.0)], [(None, 1.0)], [(None, 1.0)]], told()
            own.close()
            raise SystemExit(0)
        joined(child)
        assert told() == [[("answered", 1.0)], [(None, 1.0)], [(None, 1.0)]]
        gate.close()
        print("done")
        """,
    ).split()
    assert said == ["done"]


def test_a_forked_process_exports_its_own_gates_by_opentelemetry() -> None:
    """A worker's exporter would hang, or send its parent's counts a second time."""
    said = output_of(
        PROLOGUE,
        """
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], shutdown_on_exit=False)
        sink = callguard.metrics.opentelemetry(provider)
        def told():
            data = reader.get_metrics_data()
            return {
                metric.name: sum(point.value for point in metric.data.data_points)
                for resource in (data.resource_metrics if data else [])
                for scope in resource.scope_metrics
                for metric in scope.metrics
                if metric.name in {"callguard.admissions", "callguard.timeouts"}
            }
        gate = dialled(sink)
        assert told() == {"callguard.admissions": 1, "callguard.timeouts": 1}
        child = forked(sink._measuring)
        if not child:
            for _ in range(2):
                dialled(sink).close()
            assert told() == {"callguard.admissions": 2, "callguard.timeouts": 2}, told()
            raise SystemExit(0)
        joined(child)
        gate.close()
        print("done")
        """,
    ).split()
    assert said == ["done"]

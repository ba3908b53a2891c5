"""What Prometheus is told of a gate, and in which thread."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import callguard
from callguard import (
    AdmissionTimeout,
    FixedLimit,
    GateClosed,
    Lane,
    LimitsUnavailable,
    MissingExtra,
)
from callguard.metrics import gates, prometheus
from callguard.metrics.table import METRICS, WAIT
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.metrics.support import LANES, TRUNKS, campaign

EXPOSITION = Path(__file__).with_name("exposition.txt")

WORKSPACE = 'workspace="9d545d39cc41850bb9a8abdb"'


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PATIENCE", 0.05)


def scraped(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def values(text: str, name: str) -> dict[str, float]:
    """The values of a metric by its labels without the workspace."""
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    return {labels.replace(WORKSPACE, "").strip(","): float(value) for labels, value in found}


def counters(text: str) -> set[str]:
    """The series of all counters."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if "_total{" in line}


def test_a_small_campaign_has_exactly_these_metrics(registry: CollectorRegistry) -> None:
    """A dashboard would show a wrong number, or would look for a name that has changed."""

    async def main() -> str:
        gate = await campaign(prometheus(registry))
        text = scraped(registry)
        await gate.aclose()
        return text

    assert run(main()) == EXPOSITION.read_text("utf-8")


def test_every_metric_is_described_once_and_by_the_rules_of_prometheus() -> None:
    """Two metrics would share a name, or one would end with what means something else."""
    series = [metric.series for metric in METRICS.values()]
    assert len(set(series)) == len(series)
    for metric in METRICS.values():
        assert re.fullmatch(r"callguard_[a-z_]+", metric.series)
        assert metric.series.endswith("_total") == (metric.kind == "counter")
        assert ("_seconds" in metric.series) == (metric.unit == "s")
        assert metric.help.endswith(".")
        assert metric.labels[0] == "workspace"
        assert not set(metric.labels) & {"call_id", "permit_id", "gate", "key", "number"}


def test_the_page_lists_every_metric_as_it_is() -> None:
    """Whoever makes a dashboard would learn of a metric by chance, or add up what is one."""
    page = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text("utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `callguard_")]
    listed = {
        row[1].strip(" `"): [row[2].strip(), re.findall(r"`(\w+)`", row[3]), row[4].strip()]
        for row in rows
    }
    assert listed == {
        metric.series: [
            metric.kind,
            list(metric.labels[1:]),
            "buckets add up" if metric is WAIT else metric.together,
        ]
        for metric in METRICS.values()
    }


def test_nothing_that_names_a_call_a_person_or_a_key_is_in_the_metrics(
    registry: CollectorRegistry,
) -> None:
    """A phone number would be kept for years by whoever scrapes this."""

    async def main() -> str:
        gate = await campaign(prometheus(registry))
        text = scraped(registry)
        assert gate.id not in text
        await gate.aclose()
        return text

    text = run(main())
    assert "call_of_somebody" not in text
    assert "4155550100" not in text


def test_a_status_that_a_caller_made_up_is_one_of_a_few_labels(
    registry: CollectorRegistry,
) -> None:
    """A caller who passes its own numbers would fill the server with series."""

    async def main() -> str:
        sink = prometheus(registry)
        async with callguard.open_gate(source=FixedLimit(9), cps=None, listener=sink) as gate:
            for status in (1, 10**9, -5, None, 503):
                async with gate.admit() as permit:
                    permit.refused(status)
                    await asyncio.sleep(10.0)
            return scraped(registry)

    assert values(run(main()), "callguard_refusals_total") == {
        'lane="",status=""': 0.0,
        'lane="default",status="429"': 0.0,
        'lane="default",status="other"': 3.0,
        'lane="default",status=""': 1.0,
        'lane="default",status="503"': 1.0,
    }


def test_the_first_of_anything_is_an_increase(registry: CollectorRegistry) -> None:
    """No alert would ring for the first refusal: `increase` sees nothing where a series begins."""

    async def main() -> tuple[set[str], set[str]]:
        source = ScriptedSource()
        source.answer(limit=4, burst_limit=6)
        gate = await callguard.connect(
            source=source, lanes=LANES, trunks=TRUNKS, cps=1.0, listener=prometheus(registry)
        )
        before = counters(scraped(registry))
        for trunk in ("twilio", None, "default"):
            async with gate.admit("urgent", trunk=trunk) as permit:
                permit.placed(f"call_{trunk}")
        gate.note_ended("call_twilio")
        gate.note_ended("call_of_a_stranger")
        async with gate.admit("bulk", trunk=None) as permit:
            permit.refused()
        source.error = LimitsUnavailable("no answer")
        with pytest.raises(AdmissionTimeout):
            async with gate.admit("bulk", timeout=5.0):
                pass
        waiting = asyncio.create_task(_hold(gate, "bulk"))
        await asyncio.sleep(5.0)
        waiting.cancel()
        await asyncio.wait([waiting])
        waiting = asyncio.create_task(_hold(gate, "urgent"))
        await asyncio.sleep(5.0)
        await gate.aclose()
        await asyncio.wait([waiting])
        assert isinstance(waiting.exception(), GateClosed)
        return before, counters(scraped(registry))

    before, after = run(main())
    assert before == after
    assert {series.partition("{")[0] for series in before} == {
        metric.series for metric in METRICS.values() if metric.kind == "counter"
    }


def test_a_series_of_burst_begins_where_the_lane_can_burst(registry: CollectorRegistry) -> None:
    """A server would keep twice the series for workspaces without burst, or miss its first call."""

    async def main() -> None:
        source = ScriptedSource()
        gate = await callguard.connect(source=source, lanes=LANES, listener=prometheus(registry))
        series = 'lane="urgent",tier="burst",trunk="default"'
        assert series not in values(scraped(registry), "callguard_admissions_total")
        source.answer(limit=4, burst_limit=6)
        async with gate.admit("bulk"):
            await asyncio.sleep(5.0)
        async with gate.admit("bulk"):  # by now there is a new reading
            await asyncio.sleep(5.0)
        assert values(scraped(registry), "callguard_admissions_total")[series] == 0.0
        await gate.aclose()

    run(main())


def test_a_scrape_in_another_thread_is_answered_by_the_event_loop(
    registry: CollectorRegistry,
) -> None:
    """Prometheus' own server would get nothing, or read a gate while that changes."""

    async def main() -> None:
        async with callguard.open_gate(source=FixedLimit(9), listener=prometheus(registry)):
            text = await asyncio.to_thread(scraped, registry)
            assert values(text, "callguard_gates") == {'state="answered"': 1.0}
            assert values(text, "callguard_ceiling") == {'lane="default"': 9.0}

    asyncio.run(main())


@pytest.mark.usefixtures("impatient")
def test_a_scrape_while_the_loop_is_blocked_ends_without_gauges(
    registry: CollectorRegistry,
) -> None:
    """A scrape would hang with the program, or show old numbers as if they were new."""
    texts: list[str] = []

    async def main() -> None:
        async with callguard.open_gate(
            source=FixedLimit(9), cps=None, listener=prometheus(registry)
        ) as gate:
            async with gate.admit():
                await asyncio.to_thread(scraped, registry)
                thread = threading.Thread(target=lambda: texts.append(scraped(registry)))
                thread.start()
                thread.join()  # the loop is blocked meanwhile
            await asyncio.sleep(0)  # the late answer breaks nothing

    asyncio.run(main())
    (text,) = texts
    assert values(text, "callguard_gates") == {'state="silent"': 1.0}
    assert values(text, "callguard_ceiling") == {}
    assert values(text, "callguard_admissions_total") == {
        'lane="default",tier="normal",trunk=""': 1.0
    }


def test_a_closed_gate_has_no_gauges_and_its_counters_stay(registry: CollectorRegistry) -> None:
    """An alert would ring for a gate that is gone, or a counter would fall."""

    async def main() -> None:
        sink = prometheus(registry)
        for opened in (1, 2):
            async with callguard.open_gate(source=FixedLimit(1), cps=None, listener=sink) as gate:
                async with gate.admit():
                    with pytest.raises(AdmissionTimeout):
                        async with gate.admit(timeout=1.0):
                            pass
            text = scraped(registry)
            assert values(text, "callguard_gates") == {}
            assert values(text, "callguard_waiting") == {}
            assert list(values(text, "callguard_admissions_total").values()) == [opened]
            assert list(values(text, "callguard_timeouts_total").values()) == [opened]

    run(main())


def test_gates_of_one_workspace_add_up_but_not_what_they_say_of_the_workspace(
    registry: CollectorRegistry,
) -> None:
    """Two gates of a process would double the limit, or hide half of the waiting callers."""

    async def main() -> None:
        sink = prometheus(registry)
        options = {"source": FixedLimit(1), "cps": None, "listener": sink}
        async with callguard.open_gate(**options) as one, callguard.open_gate(**options) as other:  # type: ignore[arg-type]
            tasks = [asyncio.create_task(_hold(gate)) for gate in (one, other) for _ in range(3)]
            await asyncio.sleep(1.0)
            text = scraped(registry)
            assert values(text, "callguard_gates") == {'state="answered"': 2.0}
            assert values(text, "callguard_waiting") == {'lane="default"': 4.0}
            assert values(text, "callguard_ceiling") == {'lane="default"': 1.0}
            assert list(values(text, "callguard_admissions_total").values()) == [2.0]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run(main())


def test_the_gate_that_knows_of_the_most_calls_says_how_many_fit(
    registry: CollectorRegistry,
) -> None:
    """A gate that hasn't heard of another's calls would show room that there isn't."""

    async def main() -> None:
        sink = prometheus(registry)
        options = {"source": FixedLimit(3), "cps": None, "listener": sink}
        async with callguard.open_gate(**options) as one, callguard.open_gate(**options):  # type: ignore[arg-type]
            async with one.admit(), one.admit():
                text = scraped(registry)
            assert values(text, "callguard_usage") == {"": 2.0}
            assert values(text, "callguard_headroom") == {'lane="default"': 1.0}

    run(main())


async def _hold(gate: callguard.Gate, lane: str | None = None) -> None:
    async with gate.admit(lane):
        await asyncio.sleep(1e6)


@pytest.mark.usefixtures("impatient")
def test_a_gate_whose_loop_is_gone_neither_hangs_nor_raises(registry: CollectorRegistry) -> None:
    """A program that forgot to close its gate would lose its metrics, too."""
    sink = prometheus(registry)
    loop = asyncio.new_event_loop()

    async def main() -> callguard.Gate:
        gate = await callguard.connect(source=FixedLimit(9), cps=None, listener=sink)
        async with gate.admit():
            return gate

    gate = loop.run_until_complete(main())
    assert values(scraped(registry), "callguard_gates") == {'state="answered"': 1.0}
    texts: list[str] = []
    thread = threading.Thread(target=lambda: texts.append(scraped(registry)))
    thread.start()
    thread.join()
    assert values(texts[0], "callguard_gates") == {'state="silent"': 1.0}
    loop.run_until_complete(gate._closing.aclose())  # its tasks, without a word to the sink
    loop.close()
    del gate
    gc.collect()
    text = scraped(registry)
    assert values(text, "callguard_gates") == {}
    assert list(values(text, "callguard_admissions_total").values()) == [1.0]


def test_a_lane_that_waits_is_in_the_histogram(registry: CollectorRegistry) -> None:
    """Nobody would see how long callers wait."""

    async def main() -> str:
        source = ScriptedSource(limit=1)
        async with callguard.open_gate(
            source=source, lanes=[Lane("a", default=True)], cps=None, listener=prometheus(registry)
        ) as gate:
            async with gate.admit() as permit:
                task = asyncio.create_task(_hold(gate))
                await asyncio.sleep(7.0)
                permit.cancel()
                await asyncio.sleep(0.1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return scraped(registry)

    text = run(main())
    assert values(text, "callguard_wait_seconds_sum") == {'lane="a"': 7.0}
    buckets = values(text, "callguard_wait_seconds_bucket")
    assert buckets['lane="a",le="5.0"'] == 0.0
    assert buckets['lane="a",le="10.0"'] == buckets['lane="a",le="+Inf"'] == 1.0


def test_a_registry_takes_one_sink(registry: CollectorRegistry) -> None:
    """Each scrape would show every number twice, which Prometheus rejects."""
    prometheus(registry)
    with pytest.raises(ValueError, match="Duplicated"):
        prometheus(registry)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("prometheus_client", "opentelemetry"):
        monkeypatch.setitem(sys.modules, package, None)
    for module in ("to_prometheus", "to_opentelemetry", "spans"):
        monkeypatch.delitem(sys.modules, f"callguard.metrics.{module}", raising=False)


@pytest.mark.usefixtures("without")
def test_a_sink_whose_package_is_missing_says_what_to_install() -> None:
    """A user would get a traceback instead of the command."""
    with pytest.raises(MissingExtra, match="prometheus_client") as caught:
        prometheus()
    assert (caught.value.extra, caught.value.install) == (
        "prometheus",
        "pip install 'prometheus-client>=0.20'",
    )
    with pytest.raises(MissingExtra, match="opentelemetry-api") as caught:
        callguard.metrics.opentelemetry()
    assert caught.value.extra == "opentelemetry"

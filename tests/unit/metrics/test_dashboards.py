"""The dashboard and the alert rules ask for what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from callguard.metrics.table import METRICS

DOCS = Path(__file__).parents[3] / "docs"

SERIES = {metric.series for metric in METRICS.values() if metric.kind != "histogram"}
HISTOGRAMS = {
    f"{metric.series}_{part}"
    for metric in METRICS.values()
    if metric.kind == "histogram"
    for part in ("bucket", "count", "sum")
}


def expressions() -> list[str]:
    """The expressions of the dashboard."""
    panels = json.loads((DOCS / "grafana.json").read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_the_dashboard_asks_for_all_metrics_and_no_others() -> None:
    """A panel would stay empty, or a metric would never be looked at."""
    asked = {name for each in expressions() for name in re.findall(r"callguard_\w+", each)}
    assert asked - SERIES - HISTOGRAMS == set()
    assert SERIES - asked == set()


def test_the_dashboard_takes_one_of_what_every_worker_says_of_the_workspace() -> None:
    """Three workers would show three times the usage, or one of them room that there isn't."""
    together = {metric.series: metric.together for metric in METRICS.values()}
    for each in expressions():
        for name in re.findall(r"callguard_\w+", each):
            if name in together:
                assert each.removeprefix("60 * ").startswith(together[name]), each


@pytest.mark.parametrize("file", ["alerts.yml", "alerts.test.yml"])
def test_the_alert_rules_ask_for_metrics_that_there_are(file: str) -> None:
    """An alert would never ring."""
    asked = set(re.findall(r"callguard_\w+", (DOCS / file).read_text("utf-8")))
    assert asked
    assert asked <= SERIES | HISTOGRAMS


def test_the_dashboard_sorts_by_labels_that_the_metric_has() -> None:
    """A panel would merge what it means to tell apart."""
    labels = {metric.series: set(metric.labels) for metric in METRICS.values()}
    for each in expressions():
        (name,) = re.findall(r"callguard_\w+", each)
        known = labels.get(name) or {"le", "lane", "workspace"}
        for named in re.findall(r"by \((.*?)\)", each):
            assert {label.strip() for label in named.split(",")} <= known, each


@pytest.mark.outside
@pytest.mark.parametrize("what", [("check", "alerts.yml"), ("test", "alerts.test.yml")])
def test_promtool_accepts_the_rules_and_each_rings_for_its_case(what: tuple[str, str]) -> None:
    """Prometheus would not start with the rules, or they would ring for nothing."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool, of Debian's package prometheus")
    verb, file = what
    done = subprocess.run(
        [promtool, verb, "rules", str(DOCS / file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.outside
def test_promtool_finds_nothing_to_complain_of_in_the_metrics() -> None:
    """A name would break Prometheus' rules."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool, of Debian's package prometheus")
    text = Path(__file__).with_name("exposition.txt").read_text("utf-8")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

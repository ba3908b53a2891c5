"""The verdict on a campaign, its summary, and its plain lines."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from callguard.demo.plain import PlainLines, line
from callguard.demo.progress import Outcome
from callguard.demo.summary import summary, verdict
from tests.unit.demo.support import outcome, progress


def rendered(of: Outcome) -> str:
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(summary(of))
    return capture.get()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"refusals": 2}, "2 calls refused"),
        ({"peak": 27}, "a peak 2 over the ceiling"),
        ({"worst_excess": 1}, "a call 1 over the workspace's own limit"),
        ({"dialled_once": 99}, "99 of 100 leads dialled once, in 100 calls"),
        ({"placed": 101}, "100 of 100 leads dialled once, in 101 calls"),
    ],
)
def test_broken_promise(fields: dict[str, Any], said: str) -> None:
    """A demo that failed would exit as if it had not, or not say in what."""
    broken = outcome(**fields)
    assert not broken.kept
    assert broken.as_json()["kept"] is False
    assert verdict(broken).plain == f"Not kept: {said}."


@pytest.mark.parametrize("fields", [{}, {"peak": 3}, {"worst_excess": 0}, {"worst_excess": None}])
def test_kept_promise(fields: dict[str, Any]) -> None:
    """A demo that did well would exit as if it had failed."""
    kept = outcome(**fields)
    assert kept.kept
    assert verdict(kept).plain.startswith("Nothing refused")


def test_figures() -> None:
    """The summary and the JSON would be of another campaign than the one that was."""
    of = outcome(
        peak=28, refusals=7, call_seconds=150.0, seconds_over_limit=2.25, inbound_started=4
    )
    fields = of.as_json()
    assert (fields["peak"], fields["over_ceiling"], fields["refused"]) == (28, 3, 7)
    assert (fields["average"], fields["seconds_over_limit"]) == (15.0, 2.2)
    for row in (
        ("calls refused", " 7 ", " 0 "),
        ("peak over the ceiling", " 3 ", " 0 "),
        ("leads dialled once", " 100 ", " 100 "),
        (" peak ", "28 of 25"),
        ("seconds over the limit", "2.2"),
    ):
        assert any(all(part in shown for part in row) for shown in rendered(of).splitlines())


def test_line() -> None:
    """A log of the demo would not show what the picture shows."""
    text = line(progress(7.25, 16, 18, peak=21, placed=60, refusals=2, waiting=38))
    for part in (
        " 7.2 s",
        "16 calls (limit 20, with burst 25)",
        "usage 18",
        "waiting: urgent 0, bulk 38",
        "placed 60 of 100",
        "refused 2",
        "peak 21",
    ):
        assert part in text
    assert "usage" not in line(progress(usage=None))


def test_a_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """A log would be flooded, or miss how the campaign ended."""
    show = PlainLines()
    for tenth in range(25):
        show(progress(tenth / 10 + 0.05))
    show(progress(2.5, placed=100))
    times = [text.split()[0] for text in capsys.readouterr().out.splitlines()]
    assert times == ["0.1", "1.1", "2.0", "2.5"]

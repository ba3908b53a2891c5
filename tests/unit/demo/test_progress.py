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
        console.print(summary({"a loop": of, "a gate": outcome()}))
    return capture.get()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"refusals": 2}, "2 dials refused"),
        ({"peak": 22}, "a peak 2 over the limit"),
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
        peak=28, placed=95, refusals=7, call_seconds=150.0, surcharge_seconds=330.0, elapsed=90.0
    )
    fields = of.as_json()
    assert (fields["peak"], fields["over_limit"], fields["refused"]) == (28, 8, 7)
    assert (fields["lost"], fields["surcharge"], fields["average"]) == (5, 0.55, 1.7)
    for name, theirs, ours in (
        ("leads lost", "5", "0"),
        ("dials refused", "7", "0"),
        ("surcharge", "$0.55", "$0.00"),
        ("peak over the limit", "8", "0"),
        ("minutes", "1.5", "0.2"),
        ("leads called a minute", "63.3", "600.0"),
        ("leads called  ", "95 of 100", "100 of 100"),
        ("calls on average", "1.7 of 20", "0.0 of 20"),
    ):
        (row,) = (line for line in rendered(of).splitlines() if name in line)
        assert [cell.strip() for cell in row.split("│")[1:-1]] == [name.strip(), theirs, ours]
    assert "refused 4 times and given up" in rendered(of)


def test_line() -> None:
    """A log of the demo would not show what the picture shows."""
    figures: dict[str, Any] = {"placed": 60, "refusals": 2, "waiting": 38, "lost": 3}
    looked = progress(126.0, 16, ours=14, surcharge_seconds=330.0, **figures)
    for part in (
        " 2.1 min  a gate:",
        "16 calls (limit 20): 14 ours, 2 others",
        "called 60 of 100",
        "waiting 38",
        "lost 3",
        "refused 2",
        "surcharge $0.55",
    ):
        assert part in line("a gate", looked)


@pytest.mark.parametrize(("others", "said"), [(0, "0 others"), (1, "1 other"), (2, "2 others")])
def test_one_call_by_others_is_in_the_singular(others: int, said: str) -> None:
    """The demo would speak of 1 others."""
    assert progress(count=14 + others, ours=14).whose == f"14 ours, {said}"


def test_a_line_a_minute_for_each_campaign(capsys: pytest.CaptureFixture[str]) -> None:
    """A log would be flooded, or one campaign be missing in it."""
    show = PlainLines()
    for seconds in range(0, 130, 4):
        show("a loop", progress(float(seconds)))
        show("a gate", progress(float(seconds)))
    times = [text.split("min")[0].strip() for text in capsys.readouterr().out.splitlines()]
    assert times == ["0.0", "0.0", "1.0", "1.0", "2.0", "2.0"]

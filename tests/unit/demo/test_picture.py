"""What the live picture shows, on terminals of several kinds."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from callguard.demo.campaign import Plan, title
from callguard.demo.picture import Frame, Picture
from callguard.demo.progress import Progress
from callguard.demo.summary import summary
from tests.unit.demo.support import REASON, outcome, progress

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
LINE_UP, ALTERNATE_SCREEN = "\x1b[1A", "\x1b[?1049h"
COLOUR = re.compile(r"\x1b\[[0-9;]*(3[0-7]|38)[0-9;]*m")
LABEL_WIDTH = 10


def terminal(width: int = 80, height: int = 24, **options: Any) -> Console:
    defaults: dict[str, Any] = {"file": io.StringIO(), "color_system": None, "_environ": {}}
    return Console(width=width, height=height, force_terminal=True, **(defaults | options))


def written(console: Console) -> str:
    """What has been written to a terminal so far, with its control sequences."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def frame(*history: Progress, on: Console | None = None) -> list[str]:
    console = on or terminal()
    with console.capture() as capture:
        console.print(Frame("a title", {"a gate": history}))
    return capture.get().splitlines()


def test_the_title_fits_on_a_narrow_terminal() -> None:
    """The demo's first line would break before its last word."""
    assert len(title(Plan(leads=150, seed=1, gated=True))) <= 60


def chart_of(lines: list[str]) -> list[str]:
    """The rows of the chart, the highest first."""
    return [line for line in lines if line[LABEL_WIDTH - 1 : LABEL_WIDTH] in {"┤", "|"}]


def column(lines: list[str], number: int) -> str:
    """A column of the chart, from the lowest row up."""
    return "".join(row[LABEL_WIDTH + number] for row in reversed(chart_of(lines)))


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24), (40, 20), (200, 60)])
@pytest.mark.parametrize("usage", [30, None])
def test_a_frame_fits(width: int, height: int, usage: int | None) -> None:
    """A frame would scroll the terminal or wrap its lines, and the next one not cover it."""
    history = [progress(tenth / 10, 16, usage) for tenth in range(300)]
    lines = frame(*history, on=terminal(width, height))
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert chart_of(lines)
    assert {len(row) for row in chart_of(lines)} == {width}


@pytest.mark.parametrize(("width", "height"), [(30, 24), (80, 11), (20, 8)])
def test_no_room_for_a_chart(width: int, height: int) -> None:
    """A small terminal would show a ruin of a chart instead of the figures."""
    lines = frame(progress(1.0, 16, 18, placed=20), on=terminal(width, height))
    assert not chart_of(lines)
    assert "called 20" in " ".join(lines)


@pytest.mark.parametrize(("width", "height"), [(120, 40), (80, 24)])
def test_two_campaigns_fit(width: int, height: int) -> None:
    """Of two campaigns side by side one would be off the screen."""
    console = terminal(width, height)
    histories = {name: [progress(450.0, 16, 30, lost=59)] for name in ("a loop", "a gate")}
    with console.capture() as capture:
        console.print(Frame("a title", histories))
    lines = capture.get().splitlines()
    assert len(lines) < height
    assert [line[:6] for line in lines if line.startswith("a ")] == ["a titl", "a loop", "a gate"]
    assert sum("0┤" in row and "limit" not in row for row in chart_of(lines)) == 2


def test_a_campaign_that_is_over_stands_still_beside_one_that_is_not() -> None:
    """Of two campaigns the shorter would seem to have taken as long."""
    console = terminal(80, 60)
    over, other = [progress(0.0, 20), progress(300.0, 20)], [progress(0.0), progress(1200.0)]
    with console.capture() as capture:
        console.print(Frame("a title", {"a loop": over, "a gate": other}))
    first = chart_of(capture.get().splitlines())[:20]
    columns = [LABEL_WIDTH + place for place in (10, 16, 20, 60)]
    assert [any(row[place] == "█" for row in first) for place in columns] == [
        True,
        True,
        False,
        False,
    ]


def test_what_is_shown() -> None:
    """The picture would leave out a figure that it is there for."""
    looked = progress(
        438.0,
        16,
        18,
        ours=14,
        peak=21,
        placed=60,
        refusals=2,
        waiting=38,
        lost=3,
        surcharge_seconds=330.0,
    )
    shown = "\n".join(frame(looked, on=terminal(120)))
    for part in (
        "a title  7.3 min",
        "a gate  called 60 of 100  waiting 38  lost 3  refused 2  surcharge $0.55  peak 21",
        "14 ours, 2 others",
        REASON,
        "limit 20",
    ):
        assert part in shown


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_cut_and_no_word_broken(width: int) -> None:
    """On a narrow terminal the legend would end before it says what the lines are."""
    looks = progress(123.4, 16, 18, peak=21, placed=60, refusals=12, waiting=38)
    lines = [line.rstrip() for line in frame(looks, on=terminal(width, 40))]
    assert max(map(len, lines)) <= width
    for part in (
        *("█ calls going on", "░ dialling, or not surely counted", "─ limit"),
        *("2.1 min", "called 60 of 100", "refused 12", "waiting 38", "surcharge $0.00", "peak 21"),
    ):
        assert sum(part in line for line in lines) == 1, part
    assert REASON in {
        " ".join(lines[first:last]) for first in range(len(lines)) for last in range(len(lines) + 1)
    }


def test_before_the_first_reading() -> None:
    """The picture would fail before there is anything to draw."""
    assert any("called 0 of 100" in line for line in frame(progress(0.0, 0, None)))


def test_bars_stand_where_the_calls_are() -> None:
    """The chart would show another count than there was, or hide that it passed a line."""
    # The chart is 24 calls and 24 rows high: with a peak of 21, a row for each call.
    console = terminal(60, 60)
    at_first, in_the_end = progress(0.0, 21, 21), progress(597.0, 0, 0, peak=21)
    lines = frame(at_first, progress(30.0, 12, 18, peak=21), in_the_end, on=console)
    assert len(chart_of(lines)) == 24
    bar = column(lines, 3)
    assert bar.startswith("█" * 12 + "░" * 6)
    assert bar[18:].replace("─", "").strip() == ""
    assert column(lines, 30).startswith("█" * 12 + "░" * 6)  # nothing was looked at in between
    over = column(frame(progress(0.0, 28, 28), on=console), 0)
    assert over.startswith("█" * 20)


def test_the_line_at_the_limit() -> None:
    """A bar would seem to pass the limit that it did not pass, or the other way about."""
    within = next(row for row in chart_of(frame(progress(0.0, 20, 20))) if "limit 20" in row)
    assert set(within[LABEL_WIDTH:]) <= {"─", *"▁▂▃▄▅▆▇"}
    over = next(row for row in chart_of(frame(progress(0.0, 25, 25))) if "limit 20" in row)
    assert "█" in over


def test_the_highest_count_of_a_span_is_shown() -> None:
    """A peak between two columns would be lost."""
    spike = frame(progress(0.0, 1, 1), progress(0.1, 25, 25), progress(0.2, 1, 1, peak=25))
    flat = frame(progress(0.0, 25, 25), progress(0.1, 25, 25), progress(0.2, 25, 25))
    assert column(spike, 0) == column(flat, 0)


def test_a_peak_between_two_looks_is_shown() -> None:
    """The figures would have a peak that the chart doesn't have."""
    uncounted = frame(progress(0.0, 1, 1, peak=1), progress(0.1, 1, 1, peak=25))
    seen = frame(progress(0.0, 1, 1), progress(0.1, 25, 1, peak=25), progress(0.2, 1, 1, peak=25))
    assert chart_of(uncounted) == chart_of(seen)


def test_ascii() -> None:
    """A terminal that has no more than ASCII would get an error, or question marks."""
    console = terminal(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    lines = frame(progress(0.0, 16, 18, placed=20), on=console)
    assert "\n".join(lines).isascii()
    assert column(lines, 0).startswith("#" * 4)


def test_no_color() -> None:
    """Whoever asks for no colour would get colours."""

    def shown(environment: dict[str, str]) -> str:
        console = terminal(color_system="standard", _environ=environment)
        return "\n".join(frame(progress(1.0, 22, 24, refusals=1), on=console))

    assert COLOUR.search(shown({}))
    assert not COLOUR.search(shown({"NO_COLOR": "1"}))


def test_frames_cover_each_other() -> None:
    """Frames would pile up, or the last one not stay on the screen."""
    console = terminal()
    with Picture(console, "a title") as show:
        for tenth in range(5):
            show("a gate", progress(tenth / 10, 16, 18, placed=tenth))
    shown = written(console)
    lines = len(frame(progress(0.4, 16, 18)))
    assert shown.count(LINE_UP) >= 4 * (lines - 1)
    assert "called 4 of" in shown[shown.rindex(LINE_UP) :]
    assert ALTERNATE_SCREEN not in shown


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_cursor_comes_back(error: type[BaseException]) -> None:
    """Ctrl-C would leave a terminal without a cursor."""
    console = terminal()
    with pytest.raises(error), Picture(console, "a title") as show:
        show("a gate", progress())
        raise error
    assert written(console).rindex(SHOW_CURSOR) > written(console).rindex(HIDE_CURSOR)


@pytest.mark.parametrize("width", [40, 60])
def test_the_summary_breaks_no_word(width: int) -> None:
    """What the demo concludes would end in dots on a narrow terminal."""
    console = terminal(width)
    console.print(summary({"a gate": outcome()}))
    assert "…" not in written(console)
    assert max(map(len, written(console).splitlines())) <= width
    assert "surcharge" in written(console)

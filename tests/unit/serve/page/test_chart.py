"""The chart as numbers."""

from __future__ import annotations

from dataclasses import replace

from callguard.serve.page.chart import Chart, draw
from callguard.serve.views import Point
from tests.support.overviews import NOW, STATES

POINT = Point(NOW - 10, 8, 1, 2, 3, 20, 2, 26)


def path(chart: Chart, kind: str) -> str:
    return next(area.path for area in chart.areas if area.kind == kind)


def test_parts_lie_on_top_of_each_other() -> None:
    """The chart would show fewer calls than there are, or more."""
    chart = draw([POINT], NOW)
    assert chart.most == 11
    assert [area.kind for area in chart.areas] == ["dialling", "uncounted", "counted", "others"]
    heights = [int(area.path.split("V")[1].split("H")[0]) for area in chart.areas]
    top = 30  # the burst limit of 26 and an eighth
    assert heights == [round(1000 * (1 - calls / top)) for calls in (11, 10, 8, 3)]


def test_what_is_unknown_is_a_gap_and_not_zero() -> None:
    """An outage would look like a workspace without calls."""
    points = [
        replace(POINT, at=NOW - 300),
        replace(POINT, at=NOW - 200, reported=None, others=None),
        replace(POINT, at=NOW - 100),
    ]
    chart = draw(points, NOW)
    assert path(chart, "dialling").count("M") == 2
    assert path(chart, "others").count("M") == 2
    assert draw([], NOW).most is None
    assert all(not area.path for area in draw([], NOW).areas)


def test_a_point_holds_for_a_few_steps_only() -> None:
    """A count that nobody has read for minutes would look as if it were still so."""
    assert "H595" not in path(draw([replace(POINT, at=NOW - 100)], NOW), "counted")
    assert path(draw([replace(POINT, at=NOW - 100)], NOW), "counted").endswith("H520V1000Z")


def test_limits_have_their_lines_and_their_latest_value() -> None:
    """An operator would not see how near the limit is, or see an old limit."""
    lowered = replace(POINT, at=NOW - 3, limit=18)
    lines = {line.kind: line for line in draw([POINT, lowered], NOW).lines}
    assert {kind: line.calls for kind, line in lines.items()} == {
        "limit": 18,
        "outbound": 16,
        "burst": 26,
    }
    assert lines["limit"].path.count("V") == 2
    assert "outbound" not in {line.kind for line in draw([replace(POINT, reserved=0)], NOW).lines}


def test_an_unlimited_workspace_doesn_t_flatten_its_calls() -> None:
    """Some send 2**31 - 1 for "unlimited", and nothing would be seen beside it."""
    chart = draw([replace(POINT, limit=2**31 - 1, burst=None)], NOW)
    assert not chart.lines
    assert chart.marks[-1][0] < 20


def test_a_far_burst_limit_doesn_t_flatten_the_limit() -> None:
    """A burst limit of twice the limit would leave half of the chart empty."""
    lines = {line.kind: line for line in draw([replace(POINT, burst=40)], NOW).lines}
    assert "burst" not in lines
    assert lines["limit"].height < 15


def test_the_chart_stands_still_within_a_step() -> None:
    """Everybody who looks would get the whole chart anew every second, without any news."""
    points = [replace(POINT, at=NOW - 20 + second) for second in range(20)]
    assert draw(points, NOW + 0.1).areas == draw(points, NOW + 4.9).areas
    assert draw(points, NOW + 0.1).areas != draw(points, NOW + 5.1).areas


def test_each_minute_is_in_the_table_once() -> None:
    """Who can't see the chart would get nothing, or six hundred rows."""
    for name, state in STATES.items():
        minutes = draw(state().chart, NOW).minutes
        assert len(minutes) == (0 if name == "empty" else 10)
        assert [point.at for point in minutes] == sorted((p.at for p in minutes), reverse=True)

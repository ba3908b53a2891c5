"""The chart of ten minutes as numbers that a template draws: paths, lines and their labels.

Pure: an `Overview`'s points in, strings and numbers out. The plot is 600 wide, one for each second,
and 1000 high. It moves on by whole steps, so that it looks the same from one second to the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from callguard.serve.views import Point

__all__ = ["HEIGHT", "SECONDS", "Area", "Chart", "Line", "draw"]

SECONDS: Final = 600
"""Seconds that the chart shows, which is the width of its plot."""

HEIGHT: Final = 1000
"""The height of the plot."""

STEP: Final = 5
"""Seconds that are drawn as one: 120 steps are as fine as a telephone's screen shows."""

_HELD: Final = 3
"""Steps for which a point stands until the next one; after that nothing is known."""

_OUT_OF_SIGHT: Final = 20
"""A limit more than so many times above the calls isn't drawn, because the calls would be flat."""

_BURST_IN_SIGHT: Final = 1.5
"""A burst limit is drawn up to so many times the limit or the calls, for the same reason."""

_LOW: Final = 10
"""Calls that an empty chart has room for, at least."""


@dataclass(frozen=True, slots=True)
class Area:
    """What is filled from the bottom up to a sum of calls.

    Attributes:
        kind: the topmost part of the sum.
        path: an SVG path; empty where nothing is known.
    """

    kind: str
    path: str


@dataclass(frozen=True, slots=True)
class Line:
    """A limit over time.

    Attributes:
        kind: "limit", "outbound" or "burst".
        path: an SVG path.
        calls: its latest value.
        height: where that is, in percent from the top.
    """

    kind: str
    path: str
    calls: int
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Ten minutes, ready to be drawn.

    Attributes:
        areas: from the highest sum to the lowest, as they have to be painted.
        lines: the limits.
        marks: calls that the vertical axis names, each with its height in percent from the top.
        most: the most calls that were going on; None if nothing is known.
        minutes: the points to be listed, the newest first, one for each minute.
    """

    areas: tuple[Area, ...]
    lines: tuple[Line, ...]
    marks: tuple[tuple[int, float], ...]
    most: int | None
    minutes: tuple[Point, ...]


def draw(points: Sequence[Point], at: float) -> Chart:
    """Draw the ten minutes before `at`, in seconds since 1970."""
    end = math.ceil(at / STEP)
    steps = _steps(points, end)
    totals = [total for point in steps if (total := _total(point)) is not None]
    most = max(totals, default=None)
    top = _top(steps, most)
    return Chart(
        areas=tuple(Area(kind, _area([sums(p) for p in steps], top)) for kind, sums in _SUMS),
        lines=tuple(_lines(steps, top)),
        marks=tuple((calls, _percent(calls, top)) for calls in _marks(top)),
        most=most,
        minutes=tuple(_by_minute(points, at)),
    )


def _steps(points: Iterable[Point], end: int) -> list[Point | None]:
    """For each step the point with the most calls, or the one before it for as long as it holds."""
    first = end - SECONDS // STEP
    highest: dict[int, Point] = {}
    for point in points:
        step = math.floor(point.at / STEP)
        known = highest.get(step)
        if known is None or (_total(point) or 0) >= (_total(known) or 0):
            highest[step] = point
    steps: list[Point | None] = []
    for step in range(first, end):
        held = (highest.get(step - back) for back in range(_HELD + 1))
        steps.append(next((point for point in held if point is not None), None))
    return steps


def _total(point: Point | None) -> int | None:
    if point is None or point.reported is None:
        return None
    return point.reported + (point.dialling or 0) + (point.uncounted or 0)


def _without_dialling(point: Point | None) -> int | None:
    if point is None or point.reported is None:
        return None
    return point.reported + (point.uncounted or 0)


def _reported(point: Point | None) -> int | None:
    return None if point is None else point.reported


def _others(point: Point | None) -> int | None:
    return None if point is None or point.others is None else max(0, point.others)


_SUMS: Final = (
    ("dialling", _total),
    ("uncounted", _without_dialling),
    ("counted", _reported),
    ("others", _others),
)
"""Each part with the sum that it tops; each is painted over those before it."""


def _limit(point: Point | None) -> int | None:
    return None if point is None else point.limit


def _outbound(point: Point | None) -> int | None:
    if point is None or point.limit is None or not point.reserved:
        return None
    return point.limit - point.reserved


def _burst(point: Point | None) -> int | None:
    return None if point is None or point.burst is None else point.burst


_LIMITS: Final = (("limit", _limit), ("outbound", _outbound), ("burst", _burst))


def _lines(steps: Sequence[Point | None], top: int) -> Iterable[Line]:
    for kind, value in _LIMITS:
        values = [value(point) for point in steps]
        latest = next((calls for calls in reversed(values) if calls is not None), None)
        if latest is not None and 0 <= latest <= top:
            shown = [calls if calls is None or calls <= top else None for calls in values]
            yield Line(kind, _stroke(shown, top), latest, _percent(latest, top))


def _top(steps: Sequence[Point | None], most: int | None) -> int:
    """The calls at the upper edge: above everything that isn't far out of sight."""
    calls = max(most or 0, _LOW)
    limits = _known(_limit, steps, calls * _OUT_OF_SIGHT)
    plain = max([calls, *limits])
    return math.ceil(max([plain, *_known(_burst, steps, plain * _BURST_IN_SIGHT)]) * 1.12)


def _known(
    value: Callable[[Point | None], int | None], steps: Iterable[Point | None], most: float
) -> list[int]:
    values = (value(point) for point in steps)
    return [calls for calls in values if calls is not None and calls <= most]


def _marks(top: int) -> Iterable[int]:
    """Three or four round numbers of calls."""
    rough = top / 4
    unit = 10 ** math.floor(math.log10(rough)) if rough >= 1 else 1
    step = next(unit * nice for nice in (1, 2, 5, 10) if unit * nice >= rough)
    return range(step, top, step)


def _area(sums: Sequence[int | None], top: int) -> str:
    parts = []
    for start, run in _runs(sums):
        x = start * STEP
        parts.append(f"M{x} {HEIGHT}{_climb(x, run, top)}V{HEIGHT}Z")
    return "".join(parts)


def _stroke(values: Sequence[int | None], top: int) -> str:
    parts = []
    for start, run in _runs(values):
        x = start * STEP
        parts.append(f"M{x} {_y(run[0], top)}{_climb(x, run, top)}")
    return "".join(parts)


def _climb(x: int, run: Sequence[int], top: int) -> str:
    """Steps over a run; equal ones make one step."""
    parts: list[str] = []
    for index, calls in enumerate(run):
        if index == 0 or calls != run[index - 1]:
            parts.append(f"V{_y(calls, top)}")
        if index == len(run) - 1 or calls != run[index + 1]:
            parts.append(f"H{x + (index + 1) * STEP}")
    return "".join(parts)


def _runs(values: Sequence[int | None]) -> Iterable[tuple[int, list[int]]]:
    """The stretches where a value is known, each with the step where it starts."""
    run: list[int] = []
    for index, value in enumerate(values):
        if value is not None:
            run.append(value)
        elif run:
            yield index - len(run), run
            run = []
    if run:
        yield len(values) - len(run), run


def _y(calls: int, top: int) -> int:
    return round(HEIGHT * (1 - min(max(calls, 0), top) / top))


def _percent(calls: int, top: int) -> float:
    return round(100 * (1 - calls / top), 1)


def _by_minute(points: Iterable[Point], at: float) -> Iterable[Point]:
    """The newest point of each of the ten minutes, the newest first."""
    newest: dict[int, Point] = {}
    for point in points:
        minute = math.floor((at - point.at) / 60)
        if minute < SECONDS // 60:
            newest[minute] = point
    return (newest[minute] for minute in sorted(newest))

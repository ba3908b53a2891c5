"""The last ten minutes of a workspace's calls, drawn in characters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from rich.text import Text

from callguard.demo.chart import Glyphs
from callguard.serve.views import Point

__all__ = ["chart", "legend"]

MINUTES: Final = 10
"""Minutes that the chart is wide."""

_LABEL_WIDTH: Final = 4

_OTHERS, _OURS, _UNSURE = "blue", "green", "dim green"

_HALF: Final = 0.5

_APART: Final = 2.5
"""Seconds that two points are apart at most, while the limits are read once a second."""


@dataclass(frozen=True, slots=True)
class _Column:
    """The highest counts in a span of time; None where nothing is known.

    Attributes:
        reported: the provider's count.
        usage: the most calls that could be going on.
        others: those of the reported calls that are others'; 0 where that is unknown.
    """

    reported: int | None = None
    usage: int | None = None
    others: int = 0


@dataclass(frozen=True, slots=True)
class _Scale:
    """Calls in rows, and the lines at the limits.

    Attributes:
        height: rows of the chart.
        top: calls at its upper edge.
        lines: by row, the calls at which a line is.
    """

    height: int
    top: int
    lines: dict[int, int]

    def filled(self, calls: int, row: int) -> float:
        """How much of a row a bar of so many calls fills, from 0 to 1."""
        return min(max(calls * self.height / self.top - row, 0.0), 1.0)


def chart(points: Sequence[Point], *, now: float, width: int, height: int, glyphs: Glyphs) -> Text:
    """The count and the usage, under lines at the limit, the reserve and burst.

    Args:
        points: the oldest first; there may be gaps.
        now: the moment at the right edge, in seconds since 1970.
        width: characters of a line, with its label.
        height: lines.
        glyphs: the characters to draw with.
    """
    columns = _columns(points, now, width - _LABEL_WIDTH - 1)
    scale = _scale(points, columns, height)
    rows = (_row(row, columns, scale, glyphs) for row in reversed(range(height)))
    return Text("\n", no_wrap=True).join(rows)


def legend(points: Sequence[Point], glyphs: Glyphs) -> list[Text]:
    """What each of the chart's signs means; the lines only if they are there."""
    full, latest = glyphs.levels[-1], points[-1] if points else None
    parts = [Text(f"{full} reported", _OURS)]
    if latest is not None and latest.others is not None:
        parts = [Text(f"{full} ours", _OURS), Text(f"{glyphs.others} others", _OTHERS)]
    parts.append(Text(f"{glyphs.uncounted} dialling or uncounted", _UNSURE))
    if latest is not None and latest.limit is not None:
        reserved = f", {latest.reserved} for inbound" if latest.reserved else ""
        parts.append(Text(f"{glyphs.limit} limit {latest.limit}{reserved}", "yellow"))
    return [*parts, Text(f"{MINUTES} min", "dim")]


def _columns(points: Iterable[Point], now: float, number: int) -> list[_Column]:
    span = MINUTES * 60 / number
    columns = [_Column()] * number
    for point in points:
        index = number - 1 - math.floor((now - point.at) / span)
        if 0 <= index < number:
            columns[index] = _higher(columns[index], point)
    return columns if span >= _APART else _without_gaps(columns)


def _without_gaps(columns: list[_Column]) -> list[_Column]:
    """Fill single columns in which no point fell, since points are further apart."""
    filled = list(columns)
    for index, (before, column) in enumerate(pairwise(columns), start=1):
        if column == _Column():
            filled[index] = before
    return filled


def _higher(column: _Column, point: Point) -> _Column:
    if point.reported is None:
        return column
    unsure = (point.dialling or 0) + (point.uncounted or 0)
    usage = max(point.reported + unsure, column.usage or 0)
    if column.reported is not None and column.reported > point.reported:
        return _Column(column.reported, usage, column.others)
    return _Column(point.reported, usage, max(0, min(point.others or 0, point.reported)))


def _scale(points: Sequence[Point], columns: Iterable[_Column], height: int) -> _Scale:
    latest = points[-1] if points else None
    limit = (latest.limit if latest is not None else None) or 0
    highest = max([limit, *(column.usage or 0 for column in columns)])
    top = highest + max(1, highest // 8)
    lines: dict[int, int] = {}
    if latest is not None:
        reserve = limit - latest.reserved if latest.reserved else None
        for calls in (latest.burst, reserve, limit or None):  # the limit covers the others
            if calls is not None and 0 < calls <= top:
                lines[min(height - 1, math.ceil(calls * height / top) - 1)] = calls
    return _Scale(height, top, lines)


def _row(row: int, columns: Sequence[_Column], scale: _Scale, glyphs: Glyphs) -> Text:
    label = scale.lines.get(row, "" if row else 0)
    line = Text(f"{label:>{_LABEL_WIDTH}}{glyphs.axis}")
    cells = [_cell(row, column, scale, glyphs) for column in columns]
    for style, run in groupby(cells, key=lambda cell: cell[1]):
        line.append("".join(glyph for glyph, _ in run), style)
    return line


def _cell(row: int, column: _Column, scale: _Scale, glyphs: Glyphs) -> tuple[str, str]:
    filled = scale.filled(column.reported or 0, row)
    if filled > 0:
        if scale.filled(column.others, row) >= _HALF:
            return glyphs.others, _OTHERS
        level = math.ceil(filled * len(glyphs.levels)) - 1
        return glyphs.levels[level], _OURS
    if scale.filled(column.usage or 0, row) >= _HALF:
        return glyphs.uncounted, _UNSURE
    if row in scale.lines:
        return glyphs.limit, "yellow"
    return " ", ""

"""A chart of the calls over time, drawn in characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from rich.text import Text

from callguard.demo.progress import Progress

__all__ = ["Glyphs", "chart"]

_HORIZON: Final = 600.0
"""Seconds that the chart is wide at least, so that it grows from the left as time goes on."""

_MARGIN: Final = 3
"""Calls above the limit that the chart is high at least."""

_LABEL_WIDTH: Final = 9

_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters to draw with.

    Attributes:
        levels: cells that are filled more and more, the last one completely.
        uncounted: a cell of the usage above the calls that are going on: slots of permits that
            are dialling, or that the counter may not show yet.
        others: a cell of calls by others, where they are told apart.
        limit: a cell of the line at the limit.
        axis: what stands between the labels and the chart.
    """

    levels: str
    uncounted: str
    others: str
    limit: str
    axis: str

    @classmethod
    def fit_for(cls, *, ascii_only: bool) -> Glyphs:
        """The characters that a terminal can show."""
        if ascii_only:
            return cls(levels="#", uncounted=".", others="o", limit="-", axis="|")
        return cls(levels="▁▂▃▄▅▆▇█", uncounted="░", others="▒", limit="─", axis="┤")


@dataclass(frozen=True, slots=True)
class _Column:
    """A span of time: the highest count in it, and the usage at its end."""

    count: int
    usage: int


_NOTHING: Final = _Column(0, 0)


@dataclass(frozen=True, slots=True)
class _Cell:
    glyph: str
    style: str


@dataclass(frozen=True, slots=True)
class _Scale:
    """The conversion of calls to rows.

    Attributes:
        height: rows of the chart.
        top: calls at its upper edge.
        limit: where its line is, in calls.
    """

    height: int
    top: int
    limit: int

    def row(self, calls: int) -> int:
        """The row above a bar of so many calls; 0 is the lowest."""
        return int(self._rows(calls))

    def filled(self, calls: int, row: int) -> float:
        """How much of a row such a bar fills, from 0 to 1."""
        return min(max(self._rows(calls) - row, 0.0), 1.0)

    def _rows(self, calls: int) -> float:
        """The height of such a bar; at the limit it is whole rows, so that none seems to pass."""
        line = self.height * self.limit // self.top
        if calls <= self.limit:
            return calls * line / self.limit
        return line + (calls - self.limit) * (self.height - line) / (self.top - self.limit)


def chart(
    history: Sequence[Progress], *, seconds: float, width: int, height: int, glyphs: Glyphs
) -> Text:
    """The count and the usage so far, with a line at the limit.

    Args:
        history: every look at the campaign so far; at least one.
        seconds: that have gone by, though the campaign may have been over before.
        width: characters of a line, with its label.
        height: lines.
        glyphs: the characters to draw with.
    """
    latest = history[-1]
    scale = _Scale(height, max(latest.truth.peak, latest.limit) + _MARGIN, latest.limit)
    columns = _columns(history, max(_HORIZON, seconds), width - _LABEL_WIDTH - 1)
    lines = [_line(row, columns, scale, glyphs) for row in reversed(range(height))]
    return Text("\n", no_wrap=True).join(lines)


def _columns(history: Sequence[Progress], seconds: float, number: int) -> list[_Column]:
    """The history in as many spans of time, with nothing in those that are still to come."""
    span = seconds / number
    columns: list[_Column] = []
    peak = 0
    for progress in history:
        reached = min(int(progress.truth.elapsed / span), number - 1)
        risen = progress.truth.peak > peak  # since the last progress; it may have fallen again
        peak = progress.truth.peak
        column = _Column(peak if risen else progress.truth.count, progress.reckoning.usage or 0)
        columns += [columns[-1] if columns else column] * (reached - len(columns))
        if reached == len(columns):
            columns.append(column)
        else:
            columns[-1] = replace(column, count=max(columns[-1].count, column.count))
    return columns + [_NOTHING] * (number - len(columns))


def _line(row: int, columns: Sequence[_Column], scale: _Scale, glyphs: Glyphs) -> Text:
    line = Text(f"{_label(row, scale):>{_LABEL_WIDTH}}{glyphs.axis}")
    cells = [_cell(row, column, scale, glyphs) for column in columns]
    for style, run in groupby(cells, key=lambda cell: cell.style):
        line.append("".join(cell.glyph for cell in run), style)
    return line


def _label(row: int, scale: _Scale) -> str:
    if row == scale.row(scale.limit):
        return f"limit {scale.limit}"
    return "" if row else "0"


def _cell(row: int, column: _Column, scale: _Scale, glyphs: Glyphs) -> _Cell:
    filled = scale.filled(column.count, row)
    if filled > 0:
        level = math.ceil(filled * len(glyphs.levels)) - 1
        return _Cell(glyphs.levels[level], _bar_style(row, scale))
    if scale.filled(column.usage, row) >= _HALF:
        return _Cell(glyphs.uncounted, "dim green")
    if row == scale.row(scale.limit):
        return _Cell(glyphs.limit, "yellow")
    return _Cell(" ", "")


def _bar_style(row: int, scale: _Scale) -> str:
    return "red" if row >= scale.row(scale.limit) else "green"

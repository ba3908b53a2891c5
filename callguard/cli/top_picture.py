"""The picture of an `Overview` in a terminal, in the terminal's size: only drawing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from callguard.cli.top_chart import chart, legend
from callguard.demo.chart import Glyphs
from callguard.demo.picture import fitted
from callguard.serve.views import Holder, LaneView, Overview, TrunkView

__all__ = ["Picture"]

_WIDE: Final = 120
"""Characters from which on there are two columns."""

_ROOMY: Final = 64
"""Characters from which on the tables of lanes and trunks have all their columns."""

_TABULAR: Final = 52
"""Characters from which on that of the calls has all its columns."""

_LOWEST_CHART, _HIGHEST_CHART = 3, 24

_GENEROUS: Final = 20
"""Lines beside the tables from which on there are empty ones between the parts."""

_LONGEST: Final = 3
"""Lines of one lane's sentence at most, where there is room for the rest; and of the legend."""

_BESIDE: Final = "   "
"""What is between the answer to an order and the keys."""

_SOON: Final = 0.05
"""Seconds that are shown as none."""

Lines = list[list[Segment]]


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown at one moment.

    Attributes:
        seen: the latest overview; None before the first.
        age: seconds since it was seen, by which its countdowns have gone on.
        trouble: why there is none that is newer; None if there is nothing wrong.
        source: what is looked at, in a word or an address.
        foot: the last line.
        answer: what came of the latest order; it is before the last line, or above it.
        whole: whether everything is shown, however many lines that takes.
    """

    seen: Overview | None
    age: float
    trouble: str | None
    source: str
    foot: str = ""
    answer: str = ""
    whole: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, options.size.height
        draw = _Drawing(console, options.update(height=None), self.age)
        head, foot = draw.lines(*self._head()), draw.lines(*self._foot(width))
        foot = [*foot[: max(1, height // 3)][:-1], *foot[-1:]]
        if self.seen is None:
            body: Lines = []
        elif self.whole:
            body = draw.everything(self.seen, width)
        else:
            body = draw.fitted(self.seen, width, height - len(head) - len(foot))
        if self.trouble is not None:
            body = [list(Segment.apply_style(line, None, Style(dim=True))) for line in body]
        if not self.whole:
            body += [[]] * (height - len(head) - len(body) - len(foot))
        for number, line in enumerate([*head, *body, *foot]):
            if number:
                yield Segment.line()
            yield from Segment.adjust_line_length(line, width, pad=False)

    def _head(self) -> Iterable[Text]:
        title = Text.assemble(("callguard", "bold"), no_wrap=True, overflow="ellipsis")
        if self.seen is not None:
            age = self.seen.snapshot_age
            read = "no snapshot yet" if age is None else f"read {_seconds(age + self.age)} ago"
            title.append(f" {_clock(self.seen.at)}, {read}")
            if self.seen.draining:
                title.append(", draining", "bold yellow")
        yield title.append(f"  {_plain(self.source)}", "dim")
        if self.trouble is not None:
            since = "" if self.seen is None else f"; the picture is {self.age:.0f} s old"
            yield Text(f"{_plain(self.trouble)}{since}", "bold red")

    def _foot(self, width: int) -> Iterable[Text]:
        beside = f"{_plain(self.answer)}{_BESIDE}{self.foot}" if self.answer else self.foot
        if self.answer and len(beside) > width:
            yield Text(_plain(self.answer), "dim")
            beside = self.foot
        if beside:
            yield Text(beside, "dim", no_wrap=True)


class _Drawing:
    """Draws the parts of an overview into lines.

    Args:
        console: the console.
        options: how wide the terminal is, and what it can show.
        age: seconds since the overview was seen.
    """

    def __init__(self, console: Console, options: ConsoleOptions, age: float) -> None:
        self._console = console
        self._options = options
        self._age = age
        self._glyphs = Glyphs.fit_for(ascii_only=options.ascii_only)

    def lines(self, *parts: RenderableType, width: int | None = None) -> Lines:
        """The parts one under another, as lines of a width."""
        options = self._options if width is None else self._options.update(width=width)
        return self._console.render_lines(Group(*parts), options, pad=False) if parts else []

    def everything(self, seen: Overview, width: int) -> Lines:
        """All parts one under another, however high that is."""
        rows = _HIGHEST_CHART if len(seen.chart) > 1 else 0  # one look at a ledger is no chart
        blocks = [self._top(seen, width, width), self._chart(seen, width, rows)]
        blocks += self._tables(seen, width, most=None)
        blocks += [self._holders(seen, width, len(seen.holders) + 2)]
        blocks += [self._events(seen, width, len(seen.events))]
        return _joined([block for block in blocks if block])

    def fitted(self, seen: Overview, width: int, height: int) -> Lines:
        """As much as fits into so many lines; what matters most comes first."""
        lanes = max(1, len(seen.lanes))
        top = self._top(seen, width, max(1, min(_LONGEST, height // 5 // lanes)))[: height * 2 // 3]
        height -= len(top)
        if width < _WIDE:
            return top + self._stacked(seen, width, height)
        left = width * 3 // 5
        right = width - left - 2
        events = self._events(seen, right, height // 2)
        holders = self._holders(seen, right, height - len(events) - 1)
        beside = _joined([block for block in (holders, events) if block])
        return top + _side_by_side(self._stacked(seen, left, height, alone=False), beside, left)

    def _stacked(self, seen: Overview, width: int, height: int, *, alone: bool = True) -> Lines:
        tables = self._tables(seen, width, most=max(2, height // 6))
        left = height - sum(map(len, tables))
        holders = self._holders(seen, width, left // 3) if alone else []
        events = self._events(seen, width, max(1, left // 5)) if alone else []
        gaps = 0 if left < _GENEROUS else len(tables) + 2
        rows = left - len(holders) - len(events) - gaps
        chart = self._chart(seen, width, min(_HIGHEST_CHART, rows - 1))
        if alone:
            events = self._events(seen, width, left - len(chart) - len(holders) - gaps)
        blocks = [block for block in (chart, *tables, holders, events) if block]
        lines = _joined(blocks)
        return lines if len(lines) <= height else list(chain.from_iterable(blocks))[:height]

    def _top(self, seen: Overview, width: int, most: int) -> Lines:
        """The sentence of each lane, in at most so many lines each."""
        lines: Lines = []
        for lane in seen.lanes:
            told = self.lines(self._standing(lane), width=width)
            if len(told) > most:
                *told, last = told[:most]
                text = Text("".join(each.text for each in last).rstrip())
                text.truncate(width - 1)
                told += self.lines(text.append("…" if not self._options.ascii_only else ""))
            lines += told
        return lines

    def _standing(self, lane: LaneView) -> Text:
        color = "green" if lane.admits else "yellow" if lane.paused else "red"
        text = Text.assemble((f"{_plain(lane.name)} ", f"bold {color}"))
        lifts_in = (lane.lifts_in or 0.0) - self._age
        if lifts_in >= _SOON:
            text.append(f"[in {_seconds(lifts_in)}] ", "bold")
        return text.append(_plain(lane.sentence))

    def _chart(self, seen: Overview, width: int, height: int) -> Lines:
        """The chart, so high that there is a line for its legend; on narrow terminals more."""
        said = fitted(legend(seen.chart, self._glyphs), width).split("\n")[:_LONGEST]
        height -= len(said) - 1
        if height < _LOWEST_CHART:
            return []
        for line in said:
            line.no_wrap, line.overflow = True, "ellipsis"
        drawn = chart(seen.chart, now=seen.at, width=width, height=height, glyphs=self._glyphs)
        return self.lines(drawn, *said, width=width)

    def _tables(self, seen: Overview, width: int, *, most: int | None) -> list[Lines]:
        """The tables of lanes and trunks, and at most so many notes, of a line each."""
        tables = [self.lines(_lanes(seen.lanes, width), width=width)]
        if seen.trunks:
            tables.append(self.lines(_trunks(seen.trunks, self._age, width), width=width))
        notes = [*_notes(seen)][:most]
        for note in notes if most is not None else ():
            note.no_wrap, note.overflow = True, "ellipsis"
        return [*tables, self.lines(*notes, width=width)] if notes else tables

    def _holders(self, seen: Overview, width: int, most: int) -> Lines:
        if most < 3 or not seen.holders:
            return []
        table = _holders(seen.holders[: most - 2], self._age, width)
        return self.lines(_states(seen.holders), table, width=width)

    def _events(self, seen: Overview, width: int, most: int) -> Lines:
        rows = []
        for event in seen.events[: max(0, most)]:
            said = Text.assemble((f"{_clock(event.at)} ", "dim"), _plain(event.sentence))
            said.no_wrap, said.overflow = True, "ellipsis"
            rows.append(said)
        return self.lines(*rows, width=width)


def _table(*columns: Column) -> Table:
    return Table(*columns, box=None, padding=(0, 2, 0, 0), header_style="dim")


def _right(header: str) -> Column:
    return Column(header, justify="right", no_wrap=True)


def _name(header: str) -> Column:
    return Column(header, no_wrap=True, overflow="ellipsis")


def _lanes(lanes: Sequence[LaneView], width: int) -> Table:
    """The lanes; what is known of none of them has no column."""
    columns: dict[str, list[str]] = {"waiting": [_known(lane.waiting) for lane in lanes]}
    if width < _ROOMY:
        columns["wait p90"] = [_known_seconds(lane.wait_p90) for lane in lanes]
        columns["ETA p90"] = [_known_seconds(lane.eta_p90) for lane in lanes]
    else:
        columns["wait p50/p90"] = [_pair(lane.wait_p50, lane.wait_p90) for lane in lanes]
        columns["ETA p50/p90"] = [_pair(lane.eta_p50, lane.eta_p90) for lane in lanes]
        columns["dials/min"] = [_known(lane.dials_per_minute) for lane in lanes]
        columns["refused"] = [_known(lane.refused) for lane in lanes]
        columns["ceiling"] = [_known(lane.ceiling) for lane in lanes]
    columns = {name: cells for name, cells in columns.items() if {*cells} != {"-"}}
    table = _table(_name("lane"), *map(_right, columns))
    for lane, *cells in zip(lanes, *columns.values(), strict=True):
        table.add_row(Text(_plain(lane.name), "yellow" if lane.paused else ""), *cells)
    return table


def _trunks(trunks: Iterable[TrunkView], age: float, width: int) -> Table:
    headers = ["rate", "next start", "calls", "starts/min"]
    shown = slice(None) if width >= _ROOMY else slice(3)
    table = _table(_name("trunk"), *map(_right, headers[shown]))
    for trunk in trunks:
        window = "" if trunk.window is None else f" in {trunk.window:g} s"
        due = (trunk.due_in or 0.0) - age
        cells = [
            "any" if trunk.cps is None else f"{trunk.cps:g}/s{window}",
            "paused" if trunk.paused else "now" if due < _SOON else f"in {_seconds(due)}",
            "any" if trunk.most is None else f"{trunk.calls} of {trunk.most}",
            _known(trunk.starts_in_last_minute),
        ]
        table.add_row(Text(_plain(trunk.name), "yellow" if trunk.paused else ""), *cells[shown])
    return table


def _notes(seen: Overview) -> Iterable[Text]:
    if seen.outage is not None:
        yield Text(_plain(seen.outage), "bold red")
    for pause in seen.pauses:
        yield Text(_plain(str(pause)), "yellow")
    if seen.burst.calls_now or seen.burst.dollars_today:
        dollars = seen.burst.dollars_today or 0.0
        calls = f"burst: {seen.burst.calls_now} calls now, at most ${dollars:.2f} today"
        yield Text(calls, "magenta")
    for premise in seen.premises:
        yield Text(f"premise {_plain(premise.name)}: {_plain(premise.sentence)}", "yellow")
    for setting in seen.given_up:
        yield Text(f"{_plain(setting)} was given up at a refusal", "yellow")


def _states(holders: Sequence[Holder]) -> Text:
    counts = dict.fromkeys(("dialling", "uncounted", "counted"), 0)
    for holder in holders:
        counts[holder.state] += 1
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return Text(f"{said}; the oldest first", "dim", no_wrap=True, overflow="ellipsis")


def _holders(holders: Iterable[Holder], age: float, width: int) -> Table:
    columns = [_right("age"), _name("state"), _name("lane"), _name("worker"), _name("permit")]
    table = _table(*columns[: 5 if width >= _TABULAR else 3])
    for holder in holders:
        worker = _plain(holder.worker or "(gone)")
        cells = [_seconds(holder.age + age), holder.state, _plain(holder.lane), worker]
        table.add_row(*map(Text, [*cells, _plain(holder.id)[-12:]][: len(table.columns)]))
    return table


def _joined(blocks: Iterable[Lines]) -> Lines:
    """The blocks with an empty line between them."""
    lines: Lines = []
    for block in blocks:
        lines += [[], *block] if lines else block
    return lines


def _side_by_side(left: Lines, right: Lines, width: int) -> Lines:
    rows = max(len(left), len(right))
    left, right = left + [[]] * (rows - len(left)), right + [[]] * (rows - len(right))
    gap = [Segment("  ")]
    return [
        [*Segment.adjust_line_length(before, width), *gap, *after]
        for before, after in zip(left, right, strict=True)
    ]


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC).astimezone():%H:%M:%S}"


def _pair(p50: float | None, p90: float | None) -> str:
    return "-" if p50 is None or p90 is None else f"{_seconds(p50)}/{_seconds(p90)}"


def _known_seconds(seconds: float | None) -> str:
    return "-" if seconds is None else _seconds(seconds)


def _known(number: float | None) -> str:
    return "-" if number is None else f"{number:.0f}"


def _seconds(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _plain(text: str) -> str:
    """The text without characters by which a terminal would do something else than show it."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)

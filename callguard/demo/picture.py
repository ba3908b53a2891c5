"""The live picture of one campaign or of several, on a terminal: only drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from callguard.demo.chart import Glyphs, chart
from callguard.demo.progress import Progress, surcharge

__all__ = ["Frame", "Picture", "fitted"]

_LOWEST_CHART: Final = 4
_HIGHEST_CHART: Final = 24
_NARROWEST_CHART: Final = 40

_BETWEEN: Final = "  "
"""The gap between two figures on a line."""

_LONGEST_REASON: Final = 175
"""About how many characters the sentence at the bottom has, at most."""


class Picture:
    """Draws the latest `Progress` of each campaign, for the length of a ``with`` block.

    However the block is left, the last frame stays on the screen, and the cursor is restored.

    Args:
        console: the console to draw on.
        title: a line above the picture.
    """

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._histories: dict[str, list[Progress]] = {}
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, name: str, progress: Progress) -> None:
        """Draw `progress`, of the campaign called `name`."""
        self._histories.setdefault(name, []).append(progress)
        self._live.update(Frame(self._title, self._histories), refresh=True)


class Frame:
    """One frame, in the size of its terminal.

    Args:
        title: what is going on, in one line.
        histories: every look at each campaign so far, at least one, by the campaigns' names; the
            sentence of the last is shown.
    """

    def __init__(self, title: str, histories: Mapping[str, Sequence[Progress]]) -> None:
        self._title = title
        self._histories = histories

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        glyphs, width = Glyphs.fit_for(ascii_only=options.ascii_only), options.max_width
        latest = {name: history[-1] for name, history in self._histories.items()}
        seconds = max(progress.truth.elapsed for progress in latest.values())
        title = fitted([Text(self._title, "bold"), Text(f"{seconds / 60:.1f} min")], width)
        figures = {
            name: fitted([Text(name, "bold"), *_counts(progress)], width)
            for name, progress in latest.items()
        }
        legend = fitted(_legend(glyphs), width)
        others = sum(len(text.wrap(console, width)) for text in (title, legend, *figures.values()))
        height = _chart_height(options, others, len(figures))
        has_room = width >= _NARROWEST_CHART and height >= _LOWEST_CHART
        yield title
        for name, history in self._histories.items():
            yield figures[name]
            if has_room:
                yield chart(history, seconds=seconds, width=width, height=height, glyphs=glyphs)
        if has_room:
            yield legend
        *_, last = latest.values()
        yield Text(last.reckoning.reason, style="italic")


def _chart_height(options: ConsoleOptions, others: int, charts: int) -> int:
    """The lines of each chart that all else leaves, so that no frame scrolls its own top away."""
    reason = _LONGEST_REASON // options.max_width + 1
    cursor = 1  # The line that it is left on.
    return min((options.size.height - others - reason - cursor) // charts, _HIGHEST_CHART)


def fitted(parts: Sequence[Text], width: int) -> Text:
    """Put the parts side by side if there is room; no part that fits on a line is broken."""
    lines = [Text()]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(_BETWEEN) + len(part) > width:
            lines.append(Text())
        lines[-1].append(_BETWEEN if lines[-1] else "").append_text(part)
    return Text("\n").join(lines)


def _legend(glyphs: Glyphs) -> list[Text]:
    return [
        Text(f"{glyphs.levels[-1]} calls going on", "green"),
        Text(f"{glyphs.uncounted} dialling, or not surely counted", "dim green"),
        Text(f"{glyphs.limit} limit", "yellow"),
    ]


def _counts(progress: Progress) -> list[Text]:
    truth, lost, cost = progress.truth, progress.reckoning.lost, surcharge(progress.truth)
    return [
        Text(f"called {truth.placed} of {progress.leads}"),
        Text(f"waiting {progress.waiting}"),
        Text(f"lost {lost}", _alarming(lost > 0)),
        Text(f"refused {truth.refusals}", _alarming(truth.refusals > 0)),
        Text(f"surcharge ${cost:.2f}", _alarming(cost > 0)),
        Text(f"peak {truth.peak}", _alarming(truth.peak > progress.limit)),
        Text(progress.whose),
    ]


def _alarming(bad: bool) -> str:
    return "bold red" if bad else "bold green"

"""The live picture of a campaign on a terminal; this file only draws."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from callguard.demo.chart import Glyphs, chart
from callguard.demo.progress import Progress

__all__ = ["Frame", "Picture"]

_LOWEST_CHART: Final = 4
_HIGHEST_CHART: Final = 24
_NARROWEST_CHART: Final = 40

_BETWEEN: Final = "  "
"""The gap between two figures on a line."""

_LONGEST_REASON: Final = 175
"""About how many characters the sentence at the bottom has, at most."""


class Picture:
    """Draws each `Progress` over the one before, for the length of a ``with`` block.

    However the block is left, the last frame stays on the screen, and the cursor is restored.

    Args:
        console: the console to draw on.
        title: a line above the picture.
    """

    def __init__(self, console: Console, title: str) -> None:
        self._title = title
        self._history: list[Progress] = []
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

    def __call__(self, progress: Progress) -> None:
        """Draw `progress`."""
        self._history.append(progress)
        self._live.update(Frame(self._title, tuple(self._history)), refresh=True)


class Frame:
    """One frame, in the size of its terminal.

    Args:
        title: a line above the picture.
        history: every progress of the campaign so far; at least one.
    """

    def __init__(self, title: str, history: tuple[Progress, ...]) -> None:
        self._title = title
        self._history = history

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        latest, glyphs = self._history[-1], Glyphs.fit_for(ascii_only=options.ascii_only)
        width = options.max_width
        title = Text(self._title, "bold")
        figures = [_fitted(_counts(latest), width)]
        for lane, waiting in latest.reckoning.waiting.items():
            figures.append(_waiting(lane, waiting, latest.leads, options, glyphs))
        figures.append(_readings(latest))
        legend = _fitted(_legend(latest, glyphs), width)
        others = sum(len(part.wrap(console, width)) for part in (title, legend, *figures))
        height = _chart_height(options, others)
        yield title
        if width >= _NARROWEST_CHART and height >= _LOWEST_CHART:
            yield chart(self._history, width=width, height=height, glyphs=glyphs)
            yield legend
        yield from figures
        yield Text(latest.reckoning.reason, style="italic")


def _chart_height(options: ConsoleOptions, others: int) -> int:
    """The lines left by everything else, so that a frame never scrolls its own top away."""
    reason = _LONGEST_REASON // options.max_width + 1
    cursor = 1  # The line below the frame, where the cursor stays.
    return min(options.size.height - others - reason - cursor, _HIGHEST_CHART)


def _fitted(parts: Sequence[Text], width: int) -> Text:
    """Put the parts side by side if there is room; no part that fits on a line is broken."""
    lines = [Text()]
    for part in parts:
        if lines[-1] and len(lines[-1]) + len(_BETWEEN) + len(part) > width:
            lines.append(Text())
        lines[-1].append(_BETWEEN if lines[-1] else "").append_text(part)
    return Text("\n").join(lines)


def _legend(progress: Progress, glyphs: Glyphs) -> list[Text]:
    uncounted = Text(f"{glyphs.uncounted} dialling, or not surely counted", "dim green")
    return [
        Text(f"{glyphs.levels[-1]} calls going on", "green"),
        *([] if progress.reckoning.usage is None else [uncounted]),
        Text(f"{glyphs.limit} limit", "yellow"),
        Text(f"{glyphs.ceiling} with burst", "red"),
    ]


def _counts(progress: Progress) -> list[Text]:
    truth, usage = progress.truth, progress.reckoning.usage
    return [
        Text(f"{truth.elapsed:4.1f} s"),
        Text(f"placed {truth.placed} of {progress.leads}", "bold"),
        Text(f"refused {truth.refusals}", _alarming(truth.refusals > 0)),
        Text(f"now {truth.count}"),
        *([] if usage is None else [Text(f"usage {usage}")]),
        Text(f"peak {truth.peak}", _alarming(truth.peak > progress.ceiling)),
    ]


def _waiting(lane: str, waiting: int, leads: int, options: ConsoleOptions, glyphs: Glyphs) -> Text:
    line = Text(f"{lane + ' waiting':>15} {waiting:>4} ", no_wrap=True, overflow="crop")
    room = max(0, options.max_width - len(line))
    return line.append(glyphs.levels[-1] * (waiting * room // leads), "blue")


def _readings(progress: Progress) -> Text:
    reckoning = progress.reckoning
    age = reckoning.snapshot_age
    dated = "none in hand" if age is None else f"the last began {age:.1f} s ago"
    return Text(f"{reckoning.readings} readings, {progress.failed} failed requests; {dated}")


def _alarming(bad: bool) -> str:
    return "bold red" if bad else "bold green"

"""The campaign benchmark as one picture, the same for the same figures to the last byte."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.benchmarks.dialers import LOOP, ORACLE, OURS, SEMAPHORE, UNTIL_REFUSED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # or each text would list ten
    "font.size": 9.0,
    "svg.fonttype": "none",  # text as text: small, sharp, and it can be searched
    "svg.hashsalt": "callguard",  # or the ids inside would be new each time
}

NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
"""The time, and the version of the library that drew it, would differ each time."""

CARD, INK, FAINT = "#ffffff", "#1f2328", "#59636e"
"""A card of its own, so that the page around it may be light or dark."""

BLUE, GREY, BEST, WRONG = "#0969da", "#afb8c1", "#59636e", "#cf222e"

COLUMNS = (
    (1.20, "leads\nlost"),
    (1.42, "dials\nrefused"),
    (1.66, "surcharge,\nburst on"),
)
"""Where each stands, in widths of the bars' own area."""

WIDEST = 1.4
"""The share of the oracle at which a bar is cut off."""

ROWS = {
    ORACLE: "the ideal: a call starts as one ends",
    LOOP: "read get-concurrency, dial what fits",
    SEMAPHORE: "a semaphore of the limit",
    UNTIL_REFUSED: "dial until refused, back off",
    f"{OURS}, asking": "callguard, out of the box",
    f"{OURS}, webhooks": "callguard, hearing webhooks",
    f"{OURS}, probed and webhooks, ends free": "callguard, probed, hearing webhooks",
}
"""The dialers that are drawn, and what a reader calls them; the tables have the rest."""

ROOM_FOR_TEXT = 0.6
"""The length of a hollow bar from which on its text fits inside."""

WIDTH, BAR = 9.0, 0.235
HEAD, BETWEEN, FOOT = 0.75, 0.85, 0.35
"""Inches: the width of the picture, the height of a row, and what is above, between and below the
panels."""


def draw(content: Mapping[str, Any], path: Path) -> None:
    """Draw what `tests.benchmarks.campaign` has written, as SVG: a panel for each workspace.

    Bars, leads lost and refused dials are those with burst off, where nobody may go above the
    limit; the surcharge is that of the same dialer with burst on. Whoever loses leads has a hollow
    bar, as long as the share of the leads that it called: it has no speed to compare.
    """
    found = {(each["workspace"], each["burst"]): each["dialers"] for each in content["workspaces"]}
    workspaces = list(dict.fromkeys(workspace for workspace, _ in found))
    names = [name for name in ROWS if name in next(iter(found.values()))]
    panel = BAR * len(names)
    height = HEAD + FOOT + len(workspaces) * (panel + BETWEEN) - BETWEEN
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), facecolor=CARD)
        figure.suptitle(
            f"{content['leads']:,} leads, limit 20, {_rate(content)}: "
            "calls per hour, as a share of the ideal",
            x=0.02, y=1 - 0.1 / height, ha="left", va="top", color=INK, fontsize=11.0,
        )  # fmt: skip
        for place, workspace in enumerate(workspaces):
            bottom = height - HEAD - panel - place * (panel + BETWEEN)
            axes = figure.add_axes((0.30, bottom / height, 0.40, panel / height))
            _panel(axes, names, found[workspace, False], found[workspace, True], content["leads"])
            axes.set_title(
                workspace, x=-0.70, ha="left", color=INK, fontsize=9.5, fontweight="bold"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", facecolor=CARD, metadata=NO_METADATA)
    path.write_text(re.sub(r"\n\s+", "\n", drawn.getvalue()))


def _rate(content: Mapping[str, Any]) -> str:
    cps = content["rate"]["cps"]
    return "no rate" if cps is None else f"{cps:g} call{'' if cps == 1 else 's'} per second"


def _panel(
    axes: Axes,
    names: Sequence[str],
    burst_off: Mapping[str, Any],
    burst_on: Mapping[str, Any],
    leads: int,
) -> None:
    labels = [ROWS[name] for name in names]
    axes.set_yticks(range(len(names)), labels)
    axes.axvline(1.0, color=INK, linewidth=0.8)
    axes.set_xlim(0.0, WIDEST)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xticks([0.0, 0.5, 1.0], ["0", "0.5", "1"])
    axes.tick_params(length=0, colors=INK)
    axes.set_facecolor(CARD)
    for side in axes.spines.values():
        side.set_visible(False)
    across = axes.get_yaxis_transform()
    for where, title in COLUMNS:
        axes.text(where, -0.75, title, transform=across, color=FAINT, ha="right", fontsize=8.0)
    best = burst_off[ORACLE]["calls_per_hour"]
    for row, name in enumerate(names):
        off = burst_off[name]
        _bar(axes, row, name, off, best, leads)
        cells = (
            f"{off['lost']:,}", f"{off['refused']:,}", f"${burst_on[name]['surcharge']:,.0f}"
        )  # fmt: skip
        for (where, _), cell in zip(COLUMNS, cells, strict=True):
            axes.text(
                where, row, cell, transform=across, ha="right", va="center",
                color=FAINT if cell in {"0", "$0"} else WRONG,
            )  # fmt: skip


def _bar(
    axes: Axes, row: int, name: str, figures: Mapping[str, Any], best: float, leads: int
) -> None:
    if figures["lost"]:
        called = 1 - figures["lost"] / leads
        axes.barh(row, called, facecolor=CARD, edgecolor=GREY)
        text, color, width = f"called {called:.0%} of the leads", INK, called
    else:
        width = min(figures["calls_per_hour"] / best, WIDEST)
        axes.barh(row, width, color=_color(name), clip_on=False)
        text = f"{figures['calls_per_hour'] / best:.2f}"
        color = INK if _color(name) == GREY else CARD
    beside = figures["lost"] and width < ROOM_FOR_TEXT
    axes.text(
        width + 0.02 if beside else width - 0.02, row, text,
        color=color, ha="left" if beside else "right", va="center",
    )  # fmt: skip


def _color(name: str) -> str:
    if name == ORACLE:
        return BEST
    return BLUE if name.startswith(OURS) else GREY

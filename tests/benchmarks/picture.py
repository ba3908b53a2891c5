"""The campaign benchmark as one picture, the same for the same figures to the last byte."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.benchmarks.dialers import ORACLE, OURS, PROCESSES

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
    (1.20, "refused\ndials"),
    (1.42, "peak over\nthe ceiling"),
    (1.66, "surcharge,\nburst on"),
)
"""Where each stands, in widths of the bars' own area."""

WIDEST = 2.0
"""The share of the oracle at which a bar is cut off."""

DRAWN = (
    "knowing nothing",
    "probed",
    "webhooks",
    "webhooks, one reading a second",
    "probed and webhooks",
    f"probed and webhooks, {PROCESSES} workers",
)
"""Which rows of ours are drawn, besides those of all others; the tables have the rest."""

WIDTH, BAR = 9.0, 0.235
HEAD, BETWEEN, FOOT = 0.75, 0.85, 0.35
"""Inches: the width of the picture, the height of a row, and what is above, between and below the
panels."""


def draw(content: Mapping[str, Any], path: Path) -> None:
    """Draw what `tests.benchmarks.campaign` has written, as SVG: a panel for each workspace.

    Bars, refused dials and peaks are those with burst off, where nobody may go above the limit;
    the surcharge is that of the same dialer with burst on, if it was run so.
    """
    found = {(each["workspace"], each["burst"]): each["dialers"] for each in content["workspaces"]}
    workspaces = list(dict.fromkeys(workspace for workspace, _ in found))
    names = [name for name in next(iter(found.values())) if _is_drawn(name)]
    panel = BAR * len(names)
    height = HEAD + FOOT + len(workspaces) * (panel + BETWEEN) - BETWEEN
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), facecolor=CARD)
        figure.suptitle(
            f"{content['leads']:,} leads, limit 20: calls per hour, as a share of the oracle's",
            x=0.02, y=1 - 0.1 / height, ha="left", va="top", color=INK, fontsize=11.0,
        )  # fmt: skip
        for place, workspace in enumerate(workspaces):
            bottom = height - HEAD - panel - place * (panel + BETWEEN)
            axes = figure.add_axes((0.36, bottom / height, 0.36, panel / height))
            _panel(axes, names, found[workspace, False], found[workspace, True])
            axes.set_title(
                workspace, x=-0.94, ha="left", color=INK, fontsize=9.5, fontweight="bold"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", facecolor=CARD, metadata=NO_METADATA)
    path.write_text(re.sub(r"\n\s+", "\n", drawn.getvalue()))


def _is_drawn(name: str) -> bool:
    return not name.startswith(OURS) or name.removeprefix(f"{OURS}, ") in DRAWN


def _panel(
    axes: Axes, names: Sequence[str], burst_off: Mapping[str, Any], burst_on: Mapping[str, Any]
) -> None:
    best = burst_off[ORACLE]["calls_per_hour"]
    shares = [burst_off[name]["calls_per_hour"] / best for name in names]
    colors = [_color(name) for name in names]
    axes.barh(names, [min(share, WIDEST) for share in shares], color=colors, clip_on=False)
    axes.axvline(1.0, color=INK, linewidth=0.8)
    axes.set_xlim(0.0, WIDEST)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xticks([0.0, 0.5, 1.0, 1.5, 2.0], ["0", "0.5", "1", "1.5", "2"])
    axes.tick_params(length=0, colors=INK)
    axes.set_facecolor(CARD)
    for side in axes.spines.values():
        side.set_visible(False)
    across = axes.get_yaxis_transform()
    for where, title in COLUMNS:
        axes.text(where, -0.75, title, transform=across, color=FAINT, ha="right", fontsize=8.0)
    for row, (name, share) in enumerate(zip(names, shares, strict=True)):
        off, on = burst_off[name], burst_on.get(name)
        cells = (
            f"{off['refused']:,}",
            f"{max(0, off['over_ceiling'])}",
            "" if on is None else f"${on['surcharge']:,.0f}",
        )
        axes.text(
            min(share, WIDEST) - 0.03, row, f"{share:.2f}",
            color=INK if _color(name) == GREY else CARD, ha="right", va="center",
        )  # fmt: skip
        for (where, _), cell in zip(COLUMNS, cells, strict=True):
            faultless = cell in {"0", "$0"}
            axes.text(
                where, row, cell, transform=across, ha="right", va="center",
                color=FAINT if faultless else WRONG,
            )  # fmt: skip


def _color(name: str) -> str:
    if name == ORACLE:
        return BEST
    return BLUE if name.startswith(OURS) else GREY

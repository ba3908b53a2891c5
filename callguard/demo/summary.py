"""What came of campaigns, for people: what each cost, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from rich.table import Column, Table
from rich.text import Text

from callguard.demo.looped import TRIES
from callguard.demo.progress import Outcome
from callguard.limits import SURCHARGE

__all__ = ["summary", "verdict"]

_COSTS: Final[Mapping[str, Callable[[Outcome], tuple[str, bool]]]] = {
    "leads lost": lambda outcome: (str(outcome.lost), outcome.lost > 0),
    "dials refused": lambda outcome: (
        str(outcome.truth.refusals),
        outcome.truth.refusals > 0,
    ),
    "surcharge": lambda outcome: (f"${outcome.surcharge:.2f}", outcome.surcharge > 0),
    "peak over the limit": lambda outcome: (str(outcome.over_limit), outcome.over_limit > 0),
}
"""What should be nothing, and whether it is something."""

_FIGURES: Final[Mapping[str, Callable[[Outcome], str]]] = {
    "minutes": lambda outcome: f"{outcome.truth.elapsed / 60:.1f}",
    "leads called a minute": lambda outcome: f"{outcome.called_a_minute:.1f}",
    "leads called": lambda outcome: f"{outcome.truth.placed} of {outcome.leads}",
    "calls on average": lambda outcome: f"{outcome.average:.1f} of {outcome.limit}",
    "calls by others": lambda outcome: str(outcome.truth.inbound_started),
    "readings": lambda outcome: f"{outcome.truth.readings}, {outcome.failed} failed",
}


_MEANING: Final = (
    f"Lost: refused {TRIES} times and given up, or not called by the end. "
    f"Surcharge: ${SURCHARGE:.2f} a minute for each call that began above the limit."
)


def summary(outcomes: Mapping[str, Outcome]) -> Table:
    """The figures of each outcome, by the name of its campaign; what it cost before the others."""
    table = Table(
        Column(min_width=12),
        *(Column(name, justify="right") for name in outcomes),
        caption=_MEANING,
        caption_justify="left",
    )
    for name, cost in _COSTS.items():
        table.add_row(name, *(_alarming(*cost(outcome)) for outcome in outcomes.values()))
    table.add_section()
    for name, figure in _FIGURES.items():
        table.add_row(name, *(figure(outcome) for outcome in outcomes.values()))
    return table


def verdict(outcome: Outcome) -> Text:
    """Say whether the promise was kept, and if not, what broke it."""
    if outcome.kept:
        return Text("Nothing refused, nothing over the limit, every lead dialled once.", "green")
    return Text(f"Not kept: {', '.join(_broken(outcome))}.", "bold red")


def _broken(outcome: Outcome) -> list[str]:
    truth = outcome.truth
    points = {
        f"{truth.refusals} dials refused": truth.refusals > 0,
        f"a peak {outcome.over_limit} over the limit": outcome.over_limit > 0,
        f"a call {truth.worst_excess} over the workspace's own limit": outcome.exceeded,
        f"{outcome.dialled_once} of {outcome.leads} leads dialled once, in {truth.placed} calls": (
            not outcome.each_dialled_once
        ),
    }
    return [point for point, broken in points.items() if broken]


def _alarming(text: str, bad: bool) -> Text:
    return Text(text, "bold red" if bad else "green")

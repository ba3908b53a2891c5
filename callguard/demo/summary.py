"""The outcome of a campaign for people: each figure beside the one that was promised."""

from __future__ import annotations

from rich.table import Column, Table
from rich.text import Text

from callguard.demo.progress import Outcome

__all__ = ["summary", "verdict"]


def summary(outcome: Outcome) -> Table:
    """Make a table of the figures of `outcome`; those that are promised come first."""
    truth = outcome.truth
    table = Table(
        Column(min_width=12),
        Column("measured", justify="right"),
        Column("promised", justify="right"),
    )
    _promised(table, "leads dialled once", outcome.dialled_once, outcome.leads)
    _promised(table, "calls placed", truth.placed, outcome.leads)
    _promised(table, "calls refused", truth.refusals, 0)
    _promised(table, "peak over the ceiling", outcome.over_ceiling, 0)
    table.add_section()
    table.add_row("peak", f"{truth.peak} of {outcome.ceiling}")
    table.add_row("calls on average", f"{outcome.average:.1f}")
    table.add_row("seconds over the limit", f"{truth.seconds_over_limit:.1f}")
    table.add_row("call-seconds at a surcharge", f"{truth.surcharge_seconds:.1f}")
    table.add_row("seconds in all", f"{truth.elapsed:.1f}")
    table.add_row("calls by others", str(truth.inbound_started))
    table.add_row("requests for the limits", f"{truth.readings}, {outcome.failed} failed")
    return table


def verdict(outcome: Outcome) -> Text:
    """Say whether the promise was kept, and if not, what broke it."""
    if outcome.kept:
        return Text("Nothing refused, nothing over the ceiling, every lead dialled once.", "green")
    return Text(f"Not kept: {', '.join(_broken(outcome))}.", "bold red")


def _broken(outcome: Outcome) -> list[str]:
    truth = outcome.truth
    points = {
        f"{truth.refusals} calls refused": truth.refusals > 0,
        f"a peak {outcome.over_ceiling} over the ceiling": outcome.over_ceiling > 0,
        f"a call {truth.worst_excess} over the workspace's own limit": outcome.exceeded,
        f"{outcome.dialled_once} of {outcome.leads} leads dialled once, in {truth.placed} calls": (
            not outcome.each_dialled_once
        ),
    }
    return [point for point, broken in points.items() if broken]


def _promised(table: Table, name: str, measured: int, promised: int) -> None:
    style = "green" if measured == promised else "bold red"
    table.add_row(name, Text(str(measured), style), str(promised))

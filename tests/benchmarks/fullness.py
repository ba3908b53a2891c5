"""How full a limit gets, by what is known of the workspace, beside what others do.

    python -m tests.benchmarks.fullness --leads 1000 --seeds 1 2

prints one row for each way of dialling, as Markdown: the share of the calls per hour of an ideal
dialer that is bound by the same rule, on average and at worst, dials refused, the highest count
above the ceiling, and requests for each placed call. A row that loses leads has no share.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass

from callguard.testing import RedisServer
from tests.benchmarks import campaign
from tests.benchmarks.dialers import (
    CAREFUL_ORACLE,
    LOOP,
    ORACLE,
    OURS,
    PROCESSES,
    SEMAPHORE,
    SHARED_DIALERS,
    UNTIL_REFUSED,
)
from tests.benchmarks.tables import markdown
from tests.benchmarks.workspaces import FURTHER, WORKSPACES, Rate

__all__ = ["ROWS", "Row", "main"]

COUNTED, NOT_COUNTED, TOGETHER = WORKSPACES
APART, LATE, HANGING, FEW_REQUESTS = FURTHER

HEADER = (
    "workspace and dialer",
    "share of the ideal, mean",
    "share, least",
    "leads lost",
    "refused dials",
    "peak - ceiling",
    "readings per call",
    "list-calls per call",
    "get-calls per call",
    "readings refused",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A dialer of `campaign.EVERY_DIALER` in one of the workspaces."""

    workspace: str
    dialer: str


_TOLD, _LOOPS = f"{OURS}, probed and webhooks", f"the same loop in {PROCESSES} processes"
_FREE = f"{_TOLD}, ends free"

ROWS: Mapping[str, Row] = {
    "nothing told, asking": Row(COUNTED, f"{OURS}, asking"),
    "nothing told, webhooks": Row(COUNTED, f"{OURS}, webhooks"),
    "nothing told, asking and webhooks": Row(COUNTED, f"{OURS}, asking and webhooks"),
    "nothing told, asking and webhooks, 1 in 50 lost": Row(
        COUNTED, f"{OURS}, asking and webhooks, 1 in 50 lost"
    ),
    "nothing told, 1 webhook in 50 lost": Row(COUNTED, f"{OURS}, 1 webhook in 50 lost"),
    "nothing told, 1 webhook in 5 lost": Row(COUNTED, f"{OURS}, 1 webhook in 5 lost"),
    "told, webhooks": Row(COUNTED, _TOLD),
    "nothing told, webhooks, ends free": Row(COUNTED, f"{OURS}, webhooks, ends free"),
    "nothing told, asking, ends free": Row(COUNTED, f"{OURS}, asking, ends free"),
    "told, asking, ends free": Row(COUNTED, f"{OURS}, probed and asking, ends free"),
    "told, webhooks, ends free": Row(COUNTED, _FREE),
    "loop": Row(COUNTED, LOOP),
    "loop in 4 processes": Row(COUNTED, _LOOPS),
    "semaphore": Row(COUNTED, SEMAPHORE),
    "until refused": Row(COUNTED, UNTIL_REFUSED),
    "ringing not counted, asking": Row(NOT_COUNTED, f"{OURS}, asking"),
    "ringing not counted, webhooks": Row(NOT_COUNTED, f"{OURS}, webhooks"),
    "ringing not counted, webhooks, ends free": Row(NOT_COUNTED, f"{OURS}, webhooks, ends free"),
    "others call in, the total bounded; told, webhooks": Row(TOGETHER, _TOLD),
    "others call in, apart; asking": Row(APART, f"{OURS}, asking"),
    "others call in, apart; told, webhooks": Row(APART, _TOLD),
    "others call in, apart; an ideal that keeps the reserve of 2": Row(APART, CAREFUL_ORACLE),
    "others call in, apart; outbound rule, asking (nothing told)": Row(
        APART, f"{OURS}, outbound rule, asking"
    ),
    "others call in, apart; outbound rule, told, webhooks": Row(
        APART, f"{OURS}, outbound rule, webhooks"
    ),
    "others call in, apart; outbound rule, told, webhooks, reserve 1": Row(
        APART, f"{OURS}, outbound rule, webhooks, reserve 1"
    ),
    "others call in, apart; outbound rule, asking (nothing told), ends free": Row(
        APART, f"{OURS}, outbound rule, asking, ends free"
    ),
    "others call in, apart; outbound rule, webhooks (nothing told), ends free": Row(
        APART, f"{OURS}, outbound rule, not probed, webhooks, ends free"
    ),
    "others call in, apart; outbound rule, told, ends free": Row(
        APART, f"{OURS}, outbound rule, webhooks, ends free"
    ),
    "others call in, apart; semaphore": Row(APART, SEMAPHORE),
    "refused by the late counter; told, webhooks": Row(LATE, _TOLD),
    "refused by the late counter; told, ends free": Row(LATE, _FREE),
    "refused by the late counter; semaphore": Row(LATE, SEMAPHORE),
    "one reading in ten hangs; asking": Row(HANGING, f"{OURS}, asking"),
    "one reading in ten hangs; told, webhooks": Row(HANGING, _TOLD),
    "300 requests a minute; asking": Row(FEW_REQUESTS, f"{OURS}, asking"),
}
"""By what a reader calls them. Each workspace's ideal dialer keeps the workspace's own rule."""


def _rows(workers: int) -> dict[str, Row]:
    """`ROWS`; for several workers those of a gate that has them."""
    if workers == 1:
        return dict(ROWS)
    shared = {
        name: Row(row.workspace, f"{row.dialer}, {PROCESSES} workers") for name, row in ROWS.items()
    }
    return {name: row for name, row in shared.items() if row.dialer in SHARED_DIALERS}


def table(
    rows: Mapping[str, Row], leads: int, seeds: Sequence[int], rate: Rate, ledger: str
) -> str:
    """Dial all of them, each seed's beside its ideal."""

    def jobs(row: Row) -> list[campaign.Job]:
        return [
            campaign.Job(row.dialer, leads, seed, row.workspace, False, ledger, rate)
            for seed in seeds
        ]

    ideals = {row.workspace: jobs(Row(row.workspace, ORACLE)) for row in rows.values()}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        best = {name: pool.map(campaign.carry_out, made) for name, made in ideals.items()}
        came_of_it = {name: pool.map(campaign.carry_out, jobs(row)) for name, row in rows.items()}
        ideal = {name: [figures.calls_per_hour for figures in came] for name, came in best.items()}
        return markdown(
            HEADER,
            (
                (name, *_shown(list(came), ideal[rows[name].workspace]))
                for name, came in came_of_it.items()
            ),
        )


def _shown(came: Sequence[campaign.Figures], ideal: Sequence[float]) -> list[str]:
    lost = sum(figures.lost for figures in came)
    shares = [figures.calls_per_hour / best for figures, best in zip(came, ideal, strict=True)]
    return [
        "" if lost else f"{statistics.mean(shares):.3f}",
        "" if lost else f"{min(shares):.3f}",
        f"{lost:,}",
        f"{sum(figures.refused for figures in came):,}",
        str(max(figures.over_ceiling for figures in came)),
        f"{statistics.mean(figures.readings_per_call for figures in came):.2f}",
        f"{statistics.mean(figures.lists_per_call for figures in came):.2f}",
        f"{statistics.mean(figures.questions_per_call for figures in came):.2f}",
        f"{sum(figures.readings_refused for figures in came):,}",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--leads", type=int, default=5000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--cps", type=campaign.rate_of, default=None, help="a rate, or none")
    parser.add_argument("--workers", type=int, choices=[1, PROCESSES], default=1)
    parser.add_argument("--only", default="", metavar="WORD", help="rows with this in their name")
    options = parser.parse_args(arguments)
    rows = {name: row for name, row in _rows(options.workers).items() if options.only in name}
    with nullcontext() if options.workers == 1 else RedisServer() as server:
        ledger = "" if server is None else server.url
        print(table(rows, options.leads, options.seeds, Rate(options.cps), ledger))


if __name__ == "__main__":
    main()

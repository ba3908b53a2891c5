"""Two programs that know nothing of callguard dial through proxies, in real time.

    python -m tests.campaigns.proxies
    python -m tests.campaigns.proxies --kill

A Node.js program and a Python one, each on the provider's own SDK with nothing set but its address,
dial half of the leads each, at the same time, through ``callguard serve``. The provider is a
``callguard simulator``; all are processes of their own. With ``--kill`` there are two proxies on
one Redis server behind a load balancer, and one is ended by SIGKILL when a quarter of the leads are
placed, while others are being dialled.

Prints, as Markdown, what became of the leads by the simulator's records and by what the programs
saw. Exits with 1 if a call was refused, a lead was lost, or one was called twice.

Calls take 2 s on average, so that the rate is what bounds the campaign, and it ends in minutes.
"""

from __future__ import annotations

import asyncio
import math
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from callguard.testing import RedisServer
from tests.support.balancer import balancing
from tests.support.commands import Command, SimulatedWorkspace, serving, simulator
from tests.support.dialers import Dialled, Program, dialling
from tests.support.node import node_modules
from tests.support.programs import command, surroundings

RING_LIMIT = 1.0
LATENCY = 0.4
"""Seconds for each of the provider's answers, so that a kill finds dials in progress."""

WORLD = {
    "--ring-time": "exponential:0.4:1",
    "--ring-limit": f"{RING_LIMIT:g}",
    "--talk-time": "exponential:1.6:10",
    "--rise-lag": "0.2",
    "--fall-lag": "0.2",
    "--latency": f"{LATENCY:g}",
}

TOLD = {"ring_limit": RING_LIMIT, "counter_lag": 0.4, "ttl": 0.4}
"""What the proxies are told, besides the rate; the other settings are the defaults."""

PROGRAMS: tuple[Program, ...] = ("dial.js", "dial_threads.py")

_RETRIES = re.compile("retrying, |Retrying request")
"""What the SDKs say when they send a request again."""


@dataclass
class Seen:
    """What the programs saw.

    Attributes:
        leads: what became of each lead.
        first, last: when the first and the last of them was done with, on the monotonic clock.
        logs: what the SDKs said.
        news: set at each lead that a program is done with.
    """

    leads: list[Dialled] = field(default_factory=list)
    first: float = math.nan
    last: float = math.nan
    logs: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def errors(self) -> Counter[str]:
        """The errors that the programs got, by class and status."""
        return Counter(f"{each.error} {each.status}" for each in self.leads if each.error)

    @property
    def retries(self) -> int:
        """How often the SDKs sent a request again."""
        return sum(bool(_RETRIES.search(line)) for line in self.logs)

    def take(self, lead: Dialled) -> None:
        """Take in a lead that a program is done with."""
        self.last = time.monotonic()
        self.first = self.last if not self.leads else self.first
        self.leads.append(lead)
        self.news.set()

    async def until(self, leads: int) -> None:
        """Wait until the programs are done with so many leads."""
        while len(self.leads) < leads:
            self.news.clear()
            await self.news.wait()


@dataclass(frozen=True)
class Report:
    """What came of a campaign."""

    leads: int
    seen: Seen
    truth: dict[str, float]
    calls: Counter[str]

    @property
    def refusals(self) -> int:
        return int(self.truth["refusals"])

    @property
    def repeated(self) -> int:
        """Dials that the provider knew by their key, and placed no second call for."""
        dials = self.truth["/v2/create-phone-call answered"]
        return int(dials - self.truth["placed"]) - self.refusals

    @property
    def lost(self) -> int:
        return sum(not self.calls[_number(lead)] for lead in range(self.leads))

    @property
    def twice(self) -> int:
        return sum(count > 1 for count in self.calls.values())

    @property
    def is_kept(self) -> bool:
        """Whether the promise was kept."""
        placed_once = self.truth["placed"] == self.leads and not self.lost and not self.twice
        return placed_once and not self.refusals


async def carry_out(leads: int, limit: int, cps: float, at_once: int, *, kill: bool) -> Report:
    """Let the programs dial all leads, and compare with the simulator's records."""
    options = [*(part for pair in WORLD.items() for part in pair), "--limit", f"{limit}"]
    async with simulator(*options, "--cps", f"{cps:g}") as workspace, AsyncExitStack() as stack:
        proxies = await stack.enter_async_context(_proxies(workspace, cps, many=kill))
        url = proxies[0].url
        if kill:
            balancer = balancing(*(proxy.url for proxy in proxies))
            url = (await stack.enter_async_context(balancer)).url
        seen = Seen()
        async with asyncio.TaskGroup() as tasks:
            for program, part in zip(PROGRAMS, _halves(leads), strict=True):
                tasks.create_task(_dial(program, url, part, at_once // 2, seen))
            if kill:
                await seen.until(leads // 4)
                await proxies[0].end(signal.SIGKILL)
        await asyncio.sleep(RING_LIMIT + 1.0)  # a call that rings is in no list
        calls = Counter(str(call["to_number"]) for call in await workspace.calls())
        return Report(leads, seen, await workspace.truth(), calls)


@asynccontextmanager
async def _proxies(
    workspace: SimulatedWorkspace, cps: float, *, many: bool
) -> AsyncIterator[list[Command]]:
    async with AsyncExitStack() as stack:
        options = ["--cps", f"{cps:g}"]
        if many:
            options += ["--ledger", stack.enter_context(RedisServer()).url]
        yield [
            await stack.enter_async_context(serving(workspace.url, *options, workspace=TOLD))
            for _ in range(2 if many else 1)
        ]


async def _dial(program: Program, url: str, leads: range, at_once: int, seen: Seen) -> None:
    modules = node_modules() if program == "dial.js" else None
    async for lead in dialling(program, url, leads, at_once, node_modules=modules, log=seen.logs):
        seen.take(lead)


def _halves(leads: int) -> tuple[range, range]:
    return range(leads // 2), range(leads // 2, leads)


def _number(lead: int) -> str:
    return f"+1213{lead:07}"


def _rows(report: Report, cps: float) -> list[tuple[str, str]]:
    seen = report.seen
    waits = sorted(lead.seconds for lead in seen.leads)
    return [
        ("leads", f"{report.leads:,}"),
        ("calls placed, by the simulator", f"{report.truth['placed']:,.0f}"),
        ("leads lost", f"{report.lost}"),
        ("leads called twice", f"{report.twice}"),
        ("dials refused", f"{report.refusals}"),
        ("of them too fast", f"{report.truth['rate refusals']:.0f}"),
        ("dials of calls that were placed already", f"{report.repeated}"),
        ("most calls at once", f"{report.truth['peak']:.0f}"),
        ("seconds from the first lead to the last", f"{seen.last - seen.first:.1f}"),
        ("seconds at the full rate", f"{(report.leads - 1) / cps:.1f}"),
        ("seconds for one lead, median and most", f"{waits[len(waits) // 2]:.1f}, {waits[-1]:.1f}"),
        ("requests that the SDKs sent again", f"{seen.retries}"),
        ("errors that the programs saw", ", ".join(map(str, seen.errors.items())) or "none"),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = command(__doc__)
    parser.add_argument("--leads", type=int, default=1000, help="at most 1,000, as one list has")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--cps", type=float, default=5.0)
    parser.add_argument("--at-once", type=int, default=50, help="requests in progress at a time")
    parser.add_argument("--kill", action="store_true", help="end one of two proxies by SIGKILL")
    options = parser.parse_args(arguments)
    report = asyncio.run(
        carry_out(options.leads, options.limit, options.cps, options.at_once, kill=options.kill)
    )
    print(f"{surroundings()}, limit {options.limit}, {options.cps:g} calls a second\n")
    print("| | |\n|---|---:|")
    for name, value in _rows(report, options.cps):
        print(f"| {name} | {value} |")
    return 0 if report.is_kept else 1


if __name__ == "__main__":
    sys.exit(main())

"""A pause said in one process, as three others on one ledger see it; and that it outlives all four.

    python -m tests.campaigns.pausing --pauses 200

In each process callers arrive all the time, and there is always room for them. The first process
pauses everything, and resumes it when all others know. Prints, as Markdown, how long it took from
the pause until any of the three others admitted somebody for the last time, until all of them knew,
and until all of them admitted somebody again after it was resumed. Then there is one more pause,
and all processes are ended by SIGKILL and started again: prints what the new ones say of it, whom
they admitted until the leases of the old ones had long run out, and how soon they went on once one
of them had resumed it. Exits with 1 where anybody was admitted by a process that knew of a pause,
or where the new processes know nothing of it.

All processes read CLOCK_MONOTONIC, which is the same for all of them on Linux.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import callguard
from callguard.events import Admitted, Event, Paused
from callguard.ledger import RedisLedger
from tests.benchmarks.tables import markdown
from tests.support.fake_network import FakeSession, limits_reply
from tests.support.processes import Parent, Said, Worker, workers
from tests.support.programs import command, server, surroundings

LIMIT = 50
"""More than there are callers, so that each finds room."""

CALLERS = 5
"""In each process; one comes back a moment after it was admitted."""

AWAY = (0.01, 0.03)
"""Seconds until it does."""

GOING_ON = (0.03, 0.1)
"""Seconds for which nothing is paused: drawn, so that no timer's rhythm falls in with it."""

STILL = 0.02
"""Seconds for which a pause stays when all know of it, to see that nobody is admitted."""

PROCESSES = 4
PATIENCE = 30.0

ALLOWANCE = 0.5
"""Seconds by which an age may be wrong: the server has a wall clock, and a process that hears its
answer late, as on a busy machine, takes the pause for that much younger."""

REASON = "carrier trouble"

Pauses = list[dict[str, Any]]


async def come_again(gate: callguard.Gate, seed: int) -> None:
    """One caller, who comes back for ever."""
    draw = random.Random(seed)
    while True:
        async with gate.admit() as permit:
            permit.cancel()
        await asyncio.sleep(draw.uniform(*AWAY))


async def admit_all_the_time(parent: Parent, url: str, name: str, lease: float) -> None:
    """What each process does, until its parent has no more to say."""
    admitted: list[float] = []

    def hear(event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Admitted):
            if not admitted:
                parent.tell(what="admitted", at=now)
            admitted.append(now)
        elif isinstance(event, Paused):
            parent.tell(what="paused", at=now)

    session = FakeSession(lambda *_: limits_reply(0, LIMIT))
    async with (
        RedisLedger.from_url(url, name=name, lease=lease, timeout=lease / 2) as ledger,
        callguard.open_gate(
            "key_campaign", session=session, ledger=ledger, cps=None, listener=hear
        ) as gate,
        asyncio.TaskGroup() as callers,
    ):
        parent.tell(what="ready")
        coming = [callers.create_task(come_again(gate, seed)) for seed in range(CALLERS)]
        while (said := await parent.hear()) is not None:
            began = time.monotonic()
            if said["do"] == "pause":
                gate.pause(reason=REASON)
            elif said["do"] == "resume":
                gate.resume()
            pauses = [asdict(pause) for pause in gate.statistics().pauses]
            parent.tell(what="done", at=began, admitted=admitted, pauses=pauses)
            admitted.clear()
        for caller in coming:
            caller.cancel()


class Process:
    """One process, as the campaign sees it."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def heard(self, what: str) -> float:
        """When the next such thing was; what it tells of others before is passed over."""
        return float((await self._heard(what))["at"])

    async def do(self, what: str) -> Said:
        """Have it do something: when it began, what is paused, and when whom it admitted since."""
        self._worker.tell(do=what)
        return await self._heard("done")

    async def _heard(self, what: str) -> Said:
        async with asyncio.timeout(PATIENCE):
            while (said := await self._worker.expect())["what"] != what:
                pass
        return said

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._worker.kill()


@asynccontextmanager
async def processes(url: str, name: str, lease: float) -> AsyncIterator[list[Process]]:
    """All of them, each with a gate that is open."""
    async with workers(PROCESSES, admit_all_the_time, url, name, lease) as begun:
        yield [Process(worker) for worker in begun]


@dataclass(frozen=True)
class Stop:
    """One pause; seconds.

    Attributes:
        last: from the pause until any of the others admitted for the last time; 0 if none did.
        known: until all of them knew of it.
        again: from its end until each of them had admitted somebody.
        admitted: callers that they had admitted since the pause before.
        wrongly: those of them that a process admitted that knew of the pause.
    """

    last: float
    known: float
    again: float
    admitted: int
    wrongly: int


async def stop_and_go(first: Process, others: Sequence[Process], going_on: float) -> Stop:
    """After so many seconds, pause in the first process; when all know, resume there."""
    for each in others:
        await each.do("look")
        await each.heard("admitted")
    await asyncio.sleep(going_on)
    said = (await first.do("pause"))["at"]
    known = [await each.heard("paused") for each in others]
    await asyncio.sleep(STILL)
    admitted = [(await each.do("look"))["admitted"] for each in others]
    resumed = (await first.do("resume"))["at"]
    again = [await each.heard("admitted") for each in others]
    return Stop(
        last=max(0.0, *(at - said for times in admitted for at in times)),
        known=max(known) - said,
        again=max(again) - resumed,
        admitted=sum(map(len, admitted)),
        wrongly=sum(at > knew for knew, times in zip(known, admitted, strict=True) for at in times),
    )


@dataclass(frozen=True)
class Restart:
    """What became of a pause after all processes were killed, and as many started.

    Attributes:
        before: what the process that paused said of the pause.
        after: what each new one says of it.
        least, most: seconds for which it had been paused by then.
        admitted: callers that they admitted until the leases of the old ones had run out.
        again: seconds from its end until each of them had admitted somebody.
    """

    before: Pauses
    after: Sequence[Pauses]
    least: float
    most: float
    admitted: int
    again: float

    @property
    def good(self) -> bool:
        """Whether each knew what was paused, by whom, since when and why; and kept to it."""
        return not self.admitted and all(
            [{**each, "seconds": 0.0} for each in self.before]
            == [{**each, "seconds": 0.0} for each in pauses]
            and all(
                self.least - ALLOWANCE <= each["seconds"] <= self.most + ALLOWANCE
                for each in pauses
            )
            for pauses in self.after
        )


async def outlive(url: str, name: str, lease: float) -> Restart:
    """Pause in a process, kill all, and start others; when the old leases are over, resume."""
    async with processes(url, name, lease) as old:
        said = await old[0].do("pause")
        known = max([await each.heard("paused") for each in old[1:]])
        for each in old:
            each.kill()
    async with processes(url, name, lease) as new:
        await asyncio.sleep(lease + 1.0)
        found = [await each.do("look") for each in new]
        looked = time.monotonic()
        resumed = (await new[-1].do("resume"))["at"]
        again = [await each.heard("admitted") for each in new]
    return Restart(
        before=said["pauses"],
        after=[each["pauses"] for each in found],
        least=min(each["at"] for each in found) - known,
        most=looked - said["at"],
        admitted=sum(len(each["admitted"]) for each in found),
        again=max(again) - resumed,
    )


async def stops(url: str, name: str, lease: float, count: int) -> list[Stop]:
    """So many pauses, one after the other."""
    draw = random.Random(1)
    async with processes(url, name, lease) as (first, *others):
        return [await stop_and_go(first, others, draw.uniform(*GOING_ON)) for _ in range(count)]


def row(what: str, seconds: Sequence[float]) -> tuple[object, ...]:
    """A line of the table, in milliseconds."""
    percentiles = statistics.quantiles(seconds, n=100, method="inclusive")
    figures = (statistics.median(seconds), percentiles[98], max(seconds))
    return (what, *(f"{figure * 1e3:.1f}" for figure in figures))


async def main(ledger: str | None, count: int, lease: float) -> bool:
    """Print what was seen; whether it was as promised."""
    print(f"{surroundings()}\n")
    name = uuid.uuid4().hex
    with server(ledger) as url:
        seen = await stops(url, name, lease, count)
        restart = await outlive(url, name, lease)
    rows = [
        row("from the pause to the last that another admits", [each.last for each in seen]),
        row("from the pause until all others know", [each.known for each in seen]),
        row("from the end until each has admitted somebody", [each.again for each in seen]),
    ]
    print(markdown((f"{count} pauses", "median ms", "p99 ms", "maximum ms"), rows))
    wrongly = sum(each.wrongly for each in seen)
    print(f"\nThe others admitted {sum(each.admitted for each in seen):,} callers before pauses,")
    print(f"and {wrongly} of them knew that it was paused.")
    print(f"\nAll killed and started again, they say {restart.least:.1f} s after the pause:")
    for pauses in restart.after:
        print(f"- {'; '.join(str(callguard.Pause(**each)) for each in pauses) or 'nothing'}")
    print(f"and had admitted {restart.admitted}. Resumed, all go on in {restart.again:.3f} s.")
    return not wrongly and restart.good


if __name__ == "__main__":
    parser = command(__doc__)
    parser.add_argument("--pauses", type=int, default=200)
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(main(options.ledger, options.pauses, options.lease)) else 1)

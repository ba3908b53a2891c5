"""What a shared ledger costs on the server, with 1 to 250 gates, and beside 10,000 live permits.

    python -m tests.benchmarks.shared_cost

Prints, as Markdown, per admission: round trips, commands inside of the scripts, pushes to other
workers, and time in the scripts, as ``INFO commandstats`` has them; and bytes per live permit, as
``MEMORY USAGE`` has them: with 1,000 permits less those with none. The gates share a process, and
each has a client of its own.

And per exchange, with callers waiting at all gates for ten slots: commands, time in the scripts,
and admissions a second. And what one exchange takes of the server's own time that concerns many
permits at once, the longest of each kind, as ``INFO cpu`` has it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice

import redis
from redis.asyncio import Redis

import callguard
from callguard.ledger import RedisLedger
from callguard.ledger.redis.keys import Names
from tests.benchmarks.stalls import longest_exchanges
from tests.support.programs import command, let_one_in, open_shared, server, surroundings

GATES = (1, 8, 64)

WAITING_GATES = (8, 64, 250)

FEW_SLOTS = 10

LIVE = 10_000
"""Permits of one worker."""

PERMITS = 1000

LINE = 640
"""Callers in the queue, over all gates."""


@dataclass(frozen=True)
class Commands:
    """What the server has done so far; `seconds` in scripts."""

    round_trips: int
    inside: int
    pushes: int
    seconds: float

    @classmethod
    async def so_far(cls, client: Redis) -> Commands:
        told = await client.info("commandstats")
        calls = {name.removeprefix("cmdstat_"): told[name]["calls"] for name in told}
        ours = {"info", "memory", "memory|usage"}
        round_trips = calls.get("evalsha", 0) + calls.get("eval", 0)
        return cls(
            round_trips,
            sum(count for name, count in calls.items() if name not in ours) - round_trips,
            calls.get("publish", 0),
            told.get("cmdstat_evalsha", {"usec": 0})["usec"] / 1e6,
        )

    def row(self, before: Commands, admissions: int) -> str:
        """What it came to since then, per admission."""
        return (
            f"{(self.round_trips - before.round_trips) / admissions:.2f} "
            f"| {(self.inside - before.inside) / admissions:.2f} "
            f"| {(self.pushes - before.pushes) / admissions:.2f} "
            f"| {(self.seconds - before.seconds) / admissions * 1e6:.0f}"
        )

    def row_of_exchanges(self, before: Commands, admissions: int, seconds: float) -> str:
        """What it came to since then, `seconds` ago, per exchange."""
        exchanges = self.round_trips - before.round_trips
        return (
            f"{(self.inside - before.inside) / exchanges:.1f} "
            f"| {(self.seconds - before.seconds) / exchanges * 1e6:.0f} "
            f"| {admissions / seconds:,.0f}"
        )


@asynccontextmanager
async def opened(
    url: str, name: str, count: int, limit: int
) -> AsyncIterator[list[callguard.Gate]]:
    """So many gates on the same ledger, each with a client of its own."""
    async with AsyncExitStack() as stack:
        gates = []
        for _ in range(count):
            ledger = await stack.enter_async_context(RedisLedger.from_url(url, name=name))
            shared = open_shared(ledger, "key_benchmark", limit, ring_limit=3600.0)
            gates.append(await stack.enter_async_context(shared))
        await let_one_in(gates[0])
        yield gates


async def commands(
    url: str, gates: int, callers: int, limit: int, admissions: int, *, each_exchange: bool = False
) -> str:
    """Admissions by as many callers at a time, each of which stays for 5 ms."""
    async with Redis.from_url(url) as client:
        async with opened(url, uuid.uuid4().hex, gates, limit) as all_gates:
            todo = iter(range(admissions))
            before, began = await Commands.so_far(client), time.monotonic()

            async def caller(gate: callguard.Gate) -> None:
                for _ in todo:
                    async with gate.admit() as permit:
                        await asyncio.sleep(0.005)
                        permit.cancel()

            await asyncio.gather(*(caller(gate) for gate in islice(cycle(all_gates), callers)))
            seconds, after = time.monotonic() - began, await Commands.so_far(client)
            if each_exchange:
                return after.row_of_exchanges(before, admissions, seconds)
            return after.row(before, admissions)


async def memory(url: str, gates: int) -> str:
    """Bytes of the ledger with nobody in, and per permit: dialling, and placed with its id."""
    name = uuid.uuid4().hex
    keys = [key.decode() for key in Names(name).keys]
    async with Redis.from_url(url) as client:
        async with opened(url, name, gates, 2 * PERMITS) as all_gates:
            empty = await _bytes(client, keys)
            leave = asyncio.Event()
            entered = asyncio.Semaphore(0)

            async def caller(gate: callguard.Gate) -> None:
                async with gate.admit() as permit:
                    entered.release()
                    await leave.wait()
                    permit.placed(f"call_{uuid.uuid4().hex}")

            chosen = islice(cycle(all_gates), PERMITS)
            callers = [asyncio.create_task(caller(gate)) for gate in chosen]
            for _ in callers:
                await entered.acquire()
            dialling = await _bytes(client, keys)
            leave.set()
            await asyncio.gather(*callers)
            while not await _all_bound(client, keys):  # noqa: ASYNC110 - the server has no event
                await asyncio.sleep(0.01)
            placed = await _bytes(client, keys)
    return f"{empty:,} | {(dialling - empty) / PERMITS:.0f} | {(placed - empty) / PERMITS:.0f}"


async def _bytes(client: Redis, keys: Sequence[str]) -> int:
    usages = [await client.memory_usage(key, samples=0) for key in keys]
    return sum(usage or 0 for usage in usages)


async def _all_bound(client: Redis, keys: Sequence[str]) -> bool:
    """Whether the ledger knows the calls' ids of all permits; each has two entries."""
    (calls,) = (key for key in keys if key.endswith(":calls"))
    return len(await client.hkeys(calls)) == 2 * PERMITS


async def main(ledger: str | None, admissions: int) -> None:
    print(f"{surroundings()}; {admissions:,} admissions a row\n")
    print(
        "| gates | callers | slots | round trips | commands inside | pushes | µs in scripts |\n"
        "|---|---|---|---|---|---|---|"
    )
    with server(ledger) as url:
        for callers, limit in ((None, PERMITS), (LINE, 100)):
            for gates in GATES:
                row = await commands(url, gates, callers or gates, limit, admissions)
                print(f"| {gates} | {callers or gates} | {limit:,} | {row} |", flush=True)
        print(
            "\n| gates that wait | slots | commands in an exchange | µs of it in the script "
            "| admissions a second |\n|---|---|---|---|---|"
        )
        for gates in WAITING_GATES:
            row = await commands(
                url, gates, max(LINE, 2 * gates), FEW_SLOTS, admissions // 2, each_exchange=True
            )
            print(f"| {gates} | {FEW_SLOTS} | {row} |", flush=True)
        print(f"\n| what became of {LIVE:,} permits | exchanges | longest, ms |\n|---|---|---|")
        with redis.Redis.from_url(url) as client:
            for what, exchanges, longest in longest_exchanges(client, LIVE):
                print(f"| {what} | {exchanges} | {longest:.1f} |", flush=True)
        print(
            f"\n| gates | bytes of ledger without a permit | bytes per permit of {PERMITS:,}, "
            "dialling | placed, not seen yet, with the call's id |\n|---|---|---|---|"
        )
        for gates in GATES:
            print(f"| {gates} | {await memory(url, gates)} |", flush=True)


if __name__ == "__main__":
    parser = command(__doc__)
    parser.add_argument("--admissions", type=int, default=5000)
    options = parser.parse_args()
    asyncio.run(main(options.ledger, options.admissions))

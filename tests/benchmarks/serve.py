"""What ``callguard serve`` costs beside the bare provider, and 1,000 clients that wait at it.

    python -m tests.benchmarks.serve

Prints, as Markdown: what the proxy adds to a dial that has room, requests per second that it
forwards, memory of each waiting client and the time to tell all of them on a drain, and the CPU
time of 100 idle workspaces. Server, provider and clients are processes of their own. Needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

CREATE = "/v2/create-phone-call"
LEAD = {"from_number": "+14155550100", "to_number": "+14155550101"}
FULL = "key_full"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dials", type=int, default=1_000, help="dials each way")
    parser.add_argument("--requests", type=int, default=10_000, help="forwarded requests each way")
    parser.add_argument("--clients", type=int, default=1_000, help="clients that wait")
    parser.add_argument("--workspaces", type=int, default=100, help="idle workspaces")
    parser.add_argument("--seconds", type=float, default=10.0, help="for which they are idle")
    parser.add_argument("--provider", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.provider:
        await provide()
        return
    print("| what | figure |\n|---|---|")
    await added_latency(options.dials)
    await forwarded(options.requests)
    await waiting(options.clients)
    await idle(options.workspaces, options.seconds)


# The provider ---------------------------------------------------------------------------------


async def provide() -> None:
    """A provider as small as can be, that accepts every key; that of `FULL` has no room."""

    async def limits(request: web.Request) -> web.Response:
        full = request.headers["Authorization"].endswith(FULL)
        count, limit = (1, 1) if full else (0, 1_000_000)
        return web.json_response({"current_concurrency": count, "concurrency_limit": limit})

    async def dial(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"call_id": f"call_{time.monotonic_ns()}"}, status=201)

    async def get(request: web.Request) -> web.Response:
        return web.json_response({"call_id": request.match_info["id"]})

    app = web.Application()
    app.add_routes(
        [
            web.get("/get-concurrency", limits),
            web.post(CREATE, dial),
            web.post("/v3/list-calls", get),
            web.get("/v2/get-call/{id}", get),
        ]
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=2048)
    await site.start()
    print(f"listens on http://127.0.0.1:{site.port}, and accepts every key", flush=True)
    await asyncio.Event().wait()


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A program that says on which address it listens; killed in the end."""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert program.stdout is not None
        line = (await program.stdout.readline()).decode()
        yield program, line.split("listens on ")[1].split(",")[0]
    finally:
        if program.returncode is None:
            program.kill()
        await program.communicate()


@asynccontextmanager
async def pair(
    *options: str,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str]]:
    """A provider and a proxy in front of it: the proxy's process, the two addresses."""
    async with process("tests.benchmarks.serve", "--provider") as (_, bare):
        proxy = ("callguard", "serve", "--port", "0", "--provider-url", bare, "--cps", "none")
        async with process(*proxy, *options) as (program, url):
            yield program, bare, url


def client(key: str = "key_bench") -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {key}"},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(),
    )


# What is measured -----------------------------------------------------------------------------


async def added_latency(dials: int) -> None:
    """Dial by turns at the simulator and through the proxy, one at a time."""
    simulator = ("callguard", "simulator", "--port", "0", "--limit", "1000000", "--cps", "none")
    async with process(*simulator) as (_, line):
        bare = line
        proxy = ("callguard", "serve", "--port", "0", "--provider-url", bare, "--cps", "none")
        async with process(*proxy) as (_, url), client("key_simulated") as session:
            times: dict[str, list[float]] = {bare: [], url: []}
            for number in range(dials + 50):
                for address, taken in times.items():
                    began = time.perf_counter()
                    async with session.post(address + CREATE, json=LEAD) as answer:
                        await answer.read()
                        assert answer.status == 201, await answer.text()
                    if number >= 50:
                        taken.append(1000 * (time.perf_counter() - began))
    show("a dial at the simulator, median (p99)", *spread(times[bare]))
    show("the same through the proxy, median (p99)", *spread(times[url]))
    added = [b - a for a, b in zip(times[bare], times[url], strict=True)]
    show("added, median (p99)", *spread(added))


async def forwarded(requests: int, at_once: int = 50) -> None:
    """Requests per second of clients that ask again at once, bare and through the proxy."""
    async with pair() as (_, bare, url), client() as session:
        rates: dict[str, list[float]] = {bare: [], url: []}
        for _ in range(3):
            for address, found in rates.items():
                found.append(await rate(session, f"{address}/v2/get-call/1", requests, at_once))
        direct, through = (statistics.median(found) for found in rates.values())
    print(f"| requests per second, aiohttp's client and server alone | {direct:,.0f} |")
    print(f"| the same through the proxy | {through:,.0f} |")


async def rate(session: aiohttp.ClientSession, url: str, requests: int, at_once: int) -> float:
    async def ask() -> None:
        for _ in range(requests // at_once):
            async with session.get(url) as answer:
                await answer.read()

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(at_once)))
    return requests / (time.perf_counter() - began)


async def waiting(clients: int) -> None:
    """Memory of each client that waits, and the time until a drain has told all of them."""
    async with pair("--wait", "600") as (program, _, url), client(FULL) as session:
        async with session.post(url + CREATE, json=LEAD, headers={"X-Callguard-Wait": "0"}) as one:
            assert one.status == 429
        before = memory(program.pid)
        asked = [asyncio.create_task(session.post(url + CREATE, json=LEAD)) for _ in range(clients)]
        await asyncio.sleep(5)
        each = (memory(program.pid) - before) / clients
        began = time.perf_counter()
        program.send_signal(signal.SIGTERM)
        statuses = [answer.status for answer in await asyncio.gather(*asked)]
        told = time.perf_counter() - began
        assert statuses == [503] * clients
    print(f"| memory of each of {clients:,} waiting clients | {each / 1024:.1f} KiB |")
    print(f"| until a drain has told all of them | {1000 * told:.0f} ms |")


async def idle(workspaces: int, seconds: float) -> None:
    """CPU time of the proxy while its workspaces are idle."""
    async with pair() as (program, _, url):
        for number in range(workspaces):
            async with client(f"key_{number}") as session:
                async with session.post(url + CREATE, json=LEAD) as answer:
                    assert answer.status == 201
        await asyncio.sleep(5)
        before = cpu(program.pid)
        await asyncio.sleep(seconds)
        spent = cpu(program.pid) - before
        size = memory(program.pid) / 2**20
    print(
        f"| CPU time of {workspaces} idle workspaces | {1000 * spent:.0f} ms in {seconds:g} s, "
        f"{size:.0f} MiB in all |"
    )


def memory(pid: int) -> int:
    """Bytes of a process that are in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> float:
    """Seconds of CPU time of a process."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def spread(times: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(times, n=100)
    return statistics.median(times), cuts[98]


def show(what: str, median: float, p99: float) -> None:
    print(f"| {what} | {median:.2f} ms ({p99:.2f} ms) |")


if __name__ == "__main__":
    asyncio.run(main())

"""What an outage of the provider costs: its own rest, and everybody's patience.

    python -m tests.benchmarks.outage

Gates of one workspace open at once on one ledger, as so many workers do, and a caller waits at
each. Prints, as Markdown: seconds until the last gate was open; requests a second while they opened
and while the callers waited, over all gates, and the most within any one second; and seconds from
the provider's first good answer on until the first caller was admitted.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple

import aiohttp

import callguard
from callguard.ledger import RedisLedger
from tests.benchmarks.tables import markdown
from tests.support.fake_network import limits_reply
from tests.support.programs import command, server, surroundings

GATES = (1, 4, 12, 24)

OUTAGES = ("answers 503", "nothing listens", "never answers")


class Figures(NamedTuple):
    """Of one outage: seconds, and requests a second."""

    to_open: float
    opening: float
    waiting: float
    most: int
    back: float


class Provider:
    """A provider's address at which there is an outage until `recover`."""

    def __init__(self) -> None:
        self._outage = ""
        self._over = asyncio.Event()
        self._server: asyncio.Server | None = None
        # From now on, so that nobody else gets the port while nothing listens.
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    async def fail(self, outage: str) -> None:
        """Begin an outage."""
        self._outage = outage
        if outage != "nothing listens":
            await self._listen()

    async def recover(self) -> None:
        """End it."""
        self._outage = ""
        self._over.set()
        if self._server is None:
            await self._listen()

    async def aclose(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await asyncio.sleep(0)
        self._socket.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            if self._outage == "never answers":
                await self._over.wait()
            body = b"" if self._outage else limits_reply(0, 1000).body
            status = "503 Service Unavailable" if self._outage else "200 OK"
            head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode() + body)
            await writer.drain()
        writer.close()


async def outage(ledger_url: str, gates: int, kind: str, seconds: float) -> Figures:
    """One outage, watched for so many seconds after the last gate has opened."""
    loop = asyncio.get_running_loop()
    asked: list[float] = []
    provider = Provider()
    await provider.fail(kind)
    name = uuid.uuid4().hex
    url = f"http://127.0.0.1:{provider.port}"
    try:
        async with AsyncExitStack() as stack:
            began = loop.time()
            opening = [
                await stack.enter_async_context(_later(_opened(url, ledger_url, name, asked)))
                for _ in range(gates)
            ]
            opened = await asyncio.gather(*opening)
            open_at = loop.time()
            admitted = [asyncio.create_task(_admitted(gate)) for gate in opened]
            await asyncio.sleep(seconds)
            assert not any(task.done() for task in admitted), "admitted without a snapshot"
            over_at = loop.time()
            until_over = list(asked)
            await provider.recover()
            first = min(await asyncio.gather(*admitted))
    finally:
        await provider.aclose()
    return Figures(
        to_open=open_at - began,
        opening=len([at for at in until_over if at < open_at]) / (open_at - began),
        waiting=len([at for at in until_over if at >= open_at]) / seconds,
        most=most_within_a_second(until_over),
        back=first - over_at,
    )


@asynccontextmanager
async def _opened(
    url: str, ledger_url: str, name: str, asked: list[float]
) -> AsyncIterator[callguard.Gate]:
    """A gate of a worker that shares nothing with others but the ledger."""

    async def note(*_: Any) -> None:
        asked.append(asyncio.get_running_loop().time())

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(note)
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        RedisLedger.from_url(ledger_url, name=name) as ledger,
        callguard.open_gate(
            "key_outage", base_url=url, session=session, ledger=ledger, cps=None
        ) as gate,
    ):
        yield gate


@asynccontextmanager
async def _later(entered: Any) -> AsyncIterator[asyncio.Future[callguard.Gate]]:
    """Enter in a task of its own, so that all open at once, and leave in the same task."""
    inside: asyncio.Future[callguard.Gate] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def stay() -> None:
        async with entered as gate:
            inside.set_result(gate)
            await leave.wait()

    task = asyncio.create_task(stay())
    try:
        yield inside
    finally:
        leave.set()
        await task


async def _admitted(gate: callguard.Gate) -> float:
    """When a caller was admitted."""
    async with gate.admit() as permit:
        permit.cancel()
        return asyncio.get_running_loop().time()


def most_within_a_second(moments: Sequence[float]) -> int:
    """How many of them fall into the fullest second."""
    return max((sum(at <= other < at + 1.0 for other in moments) for at in moments), default=0)


async def main(ledger: str | None, gates: Sequence[int], seconds: float) -> None:
    logging.getLogger("callguard").setLevel(logging.ERROR)  # each gate warns of each outage
    print(f"{surroundings()}; {seconds:g} s of waiting\n")
    header = ("provider", "gates", "s to open", "requests/s opening", "requests/s waiting")
    with server(ledger) as url:
        rows = [
            (kind, number, *_shown(await outage(url, number, kind, seconds)))
            for kind in OUTAGES
            for number in gates
        ]
    print(markdown((*header, "most in 1 s", "s to the first admission after it"), rows))


def _shown(figures: Figures) -> tuple[str, ...]:
    return (
        f"{figures.to_open:.1f}",
        f"{figures.opening:.2f}",
        f"{figures.waiting:.2f}",
        str(figures.most),
        f"{figures.back:.1f}",
    )


if __name__ == "__main__":
    parser = command(__doc__)
    parser.add_argument("--gates", type=int, nargs="+", default=GATES)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    asyncio.run(main(options.ledger, options.gates, options.seconds))

"""Worker processes, for tests, campaigns and benchmarks.

A worker is a process that runs one coroutine function and exchanges lines of JSON with its parent.
The parent receives everything that the worker sent, even if it was killed right after. A worker
ends when its parent does.

    python -m tests.support.processes MODULE FUNCTION ARGUMENTS
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from tests.support import loops

P = ParamSpec("P")

Said = dict[str, Any]

_LONGEST_LINE = 64 * 1024 * 1024
_LONGEST_END = 10.0


class Parent:
    """A worker's connection to the process that started it."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def tell(self, **said: Any) -> None:
        """Send a message; it is in the pipe when this returns, even if this process is killed."""
        sys.stdout.buffer.write(_line(said))
        sys.stdout.buffer.flush()

    async def hear(self) -> Said | None:
        """Receive the parent's next message; None if there are no more, or the parent is gone."""
        return _said(await self._reader.readline())


class Worker:
    """A parent's connection to a process that runs a coroutine function."""

    def __init__(self, process: Process) -> None:
        self._process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin, process.stdout

    @classmethod
    async def start(
        cls,
        function: Callable[Concatenate[Parent, P], Awaitable[None]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Worker:
        """Start a process that runs ``function(parent, ...)``; its arguments are sent as JSON."""
        specification = sys.modules[function.__module__].__spec__
        assert specification is not None  # there is one for a module that was run by its name too
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.processes",
            specification.name,
            function.__name__,
            json.dumps([args, kwargs]),
            stdin=PIPE,
            stdout=PIPE,
            cwd=Path(__file__).parents[2],
            limit=_LONGEST_LINE,
        )
        return cls(process)

    def tell(self, **said: Any) -> None:
        """Send a message; it is lost if the worker is gone."""
        with suppress(ConnectionError):
            self._to.write(_line(said))

    async def hear(self) -> Said | None:
        """Receive the worker's next message; None if it has ended and has sent no more."""
        return _said(await self._from.readline())

    async def expect(self) -> Said:
        """Receive the worker's next message; raises if the worker has ended."""
        said = await self.hear()
        if said is None:
            raise RuntimeError(f"a worker has ended, with code {await self._process.wait()}")
        return said

    def finish(self) -> None:
        """Tell the worker that there are no more messages, so that it ends."""
        self._to.close()

    def kill(self) -> None:
        """Kill the worker by SIGKILL."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def aclose(self) -> None:
        """Let the worker end by itself, and wait for that; after 10 s it is killed."""
        self.finish()
        try:
            async with asyncio.timeout(_LONGEST_END):
                while await self.hear() is not None:
                    pass
                await self._process.wait()
        finally:
            self.kill()
            await self._process.wait()


@asynccontextmanager
async def workers(
    count: int,
    function: Callable[Concatenate[Parent, P], Awaitable[None]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> AsyncIterator[list[Worker]]:
    """Start `count` equal workers, and wait for one message of each, such as that it is ready."""
    started = [await Worker.start(function, *args, **kwargs) for _ in range(count)]
    try:
        await asyncio.gather(*(worker.expect() for worker in started))
        yield started
    finally:
        await asyncio.gather(*(worker.aclose() for worker in started))


def _line(said: Said) -> bytes:
    return json.dumps(said).encode() + b"\n"


def _said(line: bytes) -> Said | None:
    """Parse a message; None at the end, and for a line that its sender did not live to finish."""
    if not line.endswith(b"\n"):
        return None
    said: Said = json.loads(line)
    return said


async def _run(module: str, function: str, arguments: str) -> None:
    reader = asyncio.StreamReader(_LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    args, kwargs = json.loads(arguments)
    await getattr(importlib.import_module(module), function)(Parent(reader), *args, **kwargs)


if __name__ == "__main__":
    loops.follow()
    asyncio.run(_run(*sys.argv[1:]))

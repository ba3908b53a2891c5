"""The clock that jumps, as a user's tests have it."""

from __future__ import annotations

import asyncio
import inspect
import re
import selectors
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from callguard.testing import VirtualTimeLoop, run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_an_hour_takes_no_time() -> None:
    """A test of a dialer would take as long as the dialing."""
    began = time.monotonic()

    async def main() -> float:
        await asyncio.sleep(3600.0)
        return now()

    assert run(main()) == 3600.0
    assert time.monotonic() - began < 600.0


def test_what_is_due_at_one_moment_comes_in_the_same_order_each_time() -> None:
    """A test would pass one time, and fail the next."""

    async def main() -> list[int]:
        came: list[int] = []

        async def come(number: int) -> None:
            await asyncio.sleep(1.0)
            came.append(number)

        await asyncio.gather(*map(come, range(50)))
        return came

    assert run(main()) == run(main())


def test_time_stands_still_while_a_thread_is_at_work() -> None:
    """A timeout would pass in no time because a name had to be looked up."""

    async def main() -> float:
        async with asyncio.timeout(0.01):
            await asyncio.to_thread(time.sleep, 0.05)
        return now()

    assert run(main()) == 0.0


def test_a_machine_that_stood_still_leaves_a_thread_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A timeout would pass because the machine was busy while the loop waited for the thread."""
    select = selectors.DefaultSelector.select
    stood_still: list[float] = []

    def wait(selector: selectors.DefaultSelector, seconds: float | None = None) -> Any:
        if seconds and not stood_still:
            stood_still.append(seconds)
            return []  # as if all of them had passed
        return select(selector, seconds)

    monkeypatch.setattr(selectors.DefaultSelector, "select", wait)
    test_time_stands_still_while_a_thread_is_at_work()
    assert stood_still


def test_a_thread_may_wait_for_the_loop() -> None:
    """The loop and the thread would wait for each other for ever."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        later = asyncio.sleep(60.0)
        await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(later, loop).result())
        return now()

    assert run(main()) == 60.0


def test_time_stands_still_while_bytes_are_on_their_way() -> None:
    """Whoever asks a server in the same loop would be told that it doesn't answer."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await asyncio.sleep(2.0)
            writer.write(line)
        writer.close()

    async def main() -> float:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for number in range(100):
            writer.write(b"%d\n" % number)
            async with asyncio.timeout(2.1):
                assert await reader.readline() == b"%d\n" % number
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return now()

    assert run(main()) == pytest.approx(200.0)


def test_a_test_that_waits_for_what_never_comes_is_given_up() -> None:
    """It would hang, or go on for ever."""

    async def wait() -> None:
        await asyncio.Event().wait()

    async def poll() -> None:
        while True:  # noqa: ASYNC110 - as a dialer that never ends
            await asyncio.sleep(1.0)

    with pytest.raises(RuntimeError, match="nothing is left that could wake the loop"):
        run(wait())
    with (
        asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(horizon=100.0)) as runner,
        pytest.raises(RuntimeError, match="the run has not ended in 100 s"),
    ):
        runner.run(poll())


@pytest.mark.slow
def test_async_tests_may_run_on_it(tmp_path: Path) -> None:
    """What its docstring says of pytest-asyncio would not work."""
    said = inspect.getdoc(VirtualTimeLoop) or ""
    (hook,) = re.findall(r"^    (def pytest_asyncio.*\n {8}return .*)$", said, re.MULTILINE)
    (tmp_path / "conftest.py").write_text(f"import callguard.testing\n\n{textwrap.dedent(hook)}\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\n")
    (tmp_path / "test_hour.py").write_text(
        "import asyncio\n\nasync def test_hour():\n    await asyncio.sleep(3600.0)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr

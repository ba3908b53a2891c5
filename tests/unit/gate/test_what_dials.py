"""`gate.place`: which callables dial, and what is said of those that can't."""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from callguard import Permit
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run
from tests.unit.gate.support import opened


class Client:
    """A provider's client that takes note of what it was asked to place."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.placed: list[str] = []

    async def create(self, permit: Permit, *, agent: str = "") -> dict[str, str]:
        await asyncio.sleep(0.1)
        if self._failures:
            raise self._failures.pop(0)
        self.placed.append(permit.id)
        return {"call_id": "call_1"}

    async def __call__(self, permit: Permit) -> dict[str, str]:
        return await self.create(permit)

    def create_now(self, permit: Permit) -> dict[str, str]:
        """As a blocking client does."""
        self.placed.append(permit.id)
        return {"call_id": "call_1"}


class LaterAwaitable:
    """An awaitable that is neither a coroutine nor a future."""

    def __init__(self, client: Client, permit: Permit) -> None:
        self._call = client.create(permit)

    def __await__(self) -> Generator[Any, None, dict[str, str]]:
        return self._call.__await__()


def _generator_based(client: Client) -> Callable[[Permit], Awaitable[object]]:
    @types.coroutine
    def dial(permit: Permit) -> Generator[Any, None, dict[str, str]]:
        return (yield from client.create(permit).__await__())

    return dial


def _without_await(client: Client) -> Callable[[Permit], Awaitable[object]]:
    async def dial(permit: Permit) -> object:
        return client.create(permit)

    return dial


def _with_a_signature_that_lies(client: Client) -> Callable[[Permit], Awaitable[object]]:
    @functools.wraps(client.create_now)
    def dial(permit: Permit) -> Awaitable[object]:
        return client.create(permit)

    return dial


KINDS: dict[str, Callable[[Client], Callable[[Permit], Awaitable[object]]]] = {
    "a coroutine function": lambda client: client.create,
    "a lambda": lambda client: lambda permit: client.create(permit),  # noqa: PLW0108
    "a partial": lambda client: functools.partial(client.create, agent="a"),
    "a partial of a lambda": lambda client: functools.partial(
        lambda agent, permit: client.create(permit, agent=agent), "a"
    ),
    "a callable object": lambda client: client,
    "a partial of a callable object": functools.partial,
    "a plain function that returns a task": lambda client: (
        lambda permit: asyncio.get_running_loop().create_task(client.create(permit))
    ),
    "a plain function that returns a future": lambda client: (
        lambda permit: asyncio.ensure_future(client.create(permit))
    ),
    "a plain function that returns a gathering": lambda client: (
        lambda permit: asyncio.shield(client.create(permit))
    ),
    "a plain function that returns an awaitable object": lambda client: (
        lambda permit: LaterAwaitable(client, permit)
    ),
    "a coroutine that is based on a generator": _generator_based,
    "a coroutine function that forgets to await": _without_await,
    "a decorated function that looks like another": _with_a_signature_that_lies,
}


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_gives_an_awaitable_dials(kind: str, idempotent: bool) -> None:
    """A lead would be reported as called, and nobody had dialled."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            client = Client()
            dial = KINDS[kind](client)
            assert await gate.place(dial, idempotent=idempotent) == {"call_id": "call_1"}
            assert len(client.placed) == 1
            assert list(gate._parts.ledger.uncounted_calls()) == ["call_1"]

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_gives_an_awaitable_is_dialled_again_where_that_is_safe(kind: str) -> None:
    """An idempotent dial would be given up at the first broken connection."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            client = Client(ConnectionResetError(), TimeoutError())
            assert await gate.place(KINDS[kind](client), idempotent=True) == {"call_id": "call_1"}
            assert len(client.placed) == 1

    run(main())


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_plain_result_is_an_error_and_counts_as_placed(idempotent: bool) -> None:
    """A blocking client would stop the event loop unnoticed, or its call would not be counted."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            client = Client()
            blocking: Any = client.create_now
            with pytest.raises(TypeError, match=r"type dict; .*asyncio\.to_thread"):
                await gate.place(blocking, idempotent=idempotent)
            assert len(client.placed) == 1
            assert list(gate._parts.ledger.uncounted_calls()) == ["call_1"]

    run(main())


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize(
    "returns", [None, "call_1", [1], (_ for _ in ()), {"to_number": "+12137774445"}]
)
def test_a_dial_that_returns_nothing_to_await_is_no_success(
    returns: object, idempotent: bool
) -> None:
    """A forgotten `return` would lose each lead, and report each as called."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            forgetful: Any = lambda permit: returns  # noqa: E731
            with pytest.raises(TypeError, match="dial must return an awaitable") as caught:
                await gate.place(forgetful, idempotent=idempotent)
            assert "+1213" not in str(caught.value)
            assert gate.statistics().usage.uncounted == 1

    run(main())


@pytest.mark.parametrize("given", ["a coroutine", "a task", None, "https://…"])
def test_a_dial_that_cant_be_called_is_an_error_that_names_the_fix(given: str | None) -> None:
    """`gate.place(client.create(...))` would wait in the queue, and then fail with words that don't
    help; or a slot would be taken for it."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            call = asyncio.sleep(0)
            dial: Any = {"a coroutine": call, "a task": asyncio.ensure_future(call)}.get(
                str(given), given
            )
            with pytest.raises(TypeError, match=r"dial must be callable.* got .*lambda permit"):
                await gate.place(dial)
            await asyncio.sleep(0)
            statistics = gate.statistics()
            assert (statistics.admitted, statistics.usage.total) == (0, 0)

    run(main())


@pytest.mark.parametrize(
    ("attempts", "error"), [(0, ValueError), (-1, ValueError), (True, TypeError), ("3", TypeError)]
)
def test_attempts_that_cant_be_are_refused_by_name(attempts: Any, error: type[Exception]) -> None:
    """A call would be dialled more often than was said, or fail after it was placed."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            client = Client()
            with pytest.raises(error, match=r"^attempts must be"):
                await gate.place(client.create, attempts=attempts)
            assert client.placed == []

    run(main())

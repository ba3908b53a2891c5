"""`open_gate` and `connect` for code that doesn't await."""

from __future__ import annotations

from asyncio import _get_running_loop
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from functools import wraps
from types import TracebackType
from typing import ParamSpec

from callguard import gate as awaiting
from callguard.errors import UsageError
from callguard.gate import Gate as AsyncGate
from callguard.sync.crossing import Crossing
from callguard.sync.entered import EnteredLater
from callguard.sync.gate import Gate
from callguard.sync.loop_thread import LoopThread, refuse_to_block
from callguard.sync.wording import sections

__all__ = ["connect", "open_gate"]

P = ParamSpec("P")


class Opening(EnteredLater, AbstractContextManager[Gate, None]):
    """The context manager that `open_gate` returns. Entering it, once, opens the gate."""

    __slots__ = ("_gate", "_opens", "_used")

    _how = "with callguard.sync.open_gate() as gate:"

    def __init__(self, opens: Callable[[], Gate]) -> None:
        self._opens = opens
        self._used = False
        self._gate: Gate | None = None

    def __enter__(self) -> Gate:
        if self._used:
            raise UsageError("one open_gate() opens one gate, and was entered before: call it anew")
        self._used = True
        self._gate = self._opens()
        return self._gate

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._gate is not None:
            self._gate.close()


def _in_a_thread(
    opens: Callable[P, AbstractAsyncContextManager[AsyncGate]],
) -> Callable[P, Opening]:
    @wraps(opens)
    def open_gate(*args: P.args, **options: P.kwargs) -> Opening:
        if options.get("session") is not None:
            raise UsageError(
                "a session belongs to the event loop in which it was made, and the gate has one of "
                "its own: leave session=... out"
            )
        opening = opens(*args, **options)
        return Opening(lambda: _opened(opening, options.get("ledger")))

    open_gate.__doc__ = f"""Open a gate for threads: ``with callguard.sync.open_gate() as gate:``.

    As `callguard.open_gate`, in a thread of its own with an event loop, in which `listener` and
    `refused` are called, and the methods of a `source` run. Leaving the block raises `GateClosed`
    in the threads that still wait, and ends that thread. An interruption of the opening, as by
    Ctrl-C, leaves nothing behind. A `RedisLedger` is for this gate alone, and is closed with it,
    because its connections belong to an event loop.

    {sections(opens)}"""
    return open_gate


open_gate = _in_a_thread(awaiting.open_gate)


def _connecting(opens: Callable[P, Opening]) -> Callable[P, Gate]:
    @wraps(opens)
    def connect(*args: P.args, **options: P.kwargs) -> Gate:
        return opens(*args, **options).__enter__()

    connect.__name__ = connect.__qualname__ = "connect"
    connect.__doc__ = """Open a gate without a block: ``gate = callguard.sync.connect()``.

    This is for frameworks with start and stop hooks. It takes the arguments of `open_gate`, and
    raises the same errors. The caller has to close the gate: ``gate.close()``.
    """
    return connect


connect = _connecting(open_gate)


def _opened(opening: AbstractAsyncContextManager[AsyncGate], ledger: object) -> Gate:
    """Open a gate in a new thread, which closes it and its ledger in the end."""
    if _get_running_loop() is not None:
        refuse_to_block()
    thread = LoopThread("callguard gate")
    ready = Crossing[AsyncGate]()

    async def life() -> None:
        async with AsyncExitStack() as stack:
            try:
                if isinstance(ledger, AbstractAsyncContextManager):
                    await stack.enter_async_context(ledger)
                gate = await stack.enter_async_context(opening)
            except BaseException as error:  # noqa: BLE001, the caller's thread raises it
                ready.fail(error)
                return
            ready.give(gate)
            await thread.loop.create_future()  # until `close` cancels this

    try:
        thread.start(life)
        return Gate(thread, ready.wait(), in_memory=ledger is None)
    except BaseException:
        thread.close()
        raise

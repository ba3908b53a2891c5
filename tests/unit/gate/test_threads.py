"""What a gate is told from other threads and loops, and what it answers there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

import callguard
from callguard import Gate, Permit, UsageError
from callguard.testing import ScriptedSource
from callguard.webhooks import receive
from tests.unit.gate.support import Crowd, opened, settle
from tests.unit.webhooks.support import KEY, body_of, now, signed

Word = Callable[[Gate, Permit], object]


def _ended_webhook(gate: Gate, _permit: Permit) -> None:
    body = body_of("call_ended")
    receive(gate, body, signed(body), api_key=KEY, now=now)


FREEING: dict[str, Word] = {
    "note_ended": lambda gate, _permit: gate.note_ended("call_1"),
    "a webhook": _ended_webhook,
    "permit.ended": lambda _gate, permit: permit.ended(),
    "permit.cancel": lambda _gate, permit: permit.cancel(),
}

ELSEWHERE: dict[str, Callable[[Callable[[], object]], object]] = {
    "a thread": lambda step: step(),
    "a thread with a loop": lambda step: asyncio.run(_in_a_loop(step)),
}


async def _in_a_loop(step: Callable[[], object]) -> None:
    step()


@asynccontextmanager
async def _watched(limit: int) -> AsyncIterator[Gate]:
    """A gate whose loop raises where another thread touches it, instead of sleeping on."""
    asyncio.get_running_loop().set_debug(True)
    async with opened(ScriptedSource(limit=limit), counted_after=1000.0) as gate:
        yield gate


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
@pytest.mark.parametrize("word", FREEING)
def test_what_frees_a_slot_may_be_said_in_any_thread(word: str, elsewhere: str) -> None:
    """The next caller would sleep on, or the queue would break, where a thread tells of an end."""

    async def main() -> None:
        async with _watched(limit=1) as gate:
            crowd = Crowd(gate)
            async with gate.admit() as permit:
                crowd.send("next")
                await settle()
                if word != "permit.cancel":
                    permit.placed("call_1")
                say = FREEING[word]
                await asyncio.to_thread(ELSEWHERE[elsewhere], lambda: say(gate, permit))
                await settle()
                assert crowd.arrived == ["next"]
                await crowd.disperse()

    asyncio.run(main())


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_what_a_dial_in_a_thread_says_is_said(elsewhere: str) -> None:
    """A blocking client that is told to say `placed` would change the ledger beside its loop."""

    async def main() -> None:
        async with _watched(limit=2) as gate:

            def dial(permit: Permit) -> None:
                permit.placed("call_1")
                permit.answered()

            async with gate.admit() as permit:
                await asyncio.to_thread(ELSEWHERE[elsewhere], lambda: dial(permit))
                assert permit.call_id == "call_1"
                usage = gate.statistics().usage
                assert (usage.dialling, usage.uncounted) == (0, 1)
            gate.note_ended("call_1")
            assert gate.statistics().usage.total == 0

    asyncio.run(main())


def test_an_answer_told_in_a_thread_counts() -> None:
    """A call that a thread knows to be answered would be held for as long as it may ring."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher, counted_after=1000.0, counter_lag=0.0, ttl=0.01) as gate:
            async with gate.admit() as permit:
                permit.placed("call_1")
            await asyncio.to_thread(gate.note_answered, "call_1")
            async with asyncio.timeout(60.0), gate.admit():
                pass

    asyncio.run(main())


def test_a_hundred_threads_at_once_lose_nothing() -> None:
    """Threads that tell at once would tear the ledger: a slot lost for good, or given twice."""

    async def main() -> None:
        async with _watched(limit=100) as gate:
            loop = asyncio.get_running_loop()
            going = 0

            async def call(number: int, threads: ThreadPoolExecutor) -> None:
                nonlocal going
                async with gate.admit() as permit:
                    going += 1
                    assert going <= 100
                    permit.placed(f"call_{number}")
                going -= 1
                await loop.run_in_executor(threads, gate.note_ended, f"call_{number}")

            with ThreadPoolExecutor(100) as threads:
                await asyncio.gather(*(call(number, threads) for number in range(1_000)))
            statistics = gate.statistics()
            assert (statistics.usage.total, statistics.waiting["default"]) == (0, 0)

    asyncio.run(main())


async def _enter(admission: Any) -> None:
    async with admission:
        pass


ASKED: dict[str, Callable[[Gate], Awaitable[object] | object]] = {
    "the short form": _enter,
    "admit": lambda gate: _enter(gate.admit()),
    "try_admit": lambda gate: _enter(gate.try_admit()),
    "place": lambda gate: gate.place(lambda _permit: asyncio.sleep(0)),
    "explain": lambda gate: gate.explain(),
    "statistics": lambda gate: gate.statistics(),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_is_asked_elsewhere_is_refused_with_advice(asked: str) -> None:
    """Another thread would change the ledger at the same time, or read half of a change."""

    def ask(gate: Gate) -> Any:
        return ASKED[asked](gate)

    async def in_another_loop(gate: Gate) -> None:
        answer = ask(gate)
        if asyncio.iscoroutine(answer):
            await answer

    def without_a_loop(gate: Gate) -> None:
        answer = ask(gate)
        if asyncio.iscoroutine(answer):
            answer.send(None)

    async def main() -> None:
        async with _watched(limit=5) as gate:
            for elsewhere in (lambda gate: asyncio.run(in_another_loop(gate)), without_a_loop):
                with pytest.raises(UsageError, match="run_coroutine_threadsafe"):
                    await asyncio.to_thread(elsewhere, gate)
            assert gate.statistics().admitted == 0
            async with gate.admit() as permit:
                permit.cancel()

    asyncio.run(main())


def test_a_coroutine_sent_to_the_gates_loop_enters_it() -> None:
    """The advice of the error would not work."""

    async def call(gate: Gate) -> str:
        async with gate.admit() as permit:
            return permit.id

    async def main() -> None:
        async with _watched(limit=5) as gate:
            loop = asyncio.get_running_loop()

            def thread() -> str:
                return asyncio.run_coroutine_threadsafe(call(gate), loop).result()

            assert (await asyncio.to_thread(thread)).startswith(gate.id)

    asyncio.run(main())


@pytest.mark.parametrize("word", [*FREEING, "note_answered", "placed", "answered", "statistics"])
def test_what_is_said_after_the_loop_has_ended_does_no_harm(word: str) -> None:
    """A delivery that comes while a program ends would fail in the web server's thread."""

    async def main() -> tuple[Gate, Permit]:
        async with _watched(limit=5) as gate:
            async with gate.admit() as permit:
                pass
            return gate, permit

    gate, permit = asyncio.run(main())
    words: dict[str, Word] = {
        **FREEING,
        "note_answered": lambda gate, _permit: gate.note_answered("call_1"),
        "placed": lambda _gate, permit: permit.placed("call_1"),
        "answered": lambda _gate, permit: permit.answered(),
        "statistics": lambda gate, _permit: gate.statistics(),
    }
    words[word](gate, permit)
    with ThreadPoolExecutor() as threads:
        threads.submit(words[word], gate, permit).result()
    assert gate.statistics().usage.uncounted == 1


def test_a_loop_that_is_run_bit_by_bit_is_at_home_in_between() -> None:
    """A program that runs its loop in steps could neither tell nor ask between two of them."""
    loop = asyncio.new_event_loop()
    try:
        opening = opened(ScriptedSource(limit=1), counted_after=1000.0)
        gate = loop.run_until_complete(opening.__aenter__())
        permit = loop.run_until_complete(gate.admit().__aenter__())
        permit.placed("call_1")
        gate.note_ended("call_1")
        assert gate.explain().admitted
        assert gate.statistics().usage.total == 0
        loop.run_until_complete(opening.__aexit__(None, None, None))
    finally:
        loop.close()


def test_a_gate_opened_without_a_loop_says_what_to_do() -> None:
    """Whoever opens a gate under another framework would get no advice."""
    opening = callguard.open_gate("key_x")
    with pytest.raises(UsageError, match=r"asyncio\.run"):
        opening.__aenter__().send(None)

"""The gate for code that doesn't await: many threads at once, and the same rules."""

from __future__ import annotations

import asyncio
import gc
import inspect
import random
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

import callguard
from callguard import sync
from callguard.events import Event, Placed, TimedOut
from callguard.simulator import serve
from callguard.sync import loop_thread
from callguard.webhooks import EvidenceGate
from tests.unit.sync.support import PATIENCE, Crowd, opened, until, waiting


class _Answer(Exception):
    def __init__(self, status: int) -> None:
        self.status_code = status
        self.request = SimpleNamespace(
            url="https://api.retellai.com/v2/create-phone-call", method="POST"
        )


@contextmanager
def _held_loop(gate: sync.Gate) -> Iterator[None]:
    """Let the gate's thread do nothing meanwhile."""
    go, held = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert go.wait(PATIENCE)

    gate._thread.hand_over(hold)
    assert held.wait(PATIENCE)
    try:
        yield
    finally:
        go.set()


HANDLERS: dict[str, Callable[[sync.Gate], object]] = {
    "admit": lambda gate: gate.__enter__(),
    "place": lambda gate: gate.place(lambda _: None),
    "statistics": lambda gate: gate.statistics(),
    "drain": lambda gate: gate.drain(),
    "close": lambda gate: gate.close(),
}
"""What a signal's handler may do that waits for the gate."""


def test_what_a_thread_reports_is_known_to_it_at_once() -> None:
    """A script would read of its own call what was true before it reported."""
    with opened(5) as gate:
        with gate.admit() as permit:
            assert (permit.state, permit.call_id, permit.tier) == ("dialling", None, "normal")
            assert permit.id == f"{gate.id}-{permit.number}"
            assert permit.lane.name == "default"
            assert permit.trunk is None
            assert not permit.lost
            permit.placed("call_1")
            assert (permit.state, permit.call_id) == ("placed", "call_1")
        assert gate.statistics().usage.uncounted == 1
        gate.note_answered("call_1")
        gate.note_ended("call_1")
        assert gate.statistics().usage.uncounted == 0
        with gate.admit() as permit:
            pass
        states = [permit.state]
        for report in (permit.answered, permit.ended):
            report()
            states.append(permit.state)
        assert states == ["left", "placed", "ended"]
        assert gate.explain().admitted
        assert gate.eta() is not None


def test_no_more_threads_are_inside_than_fit() -> None:
    """The limit would be exceeded by threads that enter at once, or a slot would be lost."""
    inside, most, lock = 0, 0, threading.Lock()

    def lead(number: int) -> None:
        nonlocal inside, most
        chance = random.Random(number)
        for _ in range(20):
            try:
                with gate.admit(timeout=None if chance.random() < 0.8 else 0.0) as permit:
                    with lock:
                        inside += 1
                        most = max(most, inside)
                    with lock:
                        inside -= 1
                    chance.choice([permit.cancel, permit.ended])()
            except callguard.AdmissionTimeout:
                pass

    with opened(3) as gate, ThreadPoolExecutor(32) as threads:
        list(threads.map(lead, range(32), timeout=PATIENCE))
        usage = gate.statistics().usage
        assert 0 < most <= 3
        assert (usage.dialling, usage.uncounted) == (0, 0)


def test_threads_are_admitted_in_the_order_of_their_arrival() -> None:
    """A thread would overtake another that has waited longer."""
    names = [f"thread {number}" for number in range(20)]
    with opened(1) as gate:
        crowd = Crowd(gate)
        with gate.admit() as permit:
            for name in names:
                crowd.send(name)
            permit.cancel()
        assert crowd.gone() == [None] * len(names)
        assert crowd.admitted == names


def test_who_joins_in_the_same_round_of_the_loop_is_in_the_queue_at_once() -> None:
    """A newcomer would take the slot that became free while an earlier thread was about to wait."""
    with opened(1) as gate, ThreadPoolExecutor() as threads:
        crowd, steps = Crowd(gate), gate._thread._steps
        with gate.admit() as permit:
            with _held_loop(gate):
                first = threads.submit(crowd._admit, "first", {})
                while not steps:
                    pass
                permit.cancel()
                second = threads.submit(crowd._admit, "second", {})
                while len(steps) < 3:
                    pass
            first.result(PATIENCE)
            second.result(PATIENCE)
        assert crowd.admitted == ["first", "second"]


@pytest.mark.parametrize("what", HANDLERS)
def test_a_handler_may_wait_for_the_gate_while_its_thread_wakes_the_loop(what: str) -> None:
    """A program would stand still for good: its handler waits for a loop that nobody wakes."""
    handled = threading.Event()

    def report() -> None:
        """Report, and have a signal's handler run just before the loop is woken."""
        loop = gate._thread.loop
        wake = loop.call_soon_threadsafe

        def interrupted(*args: Any, **options: Any) -> asyncio.Handle:
            loop.call_soon_threadsafe = wake  # type: ignore[method-assign]
            HANDLERS[what](gate)
            handled.set()
            return wake(*args, **options)

        loop.call_soon_threadsafe = interrupted  # type: ignore[method-assign, assignment]
        gate.note_ended("call_1")

    with opened() as gate:
        threading.Thread(target=report, daemon=True).start()
        is_handled = handled.wait(PATIENCE)
        gate._thread._wake()  # else a failure would last for ever
        assert is_handled


def test_who_will_not_wait_is_told_at_once() -> None:
    """A thread that asked not to wait would wait, or would not hear why it was denied."""
    with opened(1) as gate, gate.admit():
        with pytest.raises(callguard.NoHeadroom, match="1 of 1 in use"), gate.try_admit():
            pass
        with pytest.raises(callguard.AdmissionTimeout), gate.admit(timeout=0.001):
            pass
        assert gate.statistics().waiting == {"default": 0}


def test_a_listener_is_called_in_the_context_of_whoever_reports() -> None:
    """A span would be shown in another thread's trace: of the one that woke the gate's thread."""
    whose, heard = ContextVar("whose", default="nobody"), {}

    def listener(event: Event) -> None:
        if isinstance(event, Placed | TimedOut):
            heard[getattr(event, "call_id", "late")] = whose.get()

    def run_as(name: str, step: Callable[[], object]) -> None:
        context = copy_context()
        context.run(whose.set, name)
        context.run(step)

    with opened(3, listener=listener) as gate:
        permits = {name: gate.admit().__enter__() for name in ("first", "second")}
        run_as("third", gate.admit().__enter__)  # leaves no reference
        gc.collect()
        with _held_loop(gate):
            for name, permit in permits.items():
                run_as(name, partial(permit.placed, name))
        with pytest.raises(callguard.AdmissionTimeout):
            run_as("late", gate.admit(timeout=0.001).__enter__)
    assert heard == {"first": "first", "second": "second", "late": "late", None: "nobody"}


def test_closing_raises_in_the_threads_that_wait() -> None:
    """A thread would wait for ever at a gate that is gone."""
    with opened(1) as gate:
        crowd = Crowd(gate)
        with gate.admit():
            for name in "abc":
                crowd.send(name)
            gate.close()
        gate.close()
        assert [type(each) for each in crowd.gone()] == [callguard.GateClosed] * 3
        assert "callguard gate" not in {thread.name for thread in threading.enumerate()}
        for late in (gate.admit().__enter__, gate.explain, gate.pause, gate.drain):
            with pytest.raises(callguard.GateClosed):
                late()
        with pytest.raises(callguard.GateClosed):
            gate.place(lambda _: None)
        gate.note_ended("call_1")
        assert gate.statistics().usage.dialling == 0


def test_draining_admits_nobody_and_waits_for_live_calls() -> None:
    """A restart would dial on, or lose sight of a call that nobody counts yet."""
    with opened(1) as gate:
        crowd = Crowd(gate)
        with gate.admit() as permit:
            crowd.send("next")
            with pytest.raises(TimeoutError):
                gate.drain(timeout=0.001)
            assert [type(each) for each in crowd.gone()] == [callguard.GateDraining]
            permit.cancel()
            gate.drain()
        with pytest.raises(callguard.GateDraining), gate.admit():
            pass


def test_a_pause_holds_until_it_is_lifted() -> None:
    """An operator's pause would not reach the threads, or never end for them."""
    with opened(1) as gate:
        gate.pause(reason="carrier trouble")
        crowd = Crowd(gate)
        crowd.send("next")
        assert "carrier trouble" in str(gate.explain())
        assert gate.resume()
        assert crowd.gone() == [None]


def test_the_short_form_places_a_call() -> None:
    """A dial of which nothing more is said would not be counted, or twice."""
    with opened(5) as gate:
        with gate, gate:
            assert gate.statistics().usage.dialling == 2
        with pytest.raises(ValueError, match="mine"), gate:
            raise ValueError("mine")
        usage = gate.statistics().usage
        assert (usage.dialling, usage.uncounted) == (0, 3)
        with pytest.raises(callguard.UsageError, match="more often than entered"):
            gate.__exit__(None, None, None)


def test_the_end_of_a_dial_means_what_it_means_for_a_gate_that_is_awaited() -> None:
    """A refused call would hold its slot, or one that may be placed would give it back."""
    with opened(9) as gate:
        for status in (429, 404, 500):
            with pytest.raises(_Answer), gate.admit():
                raise _Answer(status)
        statistics = gate.statistics()
        assert (statistics.refused, statistics.usage.uncounted) == (1, 1)


def test_a_permit_is_for_one_call() -> None:
    """A slip with permits would be reported where nobody sees it, or not at all."""
    with opened(5) as gate:
        unused = gate.admit()
        assert (unused.state, repr(unused)) == ("new", "<Permit, not entered>")
        for early in (unused.placed, unused.cancel, lambda: unused.id, partial(bool, unused)):
            with pytest.raises(callguard.UsageError, match="before this is entered"):
                early()
        with gate.admit() as permit:
            permit.placed("call_1")
            permit.placed("call_1")
            with pytest.raises(callguard.UsageError, match="can't be 'call_2'"):
                permit.placed("call_2")
            assert permit.call_id == "call_1"
            permit.refused(429)
            permit.placed("call_2")
            assert (permit.call_id, permit.state) == ("call_2", "placed")
        with pytest.raises(callguard.UsageError, match="was entered before"):
            permit.__enter__()
        with pytest.raises(TypeError, match="can't be copied"):
            permit.__reduce_ex__(4)


def test_a_permit_that_is_dropped_in_its_block_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that wait already would starve until another one happens to use the gate."""
    monkeypatch.setattr(loop_thread, "_GONE_FOR", 0.01)
    source = callguard.FixedLimit(1, longest_call=0.01)
    with sync.open_gate(source=source, cps=None) as gate:
        crowd = Crowd(gate)
        dropped = gate.admit()
        dropped.__enter__()
        crowd.send("next")
        del dropped
        gc.collect()
        assert crowd.gone() == [None]
        assert crowd.admitted == ["next"]
        until(lambda: gate._thread._looking is None)  # a gate at rest doesn't wake its thread


def test_an_error_points_at_the_line_that_called() -> None:
    """A traceback would show the gate's thread, and not the line to mend."""
    with opened(1) as gate:
        with pytest.raises(callguard.UsageError) as raised, gate.admit("nonsense"):
            pass
        with pytest.raises(TypeError) as wrong:
            gate.explain(42)  # type: ignore[arg-type]
    for each in (raised, wrong):
        frames = traceback.extract_tb(each.value.__traceback__)
        assert frames[0].name == test_an_error_points_at_the_line_that_called.__name__


def test_a_key_that_is_refused_leaves_no_thread() -> None:
    """A program that tries again with another key would collect threads."""

    async def main() -> None:
        async with serve(limit=1) as server:
            opening = sync.open_gate("key_wrong", base_url=server.url)
            with pytest.raises(callguard.LimitsRejected):
                await asyncio.to_thread(opening.__enter__)

    asyncio.run(main())
    assert "callguard gate" not in {thread.name for thread in threading.enumerate()}


def test_the_signatures_are_those_of_the_gate_that_is_awaited() -> None:
    """A name or a default would differ between the two, and nobody would notice."""
    opens = inspect.signature(sync.open_gate).parameters
    assert opens == inspect.signature(callguard.open_gate).parameters
    assert inspect.signature(sync.connect).parameters == opens
    for ours, theirs in ((sync.Gate, callguard.Gate), (sync.Permit, callguard.Permit)):
        names = {name for name in vars(ours) if not name.startswith("_")}
        for name in names - {"close", "drain", "call_id", "of"}:
            mine, other = getattr(ours, name), getattr(theirs, name)
            if callable(mine):
                assert inspect.signature(mine) == inspect.signature(other), name
            text = inspect.getdoc(mine)
            assert text
            assert not re.search(r"\b(await|async|asyncio|Cancelling)\b", text), name


def test_the_attributes_are_those_of_the_gate_that_is_awaited() -> None:
    """A dashboard of a gate for threads could not be told apart by its workspace."""
    heard: list[Event] = []
    with opened(listener=heard.append) as gate:
        with gate.admit():
            pass
        assert {(event.gate, event.workspace) for event in heard} == {(gate.id, gate.workspace)}
    ours, theirs = (inspect.getdoc(each) or "" for each in (sync.Gate, callguard.Gate))
    assert ours.split("Attributes:")[1] == theirs.split("Attributes:")[1]


def test_a_docstring_that_is_put_together_reads_like_the_others() -> None:
    """Help would show the arguments of a method as a paragraph of its text."""
    for function in (sync.open_gate, sync.Gate.place, sync.Gate.admit):
        text = inspect.getdoc(function) or ""
        assert re.search(r"^Args:\n    \w+: ", text, re.MULTILINE), text
        assert re.search(r"^Raises:\n    \w+: ", text, re.MULTILINE), text


def test_a_gate_for_threads_takes_webhooks() -> None:
    """`callguard.webhooks.receive` would not take the gate."""

    def takes(gate: EvidenceGate) -> None:
        gate.note_ended("call_1")

    with opened() as gate:
        takes(gate)
        with pytest.raises(ValueError, match="call_id"):
            gate.note_ended("")
        with pytest.raises(TypeError):
            gate.note_answered("call_1", at="now")  # type: ignore[arg-type]


def test_a_lost_wait_says_where_the_caller_stands() -> None:
    """The queue would keep a thread that has left it."""
    with opened(1) as gate, gate.admit():
        crowd = Crowd(gate)
        crowd.send_for_a_moment("brief", timeout=0.005)
        assert [type(each) for each in crowd.gone()] == [callguard.AdmissionTimeout]
        waiting(gate, 0)

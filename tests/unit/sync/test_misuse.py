"""Where the gate for threads can't work: event loops, forks, and the gate's own thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

import callguard
from callguard import sync
from callguard.events import Event
from tests.support.scripts import output_of
from tests.unit.sync.support import Crowd, opened, until

WAITING: dict[str, Callable[[sync.Gate], object]] = {
    "open": lambda _: sync.open_gate(source=callguard.FixedLimit(1)).__enter__(),
    "connect": lambda _: sync.connect(source=callguard.FixedLimit(1)),
    "admit": lambda gate: gate.admit().__enter__(),
    "the short form": lambda gate: gate.__enter__(),
    "place": lambda gate: gate.place(lambda _: None),
    "explain": lambda gate: gate.explain(),
    "pause": lambda gate: gate.pause(),
    "drain": lambda gate: gate.drain(),
    "close": lambda gate: gate.close(),
}


@pytest.mark.parametrize("what", WAITING)
def test_an_event_loop_is_never_blocked(what: str) -> None:
    """A web server would stand still while one of its coroutines waits at the gate."""

    async def main() -> None:
        with pytest.raises(callguard.UsageError, match=r"callguard\.open_gate"):
            WAITING[what](gate)
        gate.note_ended("call_1")  # a webhook, which waits for nothing
        permit.placed("call_2")

    with opened(2) as gate:
        with gate.admit() as permit:
            asyncio.run(main())
        assert gate.statistics().usage.uncounted == 1


def test_a_listener_may_ask_and_report_but_not_wait() -> None:
    """A listener that waits would stop the thread that it waits for."""
    heard: list[object] = []

    def listener(event: Event) -> None:
        if type(event).__name__ != "Placed":
            return
        heard.append(gate.statistics().usage.uncounted)
        gate.note_ended("call_1")
        for what in ("admit", "place", "drain", "close"):
            try:
                WAITING[what](gate)
            except callguard.UsageError as error:
                heard.append("own thread" in str(error))

    with opened(2, listener=listener) as gate:
        with gate.admit() as permit:
            permit.placed("call_1")
        until(lambda: gate.statistics().usage.uncounted == 0)
    assert heard == [1, True, True, True, True]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_ends_the_program_ends_the_wait_of_all() -> None:
    """Threads would wait for ever for a gate whose thread has ended."""
    admitted: list[Event] = []

    def listener(event: Event) -> None:
        if type(event).__name__ == "Admitted":
            admitted.append(event)
            if len(admitted) > 1:
                raise SystemExit

    with opened(1, listener=listener) as gate:
        crowd = Crowd(gate)
        with gate.admit() as permit:
            for name in "abc":
                crowd.send(name)
            permit.cancel()
        assert all(isinstance(each, callguard.GateClosed | None) for each in crowd.gone())
        with pytest.raises(callguard.GateClosed), gate.admit():
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_goes_on_ending_the_program_leaves_nobody_waiting() -> None:
    """Threads would wait for ever where a listener breaks off the closing of the gate, too."""
    is_ending = False

    def listener(_: Event) -> None:
        if is_ending:
            raise SystemExit

    with opened(1, listener=listener) as gate:
        crowd = Crowd(gate)
        with gate.admit():
            for name in "abc":
                crowd.send(name)
            is_ending = True
            gate.note_ended("call_1")
            assert [type(each) for each in crowd.gone()] == [callguard.GateClosed] * 3
            is_ending = False  # it is this thread that tells the listener of the permit's end
        with pytest.raises(callguard.GateClosed), gate.admit():
            pass


def test_the_wrong_way_in_is_named() -> None:
    """Whoever knows the gate that is awaited would not learn what to write here."""

    async def main(manager: object) -> None:
        with pytest.raises(callguard.UsageError, match="entered by `with`"):
            async with manager:  # type: ignore[attr-defined]
                pass

    with opened() as gate:
        for each in (gate, gate.admit(), sync.open_gate(source=callguard.FixedLimit(1))):
            asyncio.run(main(each))
    opening = sync.open_gate(source=callguard.FixedLimit(1))
    with pytest.raises(AttributeError, match=r"with callguard\.sync\.open_gate\(\)"):
        opening.admit  # type: ignore[attr-defined]  # noqa: B018
    with opening, pytest.raises(callguard.UsageError, match="call it anew"):
        opening.__enter__()
    with pytest.raises(callguard.UsageError, match="leave session="):
        sync.open_gate("key", session=object())  # type: ignore[arg-type]


PROLOGUE = """
import os, threading, callguard, callguard.sync
def opened(limit):
    return callguard.sync.open_gate(source=callguard.FixedLimit(limit), cps=None)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_is_refused_and_the_parent_goes_on() -> None:
    """A worker would wait for ever for a thread that it doesn't have, or end its parent's calls."""
    said = output_of(
        PROLOGUE,
        """
        with opened(3) as gate:
            with gate.admit() as permit:
                child = os.fork()
                if not child:
                    uses = [gate.statistics, gate.explain, gate.drain, gate.admit().__enter__,
                            gate.__enter__, permit.placed, lambda: permit.state,
                            lambda: gate.place(lambda _: None), lambda: gate.note_ended("call_1")]
                    for use in uses:
                        try:
                            use()
                        except callguard.UsageError as error:
                            assert "before this process was forked" in str(error)
                        else:
                            raise SystemExit(3)
                    gate.close()
            if not child:
                del gate, permit
                with opened(1) as own, own.admit() as another:
                    another.cancel()
                    raise SystemExit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            with gate.admit() as permit:
                permit.cancel()
            print(gate.statistics().usage.uncounted)
        """,
    )
    assert said.split() == ["1"]


def test_a_program_ends_without_closing_its_gate() -> None:
    """A script that forgot to close the gate would hang at its end."""
    said = output_of(
        PROLOGUE,
        """
        gate = callguard.sync.connect(source=callguard.FixedLimit(1), cps=None)
        permit = gate.admit().__enter__()
        threading.Thread(target=lambda: gate.admit().__enter__(), daemon=True).start()
        while not gate.statistics().waiting["default"]:
            pass
        print("over")
        """,
    )
    assert said.split() == ["over"]

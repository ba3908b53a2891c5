"""Placing calls in a thread: the gate enters and retries, and the thread dials."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

import callguard
from callguard import sync
from tests.unit.sync.support import PATIENCE, opened, until, waiting


class _Answer(Exception):
    def __init__(self, status: int) -> None:
        self.status_code = status
        self.request = SimpleNamespace(
            url="https://api.retellai.com/v2/create-phone-call", method="POST"
        )


def test_a_dial_runs_in_the_thread_that_asked_for_it() -> None:
    """A blocking client would block the gate for everybody."""
    threads = []

    def dial(permit: sync.Permit) -> dict[str, str]:
        threads.append(threading.current_thread())
        assert permit.state == "dialling"
        return {"call_id": "call_1", "key": permit.id}

    with opened() as gate:
        answer = gate.place(dial, timeout=1.0, attempts=1)
        assert answer["key"].startswith(gate.id)
        assert threads == [threading.current_thread()]
        gate.note_ended("call_1")
        assert gate.statistics().usage.uncounted == 0


def test_a_refused_dial_is_made_again() -> None:
    """A lead would be lost at the first refusal."""
    answers: list[object] = [_Answer(429), {"call_id": "call_2"}]

    def dial(_: sync.Permit) -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with opened(refused=lambda error: isinstance(error, _Answer)) as gate:
        assert gate.place(dial) == {"call_id": "call_2"}
        assert (gate.statistics().refused, gate.statistics().usage.uncounted) == (1, 1)


def test_what_a_dial_raises_is_raised_with_its_own_lines() -> None:
    """The traceback of a failed dial would lack the dial."""

    def dial(_: sync.Permit) -> None:
        raise ValueError("mine")

    with opened() as gate:
        with pytest.raises(ValueError, match="mine") as raised:
            gate.place(dial)
        names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
        assert names[0] == test_what_a_dial_raises_is_raised_with_its_own_lines.__name__
        assert names[-1] == "dial"
        assert gate.statistics().usage.uncounted == 1, "it may be placed"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_dial_counts_as_placed(interruption: type[BaseException]) -> None:
    """Ctrl-C in a dial would free the slot of a call that may be going on, or keep it for ever."""

    def dial(_: sync.Permit) -> None:
        raise interruption

    with opened(2) as gate:
        with pytest.raises(interruption):
            gate.place(dial)
        until(lambda: gate.statistics().usage.dialling == 0)
        assert gate.statistics().usage.uncounted == 1


def test_a_dial_that_is_to_be_awaited_is_refused() -> None:
    """Nothing would be dialled, and the program would think that it was."""

    async def dial(_: sync.Permit) -> None:
        raise AssertionError

    with opened(3) as gate:
        with pytest.raises(TypeError, match="plain function"):
            gate.place(dial)  # type: ignore[unused-coroutine]
        with pytest.raises(TypeError, match="dial must be callable"):
            gate.place(None)  # type: ignore[arg-type]


def test_a_gate_that_is_closed_in_a_dial_takes_nothing_from_it() -> None:
    """The id of a call that was placed would be lost because the program ends."""
    begun, go = threading.Event(), threading.Event()

    def dial_of(answer: Callable[[], str]) -> Callable[[sync.Permit], str]:
        def dial(_: sync.Permit) -> str:
            begun.set()
            assert go.wait(PATIENCE)
            return answer()

        return dial

    for answer in (lambda: "call_1", lambda: str(1 / 0)):
        begun.clear()
        go.clear()
        with opened() as gate, ThreadPoolExecutor() as threads:
            placed = threads.submit(gate.place, dial_of(answer))
            assert begun.wait(PATIENCE)
            waits = threads.submit(gate.place, dial_of(answer))
            waiting(gate, 1)
            gate.close()
            go.set()
            assert isinstance(waits.exception(PATIENCE), callguard.GateClosed)
            error = placed.exception(PATIENCE)
            assert isinstance(error, ZeroDivisionError) if error else placed.result() == "call_1"

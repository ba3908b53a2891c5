"""Ctrl-C in real programs: whatever it interrupts, no slot and no place in the queue is lost."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PROLOGUE = """
import os, random, signal, threading
import callguard, callguard.sync

MAIN = threading.main_thread().ident

def opened(limit):
    return callguard.sync.open_gate(source=callguard.FixedLimit(limit), cps=None)

def interrupt():
    signal.pthread_kill(MAIN, signal.SIGINT)

def until(is_so):
    never = threading.Event()
    while not is_so():
        never.wait(0.0005)

def waits(gate):
    return gate.statistics().waiting["default"]

def beside(step):
    thread = threading.Thread(target=step)
    thread.start()
    return thread

def interrupted(step, thread):
    try:
        step()
        until(lambda: False)
    except KeyboardInterrupt:
        thread.join()
    else:
        raise SystemExit("not interrupted")

def nothing_is_left(gate):
    usage = gate.statistics().usage
    assert (usage.dialling, waits(gate)) == (0, 0), (usage, waits(gate))
"""

WAITING = """
def in_the_queue():
    until(lambda: waits(gate))
    interrupt()

def enter():
    with gate.admit():
        raise SystemExit("admitted")

with opened(1) as gate:
    with gate.admit() as held:
        for number in range(200):
            way = [enter, gate.__enter__, lambda: gate.place(print)][number % 3]
            interrupted(way, beside(in_the_queue))
            until(lambda: not waits(gate))
        held.cancel()
    with gate.admit(timeout=30.0) as permit:
        permit.cancel()
    nothing_is_left(gate)
"""

GRANTED = """
def at_that_instant():
    until(lambda: waits(gate))
    for step in (held.cancel, interrupt)[:: 1 if number % 2 else -1]:
        step()

def enter():
    with gate.admit() as permit:
        permit.cancel()

with opened(1) as gate:
    for number in range(200):
        with gate.admit(timeout=30.0) as held:
            interrupted(enter, beside(at_that_instant))
        until(lambda: not gate.statistics().usage.dialling)
    nothing_is_left(gate)
"""

AT_ANY_MOMENT = """
chance = random.Random(1)
interruptions = 0

def again():
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, 0.002))

def alarm(_, frame):
    again()
    while frame is not None and frame.f_code is not enter_again_and_again.__code__:
        frame = frame.f_back
    if frame is not None:
        raise KeyboardInterrupt

def enter_again_and_again():
    while True:
        with gate.admit() as permit:
            pass
        del permit

signal.signal(signal.SIGALRM, alarm)
with opened(1_000_000) as gate:
    again()
    while interruptions < 1000:
        try:
            enter_again_and_again()
        except KeyboardInterrupt:
            interruptions += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    until(lambda: not gate.statistics().usage.dialling)
    nothing_is_left(gate)
"""

DRAINING = """
def drains():
    until(lambda: "draining" in repr(gate))
    interrupt()

with opened(1) as gate:
    with gate.admit():
        interrupted(gate.drain, beside(drains))
    try:
        with gate.admit():
            raise SystemExit("admitted")
    except callguard.GateDraining:
        pass
"""

HANDLING = """
def end():
    until(lambda: waits(gate))
    os.kill(os.getpid(), signal.SIGTERM)
    until(lambda: ended)
    held.cancel()

def handle(*_):
    ended.append(way)
    getattr(gate, way)()

signal.signal(signal.SIGTERM, handle)
for way in ("close", "drain"):
    ended = []
    with opened(1) as gate:
        with gate.admit() as held:
            thread = beside(end)
            try:
                with gate.admit():
                    raise SystemExit("admitted")
            except callguard.GateClosed:
                thread.join()
"""

ASKING = """
chance = random.Random(1)
handled = []

def again():
    signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, 0.002))

def handle(*_):
    handled.append(None)
    gate.statistics()
    again()

signal.signal(signal.SIGALRM, handle)
with opened(1) as gate:
    again()
    while len(handled) < 3000:
        gate.note_ended("call_1")
        gate.statistics()
    signal.setitimer(signal.ITIMER_REAL, 0)
"""

OPENING = """
class Silent:
    async def get(self, *, newer_than=None):
        import asyncio
        interrupt()
        await asyncio.sleep(3600.0)

before = threading.active_count()
for _ in range(20):
    try:
        with callguard.sync.open_gate(source=Silent()):
            raise SystemExit("open")
    except KeyboardInterrupt:
        pass
assert threading.active_count() == before
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize(
    "program",
    [
        pytest.param(WAITING, id="while it waits"),
        pytest.param(GRANTED, id="when its slot is granted"),
        pytest.param(AT_ANY_MOMENT, id="at any moment"),
        pytest.param(DRAINING, id="in a drain"),
        pytest.param(HANDLING, id="where a handler ends the gate"),
        pytest.param(ASKING, id="where a handler asks the gate"),
        pytest.param(OPENING, id="as the gate opens"),
    ],
)
def test_ctrl_c_leaves_nothing_behind(program: str) -> None:
    """Each Ctrl-C at a prompt, or time-out of a task, would cost a slot for as long as it runs."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROLOGUE + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr

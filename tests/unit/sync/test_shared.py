"""Threads of several gates on one ledger, whose slots a real server grants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

import callguard
from callguard import sync
from tests.unit.sync.support import PATIENCE, Crowd, until, waiting

pytestmark = [pytest.mark.usefixtures("no_grace")]


@pytest.fixture
def gates(redis_url: str, workspace_key: str) -> Iterator[list[sync.Gate]]:
    """Two gates on a ledger of two slots."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                sync.open_gate(
                    source=callguard.FixedLimit(2, longest_call=0.001),
                    ledger=callguard.RedisLedger.from_url(redis_url, name=workspace_key),
                    cps=None,
                )
            )
            for _ in range(2)
        ]


def test_threads_of_two_gates_share_one_limit(gates: list[sync.Gate]) -> None:
    """Two processes of threads would exceed the limit together, or wait for each other."""
    inside, most, lock = 0, 0, threading.Lock()

    def lead(number: int) -> str:
        nonlocal inside, most
        with gates[number % 2].admit() as permit:
            with lock:
                inside += 1
                most = max(most, inside)
            with lock:
                inside -= 1
            permit.cancel()
            return permit.id

    with ThreadPoolExecutor(16) as threads:
        ids = list(threads.map(lead, range(40), timeout=PATIENCE))
    assert len(set(ids)) == 40
    assert 0 < most <= 2


def test_who_waits_for_a_server_is_told_what_others_are_told(gates: list[sync.Gate]) -> None:
    """On a shared ledger a thread would wait for ever, or hear of the gate's own mistakes."""
    one, other = gates
    with one.admit() as first, other.try_admit() as second:
        with pytest.raises(callguard.NoHeadroom), one.try_admit():
            pass
        with pytest.raises(callguard.AdmissionTimeout), other.admit(timeout=0.01):
            pass
        crowd = Crowd(one)
        crowd.send("next")
        second.cancel()
        assert crowd.gone() == [None]
        other.pause(reason="a pause for all")
        until(lambda: "paused" in str(one.explain()))
        crowd.send("too late")
        one.close()
        assert isinstance(crowd.gone()[-1], callguard.GateClosed)
        waiting(other, 0)
        assert other.resume()
        first.cancel()

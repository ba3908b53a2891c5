"""The second request for a late reading, at gates on one ledger, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from callguard import Gate, RedisLedger, open_gate
from callguard.gate.opening import Opening
from tests.support.bent_client import Line
from tests.support.fake_network import FakeSession, Handler, Reply, after, hang, in_turn
from tests.support.fake_network import limits_reply as limits
from tests.support.virtual_time import run
from tests.unit.ledger.bent_clock import BentLedger

MIN_INTERVAL, SLACK = 0.4, 0.001

PROMPT = after(0.25, limits(limit=0))
"""An answer after 0.25 s, so that the next one is late after 0.75 s."""

UNAVAILABLE = Reply(503)


class Provider:
    """Answers all gates in turn.

    Attributes:
        began: when each request began, and at which gate.
        most: requests under way at once, at most.
    """

    def __init__(self, *outcomes: Handler) -> None:
        self._handler = in_turn(*outcomes)
        self.began: list[tuple[float, str]] = []
        self.under_way = self.most = 0
        self.second_began = asyncio.Event()

    def session(self, name: str) -> FakeSession:
        async def answer(method: str, url: str, headers: Mapping[str, str]) -> Reply:
            self.began.append((asyncio.get_running_loop().time(), name))
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            if self.under_way == 2:
                self.second_began.set()
            try:
                outcome = self._handler(method, url, headers)
                return outcome if isinstance(outcome, Reply) else await outcome
            finally:
                self.under_way -= 1

        return FakeSession(answer)


@pytest.mark.parametrize(
    "first",
    [after(0.8, limits(limit=0)), after(0.8, UNAVAILABLE), hang],
    ids=["answers late", "fails late", "hangs"],
)
@pytest.mark.parametrize("second", [PROMPT, hang], ids=["answers", "hangs, too"])
def test_other_gates_keep_their_distance_from_a_second_request(
    ledger: BentLedger, workspace_key: str, first: Handler, second: Handler
) -> None:
    """The provider would get more requests by many gates than by one, just when it is slow."""
    provider = Provider(PROMPT, PROMPT, first, second, PROMPT)
    lines: list[Line] = []

    def opened(name: str) -> Opening:
        line: Any = Line(ledger, lines)
        return open_gate(
            "key",
            session=provider.session(name),
            ledger=RedisLedger(line, name=workspace_key),
            ttl=0.5,
            min_interval=MIN_INTERVAL,
            track=None,
        )

    async def main() -> None:
        async with opened("one") as one, opened("other") as other:
            waiting = waits_at(one)
            await provider.second_began.wait()
            waiting.cancel()
            waiting = waits_at(other)
            for _ in range(800):
                other.note_ended("call_1")  # so that it wants a reading soon
                await asyncio.sleep(0.01)
            waiting.cancel()
        times, names = zip(*provider.began, strict=True)
        assert names[:6] == ("one", "one", "one", "one", "other", "other")
        assert times[3] == pytest.approx(times[2] + 0.75)
        assert min(later - sooner for sooner, later in pairwise(times)) > MIN_INTERVAL - SLACK
        assert provider.most == 2

    run(main())


def waits_at(gate: Gate) -> asyncio.Task[None]:
    """Somebody who waits for a slot, in vain."""

    async def wait() -> None:
        async with gate.admit():
            raise AssertionError("the limit is 0")

    return asyncio.create_task(wait())

"""Code that isn't ours, whatever it raises: listeners, judges, fetchers, middlewares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import pytest

from callguard import LimitsUnavailable, Snapshot, open_gate
from callguard.events import Event
from callguard.fetcher import CallState
from callguard.testing import ScriptedSource
from tests.support.fake_network import FakeSession, Handler, Reply, limits_reply
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd, Refusal, opened, settle


class Odd(BaseException):
    """What no ``except Exception`` catches."""


ODD = [ZeroDivisionError, asyncio.CancelledError, GeneratorExit, Odd]
ENDINGS = [KeyboardInterrupt, SystemExit]

odd = pytest.mark.parametrize("kind", ODD)
odd_in_coroutines = pytest.mark.parametrize(
    "kind", [kind for kind in ODD if kind is not GeneratorExit]
)
"""GeneratorExit ends any coroutine."""


@odd
def test_a_listener_that_raises_on_every_event_breaks_nothing(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """`future.result()` in somebody's metrics would end the readings, or lose a caller."""

    def faulty(event: Event) -> None:
        raise kind

    async def main() -> None:
        fetcher = ScriptedSource(limit=1)
        async with opened(fetcher, listener=faulty) as gate:
            crowd = Crowd(gate)
            crowd.send("first", "second")
            crowd.send("impatient", timeout=0.5)
            await asyncio.sleep(1.0)
            fetcher.error = LimitsUnavailable("away")
            await asyncio.sleep(3.0)
            fetcher.answer(limit=2)
            await asyncio.sleep(3.0)
            assert crowd.arrived == ["first", "second"]
            crowd.dismiss(["first"])
            with pytest.raises(Refusal):
                async with gate.admit():
                    raise Refusal
            crowd.send("waits as the gate closes")
            statistics = gate.statistics()
            assert (statistics.timed_out, statistics.refused) == (1, 1)
            await settle()
        await crowd.disperse()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with caplog.at_level(logging.ERROR, logger="callguard"):
        run(main())
    told = {record.getMessage().splitlines()[0].rpartition(" ")[2] for record in caplog.records}
    assert told >= {"Admitted", "Queued", "TimedOut", "Refused", "ReadingTaken", "ReadingFailed"}
    assert told >= {"OutageBegan", "OutageEnded", "LimitsChanged"}
    assert all("faulty" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("kind", ENDINGS)
def test_a_listener_can_end_the_process(kind: type[BaseException]) -> None:
    """Ctrl-C that comes while a listener runs would be swallowed."""

    def ending(event: Event) -> None:
        raise kind

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), listener=ending):
            pass

    with pytest.raises(kind):
        run(main())


@odd
def test_a_judge_that_raises_leaves_the_callers_error_and_the_slot(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in somebody's `refused=` would hide why the dial failed, or lose its slot."""

    def faulty(error: Exception) -> bool:
        raise kind

    async def main() -> None:
        async with opened(ScriptedSource(limit=5), refused=faulty) as gate:
            with pytest.raises(LookupError):
                async with gate.admit():
                    raise LookupError
            with pytest.raises(LookupError):
                await gate.place(_fail)
            assert gate.statistics().usage.uncounted == 2

    with caplog.at_level(logging.ERROR, logger="callguard"):
        run(main())
    assert "faulty" in caplog.text


@odd_in_coroutines
def test_a_fetcher_that_raises_is_an_outage(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """A fault in somebody's fetcher would end the readings for good, or fail all who wait."""

    class Faulty(ScriptedSource):
        fails = False

        async def get(self, *, newer_than: float | None = None) -> Snapshot:
            if self.fails:
                raise kind
            return await super().get(newer_than=newer_than)

    async def main() -> None:
        fetcher = Faulty(limit=0)
        async with opened(fetcher) as gate:
            crowd = Crowd(gate)
            crowd.send("waits")
            fetcher.fails = True
            await asyncio.sleep(3.0)
            assert gate.statistics().readings["unavailable"] >= 2
            fetcher.fails = False
            fetcher.answer(limit=1)
            await asyncio.sleep(2.0)
            assert crowd.arrived == ["waits"]
            await crowd.disperse()

    with caplog.at_level(logging.ERROR, logger="callguard"):
        run(main())
    assert "Faulty" in caplog.text


@odd_in_coroutines
def test_a_call_that_can_not_be_asked_about_costs_only_its_evidence(
    kind: type[BaseException],
) -> None:
    """One odd fault would leave the rest of its round behind, and begin a second one beside it."""
    asked: list[str] = []
    asking = most = 0

    async def ask(call_id: str) -> CallState:
        nonlocal asking, most
        asked.append(call_id)
        if call_id == "bad":
            raise kind
        asking += 1
        most = max(most, asking)
        await asyncio.sleep(1.5)
        asking -= 1
        return CallState(answered=True, over=True, refused=False)

    async def main() -> None:
        async with opened(ScriptedSource(limit=12), ask=ask, counted_after=1000.0) as gate:
            for call_id in ("bad", *(f"call_{number}" for number in range(11))):
                async with gate.admit() as permit:
                    permit.placed(call_id)
            crowd = Crowd(gate)
            crowd.send(*(f"waits {number}" for number in range(12)))
            await asyncio.sleep(120.0)
            assert len(crowd.arrived) == 11
            assert most == 1
            assert len(set(asked)) == 12
            for permit in crowd.permits.values():
                permit.placed("bad")
            await asyncio.sleep(2.0)
            await crowd.disperse()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_a_middleware_that_awaits_what_is_cancelled_is_an_outage() -> None:
    """Its CancelledError would be taken for the closing of the gate, and fail all who wait."""

    async def main() -> None:
        fails = False

        async def handle(_method: str, _url: str, _headers: Mapping[str, str]) -> Reply:
            if fails:
                never = asyncio.get_running_loop().create_future()
                never.cancel()
                await never
            return limits_reply(limit=0 if not fails else 1)

        handler: Handler = handle
        async with open_gate("key_x", session=FakeSession(handler)) as gate:
            crowd = Crowd(gate)
            crowd.send("waits")
            fails = True
            await asyncio.sleep(30.0)
            assert gate.statistics().readings["unavailable"] >= 1
            assert not crowd.task("waits").done()
            await crowd.disperse()

    run(main())


async def _fail(_permit: object) -> None:
    raise LookupError

"""`gate.place`: what is dialled again, where in the queue, and under which permit."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import tenacity

from callguard import AdmissionTimeout, Gate, Lane, Permit, QueueFull
from callguard.gate.refusal import Judge, is_transient
from callguard.testing import ScriptedSource
from tests.support.client_errors import error_of
from tests.support.retell_sdk import exceptions as sdk
from tests.support.virtual_time import run
from tests.unit.gate.support import PROVIDER, Refusal, opened

REQUEST = httpx.Request("POST", f"{PROVIDER}/v2/create-phone-call")


class Dial:
    """Fails as it is told, then places."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.permits: list[str] = []
        self.at: list[float] = []

    async def __call__(self, permit: Permit) -> dict[str, str]:
        self.permits.append(permit.id)
        self.at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.1)
        if self._failures:
            raise self._failures.pop(0)
        return {"call_id": "call_1"}


@pytest.mark.parametrize(
    "result", [{"call_id": "call_1"}, SimpleNamespace(call_id="call_1"), {"id": 1}, None]
)
def test_the_result_comes_back_and_its_call_id_is_bound(result: object) -> None:
    """A call would be placed without a name for the evidence to come."""

    async def dial(permit: Permit) -> object:
        return result

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            assert await gate.place(dial) is result
            bound = list(gate._parts.ledger.uncounted_calls())
            assert bound == (["call_1"] if "call_1" in str(result) else [])
            assert gate.statistics().usage.uncounted == 1

    run(main())


def test_a_refused_call_is_dialled_again_on_a_later_reading() -> None:
    """A refused lead would be lost, or dialled again on the reading that was wrong."""

    async def main() -> None:
        fetcher = ScriptedSource(limit=5)
        async with opened(fetcher) as gate:
            dial = Dial(Refusal(), Refusal())
            assert await gate.place(dial) == {"call_id": "call_1"}
            assert len(set(dial.permits)) == 3
            assert gate.statistics().refused == 2
            assert gate.statistics().usage.total == 1
            for again in dial.at[1:]:
                assert any(again - 0.3 < began <= again for began in fetcher.asked)

    run(main())


def test_a_refused_call_goes_back_to_its_old_place_in_the_queue() -> None:
    """A refused lead would go behind everyone that came later."""
    order: list[str] = []

    async def lead(gate: Gate, name: str, refusals: int) -> None:
        left = refusals

        async def dial(permit: Permit) -> None:
            nonlocal left
            await asyncio.sleep(0.1)
            if left:
                left -= 1
                raise Refusal
            order.append(name)

        await gate.place(dial)

    async def main() -> None:
        async with opened(ScriptedSource(limit=2), counted_after=0.5) as gate:
            names = [("a", 2), ("b", 1), ("c", 0), ("d", 0), ("e", 0), ("f", 0)]
            await asyncio.gather(*(lead(gate, name, refusals) for name, refusals in names))

    run(main())
    assert order == ["b", "a", "c", "d", "e", "f"]


@pytest.mark.parametrize("attempts", [3, tenacity.stop_after_attempt(3)])
def test_a_call_is_dialled_as_often_as_attempts_says(
    attempts: int | tenacity.stop.stop_base,
) -> None:
    """A lead that is always refused would be dialled for ever, or given up too early."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            dial = Dial(*(Refusal() for _ in range(9)))
            with pytest.raises(Refusal):
                await gate.place(dial, attempts=attempts, give_up_after=0.0)
            assert len(dial.permits) == 3

    run(main())


def test_a_call_is_not_given_up_in_the_seconds_in_which_its_attempts_are_used_up() -> None:
    """Leads would be lost in a few seconds in which the provider takes none."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            dial = Dial(*(Refusal() for _ in range(500)))
            with pytest.raises(Refusal):
                await gate.place(dial, attempts=3, give_up_after=20.0)
            assert len(dial.at) > 3
            assert dial.at[-2] - dial.at[0] < 20.0 <= dial.at[-1] - dial.at[0]

    run(main())


def test_one_attempt_is_one() -> None:
    """Who wants no second dial would get dozens."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            dial = Dial(Refusal())
            with pytest.raises(Refusal):
                await gate.place(dial, attempts=1)

    run(main())


@pytest.mark.parametrize(("rate", "refusals"), [(1.0, 0), (None, None)])
def test_no_lead_is_lost_where_many_come_at_once_and_the_provider_takes_one_a_second(
    rate: float | None, refusals: int | None
) -> None:
    """The first minute of every campaign would lose its leads to the provider's rate."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        source, latest, placed = ScriptedSource(limit=20), -1.0, list[float]()

        async def dial(permit: Permit) -> dict[str, str]:
            nonlocal latest
            if loop.time() - latest < 1.0:
                raise Refusal
            latest = loop.time()
            placed.append(latest)
            loop.call_later(30.0, permit.ended)
            return {"call_id": f"call_{len(placed)}"}

        async with opened(source, counted_after=60.0, cps=rate) as gate:
            await asyncio.gather(*(gate.place(dial) for _ in range(30)))
            assert len(placed) == 30
            assert refusals in {None, gate.statistics().refused}

    run(main())


def test_the_timeout_is_for_all_the_waiting_together() -> None:
    """A lead that is refused again and again would wait for ever."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5), ttl=2.0, min_interval=2.0) as gate:
            dial = Dial(*(Refusal() for _ in range(9)))
            with pytest.raises(AdmissionTimeout):
                await gate.place(dial, timeout=5.0)
            dialling = 0.1 * len(dial.permits)
            assert asyncio.get_running_loop().time() - dialling == pytest.approx(5.0)

    run(main())


def test_a_dial_that_takes_long_is_no_waiting() -> None:
    """A refusal that came slowly would cost a lead the time that it wanted to wait in the queue."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            refusals = iter([Refusal()])

            async def dial(permit: Permit) -> str:
                await asyncio.sleep(60.0)
                for refusal in refusals:
                    raise refusal
                return permit.id

            assert await gate.place(dial, timeout=5.0)

    run(main())


def test_a_lanes_max_wait_is_for_all_the_waiting_together() -> None:
    """A lead that is refused again and again would wait longer than its lane lets it."""

    async def main() -> None:
        lane = Lane("bulk", max_wait=5.0)
        async with opened(ScriptedSource(limit=5), lane, ttl=2.0, min_interval=2.0) as gate:
            dial = Dial(*(Refusal() for _ in range(9)))
            with pytest.raises(AdmissionTimeout):
                await gate.place(dial, lane="bulk")
            dialling = 0.1 * len(dial.permits)
            assert asyncio.get_running_loop().time() - dialling == pytest.approx(5.0)

    run(main())


def test_a_refused_call_goes_back_into_a_queue_that_is_full() -> None:
    """A refused lead would be lost to one that came later."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), Lane("bulk", max_waiting=1)) as gate:
            dial, later = Dial(Refusal()), Dial()
            first = asyncio.create_task(gate.place(dial, lane="bulk"))
            await asyncio.sleep(0.05)
            second = asyncio.create_task(gate.place(later, lane="bulk"))
            await asyncio.sleep(0.01)
            with pytest.raises(QueueFull):
                await gate.place(Dial(), lane="bulk")
            assert await first == {"call_id": "call_1"}
            assert await second == {"call_id": "call_1"}
            assert dial.at[-1] < later.at[0]

    run(main())


@pytest.mark.parametrize("error", [ValueError("number"), TimeoutError(), ConnectionResetError()])
def test_any_other_error_passes_through_and_is_not_dialled_again(error: Exception) -> None:
    """A call that may have been placed would be placed twice."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            dial = Dial(error)
            with pytest.raises(type(error)) as caught:
                await gate.place(dial)
            assert caught.value is error
            assert len(dial.permits) == 1
            assert gate.statistics().usage.uncounted == 1

    run(main())


def test_an_idempotent_dial_is_repeated_under_the_same_permit() -> None:
    """A second permit would be a second key, and a second call."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            dial = Dial(TimeoutError(), ConnectionResetError())
            await gate.place(dial, idempotent=True)
            assert len(dial.permits) == 3
            assert len(set(dial.permits)) == 1
            assert gate.statistics().usage.uncounted == 1

    run(main())


def test_a_503_is_what_refused_says() -> None:
    """A provider that refuses with a 503 would have its calls dialled again without a slot."""
    error = httpx.HTTPStatusError("", request=REQUEST, response=httpx.Response(503))

    async def main() -> None:
        async with opened(
            ScriptedSource(limit=5), refused=lambda refusal: refusal is error
        ) as gate:
            dial = Dial(error)
            await gate.place(dial, idempotent=True)
            assert len(set(dial.permits)) == 2

    run(main())


def test_cancelling_counts_the_call_as_placed_and_leaves_nothing_waiting() -> None:
    """A slot would be given back though its call may be going on."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1)) as gate:
            dialling = asyncio.create_task(gate.place(Dial()))
            waiting = asyncio.create_task(gate.place(Dial()))
            await asyncio.sleep(0.05)
            dialling.cancel()
            waiting.cancel()
            await asyncio.gather(dialling, waiting, return_exceptions=True)
            statistics = gate.statistics()
            assert (statistics.usage.uncounted, statistics.waiting["default"]) == (1, 0)

    run(main())


@pytest.mark.parametrize("ends", ["cancelled", "timed out"])
def test_cancelling_after_a_refusal_dials_no_more(ends: str) -> None:
    """A call would be placed by a task that was told to stop, and its time-out would not work."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            dials = 0

            async def dial(permit: Permit) -> None:
                nonlocal dials
                dials += 1
                permit.refused()
                await asyncio.sleep(1.0)

            if ends == "cancelled":
                placing = asyncio.create_task(gate.place(dial))
                await asyncio.sleep(0.5)
                placing.cancel()
                await asyncio.wait([placing])
                assert placing.cancelled()
            else:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await gate.place(dial)
            assert dials == 1
            usage = gate.statistics().usage
            assert (usage.dialling, usage.uncounted) == (0, 0)

    run(main())


def _status_error(cls: Any, status: int) -> Any:
    return cls("", response=httpx.Response(status, request=REQUEST), body=None)


@pytest.mark.parametrize(
    ("error", "outcome", "transient"),
    [
        (_status_error(sdk.RateLimitError, 429), "refused", False),
        (_status_error(sdk.InternalServerError, 503), "unknown", True),
        (_status_error(sdk.BadRequestError, 400), "not placed", False),
        (_status_error(sdk.APIStatusError, 402), "not placed", False),
        (_status_error(sdk.ConflictError, 409), "unknown", True),
        (error_of("requests", 400, str(REQUEST.url)), "not placed", False),
        (sdk.APIConnectionError(request=REQUEST), "unknown", True),
        (sdk.APITimeoutError(request=REQUEST), "unknown", True),
        (httpx.ReadTimeout(""), "unknown", True),
        (aiohttp.ServerDisconnectedError(), "unknown", True),
        (aiohttp.ClientPayloadError(), "unknown", True),
        (requests.ConnectionError(), "unknown", True),
        (requests.ReadTimeout(), "unknown", True),
        (TimeoutError(), "unknown", True),
        (KeyError("call_id"), "unknown", False),
    ],
)
def test_the_errors_of_the_clients_in_use_are_recognised(
    error: Exception, outcome: str, transient: bool
) -> None:
    """A client's error would be taken for what it is not, and a lead lost or called twice."""
    assert Judge(PROVIDER).judge(error).outcome == outcome
    assert is_transient(error) is transient

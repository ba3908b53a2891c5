"""Definite answers: a dial that surely placed nothing holds no slot, and is not repeated."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import requests

from callguard import Permit
from callguard.events import Event, Refused
from callguard.gate.refusal import Judge
from callguard.testing import ScriptedSource
from tests.support.client_errors import CLIENTS, error_of
from tests.support.retell_sdk import exceptions as sdk
from tests.support.virtual_time import run
from tests.unit.gate.support import PROVIDER, opened

DIAL = f"{PROVIDER}/v2/create-phone-call"

NOT_PLACED = (400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 451)
UNKNOWN = (300, 302, 408, 409, 425, 500, 502, 503, 504, 529)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", NOT_PLACED)
def test_a_definite_answer_gives_the_slot_back_at_once(status: int, client: str) -> None:
    """A bad number would hold a slot for as long as a call might ring."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            error = error_of(client, status, DIAL)
            with pytest.raises(type(error)) as caught:
                async with gate.admit():
                    raise error
            assert caught.value is error
            statistics = gate.statistics()
            assert (statistics.usage.total, statistics.refused) == (0, 0)
            assert gate.explain().admitted

    run(main())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", UNKNOWN)
def test_an_unknown_outcome_counts_as_placed(status: int, client: str) -> None:
    """A call that the provider had accepted before it failed would not be counted."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            error = error_of(client, status, DIAL)
            with pytest.raises(type(error)):
                async with gate.admit():
                    raise error
            assert gate.statistics().usage.uncounted == 1

    run(main())


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", NOT_PLACED)
def test_a_definite_answer_is_not_dialled_again(status: int, client: str, idempotent: bool) -> None:
    """A number that can't be called would be dialled ten times."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            error, keys = error_of(client, status, DIAL), []

            async def dial(permit: Permit) -> None:
                keys.append(permit.id)
                raise error

            with pytest.raises(type(error)) as caught:
                await gate.place(dial, idempotent=idempotent)
            assert caught.value is error
            assert len(keys) == 1
            assert gate.statistics().usage.total == 0

    run(main())


def test_bad_numbers_take_no_longer_than_their_dials() -> None:
    """A list with some bad numbers would close the gate for most of the time."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=1), counted_after=32.0, counter_lag=2.0) as gate:

            async def dial(permit: Permit) -> None:
                await asyncio.sleep(0.1)
                raise error_of("httpx", 400, DIAL)

            calls = (gate.place(dial) for _ in range(50))
            leads = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(lead, httpx.HTTPStatusError) for lead in leads)
            assert asyncio.get_running_loop().time() == pytest.approx(50 * 0.1)

    run(main())


def test_a_definite_answer_after_an_unknown_one_leaves_the_call_placed() -> None:
    """The first attempt's call would be going on, and its slot somebody else's."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            answers = iter([500, 422])

            async def dial(permit: Permit) -> None:
                raise error_of("httpx", next(answers), DIAL)

            with pytest.raises(
                httpx.HTTPStatusError, check=lambda error: error.response.status_code == 422
            ):
                await gate.place(dial, idempotent=True)
            assert gate.statistics().usage.uncounted == 1

    run(main())


@pytest.mark.parametrize("status", [400, 422, 429])
def test_no_answer_takes_back_that_a_call_was_placed(status: int) -> None:
    """What failed after the dial would give the slot of  live call away."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            with pytest.raises(httpx.HTTPStatusError):
                async with gate.admit() as permit:
                    permit.placed("call_1")
                    raise error_of("httpx", status, DIAL)
            statistics = gate.statistics()
            assert (statistics.usage.uncounted, statistics.refused) == (1, 0)
            assert list(gate._parts.ledger.uncounted_calls()) == ["call_1"]

    run(main())


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("url", ["https://crm.test/leads", f"{PROVIDER}/v2/stop-call/call_1"])
def test_a_definite_answer_to_something_else_says_nothing(url: str, client: str) -> None:
    """A lead that a CRM doesn't know would give the slot of  live call away."""
    assert Judge(PROVIDER).judge(error_of(client, 404, url)).outcome == "unknown"


def _full(status: int) -> list[Exception]:
    """Each client's error for an answer that says that there is no room."""
    message = "Concurrency limit reached"
    retell = error_of("retell-sdk", status, DIAL)
    assert isinstance(retell, sdk.APIStatusError)
    retell.body = {"status": "error", "message": message}
    requested = httpx.Request("POST", DIAL)
    answered = httpx.Response(status, request=requested, json={"message": message})
    by_requests = error_of("requests", status, DIAL)
    assert isinstance(by_requests, requests.HTTPError)
    by_requests.response._content = message.encode()
    by_aiohttp = error_of("aiohttp", status, DIAL)
    vars(by_aiohttp)["message"] = message
    by_httpx = httpx.HTTPStatusError("", request=requested, response=answered)
    return [retell, by_httpx, by_requests, by_aiohttp]


@pytest.mark.parametrize("status", [400, 402, 403, 422, 429])
def test_a_refusal_for_want_of_room_is_one_whatever_its_status(status: int) -> None:
    """Every lead would be dialled into a full workspace, and given up one after the other."""
    for error in _full(status):
        assert Judge(PROVIDER).judge(error) == ("refused", status), type(error).__module__


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_call_that_was_given_up_at_once_for_want_of_room_is_dialled_again(attempts: int) -> None:
    """A provider that answers 201 and then gives the call up would lose each lead."""
    refused = {"call_id": "call_1", "disconnection_reason": "concurrency_limit_reached"}

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            keys = []

            async def dial(permit: Permit) -> dict[str, str]:
                keys.append(permit.id)
                return refused if len(keys) <= 2 else {"call_id": "call_3"}

            placed = await gate.place(dial, attempts=attempts)
            assert len(set(keys)) == attempts
            statistics = gate.statistics()
            if attempts == 1:
                assert placed is refused
                assert (statistics.usage.total, statistics.refused) == (0, 1)
            else:
                assert placed == {"call_id": "call_3"}
                assert (statistics.usage.uncounted, statistics.refused) == (1, 2)

    run(main())


@pytest.mark.parametrize(
    ("before", "after", "in_use"),
    [
        ((), (), 0),
        (("placed",), (), 0),
        (("answered",), (), 0),
        (("cancel",), (), 0),
        (("refused",), (), 0),
        ((), ("placed",), 1),
        ((), ("answered",), 1),
        ((), ("cancel",), 0),
        ((), ("ended",), 0),
        ((), ("placed", "refused"), 0),
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_a_caller_can_say_that_the_call_was_refused(
    before: tuple[str, ...], after: tuple[str, ...], in_use: int, inside: bool
) -> None:
    """Who dials without an HTTP client would hold a slot for each refusal, or give one back twice,
    and go on dialling on a count that was just proved wrong."""

    async def main() -> None:
        told: list[Event] = []
        async with opened(ScriptedSource(limit=5), listener=told.append) as gate:
            async with gate.admit() as permit:
                for word in before:
                    getattr(permit, word)()
                if inside:
                    permit.refused()
            if not inside:
                permit.refused()
            assert gate.explain().constraint == "snapshot spent"
            assert gate.statistics().usage.total == 0
            for word in after:
                getattr(permit, word)()
            statistics = gate.statistics()
            assert (statistics.usage.total, statistics.usage.dialling) == (in_use, 0)
            refusals = [event for event in told if isinstance(event, Refused)]
            first = refusals[0]
            assert (first.permit_id, first.lane, first.status) == (permit.id, "default", None)
            assert len(refusals) == statistics.refused == 1 + after.count("refused")

    run(main())


def test_a_refusal_after_the_call_was_over_says_nothing() -> None:
    """A call that was had would pass for one that was refused."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            async with gate.admit() as permit:
                permit.ended()
                permit.refused()
            assert gate.statistics().refused == 0
            assert gate.statistics().usage.total == 0

    run(main())


@pytest.mark.parametrize("raises", [True, False])
def test_a_dial_that_says_it_was_refused_is_dialled_again(raises: bool) -> None:
    """A lead that was dialled by other means than HTTP would be lost at a refusal."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:
            keys = []

            async def dial(permit: Permit) -> str:
                keys.append(permit.id)
                if len(keys) == 1:
                    permit.refused(status=486)
                    if raises:
                        raise ValueError("busy")
                return "placed"

            assert await gate.place(dial) == "placed"
            assert len(set(keys)) == 2
            assert gate.statistics().refused == 1

    run(main())


def test_a_dial_that_says_it_did_not_dial_is_believed() -> None:
    """A lead that must not be called would take a slot for as long as a call might ring."""

    async def main() -> None:
        async with opened(ScriptedSource(limit=5)) as gate:

            async def dial(permit: Permit) -> None:
                permit.cancel()

            await gate.place(dial)
            assert gate.statistics().usage.total == 0

    run(main())


def test_a_refusals_event_has_its_status() -> None:
    """Who watches refusals could not tell a full workspace from one that throttles requests."""

    async def main() -> None:
        told: list[Event] = []
        async with opened(ScriptedSource(limit=5), listener=told.append) as gate:
            with pytest.raises(httpx.HTTPStatusError):
                async with gate.admit() as permit:
                    raise error_of("httpx", 429, DIAL)
            (refusal,) = (event for event in told if isinstance(event, Refused))
            assert (refusal.permit_id, refusal.status) == (permit.id, 429)

    run(main())

"""The simulated workspace over a real socket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from callguard.errors import LimitsMalformed
from callguard.limits import Limits
from callguard.simulator import (
    BUSY,
    NO_ANSWER,
    Constant,
    Fate,
    Fault,
    Faults,
    Server,
    Workspace,
    WorkspaceSettings,
    create_app,
    serve,
)
from tests.integration.support import LONGEST
from tests.support.virtual_time import jumping
from tests.unit.simulator.support import HandClock

NUMBERS = {"from_number": "+14157774444", "to_number": "+12137774445"}
BAD_REQUEST = "Invalid request format, please check API reference."
NOT_FOUND = "Cannot find requested asset under given api key."
RATE_LIMITED = "Account rate limited, please throttle your requests."
TOO_FAST = "Calls per second exceeded, please throttle your requests."
SERVER_ERROR = "An unexpected server error occurred."


class Client:
    """A session with the server's address and key."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 10.0,
    ) -> tuple[int, Any]:
        """The status, and the body as JSON where there is one."""
        async with self._session.request(
            method,
            self._server.url + path,
            data=json.dumps(body).encode() if body is not None else raw,
            headers={"Authorization": f"Bearer {self._server.api_key}"}
            if headers is None
            else headers,
            timeout=aiohttp.ClientTimeout(timeout),
        ) as response:
            text = await response.text()
            if text:
                assert response.content_type == "application/json"
            return response.status, json.loads(text) if text else None

    async def dial(self, **fields: object) -> tuple[int, Any]:
        return await self.send("POST", "/v2/create-phone-call", body={**NUMBERS, **fields})

    async def concurrency(self) -> tuple[int, Any]:
        return await self.send("GET", "/get-concurrency")


async def with_client(test: Callable[[Server, Client], Awaitable[None]], **options: Any) -> None:
    """Run `test` against a workspace without a rate, whose clock begins in 1970, by default."""
    options = {"cps": None, "epoch": 0.0, **options}
    async with serve(**options) as server, aiohttp.ClientSession() as session:
        await test(server, Client(server, session))


def failing(fault: Fault) -> Faults:
    return Faults(rate=1.0, kinds=(fault,))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - a request over a socket sets no event
        await asyncio.sleep(0.001)


async def answered(request: Awaitable[tuple[int, Any]]) -> bool:
    try:
        await request
    except aiohttp.ClientConnectionError:
        return False
    return True


async def test_three_lines() -> None:
    """The use that the documentation shows would not work."""
    async with serve(limit=5, seed=1) as server, aiohttp.ClientSession() as session:
        assert server.url.startswith("http://127.0.0.1:")
        assert (server.workspace.settings.limit, server.workspace.settings.seed) == (5, 1)
        status, body = await Client(server, session).concurrency()
    assert status == 200
    assert Limits.parse(body).concurrency_limit == 5


async def test_knobs_go_over_settings() -> None:
    """A keyword would be ignored where settings are given too, or a misspelt one accepted."""
    async with serve(WorkspaceSettings(limit=7, burst_limit=9), limit=8, api_key="k") as server:
        settings = server.workspace.settings
        assert (settings.limit, settings.burst_limit, server.api_key) == (8, 9, "k")
    with pytest.raises(TypeError, match="limits"):
        await serve(limits=3).__aenter__()
    with pytest.raises(ValueError, match="limit must be a whole number"):
        await serve(limit=-3).__aenter__()


async def test_a_call_from_dial_to_end() -> None:
    """A client would see other statuses or fields than the provider sends."""
    clock = HandClock(50.0)

    async def test(server: Server, client: Client) -> None:
        status, call = await client.dial(metadata={"row": 7}, override_agent_id="agent_9")
        call_id = call["call_id"]
        assert status == 201
        assert call == {
            "call_id": call_id,
            "call_type": "phone_call",
            "agent_id": "agent_9",
            "agent_version": 0,
            "call_status": "registered",
            "direction": "outbound",
            **NUMBERS,
            "metadata": {"row": 7},
        }
        assert await client.send("GET", f"/v2/get-call/{call_id}") == (200, call)

        clock.now = 54.0
        _, ongoing = await client.send("GET", f"/v2/get-call/{call_id}")
        assert ongoing == {**call, "call_status": "ongoing", "start_timestamp": 54_000}
        assert (await client.concurrency())[1]["current_concurrency"] == 1

        clock.now = 60.5
        assert await client.send("POST", f"/v2/stop-call/{call_id}") == (204, None)
        assert await client.send("POST", f"/v2/stop-call/{call_id}") == (204, None)
        _, ended = await client.send("GET", f"/v2/get-call/{call_id}")
        assert ended == {
            **ongoing,
            "call_status": "ended",
            "end_timestamp": 60_500,
            "duration_ms": 6500,
            "disconnection_reason": "manual_stopped",
        }
        assert server.workspace.count == 0

    await with_client(test, clock=clock, answer_rate=1.0, ring_time=Constant(4.0))


@pytest.mark.parametrize("lists_ringing", [False, True])
async def test_the_providers_client_lists_calls_by_their_ids(lists_ringing: bool) -> None:
    """One question about many calls could not be asked, or its answer not be read."""
    from retell import AsyncRetell

    clock = HandClock()
    numbers = {"+11": Fate(1.0, 600.0, "user_hangup"), "+12": BUSY, "+13": NO_ANSWER}
    given: dict[str, Any] = {
        "clock": clock,
        "epoch": 0.0,
        "numbers": numbers,
        "lists_ringing": lists_ringing,
    }
    async with serve(cps=None, **given) as server:
        dialled = [server.workspace.dial(to_number=each) for each in (*numbers, "+11")]
        clock.now = 3.0
        client = AsyncRetell(api_key="key_simulated", base_url=server.url)
        async with client:
            answer = await client.call.list(
                filter_criteria={
                    "call_id": {
                        "type": "enum",
                        "op": "in",
                        "value": [*(call.call_id for call in dialled[:3]), "call_unknown"],
                    }
                },
                limit=1000,
            )
            first = await client.call.list(limit=1, sort_order="ascending")
    by_id = {call.call_id: call for call in answer.items}
    ongoing, busy, ringing = (by_id.get(call.call_id) for call in dialled[:3])
    assert not answer.has_more
    assert ongoing is not None
    assert (ongoing.call_status, ongoing.start_timestamp) == ("ongoing", 1000)
    assert ongoing.end_timestamp is None
    assert busy is not None
    assert (busy.call_status, busy.end_timestamp) == ("not_connected", 2000)
    assert (ringing is not None) == lists_ringing
    assert len(by_id) == 2 + lists_ringing
    assert [call.call_id for call in first.items] == [dialled[0].call_id]
    assert first.has_more


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"limit": 0}',
        b'{"limit": 1001}',
        b'{"limit": true}',
        b'{"sort_order": "upwards"}',
        b'{"pagination_key": "x"}',
        b'{"filter_criteria": {"call_id": {"type": "enum", "op": "in", "value": [1]}}}',
        b'{"filter_criteria": {"call_id": {"type": "string", "op": "eq", "value": "x"}}}',
        b'{"filter_criteria": {"direction": {"type": "enum", "op": "in", "value": ["inbound"]}}}',
    ],
)
async def test_a_list_that_is_not_simulated_is_refused(body: bytes) -> None:
    """A filter would be ignored, and calls be listed that nobody asked for."""

    async def test(_server: Server, client: Client) -> None:
        answer = await client.send("POST", "/v3/list-calls", raw=body)
        assert answer == (400, {"status": "error", "message": BAD_REQUEST})

    await with_client(test)


async def test_unknown_call() -> None:
    """A lost call would look like one that goes on."""

    async def test(server: Server, client: Client) -> None:
        expected = (422, {"status": "error", "message": NOT_FOUND})
        assert await client.send("GET", "/v2/get-call/call_0") == expected
        assert await client.send("POST", "/v2/stop-call/call_0") == expected

    await with_client(test)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'"+1"',
        b'{"from_number": "+1"}',
        b'{"to_number": "+1"}',
        b'{"from_number": 1, "to_number": "+1"}',
        b'{"from_number": "+1", "to_number": null}',
        b'{"from_number": "+1", "to_number": "+2", "metadata": []}',
        b'{"from_number": "+1", "to_number": "+2", "override_agent_id": 3}',
        b'{"from_number": "+1", "to_number": "+2", "idempotency_key": 4}',
    ],
)
async def test_invalid_dial(body: bytes) -> None:
    """A malformed dial would be placed, or crash the server."""

    async def test(server: Server, client: Client) -> None:
        answer = await client.send("POST", "/v2/create-phone-call", raw=body)
        assert answer == (400, {"status": "error", "message": BAD_REQUEST})
        assert server.workspace.truth().placed == 0

    await with_client(test)


async def test_dial_above_the_ceiling() -> None:
    """A dialer's overshoot would go unnoticed."""

    async def test(server: Server, client: Client) -> None:
        assert (await client.dial())[0] == 201
        assert await client.dial() == (429, {"status": "error", "message": RATE_LIMITED})
        truth = server.workspace.truth()
        assert (truth.placed, truth.refusals) == (1, 1)

    await with_client(test, limit=2, reserved_inbound=1)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {"error_message": "Authorization header required"}),
        ({"Authorization": "Bearer wrong"}, {"status": "error", "message": "Invalid API Key."}),
        ({"Authorization": "k"}, {"status": "error", "message": "Invalid API Key."}),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/get-concurrency"), ("POST", "/v2/create-phone-call")]
)
async def test_key_is_checked(
    method: str, path: str, headers: dict[str, str], body: dict[str, str]
) -> None:
    """A wrong key would work here and fail in production, or fail with another body."""

    async def test(server: Server, client: Client) -> None:
        answer = await client.send(method, path, body=NUMBERS, headers=headers)
        assert answer == (401, body)
        truth = server.workspace.truth()
        assert (truth.readings, truth.placed) == (0, 0)

    await with_client(test, api_key="k", faults=failing("500"), dial_faults=failing("500"))


async def test_idempotency_key() -> None:
    """A repeated dial would place a second call, or a new one be taken for a repeated."""
    clock = HandClock()

    async def test(server: Server, client: Client) -> None:
        first = await client.dial(idempotency_key="a")
        clock.now = 3599.0
        assert await client.dial(idempotency_key="a") == first
        assert server.workspace.truth().placed == 1
        other = await client.dial(idempotency_key="b")
        clock.now = 3600.0
        again = await client.dial(idempotency_key="a")
        unkeyed = await client.dial()
        ids = {call["call_id"] for _, call in (first, other, again, unkeyed)}
        assert len(ids) == server.workspace.truth().placed == 4

    await with_client(test, clock=clock)


async def test_dial_that_comes_too_fast() -> None:
    """A dialer could not tell that it was too fast, or its next dial would be refused for it."""
    clock = HandClock()

    async def test(server: Server, client: Client) -> None:
        assert (await client.dial())[0] == 201
        too_fast = (429, {"status": "error", "message": TOO_FAST})
        assert await client.dial(idempotency_key="a") == too_fast
        clock.now = 1.0
        assert (await client.dial(idempotency_key="a"))[0] == 201
        truth = server.workspace.truth()
        assert (truth.placed, truth.refusals, truth.rate_refusals) == (2, 1, 1)

    await with_client(test, clock=clock, cps=1.0)


async def test_every_answer_has_the_date_of_the_providers_clock() -> None:
    """How far the provider's clock is ahead could not be told, or would be told wrongly."""
    clock = HandClock(50.9)

    async def test(server: Server, client: Client) -> None:
        async with aiohttp.ClientSession() as session:

            async def date_of(path: str, key: str) -> tuple[int, list[str]]:
                headers = {"Authorization": f"Bearer {key}"}
                async with session.get(server.url + path, headers=headers) as response:
                    return response.status, response.headers.getall("Date")

            date = ["Thu, 01 Jan 1970 01:00:50 GMT"]
            assert await date_of("/get-concurrency", server.api_key) == (200, date)
            assert await date_of("/get-concurrency", "another") == (401, date)
            assert await date_of("/v2/get-call/unknown", server.api_key) == (422, date)
            assert await date_of("/nowhere", server.api_key) == (404, date)

    await with_client(test, clock=clock, clock_offset=3600.0)


async def test_a_served_clock_is_about_this_machines() -> None:
    """A person would see calls that were made in 1970."""
    async with serve() as server:
        clock, now = server.workspace.provider_clock, server.workspace.now
        assert abs(clock.stamp(now) / 1000 - time.time()) < 60.0


async def test_requests_that_are_too_many() -> None:
    """A client that asks too often would not be refused, or a call be placed by a refused dial."""
    clock = HandClock()

    async def test(server: Server, client: Client) -> None:
        assert (await client.concurrency())[0] == 200
        status, call = await client.dial()
        assert status == 201
        refused = (429, {"status": "error", "message": RATE_LIMITED})
        assert await client.concurrency() == refused
        assert await client.dial() == refused
        assert await client.send("GET", f"/v2/get-call/{call['call_id']}") == refused
        assert (await client.send("GET", "/get-concurrency", headers={}))[0] == 401
        assert server.workspace.truth().placed == 1
        assert server.request_limit.answered.total() == 2
        assert server.request_limit.refused == {
            "/get-concurrency": 1,
            "/v2/create-phone-call": 1,
            "/v2/get-call/{call_id}": 1,
        }
        clock.now = 60.0
        assert (await client.concurrency())[0] == 200

    await with_client(test, clock=clock, requests_per_minute=2)


async def test_dial_that_comes_too_fast_and_dies() -> None:
    """A refusal that has the looks of a success would not be simulated."""
    clock = HandClock(3.0)

    async def test(server: Server, client: Client) -> None:
        assert (await client.dial())[1]["call_status"] == "registered"
        status, dead = await client.dial(idempotency_key="a")
        assert (status, dead["call_status"], dead["end_timestamp"]) == (201, "error", 3000)
        assert dead["disconnection_reason"] == "concurrency_limit_reached"
        assert "start_timestamp" not in dead
        assert await client.send("GET", f"/v2/get-call/{dead['call_id']}") == (200, dead)
        clock.now = 5.0
        assert await client.dial(idempotency_key="a") == (201, dead)
        assert (await client.concurrency())[1]["current_concurrency"] == 1
        assert server.workspace.truth().placed == 1

    await with_client(test, clock=clock, cps=1.0, cps_refusal="dead-call", rise_lag=0.0)


async def test_the_providers_client_understands_both_refusals() -> None:
    """The simulated refusals could not be had from the provider, so far as its own client knows."""
    from retell import AsyncRetell, RateLimitError

    async def dial(url: str, from_number: str) -> Any:
        client = AsyncRetell(api_key="key_simulated", base_url=url)
        async with client:
            return await client.call.create_phone_call(from_number=from_number, to_number="+12")

    async with serve(cps=1.0, trunks={"+11": 0.5}, clock=HandClock()) as server:
        for number in ("+10", "+11"):
            assert (await dial(server.url, number)).call_status == "registered"
            with pytest.raises(RateLimitError, match=TOO_FAST):
                await dial(server.url, number)
    async with serve(cps=1.0, cps_refusal="dead-call", clock=HandClock()) as server:
        calls = [await dial(server.url, "+10") for _ in range(2)]
    assert [call.call_status for call in calls] == ["registered", "error"]
    assert calls[1].disconnection_reason == "concurrency_limit_reached"


async def test_refused_dial_does_not_use_its_key_up() -> None:
    """A dial that was refused once could never be placed under its key."""
    clock = HandClock()

    async def test(server: Server, client: Client) -> None:
        assert (await client.dial())[0] == 201
        assert (await client.dial(idempotency_key="a"))[0] == 429
        server.workspace.set_limits(limit=2)
        status, call = await client.dial(idempotency_key="a")
        assert status == 201
        # The same call again, though a new one would be refused.
        assert await client.dial(idempotency_key="a") == (201, call)
        assert server.workspace.truth().placed == 2

    await with_client(test, clock=clock, limit=1)


@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [("500", 500, None), ("429", 429, None), ("429-retry-after", 429, "1")],
)
async def test_status_faults(fault: Fault, status: int, retry_after: str | None) -> None:
    """A client's retrying would be tested against another answer than was asked for."""
    async with serve(faults=failing(fault)) as server, aiohttp.ClientSession() as session:
        url, headers = f"{server.url}/get-concurrency", {"Authorization": "Bearer key_simulated"}
        async with session.get(url, headers=headers) as response:
            assert response.status == status
            assert response.headers.get("Retry-After") == retry_after
            message = SERVER_ERROR if status == 500 else RATE_LIMITED
            assert await response.json() == {"status": "error", "message": message}
        assert server.workspace.truth().readings == 1


async def test_cut_answer() -> None:
    """A connection that breaks in the middle of an answer would not be simulated."""

    async def test(server: Server, client: Client) -> None:
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.concurrency()
        assert (await client.send("GET", "/v2/get-call/x"))[0] == 422

    await with_client(test, faults=failing("cut"))


async def test_broken_json() -> None:
    """Half a document with a sound status would not be simulated."""

    async def test(server: Server, client: Client) -> None:
        with pytest.raises(json.JSONDecodeError):
            await client.concurrency()

    await with_client(test, faults=failing("broken-json"))


async def test_wrong_types() -> None:
    """An answer that breaks its specification would not be simulated."""

    async def test(server: Server, client: Client) -> None:
        status, body = await client.concurrency()
        assert (status, body["concurrency_limit"]) == (200, "20")
        with pytest.raises(LimitsMalformed):
            Limits.parse(body)

    await with_client(test, faults=failing("wrong-types"))


@jumping
async def test_hang_lasts_until_the_client_goes() -> None:
    """A client's own timeout would never be tested, or the server keep a request for ever."""

    async def test(server: Server, client: Client) -> None:
        before = asyncio.all_tasks()
        with pytest.raises(TimeoutError):
            await client.send("GET", "/get-concurrency", timeout=0.2)
        await asyncio.wait(asyncio.all_tasks() - before)
        assert (await client.dial())[0] == 201

    async with asyncio.timeout(LONGEST):
        await with_client(test, faults=failing("hang"))


async def test_nothing_is_left_behind() -> None:
    """A test that uses the server would leak tasks or sockets, or wait long for its end."""
    before = asyncio.all_tasks()
    async with (
        aiohttp.ClientSession() as session,
        asyncio.timeout(LONGEST),
        asyncio.TaskGroup() as group,
    ):
        async with serve(faults=failing("hang"), latency=Constant(0.01)) as server:
            client = Client(server, session)
            hanging = [group.create_task(answered(client.concurrency())) for _ in range(3)]
            await until(lambda: server.workspace.truth().readings == 3)
            url = server.url
        left = asyncio.all_tasks() - before - set(hanging)
        assert not left
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)
        assert await asyncio.gather(*hanging) == [False] * 3


async def test_a_slow_answer_does_not_keep_the_server() -> None:
    """Leaving the block would take as long as the slowest answer."""
    async with (
        aiohttp.ClientSession() as session,
        asyncio.timeout(LONGEST),
        asyncio.TaskGroup() as group,
    ):
        async with serve(latency=Constant(600.0)) as server:
            slow = group.create_task(answered(Client(server, session).dial()))
            await until(lambda: server.workspace.truth().placed == 1)
        assert await slow


async def test_cancelled_block() -> None:
    """A test that times out would leave its server running."""
    served = asyncio.get_running_loop().create_future()

    async def run() -> None:
        async with serve() as server:
            served.set_result(server.url)
            await asyncio.Event().wait()

    running = asyncio.create_task(run())
    url = await served
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)


async def test_latency() -> None:
    """Answers would come at once however slow the provider is set to be."""
    clock = asyncio.get_running_loop().time

    async def test(server: Server, client: Client) -> None:
        for send in (client.concurrency, client.dial):
            began = clock()
            await send()
            assert clock() - began >= 0.049  # uvloop's clock shows whole milliseconds

    await with_client(test, latency=Constant(0.05))


async def test_dial_that_is_given_up_is_placed() -> None:
    """The worst of timeouts would not be simulated: the call goes on without its caller."""

    async def test(server: Server, client: Client) -> None:
        dial = asyncio.create_task(client.dial())
        await until(lambda: server.workspace.truth().placed == 1)
        dial.cancel()
        await asyncio.wait([dial])
        assert (dial.cancelled(), server.workspace.count) == (True, 1)

    async with asyncio.timeout(LONGEST):
        await with_client(test, latency=Constant(600.0))


@pytest.mark.parametrize("places", [True, False])
@pytest.mark.parametrize("fault", ["500", "hang", "cut"])
@jumping
async def test_dial_faults(fault: Fault, places: bool) -> None:
    """A dial that fails would always be placed, or never, whatever was asked for."""

    async def test(server: Server, client: Client) -> None:
        timeout = 0.3 if fault == "hang" else 10.0
        dial = client.send("POST", "/v2/create-phone-call", body=NUMBERS, timeout=timeout)
        if fault == "500":
            assert await dial == (500, {"status": "error", "message": SERVER_ERROR})
        else:
            with pytest.raises(TimeoutError if fault == "hang" else aiohttp.ClientPayloadError):
                await dial
        assert server.workspace.truth().placed == int(places)
        assert (await client.concurrency())[0] == 200

    await with_client(test, dial_faults=failing(fault), dial_faults_place=places)


async def test_failed_dial_keeps_its_key() -> None:
    """Repeating a dial after a 500 would place the call twice in spite of its key."""

    async def test(server: Server, client: Client) -> None:
        assert (await client.dial(idempotency_key="a"))[0] == 500
        clock.now = 1.0
        assert (await client.dial(idempotency_key="a"))[0] == 201
        assert server.workspace.truth().placed == 1

    clock = HandClock()
    await with_client(test, clock=clock, dial_faults=Faults(schedule=((0.0, 1.0, "500"),)))


async def test_faults_follow_the_workspaces_clock() -> None:
    """A scheduled outage would come at another time than the calls that it is to hit."""
    clock = HandClock(1000.0)

    async def test(server: Server, client: Client) -> None:
        statuses = []
        for clock.now in (1000.0, 1005.0, 1010.0):
            statuses.append((await client.concurrency())[0])
        assert statuses == [200, 500, 200]

    await with_client(test, clock=clock, faults=Faults(schedule=((5.0, 10.0, "500"),)))


def test_dial_faults_are_checked() -> None:
    """A fault that a dial can't have would be accepted, and never come."""
    workspace = Workspace(None, HandClock())
    with pytest.raises(ValueError, match="broken-json"):
        create_app(workspace, dial_faults=failing("broken-json"))


async def test_other_paths() -> None:
    """A client that asks for a path which is not simulated would get something else than a 404."""
    async with serve() as server, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {server.api_key}"}
        async with session.get(f"{server.url}/v2/list-agents", headers=headers) as response:
            assert response.status == 404

"""``callguard serve`` in front of a provider, over real sockets: the requests that start calls."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from callguard import Lane, Trunk, simulator
from callguard.serve.settings import Bounds, WorkspaceSettings
from tests.integration.serve_support import (
    CREATE,
    KEY,
    LEAD,
    Dial,
    answering,
    client,
    hanging_up,
    served,
    stub,
    until,
)


async def test_a_call_is_placed_through_the_gate_and_its_answer_is_the_providers() -> None:
    """A dialer that only changes the address would place no calls."""
    async with simulator.serve(cps=None) as provider:
        async with served(provider.url) as proxy, client(provider.api_key) as session:
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                assert answer.status == 201
                call_id = (await answer.json())["call_id"]
            async with session.get(f"{proxy.url}/v2/get-call/{call_id}") as answer:
                assert (await answer.json())["call_id"] == call_id
            (workspace,) = proxy.workspaces.open()
            usage = workspace.gate.statistics().usage
            assert (usage.dialling, usage.uncounted) == (0, 1)
        assert provider.workspace.truth().placed == 1


async def test_an_idempotency_key_is_put_in_where_there_is_none_and_the_endpoint_has_one() -> None:
    """A call would be placed twice by whoever tries again, or an endpoint get a field unknown."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        async with session.post(proxy.url + CREATE, data=b'{"to_number": "+1",  "n":1 } '):
            pass
        async with session.post(proxy.url + CREATE, json=LEAD | {"idempotency_key": "mine"}):
            pass
        async with session.post(proxy.url + CREATE, data=b'{"idempotency_key": null}'):
            pass
        async with session.post(f"{proxy.url}/v3/create-web-call", json={"agent_id": "a"}):
            pass
        (workspace,) = proxy.workspaces.open()
        assert provider.dials[0]["idempotency_key"].startswith(workspace.gate.id)
        assert provider.bodies[0].startswith(b'{"to_number": "+1",  "n":1 , ')
        assert provider.dials[1]["idempotency_key"] == "mine"
        assert provider.dials[2]["idempotency_key"].startswith(workspace.gate.id)
        assert provider.dials[3] == {"agent_id": "a"}


async def test_the_answer_to_a_dial_is_asked_for_uncompressed() -> None:
    """The call's id would not be found, and nobody know when it is over."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        async with session.post(proxy.url + CREATE, json=LEAD, headers={"Accept-Encoding": "gzip"}):
            pass
        assert provider.requests[0].headers.getall("Accept-Encoding") == ["identity"]


async def test_a_wait_that_is_over_is_answered_with_the_decision_and_when_to_come_back() -> None:
    """A dialer would not know why its call waits, nor when to try again."""
    async with stub(limit=1, count=1) as provider, served(provider.url) as proxy, client() as s:
        headers = {"X-Callguard-Wait": "0"}
        async with s.post(proxy.url + CREATE, json=LEAD, headers=headers) as answer:
            problem = await answer.json(content_type="application/problem+json")
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) >= 1
        assert "1 of 1 in use" in problem["detail"]
        assert problem["type"] == "urn:callguard:not-admitted"
        assert (problem["limit"], problem["headroom"], problem["waiting"]) == (1, 0, 0)
        assert provider.dials == []


async def dead_call(request: web.Request) -> web.StreamResponse:
    """A provider that places a call, and ends it at once for lack of room."""
    reason = {"disconnection_reason": "concurrency_limit_reached"}
    return web.json_response({"call_id": "call_dead", **reason}, status=201)


@pytest.mark.parametrize("refusal", [answering(429), dead_call], ids=["429", "dead call"])
async def test_a_call_that_the_provider_refuses_is_dialled_again(refusal: Dial) -> None:
    """A client that doesn't retry would lose a lead that was surely not called."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.answers = [refusal]
        async with session.post(proxy.url + CREATE, json=LEAD) as answer:
            assert answer.status == 201
        assert len(provider.dials) == 2
        keys = {dial["idempotency_key"] for dial in provider.dials}
        assert len(keys) == 2
        (workspace,) = proxy.workspaces.open()
        statistics = workspace.gate.statistics()
        assert (statistics.refused, statistics.usage.uncounted) == (1, 1)


async def test_a_refusal_that_repeats_under_the_clients_own_key_is_passed_on() -> None:
    """One call with a key whose refusal the provider repeats would stop all others."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.answers = [answering(429)] * 5
        body = LEAD | {"idempotency_key": "mine"}
        async with session.post(proxy.url + CREATE, json=body) as answer:
            assert answer.status == 429
            assert (await answer.json())["message"] == "no"
        assert len(provider.dials) == 3


async def test_the_providers_definite_no_gives_the_slot_back_and_is_passed_on() -> None:
    """Wrong numbers would fill the gate with calls that never were."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.answers = [answering(400, "bad number")]
        async with session.post(proxy.url + CREATE, json=LEAD) as answer:
            assert answer.status == 400
            assert (await answer.json())["message"] == "bad number"
        (workspace,) = proxy.workspaces.open()
        assert workspace.gate.statistics().usage.total == 0


@pytest.mark.parametrize("status", [300, 500, 503, 409])
async def test_an_answer_that_proves_nothing_is_passed_on_and_counts_as_placed(status: int) -> None:
    """A call that the provider has placed nevertheless would exceed the limit."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.answers = [answering(status)]
        async with session.post(proxy.url + CREATE, json=LEAD) as answer:
            assert answer.status == status
        (workspace,) = proxy.workspaces.open()
        assert workspace.gate.statistics().usage.uncounted == 1
        assert len(provider.dials) == 1


async def test_a_broken_connection_is_said_to_be_in_doubt_and_counts_as_placed() -> None:
    """A client would dial the same lead again, not knowing that it may have been called."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.answers = [hanging_up]
        async with session.post(proxy.url + CREATE, json=LEAD) as answer:
            problem = await answer.json(content_type="application/problem+json")
            assert answer.status == 502
        assert problem["type"] == "urn:callguard:in-doubt"
        assert "may have been placed" in problem["detail"]
        (workspace,) = proxy.workspaces.open()
        assert workspace.gate.statistics().usage.uncounted == 1


async def test_a_client_that_hangs_up_before_the_dial_leaves_the_queue() -> None:
    """A slot would go to a call that nobody waits for any more."""
    async with stub(limit=1, count=1) as provider, served(provider.url) as proxy, client() as s:
        waiting = asyncio.create_task(s.post(proxy.url + CREATE, json=LEAD))
        await until(lambda: bool(proxy.workspaces.open()))
        (gate,) = (each.gate for each in proxy.workspaces.open())
        await until(lambda: gate.statistics().waiting["default"] == 1)
        waiting.cancel()
        await until(lambda: gate.statistics().waiting["default"] == 0)
        assert provider.dials == []


async def test_a_client_that_hangs_up_during_the_dial_leaves_a_call_that_counts() -> None:
    """A call that goes on would be forgotten, and the limit exceeded."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        may_answer = asyncio.Event()

        async def late(request: web.Request) -> web.StreamResponse:
            await may_answer.wait()
            return web.json_response({"call_id": "call_late"}, status=201)

        provider.answers = [late]
        dial = asyncio.create_task(session.post(proxy.url + CREATE, json=LEAD))
        await until(lambda: len(provider.dials) == 1)
        dial.cancel()
        await asyncio.wait([dial])
        may_answer.set()
        (gate,) = (each.gate for each in proxy.workspaces.open())
        await until(lambda: gate.statistics().usage.uncounted == 1)
        gate.note_ended("call_late")
        assert gate.statistics().usage.total == 0


async def test_a_refusal_whose_client_has_hung_up_is_not_dialled_again() -> None:
    """Somebody would be called on behalf of a client that has given up."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        may_answer = asyncio.Event()

        async def late(request: web.Request) -> web.StreamResponse:
            await may_answer.wait()
            return web.json_response({}, status=429)

        provider.answers = [late]
        dial = asyncio.create_task(session.post(proxy.url + CREATE, json=LEAD))
        await until(lambda: len(provider.dials) == 1)
        (gate,) = (each.gate for each in proxy.workspaces.open())
        dial.cancel()
        await asyncio.wait([dial])
        may_answer.set()
        await until(lambda: gate.statistics().refused == 1)
        assert gate.statistics().waiting["default"] == 0
        assert len(provider.dials) == 1


async def test_lane_and_trunk_come_from_headers_and_the_trunk_else_from_the_number() -> None:
    """All calls would go at the rate of one trunk, and in one lane."""
    settings = WorkspaceSettings(
        lanes=(Lane("urgent", priority=-1), Lane("campaign", default=True)),
        trunks=(Trunk("twilio", calls=1), Trunk("telnyx", calls=1)),
        cps=None,
        trunk_of={"+1*": "twilio", "+1415*": "telnyx"},
    )
    async with stub() as provider, served(provider.url, settings) as proxy, client() as session:

        async def status(number: str, **names: str) -> int:
            headers = {f"X-Callguard-{name}": value for name, value in names.items()}
            body = {"from_number": number, "to_number": "+1"}
            headers["X-Callguard-Wait"] = "0"
            async with session.post(proxy.url + CREATE, json=body, headers=headers) as answer:
                return answer.status

        assert await status("+14155550100", Lane="urgent") == 201  # by telnyx, which is full now
        assert await status("+14155550100") == 429
        assert await status("+12125550100") == 201  # by twilio
        assert await status("+12125550100", Trunk="default") == 201
        assert await status("+12125550100", Lane="nobody's") == 400
        assert await status("+12125550100", Trunk="nobody's") == 400


async def test_a_web_call_takes_no_trunk() -> None:
    """Web calls would wait for the rate of the telephone network, which they don't use."""
    settings = WorkspaceSettings(cps=0.01)
    async with stub() as provider, served(provider.url, settings) as proxy, client() as session:
        for _ in range(3):
            async with session.post(f"{proxy.url}/v3/create-web-call", json={}) as answer:
                assert answer.status == 201


@pytest.mark.parametrize(
    "path",
    [
        "//v2/create-phone-call",
        "/v2/create-phone-call/",
        "/v2/%63reate-phone-call?a=1",
        "/v2/./create-phone-call",
        "/v2/agents/%2e%2e/create-phone-call",
    ],
)
async def test_no_way_to_write_the_path_leads_past_the_gate(path: str) -> None:
    """A call that the provider takes for a dial would be placed beside the gate."""
    async with stub(limit=1, count=1) as provider, served(provider.url) as proxy, client() as s:
        from yarl import URL

        url = URL(proxy.url + path, encoded=True)
        async with s.post(url, json=LEAD, headers={"X-Callguard-Wait": "0"}) as answer:
            assert answer.status == 429
        assert provider.dials == []


async def test_a_key_that_the_provider_refuses_gets_its_answer_and_no_gate() -> None:
    """Anybody could make the server keep gates for keys that don't exist."""
    async with stub() as provider, served(provider.url) as proxy, client("key_wrong") as session:
        async with session.post(proxy.url + CREATE, json=LEAD) as answer:
            assert answer.status == 401
            assert (await answer.json())["message"] == "Invalid API Key."
        assert proxy.workspaces.open() == ()
        assert provider.dials == []


async def test_those_who_come_at_once_share_one_gate() -> None:
    """Two gates of one workspace would admit twice as many calls as fit."""
    async with stub(limit=3) as provider, served(provider.url) as proxy, client() as session:

        async def lead() -> int:
            headers = {"X-Callguard-Wait": "0"}
            async with session.post(proxy.url + CREATE, json=LEAD, headers=headers) as answer:
                return answer.status

        statuses = await asyncio.gather(*(lead() for _ in range(8)))
        assert statuses.count(201) == 3
        assert len(proxy.workspaces.open()) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"{" * 5000])
async def test_a_body_that_is_no_object_is_answered_before_it_takes_a_slot(body: bytes) -> None:
    """Broken clients would use up the rate at which calls may start."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        async with session.post(proxy.url + CREATE, data=body) as answer:
            assert answer.status == 400
            assert answer.content_type == "application/problem+json"
        assert provider.dials == []


async def test_a_body_that_is_too_large_is_answered_and_nothing_is_forwarded() -> None:
    """One client could fill the server's memory."""
    bounds = Bounds(max_body=1000)
    async with stub() as provider, served(provider.url, bounds=bounds) as proxy, client() as s:
        async with s.post(proxy.url + CREATE, data=b" " * 1001) as answer:
            assert answer.status == 413

        async def chunks() -> AsyncIterator[bytes]:
            yield b"{" + b" " * 600
            yield b" " * 600

        async with s.post(proxy.url + CREATE, data=chunks()) as answer:
            assert answer.status == 413
        assert provider.dials == []


async def test_a_compressed_body_is_passed_on_as_it_is() -> None:
    """A client that compresses would have its call placed with a body that isn't its own."""
    body = gzip.compress(json.dumps(LEAD).encode())
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        url, headers = f"{proxy.url}/echo", {"Content-Encoding": "gzip"}
        async with session.post(url, data=body, headers=headers):
            pass
        assert provider.bodies == [body]
        assert provider.requests[0].headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "soon", "1e9"])
async def test_a_wait_that_is_no_number_of_seconds_is_answered(wait: str) -> None:
    """A request would wait for ever, or not at all, by a slip of the pen."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        headers = {"X-Callguard-Wait": wait}
        async with session.post(proxy.url + CREATE, json=LEAD, headers=headers) as answer:
            assert answer.status == 400
            assert "X-Callguard-Wait" in (await answer.text())


async def test_the_key_is_in_no_answer_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the log could dial on the workspace's bill."""
    caplog.set_level("DEBUG")
    async with stub(limit=1, count=1) as provider, served(provider.url) as proxy, client() as s:
        for path in (CREATE, "/v2/get-call/1"):
            headers = {"X-Callguard-Wait": "0"}
            async with s.post(proxy.url + path, json=LEAD, headers=headers) as answer:
                assert KEY not in await answer.text()
                assert KEY not in str(answer.headers)
        (workspace,) = proxy.workspaces.open()
        assert KEY not in repr(workspace) + repr(proxy.workspaces)
    assert KEY not in caplog.text

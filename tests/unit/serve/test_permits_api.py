"""Permits over HTTP, on a clock that jumps."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import suppress
from typing import Any

import pytest

from tests.support.virtual_time import jumping, run
from tests.unit.serve.support import asking


@jumping
async def test_a_permit_goes_from_the_queue_to_the_end_of_its_call() -> None:
    """A dialer in another language could not place one call."""
    async with asking(limit=1) as client:
        first = await client.permit(key="lead 1")
        assert first.status == 201
        assert first.body["state"] == "dialling"
        assert first.body["tier"] == "normal"
        assert first.headers["Location"] == f"/v1/permits/{first.body['id']}"
        second = await client.permit(key="lead 2")
        assert second.status == 202
        assert (second.body["state"], second.body["position"]) == ("waiting", 1)
        at_first, at_second = first.headers["Location"], second.headers["Location"]
        poll = asyncio.create_task(client.ask("GET", f"{at_second}?wait=25"))
        placed = await client.ask("PUT", f"{at_first}/placed", {"call_id": "call_1"})
        assert (placed.status, placed.body["state"]) == (200, "placed")
        assert placed.body["call_id"] == "call_1"
        ended = await client.ask("PUT", f"{at_first}/ended")
        assert (ended.status, ended.body["state"]) == (200, "ended")
        admitted = await poll
        assert (admitted.status, admitted.body["state"]) == (200, "dialling")
        assert admitted.body["permit_id"] == f"{client.workspace.gate.id}-2"


@jumping
async def test_the_same_key_gives_the_same_permit_as_it_is() -> None:
    """A client that lost an answer would take a second slot."""
    async with asking(limit=1) as client:
        answers = [await client.permit(key="lead 1") for _ in range(2)]
        assert [each.status for each in answers] == [201, 201]
        assert len({each.body["id"] for each in answers}) == 1
        waiting = [await client.permit(key="lead 2") for _ in range(2)]
        assert [each.status for each in waiting] == [202, 202]
        await client.ask("PUT", f"/v1/permits/{answers[0].body['id']}/ended")
        over = await client.permit(key="lead 1")
        assert (over.status, over.body["state"]) == (200, "ended")
        other = await client.permit(key="lead 1", wait=3)
        assert (other.status, other.body["type"]) == (409, "urn:callguard:key-reused")


@jumping
async def test_a_client_that_hangs_up_before_it_knows_its_permit_leaves_nothing() -> None:
    """A slot would be held by nobody, for a minute and until the count shows no call."""
    async with asking(limit=1) as client:
        await client.permit()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.permit()
        await asyncio.sleep(0.1)
        assert client.workspace.permits.live == 1
        assert client.workspace.gate.statistics().waiting["default"] == 0


@jumping
async def test_a_client_that_hangs_up_while_it_waits_comes_back_by_its_key() -> None:
    """Its place in the queue would be lost with its connection."""
    async with asking(limit=1) as client:
        held = (await client.permit(key="held")).body
        waiting = (await client.permit(key="waiting")).body
        with suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await client.ask("GET", f"/v1/permits/{waiting['id']}?wait=25")
        await client.ask("DELETE", f"/v1/permits/{held['id']}")
        again = await client.permit(key="waiting")
        assert (again.status, again.body["id"]) == (201, waiting["id"])


@jumping
async def test_a_permit_that_is_not_renewed_says_so() -> None:
    """A client that comes back too late would wait for ever, or dial without a slot."""
    async with asking(limit=1) as client:
        held = (await client.permit()).body
        waiting = (await client.permit()).body
        await asyncio.sleep(61.0)
        late = await client.ask("GET", f"/v1/permits/{held['id']}")
        assert (late.status, late.body["state"]) == (200, "placed")
        cancelled = await client.ask("DELETE", f"/v1/permits/{held['id']}")
        assert (cancelled.status, cancelled.body["state"]) == (409, "placed")
        gone = await client.ask("GET", f"/v1/permits/{waiting['id']}")
        assert (gone.status, gone.body["type"]) == (410, "urn:callguard:permit-expired")


@jumping
async def test_draining_tells_every_poll_to_come_back() -> None:
    """Clients would wait for a server that admits nobody any more."""
    async with asking(limit=1) as client:
        held = (await client.permit()).body
        waiting = [(await client.permit()).body["id"] for _ in range(3)]
        polls = [
            asyncio.create_task(client.ask("GET", f"/v1/permits/{each}?wait=25"))
            for each in waiting
        ]
        await asyncio.sleep(1.0)
        began = asyncio.get_running_loop().time()
        drained = await client.ask("POST", "/v1/drain")
        assert (drained.status, drained.body["drained"]) == (200, False)
        for answer in await asyncio.gather(*polls):
            assert (answer.status, answer.body["type"]) == (503, "urn:callguard:draining")
            assert int(answer.headers["Retry-After"]) >= 1
        assert asyncio.get_running_loop().time() - began < 1.0
        assert (await client.permit()).status == 503
        ended = await client.ask("PUT", f"/v1/permits/{held['id']}/ended")
        assert ended.status == 200
        assert (await client.ask("POST", "/v1/drain?wait=25")).body["drained"]


@jumping
async def test_the_end_of_a_call_can_be_told_by_its_id() -> None:
    """After a restart nobody could tell that a call is over."""
    async with asking(limit=1) as client:
        held = (await client.permit()).body
        await client.ask("PUT", f"/v1/permits/{held['id']}/placed", {"call_id": "call_1"})
        assert client.workspace.gate.statistics().usage.total == 1
        assert (await client.ask("PUT", "/v1/calls/call_1/answered")).status == 204
        for _ in range(2):
            assert (await client.ask("PUT", "/v1/calls/call_1/ended")).status == 204
        assert client.workspace.gate.statistics().usage.total == 0
        assert (await client.permit()).status == 201


@jumping
async def test_a_refusal_spends_the_snapshot() -> None:
    """The gate would go on as if the provider had admitted the call."""
    async with asking(limit=5) as client:
        held = (await client.permit()).body
        refused = await client.ask("PUT", f"/v1/permits/{held['id']}/refused", {"status": 429})
        assert (refused.status, refused.body["state"]) == (200, "refused")
        assert client.workspace.gate.statistics().refused == 1


@jumping
async def test_a_quiet_workspace_stays_open_for_the_reports_that_are_due() -> None:
    """A call that lasts for longer than the server's patience could not be reported as ended."""
    async with asking() as client:
        held = (await client.permit()).body
        await client.ask("PUT", f"/v1/permits/{held['id']}/placed")
        await asyncio.sleep(3600.0)
        ended = await client.ask("PUT", f"/v1/permits/{held['id']}/ended")
        assert (ended.status, ended.body["state"]) == (200, "ended")
        await asyncio.sleep(3600.0)
        assert not client.workspaces.open()


HELD = "/v1/permits/{held}"
WAITING = "/v1/permits/{waiting}"

WRONG: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/v1/permits", b"{", 400, "the body is not a JSON document"),
    ("POST", "/v1/permits", b"[" * 100_000, 400, "the body is not a JSON document"),
    ("POST", "/v1/permits", b"\xff\xfe", 400, "the body is not a JSON document"),
    ("POST", "/v1/permits", [], 400, "the body must be a JSON object, got a list"),
    ("POST", "/v1/permits", "lane", 400, "the body must be a JSON object, got 'lane'"),
    ("POST", "/v1/permits", {"lanes": "a"}, 422, "no field 'lanes'; did you mean lane?"),
    ("POST", "/v1/permits", {"timeout": 5}, 422, "there are: lane, trunk, key, wait"),
    ("POST", "/v1/permits", {"lane": 5}, 422, "lane must be text of 1 to 256 characters, got 5"),
    ("POST", "/v1/permits", {"lane": "vip"}, 400, "no lane 'vip'"),
    ("POST", "/v1/permits", {"trunk": "twilo"}, 400, "no trunk 'twilo', only 'default'"),
    ("POST", "/v1/permits", {"key": ""}, 422, "key must be text of 1 to 256 characters, got ''"),
    ("POST", "/v1/permits", {"key": "k" * 257}, 422, "key must be text of 1 to 256 characters"),
    ("POST", "/v1/permits", {"key": "\ud800"}, 422, "key must be text of 1 to 256 characters"),
    ("POST", "/v1/permits", {"wait": -1}, 422, "wait must be a number of seconds from 0 to"),
    ("POST", "/v1/permits", {"wait": "5"}, 422, "or null for any time, got '5'"),
    ("POST", "/v1/permits", {"wait": True}, 422, "wait must be a number of seconds"),
    ("POST", "/v1/permits", b'{"wait": NaN}', 422, "wait must be a number of seconds"),
    ("POST", "/v1/permits", b'{"wait": 1e999}', 422, "wait must be a number of seconds"),
    ("POST", "/v1/permits", {"key": "x" * 2**20}, 413, ""),
    ("POST", "/v1/permits?lane=a", {}, 422, "there is no parameter 'lane'"),
    ("POST", "/v1/permits?workspace=none", {}, 404, "no workspace with this id is open"),
    ("GET", "/v1/permits", None, 405, "/v1/permits takes POST, not GET"),
    ("PATCH", HELD, {}, 405, "takes DELETE, GET, not PATCH"),
    ("POST", f"{HELD}/placed", {}, 405, "takes PUT, not POST"),
    ("GET", "/v1/permits/guessed", None, 404, "counts as placed"),
    ("DELETE", "/v1/permits/guessed", None, 404, "counts as placed"),
    ("PUT", "/v1/permits/guessed/ended", None, 404, "PUT /v1/calls/{call_id}/ended"),
    ("GET", "/v1/permit/held", None, 404, "there is no /v1/permit/held here"),
    ("GET", f"{HELD}?wait=soon", None, 422, "wait must be a number of seconds"),
    ("GET", f"{HELD}?wait=-1", None, 422, "wait must be a number of seconds"),
    ("GET", f"{HELD}?wait=nan", None, 422, "wait must be a number of seconds"),
    ("GET", f"{HELD}?wait=1&wait=2", None, 422, "the parameter wait is given twice"),
    ("GET", f"{HELD}?wiat=1", None, 422, "no parameter 'wiat'; did you mean wait?"),
    ("PUT", f"{HELD}/placed", {"call_id": 7}, 422, "call_id must be text of 1 to 256"),
    ("PUT", f"{HELD}/placed", {"callId": "c"}, 422, "no field 'callId'; did you mean call_id?"),
    ("PUT", f"{HELD}/refused", {"status": 4290}, 422, "status must be the status of an HTTP"),
    ("PUT", f"{HELD}/refused", {"status": "429"}, 422, "status must be the status of an HTTP"),
    ("PUT", f"{HELD}/ended", {"at": 5}, 422, "there is no field 'at'; none is expected"),
    ("PUT", f"{WAITING}/placed", {}, 409, "is still waiting in the queue"),
    ("PUT", f"{WAITING}/answered", {}, 409, "is still waiting in the queue"),
    ("PUT", f"{WAITING}/ended", {}, 409, "is still waiting in the queue"),
    ("PUT", f"{WAITING}/refused", {}, 409, "is still waiting in the queue"),
    ("PUT", "/v1/calls/c/ended", {"refused": "no"}, 422, "refused must be true or false"),
    ("PUT", f"/v1/calls/{'c' * 257}/ended", {}, 422, "call_id must be text of 1 to 256"),
    ("GET", "/v1/explain?lane=vip", None, 400, "no lane 'vip', only 'default'"),
    ("GET", "/v1/explain?trunk=b", None, 400, "no trunk 'b', only 'default'"),
    ("GET", "/v1/explain?lane=", None, 422, "lane must be text of 1 to 256 characters"),
    ("POST", "/v1/pause", {"lane": "vip"}, 400, "no lane 'vip'"),
    ("POST", "/v1/resume", {"trunk": "b"}, 400, "no trunk 'b'"),
    ("POST", "/v1/pause", {"reason": 5}, 422, "reason must be text of up to 256 characters"),
    ("POST", "/v1/resume", {"reason": "x"}, 422, "there is no field 'reason'; there are: lane"),
    ("GET", "/v1/pause", None, 405, "/v1/pause takes POST, not GET"),
    ("POST", "/v1/status", {}, 405, "/v1/status takes GET, not POST"),
    ("GET", "/webhooks/retell", None, 405, "/webhooks/retell takes POST, not GET"),
    ("POST", "/webhooks/retell", {"event": "call_ended"}, 401, "not signed in the provider's"),
]
"""Each wrong request with its answer: method, path, body, status, and a part of the detail."""


@pytest.mark.parametrize(("method", "path", "body", "status", "detail"), WRONG)
def test_a_wrong_request_is_told_what_is_right(
    method: str, path: str, body: Any, status: int, detail: str
) -> None:
    """Whoever writes a client would have to guess what the server dislikes; or it would break."""

    async def main() -> None:
        async with asking(limit=1) as client:
            held, waiting = (await client.permit()).body["id"], (await client.permit()).body["id"]
            where = path.replace("{held}", held).replace("{waiting}", waiting)
            kind = {"Content-Type": "application/json"}
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent = {} if body is None else {"data": io.BytesIO(raw), "headers": kind}
            answer = await client.ask(method, where, **sent)
            assert answer.status == answer.body["status"] == status
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert detail in answer.body["detail"]
            assert "open_gate" not in answer.body["detail"], "advice for Python"
            for name, state in [(held, "dialling"), (waiting, "waiting")]:
                now = await client.ask("GET", f"/v1/permits/{name}")
                assert now.body["state"] == state, "the request has changed something"
            assert client.workspace.permits.live == 2

    run(main())


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_only_json_is_taken(kind: str | None) -> None:
    """A form on any page in a browser on this machine could take slots, or pause a campaign."""

    async def main() -> None:
        async with asking() as client:
            headers = {} if kind is None else {"Content-Type": kind}
            skipped = {"skip_auto_headers": ["Content-Type"]}
            answer = await client.ask(
                "POST", "/v1/pause", data=b'{"lane": null}', headers=headers, **skipped
            )
            assert answer.status == 415

    run(main())


@jumping
async def test_a_permit_is_found_in_its_own_workspace_only() -> None:
    """Another workspace's client could report on, or take, a permit whose id it came to know."""
    async with asking(limit=5) as client:
        held = (await client.permit(key="lead 1")).body
        other = {"Authorization": "Bearer key_of_nobody"}
        answer = await client.ask("GET", f"/v1/permits/{held['id']}", headers=other)
        assert answer.status in {401, 503}
        assert "key_of_nobody" not in str(answer)

"""What the server tells and takes beside permits, on a clock that jumps."""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
import time
from typing import Any

import pytest

from callguard import Lane
from callguard.ledger import workspace_hash
from callguard.serve.settings import ServeSettings, WorkspaceSettings
from tests.support.virtual_time import jumping
from tests.unit.serve.support import UNRATED, Client, asking

LANES = ServeSettings(workspace=WorkspaceSettings(lanes=(Lane("vip"),), cps=1.0))


@jumping
async def test_the_status_is_that_of_the_gate() -> None:
    """An operator would look at numbers that are not the gate's."""
    async with asking(limit=7) as client:
        await client.permit()
        status = await client.ask("GET", "/v1/status")
        assert status.status == 200
        assert status.body["workspace"] == client.workspace.id
        assert status.body["usage"]["dialling"] == 1


@jumping
async def test_a_call_is_explained_in_a_sentence_and_in_numbers() -> None:
    """A dialer would have to guess why it waits."""
    async with asking(limit=1, settings=LANES) as client:
        free = await client.ask("GET", "/v1/explain?lane=vip")
        assert free.body["admitted"]
        assert (free.body["lane"], free.body["limit"]) == ("vip", 1)
        await client.permit(lane="vip")
        full = await client.ask("GET", "/v1/explain?lane=vip&trunk=")
        assert not full.body["admitted"]
        assert full.body["sentence"].startswith("denied: 1 of 1 in use")
        assert (full.body["constraint"], full.body["headroom"]) == ("limit", 0)
        assert full.body["trunk"] is None


@jumping
async def test_whoever_names_no_lane_where_none_is_the_default_is_told_the_lanes() -> None:
    """A client in another language would be told what to write in Python."""
    lanes = (Lane("vip"), Lane("bulk"))
    settings = ServeSettings(workspace=WorkspaceSettings(lanes=lanes))
    async with asking(settings=settings) as client:
        answer = await client.ask("GET", "/v1/explain")
        assert (answer.status, answer.body["detail"]) == (
            400,
            "the gate has lanes, and none is the default, so name one of 'vip', 'bulk'",
        )


@jumping
async def test_a_pause_stops_the_permits_of_its_lane_until_it_is_lifted() -> None:
    """An operator's order would not be followed, or never end."""
    async with asking(limit=5, settings=LANES) as client:
        paused = await client.ask("POST", "/v1/pause", {"lane": "vip", "reason": "lunch"})
        assert paused.status == 200
        (pause,) = paused.body["pauses"]
        assert (pause["lane"], pause["trunk"], pause["reason"]) == ("vip", None, "lunch")
        assert (await client.permit(lane="vip")).status == 202
        denied = await client.permit(lane="vip", wait=0)
        assert denied.status == 429
        assert "lunch" in denied.body["detail"]
        resumed = await client.ask("POST", "/v1/resume", {"lane": "vip"})
        assert (resumed.body["resumed"], resumed.body["pauses"]) == (True, [])
        assert not (await client.ask("POST", "/v1/resume", {"lane": "vip"})).body["resumed"]


@jumping
async def test_a_server_that_is_read_only_takes_no_orders() -> None:
    """A screen on the wall could stop the campaign."""
    settings = ServeSettings(read_only=True)
    async with asking(settings=settings) as client:
        for order in ("pause", "resume", "drain"):
            assert (await client.ask("POST", f"/v1/{order}")).status == 403
        assert (await client.ask("GET", "/v1/status")).status == 200


@jumping
async def test_a_load_balancer_learns_when_no_more_calls_are_welcome() -> None:
    """It would send new calls to a server that stops."""
    async with asking() as client:
        healthy = await client.ask("GET", "/healthz")
        assert (healthy.status, healthy.body) == (200, {"status": "ok"})
        assert not client.workspaces.open(), "asking opened a gate"
        await client.workspaces.drain()
        assert (await client.ask("GET", "/healthz")).status == 503


@jumping
async def test_prometheus_reads_the_metrics_of_every_workspace() -> None:
    """A campaign would run without a graph or an alert."""
    async with asking(limit=5) as client:
        before = await client.ask("GET", "/metrics")
        assert (before.status, before.body) == (200, "")
        await client.permit()
        after = await client.ask("GET", "/metrics")
        assert after.headers["Content-Type"].startswith("text/plain; version=")
        assert f'workspace="{client.workspace.id}"' in after.body
        assert client.workspace.key not in after.body


@jumping
async def test_a_server_without_prometheus_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server would not start, or nobody would know why there are no metrics."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with asking() as client:
        await client.permit()
        missing = await client.ask("GET", "/metrics")
        assert missing.status == 501
        assert "pip install 'prometheus-client" in missing.body["detail"]


@jumping
async def test_the_time_to_renew_is_the_servers_setting() -> None:
    """A permit would be given up long before or after the operator wants it."""
    async with asking(settings=ServeSettings(renew_within=5.0)) as client:
        held = (await client.permit()).body
        assert held["expires_in"] == pytest.approx(5.0)
        await asyncio.sleep(6.0)
        assert (await client.ask("GET", f"/v1/permits/{held['id']}")).body["state"] == "placed"


@jumping
async def test_a_permit_of_another_workspace_keeps_its_name_in_its_address() -> None:
    """A client that follows the address would ask the default workspace."""
    async with asking() as client:
        await client.permit()
        held = await client.ask("POST", f"/v1/permits?workspace={client.workspace.id}", {})
        at = held.headers["Location"]
        assert at == f"/v1/permits/{held.body['id']}?workspace={client.workspace.id}"
        assert (await client.ask("GET", at)).body["id"] == held.body["id"]


OPEN, GUARDED = (
    ["/healthz", "/openapi.json"],
    ["/v1/status", "/v1/explain", "/v1/events", "/v1/permits/x", "/v1/nothing", "/metrics"],
)


@jumping
async def test_only_who_has_the_token_is_told_anything() -> None:
    """Anybody on the network could see a campaign, or stop it."""
    token = "a secret of ours"
    async with asking(settings=ServeSettings(token=token, workspace=UNRATED)) as client:
        for path in OPEN:
            assert (await client.ask("GET", path)).status == 200
        wrong: list[dict[str, str]] = [{}, {"Authorization": "Bearer guessed"}]
        for path in GUARDED:
            for headers in wrong:
                answer = await client.ask("GET", path, headers=headers)
                assert answer.status == 401
                assert token not in str(answer)
        for order in ("permits", "pause", "resume", "drain"):
            assert (await client.ask("POST", f"/v1/{order}")).status == 401
        assert not client.workspaces.open(), "a stranger opened a gate"
        right = [{"Authorization": f"Bearer {token}"}, {"X-Callguard-Token": token}]
        for headers in right:
            answer = await client.ask("POST", "/v1/permits", headers=headers)
            assert answer.status == 201


async def deliver(client: Client, event: str, key: str | None = None, at: str = "") -> Any:
    body = json.dumps({"event": event, "call": {"call_id": "call_1"}}).encode()
    stamp = str(int(time.time() * 1000))
    secret = client.workspace.key if key is None else key
    digest = hmac.new(secret.encode(), body + stamp.encode(), "sha256").hexdigest()
    headers = {"X-Retell-Signature": f"v={stamp},d={digest}"}
    return await client.ask("POST", f"/webhooks/retell{at}", data=body, headers=headers)


@jumping
async def test_a_webhook_frees_the_slot_of_a_call_that_is_over() -> None:
    """The slot would wait for a snapshot."""
    async with asking(limit=1) as client:
        held = (await client.permit()).body
        await client.ask("PUT", f"/v1/permits/{held['id']}/placed", {"call_id": "call_1"})
        forged = await deliver(client, "call_ended", "wrong key")
        assert (forged.status, forged.body["type"]) == (401, "urn:callguard:webhook")
        assert client.workspace.gate.statistics().usage.total == 1
        named = f"?workspace={workspace_hash(client.workspace.key)}"
        for at in ("", named):
            assert (await deliver(client, "call_ended", at=at)).status == 204
        assert client.workspace.gate.statistics().usage.total == 0
        assert (await deliver(client, "call_ended", at="?workspace=other")).status == 404


@jumping
async def test_no_key_is_in_what_a_workspace_shows_of_itself() -> None:
    """A key would get into a log by way of a representation."""
    async with asking() as client:
        await client.permit()
        workspace = client.workspace
        shown = repr(workspace) + json.dumps((await client.ask("GET", "/v1/status")).body)
        assert workspace.key not in shown


@jumping
async def test_a_path_that_there_is_not_goes_to_nobody() -> None:
    """The server's token would be forwarded to the provider by a slip of the pen."""
    async with asking() as client:
        answer = await client.ask("GET", "/v1/statuss")
        assert answer.status == 404
        assert "/openapi.json" in answer.body["detail"]


@pytest.mark.parametrize("path", ["/v1/pause", "/v1/permits"])
@jumping
async def test_a_page_of_another_site_is_refused(path: str) -> None:
    """Any page in a browser on this machine could pause a campaign, or take its slots."""
    async with asking() as client:
        foreign = {"Origin": "https://evil.example", "Content-Type": "application/json"}
        answer = await client.ask("POST", path, data=b"{}", headers=foreign)
        assert answer.status == 403

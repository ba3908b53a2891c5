"""The command `callguard doctor` against real servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port
from redis.asyncio import Redis

from callguard import Lane, RedisLedger, open_gate
from callguard.cli.exits import ExitCode
from callguard.doctor import Finding, Setup, deliveries, examine, ledger, provider, webhooks
from callguard.ledger.redis.keys import Names
from callguard.simulator import Faults, serve
from callguard.testing import RedisServer
from tests.integration.support import LONGEST, Command, served

KEY = "key_of_the_doctor"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is slow in everything, which is not the subject here."""
    monkeypatch.setattr(provider, "_SLOW", LONGEST)
    monkeypatch.setattr(ledger, "_SLOW", LONGEST)
    monkeypatch.setattr(ledger, "_LATE", LONGEST)
    monkeypatch.setattr(webhooks, "_SLOW", LONGEST)


def findings(out: str) -> dict[str, list[str]]:
    """What was found by check: each as "severity: what"."""
    found: dict[str, list[str]] = {}
    for each in json.loads(out)["findings"]:
        found.setdefault(each["check"], []).append(f"{each['severity']}: {each['what']}")
    return found


def examined(command: Command, *arguments: str, **workspace: Any) -> tuple[int, dict[str, Any]]:
    """The exit code and the findings of a simulated workspace."""
    with served(api_key=KEY, **workspace) as server:
        ended = command(
            "doctor", "--json", *arguments, RETELL_API_KEY=KEY, RETELL_BASE_URL=server.url
        )
    assert KEY not in ended.out + ended.err
    return ended.code, findings(ended.out)


def test_a_workspace_in_which_nothing_is_wrong(command: Command) -> None:
    """Whoever does everything right would not be told so."""
    code, found = examined(command, limit=20)
    assert code == ExitCode.OK
    assert found["key"] == ["ok: the provider accepts the key"]
    assert found["clock"][0].startswith("ok: ")
    assert found["lanes"] == ["ok: with the workspace empty, calls fit on 'default' up to 20"]


def test_a_workspace_in_which_much_is_wrong(command: Command) -> None:
    """A finding would be right in words, and be found in no workspace."""
    arguments = ("--lane", "urgent:burst=5", "--lane", "bulk:reserve=30", "--cps", "200")
    code, found = examined(command, *arguments, limit=20, reserved_inbound=2, clock_offset=-400.0)
    assert code == ExitCode.FAILED
    assert found["clock"][0].startswith("error: this machine's clock is ")
    assert found["lanes"][0].startswith("error: lane 'bulk' leaves 30 slots free")
    assert found["burst"][0].startswith("warning: lanes that may burst ('urgent')")
    assert found["trunks"][0].startswith("warning: the default trunk starts 200 calls a second")


def test_a_provider_with_faults(command: Command) -> None:
    """A provider that gives no answer would be taken for one without limits."""
    code, found = examined(command, faults=Faults(rate=1.0, kinds=("500",)))
    assert code == ExitCode.FAILED
    assert found["answers"][0].startswith("error: none of 3 readings succeeded")
    assert found["key"][0].startswith("unknown: ")
    assert "room" not in found
    code, found = examined(command, faults=Faults(rate=1.0, kinds=("broken-json",)))
    assert found["address"][0].startswith("error: ")
    assert "malformed" in found["address"][0]


def test_a_key_that_is_refused(command: Command) -> None:
    """A wrong key would be found by the first call of the campaign."""
    with served(api_key=KEY) as server:
        ended = command("doctor", "--json", RETELL_API_KEY="key_wrong", RETELL_BASE_URL=server.url)
    assert ended.code == ExitCode.FAILED
    assert findings(ended.out)["key"][0].startswith("error: the provider doesn't know the key")
    assert "key_wrong" not in ended.out + ended.err


LANES = [Lane("urgent", burst=5, default=True), Lane("bulk", priority=1, reserve=2)]


def said(found: Sequence[Finding], check: str) -> list[str]:
    """What a check has found, each as "severity: what"."""
    return [f"{each.severity}: {each.what}" for each in found if each.check == check]


async def at_ledger(url: str, ledger: str, **setup: Any) -> list[Finding]:
    """The findings for a simulated workspace and a real ledger's server."""
    well = {"api_key": KEY, "base_url": url, "ledger": ledger, "lanes": LANES}
    found = await examine(Setup(**well | setup))
    assert "s3cr3t" not in repr([asdict(each) for each in found])
    return found


@pytest.fixture
async def workspace() -> AsyncIterator[str]:
    """The address of a simulated workspace."""
    async with serve(api_key=KEY) as server:
        yield server.url


async def test_a_healthy_ledger(workspace: str, own_redis: RedisServer) -> None:
    """The doctor would find fault with what every test here uses, or leave something there."""
    async with open_gate(KEY, base_url=workspace, ledger=own_redis.url):
        found = await at_ledger(workspace, own_redis.url)
    assert said(found, "ledger") == ["ok: 1 gate shares the ledger"]
    assert said(found, "rights") == ["ok: the server carries out every command that gates send"]
    assert said(found, "persistence") == ["note: the server saves nothing to its disk"]
    healthy = "encryption", "version", "eviction", "replicas", "cluster", "other ledgers"
    for check in (*healthy, "premises", "pauses", "server clock", "shared rates"):
        assert said(found, check)[0].startswith("ok: "), check
    async with Redis.from_url(own_redis.url) as client:
        assert not [key for key in await client.keys("*") if b"trial" in key]


async def test_a_server_that_may_lose_the_ledger(workspace: str, own_redis: RedisServer) -> None:
    """Nobody would be admitted when the server's memory is full, and nobody would know why."""
    async with Redis.from_url(own_redis.url) as client:
        await client.config_set("maxmemory", "100mb")
        await client.config_set("maxmemory-policy", "allkeys-lru")
        await client.config_set("save", "3600 1")
        found = await at_ledger(workspace, own_redis.url)
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("appendonly", "yes")
        mended = await at_ledger(workspace, own_redis.url)
    assert said(found, "eviction")[0].startswith("warning: the server evicts keys")
    assert said(found, "persistence") == ["ok: the server saves its data (save 3600 1)"]
    assert said(mended, "eviction") == ["ok: the server evicts nothing"]
    assert said(mended, "persistence") == ["ok: the server logs each change (appendonly)"]


async def test_a_server_with_a_password(workspace: str, own_redis: RedisServer) -> None:
    """A password would be shown, or a wrong one be found by the first worker."""
    async with Redis.from_url(own_redis.url) as client:
        await client.config_set("requirepass", "s3cr3t")
    right = own_redis.url.replace("redis://", "redis://:s3cr3t@")
    wrong = own_redis.url.replace("redis://", "redis://:s3cr3t-no@")
    assert said(await at_ledger(workspace, right), "ledger")[0].startswith("note: no gate")
    assert said(await at_ledger(workspace, wrong), "ledger")[0].startswith("error: ")
    (without,) = said(await at_ledger(workspace, own_redis.url), "ledger")
    assert without.startswith("error: ")


async def test_a_user_who_may_do_little(workspace: str, own_redis: RedisServer) -> None:
    """What nobody may look at would be taken for right, or what gates need for there."""
    async with Redis.from_url(own_redis.url) as client:
        keys, channels = ["callguard:*"], ["callguard:*"]

        async def allow(user: str, *commands: str) -> str:
            await client.acl_setuser(
                user,
                enabled=True,
                passwords=["+s3cr3t"],
                commands=["+@all", *commands],
                keys=keys,
                channels=channels,
                reset_channels=True,  # Redis 6.2 lets a new user see all of them
            )
            return own_redis.url.replace("redis://", f"redis://{user}:s3cr3t@")

        curious = await allow("no-looking", "-info", "-config")
        unscripted = await allow("no-scripts", "-@scripting")
        reader = await allow("no-writing", "-@write")
        mute = await allow("no-pushes", "-publish")
        deaf = await allow("no-listening", "-subscribe")
    found = await at_ledger(workspace, curious)
    assert said(found, "rights") == ["ok: the server carries out every command that gates send"]
    for check in ("version", "eviction", "persistence", "replicas", "cluster"):
        assert said(found, check)[0].startswith("unknown: "), check
    found = await at_ledger(workspace, unscripted)
    assert said(found, "ledger")[0].startswith("error: the ledger's server denies this user")
    assert said(found, "rights")[0].startswith("error: the ledger's server denies this user")
    (reading,) = said(await at_ledger(workspace, reader), "rights")
    assert reading.startswith("error: the server refuses HSET and ")
    assert said(await at_ledger(workspace, mute), "rights")[0].startswith("warning: ")
    assert said(await at_ledger(workspace, deaf), "rights")[0].startswith("warning: ")


async def test_a_server_that_takes_no_changes(
    workspace: str, own_redis: RedisServer, redis_program: Path
) -> None:
    """Gates would be pointed at a replica, or at a master without the replicas that it wants."""
    with RedisServer("--replicaof", "127.0.0.1", str(own_redis.port), program=redis_program) as two:
        found = await at_ledger(workspace, two.url)
    assert said(found, "replicas") == ["error: the server is a replica"]
    assert "READONLY" in said(found, "rights")[0]
    async with Redis.from_url(own_redis.url) as client:
        await client.config_set("min-replicas-to-write", "1")
        found = await at_ledger(workspace, own_redis.url)
    assert "NOREPLICAS" in said(found, "rights")[0]


async def test_a_node_of_a_cluster(workspace: str, redis_program: Path) -> None:
    """An address of a cluster would work until a key is on another node."""
    with RedisServer("--cluster-enabled", "yes", program=redis_program) as node:
        found = await at_ledger(workspace, node.url)
    assert said(found, "cluster") == ["warning: the server is a node of a cluster"]
    assert said(found, "ledger")[0].startswith("error: ")


async def test_a_server_that_is_away(workspace: str, own_redis: RedisServer) -> None:
    """The doctor would hang with the server, or take silence for health."""
    own_redis.pause()
    try:
        hanging = await at_ledger(workspace, own_redis.url)
    finally:
        own_redis.resume()
    own_redis.stop()
    stopped = await at_ledger(workspace, own_redis.url)
    for found in (hanging, stopped):
        assert said(found, "ledger")[0].startswith("error: the ledger's server ")
        assert not said(found, "version")
        assert said(found, "key")[0].startswith("ok: ")


async def test_what_gates_have_written_down(
    workspace: str, own_redis: RedisServer, no_grace: None
) -> None:
    """Two ledgers of one workspace, a pause or a broken premise would be found by a refusal."""
    one = RedisLedger.from_url(own_redis.url, name="one")
    two = RedisLedger.from_url(own_redis.url, name="two")
    async with (
        one,
        two,
        open_gate(KEY, base_url=workspace, ledger=one) as gate,
        open_gate(KEY, base_url=workspace, ledger=two) as other,
        Redis.from_url(own_redis.url, decode_responses=True) as client,
    ):
        for each in (gate, other):
            async with each.admit() as permit:
                permit.cancel()
        await one.pause(KEY, trunk="twilio", by="host:1", reason="carrier trouble")
        keys = Names("one").keys
        workers: list[Any] = await client.hkeys(keys[2].decode())
        broken = json.dumps([5.0, 1.0, "dials were refused; set a lower cps"])
        await client.hset(keys[0].decode(), "premise/cps", f"0 {workers[0]} {broken}")
        found = await at_ledger(workspace, own_redis.url, ledger_name="one")
    assert said(found, "pauses")[0].startswith("warning: trunk 'twilio' paused from host:1")
    assert "set a lower cps" in said(found, "premises")[0]
    (alike,) = said(found, "other ledgers")
    assert alike.startswith(f"warning: another ledger here, {two.workspace_hash(KEY)}, ")


def test_a_ledger_on_the_command_line(command: Command, own_redis: RedisServer) -> None:
    """The options of the ledger would not be passed on."""
    code, found = examined(command, "--ledger", own_redis.url, "--name", "production")
    assert code == ExitCode.OK
    assert found["ledger"] == ["note: no gate has used this ledger for an hour, if ever"]
    code, found = examined(command, "--ledger", "redis://:s3cr3t@localhost/zero")
    assert code == ExitCode.FAILED
    assert found["ledger"][0].startswith("error: the ledger's address has a database")


@asynccontextmanager
async def receiver_of(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """The address of a receiver of webhooks that is somebody's own."""
    app = web.Application()
    app.router.add_post("/s3cr3t", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{site.port}/s3cr3t"
    finally:
        await runner.cleanup()


async def test_a_receiver_that_verifies(workspace: str) -> None:
    """A receiver made of callguard's own parts would be found fault with."""
    example, port = import_module("examples.webhooks_aiohttp"), unused_port()
    async with (
        open_gate(KEY, base_url=workspace) as gate,
        example.taking_webhooks(gate, KEY, port),
    ):
        url = f"http://127.0.0.1:{port}/webhook"
        setup = Setup(api_key=KEY, base_url=workspace, webhook_url=url)
        found = await examine(setup)
        another = await examine(replace(setup, api_key="key_of_another_workspace"))
    where = f"ok: http://127.0.0.1:{port}"
    assert [each.split(" in ")[0] for each in said(found, "receiver")] == [
        f"{where} took a genuine delivery",
        f"{where} refused a delivery without a signature, with 401",
        f"{where} refused a delivery that is signed with another key, with 401",
        f"{where} refused a delivery that was signed 600 s ago, with 401",
    ]
    assert said(another, "receiver")[0].startswith("error: ")


async def test_receivers_that_do_not(workspace: str) -> None:
    """Anyone could tell the gate that calls are over, and the doctor would not notice."""

    async def credulous(request: web.Request) -> web.Response:
        return web.Response(text=json.loads(await request.read())["call"]["call_id"])

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    async def hanging_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    expected = {
        credulous: ["ok", "error", "error", "warning"],
        moved: ["error", "unknown"],
        hanging_up: ["error"],
    }
    for handle, severities in expected.items():
        async with receiver_of(handle) as url:
            found = await examine(Setup(api_key=KEY, base_url=workspace, webhook_url=url))
        got = [each.severity for each in found if each.check == "receiver"]
        assert sorted(got) == sorted(severities), handle
        assert "s3cr3t" not in repr(found)


async def test_a_receiver_that_hangs(workspace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor would wait for ever, or take a receiver for good that the provider gives up."""
    monkeypatch.setattr(deliveries, "_PATIENCE", 0.1)

    async def hanging(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with receiver_of(hanging) as url:
        found = await examine(Setup(api_key=KEY, base_url=workspace, webhook_url=url))
    (only,) = said(found, "receiver")
    assert only.startswith("error: ")
    assert only.endswith("took no delivery: it gave no answer in 0.1 s")

"""The commands for a shared ledger, on a real server and in real processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from threading import Event
from typing import Any

import pytest
from redis.asyncio import Redis

from callguard import RedisLedger, open_gate
from callguard.cli.contents import look
from callguard.cli.exits import ExitCode
from callguard.ledger.redis import neighbours
from callguard.ledger.redis.keys import workspace_hash
from callguard.simulator import Constant, serve
from callguard.testing import RedisServer
from tests.integration.support import LONGEST, Command, Ended, environment, served


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other ledgers are looked for until all are found, however many tests have left there."""
    monkeypatch.setattr(neighbours, "_PATIENCE", LONGEST)


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "callguard", *arguments),
        env=environment(),
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what other processes do."""
    async with asyncio.timeout(LONGEST):
        while not await condition():  # noqa: ASYNC110 - they set no event
            await asyncio.sleep(0.02)


async def hold(
    url: str, api_key: str, ledger: str, name: str | None, held: Future[None], let_go: Event
) -> None:
    """Hold a slot of two, with one call placed and one caller queued, until told to let go."""
    async with (
        # A lease of which no busy machine uses up half, or the worker would be shown as silent.
        RedisLedger.from_url(ledger, name=name, lease=60.0) as contents,
        open_gate(api_key, base_url=url, ledger=contents) as gate,
    ):
        async with gate.admit():
            pass
        async with gate.admit():
            waiting = asyncio.create_task(gate.admit().__aenter__())

            async def waits() -> bool:
                return bool((await contents.look(api_key)).waiting)

            await until(waits)
            held.set_result(None)
            await asyncio.to_thread(let_go.wait)
            waiting.cancel()
            await asyncio.wait([waiting])


@contextmanager
def holding(url: str, api_key: str, ledger: str, name: str | None = None) -> Iterator[None]:
    """`hold`, in a thread of its own, beside a command that has the main one."""
    held, let_go = Future[None](), Event()
    with ThreadPoolExecutor(1) as threads:
        held_up = threads.submit(asyncio.run, hold(url, api_key, ledger, name, held, let_go))
        try:
            wait([held, held_up], LONGEST, FIRST_COMPLETED)
            if held_up.done():
                held_up.result()
            assert held.done()
            yield
        finally:
            let_go.set()
        held_up.result(LONGEST)


def test_pause_and_resume(redis_url: str, workspace_key: str, command: Command) -> None:
    """Nobody could stop a campaign whose carrier is in trouble, but by ending its workers."""
    with (
        served(limit=2, api_key=workspace_key) as server,
        holding(server.url, workspace_key, redis_url),
    ):
        paused, shown, listed, standing, stands, resumed, again, other = (
            command(
                *arguments,
                RETELL_API_KEY=workspace_key,
                RETELL_BASE_URL=server.url,
                CALLGUARD_LEDGER=redis_url,
            )
            for arguments in (
                ("pause", "--lane", "default", "--reason", "carrier trouble"),
                ("ps",),
                ("ps", "--json"),
                ("status",),
                ("status", "--json"),
                ("resume", "--lane", "default"),
                ("resume", "--lane", "default"),
                ("pause", "--name", "nobody's"),
            )
        )
    assert (paused.code, paused.out) == (ExitCode.OK, "lane 'default' paused\n")
    for each in (shown, standing):
        assert re.search(r"lane 'default' paused from \S+ \d+ s ago \(\"carrier", each.err)
    for each in (listed, stands):
        [pause] = json.loads(each.out)["pauses"]
        assert (pause["lane"], pause["trunk"], pause["reason"]) == (
            "default",
            None,
            "carrier trouble",
        )
        assert pause["by"]
        assert 0.0 <= pause["seconds"] < LONGEST
    assert (resumed.code, resumed.out) == (ExitCode.OK, "lane 'default' resumed\n")
    assert again.code == ExitCode.FAILED
    assert "lane 'default' was not paused" in again.err
    assert other.code == ExitCode.FAILED
    assert "no gate has used this ledger, " in other.err


def test_what_is_still_paused(redis_url: str, workspace_key: str, command: Command) -> None:
    """Whoever resumes would not learn by which option what is still paused is resumed."""
    with (
        served(limit=2, api_key=workspace_key) as server,
        holding(server.url, workspace_key, redis_url),
    ):

        def said(*arguments: str) -> Ended:
            return command(*arguments, RETELL_API_KEY=workspace_key, CALLGUARD_LEDGER=redis_url)

        nothing = said("resume")
        said("pause", "--lane", "default", "--trunk", "a b")
        other = said("resume")
        said("pause")
        lifted = said("resume")
    assert nothing.err == "everything was not paused; nothing is\n"
    resume = "`callguard resume --lane default --trunk 'a b'`"
    still = f"still paused: lane 'default' on trunk 'a b' ({resume})\n"
    assert (other.code, other.err) == (ExitCode.FAILED, f"everything was not paused; {still}")
    assert (lifted.code, lifted.out) == (ExitCode.OK, "everything resumed\n")
    assert lifted.err == still


def test_a_pause_of_a_name_that_nobody_has(
    redis_url: str, workspace_key: str, command: Command
) -> None:
    """A typing error in an emergency would pause nothing, and look like success."""
    with (
        served(limit=2, api_key=workspace_key) as server,
        holding(server.url, workspace_key, redis_url),
    ):
        right, lane, trunk, listed = (
            command(*arguments, RETELL_API_KEY=workspace_key, CALLGUARD_LEDGER=redis_url)
            for arguments in (
                ("pause", "--lane", "default", "--trunk", "default"),
                ("pause", "--lane", "foo"),
                ("pause", "--trunk", "bar"),
                ("ps", "--json"),
            )
        )
    assert (right.code, right.err) == (ExitCode.OK, "")
    assert (lane.code, lane.out) == (ExitCode.OK, "lane 'foo' paused\n")
    assert re.match("warning: nobody dials or waits on a lane 'foo' .* 'default': ", lane.err)
    assert "`callguard resume --lane foo` lifts this pause" in lane.err
    assert (trunk.code, trunk.out) == (ExitCode.OK, "trunk 'bar' paused\n")
    assert re.match(
        "warning: no gate .* has a trunk 'bar' with a limit, but 'default': ", trunk.err
    )
    assert len(json.loads(listed.out)["pauses"]) == 3


def test_drain(redis_url: str, workspace_key: str, command: Command) -> None:
    """Whoever stops all workers would not know when no call is left that only the ledger knows."""
    with served(limit=2, api_key=workspace_key) as server:

        def said(*arguments: str) -> Ended:
            return command(
                *arguments,
                RETELL_API_KEY=workspace_key,
                RETELL_BASE_URL=server.url,
                CALLGUARD_LEDGER=redis_url,
            )

        with holding(server.url, workspace_key, redis_url):
            early = said("drain", "--reason", "maintenance", "--timeout", "0.001")
            [pause] = json.loads(said("ps", "--json").out)["pauses"]
            resumed = said("resume")
        absent = said("drain", "--name", "nobody's")
        senseless = said("drain", "--timeout", "0")
    assert (early.code, early.out) == (ExitCode.FULL, "everything paused\n")
    assert re.search(r"^[12] calls? (is|are) being dialled, or may not be", early.err, re.MULTILINE)
    assert "everything is still paused, until `callguard resume`" in early.err
    assert (pause["lane"], pause["trunk"], pause["reason"]) == (None, None, "maintenance")
    assert resumed.code == ExitCode.OK
    assert (absent.code, senseless.code) == (ExitCode.FAILED, ExitCode.WRONG_USE)


async def test_a_drain_that_is_interrupted(redis_url: str, workspace_key: str) -> None:
    """Whoever gives up waiting would not know that the whole workspace stays paused."""
    name = f"of {workspace_key}"
    with (
        served(limit=2, api_key=workspace_key) as server,
        holding(server.url, workspace_key, redis_url, name=name),
    ):
        async with started("drain", "--name", name, "--ledger", redis_url) as draining:
            assert draining.stderr is not None
            progress = (await draining.stderr.readline()).decode()
            draining.send_signal(signal.SIGINT)
            _, err = await draining.communicate()
    assert re.match(r"waiting: [12] calls? (is|are) being dialled", progress)
    assert draining.returncode == ExitCode.INTERRUPTED
    resume = f"`callguard resume --name '{name}'`"
    assert f"everything is still paused, until {resume}\ninterrupted\n" in err.decode()


async def test_a_ledger_without_calls_has_drained(redis_url: str, workspace_key: str) -> None:
    """The command would wait for calls that are in the count, or for none at all."""
    name = f"of {workspace_key}"
    async with (
        serve(limit=2, api_key=workspace_key) as server,
        RedisLedger.from_url(redis_url, name=name) as ledger,
        open_gate(workspace_key, base_url=server.url, ledger=ledger),
        started("drain", "--name", name, "--ledger", redis_url) as draining,
    ):
        out, _ = await draining.communicate()
        assert draining.returncode == ExitCode.OK
        assert out.decode().split(maxsplit=2)[:2] == ["everything", "paused"]
        assert "drained" in out.decode()


async def test_draining_connects_once(own_redis: RedisServer) -> None:
    """The server could be lost between the pause and the wait, and a far one be greeted twice."""
    async with Redis.from_url(own_redis.url) as client:

        async def connections() -> int:
            return int((await client.info("stats"))["total_connections_received"])

        async with (
            serve(limit=2) as server,
            RedisLedger.from_url(own_redis.url, name="ours") as ledger,
            open_gate(server.api_key, base_url=server.url, ledger=ledger),
        ):
            pass
        before = await connections()
        async with started("drain", "--name", "ours", "--ledger", own_redis.url) as draining:
            await draining.communicate()
        assert draining.returncode == ExitCode.OK
        assert await connections() - before == 1


def test_ps_and_status(redis_url: str, workspace_key: str, command: Command) -> None:
    """Nobody could see who holds the slots of a shared ledger, who waits, and what fits."""
    with (
        served(limit=2, api_key=workspace_key) as server,
        holding(server.url, workspace_key, redis_url),
    ):
        shown, listed, standing, stands = (
            command(
                *arguments,
                RETELL_API_KEY=workspace_key,
                RETELL_BASE_URL=server.url,
                CALLGUARD_LEDGER=redis_url,
            )
            for arguments in (("ps",), ("ps", "--json"), ("status",), ("status", "--json"))
        )
    rows = [line.split() for line in shown.out.splitlines()]
    worker = rows[1][0]
    assert [row[1:4] for row in rows[1:4]] == [
        ["default", "dialling", "1"],
        ["default", "uncounted", "1"],
        ["default", "waiting", "1"],
    ]
    assert "usage 2 of 2: " in shown.out
    assert worker.endswith(f":{os.getpid()}")
    assert shown.code == listed.code == ExitCode.OK
    fields = json.loads(listed.out)
    assert [permit["state"] for permit in fields["permits"]] == ["uncounted", "dialling"]
    assert {each["worker"] for each in (*fields["permits"], *fields["waiting"])} == {worker}
    for each in (shown, standing):
        assert "trunk 'default': 1 a second; next start" in each.out
    for each in (listed, stands):
        [trunk] = json.loads(each.out)["trunks"]
        assert (trunk["name"], trunk["cps"], trunk["window"]) == ("default", 1.0, None)
        assert 0.0 <= trunk["due_in"] <= 1.05
        assert not trunk["pushed_back"]
    assert standing.code == stands.code == ExitCode.FULL
    assert "1 dialling, 1 uncounted" in standing.out
    fields = json.loads(stands.out)
    assert (fields["dialling"], fields["uncounted"], fields["waiting"]) == (1, 1, 1)


def test_ps_prints_metrics(redis_url: str, workspace_key: str, command: Command) -> None:
    """A cron job that feeds Prometheus would get nothing, or another workspace's numbers."""
    with (
        served(limit=2, api_key=workspace_key) as server,
        holding(server.url, workspace_key, redis_url),
    ):
        environment = {"RETELL_API_KEY": workspace_key, "CALLGUARD_LEDGER": redis_url}
        shown = command("ps", "--metrics", **environment)
        both = command("ps", "--metrics", "--json", **environment)
    assert shown.code == ExitCode.OK
    found = dict(line.rsplit(" ", 1) for line in shown.out.splitlines() if line[0] != "#")
    (workspace,) = {re.findall(r'workspace="(\w+)"', series)[0] for series in found}
    for labels, value in (
        ('calls{state="dialling",', 1),
        ('calls{state="uncounted",', 1),
        ("usage{", 2),
        ('waiting{lane="default",', 1),
        ('limit{kind="normal",', 2),
        ('gates{state="answered",', 1),
    ):
        assert float(found[f'callguard_{labels}workspace="{workspace}"}}']) == value
    assert workspace_key not in shown.out
    assert both.code == ExitCode.WRONG_USE
    assert "exclude each other" in both.err


def test_ps_of_a_wrong_key(redis_url: str, workspace_key: str, command: Command) -> None:
    """A typing error in the key would be shown as a ledger that nobody uses, and as success."""
    with (
        served(limit=2, api_key=workspace_key) as server,
        holding(server.url, workspace_key, redis_url),
    ):
        plain, as_json, by_name = (
            command("ps", *options, RETELL_API_KEY=f"{workspace_key}x", CALLGUARD_LEDGER=redis_url)
            for options in ((), ("--json",), ("--name", f"no {workspace_key}"))
        )
    assert {plain.code, as_json.code, by_name.code} == {ExitCode.FAILED}
    assert (plain.out, by_name.out) == ("", "")
    for ended, looked_for in ((plain, f"{workspace_key}x"), (by_name, f"no {workspace_key}")):
        assert f"no gate has used this ledger, {workspace_hash(looked_for)}, for" in ended.err
        assert workspace_hash(workspace_key) in ended.err.partition("others here")[2]
        assert workspace_key not in ended.err
    assert "check RETELL_API_KEY, or pass --name" in plain.err
    assert by_name.err.endswith("; check --name\n")
    assert json.loads(as_json.out)["exit"] == ExitCode.FAILED


async def test_two_ledgers_of_one_workspace_are_warned_of(
    redis_url: str, workspace_key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two API keys of a workspace would each fill its limit, and every second dial be refused."""
    one, other, elsewhere = (f"{workspace_key} {number}" for number in (1, 2, 3))
    async with AsyncExitStack() as stack:
        workspace = await stack.enter_async_context(serve(limit=77))
        another = await stack.enter_async_context(serve(limit=78))
        for server, name in ((workspace, one), (workspace, other), (another, elsewhere)):
            ledger = await stack.enter_async_context(RedisLedger.from_url(redis_url, name=name))
            await stack.enter_async_context(
                open_gate(server.api_key, base_url=server.url, ledger=ledger)
            )
        found = {name: await look(redis_url, name, "") for name in (one, other, elsewhere)}
    assert found[one].lookalikes == [workspace_hash(other)]
    assert found[other].lookalikes == [workspace_hash(one)]
    assert found[elsewhere].lookalikes == []
    found[one].warn()
    found[elsewhere].warn()
    warned = capsys.readouterr().err
    assert warned.count("\n") == 1
    assert workspace_hash(other) in warned
    assert "give their ledgers one name" in warned


def test_ps_and_status_warn_of_a_second_ledger(
    own_redis: RedisServer, workspace_key: str, command: Command
) -> None:
    """The commands would know of it and say nothing."""
    with (
        served(limit=2, api_key=workspace_key) as server,
        holding(server.url, workspace_key, own_redis.url),
        holding(server.url, workspace_key, own_redis.url, name=f"of {workspace_key}"),
    ):
        shown, listed, standing = (
            command(
                *arguments,
                RETELL_API_KEY=workspace_key,
                RETELL_BASE_URL=server.url,
                CALLGUARD_LEDGER=own_redis.url,
            )
            for arguments in (("ps",), ("ps", "--json"), ("status",))
        )
    other = workspace_hash(f"of {workspace_key}")
    for ended in (shown, listed, standing):
        assert ended.err.startswith(f"warning: another ledger here, {other}, has the same limits")
        assert ended.err.count("\n") == 1
    assert json.loads(listed.out)["lookalikes"] == [other]


async def test_a_ledger_that_nobody_keeps(redis_url: str, workspace_key: str) -> None:
    """A ledger that never was would look like one in which nobody has a permit."""
    async with RedisLedger.from_url(redis_url) as ledger:
        assert not (await ledger.look(workspace_key)).known


async def test_look_at_a_ledger_with_a_name(redis_url: str, workspace_key: str) -> None:
    """The ledger of workers with different keys could not be looked at by their name."""
    async with (
        serve(limit=2, talk_time=Constant(0.1), api_key=workspace_key) as server,
        RedisLedger.from_url(redis_url, name=f"of {workspace_key}") as ledger,
        open_gate(workspace_key, base_url=server.url, ledger=ledger),
    ):
        assert (await ledger.look("another key")).workers
        with_key = RedisLedger.from_url(redis_url)
        async with with_key:
            assert not (await with_key.look(workspace_key)).workers


@pytest.mark.slow
@pytest.mark.usefixtures("redis_program")
def test_demo_with_workers(command: Command) -> None:
    """The demo would not show that many processes keep to one limit."""
    ended = command("demo", "--workers", "2", "--leads", "12", "--json")
    fields = json.loads(ended.out)
    assert (ended.code, ended.err) == (ExitCode.OK, "")
    assert (fields["kept"], fields["workers"], fields["dialled_once"]) == (True, 2, 12)
    assert 0 < fields["peak"] <= fields["limit"]


@pytest.mark.slow
@pytest.mark.usefixtures("redis_program")
def test_demo_with_workers_says_what_it_does_not_show(command: Command) -> None:
    """Whoever sees gates that read too seldom would think that callguard can't fill a limit."""
    ended = command("demo", "--workers", "2", "--leads", "2")
    assert "in real time, 40 times as fast, so 6 s of the campaign pass" in ended.out
    assert "not how full it gets" in ended.out


@pytest.mark.parametrize("option", [("--workers", "2"), ("--ledger", "redis://here")])
def test_demo_without_a_gate_has_no_workers(command: Command, option: tuple[str, str]) -> None:
    """Somebody would compare the gate with one process that they take for many."""
    assert command("demo", "--without", *option).code == ExitCode.WRONG_USE


def test_demo_without_a_server(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has no Redis would see a traceback, and not what to do."""
    for module in ("cli.demo", "testing.redis_server"):
        monkeypatch.setattr(f"callguard.{module}.find_server", lambda: None)
    ended = command("demo", "--workers", "2")
    assert (ended.code, ended.out) == (ExitCode.NOT_INSTALLED, "")
    assert "install redis-server or valkey-server, or pass --ledger" in ended.err


def test_demo_with_a_ledger_that_is_away(command: Command) -> None:
    """Workers would be started that never get a call through."""
    ended = command("demo", "--workers", "2", "--ledger", "redis://x:secret@127.0.0.1:1", "--json")
    assert ended.code == ExitCode.UNREACHABLE
    assert json.loads(ended.out)["error"] == "LedgerUnavailable"
    assert "secret" not in ended.out + ended.err


async def _pids(client: Redis) -> list[int]:
    """The processes of the workers that have joined any ledger on a server."""
    labels: list[Any] = []
    async for key in client.scan_iter("callguard:*:sessions"):
        labels += await client.hvals(key)
    return [int(label.rpartition(b":")[2]) for label in labels]


@asynccontextmanager
async def demo_of_two(server: RedisServer) -> AsyncIterator[tuple[Process, Redis, list[int]]]:
    """A demo whose two workers have joined, a client of its ledger's server, and their pids."""
    arguments = ("demo", "--workers", "2", "--leads", "40", "--ledger", server.url)
    async with Redis.from_url(server.url) as client, started(*arguments) as process:

        async def joined() -> bool:
            assert process.returncode is None
            return len(await _pids(client)) == 2

        await until(joined)
        yield process, client, await _pids(client)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("SIGINT", ExitCode.INTERRUPTED),
        ("SIGTERM", ExitCode.TERMINATED),
        ("SIGKILL", -9),
    ],
)
async def test_the_end_of_the_demo_ends_its_workers(
    own_redis: RedisServer, sent: str, code: int
) -> None:
    """Ctrl-C in the demo would leave processes behind that dial on."""
    async with demo_of_two(own_redis) as (process, client, _):
        process.send_signal(signal.Signals[sent])
        _, err = await process.communicate()
        assert process.returncode == code
        assert b"Traceback" not in err

        async def alone() -> bool:
            clients: list[Any] = await client.client_list()
            return len(clients) == 1

        await until(alone)


@pytest.mark.slow
async def test_a_worker_of_the_demo_that_is_killed(own_redis: RedisServer) -> None:
    """The demo would hang, or pass for kept, when leads went with a process that died."""
    async with demo_of_two(own_redis) as (process, _, pids):
        os.kill(pids[0], signal.SIGKILL)
        out, err = await process.communicate()
    assert process.returncode == ExitCode.FAILED
    assert err.decode() == f"process {pids[0]} ended with code -9: it said nothing\n"
    assert b"Not kept: " in out
    assert b"Traceback" not in out

"""The gates of ``callguard serve``: opened at first use, one for each key, and closed when idle."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from callguard.gate import Gate, connect
from callguard.serve.settings import Bounds, WorkspaceSettings
from callguard.trunks import Trunk
from tests.integration.serve_support import KEY, LEAD, client, served, stub, until

CREATE = "/v2/create-phone-call"


async def test_a_gate_that_nobody_uses_is_closed_and_the_next_use_opens_another() -> None:
    """A server for many workspaces would keep them all for ever."""
    async with stub() as provider, served(provider.url, idle=0.05) as proxy, client() as session:
        ids = set()
        for _ in range(2):
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                assert answer.status == 201
            (workspace,) = proxy.workspaces.open()
            ids.add(workspace.gate.id)
            await until(lambda: proxy.workspaces.open() == ())
        assert len(ids) == 2


async def test_a_gate_that_is_paused_stays_open() -> None:
    """An operator's pause would end because nobody called for a while."""
    async with stub() as provider, served(provider.url, idle=0.05) as proxy, client() as session:
        async with proxy.workspaces.use(KEY) as workspace:
            workspace.gate.pause(reason="a look at the numbers")
        async with proxy.workspaces.use(KEY + "_other"):
            pass
        await until(lambda: len(proxy.workspaces.open()) == 1)
        assert proxy.workspaces.open() == (workspace,)
        async with session.post(
            proxy.url + CREATE, json=LEAD, headers={"X-Callguard-Wait": "0"}
        ) as answer:
            assert "a look at the numbers" in (await answer.json(content_type=None))["detail"]


async def test_a_gate_that_was_drained_stays_so() -> None:
    """A workspace that an operator has drained would dial again after a quiet while."""
    async with stub() as provider, served(provider.url, idle=0.05) as proxy, client() as session:
        async with proxy.workspaces.use(KEY) as workspace:
            await workspace.gate.drain()
        async with proxy.workspaces.use(KEY + "_other"):
            pass
        await until(lambda: len(proxy.workspaces.open()) == 1)
        async with session.post(proxy.url + CREATE, json=LEAD) as answer:
            assert answer.status == 503


async def test_a_gate_with_a_call_on_a_trunk_that_takes_only_so_many_stays_open() -> None:
    """A number that takes one call at once would get another beside it after a quiet while."""
    settings = WorkspaceSettings(cps=None, trunks=(Trunk("number", cps=None, calls=1),))
    async with stub() as provider, served(provider.url, settings, idle=0.05) as proxy:
        async with client() as session:
            create, ended = proxy.url + CREATE, proxy.url + "/v1/calls/call_1/ended"
            headers = {"X-Callguard-Trunk": "number", "X-Callguard-Wait": "0"}
            async with session.post(create, json=LEAD, headers=headers) as answer:
                assert answer.status == 201
            (workspace,) = proxy.workspaces.open()
            async with proxy.workspaces.use(KEY + "_other"):
                pass
            await until(lambda: len(proxy.workspaces.open()) == 1)
            assert proxy.workspaces.open() == (workspace,)
            async with session.post(create, json=LEAD, headers=headers) as answer:
                assert answer.status == 429
            async with session.put(ended) as answer:
                assert answer.status == 204
            await until(lambda: proxy.workspaces.open() == ())


async def test_a_caller_that_waits_keeps_its_gate_open() -> None:
    """A caller would be told that the gate is closed while it waits for its slot."""
    async with stub(limit=1, count=1) as provider, served(provider.url, idle=0.01) as proxy:
        async with client() as session:
            waiting = asyncio.create_task(session.post(proxy.url + CREATE, json=LEAD))
            await until(lambda: bool(proxy.workspaces.open()))
            for number in range(3):  # others come and go meanwhile
                async with proxy.workspaces.use(f"{KEY}_{number}"):
                    pass
            await until(lambda: len(proxy.workspaces.open()) == 1)
            provider.count = 0
            async with await waiting as answer:
                assert answer.status == 201


async def test_who_leaves_while_a_gate_is_opened_takes_it_from_nobody() -> None:
    """One client that hangs up would fail all others that came at the same time."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.may_answer.clear()
        first, second = (
            asyncio.create_task(session.post(proxy.url + CREATE, json=LEAD)) for _ in range(2)
        )
        await until(lambda: provider.readings == 1)
        first.cancel()
        await asyncio.wait([first])
        provider.may_answer.set()
        async with await second as answer:
            assert answer.status == 201
        assert len(proxy.workspaces.open()) == 1


async def test_each_key_has_a_gate_of_its_own() -> None:
    """One customer's calls would use up another's limit."""
    async with stub(limit=1) as provider, served(provider.url) as proxy:
        for key in (KEY, KEY + "_other"):
            async with client(key) as session:
                headers = {"X-Callguard-Wait": "0"}
                statuses = []
                for _ in range(2):
                    async with session.post(
                        proxy.url + CREATE, json=LEAD, headers=headers
                    ) as answer:
                        statuses.append(answer.status)
                assert statuses == [201, 429]
        assert len(proxy.workspaces.open()) == 2


async def test_a_workspace_too_many_is_answered() -> None:
    """Anybody with many keys could fill the server's memory with gates."""
    bounds = Bounds(max_workspaces=1)
    async with stub() as provider, served(provider.url, bounds=bounds) as proxy:
        async with proxy.workspaces.use(KEY):
            async with client(KEY + "_other") as session:
                async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                    assert answer.status == 503
                    assert int(answer.headers["Retry-After"]) >= 1


async def test_a_gate_that_is_being_opened_when_the_server_drains_admits_nobody() -> None:
    """A server that stops would dial on, and end before the count shows those calls."""
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.may_answer.clear()
        waiting = asyncio.create_task(session.post(proxy.url + CREATE, json=LEAD))
        await until(lambda: provider.readings == 1)
        async with asyncio.timeout(20):
            await proxy.workspaces.drain()  # the provider doesn't answer before it ends
        provider.may_answer.set()
        for request in (waiting, session.post(proxy.url + CREATE, json=LEAD)):
            async with await request as answer:
                problem = await answer.json(content_type="application/problem+json")
                assert answer.status == 503
                assert int(answer.headers["Retry-After"]) >= 1
                assert problem["type"] == "urn:callguard:draining"
        assert provider.dials == []
        assert proxy.workspaces.open() == ()


async def test_an_opening_that_ends_in_spite_of_the_drain_leaves_no_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A gate that was all but open when the drain began would go on admitting."""
    gates: list[Gate] = []

    async def connected(*arguments: Any, **options: Any) -> Gate:
        opening = asyncio.create_task(connect(*arguments, **options))
        while not opening.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([opening])
        gates.append(opening.result())
        return gates[0]

    monkeypatch.setattr("callguard.serve.workspaces.connect", connected)
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.may_answer.clear()
        waiting = asyncio.create_task(session.post(proxy.url + CREATE, json=LEAD))
        await until(lambda: provider.readings == 1)
        draining = asyncio.create_task(proxy.workspaces.drain())
        await until(lambda: proxy.workspaces.draining)
        provider.may_answer.set()
        async with await waiting as answer:
            assert answer.status == 503
        await draining
        assert provider.dials == []
        assert "closed" in repr(gates[0])


async def test_a_key_that_nobody_could_check_takes_up_no_room(nowhere: str) -> None:
    """Made-up keys would fill the server while the provider is away, and its metrics for ever."""
    bounds = Bounds(max_workspaces=1)
    async with served(nowhere, bounds=bounds) as proxy:
        for number in range(2):
            async with client(f"made_up_{number}") as session:
                headers = {"X-Callguard-Wait": "0"}
                async with session.post(proxy.url + CREATE, json=LEAD, headers=headers) as answer:
                    problem = await answer.json(content_type="application/problem+json")
                    assert problem["type"] == "urn:callguard:not-admitted"
            assert proxy.workspaces.open() == ()
        await until(lambda: b"workspace=" not in proxy.workspaces.scrape.text()[0])


async def test_a_key_whose_client_left_before_its_gate_was_open_takes_up_no_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Made-up keys would fill the server if their clients hung up at once."""
    caplog.set_level("INFO", "callguard")
    async with stub() as provider, served(provider.url) as proxy, client() as session:
        provider.may_answer.clear()
        leaving = asyncio.create_task(session.post(proxy.url + CREATE, json=LEAD))
        await until(lambda: provider.readings == 1)
        leaving.cancel()
        await until(lambda: "its limits were never read" in caplog.text)
        assert proxy.workspaces.open() == ()


async def test_a_key_that_is_refused_leaves_no_metrics() -> None:
    """Made-up keys would fill the server's memory, and every scrape."""
    async with stub() as provider, served(provider.url) as proxy, client("wrong") as session:
        async with session.post(proxy.url + CREATE, json=LEAD) as answer:
            assert answer.status == 401
        await until(lambda: b"workspace=" not in proxy.workspaces.scrape.text()[0])


async def test_a_gate_without_a_snapshot_stays_open_for_the_servers_own_key_or_for_a_pause(
    nowhere: str,
) -> None:
    """An operator's pause would be lost in an outage, and so would be the outage of the server."""
    async with served(nowhere, api_key=KEY) as proxy:
        async with proxy.workspaces.use(KEY) as own:
            pass
        async with proxy.workspaces.use(KEY + "_other") as other:
            other.gate.pause(reason="a look at the numbers")
        assert proxy.workspaces.open() == (own, other)


async def test_a_workspace_that_was_read_once_keeps_what_it_has_counted() -> None:
    """A counter would fall to nothing in an outage, and start anew after it."""
    async with stub() as provider, served(provider.url, idle=0.05) as proxy:
        async with client() as session:
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                assert answer.status == 201
        await until(lambda: proxy.workspaces.open() == ())
        provider.key = "another"
        async with client() as session:
            async with session.post(proxy.url + CREATE, json=LEAD) as answer:
                assert answer.status == 401
        assert b"callguard_admissions_total{" in proxy.workspaces.scrape.text()[0]

"""What a gate does while its shared ledger can't be reached, as the user has chosen."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

import callguard
from callguard.events import Event, LedgerAway, LedgerBack
from callguard.simulator import serve
from callguard.testing import RedisServer
from tests.shared.support import eventually


@pytest.fixture(autouse=True)
def at_once(no_grace: None) -> None: ...


async def test_closed_lets_nobody_in(own_redis: RedisServer, workspace_key: str) -> None:
    """Workers that know nothing of each other would dial into the same slots."""
    async with (
        serve(limit=5, api_key=workspace_key) as server,
        callguard.open_gate(server.api_key, base_url=server.url, ledger=own_redis.url) as gate,
    ):
        assert gate.explain().admitted
        await asyncio.to_thread(own_redis.stop)
        with pytest.raises(callguard.LedgerUnavailable, match="can't be reached"):
            async with gate.try_admit():
                pass
        decision = gate.explain()
        assert (decision.admitted, decision.constraint) == (False, "ledger away")
        with pytest.raises(callguard.AdmissionTimeout, match="the ledger's server can't be"):
            async with gate.admit(timeout=0.05):
                pass
        await asyncio.to_thread(own_redis.start)
        await eventually(lambda: gate.explain().constraint == "ledger lost")


async def test_an_outage_of_the_ledger_is_told_once(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """Somebody's alarm would ring for each retry, or never stop."""
    heard: list[Event] = []
    async with (
        serve(limit=5, api_key=workspace_key) as server,
        # Patient enough for a busy machine: a server that is stopped refuses at once.
        callguard.RedisLedger.from_url(own_redis.url, lease=60.0, timeout=10.0) as ledger,
        callguard.open_gate(
            server.api_key, base_url=server.url, ledger=ledger, listener=heard.append
        ) as gate,
    ):
        for outages in (1, 2):
            await asyncio.to_thread(own_redis.stop)
            for _ in range(3):
                with pytest.raises(callguard.LedgerUnavailable):
                    async with gate.try_admit():
                        pass
            await asyncio.to_thread(own_redis.start)
            await eventually(lambda: gate.explain().constraint != "ledger away")
            told = [event for event in heard if isinstance(event, LedgerAway | LedgerBack)]
            assert [type(event) for event in told] == [LedgerAway, LedgerBack] * outages
    away, back, *_ = told
    assert isinstance(away, LedgerAway)
    assert away.error == "LedgerUnavailable"
    assert "can't be reached" in away.reason
    assert isinstance(back, LedgerBack)
    assert back.duration > 0.0


async def test_an_idle_connection_that_broke_is_no_outage(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """A server that was restarted, or a router that forgets, would fail a caller."""
    heard: list[Event] = []
    async with (
        serve(limit=5, api_key=workspace_key) as server,
        Redis.from_url(own_redis.url) as client,
        callguard.RedisLedger.from_url(own_redis.url, lease=60.0, timeout=10.0) as ledger,
        callguard.open_gate(
            server.api_key, base_url=server.url, ledger=ledger, listener=heard.append
        ) as gate,
    ):
        async with gate.admit(timeout=20.0) as permit:
            permit.cancel()
        for _ in range(5):
            await client.client_kill_filter(_type="normal", skipme=True)
            async with gate.try_admit() as permit:
                permit.cancel()
    assert not [event for event in heard if isinstance(event, LedgerAway | LedgerBack)]


async def test_a_local_share_admits_so_many_and_no_more(
    own_redis: RedisServer, workspace_key: str
) -> None:
    """A share would be no bound, or a user who chose one would stand still."""
    async with (
        serve(limit=5, api_key=workspace_key) as server,
        callguard.RedisLedger.from_url(own_redis.url, local_share=2) as ledger,
        callguard.open_gate(server.api_key, base_url=server.url, ledger=ledger, cps=None) as gate,
    ):
        await asyncio.to_thread(own_redis.stop)
        async with gate.admit(timeout=20.0) as first, gate.admit(timeout=20.0) as second:
            with pytest.raises(callguard.CallGuardError):
                async with gate.try_admit():
                    pass
            assert gate.explain().constraint == "local share"
            first.cancel()
            assert gate.explain().admitted
            async with gate.admit(timeout=20.0) as third:
                third.cancel()
            await asyncio.to_thread(own_redis.start)
            second.placed("call_1")
        await eventually(lambda: gate.statistics().usage.uncounted == 1)
        assert gate.statistics().usage.dialling == 0


@pytest.mark.parametrize("ledger", [5, object(), Redis(), b"redis://h"])
async def test_what_is_no_ledger_is_refused_with_the_fix(ledger: Any) -> None:
    """A client that was passed for a ledger would fail deep inside."""
    with pytest.raises(TypeError, match=r"ledger must be an address.*RedisLedger\(client\)"):
        async with callguard.open_gate("key_x", ledger=ledger):
            pass

"""A provider that can't be reached: whoever waits, or looks, is told so."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from callguard import AdmissionTimeout, LimitsUnavailable, RedisLedger, open_gate
from callguard.gate.opening import OPENS_WITHIN
from tests.shared.support import eventually
from tests.support.fake_network import FakeSession, Reply, hang, in_turn, limits_reply
from tests.support.virtual_time import run
from tests.unit.gate.support import Crowd

DOWN = Reply(503)
ROOM = limits_reply(current=0, limit=1)
URL = "https://api.retellai.com/get-concurrency"


def test_a_gate_says_since_when_the_provider_is_away_and_why() -> None:
    """Callers would wait in silence, and nobody would know for what."""

    async def main() -> None:
        session = FakeSession(in_turn(*[DOWN] * 4, Reply(404), ROOM))
        async with open_gate("key_away", session=session) as gate:
            crowd = Crowd(gate)
            crowd.send("a")
            await asyncio.sleep(5.0)  # and opening has taken one more
            said = "unable to read the limits for 6.0 s, the latest error: " + URL
            assert said + " answered HTTP 503" in str(gate.explain())
            outage = gate.statistics().outage
            assert outage is not None
            assert (outage.seconds, outage.error) == (6.0, f"{URL} answered HTTP 503")
            assert json.loads(json.dumps(asdict(gate.statistics())))["outage"] == asdict(outage)
            with pytest.raises(AdmissionTimeout, match=r"for 8\.0 s, the latest error.* HTTP 503"):
                async with gate.admit(timeout=2.0):
                    pass
            with pytest.raises(LimitsUnavailable, match=r"for 8\.0 s, the latest error.* HTTP 503"):
                async with gate.try_admit():
                    pass
            await asyncio.sleep(5.0)
            assert "answered HTTP 404" in str(gate.explain())
            await asyncio.sleep(5.0)
            assert crowd.arrived == ["a"]
            assert gate.statistics().outage is None
            assert gate.explain().outage is None
            await crowd.disperse()

    run(main())


def test_a_provider_that_never_answers_is_told_of_before_the_first_error() -> None:
    """A gate that has just opened would not know why nobody is admitted."""

    async def main() -> None:
        async with open_gate("key_away", session=FakeSession(hang)) as gate:
            assert asyncio.get_running_loop().time() == OPENS_WITHIN
            outage = gate.explain().outage
            assert outage is not None
            assert (outage.seconds, outage.error) == (OPENS_WITHIN, "no answer yet")
            await asyncio.sleep(4.0)
            assert "gave no answer within 5 s" in str(gate.explain())

    run(main())


@pytest.mark.slow
@pytest.mark.parametrize("answers", [True, False])
def test_the_first_outage_is_seen_without_configuring_logging(answers: bool, nowhere: str) -> None:
    """Whoever starts a worker would see nothing, and think that it hangs."""
    where = "https://example.invalid" if answers else nowhere
    handler = "lambda *_: Reply(503)" if answers else "None"
    program = f"""
import asyncio, callguard
from tests.support.fake_network import FakeSession, Reply

handler = {handler}

async def main():
    session = FakeSession(handler) if handler else None
    async with callguard.open_gate("key_away", base_url={where!r}, session=session) as gate:
        try:
            async with gate.admit(timeout=0.1):
                pass
        except callguard.AdmissionTimeout:
            pass

asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert "the limits can't be read: " in ran.stderr
    assert where in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.slow
async def test_gates_that_share_a_ledger_all_know_of_an_outage(
    redis_url: str, workspace_key: str
) -> None:
    """Only the worker whose turn it is would say why nobody is admitted."""
    down = FakeSession(lambda *_: DOWN)
    async with (
        RedisLedger.from_url(redis_url) as ledger,
        open_gate(workspace_key, session=down, ledger=ledger) as one,
        open_gate(workspace_key, session=down, ledger=ledger) as other,
    ):
        crowds = [Crowd(gate) for gate in (one, other)]
        for crowd in crowds:
            crowd.send("a")
        for gate in (one, other):
            await eventually(lambda gate=gate: "HTTP 503" in str(gate.explain()))  # type: ignore[misc]
        for crowd in crowds:
            await crowd.disperse()

"""Real time, real sockets, every fault on: what is left at the end, and what went wrong.

    python -m tests.campaigns.soak --seconds 60

dials through the gate against the HTTP simulator, where one reading and one dial in five goes
wrong. A dial that failed without an answer may have placed its call, so its lead is not dialled
again. Prints what the simulator kept as the truth, and exits with 1 where the promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from pathlib import Path

import aiohttp

import callguard
from callguard.simulator import DIAL_FAULTS, Exponential, Faults, Server, Uniform, serve
from tests.campaigns.plan import Plan, Report, Settings

LIMIT = 10
FAULTS_RATE = 0.2
CALLERS = 15


class Campaign:
    """As many leads as fit into the time, each dialled by one of a few callers."""

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        self._server = server
        self._http = http
        self.leads = 0
        self.calls: Counter[str] = Counter()
        self.refused: list[str] = []

    async def caller(self, gate: callguard.Gate, until: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            self.leads += 1
            await self._dial(gate, f"+1{self.leads:010}")

    async def _dial(self, gate: callguard.Gate, lead: str) -> None:
        try:
            async with gate.admit() as permit:
                permit.placed(await self._place(lead, permit.id))
        except aiohttp.ClientResponseError as error:
            if error.status == 429:
                self.refused.append(lead)
        except (aiohttp.ClientError, TimeoutError):
            pass  # it may have been placed

    async def _place(self, lead: str, key: str) -> str:
        body = {"from_number": "+10000000000", "to_number": lead, "idempotency_key": key}
        async with self._http.post(
            f"{self._server.url}/v2/create-phone-call",
            json=body,
            headers={"Authorization": f"Bearer {self._server.api_key}"},
            timeout=aiohttp.ClientTimeout(total=1.0),
            raise_for_status=True,
        ) as response:
            return str((await response.json())["call_id"])


def plan_of(seconds: float, *, seed: int = 0) -> Plan:
    """Calls of 1.7 s mean, and a counter that is 0.2 s late; the gate is told that it is 0.5 s."""
    settings = Settings(
        limit=LIMIT,
        cps=None,
        talk_time=Exponential(1.5),
        ring_time=Exponential(0.2, at_most=0.5),
        ring_limit=0.5,
        rise_lag=0.2,
        fall_lag=0.2,
        seed=seed,
    )
    return Plan(
        settings,
        leads=sys.maxsize,
        seconds=seconds,
        counts_ringing=True,
        counter_lag=0.5,
        faults_rate=FAULTS_RATE,
    )


async def carry_out(plan: Plan) -> Report:
    """Dial for as long as the plan has it, close everything, and count."""
    seed = plan.settings.seed
    sockets_before = _sockets()
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with serve(
        plan.settings,
        latency=Uniform(0.0, 0.1),
        faults=Faults(rate=plan.faults_rate, kinds=plan.faults, seed=seed),
        dial_faults=Faults(rate=plan.faults_rate, kinds=DIAL_FAULTS, seed=seed + 1),
    ) as server:
        async with (
            aiohttp.ClientSession() as http,
            callguard.open_gate(
                server.api_key,
                base_url=server.url,
                cps=None,
                ttl=0.5,
                min_interval=0.1,
                ring_limit=plan.settings.ring_limit,
                counter_lag=plan.counter_lag,
                counts_ringing=plan.counts_ringing,
            ) as gate,
        ):
            campaign = Campaign(server, http)
            callers = (campaign.caller(gate, begin + plan.seconds) for _ in range(CALLERS))
            await asyncio.gather(*callers)
            readings = gate.statistics().readings
        truth = server.workspace.truth()
        dialled = Counter(call.to_number for call in server.workspace.calls())
    await asyncio.sleep(0.1)  # the loop closes its transports one turn after they are told to
    return Report(
        leads=campaign.leads,
        placed=truth.placed,
        twice=sum(count > 1 for count in dialled.values()),
        not_dialled=campaign.leads - len(dialled),
        refusals=truth.refusals + len(campaign.refused),
        excess=LIMIT if truth.worst_excess is None else truth.worst_excess,
        share=truth.call_seconds / truth.elapsed / LIMIT,
        readings=sum(readings.values()),
        failed=sum(readings.values()) - readings["taken"],
        seconds=loop.time() - begin,
        tasks_left=len(asyncio.all_tasks()) - 1,
        sockets_left=_sockets() - sockets_before,
    )


def _sockets() -> int:
    """Sockets that this process has open; 0 where the system doesn't tell."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        return 0
    targets = (_target(entry) for entry in descriptors.iterdir())
    return sum(target.startswith("socket:") for target in targets)


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # the listing's own, closed by now
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report = asyncio.run(carry_out(plan_of(options.seconds, seed=options.seed)))
    print(report)
    sys.exit(0 if report.clean else 1)


if __name__ == "__main__":
    main()

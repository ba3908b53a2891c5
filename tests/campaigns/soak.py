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
from dataclasses import dataclass
from pathlib import Path

import aiohttp

import callguard
from callguard.simulator import DIAL_FAULTS, Exponential, Faults, Server, Uniform, serve

LIMIT = 10
FAULTS_RATE = 0.2
CALLERS = 15


@dataclass(frozen=True)
class Outcome:
    """What came of it, by the simulator's own count."""

    seconds: float
    leads: int
    placed: int
    dialled_twice: int
    not_dialled: int
    refusals: int
    excess: int
    share: float
    readings: dict[str, int]
    tasks_left: int
    sockets_left: int

    @property
    def clean(self) -> bool:
        """Whether the promise was kept, and nothing left behind."""
        wrong = self.dialled_twice, self.not_dialled, self.refusals
        return not any((*wrong, self.tasks_left, self.sockets_left)) and self.excess <= 0


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


async def soak(seconds: float, seed: int) -> Outcome:
    """Dial for `seconds`, close everything, and count."""
    sockets_before = _sockets()
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with serve(
        limit=LIMIT,
        talk_time=Exponential(1.5),
        ring_time=Exponential(0.2, at_most=0.5),
        ring_limit=0.5,
        rise_lag=0.2,
        fall_lag=0.2,
        latency=Uniform(0.0, 0.1),
        faults=Faults(rate=FAULTS_RATE, seed=seed),
        dial_faults=Faults(rate=FAULTS_RATE, kinds=DIAL_FAULTS, seed=seed + 1),
        seed=seed,
    ) as server:
        async with (
            aiohttp.ClientSession() as http,
            callguard.open_gate(
                server.api_key,
                base_url=server.url,
                ttl=0.5,
                min_interval=0.1,
                ring_limit=0.5,
                counter_lag=0.5,
                counts_ringing=True,
            ) as gate,
        ):
            campaign = Campaign(server, http)
            callers = (campaign.caller(gate, begin + seconds) for _ in range(CALLERS))
            await asyncio.gather(*callers)
            readings = dict(gate.statistics().readings)
        truth = server.workspace.truth()
        dialled = Counter(call.to_number for call in server.workspace.calls())
    await asyncio.sleep(0.1)  # the loop closes its transports one turn after they are told to
    return Outcome(
        seconds=loop.time() - begin,
        leads=campaign.leads,
        placed=truth.placed,
        dialled_twice=sum(count > 1 for count in dialled.values()),
        not_dialled=campaign.leads - len(dialled),
        refusals=truth.refusals + len(campaign.refused),
        excess=LIMIT if truth.worst_excess is None else truth.worst_excess,
        share=truth.call_seconds / truth.elapsed / LIMIT,
        readings={str(name): count for name, count in readings.items()},
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
    outcome = asyncio.run(soak(options.seconds, options.seed))
    print(outcome)
    sys.exit(0 if outcome.clean else 1)


if __name__ == "__main__":
    main()

"""What it costs the provider, and what it brings, that a gate asks about its calls.

    python -m tests.campaigns.asking

Dials leads over HTTP against the simulator, on a clock that jumps. The gate is told nothing of the
workspace, and no webhook comes. Prints for each provider the share of the limit that was used while
leads waited, the requests for each placed call, and the readings, questions and dials that were
refused because there were too many requests.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp

import callguard
from callguard.simulator import Truth
from callguard.testing import VirtualWorkspace
from tests.campaigns.one_gate import RAMP, workspace_of_the_issue

__all__ = ["PROVIDERS", "Asking", "Found", "carry_out"]

READINGS: Final = "/get-concurrency"
LISTS: Final = "/v3/list-calls"
GETS: Final = "/v2/get-call/{call_id}"
DIALS: Final = "/v2/create-phone-call"


@dataclass(frozen=True)
class Asking:
    """A provider, and whether it is asked.

    Attributes:
        seed: of its calls.
        leads: who is to be called.
        asks: whether the gate asks.
        takes_lists: whether the provider takes lists.
        lists_ringing: whether a list shows calls that ring.
        per_minute: requests that it answers in a minute, dials among them; None for any number.
        counts_ringing: whether it counts calls that ring.
    """

    seed: int = 1
    leads: int = 250
    asks: bool = True
    takes_lists: bool = True
    lists_ringing: bool = False
    per_minute: int | None = None
    counts_ringing: bool = True


@dataclass(frozen=True)
class Found:
    """What came of it: the share, requests by endpoint, and refused ones; dials that were refused.

    Attributes:
        excess: the highest count less the ceiling.
    """

    share: float
    placed: int
    requests: Mapping[str, int]
    refused: Mapping[str, int]
    refusals: int
    excess: int


class _WithoutLists:
    """A session of a provider that has no list-calls."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.get = session.get
        self._session = session

    def post(self, url: str, **options: Any) -> Any:
        return self._session.post(f"{url}/none", **options)


def carry_out(plan: Asking) -> Found:
    """Dial every lead; all of them wait from the start."""
    settings = workspace_of_the_issue(plan.seed, counts_ringing=plan.counts_ringing)
    with VirtualWorkspace(
        settings, lists_ringing=plan.lists_ringing, requests_per_minute=plan.per_minute
    ) as workspace:
        begin, end = workspace.run(_dialled(plan, workspace))
        requests = workspace.server.request_limit
        limit = settings.limit
        seconds = end.elapsed - begin.elapsed
        truth = workspace.truth()
        return Found(
            share=(end.live_seconds - begin.live_seconds) / seconds / limit,
            placed=truth.placed,
            requests={name: requests.answered[name] for name in (READINGS, LISTS, GETS)},
            refused={name: requests.refused[name] for name in (READINGS, LISTS, GETS)},
            refusals=truth.refusals + requests.refused[DIALS],
            excess=truth.worst_excess or 0,
        )


async def _dialled(plan: Asking, workspace: VirtualWorkspace) -> tuple[Truth, Truth]:
    """The truth after the ramp, and when the last lead was dialled."""
    truths: list[Truth] = []

    async def note_ramp() -> None:
        await asyncio.sleep(RAMP)
        truths.append(workspace.truth())

    headers = {"Authorization": f"Bearer {workspace.api_key}"}
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
        own = aiohttp.ClientSession()
        asked: Any = own if plan.takes_lists else _WithoutLists(own)
        async with (
            own,
            callguard.open_gate(
                workspace.api_key,
                base_url=workspace.url,
                session=asked,
                cps=None,
                track="ask" if plan.asks else None,
            ) as gate,
        ):

            async def dial(permit: callguard.Permit) -> dict[str, Any]:
                numbers = {"from_number": "+10", "to_number": "+11", "idempotency_key": permit.id}
                url = f"{workspace.url}/v2/create-phone-call"
                async with session.post(url, json=numbers) as response:
                    return dict(await response.json())

            watch = asyncio.create_task(note_ramp())
            await asyncio.gather(
                *(gate.place(dial, attempts=100, give_up_after=1e6) for _ in range(plan.leads))
            )
            await watch
    return truths[0], workspace.truth()


PROVIDERS: Final[Mapping[str, Asking]] = {
    "any number of requests, lists show calls that ring": Asking(lists_ringing=True),
    "any number of requests": Asking(),
    "any number of requests, no lists": Asking(takes_lists=False),
    "300 requests a minute": Asking(per_minute=300),
    "300 requests a minute, no lists": Asking(per_minute=300, takes_lists=False),
    "100 requests a minute": Asking(per_minute=100),
    "100 requests a minute, no lists": Asking(per_minute=100, takes_lists=False),
    "300 requests a minute, ringing is not counted": Asking(per_minute=300, counts_ringing=False),
}
"""By name: what the provider answers."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--leads", type=int, default=250)
    options = parser.parse_args()
    print(
        "| the provider takes | asks | share | readings a call | list-calls a call "
        "| get-calls a call | readings refused | questions refused | dials refused "
        "| largest count - ceiling |"
    )
    print(f"|{'---|' * 10}")
    with ProcessPoolExecutor(2) as pool:
        for name, provider in PROVIDERS.items():
            for asks in (False, True):
                if not asks and provider.takes_lists is False:
                    continue
                plans = [
                    replace(provider, seed=seed, leads=options.leads, asks=asks)
                    for seed in range(1, options.seeds + 1)
                ]
                found = list(pool.map(carry_out, plans))
                print(f"| {name} | {'yes' if asks else 'no'} | {_row(found)} |", flush=True)


def _row(found: Sequence[Found]) -> str:
    def per_call(name: str) -> float:
        asked = sum(each.requests[name] + each.refused[name] for each in found)
        return asked / sum(each.placed for each in found)

    refused = sum(each.refused[READINGS] for each in found)
    questions = sum(each.refused[LISTS] + each.refused[GETS] for each in found)
    figures = (
        f"{statistics.mean(each.share for each in found):.3f}",
        *(f"{per_call(name):.2f}" for name in (READINGS, LISTS, GETS)),
        f"{refused} of {refused + sum(each.requests[READINGS] for each in found)}",
        questions,
        sum(each.refusals for each in found),
        max(each.excess for each in found),
    )
    return " | ".join(map(str, figures))


if __name__ == "__main__":
    main()

"""Deliveries that a gate with 1,000 live permits takes in a second, on one core.

    python -m tests.benchmarks.events

Prints, as Markdown, the median of the rounds: verified and parsed webhooks of 2 kB, half of them
about calls of this gate and half about others', and the same evidence without the webhooks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable

import callguard
from callguard import webhooks
from callguard.simulator.webhooks import sign
from tests.support.fake_network import FakeSession, limits_reply

LIVE = 1_000
DELIVERIES = 10_000
API_KEY = "key_bench"


def delivery(event: str, call_id: str) -> tuple[bytes, str]:
    body = json.dumps({"event": event, "call": {"call_id": call_id, "transcript": "x" * 1900}})
    return body.encode(), sign(body.encode(), API_KEY, time.time())


async def measured(prepare: Callable[[callguard.Gate], Callable[[int], None]]) -> float:
    """Deliveries a second of one round."""
    session = FakeSession(lambda *_: limits_reply(0, 10 * LIVE))
    async with callguard.open_gate(API_KEY, session=session, cps=None) as gate:
        for number in range(LIVE):
            async with gate.admit() as permit:
                permit.placed(f"call_{number}")
        deliver = prepare(gate)
        begin = time.perf_counter()
        for number in range(DELIVERIES):
            deliver(number)
        return DELIVERIES / (time.perf_counter() - begin)


def name(number: int) -> str:
    return f"call_{number // 2 % LIVE}" if number % 2 else f"other_{number}"


def by_webhook(gate: callguard.Gate) -> Callable[[int], None]:
    kinds = ("call_started", "call_ended")
    signed = [delivery(kinds[number // 4 % 2], name(number)) for number in range(DELIVERIES)]

    def deliver(number: int) -> None:
        body, signature = signed[number]
        webhooks.receive(gate, body, signature, api_key=API_KEY)

    return deliver


def by_word(gate: callguard.Gate) -> Callable[[int], None]:
    def deliver(number: int) -> None:
        if number // 4 % 2:
            gate.note_ended(name(number))
        else:
            gate.note_answered(name(number))

    return deliver


async def main(rounds: int) -> None:
    print("| evidence | a second, median | least | most |\n|---|---|---|---|")
    for title, prepare in (("signed webhooks of 2 kB", by_webhook), ("said to the gate", by_word)):
        figures = [await measured(prepare) for _ in range(rounds)]
        middle = statistics.median(figures)
        print(f"| {title} | {middle:,.0f} | {min(figures):,.0f} | {max(figures):,.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    asyncio.run(main(parser.parse_args().rounds))

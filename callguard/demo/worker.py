"""One of the processes of a demo with workers: it dials its share of the leads."""

from __future__ import annotations

from callguard.demo.gated import gate_dialer
from callguard.demo.leads import Caller, Lead, leads, session_of, share
from callguard.demo.times import SPEED

__all__ = ["dial_share"]


class _PrintingCaller(Caller):
    """Prints the id of each call that it has placed."""

    async def call(self, lead: Lead, **fields: str) -> str:
        call_id = await super().call(lead, **fields)
        print(call_id, flush=True)
        return call_id


async def dial_share(
    number: int, part: int, workers: int, *, url: str, api_key: str, ledger: str
) -> None:
    """Dial this worker's share of the leads, and print the id of each call on a line.

    Args:
        number: the number of leads in the campaign.
        part: this worker's number, from 0 on.
        workers: the number of workers.
        url: the workspace's address.
        api_key: the workspace's key.
        ledger: the address of the server that keeps the gates' ledger.
    """
    async with (
        session_of(url, api_key) as session,
        gate_dialer(url, api_key, _PrintingCaller(session), ledger=ledger) as dialer,
    ):
        await dialer.dial(share(leads(number, speed=SPEED), part, workers))

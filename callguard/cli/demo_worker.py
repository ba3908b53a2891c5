"""``callguard demo-worker``: one of the processes of ``callguard demo --workers``."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Annotated

import typer

from callguard.cli.exits import ExitCode
from callguard.cli.gated import gate_dialer
from callguard.cli.leads import Caller, Lead, leads, session_of, share
from callguard.cli.running import run

__all__ = ["demo_worker"]


def demo_worker(
    *,
    number: Annotated[int, typer.Option("--leads", min=1)],
    part: Annotated[int, typer.Option(min=0)],
    workers: Annotated[int, typer.Option(min=1)],
) -> None:
    """Dial a share of the demo's leads; started by the demo, and of no use alone.

    Workspace and ledger come from the environment. A line of stdout is the id of a call that was
    placed. The end of stdin ends this too.
    """
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    run(_dial(share(leads(number), part, workers)))


class _TellingCaller(Caller):
    async def call(self, lead: Lead, **fields: str) -> str:
        call_id = await super().call(lead, **fields)
        print(call_id, flush=True)
        return call_id


async def _dial(part: Sequence[Lead]) -> ExitCode:
    url, api_key = os.environ["RETELL_BASE_URL"], os.environ["RETELL_API_KEY"]
    async with (
        session_of(url, api_key) as session,
        gate_dialer(
            url, api_key, _TellingCaller(session), ledger=os.environ["CALLGUARD_LEDGER"]
        ) as dialer,
    ):
        await dialer.dial(part)
    return ExitCode.OK


def _end_with_the_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(ExitCode.TERMINATED)

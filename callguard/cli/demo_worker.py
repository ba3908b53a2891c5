"""``callguard demo-worker``: one of the processes of ``callguard demo --workers``."""

from __future__ import annotations

import os
import threading
from typing import Annotated

import typer

from callguard.cli.exits import ExitCode
from callguard.cli.running import run
from callguard.demo.worker import dial_share

__all__ = ["demo_worker"]


def demo_worker(
    *,
    number: Annotated[int, typer.Option("--leads", min=1)],
    part: Annotated[int, typer.Option(min=0)],
    workers: Annotated[int, typer.Option(min=1)],
) -> None:
    """Dial a share of the demo's leads; the demo starts this, and it is of no use alone.

    The workspace and the ledger come from the environment. Each line of stdout is the id of a
    placed call. The process ends when its stdin is closed.
    """
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    run(_dial(number, part, workers))


async def _dial(number: int, part: int, workers: int) -> ExitCode:
    await dial_share(
        number,
        part,
        workers,
        url=os.environ["RETELL_BASE_URL"],
        api_key=os.environ["RETELL_API_KEY"],
        ledger=os.environ["CALLGUARD_LEDGER"],
    )
    return ExitCode.OK


def _end_with_the_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(ExitCode.TERMINATED)

"""README's picture: the last frame of a real `callguard demo`, and its summary.

python -m tests.benchmarks.demo_picture docs/demo.svg
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from pathlib import Path

from rich.console import Console

from callguard.demo import campaign
from callguard.demo.campaign import Plan
from callguard.demo.picture import Frame
from callguard.demo.progress import Progress
from callguard.demo.summary import verdict


def main(path: Path) -> None:
    logging.getLogger("callguard").addHandler(logging.NullHandler())  # as the command does
    history: list[Progress] = []
    outcome = asyncio.run(campaign.run(Plan(leads=150, seed=1, gated=True), history.append, print))
    console = Console(record=True, width=100, height=30, file=io.StringIO(), force_terminal=True)
    console.print(Frame("$ callguard demo", tuple(history)))
    console.print(verdict(outcome))
    path.write_text(console.export_svg(title="callguard demo"), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""README's picture: the last frame of a real `callguard demo`, and what each way cost.

python -m tests.benchmarks.demo_picture docs/demo.svg
"""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

from rich.console import Console

from callguard.demo import campaign
from callguard.demo.campaign import GATE, LOOP, Plan, title
from callguard.demo.picture import Frame
from callguard.demo.progress import Progress
from callguard.demo.summary import summary
from callguard.testing import run


def main(path: Path) -> None:
    logging.getLogger("callguard").addHandler(logging.NullHandler())  # as the command does
    plans = {LOOP: Plan(150, seed=1, gated=False), GATE: Plan(150, seed=1, gated=True)}
    histories: dict[str, list[Progress]] = {name: [] for name in plans}
    outcomes = {
        name: run(campaign.run(plan, histories[name].append, print)) for name, plan in plans.items()
    }
    console = Console(record=True, width=108, height=26, file=io.StringIO(), force_terminal=True)
    console.print(Frame(title(plans[GATE]), histories))
    console.print(summary(outcomes))
    path.write_text(console.export_svg(title="callguard demo"), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

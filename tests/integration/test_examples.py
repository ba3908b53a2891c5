"""The examples are run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

EXAMPLES = Path(__file__).parents[2] / "examples"

ELSEWHERE = {"arq_worker.py"}
"""Examples that `.ci/run` runs in environments of their own: arq wants an older redis-py."""

CELERY_NEEDS = (5, 2)
"""The oldest redis-py with which Celery 5.7 runs, and so its example."""


@pytest.mark.slow
def test_the_examples_run() -> None:
    """What a newcomer copies from an example would not work."""
    names = sorted({path.name for path in EXAMPLES.glob("*.py")} - ELSEWHERE)
    if tuple(map(int, redis.__version__.split(".")[:2])) < CELERY_NEEDS:
        names.remove("celery_app.py")
    command = [sys.executable, "-m", "pytest", "-v", "-o", "addopts=", "-p", "no:cacheprovider"]
    command += ["-p", "callguard_pytest"]  # also where the installation is older than the plugin
    done = subprocess.run(
        [*command, *names], capture_output=True, text=True, check=False, cwd=EXAMPLES
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.findall(r"(\w+\.py)::\w+ PASSED", done.stdout)
    assert sorted(set(passed)) == names, done.stdout

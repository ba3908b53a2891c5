"""Worlds from fixed seeds; see `tests.world`."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.virtual_time import run
from tests.world.ending import lived_out
from tests.world.mutations import MUTATIONS, ROOT, Mutation, judge
from tests.world.plan import draw
from tests.world.shared import live_shared
from tests.world.world import live

BLOCK = 10
"""So many worlds are one test."""

BLOCKS = (1000, *(pytest.param(first, marks=pytest.mark.slow) for first in range(1010, 1060, 10)))
"""The first seeds of blocks of worlds, of which one is in the quick run."""

SHARED_SEEDS = (
    0,
    135,
    *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 220, 294, 558, 702965, 910108)),
)
"""The same, of several workers on one ledger; 135, 220, 294, 558 and 702965 have shown a defect
once, and 910108 one of a checker, which let a pause begin after its ledger was begun anew."""

KEPT = (9, 23, 35, 98, 108, 145, 418, 2225, 13316, 14699, 2018551)
"""Seeds that have shown a defect of the library once."""

ACCUSED = (3293, 4545, 6629, 103166, 2011488)
"""Seeds in which a checker once blamed the library for what it may do: to admit by a reading from
before a refusal that a closed gate heard, or that was delivered twice, to read because a refused
caller is back in the queue, to be refused by what outbound calls may use since a moment ago, and to
free ends although a gate that is closed hears of a refusal."""

BITTEN = (
    "leaving the block gives the slot back",
    "the last in the queue goes first",
    "a call at the normal ceiling is told to burst",
)
"""Mutations that the first worlds show."""

BITTEN_TOGETHER = "a ledger that was lost admits at once"
"""The same, of the first worlds of several workers."""


@pytest.mark.parametrize("first", BLOCKS)
def test_worlds_keep_every_rule(first: int) -> None:
    """Some interleaving of faults would make the gate over-admit, leak, overtake or stall."""
    for seed in range(first, first + BLOCK):
        _assert_clean(seed)


@pytest.mark.parametrize("seed", SHARED_SEEDS)
def test_worlds_of_several_workers_keep_every_rule(redis_url: str, seed: int) -> None:
    """Workers that die, pause or are cut off would over-admit, leak or stall."""
    outcome = live_shared(seed, redis_url)
    assert not outcome.violations, f"python -m tests.world --shared --seed {seed}"
    assert outcome.digest == live_shared(seed, redis_url).digest


@pytest.mark.parametrize("seed", KEPT)
def test_worlds_that_broke_a_rule_once_keep_it(seed: int) -> None:
    """A defect that was mended would be back."""
    _assert_clean(seed)


@pytest.mark.parametrize("seed", ACCUSED)
def test_no_checker_blames_what_is_right(seed: int) -> None:
    """Whoever runs the seeds that README names would see a violation where there is none."""
    _assert_clean(seed)


@pytest.mark.parametrize("name", BITTEN)
def test_the_checkers_bite(name: str) -> None:
    """Worlds would be clean whatever the library did; `tests.world.mutations` has all of them."""
    assert judge(_mutation(name), seeds=5).by


@pytest.mark.usefixtures("redis_url")
def test_the_checkers_of_losses_bite() -> None:
    """What a ledger may do that was lost would be anything at all."""
    mutation = replace(_mutation(BITTEN_TOGETHER), test="")
    assert judge(mutation, seeds=20).by == "closed"


@pytest.mark.slow
def test_in_long_worlds_gates_learn_and_are_misled() -> None:
    """Nothing that follows from what is learnt of ringing would be tested by any world."""
    long = (seed for seed in itertools.count(1000) if draw(seed).teaches)
    had = {each for seed in itertools.islice(long, 10) for each in live(seed).had}
    assert had >= {"learnt", "learnt wrongly", "learnt, given up at a refusal"}


def test_a_world_that_does_not_end_is_a_violation() -> None:
    """A caller that waits for ever would look like a world that takes long."""
    blamed: list[tuple[str, str]] = []

    def blame(rule: str, text: str) -> None:
        blamed.append((rule, text))

    run(lived_out(asyncio.sleep(math.inf), 60.0, blame, lambda: ["caller 7"]))
    assert blamed == [("end", "after 60 s it is not over, and there wait: caller 7")]


@pytest.mark.slow
def test_a_seed_replays_the_identical_trace() -> None:
    """A violation's seed would be worth nothing where hashes are salted otherwise."""
    digests = {_replayed(seed=1004, salt=salt) for salt in ("0", "1")}
    assert digests == {live(1004).digest}


def _mutation(name: str) -> Mutation:
    return next(each for each in MUTATIONS if each.name == name)


def _replayed(seed: int, salt: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.world", "--seed", str(seed)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": salt},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()[-1].removeprefix("trace ").partition(",")[0]


def _assert_clean(seed: int) -> None:
    outcome = live(seed)
    told = "\n".join(str(violation) for violation in outcome.violations)
    assert not outcome.violations, f"python -m tests.world --seed {seed}\n{told}"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_finds_what_it_makes_wrong(mutation: Mutation) -> None:
    """It would be taken for caught, though it changes nothing any more."""
    text = (ROOT / "callguard" / mutation.file).read_text(encoding="utf-8")
    for old, _ in mutation.edits:
        assert text.count(old) == 1, f"{mutation.file} has this {text.count(old)} times:\n{old}"

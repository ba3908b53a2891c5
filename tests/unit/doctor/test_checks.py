"""The doctor's checks: what each finds, what it doesn't, and that the page lists them all."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from callguard.doctor import CHECKS, SEVERITIES, Case, Finding, judge
from callguard.doctor.examining import CHECKS as REGISTERED
from callguard.errors import CallGuardError, LimitsMalformed, LimitsRejected
from tests.unit.doctor.cases import CASES, KEY, NOWHERE, Finds, at, case, receiving

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


def _named(finds: Finds) -> str:
    return f"{finds.check}, {finds.severity}: {finds.words}"


@pytest.mark.parametrize("finds", CASES, ids=_named)
def test_a_check_finds_what_is_there(finds: Finds) -> None:
    """Somebody would begin a campaign that a look could have stopped."""
    found = [each for each in judge(finds.case) if each.check == finds.check]
    matching = [each for each in found if finds.words in " ".join(asdict(each).values())]
    assert [each.severity for each in matching] == [finds.severity], found


@pytest.mark.parametrize("finds", CASES, ids=_named)
def test_what_is_not_right_comes_with_a_reason_and_a_remedy(finds: Finds) -> None:
    """People would read that something is wrong, and not know why it matters or what to do."""
    for each in judge(finds.case):
        assert bool(each.why) == bool(each.remedy) == (each.severity != "ok"), each
        assert not each.what[0].isspace()
        assert not each.what.endswith(".")
        assert each.check in CHECKS


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    """A doctor that always finds something is soon not asked any more."""
    assert {each.severity for each in judge(case())} == {"ok"}
    assert {each.severity for each in judge(at())} == {"ok"}
    assert {each.severity for each in judge(receiving())} == {"ok"}
    assert {each.check for each in judge(at())} == set(CHECKS) - {"receiver"}


@pytest.mark.parametrize("fault", [LimitsMalformed("no JSON"), LimitsRejected("HTTP 401", 401)])
def test_one_cause_is_one_error(fault: CallGuardError) -> None:
    """People would look for a second fault, say in the network, where there is only one."""
    assert [each.severity for each in judge(case(fault))].count("error") == 1


def test_a_receiver_that_takes_nothing_gets_no_praise() -> None:
    """A path that doesn't exist would be taken for a receiver that verifies its deliveries."""
    found = [each for each in judge(NOWHERE) if each.check == "receiver"]
    assert [each.severity for each in found] == ["error", "unknown"]


def test_the_worst_comes_first() -> None:
    """The error that stops everything would stand below the fold."""
    found = [SEVERITIES.index(each.severity) for finds in CASES for each in [*judge(finds.case)]]
    assert set(found) == set(range(len(SEVERITIES)))
    for finds in CASES:
        order = [SEVERITIES.index(each.severity) for each in judge(finds.case)]
        assert order == sorted(order)


def test_a_check_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One defect would hide what all other checks have found."""

    def broken(case: Case) -> Iterator[Finding]:
        yield Finding("clock", "ok", "half a result")
        raise ZeroDivisionError(KEY)

    monkeypatch.setitem(REGISTERED, "clock", broken)
    found = judge(case())
    (clock,) = (each for each in found if each.check == "clock")
    assert (clock.severity, clock.what) == ("unknown", "the check failed with ZeroDivisionError")
    assert {each.check for each in found} >= {"key", "limit", "trunks"}


@pytest.mark.parametrize("finds", CASES, ids=_named)
def test_no_finding_has_a_secret(finds: Finds) -> None:
    """Whoever pastes the output into a ticket would give the key away."""
    for each in judge(finds.case):
        said = " ".join(asdict(each).values())
        assert KEY not in said
        assert "pw" not in said
        assert "s3cr3t" not in said


def test_the_page_lists_every_check_as_it_is() -> None:
    """Somebody would rely on a check that isn't made, or learn of one by chance."""
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w[\w -]*)` \| (.+?) \| (.+?) \|$", text, flags=re.MULTILINE)
    can_be = defaultdict(set)
    for finds in CASES:
        can_be[finds.check].add(finds.severity)
    assert {name: (asks, cell) for name, asks, cell in rows} == {
        name: (
            (check.__doc__ or "").rstrip("."),
            ", ".join(each for each in SEVERITIES if each in can_be[name]),
        )
        for name, check in CHECKS.items()
    }

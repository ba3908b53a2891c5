"""The answers that errors of the gate stand for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callguard import AdmissionTimeout, Lane, LimitsRejected
from callguard.decision import Usage, decide
from callguard.eta import Eta
from callguard.serve.problems import problem_of


@pytest.mark.parametrize(
    ("known", "eta", "header"),
    [
        (None, None, "5"),
        (2.0, None, "2"),
        (2.0, Eta(0.5, 1.0), "2"),
        (2.0, Eta(40.0, 90.0), "20"),
        (2.0, Eta(600.0, 900.0), "60"),
    ],
)
def test_who_is_sent_away_is_told_to_be_back_in_half_of_its_wait(
    known: float | None, eta: Eta | None, header: str
) -> None:
    """A client that tries again twice would use up both long before its turn."""
    decision = replace(
        decide(Lane("default"), Usage(None, 0, 0), None, now=0.0, max_age=30.0), eta=eta
    )
    answer = problem_of(AdmissionTimeout(decision, known)).response()
    assert answer.headers["Retry-After"] == header


@pytest.mark.parametrize(
    ("refused", "answered"), [(401, 401), (403, 403), (402, 402), (307, 401), (499, 401)]
)
def test_a_key_that_the_provider_refuses_is_not_to_be_tried_again(
    refused: int, answered: int
) -> None:
    """A client with a wrong key would ask again for ever, and take it for an outage."""
    response = problem_of(LimitsRejected("the provider refused the key", refused)).response()
    assert response.status == answered
    assert "Retry-After" not in response.headers

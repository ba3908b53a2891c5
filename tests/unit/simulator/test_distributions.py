from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.simulator import Constant, Exponential, Uniform, parse_distribution
from callguard.simulator.distributions import stream

DRAWS = 20_000

seconds = st.floats(0.001, 1e6)
distributions = st.one_of(
    st.builds(Constant, seconds),
    st.builds(Exponential, seconds, st.none() | seconds),
    st.tuples(seconds, seconds).map(lambda pair: Uniform(min(pair), max(pair))),
)


@pytest.mark.parametrize(
    ("text", "distribution"),
    [
        ("12", Constant(12.0)),
        (" 0.5 ", Constant(0.5)),
        ("constant:12", Constant(12.0)),
        ("uniform:5:30", Uniform(5.0, 30.0)),
        ("exponential:60", Exponential(60.0)),
        ("exponential:10:30", Exponential(10.0, at_most=30.0)),
    ],
)
def test_text_forms(text: str, distribution: object) -> None:
    """A distribution typed on a command line would mean another one."""
    assert parse_distribution(text) == distribution


@given(distributions)
def test_text_reads_back(distribution: Constant | Uniform | Exponential) -> None:
    """A printed setting could not be used to run the same simulation again."""
    assert parse_distribution(str(distribution)) == distribution


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "nan", "5:6", "normal:5", "constant", "constant:inf"),
        *("uniform:5", "uniform:30:5", "uniform:a:b"),
        *("exponential:0", "exponential:10:0", "exponential:1:2:3"),
    ],
)
def test_wrong_text(text: str) -> None:
    """A typing error would run a simulation of something else."""
    with pytest.raises(ValueError, match=r"a distribution must be|seconds|the least"):
        parse_distribution(text)


@pytest.mark.parametrize(
    ("distribution", "mean", "least", "most"),
    [
        (Constant(12.0), 12.0, 12.0, 12.0),
        (Uniform(5.0, 30.0), 17.5, 5.0, 30.0),
        (Exponential(60.0), 60.0, 0.0, float("inf")),
        # The mean of min(X, 30) is 10 * (1 - exp(-3)).
        (Exponential(10.0, at_most=30.0), 9.502, 0.0, 30.0),
    ],
)
def test_draws(
    distribution: Constant | Uniform | Exponential, mean: float, least: float, most: float
) -> None:
    """Calls would be longer or shorter than the settings say."""
    source = stream(1, "draws")
    drawn = [distribution(source) for _ in range(DRAWS)]
    assert sum(drawn) / DRAWS == pytest.approx(mean, rel=0.03)
    assert least <= min(drawn)
    assert max(drawn) <= most


def test_streams_are_independent_and_repeatable() -> None:
    """A seed would not replay its run, or two kinds of draws would go hand in hand."""
    assert stream(1, "a").random() == stream(1, "a").random()
    assert len({stream(1, "a").random(), stream(1, "b").random(), stream(2, "a").random()}) == 3

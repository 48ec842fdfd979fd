"""When the requests of a load test are due."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.performance.load_plan import (
    LoadPlanError,
    Stage,
    arrivals,
    parse_stages,
)

RATES = st.floats(0, 500, allow_nan=False)
STAGES = st.lists(
    st.builds(
        lambda rate, until, duration_s: Stage(rate=rate, until=until, duration_s=duration_s),
        RATES,
        RATES.map(lambda one: one + 1),
        st.floats(0.1, 5),
    ),
    min_size=1,
    max_size=4,
)


def test_a_plan_is_read() -> None:
    """Steady rates, ramps and several parts, in seconds, minutes and hours."""
    assert parse_stages("200@30s, 50..500@2m,1.5@1h") == (
        Stage(rate=200, until=200, duration_s=30),
        Stage(rate=50, until=500, duration_s=120),
        Stage(rate=1.5, until=1.5, duration_s=3_600),
    )


@pytest.mark.parametrize(
    "text", ["", "200", "200@", "@3s", "-1@3s", "0@3s", "1e9@3s", "5@0s", "x@y"]
)
def test_a_bad_plan_is_refused(text: str) -> None:
    """Whatever is no rate for a time is named."""
    with pytest.raises(LoadPlanError):
        parse_stages(text)


def test_all_faults_of_a_plan_are_told() -> None:
    """Several wrong parts are named together."""
    with pytest.raises(LoadPlanError, match=r"`a`, `b@1s` are"):
        parse_stages("a,5@1s,b@1s")


@given(STAGES)
def test_even_arrivals_keep_the_rate(stages: list[Stage]) -> None:
    """As many requests come as the rates say, in order, each within its stage."""
    found = list(arrivals(stages, None))
    assert len(found) == pytest.approx(sum(one.requests for one in stages), abs=1.01)
    ends = [sum(one.duration_s for one in stages[: place + 1]) for place in range(len(stages))]
    assert [when for _, when in found] == sorted(when for _, when in found)
    assert all(when <= ends[stage] + 1e-6 for stage, when in found)


@given(st.integers(0, 10))
def test_poisson_arrivals_vary_as_they_should(seed: int) -> None:
    """The number in a stage has the mean that was planned, within five standard deviations."""
    stage = Stage(rate=100, until=300, duration_s=20)
    draws = iter(np.random.default_rng(seed).random, None)
    found = list(arrivals([stage], draws))
    assert abs(len(found) - stage.requests) < 5 * stage.requests**0.5
    half = sum(1 for _, when in found if when < 10)
    assert abs(half - 1_500) < 5 * 1_500**0.5

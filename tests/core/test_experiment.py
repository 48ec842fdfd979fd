"""Decide about an experiment."""

import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.experiment import Experiment, Goal, Metric, Standing
from servewell.core.catalog.label import Label
from servewell.core.catalog.outcome import Outcome
from servewell.core.catalog.prediction_record import STAGES
from servewell.core.operations.experiment import (
    ExperimentInvalidError,
    ExperimentUndecidedError,
    decide_experiment,
    ended,
    result_of,
    with_labels,
    with_outcomes,
)
from servewell.core.operations.traffic import DeploymentMissingError

ENDPOINT = Endpoint(
    name="flights",
    workload="flights",
    deployments=tuple(
        Deployment(name=f"v{n}", model="m", version=n, package=f"p{n}", package_signature="")
        for n in (1, 2)
    ),
)
LATENCY = Goal(metric=Metric.LATENCY, smallest=0.05)
ERRORS = Goal(metric=Metric.ERRORS, smallest=0.02)
OUTPUT = Goal(metric=Metric.OUTPUT, output="late", higher_is_better=True, smallest=0.2)


def _begun(goal: Goal, pair: tuple[str, str] = ("v1", "v2"), share_bp: int = 5_000) -> Experiment:
    return decide_experiment(
        ENDPOINT,
        pair,
        share_bp=share_bp,
        goal=goal,
        because="",
        experiment_id="e",
        principal="ada",
        now=100.0,
    )


def _outcome(name: str, *, ms: float = 2.0, status: int = 200, late: float = 0.0) -> Outcome:
    return Outcome(
        prediction_id="p",
        time_ns=0,
        deployment=name,
        role="",
        status=status,
        code="",
        snapshot=1,
        rows=1,
        stages_us=(round(ms * 1_000), *[0] * (len(STAGES) - 1)),
        outputs={"late": [late]} if status == 200 else {},
        inputs={},
        segment="s",
        sequence=0,
        endpoint="flights",
    )


def _run(
    goal: Goal, looks: int, *, ratio: float = 1.0, failing: float = 0.01, more: float = 0.0
) -> Experiment:
    """Return an experiment after looks at 40 requests each; `ratio` and the rest of the second."""
    rng = np.random.default_rng(7)
    experiment = _begun(goal)
    for _ in range(looks):
        outcomes = [
            _outcome(
                name,
                ms=float(np.exp(rng.normal(1.0, 0.3))) * (ratio if name == "v2" else 1.0),
                status=500 if rng.random() < (failing if name == "v2" else 0.01) else 200,
                late=float(rng.normal(more if name == "v2" else 0.0, 1.0)),
            )
            for name in ("v1", "v2")
            for _ in range(20)
        ]
        experiment = with_outcomes(experiment, outcomes)
    return experiment


@pytest.mark.parametrize(
    ("goal", "second", "standing"),
    [
        (LATENCY, {"ratio": 0.7}, Standing.SECOND),
        (LATENCY, {"ratio": 1.3}, Standing.FIRST),
        (LATENCY, {}, Standing.NO_DIFFERENCE),
        (ERRORS, {"failing": 0.2}, Standing.FIRST),
        (ERRORS, {}, Standing.NO_DIFFERENCE),
        (OUTPUT, {"more": 0.5}, Standing.SECOND),
        (OUTPUT, {"more": -0.5}, Standing.FIRST),
        (OUTPUT, {}, Standing.NO_DIFFERENCE),
    ],
)
def test_each_standing_is_reached(goal: Goal, second: dict[str, float], standing: Standing) -> None:
    """With enough requests the better one is named, or that it makes no difference."""
    result = result_of(_run(goal, 250, **second))
    assert result.standing is standing
    assert result.recommends == ("v2" if standing is Standing.SECOND else "v1")


def test_little_is_undecided_and_says_how_much_more() -> None:
    """Neither is shown by a few hundred requests; nothing is recommended."""
    few = result_of(_run(LATENCY, 2))
    assert few.standing is Standing.UNDECIDED
    assert "at least 100" in few.because
    some = result_of(_run(LATENCY, 12))
    assert some.standing is Standing.UNDECIDED
    assert "more requests may" in some.because
    assert some.recommends == ""


def test_a_difference_that_does_not_matter_is_none() -> None:
    """A real effect below the declared one is shown to be of no interest."""
    wide = Goal(metric=Metric.LATENCY, smallest=0.3)
    assert result_of(_run(wide, 250, ratio=1.1)).standing is Standing.NO_DIFFERENCE


def test_no_failure_at_all_is_no_certainty() -> None:
    """A hundred requests of each without a failure leave the interval as wide as it is."""
    experiment = with_outcomes(_begun(ERRORS), [_outcome(name) for name in ("v1", "v2")] * 100)
    result = result_of(experiment)
    assert result.standing is Standing.UNDECIDED
    assert result.high is not None
    assert result.high > 0.03


def test_labels_decide_about_loss() -> None:
    """Losses since the start count; earlier and pinned ones, and of another measure, do not."""
    goal = Goal(metric=Metric.LOSS, smallest=0.05)
    experiment = _begun(goal)
    rng = np.random.default_rng(3)
    for _ in range(60):
        labels = [
            Label(
                prediction_id="p",
                row=0,
                endpoint="flights",
                deployment=name,
                role=role,
                predicted_at=at,
                value=1,
                loss=float(rng.normal(loss, 0.1)),
                measure="wrong" if loss > 8 else "brier",
                added_at=200.0,
                principal="ada",
                source="",
            )
            for name, loss, role, at in (
                ("v1", 0.5, "", 150.0),
                ("v2", 0.3, "", 150.0),
                ("v2", 9.0, "", 50.0),
                ("v2", 9.0, "pinned", 150.0),
                ("v2", 9.0, "", 150.0),
            )
            for _ in range(5)
        ]
        experiment = with_labels(experiment, labels)
    result = result_of(experiment)
    assert result.standing is Standing.SECOND
    assert result.effect == pytest.approx(-0.2, abs=0.03)
    assert (experiment.sums.loss_measure, experiment.sums.unlike) == ("brier", 300)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["v1", "v2", "v3", ""]),
            st.sampled_from([200, 400, 429, 500, 504]),
            st.one_of(st.floats(), st.floats(-5, 5)),
        ),
        max_size=40,
    ),
    st.sampled_from([LATENCY, ERRORS, OUTPUT]),
)
@settings(max_examples=50)
def test_no_number_is_none_and_all_survives_json(
    seen: list[tuple[str, int, float]], goal: Goal
) -> None:
    """Whatever is answered, the sums are finite, and JSON brings the experiment back."""
    outcomes = [_outcome(name, status=status, late=late) for name, status, late in seen]
    experiment = with_outcomes(_begun(goal), outcomes * 20)
    text = json.dumps(msgspec.to_builtins(experiment), allow_nan=False)
    assert msgspec.convert(json.loads(text), Experiment) == experiment
    result = result_of(experiment)
    assert result.low is None or (math.isfinite(result.low) and result.low <= (result.high or 0.0))


@settings(max_examples=30)
@given(st.integers(1, 39))
def test_what_was_seen_counts_alike_however_it_is_cut(cut: int) -> None:
    """Two looks at the parts find the same requests and failures as one at the whole."""
    outcomes = [_outcome(n, status=s) for n in ("v1", "v2") for s in [200] * 15 + [500] * 5]
    whole = with_outcomes(_begun(ERRORS), outcomes).sums
    parts = with_outcomes(with_outcomes(_begun(ERRORS), outcomes[:cut]), outcomes[cut:]).sums
    assert (parts.requests, parts.failed) == (whole.requests, whole.failed)


def test_all_that_was_missed_may_be_looked_at_at_once() -> None:
    """Two thousand requests in one look say as much as in many."""
    rng = np.random.default_rng(5)
    outcomes = [
        _outcome(("v1", "v2")[k % 2], ms=float(np.exp(rng.normal(1.0 - 0.5 * (k % 2), 0.3))))
        for k in range(2_000)
    ]
    assert result_of(with_outcomes(_begun(LATENCY), outcomes)).standing is Standing.SECOND


def test_all_faults_are_told_together() -> None:
    """A comparison with itself, of no effect, for no requests, names each fault."""
    goal = Goal(metric=Metric.ERRORS, output="late", smallest=0.0, alpha=0.7)
    with pytest.raises(ExperimentInvalidError) as caught:
        _begun(goal, ("v1", "v1"), share_bp=0)
    for word in ("itself", "share", "smallest", "alpha", "name"):
        assert word in caught.value.what


def test_both_must_be_there() -> None:
    """A deployment that the endpoint lacks is named."""
    with pytest.raises(DeploymentMissingError, match="v9"):
        _begun(LATENCY, ("v1", "v9"))


def test_nothing_shown_is_not_applied() -> None:
    """The end without `apply` is always possible."""
    experiment = _run(LATENCY, 2)
    with pytest.raises(ExperimentUndecidedError):
        ended(experiment, apply=True, now=9.0)
    over = ended(experiment, apply=False, now=9.0)
    assert over.ended_at == 9.0
    assert over.result is not None


@pytest.mark.parametrize("goal", [LATENCY, ERRORS, OUTPUT])
def test_equal_ones_are_seldom_told_apart_at_any_look(goal: Goal) -> None:
    """Of 30 experiments between equals, looked at 60 times each, at most 4 ever name a better."""
    wrong = 0
    for seed in range(30):
        rng = np.random.default_rng((seed, 1))
        experiment, told = _begun(goal), False
        for look in range(60):
            draws = rng.standard_normal((20, 3))
            experiment = with_outcomes(
                experiment,
                [
                    _outcome(
                        "v1" if rng.random() < 0.5 else "v2",
                        ms=float(np.exp(draw[0] / 2)) + math.sin(look / 9) + 1.5,
                        status=500 if draw[1] > 2 else 200,
                        late=float(draw[2]),
                    )
                    for draw in draws
                ],
            )
            standing = result_of(experiment).standing
            told = told or standing in (Standing.FIRST, Standing.SECOND)
        wrong += told
    assert wrong <= 4

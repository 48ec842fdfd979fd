"""Which variant of a model is taken."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servewell.core.performance.optimisation import (
    BATCHES,
    SCALES,
    Answers,
    Cost,
    Estimate,
    Gate,
    GateInvalidError,
    Metric,
    MetricUnfitError,
    OutputChange,
    Variant,
    choose,
    gate_of,
    judge,
    metric_for,
)

SIZE = 1_000
NUMBERS = st.floats(0.0, 4.0, allow_nan=False)


@st.composite
def estimates(draw: st.DrawFn, least: float = -1.0) -> Estimate:
    """Draw an estimate whose interval holds its value."""
    low, value, high = sorted(draw(st.tuples(*[st.floats(least, 4.0)] * 3)))
    return Estimate(value=value, low=low, high=high)


@st.composite
def variants(draw: st.DrawFn) -> list[Variant]:
    """Draw a few variants with names of their own."""
    return [
        variant(
            f"v{place}",
            loss=draw(estimates()),
            speed=draw(estimates(least=0.01)),
            size=draw(st.integers(1, 2 * SIZE)),
        )
        for place in range(draw(st.integers(0, 5)))
    ]


gates = st.builds(
    Gate,
    metric=st.sampled_from(Metric),
    loss_max=NUMBERS,
    faster_min=NUMBERS,
    smaller_min=st.floats(0.0, 1.0),
    rows=st.sampled_from(BATCHES),
)


def variant(
    name: str,
    *,
    loss: Estimate,
    speed: Estimate,
    size: int = SIZE,
    changes: tuple[OutputChange, ...] = (),
) -> Variant:
    """Return a variant with one speed for requests of all sizes."""
    cost = Cost(
        latency_us_p50=1.0, latency_us_p99=2.0, rows_per_s={}, memory_bytes=None, size_bytes=size
    )
    return Variant(
        name=name,
        about="",
        quality=0.7,
        loss=loss,
        changes=changes,
        cost=cost,
        speedup=dict.fromkeys(BATCHES, speed),
    )


def exactly(value: float) -> Estimate:
    """Return an estimate without doubt."""
    return Estimate(value=value, low=value, high=value)


@given(gate=gates, found=variants())
def test_what_loses_more_than_allowed_is_never_chosen(gate: Gate, found: list[Variant]) -> None:
    """The upper end of the loss of what is taken keeps to the limit, and it gains something."""
    choice = choose(gate, found, size_bytes=SIZE)
    for one in found:
        if one.name == choice.name:
            speed, size = one.speedup[gate.rows], one.cost.size_bytes
            assert one.loss.high <= gate.loss_max
            assert speed.low >= 1 - gate.faster_min
            assert speed.low >= 1 + gate.faster_min or size <= SIZE * (1 - gate.smaller_min) + 1e-6


@given(gate=gates, found=variants(), more=NUMBERS)
def test_a_wider_limit_never_leads_to_a_slower_choice(
    gate: Gate, found: list[Variant], more: float
) -> None:
    """What passes goes on passing where more may be lost, and the choice gets no slower."""
    wider = replace(gate, loss_max=gate.loss_max + more)
    before, after = (choose(one, found, size_bytes=SIZE) for one in (gate, wider))
    passed = {one.name for one in before.verdicts if one.passed}
    assert passed <= {one.name for one in after.verdicts if one.passed}
    speeds = {one.name: one.speedup[gate.rows].low for one in found}
    if before.name is not None:
        assert after.name is not None
        assert speeds[after.name] >= speeds[before.name]


@given(gate=gates, found=variants())
def test_the_order_of_the_variants_does_not_matter(gate: Gate, found: list[Variant]) -> None:
    """The same variant is chosen however they are listed, and each has a verdict with a reason."""
    choice = choose(gate, found, size_bytes=SIZE)
    assert choice.name == choose(gate, found[::-1], size_bytes=SIZE).name
    assert [one.name for one in choice.verdicts] == [one.name for one in found]
    assert all(one.because for one in choice.verdicts)


@pytest.mark.parametrize(
    ("loss", "speed", "size", "passes", "words"),
    [
        (0.002, 1.05, SIZE, True, "1.05 times as fast"),
        (0.002, 1.04, SIZE, False, "neither 5% faster"),
        (0.0021, 2.0, SIZE, False, "may lose 0.0021 of auc"),
        (0.0, 0.96, 900, True, "10% smaller"),
        (0.0, 0.94, 100, False, "may be slower"),
        (-0.1, 1.2, SIZE, True, "loses at most 0 of auc"),
        (math.nan, 2.0, SIZE, False, "may lose nan"),
        (0.0, math.nan, 100, False, "may be slower"),
    ],
)
def test_each_rule_holds_at_its_boundary(
    loss: float, speed: float, size: int, *, passes: bool, words: str
) -> None:
    """A variant passes at a limit and fails beyond it; what is no number proves nothing."""
    gate = gate_of(
        Metric.AUC, loss_max=None, faster_min=0.05, smaller_min=0.1, rows=1, tolerance=1e-4
    )
    verdict = judge(
        gate, variant("v", loss=exactly(loss), speed=exactly(speed), size=size), size_bytes=SIZE
    )
    assert verdict.passed is passes
    assert words in verdict.because


@pytest.mark.parametrize(
    ("metric", "judged", "numbers", "largest", "passes", "words"),
    [
        (Metric.AUC, True, True, 5.0, True, ""),
        (Metric.AUC, False, True, 1e-4, True, ""),
        (Metric.AUC, False, True, 2e-4, False, "`other`, which is not judged: a number is 0.0002"),
        (Metric.AUC, False, False, 0.01, True, ""),
        (Metric.AUC, False, False, 0.02, False, "a share of 0.02 of its labels is another"),
        (Metric.DIFFERENCE, False, True, 0.01, True, ""),
        (Metric.DIFFERENCE, False, True, 0.02, False, "more than the 0.01 allowed"),
        (Metric.AUC, False, True, math.nan, False, "nan off"),
    ],
)
def test_outputs_that_are_not_judged_stay_what_they_were(  # noqa: PLR0913  (what a case says)
    metric: Metric, *, judged: bool, numbers: bool, largest: float, passes: bool, words: str
) -> None:
    """Numbers keep to the tolerance, labels to what may be lost; what is judged has its metric."""
    gate = gate_of(metric, loss_max=0.01, faster_min=0.05, smaller_min=0.1, rows=1, tolerance=1e-4)
    change = OutputChange(output="other", judged=judged, numbers=numbers, largest=largest)
    fast = variant("v", loss=exactly(0.0), speed=exactly(2.0), changes=(change,))
    verdict = judge(gate, fast, size_bytes=SIZE)
    assert verdict.passed is passes
    assert words in verdict.because
    told = (fast.largest_difference, fast.labels_changed)
    assert told == pytest.approx((largest, 0.0) if numbers else (0.0, largest), nan_ok=True)


def test_without_a_variant_that_passes_the_original_is_kept() -> None:
    """Keeping the original is an answer, with its reason."""
    gate = gate_of(
        Metric.RMSE, loss_max=0.01, faster_min=0.05, smaller_min=0.1, rows=32, tolerance=1e-4
    )
    assert (
        choose(gate, [], size_bytes=SIZE).because == "keep the original: no variant could be built"
    )
    slow = variant("v", loss=exactly(0.0), speed=exactly(1.0))
    choice = choose(gate, [slow], size_bytes=SIZE)
    assert choice.name is None
    assert choice.because == "keep the original: no variant passes the gate"


@pytest.mark.parametrize(
    "limits",
    [
        {"loss_max": -0.1},
        {"loss_max": math.nan},
        {"faster_min": -0.1},
        {"smaller_min": 1.1},
        {"rows": 7},
    ],
)
def test_a_gate_that_cannot_be_is_refused(limits: dict[str, float]) -> None:
    """Limits out of their range are refused when the gate is built."""
    with pytest.raises(GateInvalidError, match=r"gate|judged"):
        Gate(**{"metric": Metric.AUC, "loss_max": 0.0} | limits)  # type: ignore[arg-type]  # as meant


@pytest.mark.parametrize(
    ("answers", "width", "labels", "usual", "others"),
    [
        (Answers.PROBABILITIES, 2, 2, Metric.AUC, (Metric.BRIER, Metric.LOG_LOSS)),
        (Answers.PROBABILITIES, 3, 3, Metric.LOG_LOSS, (Metric.ACCURACY,)),
        (Answers.NUMBERS, 1, 50, Metric.RMSE, (Metric.MAE,)),
        (Answers.NUMBERS, 1, 2, Metric.RMSE, (Metric.AUC,)),
        (Answers.NUMBERS, 4, 50, Metric.DIFFERENCE, ()),
        (Answers.LABELS, 1, 3, Metric.ACCURACY, (Metric.DIFFERENCE,)),
        (Answers.PROBABILITIES, 2, None, Metric.DIFFERENCE, ()),
    ],
)
def test_a_metric_fits_what_the_model_answers(
    answers: Answers, width: int, labels: int | None, usual: Metric, others: tuple[Metric, ...]
) -> None:
    """Without a wish the usual metric is taken; a wish is met where it can be, else refused."""
    assert metric_for(None, answers, width=width, label_values=labels) is usual
    for one in Metric:
        if one in (usual, *others):
            assert metric_for(one, answers, width=width, label_values=labels) is one
    unfit = Metric.RMSE if answers is not Answers.NUMBERS else Metric.BRIER
    with pytest.raises(MetricUnfitError, match="does not fit"):
        metric_for(unfit, answers, width=width, label_values=labels)


def test_every_metric_has_a_scale() -> None:
    """Each metric can be judged by without a word of the workload."""
    assert set(SCALES) == set(Metric)

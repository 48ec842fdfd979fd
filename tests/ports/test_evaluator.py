"""The contract of `Evaluator`: what is measured of a version, in a process of its own."""

import os
import signal
from dataclasses import replace
from functools import cache
from pathlib import Path

import onnx
import pytest

from ports.judged_models import HELD_OUT, contender, few, folder_of_data, judging, made
from servewell.adapters.embedded.evaluator import ProcessEvaluator
from servewell.adapters.embedded.job.exchange import RunFiles
from servewell.adapters.embedded.job.gates.evaluation import measure
from servewell.adapters.embedded.job.gates.scan import scan
from servewell.adapters.embedded.trainer import ProcessTrainer
from servewell.core.catalog.behaviour import BehaviourTest, Expectation
from servewell.core.catalog.workload_gates import FairnessRule, GateRules
from servewell.core.operations.gate_measures import Measures
from servewell.ports.evaluator import EvaluateJob, EvaluationFailedError, Evaluator
from servewell.ports.optimiser import Step

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other

WIND = BehaviourTest(name="wind", expect=Expectation.NOT_LOWER, change={"wind": 60.0}, rows=200)


@pytest.fixture
def evaluator(tmp_path: Path) -> Evaluator:
    """The evaluator of one machine."""
    runs = tmp_path / "home" / "runs"
    return ProcessEvaluator(runs, ProcessTrainer(runs).environment)


def measured(job: EvaluateJob) -> Measures:
    """Measure in this process."""
    return measure(job, folder_of_data(), lambda _done, _total, _words: None)


@cache
def good_against_blind() -> Measures:
    """Return the measures of the good model against one that does not see the wind."""
    rules = GateRules(fairness={"crew": FairnessRule(), "origin": FairnessRule()}, rows_min=50)
    return measured(judging("good", "blind", rules=rules, behaviour=(WIND,)))


def test_a_version_is_measured_beside_the_champion(evaluator: Evaluator) -> None:
    """Everything is there, told on the way, and the same as when it is measured again."""
    steps: list[Step] = []
    found = evaluator.evaluate(judging("good", "blind", behaviour=(WIND,)), steps.append)
    assert (found.metric, found.rows, found.made_up) == ("auc", HELD_OUT, "")
    again = good_against_blind()
    assert (found.quality, found.calibration) == (again.quality, again.calibration)
    assert found.robustness == again.robustness
    assert found.behaviour == again.behaviour
    assert "measuring speed" in [one.words for one in steps]
    assert evaluator.log("judge-good").exists()


def test_quality_is_paired_with_the_champions() -> None:
    """The better model loses nothing, and its loss is known better than either level."""
    found = good_against_blind().quality
    assert found is not None
    assert found.champion is not None
    assert found.loss is not None
    assert found.candidate.value > found.champion.value + 0.05
    assert found.loss.high < 0
    assert found.loss.value == pytest.approx(found.champion.value - found.candidate.value)
    for one in (found.candidate, found.champion, found.loss):
        assert one.low < one.value < one.high


def test_groups_are_looked_at_and_compared() -> None:
    """Texts with few values without a word; a declared column need not be an input."""
    found = good_against_blind()
    assert {one.group for one in found.slices} == {"EWR", "JFK", "LGA"}
    assert sum(one.rows for one in found.slices) == HELD_OUT
    assert all(one.contrast and one.contrast.loss for one in found.slices)
    crew = [one for one in found.fairness if one.column == "crew"]
    assert [one.measure for one in crew] == [
        "selection_rate", "true_positive_rate", "false_positive_rate", "error_rate",
    ]  # fmt: skip
    for one in crew:
        values = [rate.value for rate in one.rates]
        assert one.gap is not None
        assert one.gap.value == pytest.approx(max(values) - min(values))
        assert one.gap.low < one.gap.value < one.gap.high


def test_probabilities_and_times_are_measured() -> None:
    """A logistic model is calibrated; both versions are timed, and memory is known."""
    found = good_against_blind()
    assert found.calibration is not None
    assert found.calibration.error.value < 0.1
    assert sum(one.rows for one in found.calibration.bins) == HELD_OUT
    assert found.calibration.champion
    assert found.speed is not None
    assert 0 < found.speed.p50_ms <= found.speed.p99_ms
    assert found.speed.memory_bytes
    assert found.speed.ratio is not None
    assert found.speed.ratio.low <= found.speed.ratio.value <= found.speed.ratio.high
    assert found.scan == ()
    assert "no pickle" in found.scanned


def test_spoiled_rows_are_answered() -> None:
    """Noise moves few answers, and texts that were never seen get one."""
    found = {one.kind: one for one in good_against_blind().robustness}
    assert set(found) == {"noise", "unseen values"}  # no input may be null
    assert found["noise"].moved is not None
    assert found["noise"].moved < 0.1
    assert found["noise"].loss is not None
    assert found["unseen values"].failed == 0


def test_a_flipped_sign_shows_in_quality_and_behaviour() -> None:
    """The model that was trained on the opposite is worse, and more wind lowers its answer."""
    found = measured(judging("flipped", "good", behaviour=(WIND,)))
    assert found.quality is not None
    assert found.quality.loss is not None
    assert found.quality.loss.low > 0.3
    assert [(one.rows, one.held) for one in found.behaviour] == [(200, 0)]
    assert "became" in found.behaviour[0].worst


def test_a_model_that_predicts_a_number_is_measured() -> None:
    """Its error has the root mean square, its groups their mean error, and there is no chance."""
    rules = GateRules(fairness={"crew": FairnessRule()})
    test = BehaviourTest(
        name="storm", expect=Expectation.ANSWER, row={"wind": 60.0, "rain": 3.0}, at_least=20.0
    )
    found = measured(judging("number", rules=rules, behaviour=(test,)))
    assert (found.metric, found.higher_is_better, found.relative) == ("rmse", False, True)
    assert found.calibration is None
    assert [one.measure for one in found.fairness] == ["error_rate"]
    assert found.fairness[0].gap is not None
    assert found.behaviour[0].held == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data": None}, "no column of the data"),
        ({"label": None}, "no column of the data"),
        ({"rules": GateRules(metric="rmse")}, "The metric `rmse` does not fit"),
        ({"label": "origin"}, "is none of the model's classes"),
    ],
)
def test_what_quality_cannot_be_told_of_is_said(changes: dict[str, object], why: str) -> None:
    """Without rows, a label or a metric that fits the rest is measured all the same."""
    found = measured(judging("good", **changes))
    assert why in found.no_metric
    assert found.quality is None
    assert found.speed is not None


def test_a_champion_of_other_rows_is_not_compared() -> None:
    """The rows of the candidate lack what it takes, or its answers are of another kind."""
    other = contender("good")
    first, *rest = other.signature.inputs
    signature = replace(other.signature, inputs=(replace(first, name="gust"), *rest))
    job = replace(judging("good"), champion=replace(other, signature=signature))
    found = measured(job)
    assert found.no_champion == "the data has no column `gust`"
    assert found.quality is not None
    assert found.quality.loss is None
    found = measured(judging("good", "number", rules=GateRules(metric="brier")))
    assert "does not fit this model" in found.no_champion


def test_few_rows_are_measured_with_wide_intervals() -> None:
    """Twenty rows are enough to measure, and to be told apart from many."""
    found = measured(judging("good", "blind", data=few(200)))
    assert found.rows == 20
    assert found.quality is not None
    assert found.quality.loss is not None
    assert found.quality.loss.high - found.quality.loss.low > 0.1


def test_weights_in_another_file_are_found(tmp_path: Path) -> None:
    """What a package does not hold itself may not be named by it."""
    model = onnx.load(made("good")[0])
    weight = model.graph.initializer.add()
    weight.name, weight.data_type = "elsewhere", onnx.TensorProto.FLOAT
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    _, found = scan(replace(contender("good"), model=path))
    assert found == ("the weight `elsewhere` lies in another file",)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"timeout_s": 0.2}, "was ended after"),
        ({"candidate": "broken"}, "ONNX Runtime refuses it"),
    ],
)
def test_a_job_that_fails_says_why(
    evaluator: Evaluator, tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    """Too slow, or no model at all: there is no result, and a reason."""
    if "candidate" in changes:
        path = tmp_path / "broken.onnx"
        path.write_bytes(b"no model")
        changes = {"candidate": replace(contender("good"), model=path)}
    with pytest.raises(EvaluationFailedError) as caught:
        evaluator.evaluate(judging("good", **changes), lambda _: None)
    assert why in f"{caught.value.what} {caught.value.why}"


def test_a_killed_job_has_no_result(evaluator: Evaluator, tmp_path: Path) -> None:
    """The reason names the signal."""

    def kill(step: Step) -> None:
        files = RunFiles(tmp_path / "home" / "runs" / "judge-good")
        if step.words == "reading the rows":
            os.kill(int(files.pid.read_text()), signal.SIGKILL)

    with pytest.raises(EvaluationFailedError, match="ended before it had a result"):
        evaluator.evaluate(judging("good"), kill)

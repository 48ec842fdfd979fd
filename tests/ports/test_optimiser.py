"""The contract of `Optimiser`: each job a process of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import helper

from ports.tried_models import ROWS, subject
from servewell.adapters.embedded.job.study.memory import memory_bytes
from servewell.adapters.embedded.job.study.trial import judged_output
from servewell.adapters.embedded.optimiser import ProcessOptimiser
from servewell.adapters.embedded.trainer import ProcessTrainer
from servewell.core.catalog.signature import Datatype, Output
from servewell.core.performance.optimisation import (
    BATCHES,
    Gate,
    Metric,
    MetricUnfitError,
    judge,
)
from servewell.errors import ServewellError
from servewell.ports.optimiser import (
    Effort,
    OptimiseJob,
    Optimiser,
    ProfileJob,
    Step,
    Study,
    StudyFailedError,
    Subject,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries, about each other

QUICK = Effort(rounds=6, slice_s=0.002)


@pytest.fixture
def optimiser(tmp_path: Path) -> Optimiser:
    """The optimiser of one machine."""
    runs = tmp_path / "home" / "runs"
    return ProcessOptimiser(runs, ProcessTrainer(runs).environment)


def studied(optimiser: Optimiser, tried: Subject, **changes: object) -> tuple[Study, list[Step]]:
    """Run a quick optimisation job; return what came of it and what it said."""
    steps: list[Step] = []
    job = OptimiseJob(**{"subject": tried, "effort": QUICK} | changes)  # type: ignore[arg-type]  # the tests name right fields
    return optimiser.optimise(job, steps.append), steps


def test_variants_of_a_network_are_measured(optimiser: Optimiser) -> None:
    """Each variant has its quality with an interval, its speed beside the original, and a file."""
    study, steps = studied(optimiser, subject("network"))
    assert (study.metric, study.rows, study.made_up) == (Metric.AUC, ROWS // 10, "")
    assert study.training_rows == ROWS - ROWS // 10
    names = {one.name for one in study.variants}
    assert names == {
        "fused", "int8-dynamic", "int8-static", "float16", "units-75", "units-50", "units-25",
    }  # fmt: skip
    assert {one.name for one in study.unsuited} >= {"trees-50", "leaves-50"}
    for one in study.variants:
        assert one.loss.low <= one.loss.value <= one.loss.high
        assert one.quality == pytest.approx(study.quality - one.loss.value)
        assert set(one.speedup) == set(one.cost.rows_per_s) == set(BATCHES)
        assert 0 < one.cost.latency_us_p50 <= one.cost.latency_us_p99
        assert one.cost.memory_bytes
        assert optimiser.artifact("study-network", one.name).stat().st_size == one.cost.size_bytes
    half = next(one for one in study.variants if one.name == "float16")
    assert half.cost.size_bytes < study.cost.size_bytes
    assert 0 < half.largest_difference < 0.01
    assert steps[-1].done == steps[-1].total > 0
    assert {one.words for one in steps} >= {"building fused", "measuring speed"}
    assert optimiser.log("study-network").exists()
    assert "onnxruntime==" in optimiser.lock("study-network").read_text()


def test_every_output_is_compared(optimiser: Optimiser, tmp_path: Path) -> None:
    """A head that quality does not look at, ruined by half precision, keeps a variant out."""
    tried = subject("network")
    model, name = onnx.load(tried.model), judged_output(tried.signature).name
    model.graph.initializer.append(helper.make_tensor("large", onnx.TensorProto.FLOAT, [], [3e4]))
    model.graph.node.append(helper.make_node("Mul", [name, "large"], ["scaled"]))
    model.graph.output.append(
        helper.make_tensor_value_info("scaled", onnx.TensorProto.FLOAT, [None, 2])
    )
    onnx.save(model, path := tmp_path / "two-heads.onnx")
    head = Output(name="scaled", datatype=Datatype.FP32, row_shape=(2,))
    signature = replace(tried.signature, outputs=(*tried.signature.outputs, head))
    study, _ = studied(optimiser, replace(tried, model=path, signature=signature))
    half = next(one for one in study.variants if one.name == "float16")
    changed = {one.output: one for one in half.changes}
    assert set(changed) == {one.name for one in signature.outputs}
    assert [one.output for one in half.changes if one.judged] == [name]
    assert changed["scaled"].largest == half.largest_difference > 0.1 > changed[name].largest
    gate = Gate(metric=study.metric, loss_max=1.0, faster_min=9.0, smaller_min=0, tolerance=0.01)
    verdict = judge(gate, half, size_bytes=study.cost.size_bytes)
    assert not verdict.passed
    assert "changes the output `scaled`" in verdict.because


def test_memory_that_cannot_be_measured_is_unknown(tmp_path: Path) -> None:
    """Neither a model that takes too long nor one that cannot be read counts as one of 0 bytes."""
    assert memory_bytes(subject("logistic").model, within_s=1e-3) is None
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    assert memory_bytes(broken) is None


@pytest.mark.parametrize(
    ("changes", "metric", "kind", "words"),
    [
        ({}, Metric.RMSE, MetricUnfitError, "`rmse` does not fit"),
        ({"timeout_s": 0.2}, None, StudyFailedError, "ended after"),
    ],
)
def test_what_cannot_be_measured_is_told(
    optimiser: Optimiser,
    changes: dict[str, object],
    metric: Metric | None,
    kind: type[ServewellError],
    words: str,
) -> None:
    """A wrong label, metric or model ends in words and no result, and the caller goes on."""
    tried = subject("logistic", **changes)
    with pytest.raises(kind, match=words) as caught:
        studied(optimiser, tried, metric=metric)
    assert str(optimiser.log(tried.run)) in caught.value.fix
    assert "Traceback" not in str(caught.value)
    assert not optimiser.log(tried.run).with_name("result.json").exists()


def test_a_job_that_is_killed_has_no_result(optimiser: Optimiser) -> None:
    """A kill in the middle of measuring is told as such; what was built is no result."""
    tried = subject("logistic")
    folder = optimiser.log(tried.run).parent

    def kill(step: Step) -> None:
        if step.words == "measuring speed":
            os.kill(int((folder / "pid").read_text()), signal.SIGKILL)

    with pytest.raises(StudyFailedError, match=r"at: .*measuring speed") as caught:
        optimiser.optimise(OptimiseJob(subject=tried, effort=QUICK), kill)
    assert "SIGKILL" in caught.value.why
    assert not (folder / "result.json").exists()


def test_a_job_ends_with_the_one_who_waits(optimiser: Optimiser) -> None:
    """When the process that asked for a study is killed, the job does not go on alone."""
    tried = subject("logistic")
    folder = optimiser.log(tried.run).parent
    program = (
        "import pickle, sys; "
        "from servewell.adapters.embedded.optimiser import ProcessOptimiser as P; "
        "from servewell.adapters.embedded.trainer import ProcessTrainer as T; "
        "runs, job = pickle.load(sys.stdin.buffer); "
        "P(runs, T(runs).environment).optimise(job, lambda step: print(step.words, flush=True))"
    )
    import pickle  # noqa: PLC0415 - of values of this test alone

    job = OptimiseJob(subject=tried, effort=Effort(rounds=500, slice_s=0.01))
    asking = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert asking.stdin is not None
    assert asking.stdout is not None
    asking.stdin.write(pickle.dumps((folder.parent, job)))
    asking.stdin.close()
    while asking.stdout.readline() != b"measuring speed\n":
        assert asking.poll() is None
    working = int((folder / "pid").read_text())
    asking.kill()
    asking.wait()
    asking.stdout.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{working}").exists() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert not Path(f"/proc/{working}").exists()
    assert not (folder / "result.json").exists()


def test_a_profile_tells_operators_and_stages(optimiser: Optimiser) -> None:
    """Every operator of the graph and every stage of the serving path has its time."""
    job = ProfileJob(subject=subject("network"), rows=4, calls=40)
    profile = optimiser.profile(job, lambda _: None)
    assert [one.name for one in profile.stages] == ["decode", "gather", "infer", "encode"]
    assert all(0 < one.us_p50 <= one.us_p99 for one in profile.stages)
    assert {one.operator for one in profile.nodes} & {"MatMul", "Gemm", "FusedGemm"}
    assert 0 < sum(one.us for one in profile.nodes) <= profile.run_us
    assert (profile.rows, profile.calls) == (4, 40)


def test_a_report_is_kept_beside_the_log(optimiser: Optimiser) -> None:
    """What is kept can be read back, and keeping it again replaces it."""
    optimiser.log("run").parent.mkdir(parents=True)
    for text in ("<p>first</p>", "<p>second</p>"):
        path = optimiser.keep("run", "report.html", text)
        assert path.read_text() == text
    assert path.parent == optimiser.log("run").parent

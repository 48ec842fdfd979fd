"""Builds the variants of a model and measures each beside the original."""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from servewell.adapters.embedded.job.proof import open_session
from servewell.adapters.embedded.job.study import timing
from servewell.adapters.embedded.job.study.graphs import Feed, UnsuitedError
from servewell.adapters.embedded.job.study.memory import memory_bytes
from servewell.adapters.embedded.job.study.quality import (
    Answered,
    Judge,
    change,
    is_comparable,
    judge_of,
    texts,
)
from servewell.adapters.embedded.job.study.rows import StudyRows, count, part, parts, study_rows
from servewell.adapters.embedded.job.study.variants import RECIPES, WHY_MAX, Recipe, build
from servewell.core.catalog.signature import Output, Signature
from servewell.core.performance.optimisation import (
    BATCHES,
    Answers,
    Cost,
    Metric,
    OutputChange,
    Unsuited,
    Variant,
    metric_for,
)
from servewell.ports.optimiser import OptimiseJob, Study

ROWS_AT_ONCE: Final = 8_192
TRAINING_AT_ONCE: Final = 256
REQUESTS: Final = 64  # different ones that speed is measured with, of each number of rows
ORIGINAL: Final = ""  # the name that no variant has

Say = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A variant that runs, and what it answers."""

    about: str
    path: Path
    session: onnxruntime.InferenceSession
    answers: Mapping[str, Answered]  # of every output
    judged: str  # the output that the metric looks at

    @property
    def answered(self) -> Answered:
        """What is judged."""
        return self.answers[self.judged]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """What every model is tried with."""

    outputs: tuple[Output, ...]
    judged: str
    held_out: Feed

    def run(self, path: Path, about: str) -> Built:
        """Return a model with what it answers to the held-out rows."""
        session = open_session(path.read_bytes())
        answers = _answers(session, self.outputs, self.held_out)
        return Built(about=about, path=path, session=session, answers=answers, judged=self.judged)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Teller:
    """Tells how far the work is, of a total that is known from the start."""

    say: Say
    total: int

    def __call__(self, done: int, words: str) -> None:
        self.say(done, self.total, words)


def optimise(job: OptimiseJob, folder: Path, say: Say) -> Study:
    """Do an optimisation job; the variants are written into `folder`.

    Raises: StudyDataError, HeldOutRowsError, MetricUnfitError, OSError.
    """
    subject = job.subject
    tell = _Teller(say=say, total=2 * len(RECIPES) + job.effort.rounds)
    tell(0, "reading the rows")
    rows = study_rows(subject, seed=job.seed)
    output = judged_output(subject.signature)
    metric = _metric(job.metric, output, rows)
    judge = judge_of(metric, labels=rows.labels, classes=output.classes, seed=job.seed)
    trial = _Trial(outputs=subject.signature.outputs, judged=output.name, held_out=rows.held_out)
    original = trial.run(subject.model, "")
    folder.mkdir(exist_ok=True)
    built, unsuited = _build_all(
        original, folder, trial=trial, training=parts(rows.training, TRAINING_AT_ONCE), tell=tell
    )
    times = timing.measure(
        {ORIGINAL: original.session} | {name: one.session for name, one in built.items()},
        _requests(rows.held_out, job.seed),
        rounds=job.effort.rounds,
        slice_s=job.effort.slice_s,
        done=lambda number: tell(len(RECIPES) + number, "measuring speed"),
    )
    variants = []
    for place, (name, one) in enumerate(built.items()):
        tell(len(RECIPES) + job.effort.rounds + place, f"judging {name}")
        variants.append(_variant(name, one, original=original, judge=judge, times=times))
    tell(tell.total, "done")
    return Study(
        metric=metric,
        rows=count(rows.held_out),
        made_up=rows.made_up,
        training_rows=count(rows.training),
        quality=judge.quality(original.answered),
        cost=_cost(original.path, times[ORIGINAL]),
        variants=tuple(variants),
        unsuited=unsuited,
        seed=job.seed,
        rounds=job.effort.rounds,
        processor=processor(),
        runtime=f"ONNX Runtime {onnxruntime.__version__}",
    )


def judged_output(signature: Signature) -> Output:
    """Return the output that quality is judged by: probabilities, else numbers, else labels."""
    outputs = signature.outputs
    probabilities = [one for one in outputs if one.classes]
    numbers = [one for one in outputs if one.datatype.is_float]
    return (probabilities or numbers or list(outputs))[0]


def processor() -> str:
    """Return what the operating system calls this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _metric(wanted: Metric | None, output: Output, rows: StudyRows) -> Metric:
    answers = Answers.LABELS
    if output.datatype.is_float:
        answers = Answers.PROBABILITIES if output.classes else Answers.NUMBERS
    width = int(np.prod(output.row_shape, dtype=int)) if output.row_shape else 1
    distinct = None if rows.labels is None else int(rows.labels.nunique())
    return metric_for(wanted, answers, width=width, label_values=distinct)


def _build_all(
    original: Built,
    folder: Path,
    *,
    trial: _Trial,
    training: Sequence[Feed],
    tell: _Teller,
) -> tuple[dict[str, Built], tuple[Unsuited, ...]]:
    model = onnx.load(original.path)
    built: dict[str, Built] = {}
    unsuited = []
    for number, recipe in enumerate(RECIPES):
        tell(number, f"building {recipe.name}")
        try:
            changed = build(recipe, model, training)
            one = _tried(recipe, changed, folder, trial)
            _check_comparable(original, one)
        except UnsuitedError as error:
            unsuited.append(Unsuited(name=recipe.name, because=str(error)))
        else:
            built[recipe.name] = one
    return built, tuple(unsuited)


def _tried(recipe: Recipe, model: onnx.ModelProto, folder: Path, trial: _Trial) -> Built:
    """Write a variant, and run it on the held-out rows.

    Raises: UnsuitedError where it does not run.
    """
    path = folder / f"{recipe.name}.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    try:
        return trial.run(path, recipe.about)
    except Exception as error:
        said = " ".join(str(error).split())[:WHY_MAX]
        raise UnsuitedError(f"it does not run: {said}") from error


def _check_comparable(original: Built, one: Built) -> None:
    """Raise UnsuitedError where a variant answers something else than numbers."""
    judged = one.answered.numbers
    if judged is not None and not np.isfinite(judged).all():
        raise UnsuitedError("it answers something that is no number")
    for name, answered in one.answers.items():
        if not is_comparable(original.answers[name], answered):
            raise UnsuitedError(f"its output `{name}` answers something that is no number")


def _answers(
    session: onnxruntime.InferenceSession, outputs: Sequence[Output], held_out: Feed
) -> dict[str, Answered]:
    names = [one.name for one in outputs]
    runs = [session.run(names, dict(feed)) for feed in parts(held_out, ROWS_AT_ONCE)]
    return {
        one.name: _answered(one, np.concatenate(arrays))
        for one, arrays in zip(outputs, zip(*runs, strict=True), strict=True)
    }


def _answered(output: Output, whole: NDArray[Any]) -> Answered:
    if output.datatype.is_float:
        return Answered(numbers=whole.reshape(len(whole), -1).astype("float64"), labels=None)
    return Answered(numbers=None, labels=texts(whole.reshape(-1)))


def _requests(held_out: Feed, seed: int) -> dict[int, list[Feed]]:
    """Return requests of real rows for each number of rows."""
    draw = np.random.default_rng(seed)
    return {
        rows: [part(held_out, draw.integers(0, count(held_out), rows)) for _ in range(REQUESTS)]
        for rows in BATCHES
    }


def _variant(
    name: str,
    one: Built,
    *,
    original: Built,
    judge: Judge,
    times: Mapping[str, timing.Times],
) -> Variant:
    return Variant(
        name=name,
        about=one.about,
        quality=judge.quality(one.answered),
        loss=judge.loss(original.answered, one.answered),
        changes=_changes(original, one),
        cost=_cost(one.path, times[name]),
        speedup={rows: timing.speedup(times[ORIGINAL], times[name], rows) for rows in BATCHES},
    )


def _changes(original: Built, one: Built) -> tuple[OutputChange, ...]:
    return tuple(
        OutputChange(
            output=name,
            judged=name == one.judged,
            numbers=answered.numbers is not None,
            largest=change(original.answers[name], answered),
        )
        for name, answered in one.answers.items()
    )


def _cost(path: Path, times: timing.Times) -> Cost:
    return Cost(
        latency_us_p50=times.latency_us(0.5),
        latency_us_p99=times.latency_us(0.99),
        rows_per_s={rows: times.rows_per_s(rows) for rows in BATCHES},
        memory_bytes=memory_bytes(path),
        size_bytes=path.stat().st_size,
    )

"""Measures a version for the gates, one kind of measurement after the other."""

import resource
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import onnxruntime

from servewell.adapters.embedded.job.gates.contenders import Runner, running
from servewell.adapters.embedded.job.gates.rows import JudgedRows, judged_rows
from servewell.adapters.embedded.job.gates.scoring import Scoring
from servewell.adapters.embedded.job.gates.trial import (
    Judged,
    NotJudgedError,
    Trial,
    judged,
    same_question,
)
from servewell.adapters.embedded.job.study.trial import processor
from servewell.core.operations.gate_measures import Measures
from servewell.core.performance.optimisation import SCALES, Metric
from servewell.ports.evaluator import EvaluateJob

Say = Callable[[int, int, str], None]


def evaluate(job: EvaluateJob, folder: Path, say: Say) -> Measures:
    """Do an evaluation job.

    Raises: EvaluationFailedError, HeldOutRowsError, StudyDataError, OSError.
    """
    _bound_memory(job.memory_bytes_max)
    say(0, 1, "reading the rows")
    rows = judged_rows(job)
    with ExitStack() as stack:
        candidate = stack.enter_context(running(job.candidate, folder))
        champion = stack.enter_context(running(job.champion, folder)) if job.champion else None
        return _measured(job, rows, candidate, champion, say)


def _measured(
    job: EvaluateJob, rows: JudgedRows, candidate: Runner, champion: Runner | None, say: Say
) -> Measures:
    say(0, 1, "judging quality")
    known = Measures(
        metric="",
        rows=rows.rows,
        made_up=rows.made_up,
        no_champion=rows.no_champion,
        seed=job.seed,
        processor=processor(),
        runtime=f"ONNX Runtime {onnxruntime.__version__}",
    )
    try:
        trial = _trial(job, rows, candidate, champion)
    except NotJudgedError as error:
        return replace(known, no_metric=str(error))
    other = trial.champion.scores if trial.champion else None
    metric = trial.candidate.metric
    return replace(
        known,
        metric=metric.value,
        higher_is_better=SCALES[metric].higher_is_better,
        relative=SCALES[metric].relative,
        no_champion=trial.no_champion,
        quality=trial.scoring.contrast(trial.candidate.scores, other, trial.every_row),
    )


def _trial(job: EvaluateJob, rows: JudgedRows, candidate: Runner, champion: Runner | None) -> Trial:
    """Return both versions on the rows.

    Raises: NotJudgedError of the candidate alone.
    """
    wanted = Metric(job.rules.metric) if job.rules.metric else None
    own = judged(candidate, rows.candidate, rows.labels, wanted)
    other, why_not = _champion(rows, champion, own)
    return Trial(
        job=job,
        rows=rows,
        candidate=own,
        champion=other,
        scoring=Scoring(metric=own.metric, seed=job.seed),
        no_champion=why_not,
    )


def _champion(rows: JudgedRows, champion: Runner | None, own: Judged) -> tuple[Judged | None, str]:
    if champion is None or rows.champion is None:
        return None, rows.no_champion
    try:
        other = judged(champion, rows.champion, rows.labels, own.metric)
    except NotJudgedError as error:
        return None, str(error)
    why_not = same_question(own, other)
    return (None, why_not) if why_not else (other, "")


def _bound_memory(bytes_max: int) -> None:
    """Let a job that needs more than it may fail by itself, before the machine is short of it."""
    taken = _bytes_taken()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (taken + bytes_max, hard))


def _bytes_taken() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    return pages * resource.getpagesize()

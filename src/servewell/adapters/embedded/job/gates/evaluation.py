"""Measures a version for the gates, one kind of measurement after the other."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import onnxruntime

from servewell.adapters.embedded.job.bounds import bound_memory
from servewell.adapters.embedded.job.data.measuring import measure_data
from servewell.adapters.embedded.job.gates.behaviour import behaviour
from servewell.adapters.embedded.job.gates.calibration import calibration
from servewell.adapters.embedded.job.gates.contenders import Runner, running
from servewell.adapters.embedded.job.gates.robustness import robustness
from servewell.adapters.embedded.job.gates.rows import JudgedRows, judged_rows
from servewell.adapters.embedded.job.gates.scan import scan
from servewell.adapters.embedded.job.gates.scoring import Scoring
from servewell.adapters.embedded.job.gates.slices import fairness, slices
from servewell.adapters.embedded.job.gates.speed import speed
from servewell.adapters.embedded.job.gates.trial import (
    Judged,
    NotJudgedError,
    Trial,
    judged,
    same_question,
)
from servewell.adapters.embedded.job.study.trial import processor
from servewell.core.catalog.behaviour_rules import judged_output as plain_output
from servewell.core.operations.gate_measures import Measures
from servewell.core.performance.optimisation import SCALES, Metric
from servewell.ports.evaluator import EvaluateJob

PARTS: Final = 8  # that are told of

Say = Callable[[int, int, str], None]


class _Teller:
    """Tells what is done now, and remembers how long each part took."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._done: list[tuple[str, float]] = []

    def __call__(self, words: str) -> None:
        self._say(len(self._done), PARTS, words)
        self._done.append((words, time.perf_counter()))

    @property
    def seconds(self) -> dict[str, float]:
        """How long each part took that is over."""
        pairs = pairwise(self._done)
        return {words: round(end - start, 3) for (words, start), (_, end) in pairs}


def evaluate(job: EvaluateJob, folder: Path, say: Say) -> Measures:
    """Do an evaluation job, within the memory that it may hold.

    Raises: as `measure`.
    """
    bound_memory(job.memory_bytes_max)
    return measure(job, folder, say)


def measure(job: EvaluateJob, folder: Path, say: Say) -> Measures:
    """Measure a version; what a predictor needs is laid out in `folder`.

    Raises: EvaluationFailedError, HeldOutRowsError, StudyDataError, OSError.
    """
    tell = _Teller(say)
    tell("reading the rows")
    facts = None if job.question is None else measure_data(job.question)
    rows = judged_rows(job)
    with ExitStack() as stack:
        candidate = stack.enter_context(running(job.candidate, folder))
        champion = stack.enter_context(running(job.champion, folder)) if job.champion else None
        return replace(_measured(job, rows, candidate, champion, tell), data=facts)


def _measured(
    job: EvaluateJob, rows: JudgedRows, candidate: Runner, champion: Runner | None, tell: _Teller
) -> Measures:
    scanned, found = scan(job.candidate)
    known = Measures(
        metric="",
        rows=rows.rows,
        made_up=rows.made_up,
        no_champion=rows.no_champion,
        scan=found,
        scanned=scanned,
        seed=job.seed,
        processor=processor(),
        runtime=f"ONNX Runtime {onnxruntime.__version__}",
    )
    tell("answering the held-out rows")
    try:
        trial = _trial(job, rows, candidate, champion)
        judged_output, known = trial.candidate.output, _of_trial(known, trial, tell)
    except NotJudgedError as error:
        known = replace(known, no_metric=str(error))
        judged_output = plain_output(job.candidate.signature)
    tell("trying the behaviour tests")
    feed = None if rows.made_up else rows.candidate
    behaved = behaviour(candidate, job.behaviour, judged=judged_output.name, feed=feed)
    tell("measuring speed")
    other = (champion, rows.champion) if champion and rows.champion else None
    fast = speed(candidate, rows.candidate, other)
    tell("done")
    return replace(known, behaviour=behaved, speed=fast, seconds=tell.seconds)


def _of_trial(known: Measures, trial: Trial, tell: _Teller) -> Measures:
    """Return the measures with those that need the truth."""
    metric = trial.candidate.metric
    other = trial.champion.scores if trial.champion else None
    tell("judging quality")
    known = replace(
        known,
        metric=metric.value,
        higher_is_better=SCALES[metric].higher_is_better,
        relative=SCALES[metric].relative,
        no_champion=trial.no_champion,
        quality=trial.scoring.contrast(trial.candidate.scores, other, trial.every_row),
    )
    tell("looking at groups of rows")
    known = replace(known, slices=slices(trial), fairness=fairness(trial))
    tell("comparing probabilities with what happened")
    known = replace(known, calibration=calibration(trial))
    tell("spoiling rows")
    return replace(known, robustness=robustness(trial))


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

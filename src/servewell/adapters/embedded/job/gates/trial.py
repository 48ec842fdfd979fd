"""What every measurement of a version works with: the rows, who answers them, and by what judge."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from servewell.adapters.embedded.job.gates.contenders import NoAnswerError, Runner
from servewell.adapters.embedded.job.gates.rows import JudgedRows
from servewell.adapters.embedded.job.gates.scoring import Rows, Scores, Scoring, scores_of
from servewell.adapters.embedded.job.study.graphs import Feed
from servewell.adapters.embedded.job.study.quality import Answered, AucJudge, Judge, judge_of
from servewell.core.catalog.signature import Output, Signature
from servewell.core.performance.optimisation import (
    Answers,
    Metric,
    MetricUnfitError,
    metric_for,
)
from servewell.ports.evaluator import EvaluateJob
from servewell.ports.optimiser import StudyDataError

DECIDED: Final = 0.5  # the second of two classes is chosen from this probability on


class NotJudgedError(Exception):
    """Nothing can be said of the quality of a version; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A version, its answers, and what they are worth."""

    runner: Runner
    feed: Feed
    answers: Mapping[str, Answered]
    output: Output
    metric: Metric
    judge: Judge
    scores: Scores

    @property
    def answered(self) -> Answered:
        """What is judged."""
        return self.answers[self.output.name]

    def scores_of(self, answered: Answered) -> Scores:
        """Return what other answers to the same rows are worth."""
        return scores_of(self.judge, self.metric, answered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The rows, and both versions on them."""

    job: EvaluateJob
    rows: JudgedRows
    candidate: Judged
    champion: Judged | None
    scoring: Scoring
    no_champion: str = ""

    @property
    def every_row(self) -> Rows:
        """The places of all rows."""
        return np.arange(self.rows.rows)


def judged(
    runner: Runner, feed: Feed, labels: "pd.Series[float] | None", wanted: Metric | None
) -> Judged:
    """Return a version with what its answers are worth.

    Raises: NotJudgedError.
    """
    if labels is None:
        raise NotJudgedError("no column of the data is known to be the label")
    try:
        answers = runner.answers(feed)
    except NoAnswerError as error:
        raise NotJudgedError(f"it does not answer the rows: {error}") from error
    why: list[str] = []
    for output in _in_order(runner.about.signature, labels):
        try:
            metric = _metric(wanted, output, labels)
            judge = judge_of(metric, labels=labels, classes=output.classes, seed=0)
        except (MetricUnfitError, StudyDataError) as error:
            why.append(f"{error.what} {error.why}")
            if output.classes:  # what is said of probabilities holds for the labels beside them
                break
            continue
        answered = answers[output.name]
        if answered.numbers is not None and not np.isfinite(answered.numbers).all():
            why.append(f"`{output.name}` answers something that is no number")
            continue
        return Judged(
            runner=runner,
            feed=feed,
            answers=answers,
            output=output,
            metric=metric,
            judge=judge,
            scores=scores_of(judge, metric, answered),
        )
    raise NotJudgedError(why[0] if why else "it has no output")


def same_question(candidate: Judged, champion: Judged) -> str:
    """Return why two versions cannot be compared, or nothing."""
    if isinstance(candidate.judge, AucJudge) and isinstance(champion.judge, AucJudge):
        same = np.array_equal(candidate.judge.positive, champion.judge.positive)
        return "" if same else "it ranks its rows by another class"
    return "" if candidate.metric is champion.metric else "its answers are of another kind"


def _in_order(signature: Signature, labels: "pd.Series[float]") -> Iterator[Output]:
    """Yield the outputs to judge by: probabilities, then what is of the label's kind."""
    outputs = signature.outputs
    yield from (one for one in outputs if one.classes)
    plain = [one for one in outputs if not one.classes]
    words = not pd.api.types.is_numeric_dtype(labels)
    yield from sorted(
        plain, key=lambda one: one.datatype.is_float if words else not one.datatype.is_float
    )


def _metric(wanted: Metric | None, output: Output, labels: "pd.Series[float]") -> Metric:
    answers = Answers.LABELS
    if output.datatype.is_float:
        answers = Answers.PROBABILITIES if output.classes else Answers.NUMBERS
    width = int(np.prod(output.row_shape, dtype=int)) if output.row_shape else 1
    found = metric_for(wanted, answers, width=width, label_values=int(labels.nunique()))
    if found is Metric.DIFFERENCE:
        raise MetricUnfitError(
            f"The output `{output.name}` has no metric.",
            why=f"it answers {width} numbers to a row, and what they stand for is not known",
            fix="answer the probability of each class with a `label`, or one number",
        )
    return found

"""How good answers are, with intervals: the bootstrap, by weights of rows.

A drawn sample gives each row a weight, how often it was drawn; here a Poisson variable of mean 1,
which for many rows is the same, and needs no second look at the rows. Both versions are judged with
the same weights, so that what differs between them is what differs between their answers.

Source: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
(percentile interval); N. Chamandy, O. Muralidharan, A. Najmi, S. Naidu, "Estimating uncertainty
for massive data streams", 2012 (Poisson weights).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.job.study.quality import Answered, AucJudge, Judge, RowsJudge
from servewell.core.operations.gate_measures import Contrast, Interval
from servewell.core.operations.wilson import interval
from servewell.core.performance.optimisation import SCALES, Metric

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]

CONFIDENCE: Final = 0.95
DRAWS: Final = 400
DRAWS_OF_ERROR: Final = 200  # that a standard error is taken from
CELLS_AT_ONCE: Final = 1_000_000  # weights that are held at once


class Scores(Protocol):
    """What one version's answers are worth, row by row, ready to be weighed."""

    def metric(self, rows: Rows, weights: Numbers) -> Numbers:
        """Return the metric of some rows for each set of weights, of the shape (sets, rows)."""
        ...

    def rarer(self, rows: Rows) -> int | None:
        """Return how many of some rows are of the rarer class, where that bounds what is known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RankScores:
    """For the area under the ROC curve: what is ranked, and which rows are positive."""

    numbers: Numbers
    positive: NDArray[np.bool_]

    def metric(self, rows: Rows, weights: Numbers) -> Numbers:
        """See `Scores.metric`: of all pairs the share in order; equal scores count half."""
        positive = self.positive[rows]
        above, below = self.numbers[rows][positive], self.numbers[rows][~positive]
        order = np.argsort(below, kind="stable")
        first, last = (np.searchsorted(below[order], above, side) for side in ("left", "right"))
        of_above, of_below = weights[:, positive], weights[:, ~positive][:, order]
        passed = np.zeros((len(weights), len(below) + 1))
        np.cumsum(of_below, axis=1, out=passed[:, 1:])
        won = (of_above * (passed[:, first] + passed[:, last])).sum(axis=1) / 2
        pairs = of_above.sum(axis=1) * passed[:, -1]
        areas: Numbers = np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0)
        return areas

    def rarer(self, rows: Rows) -> int | None:
        """See `Scores.rarer`."""
        positive = int(self.positive[rows].sum())
        return min(positive, len(rows) - positive)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanScores:
    """For a metric that is a mean over rows, or the root of one."""

    of_rows: Numbers
    root: bool = False

    def metric(self, rows: Rows, weights: Numbers) -> Numbers:
        """See `Scores.metric`."""
        sums = weights @ self.of_rows[rows]
        totals = weights.sum(axis=1)
        means: Numbers = np.divide(sums, totals, out=np.full(len(sums), np.nan), where=totals > 0)
        return np.sqrt(means) if self.root else means

    def rarer(self, rows: Rows) -> int | None:  # noqa: ARG002 - every row tells as much
        """See `Scores.rarer`."""
        return None

    @property
    def whole(self) -> bool:
        """Whether each row counts 1 or 0, so that the mean is a share of the rows."""
        return not self.root and bool(np.isin(self.of_rows, (0.0, 1.0)).all())


def scores_of(judge: Judge, metric: Metric, answered: Answered) -> Scores:
    """Return the scores of answers; the judge knows the truth."""
    if isinstance(judge, AucJudge):
        assert answered.numbers is not None  # noqa: S101 - the metric was found to fit
        return RankScores(numbers=answered.numbers[:, -1], positive=judge.positive)
    assert isinstance(judge, RowsJudge)  # noqa: S101 - there is a label
    return MeanScores(of_rows=judge.rows(answered), root=metric is Metric.RMSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Compares versions by one metric, always with the same draws."""

    metric: Metric
    seed: int

    def contrast(
        self, candidate: Scores, champion: Scores | None, rows: Rows, *, tests: int = 1
    ) -> Contrast | None:
        """Return the metric of some rows; None where it cannot be computed of them.

        With several `tests` the intervals hold all at once, by Bonferroni: they come from the
        standard error then, for its quantiles need more draws than are worth making.
        """
        draws = DRAWS if tests == 1 else DRAWS_OF_ERROR
        versions = [candidate] if champion is None else [candidate, champion]
        found = np.concatenate(
            [
                np.stack([one.metric(rows, weights) for one in versions])
                for weights in weights_of(len(rows), self.seed, draws)
            ],
            axis=1,
        )
        if not np.isfinite(found[:, 0]).all():
            return None
        level = share_interval(candidate, rows, interval_of(found[0], tests=tests), tests=tests)
        contrast = Contrast(rows=len(rows), candidate=level, rarer=candidate.rarer(rows))
        if champion is None:
            return contrast
        other = interval_of(found[1], tests=tests)
        return replace(
            contrast,
            champion=share_interval(champion, rows, other, tests=tests),
            loss=interval_of(self._lost(found[0], found[1]), tests=tests),
        )

    def _lost(self, own: Numbers, other: Numbers) -> Numbers:
        scale = SCALES[self.metric]
        lost = other - own if scale.higher_is_better else own - other
        return lost / np.maximum(np.abs(other), np.finfo(float).tiny) if scale.relative else lost


def weights_of(rows: int, seed: int, draws: int = DRAWS) -> Iterator[Numbers]:
    """Yield weights, some draws at once; the first of all gives every row the weight 1."""
    yield np.ones((1, rows))
    draw = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // max(rows, 1))
    for first in range(0, draws, at_once):
        yield draw.poisson(1.0, (min(at_once, draws - first), rows)).astype("float64")


def interval_of(values: Numbers, *, tests: int = 1) -> Interval:
    """Return the interval of a value and its draws, which stand behind it."""
    value = float(values[0])
    drawn = values[1:][np.isfinite(values[1:])]
    if not len(drawn):
        return Interval(value=value, low=value, high=value)
    if tests == 1:
        low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return Interval(value=value, low=float(low), high=float(high))
    margin = _quantile(tests) * float(np.std(drawn, ddof=1))
    return Interval(value=value, low=value - margin, high=value + margin)


def share_interval(scores: Scores, rows: Rows, found: Interval, *, tests: int = 1) -> Interval:
    """Return the interval of a metric, no narrower than Wilson's where it is a share of the rows.

    Where all rows are alike every draw is the same, and says nothing of the rows that are to come.
    """
    if not (isinstance(scores, MeanScores) and scores.whole):
        return found
    hits = round(float(scores.of_rows[rows].sum()))
    low, high = interval(hits, len(rows), z=_quantile(tests))
    return replace(found, low=min(low, found.low), high=max(high, found.high))


def _quantile(tests: int) -> float:
    """Return how many standard errors an interval reaches, of several that hold at once."""
    return NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * tests))

"""Whether a score is the probability that it claims to be, and how to put it right.

A score is put right by isotonic regression: the rising steps that are nearest to what became of
the rows, found by pooling neighbours that are out of order. That is used only where it lowers the
expected calibration error on rows that it was not made from.

Source: Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability
estimates", KDD 2002; Guo et al., "On calibration of modern neural networks", ICML 2017, for the
error; Nixon et al., "Measuring calibration in deep learning", 2019, for bins of as many rows each.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.quality import Figure

BINS: Final = 10
FOLDS: Final = 5
GROUPS_MAX: Final = 2_000  # that scores are put into before they are put right
Z: Final = 1.96

Scored = tuple[float, bool]  # a score in 0..1, and whether it was a hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows of about the same score."""

    score: float  # mean
    rows: int
    hits: int

    @property
    def share(self) -> float:
        """Return the share of hits."""
        return self.hits / self.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Steps from a score to a probability, both rising; between two of them it is a line."""

    scores: tuple[float, ...]
    chances: tuple[float, ...]

    def chance(self, score: float) -> float:
        """Return the probability of a hit at a score, 0..1."""
        place = bisect_right(self.scores, score)
        if place == 0:
            return self.chances[0]
        if place == len(self.scores):
            return self.chances[-1]
        low, high = self.scores[place - 1], self.scores[place]
        part = (score - low) / (high - low)
        return self.chances[place - 1] + part * (self.chances[place] - self.chances[place - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How a score is put right, if at all, and what that changes."""

    curve: Curve | None  # None where the score is as good as it is
    error_raw: float | None  # expected calibration error over folds; None of too few rows
    error_calibrated: float | None


def calibration(rows: Sequence[Scored]) -> Calibration:
    """Return how to put the scores of these rows right, judged by cross-validation.

    Each fold holds every fifth row in the order of the score, so that all hold all scores.
    """
    ordered = sorted(rows)
    if len(ordered) < FOLDS * BINS:
        return Calibration(curve=None, error_raw=None, error_calibrated=None)
    raw: list[float] = []
    put_right: list[float] = []
    for fold in range(FOLDS):
        kept = ordered[fold::FOLDS]
        rest = [row for place, row in enumerate(ordered) if place % FOLDS != fold]
        curve = isotonic(grouped(rest))
        raw.append(calibration_error(kept).value)
        put_right.append(calibration_error([(curve.chance(s), hit) for s, hit in kept]).value)
    before, after = sum(raw) / FOLDS, sum(put_right) / FOLDS
    better = isotonic(grouped(ordered)) if after < before else None
    return Calibration(curve=better, error_raw=before, error_calibrated=after)


def grouped(ordered: Sequence[Scored], *, most: int = GROUPS_MAX) -> tuple[Group, ...]:
    """Return rows, which are in the order of their scores, as at most about `most` groups.

    Rows of one score are one group.
    """
    size = max(1, math.ceil(len(ordered) / most))
    groups: list[Group] = []
    start = 0
    while start < len(ordered):
        end = min(start + size, len(ordered))
        while end < len(ordered) and ordered[end][0] == ordered[end - 1][0]:
            end += 1
        part = ordered[start:end]
        score = math.fsum(score for score, _ in part) / len(part)
        groups.append(Group(score=score, rows=len(part), hits=sum(hit for _, hit in part)))
        start = end
    return tuple(groups)


def isotonic(groups: Sequence[Group]) -> Curve:
    """Return the rising steps nearest to the shares of hits, in squared distance by rows.

    Source: the pool-adjacent-violators algorithm of Ayer et al., 1955.
    """
    blocks: list[list[Group]] = []
    sums: list[tuple[int, int]] = []  # rows, hits
    for group in groups:
        blocks.append([group])
        sums.append((group.rows, group.hits))
        while len(sums) > 1 and _share(sums[-2]) >= _share(sums[-1]):
            last = sums.pop()
            sums[-1] = sums[-1][0] + last[0], sums[-1][1] + last[1]
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    scores: list[float] = []
    chances: list[float] = []
    for block, total in zip(blocks, sums, strict=True):
        for score in dict.fromkeys((block[0].score, block[-1].score)):
            scores.append(score)
            chances.append(_share(total))
    return Curve(scores=tuple(scores), chances=tuple(chances))


def _share(sums: tuple[int, int]) -> float:
    return sums[1] / sums[0]


def calibration_error(rows: Sequence[Scored]) -> Figure:
    """Return how far the scores lie from the shares of hits, over ten bins of as many rows.

    Units: a probability, 0..1. The low end of the interval is less what chance alone gives to a
    score that is right, which is sqrt(2 / pi) of the standard error in each bin.
    """
    groups = grouped(sorted(rows), most=BINS)
    total = sum(one.rows for one in groups)
    if not total:
        return Figure(value=0.0, low=0.0, high=1.0)
    error = math.fsum(one.rows / total * abs(one.share - one.score) for one in groups)
    errors = [one.rows / total * _error_of(one) for one in groups]
    by_chance = math.sqrt(2 / math.pi) * math.fsum(errors)
    reach = Z * math.sqrt(math.fsum(one * one for one in errors))
    low = max(0.0, error - by_chance - reach)
    return Figure(value=error, low=low, high=min(1.0, error + reach))


def _error_of(group: Group) -> float:
    """Return the standard error of a share, never nought: one more hit and miss are counted."""
    share = (group.hits + 1) / (group.rows + 2)
    return math.sqrt(share * (1 - share) / group.rows)

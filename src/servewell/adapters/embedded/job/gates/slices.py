"""Quality within groups of rows, and how far groups are apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from servewell.adapters.embedded.job.gates.groups import groups_of, plain_columns
from servewell.adapters.embedded.job.gates.scoring import (
    DRAWS,
    Numbers,
    Rows,
    interval_of,
    weights_of,
)
from servewell.adapters.embedded.job.gates.trial import DECIDED, Judged, Trial
from servewell.adapters.embedded.job.study.quality import texts
from servewell.core.catalog.workload_gates import FairnessRule
from servewell.core.operations.gate_measures import Gap, Rate, Slice

ERROR_RATE: Final = "error_rate"
OF_TWO_CLASSES: Final = ("selection_rate", "true_positive_rate", "false_positive_rate", ERROR_RATE)
TWO: Final = 2


def slices(trial: Trial) -> tuple[Slice, ...]:
    """Return the metric within each group of each column that is looked at."""
    frame, rules = trial.rows.frame, trial.job.rules
    columns = rules.slices or plain_columns(trial.job.candidate.signature, frame)
    found = [
        (column, name, rows)
        for column in columns
        if column in frame
        for name, rows in groups_of(frame, column)
    ]
    tests = sum(len(rows) >= rules.rows_min for _, _, rows in found)
    missing = [_absent(column) for column in columns if column not in frame]
    return (*missing, *(_slice(trial, *one, tests=max(tests, 1)) for one in found))


def _absent(column: str) -> Slice:
    return Slice(
        column=column,
        group="all",
        rows=0,
        contrast=None,
        why_none=f"the data has no column `{column}`",
    )


def _slice(trial: Trial, column: str, name: str, rows: Rows, *, tests: int) -> Slice:
    contrast = None
    if len(rows) >= trial.job.rules.rows_min:
        champion = trial.champion.scores if trial.champion else None
        contrast = trial.scoring.contrast(trial.candidate.scores, champion, rows, tests=tests)
    return Slice(
        column=column,
        group=name,
        rows=len(rows),
        contrast=contrast,
        why_none="" if contrast else "all its rows have the same label",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shares:
    """A measure row by row: what counts, of what."""

    counted: Numbers
    of: Numbers
    whole: bool = True  # each row counts, or does not; otherwise as much as it says


def fairness(trial: Trial) -> tuple[Gap, ...]:
    """Return how far the groups of each declared column are apart."""
    return tuple(
        gap
        for column, rule in trial.job.rules.fairness.items()
        if column in trial.rows.frame
        for gap in _gaps(trial, column, rule)
    )


def _gaps(trial: Trial, column: str, rule: FairnessRule) -> Iterator[Gap]:
    known = _measures(trial.candidate, trial)
    for name in rule.measures or list(known):
        if name in known:
            yield _gap(trial, column, name, known[name])
        else:
            why = "it needs a model that chooses between two classes"
            yield Gap(column=column, measure=name, rates=(), why_none=why)


def _gap(trial: Trial, column: str, measure: str, shares: _Shares) -> Gap:
    found = [
        (_rate(name, rows, shares), rows) for name, rows in groups_of(trial.rows.frame, column)
    ]
    enough = [one for one in found if one[0].rows >= trial.job.rules.rows_min]
    left_out = tuple(rate for rate, _ in found if rate.rows < trial.job.rules.rows_min)
    gap = Gap(
        column=column, measure=measure, rates=tuple(rate for rate, _ in enough), left_out=left_out
    )
    if len(enough) < TWO:
        return gap
    high = max(enough, key=lambda one: one[0].value)[1]
    low = min(enough, key=lambda one: one[0].value)[1]
    return Gap(
        column=column,
        measure=measure,
        rates=gap.rates,
        left_out=left_out,
        gap=interval_of(_apart(shares, high, low, trial.scoring.seed)),
    )


def _rate(name: str, rows: Rows, shares: _Shares) -> Rate:
    of = float(shares.of[rows].sum())
    value = float(shares.counted[rows].sum()) / of if of else 0.0
    return Rate(group=name, value=value, rows=round(of))


def _apart(shares: _Shares, high: Rows, low: Rows, seed: int) -> Numbers:
    """Return the gap between two groups, then that of each draw."""
    draw = np.random.default_rng(seed)
    return _drawn(shares, high, draw) - _drawn(shares, low, draw)


def _drawn(shares: _Shares, rows: Rows, draw: np.random.Generator) -> Numbers:
    """Return the rate of a group, then that of each draw.

    To draw rows that count or do not is to draw how many count, which is binomial. The share that
    is drawn by has one row of either kind added, so that a group in which none counts, or each
    does, is not taken for one in which no other ever will.

    Source: the rule of succession; P. S. Laplace, "Essai philosophique sur les probabilités", 1814.
    """
    counted = shares.counted[rows][shares.of[rows] > 0]
    if shares.whole:
        share = (counted.sum() + 1) / (len(counted) + 2)
        rates = draw.binomial(len(counted), share, DRAWS) / len(counted)
        return np.append(counted.mean(), rates)
    parts = weights_of(len(counted), int(draw.integers(1 << 32)))
    means = [(one @ counted) / np.maximum(one.sum(axis=1), 1.0) for one in parts]
    return np.concatenate(means)


def _measures(judged: Judged, trial: Trial) -> dict[str, _Shares]:
    everyone = np.ones(trial.rows.rows)
    answered, truth = judged.answered, _truth(trial)
    chosen = chosen_class(answered.labels, answered.numbers, judged.output.classes)
    if chosen is None:
        return {ERROR_RATE: _mean_error(judged, trial, everyone)}
    wrong = _Shares(counted=(chosen != truth).astype("float64"), of=everyone)
    names = judged.output.classes or tuple(sorted(set(truth.tolist())))
    if len(names) != TWO:
        return {ERROR_RATE: wrong}
    selected, positive = chosen == names[1], truth == names[1]
    return {
        "selection_rate": _Shares(counted=selected.astype("float64"), of=everyone),
        "true_positive_rate": _shares(selected & positive, positive),
        "false_positive_rate": _shares(selected & ~positive, ~positive),
        ERROR_RATE: wrong,
    }


def _shares(counted: NDArray[np.bool_], of: NDArray[np.bool_]) -> _Shares:
    return _Shares(counted=counted.astype("float64"), of=of.astype("float64"))


def _mean_error(judged: Judged, trial: Trial, everyone: Numbers) -> _Shares:
    numbers, labels = judged.answered.numbers, trial.rows.labels
    assert numbers is not None  # noqa: S101 - what chooses no class answers a number
    assert labels is not None  # noqa: S101 - quality was judged
    error = np.abs(numbers[:, 0] - labels.to_numpy(dtype="float64"))
    mean = max(float(error.mean()), np.finfo(float).tiny)
    return _Shares(counted=error / mean, of=everyone, whole=False)


def _truth(trial: Trial) -> NDArray[np.str_]:
    assert trial.rows.labels is not None  # noqa: S101 - quality was judged
    return texts(trial.rows.labels)


def chosen_class(
    labels: NDArray[np.str_] | None, numbers: Numbers | None, classes: Sequence[str] | None
) -> NDArray[np.str_] | None:
    """Return the class that answers choose; None where they are numbers."""
    if labels is not None:
        return labels
    if numbers is None or not classes:
        return None
    names = np.array(classes)
    two = len(names) == TWO
    place = (numbers[:, 1] >= DECIDED).astype(int) if two else numbers.argmax(axis=1)
    chosen: NDArray[np.str_] = names[place]
    return chosen

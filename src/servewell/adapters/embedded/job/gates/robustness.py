"""What becomes of the answers when the rows are spoiled."""

from typing import Final

import numpy as np

from servewell.adapters.embedded.job.gates.contenders import NoAnswerError
from servewell.adapters.embedded.job.gates.scoring import Rows
from servewell.adapters.embedded.job.gates.slices import chosen_class
from servewell.adapters.embedded.job.gates.trial import Trial
from servewell.adapters.embedded.job.study.graphs import Array, Feed
from servewell.adapters.embedded.job.study.quality import Answered
from servewell.adapters.embedded.job.study.rows import part
from servewell.core.catalog.signature import Datatype, Input
from servewell.core.operations.gate_measures import Spoiled

ROWS_MAX: Final = 5_000
MOVED: Final = 0.1  # standard deviations of all answers, by which a number moves
FAR: Final = 10.0  # times the range that was seen, beyond it
UNSEEN: Final = "never seen before"


def robustness(trial: Trial) -> tuple[Spoiled, ...]:
    """Return what missing, noisy and unseen values do, each where the inputs allow it."""
    draw = np.random.default_rng(trial.job.seed)
    count = trial.rows.rows
    rows = np.arange(count)
    if count > ROWS_MAX:
        rows = np.sort(draw.choice(count, ROWS_MAX, replace=False))
    feed = part(trial.candidate.feed, rows)
    rules = trial.job.rules.robustness
    inputs = trial.job.candidate.signature.inputs
    share, noise = rules.missing_share, rules.noise
    found = (
        (
            "missing values",
            f"{share:.0%} of the values that may be null taken away",
            {
                one.name: _thinned(one, feed[one.name], share, draw)
                for one in inputs
                if one.nullable
            },
        ),
        (
            "noise",
            f"noise of {noise:.0%} of a standard deviation",
            {
                one.name: _noisy(one, feed[one.name], noise, draw)
                for one in inputs
                if one.datatype.is_float
            },
        ),
        (
            "unseen values",
            "texts that were never seen, and numbers far outside what was",
            {one.name: _unseen(one, feed[one.name]) for one in inputs if _is_open(one)},
        ),
    )
    return tuple(
        _spoiled(trial, rows, kind=kind, about=about, feed={**feed, **changed})
        for kind, about, changed in found
        if changed
    )


def _spoiled(trial: Trial, rows: Rows, *, kind: str, about: str, feed: Feed) -> Spoiled:
    own = trial.candidate
    try:
        answers, taken = own.runner.answers_where_it_can(feed)
    except NoAnswerError:
        return Spoiled(kind=kind, about=about, rows=len(rows), failed=len(rows))
    answered = answers[own.output.name]
    good = _finite(answered)
    failed = len(rows) - int(good.sum())
    if kind == "unseen values" or failed:
        return Spoiled(kind=kind, about=about, rows=len(rows), failed=failed)
    whole = _in_place(own.answered, answered, rows[taken])
    contrast = trial.scoring.contrast(own.scores_of(whole), own.scores, rows)
    return Spoiled(
        kind=kind,
        about=about,
        rows=len(rows),
        failed=0,
        moved=_moved(trial, whole, rows) if kind == "noise" else None,
        loss=contrast.loss if contrast else None,
    )


def _finite(answered: Answered) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    if answered.numbers is None:
        assert answered.labels is not None  # noqa: S101 - an answer is one of the two
        return np.ones(len(answered.labels), dtype=bool)
    return np.asarray(np.isfinite(answered.numbers).all(axis=1))


def _in_place(before: Answered, after: Answered, rows: Rows) -> Answered:
    """Return the answers to all rows, those to some of them replaced."""
    if before.labels is not None and after.labels is not None:
        labels = before.labels.astype(object)
        labels[rows] = after.labels
        return Answered(numbers=None, labels=labels.astype(str))
    assert before.numbers is not None  # noqa: S101 - an answer is one of the two
    assert after.numbers is not None  # noqa: S101 - as before
    numbers = before.numbers.copy()
    numbers[rows] = after.numbers
    return Answered(numbers=numbers, labels=None)


def _moved(trial: Trial, after: Answered, rows: Rows) -> float:
    """Return the share of rows whose class is another, or whose number moved far."""
    own = trial.candidate
    before, classes = own.answered, own.output.classes
    chosen = chosen_class(before.labels, before.numbers, classes)
    other = chosen_class(after.labels, after.numbers, classes)
    if chosen is not None and other is not None:
        return float(np.mean(chosen[rows] != other[rows]))
    assert before.numbers is not None  # noqa: S101 - what chooses no class answers a number
    assert after.numbers is not None  # noqa: S101 - as before
    far = MOVED * float(before.numbers.std())
    return float(np.mean(np.abs(after.numbers[rows] - before.numbers[rows]).max(axis=1) > far))


def _thinned(one: Input, values: Array, share: float, draw: np.random.Generator) -> Array:
    """Return values with some of them missing, as a request with nulls brings them."""
    missing = draw.random(values.shape) < share
    return np.where(missing, "" if one.datatype is Datatype.BYTES else np.nan, values).astype(
        values.dtype
    )


def _noisy(one: Input, values: Array, share: float, draw: np.random.Generator) -> Array:
    """Return values with noise, within the bounds that the workload declares."""
    spread = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
    noisy = values + share * spread * draw.normal(size=values.shape)
    return _bounded(one, noisy, values)


def _is_open(one: Input) -> bool:
    """Whether a request may bring values that the data did not have."""
    return one.datatype.is_float or (one.datatype is Datatype.BYTES and one.allowed is None)


def _unseen(one: Input, values: Array) -> Array:
    if one.datatype is Datatype.BYTES:
        return np.full(values.shape, UNSEEN, dtype=object)
    finite = values[np.isfinite(values)]
    if not len(finite):
        return values
    span = float(finite.max()) - float(finite.min()) or 1.0
    far = np.full(values.shape, float(finite.max()) + FAR * span)
    far[::2] = float(finite.min()) - FAR * span
    return _bounded(one, far, values)


def _bounded(one: Input, changed: Array, values: Array) -> Array:
    low = -np.inf if one.minimum is None else one.minimum
    high = np.inf if one.maximum is None else one.maximum
    bounded: Array = np.clip(changed, low, high).astype(values.dtype)
    return bounded

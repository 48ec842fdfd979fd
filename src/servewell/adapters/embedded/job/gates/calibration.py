"""What probabilities say, beside what happened.

Source of the error: M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated
probabilities using Bayesian binning", AAAI 2015, with bins of equally many rows.
"""

from typing import Final

import numpy as np

from servewell.adapters.embedded.job.gates.scoring import Numbers, interval_of, weights_of
from servewell.adapters.embedded.job.gates.trial import Judged, Trial
from servewell.adapters.embedded.job.study.quality import texts
from servewell.core.operations.gate_measures import Bin, Calibration, Interval

BINS: Final = 10
DRAWS: Final = 200
ROWS_OF_A_BIN: Final = 20  # at least, so that few rows have few bins
TWO: Final = 2


def calibration(trial: Trial) -> Calibration | None:
    """Return how well the probabilities of a version are calibrated; None where it has none.

    Of two classes the second is looked at, of more the one that is chosen.
    """
    found = _said(trial.candidate, trial)
    if found is None:
        return None
    said, happened = found
    places = places_of(said)
    errors, squares = [], []
    for weights in weights_of(len(said), trial.scoring.seed, DRAWS):
        errors.append(errors_of(said, happened, places, weights))
        squares.append((weights @ (said - happened) ** 2) / np.maximum(weights.sum(axis=1), 1.0))
    other = _said(trial.champion, trial) if trial.champion else None
    return Calibration(
        rows=len(said),
        error=_turned(interval_of(np.concatenate(errors))),
        brier=interval_of(np.concatenate(squares)),
        bins=bins_of(said, happened),
        champion=bins_of(*other) if other else (),
    )


def _said(judged: Judged, trial: Trial) -> tuple[Numbers, Numbers] | None:
    numbers, classes, labels = judged.answered.numbers, judged.output.classes, trial.rows.labels
    if numbers is None or not classes or labels is None:
        return None
    truth = texts(labels)
    if len(classes) == TWO:
        return numbers[:, 1], (truth == classes[1]).astype("float64")
    chosen = np.array(classes)[numbers.argmax(axis=1)]
    return numbers.max(axis=1), (truth == chosen).astype("float64")


def places_of(said: Numbers) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    """Return the bin of each row: equally many rows in each, as far as equal values allow."""
    count = max(1, min(BINS, len(said) // ROWS_OF_A_BIN))
    edges = np.unique(np.quantile(said, np.linspace(0, 1, count + 1)[1:-1]))
    return np.asarray(np.searchsorted(edges, said, side="right"))


def errors_of(
    said: Numbers,
    happened: Numbers,
    places: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]",
    weights: Numbers,
) -> Numbers:
    """Return the mean distance of the bins, each as heavy as its rows: once for each weighting."""
    within = np.eye(int(places.max(initial=0)) + 1)[places] * (said - happened)[:, None]
    apart = np.abs(weights @ within).sum(axis=1)
    errors: Numbers = apart / np.maximum(weights.sum(axis=1), 1.0)
    return errors


def _turned(found: Interval) -> Interval:
    """Return the basic bootstrap interval: draws lie above the error by what it lies too high.

    Source: A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", 1997, 5.2.
    """
    value = found.value
    return Interval(
        value=value,
        low=max(0.0, 2 * value - found.high),
        high=max(0.0, 2 * value - found.low, value),
    )


def bins_of(said: Numbers, happened: Numbers) -> tuple[Bin, ...]:
    """Return the bins, from the lowest probability on."""
    places = places_of(said)
    return tuple(
        Bin(
            predicted=float(said[places == place].mean()),
            happened=float(happened[places == place].mean()),
            rows=int((places == place).sum()),
        )
        for place in np.unique(places)
    )

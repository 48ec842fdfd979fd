"""What is expected from scores alone is what labels would say, and what rows would have said."""

import math

import numpy as np
from numpy.typing import NDArray

from servewell.core.catalog.profile import Counts
from servewell.core.catalog.quality_reference import QualityReference, Task
from servewell.core.operations.monitoring.cbpe import (
    ACCURACY,
    BRIER,
    F1,
    PRECISION,
    RECALL,
    ROC_AUC,
    expected,
)
from servewell.core.operations.monitoring.held_out_quality import (
    HeldOutRow,
    held_out_quality,
)
from servewell.core.operations.monitoring.realised import Judged, realised

Numbers = NDArray[np.float64]
NAMES = (ACCURACY, PRECISION, RECALL, F1, ROC_AUC, BRIER)


def rows_of(scores: Numbers, hits: NDArray[np.bool_], edges: Numbers) -> list[HeldOutRow]:
    """Return predictions beside their truth, with the place of the score in the profile's bins."""
    return [
        HeldOutRow(
            judged=Judged(
                task=Task.TWO_CLASSES,
                loss=(score - hit) ** 2,
                score=float(score),
                positive=bool(score >= 0.5),
                hit=bool(hit),
            ),
            place=int(place),
            slices=("origin=EWR",) if score < 0.2 else (),
        )
        for score, hit, place in zip(scores, hits, places_of(scores, edges), strict=True)
    ]


def places_of(scores: Numbers, edges: Numbers) -> NDArray[np.int64]:
    """Return the places of scores as a profile counts them."""
    return np.asarray(np.clip(np.searchsorted(edges, scores, side="right"), 0, len(edges)) + 2)


def held_out(rows: int = 8_000) -> tuple[QualityReference, Numbers]:
    """Return the quality on held-out rows whose scores are right, in twenty bins."""
    drawn = np.random.default_rng(1)
    scores = drawn.beta(1.2, 3.0, rows)
    edges = np.quantile(scores, np.linspace(0, 1, 21))
    found = held_out_quality(rows_of(scores, drawn.random(rows) < scores, edges))
    assert found is not None
    return found, edges


def counts_of(scores: Numbers, edges: Numbers) -> Counts:
    """Return what a window counts of scores."""
    places = np.bincount(places_of(scores, edges), minlength=len(edges) + 3).tolist()
    return Counts(places=tuple(places), total=float(scores.sum()))


def exact(scores: Numbers) -> dict[str, float]:
    """Return what confidence-based estimation gives from the rows themselves."""
    named = scores >= 0.5
    true_positive, hits = scores[named].sum(), scores.sum()
    order = np.argsort(scores)
    ascending = scores[order]
    below = np.cumsum(1 - ascending) - (1 - ascending)
    return {
        ACCURACY: float(np.where(named, scores, 1 - scores).mean()),
        PRECISION: float(true_positive / named.sum()),
        RECALL: float(true_positive / hits),
        F1: float(2 * true_positive / (named.sum() + hits)),
        ROC_AUC: float((ascending * below).sum() / (hits * (1 - scores).sum())),
        BRIER: float((scores * (1 - scores) ** 2 + (1 - scores) * scores**2).mean()),
    }


def test_counts_give_what_rows_would_give() -> None:
    """Over windows of other rows the counters lie within 0.008 of the estimate by rows."""
    reference, edges = held_out()
    for alpha, beta in ((1.2, 3.0), (2.0, 2.0), (0.8, 4.0)):
        scores = np.random.default_rng(7).beta(alpha, beta, 8_000)
        found = expected(reference.cells, counts_of(scores, edges), reference.task)
        by_rows = exact(scores)
        for name in NAMES:
            assert math.isclose(found[name].value, by_rows[name], abs_tol=0.008), (name, alpha)


def test_the_interval_holds_what_labels_say() -> None:
    """In about 19 of 20 windows the figure by labels lies within the estimate's interval."""
    reference, edges = held_out()
    drawn = np.random.default_rng(3)
    within = dict.fromkeys(NAMES, 0)
    for _ in range(60):
        scores = drawn.beta(1.6, 2.4, 400)
        found = expected(reference.cells, counts_of(scores, edges), reference.task)
        rows = rows_of(scores, drawn.random(400) < scores, edges)
        told = realised([one.judged for one in rows], reference.task)
        for name in NAMES:
            within[name] += found[name].low <= told[name].value <= found[name].high
    assert all(count >= 51 for count in within.values()), within


def test_the_held_out_rows_are_told_by_slice() -> None:
    """The frozen figures are those of all rows and of each slice."""
    reference, _ = held_out(2_000)
    assert set(reference.figures) == {"", "origin=EWR"}
    assert reference.figures["origin=EWR"][BRIER].value < reference.figures[""][BRIER].value
    assert sum(one.rows for one in reference.cells) == reference.rows == 2_000


def test_scores_outside_of_all_that_was_seen_count_with_the_nearest() -> None:
    """Rows below and above all bins are not lost, and rows without a score are left out."""
    reference, edges = held_out(2_000)
    places = [0] * (len(edges) + 3)
    places[0], places[1], places[2], places[-1] = 500, 500, 100, 100
    counts = Counts(places=tuple(places), total=95.0)
    found = expected(reference.cells, counts, reference.task)
    assert found[ACCURACY].value > 0.7
    nothing = Counts(places=(5, *[0] * (len(edges) + 2)))
    assert expected(reference.cells, nothing, reference.task) == {}
    assert expected((), counts, reference.task) == {}


def test_too_few_held_out_rows_freeze_nothing() -> None:
    """Fifty rows say nothing of another time."""
    drawn = np.random.default_rng(2)
    scores = drawn.random(50)
    assert held_out_quality(rows_of(scores, scores > 0.5, np.linspace(0, 1, 6))) is None
    assert held_out_quality([]) is None

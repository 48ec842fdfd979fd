"""How far an estimate without labels can be trusted, and why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from servewell.core.catalog.profile import (
    EVERYTHING,
    Bins,
    ColumnKind,
    Counts,
    ReferenceProfile,
    Side,
    WindowProfile,
)
from servewell.core.catalog.quality import Figure, Trust
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.cbpe import ACCURACY
from servewell.core.operations.monitoring.quality_window import (
    DAY_S,
    ROWS_MIN,
    Facts,
    Window,
    error_of,
    estimated,
)

SURE: Final = 3.3  # standard errors: by chance once in two thousand looks, on one side
NONE_FROM: Final = 4.0  # times `unlike_max`


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How far an estimate can be trusted."""

    trust: Trust
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the last labels said of an estimate."""

    at: float  # end of their window
    labels: int
    estimated: Figure
    realised: Figure
    contradicts: bool


def evidence_of(
    facts: Facts, windows: Sequence[Window], metric: str, rules: QualityRules
) -> tuple[Evidence, ...]:
    """Return what the labels of each window with enough of them say, newest first."""
    found = []
    task = facts.reference.task if facts.reference else None
    for window in windows:
        labels = window.labels()
        guess = estimated(facts, window, EVERYTHING).get(metric)
        enough = task is not None and labels >= rules.labels_min
        told = window.realised(EVERYTHING, task).get(metric) if enough and task else None
        if guess is None or told is None:
            continue
        apart = abs(guess.value - told.value)
        error = math.hypot(error_of(guess), error_of(told))
        matters = rules.matters * loss_size(metric, guess.value)
        found.append(
            Evidence(
                at=window.span.until,
                labels=labels,
                estimated=guess,
                realised=told,
                contradicts=apart > SURE * error and apart > matters,
            )
        )
    return tuple(found)


def loss_size(metric: str, value: float) -> float:
    """Return what a figure leaves to be better: the share that is wrong, or the loss itself."""
    return 1 - value if metric == ACCURACY else value


def trust(
    facts: Facts, window: Window, evidence: Sequence[Evidence], rules: QualityRules
) -> Verdict:
    """Return how far the estimate of a window can be trusted, by the first thing to be said."""
    return (
        _impossible(facts, window)
        or _unlike(facts, window, rules)
        or _by_labels(window, evidence)
        or _changed(facts, window)
        or _old(facts, window, rules)
        or Verdict(
            trust=Trust.GOOD,
            because="the rows are like the held-out ones; no labels yet",
        )
    )


def _impossible(facts: Facts, window: Window) -> Verdict | None:
    reference = facts.reference
    if reference is None:
        return _no("no held-out rows with labels are known of this version")
    if not reference.cells and reference.loss is None:
        return _no(reference.loss_because or "its outputs have no score")
    if window.predictions() < ROWS_MIN:
        return _no(f"fewer than {ROWS_MIN} predictions were counted in this window")
    return None


def _unlike(facts: Facts, window: Window, rules: QualityRules) -> Verdict | None:
    """Doubt an estimate about rows that lie outside of all that the held-out rows held."""
    assert window.profile is not None  # noqa: S101 - it has rows
    column, share = _least_alike(facts.bins, window.profile)
    because = f"{share:.1%} of the rows have a `{column}` that no held-out row had"
    if share >= NONE_FROM * rules.unlike_max:
        return _no(because)
    return _doubtful(because) if share >= rules.unlike_max else None


def _by_labels(window: Window, evidence: Sequence[Evidence]) -> Verdict | None:
    """Take the word of the last labels that were known of this window or one before."""
    last = next((one for one in evidence if one.at <= window.span.until), None)
    if last is None:
        return None
    words = (
        f"{last.labels:,} labels say {last.realised.value:.4g}, and {last.estimated.value:.4g} "
        "was estimated"
    )
    if last.contradicts:
        return _doubtful(f"labels contradict it: {words}")
    return Verdict(trust=Trust.GOOD, because=f"labels bear it out: {words}")


def _changed(facts: Facts, window: Window) -> Verdict | None:
    cut = facts.cut
    if cut is None or window.span.until <= cut.at or cut.now <= cut.before:
        return None
    return _doubtful("the loss has changed since, by labels")


def _old(facts: Facts, window: Window, rules: QualityRules) -> Verdict | None:
    days = (window.span.until - facts.made_at) / DAY_S
    if days <= rules.age_days_max:
        return None
    return _doubtful(f"the version is {days:,.0f} days old, and no labels bear it out")


def _no(because: str) -> Verdict:
    return Verdict(trust=Trust.NONE, because=because)


def _doubtful(because: str) -> Verdict:
    return Verdict(trust=Trust.DOUBTFUL, because=because)


def _least_alike(bins: ReferenceProfile | None, window: WindowProfile) -> tuple[str, float]:
    """Return the input with the largest share of rows outside of what the held-out rows held."""
    counts = window.counts.get(EVERYTHING, {})
    inputs = [one for one in (bins.bins if bins else ()) if one.side is Side.INPUT]
    shares = {
        one.column: _outside(one, counts[one.column]) for one in inputs if one.column in counts
    }
    worst = max(shares, key=lambda name: shares[name], default="")
    return worst, shares.get(worst, 0.0)


def _outside(bins: Bins, counts: Counts) -> float:
    """Return the share of rows that are below, above, not finite, or of a category never seen."""
    if not counts.rows or bins.kind is ColumnKind.PRESENCE:
        return 0.0
    places = counts.places
    outside = places[-1] + (sum(places[1:3]) if bins.kind is ColumnKind.NUMBER else 0)
    return outside / counts.rows

"""What is known of the predictions of a deployment: estimated, realised, and how far to trust it.

A version is `worse` only where labels prove it: the newest window with labels enough has its
interval wholly on the worse side of the held-out rows', and the difference is beyond `SURE`
standard errors and one that matters. That many are asked because it is looked again and again.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from servewell.core.catalog.profile import EVERYTHING
from servewell.core.catalog.quality import Figure, Quality, QualityReport, Trust
from servewell.core.catalog.quality_reference import QualityReference, Task
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.cbpe import ACCURACY, BRIER
from servewell.core.operations.monitoring.quality_evidence import SURE, cut_of, matters, shown_by
from servewell.core.operations.monitoring.quality_trust import Grounds, Verdict, grounds_of, trust
from servewell.core.operations.monitoring.quality_window import (
    Facts,
    Told,
    Window,
    told_of,
    windows_of,
)
from servewell.core.operations.monitoring.realised import ABSOLUTE, LOWER, calibration_of
from servewell.core.operations.monitoring.row_blocks import BLOCKS, error_of, error_with, widened

HEADLINE: Final = {Task.TWO_CLASSES: BRIER, Task.CLASSES: ACCURACY, Task.NUMBER: ABSOLUTE}


def report(facts: Facts, rules: QualityRules) -> QualityReport:
    """Return what is known of the predictions of a deployment.

    Source: `core.operations.monitoring.cbpe`, `loss_model` and `realised` for the figures.
    """
    windows = windows_of(facts)
    rows = [one for window in windows for one in window.rows.get(EVERYTHING, ())]
    task = facts.reference.task if facts.reference else _task(windows)
    headline = HEADLINE[task] if task else ""
    cut = cut_of(facts, rules)
    told = told_of(facts, windows, task) if task else ()
    shown = shown_by(facts, told, headline=headline, rules=rules, cut=cut)
    metrics = tuple(_qualities(grounds_of(facts, windows, shown, rules), told))
    worse = _worse(metrics, headline, rules)
    return QualityReport(
        endpoint=facts.endpoint,
        deployment=facts.deployment,
        version=facts.version,
        made_at=facts.made_at,
        metrics=metrics,
        headline=headline,
        predictions=sum(one.predictions() for one in windows),
        labels=sum(one.labels() for one in windows),
        calibration=calibration_of(rows),
        changed_at=cut.at if cut else None,
        loss_before=cut.before if cut else None,
        loss_now=cut.now if cut else None,
        worse=worse is not None,
        because=_because(facts, worse, metrics, headline),
    )


def _task(windows: Sequence[Window]) -> Task | None:
    """Return what the newest labels tell of, None where there are none."""
    return next((one.task for one in windows if one.task is not None), None)


def headlines(found: QualityReport) -> tuple[Quality, ...]:
    """Return the figures that the verdict is by, of all rows, newest window first."""
    return tuple(
        one for one in found.metrics if one.metric == found.headline and one.slice == EVERYTHING
    )


def beyond(
    figure: Figure, held: Figure, *, better: str, varied: float = 0.0, least: float = 0.0
) -> bool:
    """Whether a figure is worse than that of the held-out rows beyond doubt, and by enough.

    Both intervals are of 95 % and are taken as normal; the error holds how far the figure varied
    from one block of the held-out rows to the next, too.

    Units: `varied` and `least`, the difference that matters, are in that of the figure.
    """
    sign = 1 if better == "lower" else -1
    difference = sign * (figure.value - held.value)
    apart = figure.low > held.high if better == "lower" else figure.high < held.low
    chance = math.hypot(error_of(figure), error_of(held))
    error = error_with(chance, varied * math.sqrt(1 + 1 / BLOCKS))
    return apart and difference > max(SURE * error, least)


def _qualities(grounds: Grounds, told: Iterable[Told]) -> Iterator[Quality]:
    reference = grounds.facts.reference
    for one in told:
        held = reference.figures.get(one.name, {}) if reference else {}
        for metric in dict.fromkeys((*held, *one.realised, *one.estimated)):
            verdict = trust(grounds, one, metric)
            yield _quality(reference, one, metric, verdict, grounds.rules)


def _quality(
    reference: QualityReference | None,
    told: Told,
    metric: str,
    verdict: Verdict,
    rules: QualityRules,
) -> Quality:
    held = reference.figures.get(told.name, {}).get(metric) if reference else None
    return Quality(
        metric=metric,
        better="lower" if metric in LOWER else "higher",
        slice=told.name,
        start=told.window.span.start,
        until=told.window.span.until,
        rows=max(told.window.predictions(told.name), told.labels),
        labels=told.labels,
        reference=held.value if held else None,
        reference_range=(held.low, held.high) if held else None,
        varied=reference.varied.get(metric, 0.0) if reference else 0.0,
        matters=matters(metric, held.value, rules) if held else 0.0,
        estimated=None if verdict.trust is Trust.NONE else _estimated(reference, told, metric),
        realised=told.realised.get(metric),
        trust=verdict.trust,
        because=verdict.because,
    )


def _estimated(reference: QualityReference | None, told: Told, metric: str) -> Figure | None:
    """Return what is expected, its interval as wide as the held-out rows show it has to be."""
    found = told.estimated.get(metric)
    if found is None or reference is None:
        return None
    highest = math.inf if metric == ABSOLUTE else 1.0
    return widened(found, reference.missed.get(metric, 0.0), highest=highest)


def _worse(metrics: Iterable[Quality], headline: str, rules: QualityRules) -> Quality | None:
    """Return the newest figure by labels, if it is worse than the held-out rows beyond doubt."""
    for one in metrics:
        counts = one.metric == headline and one.slice == EVERYTHING
        if counts and one.realised is not None and one.labels >= rules.labels_min:
            return one if is_worse(one) else None
    return None


def is_worse(one: Quality) -> bool:
    """Whether labels prove that a figure is worse than that of the held-out rows."""
    return one.realised is not None and _is_beyond(one.realised, one, deviation=one.varied)


def _is_beyond(figure: Figure, one: Quality, *, deviation: float) -> bool:
    if one.reference is None or one.reference_range is None:
        return False
    low, high = one.reference_range
    held = Figure(value=one.reference, low=low, high=high)
    return beyond(figure, held, better=one.better, varied=deviation, least=one.matters)


def expected_worse(found: QualityReport) -> Quality | None:
    """Return the newest estimate, if it can be trusted and is worse than the held-out rows."""
    newest = next((one for one in headlines(found) if one.estimated is not None), None)
    if newest is None or newest.estimated is None or newest.trust is not Trust.GOOD:
        return None
    return newest if _is_beyond(newest.estimated, newest, deviation=0.0) else None


def _because(facts: Facts, worse: Quality | None, metrics: Sequence[Quality], headline: str) -> str:
    """Return in one sentence what is known, and by what."""
    if worse is not None and worse.realised is not None and worse.reference is not None:
        return (
            f"{worse.labels:,} labels prove a {worse.metric} of {worse.realised.value:.4g} "
            f"({worse.realised.low:.4g} to {worse.realised.high:.4g}), where the held-out rows "
            f"had {worse.reference:.4g}"
        )
    newest = next((o for o in metrics if o.metric == headline and o.slice == EVERYTHING), None)
    if newest is None:
        return "no held-out rows with labels and no labels are known"
    labels = sum(o.labels for o in metrics if o.metric == headline and o.slice == EVERYTHING)
    if not labels:
        return f"no labels are known; the estimate is {newest.trust.value}: {newest.because}"
    if facts.reference is None:
        return f"{labels:,} labels are known, and no held-out rows to hold them against"
    return f"{labels:,} labels do not prove it worse than the held-out rows by what matters"

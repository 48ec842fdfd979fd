"""What is known of the predictions of a deployment: estimated, realised, and how far to trust it.

A version is `worse` only where labels prove it: the newest window with labels enough has its
interval wholly on the worse side of the held-out rows', and the difference is beyond `SURE`
standard errors. That many are asked because it is looked again and again.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from servewell.core.catalog.profile import EVERYTHING
from servewell.core.catalog.quality import Figure, Quality, QualityReport, Trust
from servewell.core.catalog.quality_reference import Task
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.cbpe import ACCURACY, BRIER
from servewell.core.operations.monitoring.quality_trust import (
    SURE,
    Verdict,
    evidence_of,
    trust,
)
from servewell.core.operations.monitoring.quality_window import (
    Facts,
    Window,
    error_of,
    estimated,
    windows_of,
)
from servewell.core.operations.monitoring.realised import ABSOLUTE, calibration_of

HEADLINE: Final = {Task.TWO_CLASSES: BRIER, Task.CLASSES: ACCURACY, Task.NUMBER: ABSOLUTE}
LOWER: Final = (BRIER, ABSOLUTE)  # the lower the better


def report(facts: Facts, rules: QualityRules) -> QualityReport:
    """Return what is known of the predictions of a deployment.

    Source: `core.operations.monitoring.cbpe`, `loss_model` and `realised` for the figures.
    """
    windows = windows_of(facts)
    told = [one for window in windows for one in window.rows.get(EVERYTHING, ())]
    task = facts.reference.task if facts.reference else _task(windows)
    metrics = tuple(_qualities(facts, windows, task, rules)) if task else ()
    headline = HEADLINE[task] if task else ""
    cut = facts.cut
    scale = facts.watched.scale if facts.watched else 1.0
    worse = _worse(metrics, headline, rules)
    return QualityReport(
        endpoint=facts.endpoint,
        deployment=facts.deployment,
        version=facts.version,
        metrics=metrics,
        headline=headline,
        predictions=sum(one.predictions() for one in windows),
        labels=sum(one.labels() for one in windows),
        calibration=calibration_of(told),
        changed_at=cut.at if cut else None,
        loss_before=cut.before * scale if cut else None,
        loss_now=_loss_now(facts) * scale if cut else None,
        worse=worse is not None,
        because=_because(facts, worse, metrics, headline),
    )


def _task(windows: Sequence[Window]) -> Task | None:
    """Return what the newest labels tell of, None where there are none."""
    return next((one.task for one in windows if one.task is not None), None)


def _loss_now(facts: Facts) -> float:
    """Return the mean loss since the last change, in shares of the scale."""
    buckets = facts.watched.adwin.buckets if facts.watched else ()
    return sum(one.total for one in buckets) / max(1, sum(one.count for one in buckets))


def headlines(found: QualityReport) -> tuple[Quality, ...]:
    """Return the figures that the verdict is by, of all rows, newest window first."""
    return tuple(
        one for one in found.metrics if one.metric == found.headline and one.slice == EVERYTHING
    )


def beyond(figure: Figure, held: Figure, *, better: str) -> bool:
    """Whether a figure is worse than that of the held-out rows beyond doubt.

    Both intervals are of 95 % and are taken as normal.
    """
    sign = 1 if better == "lower" else -1
    difference = sign * (figure.value - held.value)
    apart = figure.low > held.high if better == "lower" else figure.high < held.low
    return apart and difference > SURE * math.hypot(error_of(figure), error_of(held))


def _qualities(
    facts: Facts, windows: Sequence[Window], task: Task, rules: QualityRules
) -> Iterator[Quality]:
    evidence = evidence_of(facts, windows, HEADLINE[task], rules)
    for window in windows:
        verdict = trust(facts, window, evidence, rules)
        for name in window.slices if facts.sums is None else [EVERYTHING]:
            yield from _of_slice(facts, window, name, task, verdict)


def _of_slice(
    facts: Facts, window: Window, name: str, task: Task, verdict: Verdict
) -> Iterator[Quality]:
    labels = window.labels(name)
    told = window.realised(name, task)
    guessed = estimated(facts, window, name) if verdict.trust is not Trust.NONE else {}
    held = facts.reference.figures.get(name, {}) if facts.reference else {}
    for metric in dict.fromkeys((*held, *told, *guessed)):
        reference = held.get(metric)
        yield Quality(
            metric=metric,
            better="lower" if metric in LOWER else "higher",
            slice=name,
            start=window.span.start,
            until=window.span.until,
            rows=max(window.predictions(name), labels),
            labels=labels,
            reference=reference.value if reference else None,
            reference_range=(reference.low, reference.high) if reference else None,
            estimated=guessed.get(metric),
            realised=told.get(metric),
            trust=verdict.trust,
            because=verdict.because,
        )


def _worse(metrics: Iterable[Quality], headline: str, rules: QualityRules) -> Quality | None:
    """Return the newest figure by labels, if it is worse than the held-out rows beyond doubt."""
    for one in metrics:
        counts = one.metric == headline and one.slice == EVERYTHING
        if counts and one.realised is not None and one.labels >= rules.labels_min:
            return one if is_worse(one) else None
    return None


def is_worse(one: Quality) -> bool:
    """Whether labels prove that a figure is worse than that of the held-out rows."""
    held = _held(one)
    if one.realised is None or held is None:
        return False
    return beyond(one.realised, held, better=one.better)


def _held(one: Quality) -> Figure | None:
    if one.reference is None or one.reference_range is None:
        return None
    low, high = one.reference_range
    return Figure(value=one.reference, low=low, high=high)


def expected_worse(found: QualityReport) -> Quality | None:
    """Return the newest estimate, if it can be trusted and is worse than the held-out rows."""
    newest = next((one for one in headlines(found) if one.estimated is not None), None)
    held = _held(newest) if newest else None
    if newest is None or newest.estimated is None or held is None:
        return None
    sure = newest.trust is Trust.GOOD and beyond(newest.estimated, held, better=newest.better)
    return newest if sure else None


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
    return f"{labels:,} labels show nothing worse than the held-out rows"

"""What labels say of estimates: of each figure of each slice, window by window."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from servewell.core.catalog.loss_watch import Cut
from servewell.core.catalog.profile import EVERYTHING
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.quality_reference import QualityReference
from servewell.core.catalog.workload_quality import QualityRules
from servewell.core.operations.monitoring.quality_window import Facts, Told
from servewell.core.operations.monitoring.realised import LOWER, calibration_of
from servewell.core.operations.monitoring.row_blocks import Z, error_of, error_with

SURE: Final = 3.3  # standard errors: by chance once in two thousand looks, on one side


class Says(StrEnum):
    """What labels say of an estimate."""

    NO = "contradicts"
    YES = "bears out"
    TOO_LITTLE = "too few to say"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the labels of one window say of one estimate."""

    name: str  # of the slice
    metric: str
    since: float  # of their window
    at: float  # end of their window
    labels: int
    estimated: Figure
    realised: Figure
    says: Says


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All that labels show, newest window first."""

    headline: str  # metric
    figures: Mapping[tuple[str, str], Sequence[Evidence]]  # by slice and metric
    calibration: Sequence[tuple[float, Figure]]  # end of a window, and the error of its scores
    cut: Cut | None  # the last change of the loss, in its unit, if labels show it still


def shown_by(
    facts: Facts, told: Sequence[Told], *, headline: str, rules: QualityRules, cut: Cut | None
) -> Shown:
    """Return what the labels of all windows with enough of them show; they are newest first."""
    enough = [one for one in told if one.labels >= rules.labels_min]
    figures: dict[tuple[str, str], list[Evidence]] = {}
    for one in enough:
        for metric in one.estimated.keys() & one.realised.keys():
            found = _evidence(facts.reference, one, metric, rules)
            figures.setdefault((one.name, metric), []).append(found)
    whole = [one.window for one in enough if one.name == EVERYTHING]
    errors = [(one.span.until, calibration_of(one.rows.get(EVERYTHING, ()))) for one in whole]
    return Shown(
        headline=headline,
        figures=figures,
        calibration=[(at, error) for at, error in errors if error is not None],
        cut=cut,
    )


def _evidence(
    reference: QualityReference | None, told: Told, metric: str, rules: QualityRules
) -> Evidence:
    guess, came = told.estimated[metric], told.realised[metric]
    missed = reference.missed.get(metric, 0.0) if reference else 0.0
    return Evidence(
        name=told.name,
        metric=metric,
        since=told.window.span.start,
        at=told.window.span.until,
        labels=told.labels,
        estimated=guess,
        realised=came,
        says=_says(
            abs(guess.value - came.value),
            _error(told, guess, came),
            missed=missed,
            matters=matters(metric, guess.value, rules),
        ),
    )


def _error(told: Told, guess: Figure, came: Figure) -> float:
    """Return the standard error of the difference of an estimate and what labels say.

    The estimate holds the chance in what labels of all rows would give, so only what some of them
    may differ from all is added.
    """
    rows = max(told.window.predictions(told.name), told.labels)
    return math.hypot(error_of(guess), error_of(came) * math.sqrt(1 - told.labels / rows))


def _says(apart: float, error: float, *, missed: float, matters: float) -> Says:
    """Return what labels say of an estimate that is so far apart from them, by 95 %.

    What an estimate missed on its own held-out rows is no contradiction. It is borne out where it
    is off by no more than twice of what matters.
    """
    if apart > max(SURE * error_with(error, missed), matters):
        return Says.NO
    return Says.YES if apart + Z * error <= 2 * matters else Says.TOO_LITTLE


def matters(metric: str, value: float, rules: QualityRules) -> float:
    """Return the difference from a figure that is somebody's work, in its unit."""
    return rules.matters * loss_size(metric, value)


def loss_size(metric: str, value: float) -> float:
    """Return what a figure leaves to be better: the loss itself, or what is missing to 1."""
    return value if metric in LOWER else 1 - value


def cut_of(facts: Facts, rules: QualityRules) -> Cut | None:
    """Return the last change of the loss, in its unit; None where labels show it no more.

    What the loss is now is asked of all labels since, as they hold now: a rise by labels that
    were wrong ends when they are corrected.
    """
    watched, sums = facts.watched, facts.since_cut
    if watched is None or not watched.cuts:
        return None
    last = watched.cuts[-1]
    before, now = last.before * watched.scale, last.now * watched.scale
    if sums is not None and sums.measure == watched.measure:
        now = sums.total / sums.rows
    apart = now - before if last.now > last.before else before - now
    return replace(last, before=before, now=now) if apart > rules.matters * before else None

"""Decide about an experiment: whether it may begin, what it shows, what its end changes.

What it shows holds at every look at once, so it may be watched, and ended, at any moment: means by
the confidence sequence of `confidence_sequence`, shares of failures by an interval of each that
bounds them at every look, with half of alpha each.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from servewell.core.catalog.endpoint import BP_FULL, Deployment, Endpoint
from servewell.core.catalog.evidence import Moments
from servewell.core.catalog.experiment import (
    Experiment,
    ExperimentSums,
    Goal,
    Metric,
    Result,
    Standing,
)
from servewell.core.catalog.label import Label
from servewell.core.catalog.outcome import Outcome
from servewell.core.operations.confidence_sequence import (
    SAMPLES_MIN,
    contrasted,
    difference_interval,
    estimate,
    merged,
    moments,
)
from servewell.core.operations.e_process import share_interval
from servewell.core.operations.label_loss import alike
from servewell.core.operations.outcome_batch import ANSWERED, counts, scores_of
from servewell.core.operations.traffic import DeploymentMissingError, percent
from servewell.errors import ServewellError

WINDOW_MIN: Final = 5  # values of each
WINDOW_MAX: Final = 100  # values that are compared at once
REQUESTS_MIN: Final = SAMPLES_MIN  # of each, before anything is said
_MOST: Final = 1_000  # times what there is: further than that nothing can be foreseen
_FASTEST_MS: Final = 1e-3
_LARGEST: Final = 1e75


class ExperimentInvalidError(ServewellError):
    """What was declared cannot be an experiment."""

    code = "SW-248"


class ExperimentUndecidedError(ServewellError):
    """Nothing is shown that could be applied."""

    code = "SW-249"


def decide_experiment(  # noqa: PLR0913 - what an experiment is made of
    endpoint: Endpoint,
    pair: tuple[str, str],
    *,
    share_bp: int,
    goal: Goal,
    because: str,
    experiment_id: str,
    principal: str,
    now: float,
) -> Experiment:
    """Return the experiment that is to begin; all its faults are told together.

    Units:  `share_bp` of the second, 1..9 999.
    Raises: DeploymentMissingError, ExperimentInvalidError.
    """
    first, second = (_deployment(endpoint, name) for name in pair)
    faults = _faults(pair, share_bp, goal)
    if faults:
        raise ExperimentInvalidError(
            f"`{endpoint.name}` cannot have this experiment: {'; '.join(faults)}.",
            why="what is compared, and what matters, is declared before the first request",
            fix="`servewell experiments start --help` says what each word may be",
        )
    words = (
        f"{percent(share_bp)} of the requests go to `{second.name}`, the others to "
        f"`{first.name}`, to compare {_name(goal)}"
    )
    return Experiment(
        id=experiment_id,
        endpoint=endpoint.name,
        first=first.name,
        first_version=f"{first.model}:{first.version}",
        second=second.name,
        second_version=f"{second.model}:{second.version}",
        share_bp=share_bp,
        goal=goal,
        began_at=now,
        because=": ".join(one for one in (because, words) if one),
        principal=principal,
    )


def _deployment(endpoint: Endpoint, name: str) -> Deployment:
    for one in endpoint.deployments:
        if one.name == name:
            return one
    raise DeploymentMissingError(
        f"`{endpoint.name}` has no deployment `{name}`.",
        why="an experiment compares two deployments of one endpoint",
        fix=f"`servewell endpoints list` shows them; `servewell deploy {endpoint.name} MODEL "
        "--share 1%` makes one",
    )


def _faults(pair: tuple[str, str], share_bp: int, goal: Goal) -> list[str]:
    wrong = {
        "it compares a deployment with itself": pair[0] == pair[1],
        "each of the two needs a share of the requests": not 0 < share_bp < BP_FULL,
        "the smallest effect of interest is not above 0": not 0 < goal.smallest < math.inf,
        "alpha is not between 0 and 0.5": not 0 < goal.alpha < 0.5,  # noqa: PLR2004 - said beside it
        "only a metric `output` has a name": bool(goal.output) and goal.metric is not Metric.OUTPUT,
    }
    return [words for words, is_so in wrong.items() if is_so]


def with_outcomes(
    experiment: Experiment, outcomes: Sequence[Outcome], *, missing: int = 0
) -> Experiment:
    """Return the experiment with more requests; the traffic chose who answered those that count."""
    pair = experiment.first, experiment.second
    told = [[one for one in outcomes if one.deployment == name and counts(one)] for name in pair]
    failed = [sum(one.status >= ANSWERED for one in part) for part in told]
    sums = experiment.sums
    grown = replace(
        sums,
        requests=(sums.requests[0] + len(told[0]), sums.requests[1] + len(told[1])),
        failed=(sums.failed[0] + failed[0], sums.failed[1] + failed[1]),
        missing=sums.missing + missing,
    )
    values = [
        (one.deployment == experiment.second, value)
        for one in outcomes
        if one.deployment in pair
        and counts(one)
        and (value := _value(one, experiment.goal)) is not None
    ]
    return replace(experiment, sums=_with_values(grown, values))


def with_labels(experiment: Experiment, labels: Sequence[Label]) -> Experiment:
    """Return the experiment with the losses of what it let both predict."""
    if experiment.goal.metric is not Metric.LOSS:
        return experiment
    pair, sums = (experiment.first, experiment.second), experiment.sums
    own = (
        one
        for one in labels
        if one.deployment in pair and not one.role and one.predicted_at >= experiment.began_at
    )
    told = alike(own, sums.loss_measure)
    values = [
        (one.deployment == experiment.second, one.loss)
        for one in told.labels
        if one.loss is not None
    ]
    grown = replace(sums, loss_measure=told.measure, unlike=sums.unlike + told.unlike)
    return replace(experiment, sums=_with_values(grown, values))


def _value(outcome: Outcome, goal: Goal) -> float | None:
    """Return the metric of one request: of an output, the mean over its rows."""
    if outcome.status >= ANSWERED:
        return None
    if goal.metric is Metric.LATENCY:
        return math.log(max(outcome.latency_ms, _FASTEST_MS))
    if goal.metric is not Metric.OUTPUT:
        return None
    named = {goal.output: outcome.outputs.get(goal.output, [])} if goal.output else outcome.outputs
    row_values = [value for value in scores_of(named) if -_LARGEST < value < _LARGEST]
    return math.fsum(row_values) / len(row_values) if row_values else None


def _with_values(sums: ExperimentSums, values: list[tuple[bool, float]]) -> ExperimentSums:
    """Compare values, each said to be of the second or not, in windows of what came together.

    However much is looked at at once, it is cut: what changes for both is to change between them.
    """
    for start in range(0, len(values), WINDOW_MAX):
        part = values[start : start + WINDOW_MAX]
        sums = _with_part(
            sums,
            moments([value for is_second, value in part if not is_second]),
            moments([value for is_second, value in part if is_second]),
        )
    return sums


def _with_part(sums: ExperimentSums, first: Moments, second: Moments) -> ExperimentSums:
    """Gather values until there are enough of both, and compare them then."""
    window = merged(sums.window[0], first), merged(sums.window[1], second)
    if min(window[0].n, window[1].n) < WINDOW_MIN:
        return replace(sums, window=window)
    return replace(
        sums,
        contrast=contrasted(sums.contrast, window[0], window[1]),
        window=(Moments(), Moments()),
    )


def result_of(experiment: Experiment) -> Result:
    """Return what is shown now. An effect that is shown too small to matter is no difference.

    Raises: nothing.
    """
    bounds = _bounds(experiment)
    if bounds is None:
        return Result(standing=Standing.UNDECIDED, because=_too_few(experiment))
    low, effect, high = bounds
    goal = experiment.goal
    sign = 1 if goal.higher_is_better else -1
    worst, best = sorted((sign * low, sign * high))
    if -goal.smallest < low and high < goal.smallest:
        standing, recommends = Standing.NO_DIFFERENCE, experiment.first
    elif worst > 0:
        standing, recommends = Standing.SECOND, experiment.second
    elif best < 0:
        standing, recommends = Standing.FIRST, experiment.first
    else:
        standing, recommends = Standing.UNDECIDED, ""
    return Result(
        standing=standing,
        because=_told(experiment, standing, bounds),
        recommends=recommends,
        low=low,
        effect=effect,
        high=high,
    )


def _bounds(experiment: Experiment) -> tuple[float, float, float] | None:
    """Return the interval of the effect and the effect, second less first, in the goal's unit."""
    goal, sums = experiment.goal, experiment.sums
    if goal.metric is Metric.ERRORS:
        return _failing(sums, goal.alpha)
    interval = difference_interval(sums.contrast, goal.alpha)
    if interval is None:
        return None
    low, effect, high = interval[0], estimate(sums.contrast), interval[1]
    if goal.metric is Metric.LATENCY:
        return math.expm1(low), math.expm1(effect), math.expm1(high)
    return low, effect, high


def _failing(sums: ExperimentSums, alpha: float) -> tuple[float, float, float] | None:
    if min(sums.requests) < REQUESTS_MIN:
        return None
    first, second = (
        share_interval(n, x, alpha / 2) for n, x in zip(sums.requests, sums.failed, strict=True)
    )
    shares = [x / n for n, x in zip(sums.requests, sums.failed, strict=True)]
    return second[0] - first[1], shares[1] - shares[0], second[1] - first[0]


def _too_few(experiment: Experiment) -> str:
    sums, goal = experiment.sums, experiment.goal
    seen = sums.requests
    if goal.metric is not Metric.ERRORS:
        seen = (
            sums.contrast.stable.n + sums.window[0].n,
            sums.contrast.candidate.n + sums.window[1].n,
        )
    what = "labels" if goal.metric is Metric.LOSS else "requests"
    return (
        f"{seen[0]:,} {what} of `{experiment.first}` and {seen[1]:,} of `{experiment.second}` "
        f"tell {_name(goal)}; at least {SAMPLES_MIN} of each are needed, over some time"
        f"{_unlike(sums)}"
    )


def _unlike(sums: ExperimentSums) -> str:
    if not sums.unlike:
        return ""
    return (
        f"; the two are not measured alike: {sums.unlike:,} labels are not told by "
        f"{sums.loss_measure}, and not counted"
    )


def _told(experiment: Experiment, standing: Standing, bounds: tuple[float, float, float]) -> str:
    low, effect, high = (_shown(experiment.goal, one) for one in bounds)
    words = (
        f"{_name(experiment.goal)} of `{experiment.second}` is {effect} against "
        f"`{experiment.first}`, between {low} and {high}"
    )
    smallest = _shown(experiment.goal, experiment.goal.smallest).lstrip("+")
    if standing is Standing.NO_DIFFERENCE:
        return f"{words}: less than the {smallest} that matter"
    if standing is not Standing.UNDECIDED:
        return words
    more = _more(experiment, bounds) + _unlike(experiment.sums)
    return f"{words}: neither a difference nor that it is below {smallest} is shown{more}"


def _more(experiment: Experiment, bounds: tuple[float, float, float]) -> str:
    """Say about how many more requests will decide: the width goes with their root."""
    low, effect, high = bounds
    wanted = max(abs(effect), experiment.goal.smallest - abs(effect))
    times = (max(high - effect, effect - low) / wanted) ** 2
    if not 1 < times < _MOST:
        return ""
    return f"; about {math.ceil(sum(experiment.sums.requests) * (times - 1)):,} more requests may"


def _shown(goal: Goal, value: float) -> str:
    if goal.metric is Metric.LATENCY:
        return f"{value:+.2%}"
    return f"{value:+.3%}" if goal.metric is Metric.ERRORS else f"{value:+.4g}"


def _name(goal: Goal) -> str:
    named = {
        Metric.ERRORS: "the share of failed requests",
        Metric.LATENCY: "the latency",
        Metric.LOSS: "the loss by labels",
        Metric.OUTPUT: f"the mean of `{goal.output}`" if goal.output else "the mean output",
    }
    return named[goal.metric]


def ended(experiment: Experiment, *, apply: bool, now: float) -> Experiment:
    """Return the experiment at its end, with what it shows.

    Raises: ExperimentUndecidedError, where something is to be applied and nothing is shown.
    """
    result = result_of(experiment)
    if apply and not result.recommends:
        raise ExperimentUndecidedError(
            f"The experiment of `{experiment.endpoint}` shows nothing that could be applied.",
            why=result.because,
            fix=f"let it run on; or `servewell experiments stop {experiment.endpoint}` without "
            "`--apply` ends it and leaves the traffic as it is",
        )
    return replace(experiment, ended_at=now, result=result)

"""Turn unusual figures into what a person is told."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from servewell.core.catalog.series import DAY_S, Sample
from servewell.core.catalog.series_names import (
    FAILED,
    LATENCY,
    MISSING,
    REFUSED,
    REQUESTS,
    SLOW,
    words_of,
)
from servewell.core.catalog.signal import Points, Severity, Signal, SignalKind
from servewell.core.operations.monitoring.anomalies import (
    NEEDED,
    OF,
    STEP_S,
    UNUSUAL,
)

SHOWN_S: Final = 2 * DAY_S
SHARE_LEAST: Final = 0.005
# The objective that speaks of the same, by the figure: what breaks it may ring as well.
OBJECTIVES: Final = {
    REQUESTS: SignalKind.AVAILABILITY,
    FAILED: SignalKind.AVAILABILITY,
    LATENCY: SignalKind.LATENCY,
    SLOW: SignalKind.LATENCY,
}


def anomaly_signal(  # noqa: PLR0913 - the facts of one sentence
    endpoint: str,
    name: str,
    *,
    values: Sequence[Sample],
    expected: Sequence[Sample],
    distances: Sequence[Sample],
    burning: Sequence[Signal],
) -> Signal | None:
    """Return the signal of an anomaly that holds now, or None.

    It asks nothing of anybody unless an objective on the same figure burns its budget (`burning`):
    then it is as urgent as that, and names it as what it is part of.

    Units:  times in seconds since the epoch; distances in robust standard deviations.
    Raises: nothing.
    """
    unusual = [one for one in distances[-OF:] if abs(one.mean) > UNUSUAL]
    if not holds_now(distances):
        return None
    last = unusual[-1]
    was = next((one.mean for one in values if one.start == last.start), 0.0)
    usual = next((one.mean for one in expected if one.start == last.start), 0.0)
    worst = next((one for one in burning if one.endpoint == endpoint and _same(name, one)), None)
    return Signal(
        kind=SignalKind.ANOMALY,
        severity=worst.severity if worst else Severity.NOTE,
        endpoint=endpoint,
        subject=words_of(name),
        since=float(unusual[0].start),
        what=f"The {words_of(name)} of `{endpoint}` is unusual: {was:,.4g}, expected {usual:,.4g}.",
        because=f"{len(unusual)} of the last {OF} half hours were more than {UNUSUAL:g} robust "
        f"standard deviations off; the last one {last.mean:+.1f}",
        value=was,
        bound=usual,
        points=_points(name, values, expected),
        command=f"servewell health {endpoint}",
        runbook="anomaly",
        causes=(worst.key,) if worst else (),
    )


def slow_signal(
    endpoint: str, name: str, moved: Sequence[Sample], days: Sequence[Sample], *, now: float
) -> Signal | None:
    """Return the note that the level of a figure has moved over days, or None.

    `moved` are the last changes as shares of the level before, `days` how long they took.

    Raises: nothing.
    """
    if not moved or not days or not days[-1].mean:
        return None
    change, lasted = moved[-1].mean, days[-1].mean
    return Signal(
        kind=SignalKind.ANOMALY,
        severity=Severity.NOTE,
        endpoint=endpoint,
        subject=f"level of {words_of(name)}",
        since=now - lasted * DAY_S,
        what=f"The {words_of(name)} of `{endpoint}` has moved by {change:+.0%} over {lasted:.0f} "
        "days.",
        because="a CUSUM of whole days, each against the same days of the first two weeks",
        value=change,
        command=f"servewell health {endpoint}",
        runbook="anomaly",
    )


def holds_now(distances: Sequence[Sample]) -> bool:
    """Whether three of the last five half hours were unusual. Raises: nothing."""
    return sum(abs(one.mean) > UNUSUAL for one in distances[-OF:]) >= NEEDED


def whole_steps(samples: Sequence[Sample], *, total: bool) -> tuple[Sample, ...]:
    """Return samples whose mean is the value of their time: of a count the sum."""
    return tuple(replace(one, weight=1.0) if total else one for one in samples)


def _same(name: str, burning: Signal) -> bool:
    return OBJECTIVES.get(name.split("/", 2)[2]) is burning.kind


def _points(name: str, values: Sequence[Sample], expected: Sequence[Sample]) -> tuple[Points, ...]:
    return tuple(
        Points(
            name=label,
            unit="",
            times=tuple(float(one.start) for one in samples),
            values=tuple(one.mean for one in samples),
        )
        for label, samples in ((words_of(name), values), ("expected", expected))
    )


def sums(name: str) -> bool:
    """Whether a figure is a count, of which a half hour has the sum; else it has the mean."""
    return name.split("/", 2)[2] in (REQUESTS, FAILED, REFUSED, SLOW)


def least(name: str) -> float:
    """Return by how much a figure may stray whatever its past: a share by half a percent."""
    return SHARE_LEAST if name.split("/", 2)[2].startswith(f"{MISSING}/") else 0.0


def steps(
    samples: Sequence[Sample], *, since: int, until: int, watched: Sequence[Sample] | None
) -> tuple[float | None, ...]:
    """Return one value for each half hour; None where there was none.

    Of a count `watched` are the half hours in which somebody counted: without a sample it was 0.
    Of anything else it is None.

    Raises: nothing.
    """
    counts = watched is not None
    found = {one.start: one.total if counts else one.mean for one in samples}
    zeros = {one.start: 0.0 for one in watched or ()}
    return tuple((zeros | found).get(at) for at in range(since, until, STEP_S))

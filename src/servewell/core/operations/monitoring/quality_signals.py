"""What is to be said of the rightness of a deployment, and to whom."""

from collections.abc import Iterator, Sequence
from typing import Final

from servewell.core.catalog.quality import Quality, QualityReport
from servewell.core.catalog.signal import Points, Severity, Signal, SignalKind
from servewell.core.operations.monitoring.quality import expected_worse, headlines, is_worse

RUNBOOK: Final = "quality"
CHANGED_FOR_S: Final = 14 * 86_400.0  # a change of the loss is told so long


def signals_of(found: QualityReport, *, now: float) -> Iterator[Signal]:
    """Yield what labels prove, what is expected without them, and a rise of the loss.

    All are by enough to be somebody's work; less is no signal.
    """
    proven = proven_worse(found)
    expected = expected_worse(found)
    if proven is not None:
        yield _proven(found, proven)
    elif expected is not None:
        yield _expected(found, expected)
    if (
        found.changed_at is not None
        and (found.loss_now or 0.0) > (found.loss_before or 0.0)
        and 0 <= now - found.changed_at < CHANGED_FOR_S
    ):
        yield _changed(found)


def proven_worse(found: QualityReport) -> Quality | None:
    """Return the newest figure that proves it worse, None where nothing does."""
    if not found.worse:
        return None
    return next(one for one in headlines(found) if is_worse(one))


def _proven(found: QualityReport, one: Quality) -> Signal:
    assert one.realised is not None  # noqa: S101 - it proves something
    return _signal(
        found,
        one,
        value=one.realised.value,
        subject="by labels",
        what=f"The {one.metric} of {found.version} is {_figure(one.realised.value, one)}; on "
        f"held-out rows it was {_figure(one.reference or 0.0, one)}.",
        because=found.because,
        since=_since(headlines(found)),
    )


def _expected(found: QualityReport, one: Quality) -> Signal:
    assert one.estimated is not None  # noqa: S101 - it expects something
    return _signal(
        found,
        one,
        value=one.estimated.value,
        subject="without labels",
        what=f"The {one.metric} of {found.version} is expected to be "
        f"{_figure(one.estimated.value, one)}; on held-out rows it was "
        f"{_figure(one.reference or 0.0, one)}.",
        because=f"estimated from {one.rows:,} predictions without labels: {one.because}",
        since=one.start,
    )


def _changed(found: QualityReport) -> Signal:
    before, now = found.loss_before or 0.0, found.loss_now or 0.0
    return Signal(
        kind=SignalKind.QUALITY,
        severity=Severity.TICKET,
        endpoint=found.endpoint,
        deployment=found.deployment,
        subject="change of the loss",
        since=found.changed_at or 0.0,
        what=f"The loss of {found.version} rose from {before:.4g} to {now:.4g}.",
        because="ADWIN finds a change in the losses of its labels",
        value=now,
        bound=before,
        command=f"servewell quality {found.endpoint}",
        runbook=RUNBOOK,
    )


def _signal(  # noqa: PLR0913 - the parts of a signal that differ
    found: QualityReport,
    one: Quality,
    *,
    value: float,
    subject: str,
    what: str,
    because: str,
    since: float,
) -> Signal:
    return Signal(
        kind=SignalKind.QUALITY,
        severity=Severity.TICKET,
        endpoint=found.endpoint,
        deployment=found.deployment,
        subject=subject,
        since=max(since, found.made_at),  # a window may have begun before the version was
        what=what,
        because=because,
        value=value,
        bound=one.reference,
        points=(_points(found),),
        command=f"servewell quality {found.endpoint}",
        runbook=RUNBOOK,
    )


def _points(found: QualityReport) -> Points:
    """Return the figures over time, by labels where there are some, else without."""
    ordered = tuple(reversed(headlines(found)))
    figures = [one.realised or one.estimated for one in ordered]
    return Points(
        name=found.headline,
        unit=ordered[-1].unit,
        times=tuple((one.start + one.until) / 2 for one in ordered),
        values=tuple(one.value if one else None for one in figures),
        bound=ordered[-1].reference,
    )


def _since(newest_first: Sequence[Quality]) -> float:
    """Return the start of the first of the windows in a row that are worse by labels."""
    told = [one for one in newest_first if one.realised is not None]
    first = next((place for place, one in enumerate(told) if not is_worse(one)), len(told))
    return told[max(0, first - 1)].start


def _figure(value: float, one: Quality) -> str:
    return f"{value:.4g} {one.unit}".rstrip()

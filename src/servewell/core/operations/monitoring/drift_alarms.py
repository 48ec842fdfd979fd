"""What is to be said of drift and of broken feeds, and how urgent it is."""

from collections.abc import Iterator, Sequence
from typing import Final

from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict, FeedFault
from servewell.core.catalog.profile import Side
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.catalog.triage import Remedy, Triage
from servewell.core.operations.monitoring.drift import began
from servewell.core.operations.monitoring.drift_words import name

URGENT: Final[dict[FeedFault, Severity]] = {
    FeedFault.UNIT: Severity.PAGE,
    FeedFault.CONSTANT: Severity.PAGE,
    FeedFault.NULLS: Severity.PAGE,
    FeedFault.UNSEEN: Severity.TICKET,  # the world has new things; a person says whether they are
}
DRAWN_MAX: Final = 3
NAMED_MAX: Final = 4


def signals_of(drift: DriftReport, verdict: Triage) -> Iterator[Signal]:
    """Yield a signal for each broken column, one for refused requests, and one for other drift."""
    moved = [one for one in drift.columns if one.verdict is DriftVerdict.DRIFT]
    broken = {one.column: one for one in reversed(moved) if one.faults}
    for one in broken.values():
        yield _broken(drift, one)
    if verdict.refused:
        yield _refused(drift, verdict)
    if drifted := [one for one in moved if one.column not in broken]:
        yield _drifted(drift, drifted, verdict)


def _broken(drift: DriftReport, one: ColumnDrift) -> Signal:
    is_input = one.side is Side.INPUT
    whose = f"The feed of {name(one)} is broken" if is_input else f"{name(one)} is out of order"
    return Signal(
        kind=SignalKind.FEED if is_input else SignalKind.DRIFT,
        severity=min((URGENT[fault] for fault in one.faults), key=list(Severity).index),
        endpoint=drift.endpoint,
        deployment=drift.deployment,
        subject=one.column,
        since=began(drift, (one,)),
        what=f"{whose}: {', '.join(one.faults)}.",
        because=f"in {one.rows:,} rows {one.what}; the index is {one.psi:.2f}",
        value=one.psi,
        distributions=(one.distributions,) if one.distributions else (),
        command=f"servewell drift {drift.endpoint}",
        runbook="broken-feed" if is_input else "drift",
    )


def _refused(drift: DriftReport, verdict: Triage) -> Signal:
    return Signal(
        kind=SignalKind.FEED,
        severity=Severity.PAGE,
        endpoint=drift.endpoint,
        subject="inputs",
        since=verdict.since,
        what=verdict.refused,
        because=verdict.because,
        command=f"servewell triage {drift.endpoint}",
        runbook="broken-feed",
    )


def _drifted(drift: DriftReport, moved: Sequence[ColumnDrift], verdict: Triage) -> Signal:
    told = ", ".join(f"{name(one)} ({one.psi:.2f})" for one in moved[:NAMED_MAX])
    more = f" and {len(moved) - NAMED_MAX} more" if len(moved) > NAMED_MAX else ""
    harmless = verdict.remedy is Remedy.NOTHING
    return Signal(
        kind=SignalKind.DRIFT,
        severity=Severity.NOTE if harmless else Severity.TICKET,
        endpoint=drift.endpoint,
        deployment=drift.deployment,
        since=began(drift, moved),
        what=f"{drift.version} gets other rows than it was made for: {told}{more} moved. "
        f"It is {verdict.kind}; what helps: {verdict.remedy}.",
        because=verdict.because,
        value=moved[0].psi,
        distributions=tuple(one.distributions for one in moved[:DRAWN_MAX] if one.distributions),
        command=f"servewell triage {drift.endpoint}",
        runbook="drift",
    )

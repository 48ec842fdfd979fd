"""What kind of trouble it is follows from the inputs and the loss, and what helps from the kind."""

from itertools import product

import pytest

from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict, FeedFault
from servewell.core.catalog.profile import Side
from servewell.core.catalog.quality import Figure, Quality, QualityReport, Trust
from servewell.core.catalog.signal import Severity, SignalKind
from servewell.core.catalog.triage import Kind, Remedy
from servewell.core.operations.monitoring.drift_alarms import signals_of
from servewell.core.operations.monitoring.triage import TABLE, Inputs, Loss, Refusals, triage


def column(
    name: str, verdict: DriftVerdict = DriftVerdict.DRIFT, *faults: FeedFault
) -> ColumnDrift:
    """Return what is said of one input."""
    return ColumnDrift(
        column=name,
        side=Side.INPUT,
        verdict=verdict,
        rows=500,
        rows_needed=400,
        psi=0.4,
        p=1e-9,
        significant=True,
        windows=2,
        faults=faults,
        what="it moved",
    )


def drift(*columns: ColumnDrift, verdict: DriftVerdict = DriftVerdict.DRIFT) -> DriftReport:
    """Return a report on these columns."""
    return DriftReport(
        endpoint="flights",
        deployment="v1",
        version="flights:1",
        start=7_200.0,
        until=10_800.0,
        rows=500,
        verdict=verdict,
        columns=columns,
        because="the columns say so",
    )


def quality(*, estimated: float, worse: bool = False, labels: int = 0) -> QualityReport:
    """Return what is known of the predictions; they were right in 80 % of the held-out rows."""
    figure = Figure(value=estimated, low=estimated - 0.01, high=estimated + 0.01)
    newest = Quality(
        metric="accuracy",
        start=0.0,
        until=10_800.0,
        rows=500,
        labels=labels,
        reference=0.8,
        reference_range=(0.79, 0.81),
        estimated=figure,
        trust=Trust.GOOD,
        because="",
    )
    return QualityReport(
        endpoint="flights",
        deployment="v1",
        version="flights:1",
        metrics=(newest,),
        headline="accuracy",
        worse=worse,
        because="what labels say",
    )


FINE = drift(column("x", DriftVerdict.FINE), verdict=DriftVerdict.FINE)
MOVED = drift(column("x"))
BROKEN = drift(column("x", DriftVerdict.DRIFT, FeedFault.UNIT))
FEW = drift(column("x", DriftVerdict.CANNOT_TELL), verdict=DriftVerdict.CANNOT_TELL)
WELL, WORSE, EXPECTED = (
    quality(estimated=0.8),
    quality(estimated=0.8, worse=True),
    quality(estimated=0.6),
)


@pytest.mark.parametrize(
    ("report", "known", "first_day", "kind", "remedy"),
    [
        (FINE, WELL, None, Kind.NONE, Remedy.NOTHING),
        (FINE, None, None, Kind.NONE, Remedy.NOTHING),
        (FINE, WORSE, None, Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
        (MOVED, WELL, None, Kind.HARMLESS_SHIFT, Remedy.NOTHING),
        (MOVED, EXPECTED, FINE, Kind.COVARIATE_SHIFT, Remedy.RETRAIN),
        (MOVED, WORSE, FINE, Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
        (MOVED, None, FINE, Kind.UNKNOWN, Remedy.WAIT),
        (MOVED, EXPECTED, MOVED, Kind.SKEW, Remedy.ROLL_BACK),
        (MOVED, WELL, MOVED, Kind.SKEW, Remedy.NOTHING),
        (BROKEN, WORSE, MOVED, Kind.BROKEN_FEED, Remedy.FIX_FEED),
        (FEW, WELL, None, Kind.UNKNOWN, Remedy.WAIT),
    ],
)
def test_the_kind_follows_from_what_is_known(
    report: DriftReport,
    known: QualityReport | None,
    first_day: DriftReport | None,
    kind: Kind,
    remedy: Remedy,
) -> None:
    """Each kind from the facts that make it, and why."""
    verdict = triage(report, known, first_day=first_day)
    assert (verdict.kind, verdict.remedy) == (kind, remedy)
    assert verdict.because


def test_the_table_has_a_row_for_everything() -> None:
    """No facts are without a kind; a broken feed is never one that calls for a training."""
    assert set(TABLE) == set(product(Inputs, Loss))
    assert {TABLE[Inputs.BROKEN, loss] for loss in Loss} == {(Kind.BROKEN_FEED, Remedy.FIX_FEED)}


def test_a_renamed_input_is_a_broken_feed() -> None:
    """Requests that name another input and lack ours, though no row is there; few say nothing."""
    renamed = Refusals(requests=300, unknown=300, lacking=("temp",))
    verdict = triage(FEW, None, refusals=renamed)
    assert (verdict.kind, verdict.columns) == (Kind.BROKEN_FEED, ("temp",))
    assert "lack `temp`" in verdict.because
    (signal,) = signals_of(FEW, verdict)
    assert (signal.kind, signal.severity) == (SignalKind.FEED, Severity.PAGE)
    few = Refusals(requests=3_000, unknown=19, lacking=("temp",))
    assert triage(FEW, None, refusals=few).kind is Kind.UNKNOWN


def test_signals_say_what_is_broken_and_what_drifted() -> None:
    """A broken input pages by itself; a harmless shift is a note, and nothing is no signal."""
    both = drift(column("temp", DriftVerdict.DRIFT, FeedFault.UNIT), column("wind"))
    feed, moved = signals_of(both, triage(both, None, first_day=FINE))
    assert (feed.kind, feed.subject, feed.severity) == (SignalKind.FEED, "temp", Severity.PAGE)
    assert (moved.kind, moved.severity) == (SignalKind.DRIFT, Severity.TICKET)
    assert "`wind`" in moved.what
    assert "`temp`" not in moved.what
    assert feed.since == 3_600.0
    (harmless,) = signals_of(MOVED, triage(MOVED, WELL, first_day=FINE))
    assert harmless.severity is Severity.NOTE
    assert not list(signals_of(FINE, triage(FINE, WELL)))

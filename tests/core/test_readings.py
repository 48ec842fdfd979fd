"""Which figures of many are told to a scrape."""

from servewell.core.catalog.alert import Alert, AlertState
from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict
from servewell.core.catalog.profile import Side
from servewell.core.catalog.quality import Figure, Quality, QualityReport
from servewell.core.catalog.signal import Severity, Signal, SignalKind
from servewell.core.operations.monitoring.readings import (
    alert_counts,
    judged_columns,
    newest_figures,
)

OF = {"endpoint": "flights", "deployment": "v1", "version": "flights:1"}


def column(name: str, verdict: DriftVerdict, part: str = "") -> ColumnDrift:
    """Return what was found of a column."""
    return ColumnDrift(
        column=name,
        side=Side.INPUT,
        slice=part,
        verdict=verdict,
        rows=9,
        rows_needed=9,
        psi=0.2,
        p=0.5,
        significant=False,
        windows=0,
        what="nothing",
    )


def test_only_columns_that_were_judged_are_told() -> None:
    """Too few rows are told as no distance, and slices not at all."""
    columns = (
        column("x", DriftVerdict.FINE),
        column("y", DriftVerdict.CANNOT_TELL),
        column("x", DriftVerdict.DRIFT, "origin=EWR"),
    )
    report = DriftReport(
        **OF, start=0, until=1, rows=9, verdict=DriftVerdict.FINE, columns=columns, because=""
    )
    assert judged_columns(report) == columns[:1]


def test_the_newest_window_that_knows_a_figure_tells_it() -> None:
    """Labels come late: the realised figure may be of an older window than the estimated one."""
    low = Figure(value=0.7, low=0.6, high=0.8)
    high = Figure(value=0.9, low=0.8, high=1.0)
    of = {"metric": "accuracy", "until": 1.0, "rows": 9, "because": "", "reference": 0.8}
    metrics = (
        Quality(**of, start=2, estimated=low),
        Quality(**of, start=1, estimated=high, realised=high),
        Quality(**of, start=2, slice="origin=EWR", realised=low),
    )
    found = newest_figures(QualityReport(**OF, metrics=metrics, because=""))
    assert found == {
        ("accuracy", "estimated"): 0.7,
        ("accuracy", "realised"): 0.9,
        ("accuracy", "reference"): 0.8,
    }


def test_alerts_are_counted_by_what_they_ask() -> None:
    """Each endpoint, severity and state is one count."""
    signal = Signal(
        kind=SignalKind.DRIFT,
        severity=Severity.PAGE,
        endpoint="flights",
        since=0,
        what="it moved",
        because="a test",
    )
    alerts = [
        Alert(id=at, key=str(at), severity=severity, signal=signal, seen_at=0, state=state)
        for at, (severity, state) in enumerate(
            (
                (Severity.PAGE, AlertState.FIRING),
                (Severity.PAGE, AlertState.FIRING),
                (Severity.TICKET, AlertState.ACKNOWLEDGED),
            )
        )
    ]
    assert alert_counts(alerts) == {
        ("flights", "page", "firing"): 2,
        ("flights", "ticket", "acknowledged"): 1,
    }

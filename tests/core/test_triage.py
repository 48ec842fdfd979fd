"""What kind of trouble it is follows from the inputs and the loss, and what helps from the kind."""

from dataclasses import replace
from itertools import product

import pytest

from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict, FeedFault
from servewell.core.catalog.profile import Side
from servewell.core.catalog.quality import Figure, Quality, QualityReport, Trust
from servewell.core.catalog.signal import Severity, SignalKind
from servewell.core.catalog.triage import Kind, Remedy
from servewell.core.operations.monitoring.drift_alarms import signals_of
from servewell.core.operations.monitoring.refusals import Refusals, explained
from servewell.core.operations.monitoring.triage import TABLE, Inputs, Loss, triage

NOW = 10_800.0


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
        since=3_600.0,
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


def quality(*, estimated: float, worse: bool = False, trust: Trust = Trust.GOOD) -> QualityReport:
    """Return what is known of the predictions; they were right in 80 % of the held-out rows."""
    figure = Figure(value=estimated, low=estimated - 0.01, high=estimated + 0.01)
    newest = Quality(
        metric="accuracy",
        start=0.0,
        until=10_800.0,
        rows=500,
        reference=0.8,
        reference_range=(0.79, 0.81),
        estimated=figure,
        trust=trust,
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


def by_labels(
    realised: float, labels: int, *, reach: float = 0.005, reference: float | None = 0.8
) -> QualityReport:
    """Return what labels alone say, where no estimate can be trusted."""
    known = quality(estimated=0.8, trust=Trust.DOUBTFUL)
    newest = replace(
        known.metrics[0],
        labels=labels,
        realised=Figure(value=realised, low=realised - reach, high=realised + reach),
        reference=reference,
        reference_range=None if reference is None else (0.79, 0.81),
    )
    return replace(known, metrics=(newest,))


def risen(known: QualityReport, *, before: float, now: float, at: float = 9_000.0) -> QualityReport:
    """Return the same, where ADWIN found that the loss of the labels changed."""
    return replace(known, changed_at=at, loss_before=before, loss_now=now)


FINE = drift(column("x", DriftVerdict.FINE), verdict=DriftVerdict.FINE)
MOVED = drift(column("x"))
BROKEN = drift(column("x", DriftVerdict.DRIFT, FeedFault.UNIT))
FEW = drift(column("x", DriftVerdict.CANNOT_TELL), verdict=DriftVerdict.CANNOT_TELL)
WELL, WORSE, EXPECTED, BOTH = (
    quality(estimated=0.8),
    quality(estimated=0.8, worse=True),
    quality(estimated=0.6),
    quality(estimated=0.6, worse=True),
)
NO_REFERENCE = by_labels(0.6, 900, reference=None)


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
        (FEW, WORSE, None, Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
        (FINE, EXPECTED, None, Kind.UNKNOWN, Remedy.WAIT),
        (FINE, BOTH, None, Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
        (FEW, BOTH, None, Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
        (MOVED, BOTH, FINE, Kind.COVARIATE_SHIFT, Remedy.RETRAIN),
        (MOVED, NO_REFERENCE, FINE, Kind.UNKNOWN, Remedy.WAIT),
        (MOVED, risen(NO_REFERENCE, before=0.2, now=0.4), FINE, Kind.CONCEPT_DRIFT, Remedy.RETRAIN),
        (MOVED, risen(NO_REFERENCE, before=0.4, now=0.2), FINE, Kind.UNKNOWN, Remedy.WAIT),
        (MOVED, risen(WELL, before=0.1, now=0.2), FINE, Kind.HARMLESS_SHIFT, Remedy.NOTHING),
        (MOVED, by_labels(0.8, 900), FINE, Kind.HARMLESS_SHIFT, Remedy.NOTHING),
        (MOVED, by_labels(0.8, 99), FINE, Kind.UNKNOWN, Remedy.WAIT),
        (MOVED, by_labels(0.8, 900, reach=0.02), FINE, Kind.UNKNOWN, Remedy.WAIT),
        (MOVED, by_labels(0.7, 900), FINE, Kind.UNKNOWN, Remedy.WAIT),
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
    verdict = triage(report, known, now=NOW, first_day=first_day)
    assert (verdict.kind, verdict.remedy) == (kind, remedy)
    assert verdict.because


def test_a_loss_that_rose_is_a_proof_for_two_weeks() -> None:
    """Its figures are told, and it began when the loss did; an old one is none, nor one to come."""
    rose = risen(NO_REFERENCE, before=0.2, now=0.4)
    verdict = triage(FINE, rose, now=NOW)
    assert "the loss of the labels rose from 0.2 to 0.4 (ADWIN)" in verdict.because
    assert verdict.since == 9_000.0
    assert triage(FINE, rose, now=NOW + 15 * 86_400).kind is Kind.NONE
    assert triage(FINE, rose, now=8_000.0).kind is Kind.NONE


def test_an_estimate_is_worded_as_one() -> None:
    """What labels show is said as a fact, and what is estimated as what is expected."""
    assert "expected to be as right" in triage(MOVED, WELL, now=NOW, first_day=FINE).because
    labels = triage(MOVED, by_labels(0.8, 900), now=NOW, first_day=FINE)
    assert "are as right as on the held-out rows, by labels" in labels.because


def test_the_table_has_a_row_for_everything() -> None:
    """No facts are without a kind; a broken feed is never one that calls for a training."""
    assert set(TABLE) == set(product(Inputs, Loss))
    assert {TABLE[Inputs.BROKEN, loss] for loss in Loss} == {(Kind.BROKEN_FEED, Remedy.FIX_FEED)}


def test_a_renamed_input_is_a_broken_feed() -> None:
    """Requests that name another input and lack ours, though no row is there; few say nothing."""
    renamed = Refusals(requests=300, unknown=300, lacking=("temp",))
    verdict = triage(FEW, None, now=NOW, refusals=renamed)
    assert (verdict.kind, verdict.columns) == (Kind.BROKEN_FEED, ("temp",))
    assert "lack `temp`" in verdict.because
    (signal,) = signals_of(FEW, verdict)
    assert (signal.kind, signal.severity) == (SignalKind.FEED, Severity.PAGE)
    few = Refusals(requests=3_000, unknown=19, lacking=("temp",))
    assert triage(FEW, None, now=NOW, refusals=few).kind is Kind.UNKNOWN


def test_requests_that_are_refused_are_a_broken_feed() -> None:
    """Nulls where none may be reach no profile; what is wrong is told with its share, and pages."""
    reasons = [
        *["null temp row 0; null temp row 1"] * 88,
        *["wrong-type wind row 3"] * 12,
    ]
    nulls = explained(Refusals(requests=1_000, unfitting=400, since=9_000.0), reasons)
    verdict = triage(FEW, None, now=NOW, refusals=nulls)
    assert (verdict.kind, verdict.columns) == (Kind.BROKEN_FEED, ("temp", "wind"))
    (signal,) = signals_of(FEW, verdict)
    assert (signal.kind, signal.severity) == (SignalKind.FEED, Severity.PAGE)
    assert signal.since == 9_000.0
    told = "400 of 1,000 requests of the last hour are refused for their inputs: `temp` null (88%)"
    assert signal.what.startswith(told)
    for few in (
        explained(Refusals(requests=5_000, unfitting=400), reasons),
        explained(Refusals(requests=20, unfitting=19), reasons),
    ):
        quiet = triage(FEW, None, now=NOW, refusals=few)
        assert (quiet.kind, quiet.refused, quiet.columns) == (Kind.UNKNOWN, "", ())
        assert not list(signals_of(FEW, quiet))


def test_reasons_name_what_they_are_about() -> None:
    """An input, whatever it is called, or none; and what was renamed is told from what is new."""
    counted = Refusals(requests=100, unfitting=100)
    found = explained(counted, ["unknown-input", "missing-input the row 7 row 0"])
    told = {(one.what, one.column): one.share for one in found.misfits}
    assert told == {("unknown-input", ""): 0.5, ("missing-input", "the row 7"): 0.5}
    assert not found.renamed
    assert explained(counted, []).break_the_feed


def test_an_output_that_broke_is_no_feed() -> None:
    """It pages as drift, in words that blame no caller."""
    score = replace(column("score", DriftVerdict.DRIFT, FeedFault.CONSTANT), side=Side.OUTPUT)
    report = drift(score)
    (signal,) = signals_of(report, triage(report, WELL, now=NOW, first_day=FINE))
    assert (signal.kind, signal.severity) == (SignalKind.DRIFT, Severity.PAGE)
    assert signal.what == "`score` is out of order: one value only."


def test_signals_say_what_is_broken_and_what_drifted() -> None:
    """A broken input pages by itself; a harmless shift is a note, and nothing is no signal."""
    both = drift(column("temp", DriftVerdict.DRIFT, FeedFault.UNIT), column("wind"))
    feed, moved = signals_of(both, triage(both, None, now=NOW, first_day=FINE))
    assert (feed.kind, feed.subject, feed.severity) == (SignalKind.FEED, "temp", Severity.PAGE)
    assert (moved.kind, moved.severity) == (SignalKind.DRIFT, Severity.TICKET)
    assert "`wind`" in moved.what
    assert "`temp`" not in moved.what
    assert feed.since == 3_600.0
    (harmless,) = signals_of(MOVED, triage(MOVED, WELL, now=NOW, first_day=FINE))
    assert harmless.severity is Severity.NOTE
    assert not list(signals_of(FINE, triage(FINE, WELL, now=NOW)))

"""Drift as a page that loads nothing, with the two distributions of each column that moved."""

from collections.abc import Iterator, Sequence
from typing import Final

from servewell.charts.bars import Bar, BarSeries, bars
from servewell.charts.page import page, paragraph, section, table
from servewell.charts.svg import Axis
from servewell.cli import show
from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict
from servewell.core.operations.monitoring.drift_words import length

DRAWN_MAX: Final = 12  # of each deployment
HEADS: Final = ("column", "slice", "verdict", "index", "rows", "missing", "what moved")


def drift_page(endpoint: str, reports: Sequence[DriftReport]) -> str:
    """Return the drift of all deployments of an endpoint as a page."""
    return page(f"Drift of {endpoint}", [part for one in reports for part in _parts(one)])


def _parts(report: DriftReport) -> Iterator[str]:
    verdict = f"{report.deployment} ({report.version}): {report.verdict}. "
    yield paragraph(verdict + report.because, kind="lead")
    if report.until > report.start:
        yield paragraph(
            f"{report.rows:,} rows from {show.moment(report.start)} to "
            f"{show.moment(report.until)} UTC ({length(report.until - report.start)}).",
            kind="soft",
        )
    drawn = [one for one in report.columns if one.verdict is DriftVerdict.DRIFT]
    drawn += [one for one in report.columns if one.verdict is DriftVerdict.WATCH]
    yield from (_drawing(one) for one in drawn[:DRAWN_MAX])
    if report.columns:
        yield section(
            f"All columns of {report.deployment}", table(HEADS, map(_row, report.columns))
        )


def _drawing(one: ColumnDrift) -> str:
    where = f" of {one.slice}" if one.slice else ""
    found = one.distributions
    shown = (
        ""
        if found is None
        else bars(
            Axis(title="share of rows, %", low=0.0),
            found.bins,
            [
                BarSeries(label="reference", bars=_bars("reference", found.before), colour=5),
                BarSeries(label="now", bars=_bars("now", found.now), colour=1),
            ],
        )
    )
    return section(
        f"{one.column}{where}", paragraph(f"{one.verdict}, index {one.psi:.2f}: {one.what}"), shown
    )


def _bars(label: str, shares: Sequence[float]) -> list[Bar]:
    return [Bar(value=100 * one, detail=f"{label}: {one:.2%}") for one in shares]


def _row(one: ColumnDrift) -> tuple[str, ...]:
    return (
        one.column,
        one.slice or "-",
        one.verdict,
        f"{one.psi:.3f}",
        f"{one.rows:,}",
        f"{one.missing_before:.1%} to {one.missing_now:.1%}",
        one.what,
    )

"""Figures of many alerts and windows that are told as one."""

from collections import Counter
from collections.abc import Iterable

from servewell.core.catalog.alert import Alert
from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict
from servewell.core.catalog.profile import EVERYTHING
from servewell.core.catalog.quality import QualityReport


def judged_columns(report: DriftReport) -> tuple[ColumnDrift, ...]:
    """Return the columns of all rows that can be told of: too few rows are no distance of 0."""
    return tuple(
        one
        for one in report.columns
        if one.slice == EVERYTHING and one.verdict is not DriftVerdict.CANNOT_TELL
    )


def newest_figures(report: QualityReport) -> dict[tuple[str, str], float]:
    """Return metric and kind of figure -> its newest value, over all rows. Raises: nothing."""
    found: dict[tuple[str, str], float] = {}
    for one in report.metrics:  # the newest window comes first
        if one.slice == EVERYTHING:
            figures = {
                "estimated": one.estimated.value if one.estimated else None,
                "realised": one.realised.value if one.realised else None,
                "reference": one.reference,
            }
            for kind, value in figures.items():
                if value is not None:
                    found.setdefault((one.metric, kind), value)
    return found


def alert_counts(alerts: Iterable[Alert]) -> dict[tuple[str, str, str], int]:
    """Return how many alerts there are of each endpoint, severity and state. Raises: nothing."""
    return dict(Counter((one.endpoint, one.severity.value, one.state.value) for one in alerts))

"""A dataset version, and a comparison of two, as a page that loads nothing."""

from servewell.charts.bars import Bar, BarSeries, bars
from servewell.charts.page import page, paragraph, section, table
from servewell.charts.svg import Axis
from servewell.cli import show
from servewell.cli.data_view import comparison_rows, statistics_rows
from servewell.core.catalog.dataset import ColumnStatistics, DatasetPolicy, DatasetVersion
from servewell.flows.datasets import Compared, kept_words, readers_words


def dataset_page(version: DatasetVersion, policy: DatasetPolicy | None) -> str:
    """Return what is known of a version as a page."""
    owner = "" if policy is None else f" It belongs to {policy.owner}; {readers_words(policy)}; "
    kept = "" if policy is None else f"{kept_words(policy)}."
    heads = ("column", "type", "missing", "different", "", "what it holds")
    return page(
        f"Dataset {version.reference}",
        [
            paragraph(f"{version.rows:,} rows from {version.source}.{owner}{kept}", kind="lead"),
            paragraph(
                f"Added {show.moment(version.created_at)} UTC, {show.size(version.size_bytes)}, "
                f"digest {version.digest}.",
                kind="soft",
            ),
            section("Columns", table(heads, statistics_rows(version))),
            *(section(one.name, _drawing(one)) for one in version.statistics if _can_draw(one)),
        ],
    )


def comparison_page(compared: Compared) -> str:
    """Return how two versions differ as a page."""
    shifts = compared.shifts
    drawn = [one for one in shifts.columns if one.psi > 0]
    index = BarSeries(label="now", bars=[Bar(value=one.psi) for one in drawn])
    usual = BarSeries(label="by itself", bars=[Bar(value=one.usual) for one in drawn], colour=5)
    axis = Axis(title="population stability index")
    heads = ("column", "index", "by itself", "missing", "unseen", "")
    judged = [(one.verdict, one.gate, one.because) for one in compared.rows]
    return page(
        f"{compared.now.reference} against {compared.before.reference}",
        [
            paragraph(f"{shifts.rows_now:,} of {compared.now.rows:,} rows are new.", kind="lead"),
            section("What the data contract says", table(("verdict", "of", "because"), judged)),
            *(
                [section("Drift", bars(axis, [one.column for one in drawn], [index, usual]))]
                if drawn
                else []
            ),
            section("Columns", table(heads, comparison_rows(shifts))),
        ],
    )


def _can_draw(one: ColumnStatistics) -> bool:
    return bool(one.top or one.histogram)


def _drawing(one: ColumnStatistics) -> str:
    if one.top:
        groups, counts = [text for text, _ in one.top], [count for _, count in one.top]
    else:
        low, high = one.quantiles[0], one.quantiles[-1]
        step = (high - low) / len(one.histogram)
        groups = [f"{low + place * step:.4g}" for place in range(len(one.histogram))]
        counts = list(one.histogram)
    series = BarSeries(label="rows", bars=[Bar(value=float(count)) for count in counts])
    return bars(Axis(title="rows"), groups, [series])

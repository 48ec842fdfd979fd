"""`servewell compare`: two deployments of an endpoint beside each other."""

from pathlib import Path
from typing import Final

import click

from servewell.charts.bars import Bar, BarSeries, bars
from servewell.charts.page import page, paragraph, section, table
from servewell.charts.svg import Axis
from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command
from servewell.cli.moments import Moment
from servewell.core.catalog.quality import Figure
from servewell.core.catalog.version_comparison import ColumnCompared, VersionComparison
from servewell.flows.monitoring.version_comparison import compare_deployments

DAYS: Final = 30
DAY_S: Final = 86_400
COLUMNS_SHOWN: Final = 12
PLOTS: Final = 12
MEASURES: Final = ("measure", "first", "second", "second less first, 95 %", "shown", "because")
COLUMNS: Final = ("column", "is", "PSI", "p", "shown", "because")


@click.command("compare")
@click.argument("endpoint", shell_complete=endpoint_names)
@click.argument("first")
@click.argument("second")
@click.option(
    "--since", type=Moment(), metavar="TIME", help=f"Not before this time; default {DAYS} days ago."
)
@click.option("--until", type=Moment(), metavar="TIME", help="Before this time; default now.")
@click.option(
    "--as", "principal", help="Look as this principal; default: you, who may see everything."
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page with the distributions to this file.",
)
@command
def compare(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str,
    first: str,
    second: str,
    *,
    since: float | None,
    until: float | None,
    principal: str | None,
    html: Path | None,
) -> int:
    """Compare two deployments of ENDPOINT: traffic, errors, latency, distributions, quality.

    Every measure has an interval, and it is said whether a difference is shown.

    Example: servewell compare flight-delays v1 v2 --since 2026-11-01
    """
    platform = session.platform
    end = platform.clock.now() if until is None else until
    start = end - DAYS * DAY_S if since is None else since
    who = principal or platform.principal
    found = compare_deployments(
        platform, endpoint, first, second, since=start, until=end, principal=who
    )
    if html is not None:
        _keep(html, _page(found))
    if session.as_json:
        show.as_json(found)
        return 0
    click.echo(click.style(_heading(found), bold=True))
    click.echo(_basis(found))
    click.echo()
    show.table(MEASURES, _measures(found), empty="Nothing was measured.")
    click.echo()
    show.table(COLUMNS, _columns(found)[:COLUMNS_SHOWN], empty="No column is known of both.")
    click.echo()
    click.echo(found.because)
    if html is not None:
        click.echo(f"page: `{html}`")
    return 0


def _keep(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(
            f"`{path}` cannot be written: {error.strerror}", param_hint="--html"
        ) from error


def _heading(found: VersionComparison) -> str:
    first, second = found.first, found.second
    return (
        f"{found.endpoint}: {first.deployment} ({first.version or '-'}) and "
        f"{second.deployment} ({second.version or '-'})"
    )


def _basis(found: VersionComparison) -> str:
    arms = "; ".join(
        f"{one.deployment} {one.requests:,} requests, {one.rows:,} rows, {one.labels:,} labels"
        for one in (found.first, found.second)
    )
    time = f"{show.moment(found.since)} to {show.moment(found.until)} UTC"
    return f"{time}; {arms}; {found.together:.0%} at the same time"


def _measures(found: VersionComparison) -> list[tuple[str, ...]]:
    return [
        (
            f"{one.measure}, {one.unit}",
            _figure(one.first),
            _figure(one.second),
            _figure(one.difference, signed=True),
            one.shown.value,
            one.because,
        )
        for one in found.measures
    ]


def _figure(one: Figure | None, *, signed: bool = False) -> str:
    if one is None:
        return "-"
    form = "+.4g" if signed else ".4g"
    return f"{one.value:{form}} ({one.low:{form}} to {one.high:{form}})"


def _columns(found: VersionComparison) -> list[tuple[str, ...]]:
    return [
        (
            one.column,
            one.side.value,
            "-" if one.psi is None else f"{one.psi:.3f}",
            "-" if one.p is None else f"{one.p:.2g}",
            one.shown.value,
            one.because,
        )
        for one in found.columns
    ]


def _page(found: VersionComparison) -> str:
    drawn = [one for one in found.columns if one.distributions is not None][:PLOTS]
    return page(
        _heading(found),
        [
            paragraph(_basis(found), kind="soft"),
            paragraph(found.because, kind="lead"),
            section("Measures", table(MEASURES, _measures(found))),
            section("Columns", table(COLUMNS, _columns(found))),
            *(section(one.column, _plot(found, one)) for one in drawn),
        ],
    )


def _plot(found: VersionComparison, one: ColumnCompared) -> str:
    assert one.distributions is not None  # noqa: S101 - those alone are drawn
    sides = (
        (found.first.deployment, one.distributions.before),
        (found.second.deployment, one.distributions.now),
    )
    series = [
        BarSeries(label=name, bars=[Bar(value=share) for share in shares], colour=colour)
        for colour, (name, shares) in enumerate(sides)
    ]
    return bars(Axis(title="share of rows"), one.distributions.bins, series)

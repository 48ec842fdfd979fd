"""`servewell quality`: how right the predictions of an endpoint are."""

from pathlib import Path

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command
from servewell.cli.moments import Moment
from servewell.cli.quality_page import HEADS, cells, figure, quality_page
from servewell.core.catalog.profile import EVERYTHING
from servewell.core.catalog.quality import QualityReport
from servewell.flows.monitoring.quality import of_deployment, of_slice, quality_of


@click.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option("--deployment", metavar="NAME", help="Only this one.")
@click.option("--since", type=Moment(), metavar="TIME", help="From then on; UTC by default.")
@click.option("--until", type=Moment(), metavar="TIME", help="Up to then.")
@click.option("--slice", "slice_", default=EVERYTHING, metavar="NAME", help="As `origin=EWR`.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page to this file."
)
@command
def quality(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str,
    *,
    deployment: str | None,
    since: float | None,
    until: float | None,
    slice_: str,
    html: Path | None,
) -> int:
    """Say how right the predictions of ENDPOINT are: estimated without labels, and by labels.

    The estimate is what labels would say if the same rows still meant the same; only labels can
    tell that they do not. Its trust says how far to believe it, and why.

    Example: servewell quality flight-delays --since 2013-04-01 --until 2013-07-01
    """
    now = session.platform.clock.now()
    found = quality_of(session.platform, endpoint, now=now, since=since, until=until)
    asked = of_deployment(found, endpoint, deployment)
    reports = tuple(of_slice(one, slice_) if slice_ else _whole(one) for one in asked)
    if html is not None:
        html.write_text(quality_page(endpoint, reports), encoding="utf-8")
    if session.as_json:
        show.as_json(reports)
        return 0
    for one in reports:
        _show(one)
    if not reports:
        click.echo(f"`{endpoint}` has no deployment.")
    if html is not None:
        click.echo(f"The page is in {html}.")
    return 0


def _whole(found: QualityReport) -> QualityReport:
    return of_slice(found, EVERYTHING) if found.metrics else found


def _show(found: QualityReport) -> None:
    click.echo(click.style(f"{found.deployment}: {found.version}", bold=True))
    click.echo(("Worse than it was: " if found.worse else "") + found.because)
    click.echo(f"{found.labels:,} of {found.predictions:,} predictions have labels.")
    if found.calibration is not None:
        click.echo(f"Calibration error by labels: {figure(found.calibration)}")
    if found.changed_at is not None:
        click.echo(
            f"The loss changed at {show.moment(found.changed_at)} UTC from {found.loss_before:.4g} "
            f"to {found.loss_now:.4g}."
        )
    for metric in dict.fromkeys(one.metric for one in found.metrics):
        windows = [one for one in found.metrics if one.metric == metric and one.rows]
        click.echo()
        show.table((metric, *HEADS), [("", *cells(one)) for one in windows], empty=f"{metric}: -")
    if found.metrics:
        click.echo(f"\nThe estimate of the newest window: {found.metrics[0].because}")
    click.echo()

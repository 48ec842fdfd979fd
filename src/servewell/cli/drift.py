"""`servewell drift` and `servewell triage`: has it moved, and what kind of trouble is it."""

from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import click

from servewell.cli import show
from servewell.cli.context import Session, command
from servewell.cli.drift_page import drift_page
from servewell.cli.drift_view import show_drift, show_triage
from servewell.cli.moments import Moment
from servewell.core.catalog.drift import DriftReport
from servewell.core.catalog.triage import Triage
from servewell.core.operations.monitoring.drift import whole_verdict
from servewell.core.operations.traffic import DeploymentMissingError
from servewell.errors import ServewellError
from servewell.flows.monitoring.drift import drift_of
from servewell.flows.monitoring.triage import triage_of

MINUTE_S: Final = 60
Verdict = TypeVar("Verdict", DriftReport, Triage)


class TimesInvalidError(ServewellError):
    """The time to look at ends before it begins, or is too short."""

    code = "SW-170"


class SliceMissingError(ServewellError):
    """No slice of that name is watched."""

    code = "SW-261"


@click.command
@click.argument("endpoint")
@click.option("--deployment", metavar="NAME", help="Only this one; default: all.")
@click.option(
    "--since",
    type=Moment(),
    help="From here on, as one time; default: the newest windows on the clock.",
)
@click.option("--until", type=Moment(), help="Up to here; default: now.")
@click.option("--slice", "part", metavar="COLUMN=VALUE", help="Only these rows.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page with all distributions.",
)
@command
def drift(  # noqa: PLR0913 - the options of the command
    session: Session,
    endpoint: str,
    *,
    deployment: str | None,
    since: float | None,
    until: float | None,
    part: str | None,
    html: Path | None,
) -> int:
    """Show which columns of ENDPOINT moved from what its versions were made for.

    Example: servewell drift flight-delays --since 2026-03-01 --until 2026-03-08
    """
    now = session.platform.clock.now() if until is None else until
    _check(since, now)
    found = drift_of(session.platform, endpoint, now=now, since=since)
    reports = tuple(_narrowed(one, part) for one in _of(found, endpoint, deployment))
    if html is not None:
        html.write_text(drift_page(endpoint, reports))
    if session.as_json:
        show.as_json(reports)
        return 0
    for one in reports:
        show_drift(one)
    if html is not None:
        click.echo(f"The page is in {html}")
    return 0


@click.command
@click.argument("endpoint")
@click.option("--deployment", metavar="NAME", help="Only this one; default: all.")
@command
def triage(session: Session, endpoint: str, *, deployment: str | None) -> int:
    """Say what kind of trouble ENDPOINT is in, how that is known, and what helps.

    Example: servewell triage flight-delays
    """
    found = triage_of(session.platform, endpoint, now=session.platform.clock.now())
    verdicts = _of(found, endpoint, deployment)
    if session.as_json:
        show.as_json(verdicts)
        return 0
    for one in verdicts:
        show_triage(one)
    return 0


def _check(since: float | None, until: float) -> None:
    if since is not None and until - since < MINUTE_S:
        raise TimesInvalidError(
            "The time to look at is shorter than a minute.",
            why="what is served is counted by the minute",
            fix="give `--since` a time that is earlier than `--until`, or than now",
        )


def _of(found: tuple[Verdict, ...], endpoint: str, deployment: str | None) -> tuple[Verdict, ...]:
    kept = tuple(one for one in found if deployment in (None, one.deployment))
    if deployment is not None and not kept:
        raise DeploymentMissingError(
            f"`{endpoint}` has no deployment `{deployment}`.",
            why="drift is judged for what the endpoint holds",
            fix=f"`servewell endpoints show {endpoint}` shows its deployments",
        )
    return kept


def _narrowed(report: DriftReport, part: str | None) -> DriftReport:
    """Return the report of the rows of one slice, or as it is."""
    if part is None or not report.columns:
        return report
    columns = tuple(one for one in report.columns if one.slice == part)
    if not columns:
        known = sorted({one.slice for one in report.columns if one.slice})
        raise SliceMissingError(
            f"No slice `{part}` of `{report.deployment}` is watched.",
            why=f"watched are {', '.join(known)}" if known else "its version has no slices",
            fix="name the inputs below `monitoring.slices`; they count from the next version on",
        )
    whole = [replace(one, slice="") for one in columns]
    return replace(
        report, columns=columns, rows=max(one.rows for one in columns), verdict=whole_verdict(whole)
    )

"""`servewell shadow`: copies of live requests to a version whose answers nobody gets."""

from pathlib import Path

import click

from servewell.cli import shadow_report, show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.cli.release import because, say, version_of
from servewell.core.catalog.rollout import RolloutPlan
from servewell.core.operations.traffic import parse_share
from servewell.flows import shadows


@click.group
def shadow() -> None:
    """Compare a version with what callers get, without giving them its answers."""


@shadow.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.argument("model")
@click.option(
    "--share", default="10%", show_default=True, help="Of the requests: `10%` or `1000bp`."
)
@click.option("--name", default="", help="Name of the deployment; default `v` and the number.")
@click.option(
    "--difference",
    type=click.FloatRange(0),
    default=RolloutPlan().difference_max,
    show_default=True,
    help="A row differs when a number of its outputs does by more.",
)
@because
@dry_run
@command
def start(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str,
    model: str,
    *,
    share: str,
    name: str,
    difference: float,
    because: str,
    dry_run: bool,
) -> int:
    """Copy a share of the requests of ENDPOINT to MODEL, as NAME or NAME:NUMBER.

    The copies run when the workers have time; what they cannot take is dropped, so callers wait
    for none of it. The gates must have let the version through.

    Example: servewell shadow start flight-delays flight-delays:2 --share 10%
    """
    wanted, number = version_of(model)
    done = shadows.start_shadow(
        session.platform,
        endpoint,
        model=wanted,
        number=number,
        share_bp=parse_share(share),
        difference_max=difference,
        name=name,
        because=because,
        dry_run=dry_run,
    )
    return say(session, done, dry_run=dry_run)


@shadow.command("show")
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the comparison to this file, as a page with plots.",
)
@command
def show_shadow(session: Session, endpoint: str, *, html: Path | None) -> int:
    """Show how the answers of ENDPOINT's shadow compare with those that callers got.

    It is the newest comparison: of a shadow that was started by hand, or of a rollout.

    Example: servewell shadow show flight-delays --html shadow.html
    """
    shown = shadows.show_shadow(session.platform, endpoint)
    if html is not None:
        html.write_text(shadow_report.page_of(shown))
    if session.as_json:
        show.as_json(shadow_report.document(shown))
        return 0
    for line in shadow_report.lines(shown):
        click.echo(line)
    if html is not None:
        click.echo(f"\nwritten: `{html}`")
    return 0


@shadow.command
@click.argument("endpoint", shell_complete=endpoint_names)
@because
@dry_run
@command
def stop(session: Session, endpoint: str, *, because: str, dry_run: bool) -> int:
    """Send no copies any more; what was compared stays to be shown.

    Example: servewell shadow stop flight-delays
    """
    done = shadows.stop_shadow(session.platform, endpoint, because=because, dry_run=dry_run)
    return say(session, done, dry_run=dry_run)

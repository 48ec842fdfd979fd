"""`servewell scale`: more workers, or fewer."""

import click

from servewell.cli import show
from servewell.cli.context import Session, command, dry_run
from servewell.flows import scale as flow


@click.command
@click.option(
    "--workers", type=click.IntRange(1, 64), required=True, help="How many are to run from now on."
)
@dry_run
@command
def scale(session: Session, *, workers: int, dry_run: bool) -> int:
    """Run so many workers, and lose no request by it.

    It holds until the next `servewell up` after a `servewell down`: `serving.workers` of the
    workload says how many there are then.

    Example: servewell scale --workers 4
    """
    decision = flow.scale(session.platform, workers, dry_run=dry_run)
    carried_out = decision.needed and not dry_run
    if session.as_json:
        show.as_json({"decision": decision, "carried_out": carried_out})
    else:
        would = "would be done: " if dry_run and decision.needed else ""
        click.echo(f"{would}{decision.because}")
    return 0

"""`servewell endpoints`: what is served where."""

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command
from servewell.core.operations.traffic import describe, percent


@click.group
def endpoints() -> None:
    """See the endpoints and what serves under them."""


@endpoints.command("list")
@command
def list_(session: Session) -> int:
    """List the endpoints.

    Example: servewell endpoints list
    """
    found = session.platform.endpoints.list()
    if session.as_json:
        show.as_json(found)
        return 0
    rows = [(one.name, one.workload, describe(one.traffic), one.revision) for one in found]
    heads = ("endpoint", "workload", "traffic", "revision")
    show.table(heads, rows, empty="No endpoint yet. `servewell up FOLDER` makes one.")
    return 0


@endpoints.command("show")
@click.argument("name", shell_complete=endpoint_names)
@command
def show_(session: Session, name: str) -> int:
    """Show one endpoint: its deployments, its rules, and what a rollback returns to.

    Example: servewell endpoints show flight-delays
    """
    endpoint = session.platform.endpoints.get(name)
    if session.as_json:
        show.as_json(endpoint)
        return 0
    rows = [
        (one.name, f"{one.model}:{one.version}", percent(one.share_bp), one.package[:12])
        for one in endpoint.deployments
    ]
    show.table(("deployment", "version", "traffic", "package"), rows, empty="No deployment yet.")
    policy = endpoint.policy
    click.echo(f"body limit   {show.size(policy.body_bytes_max)}")
    click.echo(f"row limit    {policy.rows_max:,}")
    click.echo(f"personal     {', '.join(policy.personal) or '-'}")
    back = describe(dict(endpoint.past[-1])) if endpoint.past else "nothing earlier"
    click.echo(f"rollback to  {back}")
    return 0

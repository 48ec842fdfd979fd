"""`servewell endpoints`: what is served where."""

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.operations.stopping import describe_stop
from servewell.core.operations.traffic import describe, percent
from servewell.flows.loading import LoadingDone, set_loaded
from servewell.flows.stopping import stops_of

because = click.option("--because", default="", metavar="TEXT", help="Why, for the history.")


@click.group
def endpoints() -> None:
    """See the endpoints and what serves under them; load and unload their models."""


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
    rows = [(one.name, one.workload, _traffic(one), one.revision) for one in found]
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
    for one in endpoint.deployments:
        if one.quarantined:
            click.echo(f"{one.name} is in quarantine because {one.quarantined}")
        elif one.withdrawn:
            click.echo(f"{one.name} gets nothing: {one.withdrawn}")
    for order in stops_of(session.platform, name):
        click.echo(f"{describe_stop(order)}, by {order.principal} because {order.because}")
    policy = endpoint.policy
    click.echo(f"models       {'loaded' if endpoint.loaded else 'unloaded'}")
    click.echo(f"body limit   {show.size(policy.body_bytes_max)}")
    click.echo(f"row limit    {policy.rows_max:,}")
    click.echo(f"sticky by    {policy.sticky or '-'}")
    click.echo(f"personal     {', '.join(policy.personal) or '-'}")
    if endpoint.shadow:
        copied = percent(endpoint.shadow.share_bp)
        click.echo(f"shadow       {endpoint.shadow.deployment} gets copies of {copied}")
    back = describe(dict(endpoint.past[-1])) if endpoint.past else "nothing earlier"
    click.echo(f"rollback to  {back}")
    for rollout in session.platform.rollouts.list(name, open_only=True):
        stage = rollout.stage.value
        click.echo(f"rollout      {rollout.candidate_version} is {stage}: {rollout.because}")
    return 0


@endpoints.command("load")
@click.argument("name", shell_complete=endpoint_names)
@because
@dry_run
@command
def load_(session: Session, name: str, *, because: str, dry_run: bool) -> int:
    """Load the models of an endpoint that was unloaded.

    Example: servewell endpoints load flight-delays
    """
    done = set_loaded(session.platform, name, loaded=True, because=because, dry_run=dry_run)
    return _say(session, done, dry_run=dry_run)


@endpoints.command("unload")
@click.argument("name", shell_complete=endpoint_names)
@because
@dry_run
@command
def unload_(session: Session, name: str, *, because: str, dry_run: bool) -> int:
    """Unload the models of an endpoint: its requests are refused until it is loaded again.

    Its traffic, its versions and its keys stay as they are.

    Example: servewell endpoints unload flight-delays --because "not used in winter"
    """
    done = set_loaded(session.platform, name, loaded=False, because=because, dry_run=dry_run)
    return _say(session, done, dry_run=dry_run)


def _traffic(endpoint: Endpoint) -> str:
    return describe(endpoint.traffic) if endpoint.loaded else "unloaded"


def _say(session: Session, done: LoadingDone, *, dry_run: bool) -> int:
    endpoint = done.decision.endpoint
    if session.as_json:
        show.as_json(
            {
                "endpoint": endpoint.name,
                "loaded": endpoint.loaded,
                "carried_out": done.carried_out,
                "because": done.decision.because,
                "behind": done.behind,
            }
        )
        return 0
    would = "would be: " if dry_run else ""
    click.echo(f"{endpoint.name}: {would}{done.decision.because}")
    if not done.carried_out and not dry_run:
        click.echo("nothing to change: it is so already")
    for index in done.behind:
        click.echo(f"worker {index} has not taken it up yet; `servewell status` says why", err=True)
    return 0

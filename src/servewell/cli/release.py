"""`servewell deploy`, `traffic` and `rollback`: change what an endpoint serves."""

import click

from servewell.cli import show
from servewell.cli.completion import deployment_names, endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.core.catalog.change import ChangeKind
from servewell.core.catalog.endpoint import BP_FULL
from servewell.core.operations.traffic import TrafficDecision, describe, parse_share
from servewell.flows.by_hand import deploy as deploy_version
from servewell.flows.by_hand import roll_back, set_traffic
from servewell.flows.release import Released
from servewell.flows.rollouts import Advanced

because = click.option("--because", default="", metavar="TEXT", help="Why, for the history.")


@click.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.argument("model")
@click.option("--share", default="100%", help="Its share of the requests: `10%` or `1000bp`.")
@click.option("--name", default="", help="Name of the deployment; default `v` and the number.")
@because
@dry_run
@command
def deploy(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str,
    model: str,
    *,
    share: str,
    name: str,
    because: str,
    dry_run: bool,
) -> int:
    """Serve MODEL, as NAME or NAME:NUMBER, under ENDPOINT.

    The deployments that are there share the rest of the traffic as before. The gates must have let
    the version through; `servewell rollouts start` gives it the traffic by evidence.

    Example: servewell deploy flight-delays flight-delays:2 --share 10%
    """
    wanted, number = version_of(model)
    done = deploy_version(
        session.platform,
        endpoint,
        model=wanted,
        number=number,
        name=name,
        share_bp=parse_share(share),
        because=because,
        dry_run=dry_run,
    )
    return say(session, done, dry_run=dry_run)


@click.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.argument("shares", nargs=-1, required=True, metavar="DEPLOYMENT=SHARE…")
@because
@dry_run
@command
def traffic(
    session: Session, endpoint: str, shares: tuple[str, ...], *, because: str, dry_run: bool
) -> int:
    """Split the requests of ENDPOINT between its deployments.

    The shares sum to 100 %; a deployment that is not named gets none. It stays loaded while a
    rollback could return to it: while it had a share in one of the two traffic splits before this.

    Example: servewell traffic flight-delays v1=90% v2=10%
    """
    wanted = {name: parse_share(share) for name, _, share in (one.partition("=") for one in shares)}
    done = set_traffic(session.platform, endpoint, wanted, because=because, dry_run=dry_run)
    return say(session, done, dry_run=dry_run)


@click.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option(
    "--to",
    default="",
    metavar="DEPLOYMENT",
    help="Send everything to this one.",
    shell_complete=deployment_names,
)
@click.option(
    "--quarantine", is_flag=True, help="End the rollout, and never run its candidate again."
)
@because
@dry_run
@command
def rollback(  # noqa: PLR0913 - the words of the command
    session: Session, endpoint: str, *, to: str, quarantine: bool, because: str, dry_run: bool
) -> int:
    """Take back the last change of ENDPOINT's traffic, or end the rollout that it has.

    What it returns to is still loaded, so it takes effect at once and drops no request. A second
    rollback goes one change further back.

    Example: servewell rollback flight-delays --because "too many false alarms"
    """
    done = roll_back(
        session.platform, endpoint, to=to, because=because, quarantine=quarantine, dry_run=dry_run
    )
    return say(session, _released(done), dry_run=dry_run)


def _released(done: Released | Advanced) -> Released:
    """Return the end of a rollout as the change of traffic that it is."""
    if isinstance(done, Released):
        return done
    kind, because = ChangeKind.ROLLOUT_ENDED, done.decision.because
    decision = TrafficDecision(endpoint=done.endpoint, kind=kind, because=because)
    return Released(decision=decision, carried_out=done.carried_out, behind=done.behind)


def version_of(text: str) -> tuple[str, int | None]:
    """Return the name and the number of a model version, None for the newest."""
    name, colon, number = text.partition(":")
    if not colon:
        return name, None
    if not number.isdecimal() or not 0 < int(number) <= BP_FULL**2:
        raise click.BadParameter(
            f"`{text}` is not a model version; write it like `flight-delays:2`, or leave out the "
            "number for the newest",
            param_hint="MODEL",
        )
    return name, int(number)


def say(session: Session, done: Released, *, dry_run: bool) -> int:
    """Say what was done, or would be; return the exit code."""
    endpoint = done.decision.endpoint
    if session.as_json:
        show.as_json(
            {
                "endpoint": endpoint.name,
                "carried_out": done.carried_out,
                "because": done.decision.because,
                "traffic": endpoint.traffic,
                "behind": done.behind,
            }
        )
        return 0
    would = "would be: " if dry_run else ""
    click.echo(f"{endpoint.name}: {would}{done.decision.because}")
    click.echo(f"traffic: {would}{describe(endpoint.traffic)}")
    if not done.carried_out and not dry_run:
        click.echo("nothing to change: it is so already")
    for index in done.behind:
        click.echo(f"worker {index} has not taken it up yet; `servewell status` says why", err=True)
    return 0

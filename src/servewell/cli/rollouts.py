"""`servewell rollouts`: how a new version takes over the traffic, and what people say to it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.cli.rollout_view import page, strategy
from servewell.cli.rollout_watch import RolloutWatch
from servewell.core.catalog.rollout import Rollout, Stage
from servewell.core.operations.rollout_moves import Order
from servewell.core.operations.rollout_plan import plan_with
from servewell.core.operations.traffic import describe
from servewell.flows.rollouts import (
    Advanced,
    advance,
    find_rollout,
    give_order,
    open_rollout,
    rules_of,
    start_rollout,
)

Asked = Callable[[Callable[..., int]], Callable[..., int]]  # a click option
LOOK_EVERY_S: Final = 0.5
NOT_PROMOTED: Final = 4  # as for what is in the way
because = click.option("--because", default="", metavar="TEXT", help="Why, for the history.")
reason = click.option("--because", required=True, metavar="TEXT", help="Why, for the history.")
of_endpoint = click.argument("endpoint", shell_complete=endpoint_names)


@click.group
def rollouts() -> None:
    """Roll a version out by evidence: start, look, approve, hold, promote, cancel."""


@rollouts.command
@of_endpoint
@click.argument("model")
@click.option(
    "--strategy",
    type=click.Choice(["canary", "shadow-then-canary", "rolling", "blue-green"]),
    help="How it takes over; without it, and the options below, as the workload says.",
)
@click.option("--steps", metavar="SHARES", help="Shares before all requests: `5%,25%,50%`.")
@click.option("--step-s", type=float, metavar="SECONDS", help="Least seconds at each share.")
@click.option("--watch-s", type=float, metavar="SECONDS", help="Watched so long with all requests.")
@click.option("--longest-s", type=float, metavar="SECONDS", help="Then it is inconclusive.")
@click.option("--requests-min", type=int, metavar="NUMBER", help="Answered before promotion.")
@click.option(
    "--approval",
    type=click.Choice(["none", "start", "promotion", "both"]),
    help="Before what a person has to consent.",
)
@click.option(
    "--on-inconclusive",
    type=click.Choice(["hold", "roll-back"]),
    help="What becomes of it when it could not show enough in its time.",
)
@click.option(
    "--not-during",
    multiple=True,
    metavar="WINDOW",
    help="No share grows then: `Fri 16:00-24:00 Europe/Berlin`; may be repeated.",
)
@click.option("--name", default="", help="Name of the deployment; default `v` and the number.")
@because
@dry_run
@command
def start(  # noqa: PLR0913 - the words of the command
    session: Session,
    /,
    endpoint: str,
    model: str,
    *,
    name: str,
    because: str,
    dry_run: bool,
    **options: Any,  # noqa: ANN401 - each as click read it
) -> int:
    """Begin to roll MODEL, as NAME or NAME:NUMBER, out at ENDPOINT.

    The control process goes on with it. The gates must have let the version through.

    Example: servewell rollouts start flight-delays flight-delays:2 --steps 5%,50%
    """
    platform = session.platform
    wanted, _, number = model.partition(":")
    if number and not number.isdecimal():
        raise click.BadParameter(f"`{model}` is not like `{wanted}:1`", param_hint="MODEL")
    version = platform.registry.get(wanted, int(number) if number else None)
    plan = plan_with(rules_of(platform, endpoint), _changes(options))
    made = start_rollout(
        platform, endpoint, version, plan=plan, because=because, name=name, dry_run=dry_run
    )
    if session.as_json:
        show.as_json(made)
        return 0
    would = "would be: " if dry_run else ""
    click.echo(f"{endpoint}: {would}{made.because}")
    click.echo(f"strategy: {would}{strategy(made)}")
    if not dry_run:
        click.echo(f"`servewell rollouts watch {endpoint}` shows how it goes")
        _say_if_nobody_goes_on(session)
    return 0


@rollouts.command("list")
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@command
def list_(session: Session, endpoint: str | None) -> int:
    """List the rollouts, the newest last; of one ENDPOINT, or of all.

    Example: servewell rollouts list
    """
    found = session.platform.rollouts.list(endpoint)
    if session.as_json:
        show.as_json(found)
        return 0
    rows = [
        (
            one.endpoint,
            one.candidate_version,
            one.stable_version,
            one.stage.value,
            show.moment(one.began_at),
            show.moment(one.ended_at),
            one.id,
        )
        for one in found
    ]
    heads = ("endpoint", "candidate", "stable", "stage", "began", "ended", "id")
    show.table(heads, rows, empty="No rollout yet. `servewell rollouts start` begins one.")
    return 0


@rollouts.command("show")
@click.argument("endpoint", metavar="ENDPOINT|ID", shell_complete=endpoint_names)
@command
def show_(session: Session, endpoint: str) -> int:
    """Show the newest rollout of an endpoint, or the one with this id.

    What is measured stands in a table: both values, the interval of their ratio as a bar with the
    margin in it, and what that shows. Below it: what is missing, and the next move.

    Example: servewell rollouts show flight-delays
    """
    _print(session, find_rollout(session.platform, endpoint))
    return 0


@rollouts.command
@of_endpoint
@command
def watch(session: Session, endpoint: str) -> int:
    """Show a rollout until it ends: with 0 where the candidate was promoted, else with 4.

    Example: servewell rollouts watch flight-delays
    """
    rollout = find_rollout(session.platform, endpoint)
    with RolloutWatch(as_json=session.as_json) as view:
        while True:
            view.show(rollout, session.platform.endpoints.get(rollout.endpoint))
            if rollout.ended:
                return 0 if rollout.stage is Stage.PROMOTED else NOT_PROMOTED
            session.platform.clock.sleep(LOOK_EVERY_S)
            rollout = session.platform.rollouts.get(rollout.id)


@rollouts.command("advance")
@of_endpoint
@dry_run
@command
def advance_(session: Session, endpoint: str, *, dry_run: bool) -> int:
    """Make the next move of a rollout now, if it may be made; the control process does so too.

    Example: servewell rollouts advance flight-delays --dry-run
    """
    platform = session.platform
    return _say(session, advance(platform, open_rollout(platform, endpoint), dry_run=dry_run))


def _order(order: Order, words: str, *, example: str, asks: Asked = because) -> None:
    """Add the command of an order."""

    @rollouts.command(order.value, help=f"{words}\n\nExample: {example}")
    @of_endpoint
    @asks
    @dry_run
    @command
    def given(session: Session, endpoint: str, *, because: str, dry_run: bool) -> int:
        done = give_order(session.platform, endpoint, order, because=because, dry_run=dry_run)
        return _say(session, done)


_order(
    Order.APPROVE,
    "Consent to what a rollout waits for: its start, or its promotion.",
    example='servewell rollouts approve flight-delays --because "seen with the team"',
)
_order(
    Order.PROMOTE,
    "Give the candidate all requests now. The judge is not asked; the gates are.",
    example='servewell rollouts promote flight-delays --because "the fault is known, and not its"',
    asks=reason,
)
_order(
    Order.HOLD,
    "Keep the traffic as it is until somebody resumes, promotes or cancels.",
    example='servewell rollouts hold flight-delays --because "the storm"',
)
_order(
    Order.RESUME,
    "Go on with a rollout that is held.",
    example="servewell rollouts resume flight-delays",
)
_order(
    Order.CANCEL,
    "End a rollout: all requests go back to the version before.",
    example='servewell rollouts cancel flight-delays --because "another one is ready"',
)


def _changes(options: dict[str, Any]) -> dict[str, object]:
    """Return the options that were given, as the keys of a workload file."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if "steps" in given:
        given["steps"] = [one.strip() for one in given["steps"].split(",")]
    if "not_during" in given:
        given["not_during"] = list(given["not_during"])
    return given


def _print(session: Session, rollout: Rollout) -> None:
    platform = session.platform
    endpoint = platform.endpoints.get(rollout.endpoint)
    coming = None if rollout.ended else advance(platform, rollout, dry_run=True)
    if session.as_json:
        show.as_json({"rollout": rollout, "next": coming and coming.decision})
        return
    # What was seen since it was last kept is newer than what is kept.
    seen = rollout if coming is None else replace(rollout, judgement=coming.rollout.judgement)
    for text in page(seen, endpoint, coming.decision if coming else None):
        click.echo(text)


def _say(session: Session, done: Advanced) -> int:
    decision = done.decision
    if session.as_json:
        show.as_json(
            {
                "endpoint": done.endpoint.name,
                "carried_out": done.carried_out,
                "decision": decision,
                "traffic": done.endpoint.traffic,
                "rollout": done.rollout,
                "behind": done.behind,
            }
        )
        return 0
    would = "" if done.carried_out else "would be: "
    click.echo(f"{done.endpoint.name}: {would}{decision.move.value}: {decision.because}")
    click.echo(f"stage: {would}{decision.stage.value}")
    click.echo(f"traffic: {would}{describe(done.endpoint.traffic)}")
    for index in done.behind:
        click.echo(f"worker {index} has not taken it up yet; `servewell status` says why", err=True)
    return 0


def _say_if_nobody_goes_on(session: Session) -> None:
    if session.platform.fleet.state().control is None:
        click.echo("no control process runs to go on with it; `servewell up FOLDER` starts one")

"""`servewell experiments`: compare two versions on real requests until something is shown."""

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.core.catalog.experiment import Experiment, Goal, Metric, Result, Standing
from servewell.core.operations.experiment import result_of
from servewell.core.operations.traffic import describe, parse_share
from servewell.flows.experiments import (
    Tried,
    find_experiment,
    look_at,
    start_experiment,
    stop_experiment,
)

because = click.option("--because", default="", metavar="TEXT", help="Why, for the history.")
of_endpoint = click.argument("endpoint", shell_complete=endpoint_names)


@click.group
def experiments() -> None:
    """Compare two versions on real requests: start, show, list, stop."""


@experiments.command
@of_endpoint
@click.option(
    "--between",
    nargs=2,
    required=True,
    metavar="FIRST SECOND",
    help="Two deployments; the first stays where neither is better.",
)
@click.option("--split", default="50%", help="Share of the second: `50%` or `1000bp`.")
@click.option(
    "--metric",
    required=True,
    metavar="METRIC",
    help="`errors`, `latency`, `loss` (by labels), `output` or `output:NAME` (its mean).",
)
@click.option(
    "--better",
    type=click.Choice(["lower", "higher"]),
    help="Which way is better; needed for an output, `lower` for the others.",
)
@click.option(
    "--smallest",
    required=True,
    metavar="EFFECT",
    help="Smallest effect of interest: `5%` or `0.05`; of latency relative, else a difference.",
)
@click.option("--alpha", default=0.05, show_default=True, help="Chance to be wrong at any look.")
@because
@dry_run
@command
def start(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str,
    *,
    between: tuple[str, str],
    split: str,
    metric: str,
    better: str | None,
    smallest: str,
    alpha: float,
    because: str,
    dry_run: bool,
) -> int:
    """Split the requests of ENDPOINT between two deployments, and compare them.

    Look as often as you like: what is shown holds at every look. It does not start while a rollout
    is under way, nor does a rollout while it splits the requests.

    Example: servewell experiments start flight-delays --between v1 v2 --metric loss --smallest 0.01
    """
    done = start_experiment(
        session.platform,
        endpoint,
        between,
        share_bp=parse_share(split),
        goal=_goal(metric, better, smallest=smallest, alpha=alpha),
        because=because,
        dry_run=dry_run,
    )
    return _say(session, done, done.experiment.because)


@experiments.command("list")
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@command
def list_(session: Session, endpoint: str | None) -> int:
    """List the experiments, the newest last; of one ENDPOINT, or of all.

    Example: servewell experiments list
    """
    found = session.platform.experiments.list(endpoint)
    if session.as_json:
        show.as_json(found)
        return 0
    rows = [
        (
            one.endpoint,
            one.first_version,
            one.second_version,
            one.goal.metric.value,
            one.result.standing.value if one.result else Standing.UNDECIDED.value,
            show.moment(one.began_at),
            show.moment(one.ended_at),
            one.id,
        )
        for one in found
    ]
    heads = ("endpoint", "first", "second", "metric", "shows", "began", "ended", "id")
    show.table(heads, rows, empty="No experiment yet. `servewell experiments start` begins one.")
    return 0


@experiments.command("show")
@click.argument("endpoint", metavar="ENDPOINT|ID", shell_complete=endpoint_names)
@command
def show_(session: Session, endpoint: str) -> int:
    """Show what the newest experiment of an endpoint, or the one with this id, has shown so far.

    Example: servewell experiments show flight-delays
    """
    platform = session.platform
    experiment = look_at(platform, find_experiment(platform, endpoint))
    result = experiment.result or result_of(experiment)
    if session.as_json:
        show.as_json({"experiment": experiment, "result": result})
        return 0
    _page(experiment, result)
    return 0


@experiments.command
@of_endpoint
@click.option("--apply", is_flag=True, help="Give all requests to the one it recommends.")
@because
@dry_run
@command
def stop(session: Session, endpoint: str, *, apply: bool, because: str, dry_run: bool) -> int:
    """End the experiment of ENDPOINT and say what it recommends.

    Without `--apply` the requests stay split as they are.

    Example: servewell experiments stop flight-delays --apply
    """
    done = stop_experiment(
        session.platform, endpoint, apply=apply, because=because, dry_run=dry_run
    )
    result = done.experiment.result or result_of(done.experiment)
    words = f"{result.standing.value}: {result.because}"
    if result.recommends:
        words += f"; it recommends `{result.recommends}`"
    return _say(session, done, words)


def _goal(metric: str, better: str | None, *, smallest: str, alpha: float) -> Goal:
    kind, _, output = metric.partition(":")
    if kind not in set(Metric):
        raise click.BadParameter(
            f"`{metric}` is none of {', '.join(Metric)}, or `output:NAME`", param_hint="--metric"
        )
    if kind == Metric.OUTPUT and better is None:
        raise click.BadParameter("an output needs it: `lower` or `higher`", param_hint="--better")
    return Goal(
        metric=Metric(kind),
        output=output,
        higher_is_better=better == "higher",
        smallest=_effect(smallest),
        alpha=alpha,
    )


def _effect(text: str) -> float:
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise click.BadParameter(
            f"`{text}` is not like `5%` or `0.05`", param_hint="--smallest"
        ) from None


def _page(experiment: Experiment, result: Result) -> None:
    sums, goal = experiment.sums, experiment.goal
    way = "higher" if goal.higher_is_better else "lower"
    state = (
        "running" if experiment.ended_at is None else f"ended {show.moment(experiment.ended_at)}"
    )
    click.echo(click.style(f"{experiment.endpoint}: {result.standing.value}", bold=True))
    click.echo(result.because)
    rows = (
        (
            "first",
            experiment.first,
            experiment.first_version,
            *_told(sums.requests, sums.failed, 0),
        ),
        (
            "second",
            experiment.second,
            experiment.second_version,
            *_told(sums.requests, sums.failed, 1),
        ),
    )
    show.table(("", "deployment", "version", "requests", "failed"), rows, empty="")
    click.echo(f"metric: {goal.metric.value}{goal.output and ':' + goal.output}, {way} is better")
    click.echo(f"{state}; began {show.moment(experiment.began_at)}; id {experiment.id}")
    if result.recommends:
        click.echo(f"it recommends `{result.recommends}`")
    if sums.missing:
        click.echo(f"{sums.missing:,} records at most are missing from the log")


def _told(requests: tuple[int, int], failed: tuple[int, int], at: int) -> tuple[str, str]:
    return f"{requests[at]:,}", f"{failed[at]:,}"


def _say(session: Session, done: Tried, words: str) -> int:
    if session.as_json:
        show.as_json(
            {
                "experiment": done.experiment,
                "traffic": done.endpoint.traffic,
                "carried_out": done.carried_out,
                "behind": done.behind,
            }
        )
        return 0
    would = "" if done.carried_out else "would be: "
    click.echo(f"{done.endpoint.name}: {would}{words}")
    click.echo(f"traffic: {would}{describe(done.endpoint.traffic)}")
    for index in done.behind:
        click.echo(f"worker {index} has not taken it up yet; `servewell status` says why", err=True)
    return 0

"""`servewell models optimize` and `servewell models profile`: measure a version, and say why."""

import sys
from pathlib import Path
from typing import Final

import click

from servewell.cli import optimisation_report, profile_report, show
from servewell.cli.context import Session, command, dry_run
from servewell.cli.job_progress import JobProgress
from servewell.core.catalog.model import ModelVersion
from servewell.core.performance.optimisation import Metric
from servewell.flows.optimise_model import (
    Described,
    Optimisation,
    Plan,
    Wish,
    optimise_model,
    plan_optimisation,
    register_variant,
)
from servewell.flows.profile_model import Profiled, profile_model
from servewell.ports.optimiser import Effort

ROUNDS_MIN: Final = 6  # fewer give no 95 % interval
ROWS_MAX: Final = 10_000


@click.command
@click.argument("model")
@click.option(
    "--workload",
    type=click.Path(path_type=Path),
    help="The servewell.yaml, or its folder, that has the gate; its data comes before the model's.",
)
@click.option("--metric", type=click.Choice([one.value for one in Metric]), help="Judge by this.")
@click.option("--loss-max", type=click.FloatRange(min=0), help="Most of the metric to lose.")
@click.option(
    "--rounds",
    type=click.IntRange(ROUNDS_MIN, 1_000),
    default=Effort().rounds,
    show_default=True,
    help="Rounds that speed is measured in.",
)
@click.option(
    "--register/--no-register",
    default=None,
    help="Register the variant that passes, or none; default: a terminal asks, else none.",
)
@dry_run
@command
def optimize(  # noqa: PLR0913 - the words of the command
    session: Session,
    model: str,
    *,
    workload: Path | None,
    metric: str | None,
    loss_max: float | None,
    rounds: int,
    register: bool | None,
    dry_run: bool,
) -> int:
    """Build variants of MODEL, as NAME or NAME:NUMBER, measure them, and say which is worth it.

    Each is judged on held-out rows and timed beside the original. Nothing is registered unless you
    say so, and nothing is ever deployed.

    Example: servewell models optimize flight-delays --workload examples/flight-delays
    """
    name, number = version_of(model)
    wish = Wish(
        model=name,
        number=number,
        described=_described(session, workload),
        metric=Metric(metric) if metric else None,
        loss_max=loss_max,
        effort=Effort(rounds=rounds),
    )
    if dry_run:
        _say_plan(session, plan_optimisation(session.platform, wish, keep=False))
        return 0
    with JobProgress(shown=not session.as_json) as progress:
        done, page = optimise_model(
            session.platform, wish, draw=optimisation_report.report, progress=progress.step
        )
    if not session.as_json:
        _say_study(done, page)
    registered = _register(session, done, register)
    if session.as_json:
        show.as_json(_as_value(done, page, registered))
    return 0


@click.command
@click.argument("model")
@click.option(
    "--rows",
    type=click.IntRange(1, ROWS_MAX),
    default=1,
    show_default=True,
    help="Rows of a request.",
)
@command
def profile(session: Session, model: str, *, rows: int) -> int:
    """Show where the time of a prediction of MODEL goes, stage by stage and operator by operator.

    Example: servewell models profile flight-delays:1
    """
    name, number = version_of(model)
    with JobProgress(shown=not session.as_json) as progress:
        done, page = profile_model(
            session.platform,
            Wish(model=name, number=number),
            rows=rows,
            draw=profile_report.report,
            progress=progress.step,
        )
    if session.as_json:
        show.as_json({"version": done.version.name, "profile": done.profile, "report": page})
        return 0
    _say_profile(done, page)
    return 0


def version_of(text: str) -> tuple[str, int | None]:
    """Return name and number of `NAME` or `NAME:NUMBER`.

    Raises: click.BadParameter.
    """
    name, colon, number = text.partition(":")
    if not colon:
        return name, None
    if not number.isdecimal() or len(number) > len(str(1 << 62)) - 1 or not int(number):
        raise click.BadParameter(
            f"`{text}` is not a model version; write it like `{name or 'flight-delays'}:1`, or "
            "leave out the number for the newest",
            param_hint="MODEL",
        )
    return name, int(number)


def _described(session: Session, path: Path | None) -> Described | None:
    if path is None:
        return None
    workload, folder = session.platform.workload_files.read(path)
    return Described(workload=workload, folder=folder)


def _say_plan(session: Session, plan: Plan) -> None:
    subject, rules = plan.subject, plan.rules
    told = {
        "version": plan.version.name,
        "dataset": plan.dataset,
        "label": subject.label,
        "metric": rules.metric or "the usual one for what the model answers",
        "loss_max": rules.loss_max,
        "faster_min": rules.faster_min,
        "smaller_min": rules.smaller_min,
        "rows": rules.rows,
    }
    if session.as_json:
        show.as_json(told)
        return
    click.echo(f"would build variants of {plan.version.name} and measure each; nothing is changed")
    rows = [(key, "-" if value is None else value) for key, value in told.items()]
    show.table(("what", "would be"), rows, empty="")


def _say_study(done: Optimisation, page: Path) -> None:
    click.echo(optimisation_report.basis(done))
    click.echo()
    heads, rows = optimisation_report.summary(done)
    show.table(heads, rows, empty="")
    click.echo()
    for verdict in done.choice.verdicts:
        click.echo(f"{'pass' if verdict.passed else 'fail'}  {verdict.name}: {verdict.because}")
    for names, because in optimisation_report.unsuited(done):
        click.echo(f"none  {names}: {because}")
    click.echo()
    click.echo(click.style(done.choice.because, bold=True))
    click.echo(f"report: {page}")


def _register(session: Session, done: Optimisation, wanted: bool | None) -> ModelVersion | None:
    """Register the chosen variant where that is asked for, or where a person says yes."""
    chosen = done.chosen
    if chosen is None or wanted is False:
        return None
    if wanted is None:
        if session.as_json or not sys.stdin.isatty():
            _say(session, "not registered: add --register to make it a version")
            return None
        if not click.confirm(f"Register `{chosen.name}` as a new version?", err=True):
            return None
    version = register_variant(session.platform, done, chosen)
    _say(session, f"registered {version.name}; nothing is deployed")
    _say(session, f"next: servewell deploy ENDPOINT {version.name} --share 10%")
    return version


def _say(session: Session, words: str) -> None:
    if not session.as_json:
        click.echo(words)


def _as_value(done: Optimisation, page: Path, registered: ModelVersion | None) -> dict[str, object]:
    return {
        "version": done.plan.version.name,
        "dataset": done.plan.dataset,
        "gate": done.gate,
        "choice": done.choice,
        "study": done.study,
        "report": page,
        "registered": registered.name if registered else None,
    }


def _say_profile(done: Profiled, page: Path) -> None:
    found = done.profile
    click.echo(f"{done.version.name}: {profile_report.basis(done)}")
    click.echo()
    show.table(("stage", "p50 us", "p99 us", "share"), profile_report.stages(found), empty="")
    click.echo()
    heads = ("type", "operators", "us a call", "share")
    show.table(heads, profile_report.operators(found), empty="")
    click.echo()
    heads = ("operator", "type", "us a call", "share")
    slowest = profile_report.nodes(found)[: profile_report.NODES_MAX]
    show.table(heads, slowest, empty="the model has no operators")
    click.echo()
    click.echo(f"report: {page}")

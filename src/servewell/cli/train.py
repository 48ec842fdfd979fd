"""`servewell train`: make the model version of a workload, and serve nothing."""

from pathlib import Path

import click

from servewell.cli import show
from servewell.cli.context import Session, command, dry_run
from servewell.cli.run_report import show_steps
from servewell.cli.steps import Steps
from servewell.core.catalog.run import ID_SHOWN
from servewell.core.operations.pipeline import StepForecast
from servewell.flows.make_model import (
    Made,
    foresee_model,
    foresee_pipeline,
    keep_dataset,
    make_model,
)
from servewell.flows.runs import details_of


@click.command
@click.argument("workload", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Use another value for one key of the file, as in `--set train.parameters.depth=5`.",
)
@dry_run
@command
def train(session: Session, workload: Path, *, overrides: tuple[str, ...], dry_run: bool) -> int:
    """Run the steps of WORKLOAD and register the model version that comes of it; serve nothing.

    WORKLOAD is a servewell.yaml or the folder that holds one. A step is run only where its inputs,
    code, parameters or environment changed; --dry-run says which would run, and why.

    Example: servewell train examples/flight-delays --dry-run
    """
    platform = session.platform
    described, folder = platform.workload_files.read(workload, overrides)
    if dry_run:
        needed = foresee_model(platform, described, folder)
        foreseen = foresee_pipeline(platform, described, folder)
        _show_plan(session, foreseen, because=needed.because)
        return 0
    with Steps(quiet=session.as_json) as steps:
        steps.report("data", "reading")
        dataset = keep_dataset(platform, described, folder)
        made = make_model(
            platform,
            described,
            folder,
            dataset=dataset,
            progress=lambda line: steps.report("model", line),
        )
        steps.report("model", f"{made.version.name}: {made.decision.because}")
    _show(session, made)
    return 0


def _show_plan(session: Session, steps: tuple[StepForecast, ...], *, because: str) -> None:
    if session.as_json:
        show.as_json({"because": because, "steps": steps})
        return
    rows = [
        (one.name, one.kind, "run" if one.needed else "take what was done", one.because)
        for one in steps
    ]
    show.table(("step", "kind", "would", "because"), rows, empty="nothing to do")


def _show(session: Session, made: Made) -> None:
    if session.as_json:
        show.as_json(
            {
                "version": made.version.name,
                "run": made.run.id,
                "because": made.decision.because,
                "dataset": made.dataset,
                "metrics": made.run.metrics,
            }
        )
        return
    click.echo(f"{made.version.name} of run {made.run.id}")
    show_steps(details_of(session.platform, made.run.id), now=session.platform.clock.now())
    click.echo()
    for name, value in sorted(made.run.metrics.items()):
        click.echo(f"{name:<20} {value:.6g}")
    click.echo(f"\nnext: servewell runs show {made.run.id[:ID_SHOWN]}")

"""`servewell ci`: pipelines that deliver a workload, and the same steps on this machine."""

from functools import partial
from pathlib import Path
from typing import Final

import click

from servewell.cli import show
from servewell.cli.context import Session, command, dry_run
from servewell.cli.steps import Steps
from servewell.core.operations.delivery import ABOUT, DeliveryStep, Pipeline
from servewell.flows.delivery import Change, StepDone, pipeline_files, run_step
from servewell.ports.project import Project

KINDS: Final = tuple(one.value for one in Pipeline)


@click.group
def ci() -> None:
    """Deliver changes of a workload by a pipeline: lock, test, train, gate, package, roll out."""


@ci.command
@click.argument("workload", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--for",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    default=KINDS,
    show_default=True,
    help="Service that runs the pipeline; may be repeated.",
)
@click.option("--force", is_flag=True, help="Write over files that differ.")
@dry_run
@command
def init(
    session: Session, workload: Path, *, kinds: tuple[str, ...], force: bool, dry_run: bool
) -> int:
    """Write the pipelines of WORKLOAD, and the lock of the environment that they install.

    Checks run on every change; a rollout begins from the main branch, on a runner of your own that
    has the home, after the approval that the environment `production` asks for.

    Example: servewell ci init examples/flight-delays --for github
    """
    platform = session.platform
    described, folder = platform.workload_files.read(workload)
    files = pipeline_files(platform, described, folder, tuple(Pipeline(one) for one in kinds))
    rows = [
        (str(path), _written(platform.project, path, text, force=force, dry_run=dry_run))
        for path, text in files.items()
    ]
    if session.as_json:
        show.as_json(dict(rows))
        return 0
    show.table(("file", "done"), rows, empty="nothing")
    if any(done.startswith("kept") for _, done in rows):
        click.echo("Files that differ were kept; `--force` writes over them.", err=True)
    return 0


def _written(project: Project, path: Path, text: str, *, force: bool, dry_run: bool) -> str:
    known = project.read(path)
    if known == text:
        return "is so already"
    if known is not None and not force:
        return "kept: it differs"
    if not dry_run:
        project.write(path, text)
    done = "written" if known is None else "written over"
    return f"would be {done}" if dry_run else done


@ci.command
@click.argument("workload", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--step",
    "steps",
    type=click.Choice([one.value for one in DeliveryStep]),
    multiple=True,
    help="Do this step alone; may be repeated. Without it: all, in their order.",
)
@click.option(
    "--dry-run/--live",
    default=True,
    show_default=True,
    help="Whether the rollout is only foreseen, or begins.",
)
@click.option("--because", default="", metavar="TEXT", help="Why, for the history.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the page of the gates there.",
)
@command
def run(  # noqa: PLR0913 - the words of the command
    session: Session,
    workload: Path,
    *,
    steps: tuple[str, ...],
    dry_run: bool,
    because: str,
    report: Path | None,
) -> int:
    """Do what the pipeline of WORKLOAD does, here. Nothing that serves changes without --live.

    Example: servewell ci run examples/flight-delays
    """
    platform = session.platform
    described, folder = platform.workload_files.read(workload)
    wanted = [one for one in DeliveryStep if not steps or one.value in steps]
    done: list[StepDone] = []
    with Steps(quiet=session.as_json) as shown:
        for step in wanted:
            change = Change(
                workload=described,
                folder=folder,
                live=not dry_run,
                because=because,
                progress=partial(shown.report, step.value),
            )
            shown.report(step, ABOUT[step])
            finished = run_step(platform, change, step)
            shown.report(step, ("skipped: " if finished.skipped else "") + finished.words)
            done.append(finished)
            _keep_page(session, finished, report)
            if finished.refusal is not None:
                raise finished.refusal
    if session.as_json:
        show.as_json({one.step: {"words": one.words, "skipped": one.skipped} for one in done})
    return 0


def _keep_page(session: Session, done: StepDone, path: Path | None) -> None:
    if path is not None and done.report is not None:
        page = session.platform.blobs.read(done.report.page).decode()
        session.platform.project.write(path, page)

"""`servewell runs`: what was trained, from what, with what result."""

import time
from pathlib import Path
from typing import Final

import click

from servewell.cli import show
from servewell.cli.context import Session, command
from servewell.cli.run_report import show_compared, show_diff, show_run, show_runs
from servewell.core.catalog.run import RunState
from servewell.core.catalog.run_query import RunQuery
from servewell.core.operations.run_comparison import compare
from servewell.core.operations.run_filter import condition_of
from servewell.flows.runs import StepLog, details_of, diff_runs, find_run, logs_of

LOOK_AGAIN_S: Final = 0.2


@click.group
def runs() -> None:
    """See the runs of all workloads, compare them, and read their logs."""


@runs.command("list")
@click.argument("workload", required=False)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([one.value for one in RunState]),
    help="Only runs in this state; can be given several times.",
)
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="METRIC>=NUMBER",
    help="Only runs whose metric is so; can be given several times.",
)
@click.option("--sort", "by", metavar="METRIC", help="Sort by a metric; default: by start.")
@click.option("--rising", is_flag=True, help="The smallest, or the oldest, first.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="So many at most."
)
@click.option("--skip", type=click.IntRange(0), default=0, help="Leave out so many of the first.")
@command
def list_(  # noqa: PLR0913 - the words of the command
    session: Session,
    workload: str | None,
    *,
    states: tuple[str, ...],
    conditions: tuple[str, ...],
    by: str | None,
    rising: bool,
    limit: int,
    skip: int,
) -> int:
    """List runs, the newest first; of one WORKLOAD, or of all.

    Example: servewell runs list flight-delays --where 'auc>0.7' --sort auc
    """
    query = RunQuery(
        workload=workload,
        states=tuple(RunState(one) for one in states),
        conditions=tuple(condition_of(one) for one in conditions),
        by=by,
        rising=rising,
        limit=limit,
        skip=skip,
    )
    found = session.platform.runs.find(query)
    if session.as_json:
        show.as_json(found)
        return 0
    asked = dict.fromkeys([*([by] if by else []), *(one.metric for one in query.conditions)])
    show_runs(found, metrics=tuple(asked))
    if len(found) == limit:
        click.echo(f"Perhaps there are more: --skip {skip + limit} shows them.")
    return 0


@runs.command("show")
@click.argument("run")
@command
def show_(session: Session, run: str) -> int:
    """Show all of a RUN: its parts, parameters, metrics, and its steps as a timeline.

    Example: servewell runs show 18ea849b142b
    """
    details = details_of(session.platform, run)
    if session.as_json:
        show.as_json(details)
    else:
        show_run(details, now=session.platform.clock.now())
    return 0


@runs.command("compare")
@click.argument("run", nargs=-1, required=True)
@command
def compare_(session: Session, run: tuple[str, ...]) -> int:
    """Show each RUN beside the others: facts, parameters, metrics, and which of them differ.

    Example: servewell runs compare 18ea849b142b 18ea84a11d02
    """
    found = tuple(find_run(session.platform, one) for one in run)
    rows = compare(found)
    if session.as_json:
        show.as_json({"runs": [one.id for one in found], "rows": rows})
    else:
        show_compared(found, rows)
    return 0


@runs.command("diff")
@click.argument("old")
@click.argument("new")
@command
def diff(session: Session, old: str, new: str) -> int:
    """Show what changed from the run OLD to the run NEW: parameters, data, environment, code.

    Example: servewell runs diff 18ea849b142b 18ea84a11d02
    """
    platform = session.platform
    found = diff_runs(platform, find_run(platform, old), find_run(platform, new))
    if session.as_json:
        show.as_json(found)
    else:
        show_diff(found)
    return 0


@runs.command("logs")
@click.argument("run")
@click.argument("step", required=False)
@click.option("--follow", is_flag=True, help="Go on showing what is written until the run ends.")
@command
def logs(session: Session, run: str, step: str | None, *, follow: bool) -> int:
    """Print what the steps of a RUN wrote, or one STEP; of each attempt.

    Example: servewell runs logs 18ea849b142b prepare
    """
    seen: dict[Path, int] = {}
    while True:
        details = details_of(session.platform, run)
        going_on = details.run.state is RunState.RUNNING
        for log in logs_of(session.platform, details, None if going_on and follow else step):
            if step in (None, log.step):
                _print(session, log, seen)
        if not (follow and going_on):
            return 0
        time.sleep(LOOK_AGAIN_S)


def _print(session: Session, log: StepLog, seen: dict[Path, int]) -> None:
    """Print what a log holds beyond what was seen of it."""
    try:
        with log.path.open("rb") as file:
            file.seek(seen.get(log.path, 0))
            text = file.read().decode("utf-8", "replace")
            seen_now = file.tell()
    except FileNotFoundError:
        return
    if session.as_json:
        for line in text.splitlines():
            click.echo(show.line({"step": log.step, "attempt": log.attempt, "line": line}))
    else:
        if log.path not in seen:
            click.echo(click.style(f"── {log.step}, attempt {log.attempt}", bold=True))
        click.echo(text, nl=bool(text) and not text.endswith("\n"))
    seen[log.path] = seen_now

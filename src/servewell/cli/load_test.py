"""`servewell load-test`: how much an endpoint carries, and what its callers feel."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import msgspec

from servewell.cli import load_report, show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.cli.load_view import LoadView
from servewell.cli.predict import KEY_VARIABLE
from servewell.core.performance.load_plan import Arrivals, Stage, StopRule, parse_stages
from servewell.core.performance.load_result import Window
from servewell.flows import load_test as flow
from servewell.flows.load_test import LoadOptions, LoadReport, RowSource
from servewell.flows.predict import caller_key

OBJECTIVE_MISSED: Final = 8
DEFAULT_PLAN: Final = "50@10s,100@10s,200@10s,400@10s,800@10s"


@click.command("load-test")
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option(
    "--plan",
    default=DEFAULT_PLAN,
    show_default=True,
    help="Requests a second and how long: `200@30s`, a ramp `50..500@2m`, or several with commas.",
)
@click.option(
    "--arrivals",
    type=click.Choice([one.value for one in Arrivals]),
    default=Arrivals.POISSON.value,
    show_default=True,
    help="Whether requests come as from many callers, or evenly.",
)
@click.option("--rows", type=click.IntRange(1, 10_000), default=1, help="Rows in one request.")
@click.option(
    "--rows-from",
    type=click.Choice([one.value for one in RowSource]),
    help="Which rows: of the prediction log, the dataset or the model's example; the first of "
    "these that there is.",
)
@click.option(
    "--input",
    "input_",
    type=click.Path(path_type=Path),
    help="Rows from a file instead: .json, .jsonl, .csv or .parquet.",
)
@click.option(
    "--objective-ms",
    type=click.FloatRange(0.1, 600_000),
    default=100.0,
    show_default=True,
    help="Milliseconds within which the p99 of a rate has to be for it to count as carried.",
)
@click.option(
    "--connections", type=click.IntRange(1, 10_000), default=256, help="Connections at most."
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    help="Seconds after which a request counts as failed.",
)
@click.option("--no-early-stop", is_flag=True, help="Carry the plan out whatever the answers are.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for report.html and report.json; default: load-test-ENDPOINT here.",
)
@click.option("--seed", type=int, default=0, help="Of when requests come.")
@click.option("--url", default="", help="Where to send, if not to what this home serves.")
@dry_run
@command
def load_test(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str,
    *,
    plan: str,
    arrivals: str,
    rows: int,
    rows_from: str | None,
    input_: Path | None,
    objective_ms: float,
    connections: int,
    timeout_s: float,
    no_early_stop: bool,
    report: Path | None,
    seed: int,
    url: str,
    dry_run: bool,
) -> int:
    """Send rows to ENDPOINT at a rate, and say how much it carries.

    The load is open: requests come at their rate whatever the endpoint does, and their latency
    counts from when they were due. It stops by itself, early where nothing more can be learnt.
    The exit code is 8 where no rate of the plan was carried within the objective.

    Example: servewell load-test flight-delays --plan 100..1000@60s

    Example: servewell load-test flight-delays --plan 200@5m --objective-ms 50 --json
    """
    options = LoadOptions(
        stages=parse_stages(plan),
        arrivals=Arrivals(arrivals),
        rows=rows,
        source=RowSource(rows_from) if rows_from else None,
        input=input_,
        connections_max=connections,
        timeout_s=timeout_s,
        objective_ms=objective_ms,
        stop=None if no_early_stop else StopRule(),
        seed=seed,
    )
    if dry_run:
        _foretell(session, options.stages)
        return 0
    key = caller_key(session.platform, os.environ.get(KEY_VARIABLE, ""), url=url)
    with _seen(session, options.stages, objective_ms) as observe:
        found = flow.load_test(
            session.platform, endpoint, options, key=key, url=url, observe=observe
        )
    files = load_report.write(found, report or Path(f"load-test-{endpoint}"))
    _tell(session, found, files)
    return 0 if found.capacity_per_s is not None else OBJECTIVE_MISSED


def _foretell(session: Session, stages: tuple[Stage, ...]) -> None:
    """Say what the plan would send, and send nothing."""
    requests = round(sum(stage.requests for stage in stages))
    seconds = sum(stage.duration_s for stage in stages)
    if session.as_json:
        show.as_json({"stages": stages, "requests": requests, "seconds": seconds})
        return
    words = ", then ".join(stage.words for stage in stages)
    click.echo(f"would send about {requests:,} requests in {seconds:,.0f} s: {words}")


@contextmanager
def _seen(
    session: Session, stages: tuple[Stage, ...], objective_ms: float
) -> Iterator[Callable[[Window], None]]:
    """Give what is called with each second: a live view in a terminal, a line elsewhere."""
    if session.as_json:
        yield lambda _: None
    elif sys.stderr.isatty():
        with LoadView(stages, objective_ms=objective_ms) as view:
            yield view.add
    else:
        yield _line


def _line(window: Window) -> None:
    click.echo(load_report.second(window), err=True)


def _tell(session: Session, found: LoadReport, files: tuple[Path, Path]) -> None:
    if session.as_json:
        report = msgspec.to_builtins(found)
        report.pop("windows")
        show.as_json({**report, "report_html": str(files[0]), "report_json": str(files[1])})
        return
    click.echo(load_report.words(found))
    click.echo(f"report  {files[0]}")

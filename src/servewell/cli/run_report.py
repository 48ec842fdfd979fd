"""How runs look in a terminal: facts, the steps as a timeline, and runs side by side."""

from collections.abc import Iterator
from typing import Final

import click

from servewell.cli import show
from servewell.core.catalog.run import ID_SHOWN, Run
from servewell.core.catalog.step import Step, StepState
from servewell.core.operations.run_comparison import Compared, RunDiff
from servewell.flows.runs import RunDetails

DIGEST_SHOWN: Final = 12
METRICS_SHOWN: Final = 3
LINE_WIDTH: Final = 40  # characters of a timeline
FILLS: Final = {StepState.CACHED: "·", StepState.FAILED: "x", StepState.INTERRUPTED: "/"}
MINUTE_S: Final = 60
HOUR_S: Final = 3_600


def duration(seconds: float | None) -> str:
    """Return seconds as people read them; `-` for none."""
    if seconds is None:
        return "-"
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < HOUR_S:
        return f"{int(seconds // MINUTE_S)} min {int(seconds % MINUTE_S)} s"
    return f"{int(seconds // HOUR_S)} h {int(seconds % HOUR_S // MINUTE_S)} min"


def took(one: Run | Step) -> float | None:
    """Return how long a run or a step took, in seconds; None while it goes on."""
    return None if one.ended_at is None else one.ended_at - one.started_at


def show_runs(runs: tuple[Run, ...], *, metrics: tuple[str, ...]) -> None:
    """Show runs as a table, with columns for the metrics that were asked for."""
    rows = [
        (
            run.id[:ID_SHOWN],
            run.workload,
            run.state,
            show.moment(run.started_at),
            duration(took(run)),
            run.dataset or "-",
            _commit(run),
            run.model_version or "-",
            *(_asked(run, metrics) if metrics else (_some(run),)),
        )
        for run in runs
    ]
    told = metrics or ("metrics",)
    heads = ("run", "workload", "state", "began (UTC)", "took", "data", "commit", "version", *told)
    show.table(heads, rows, empty="No run is like this.")


def show_run(details: RunDetails, *, now: float) -> None:
    """Show all that is known of a run."""
    run = details.run
    facts = {
        "run": run.id,
        "workload": run.workload,
        "state": run.state,
        "began": f"{show.moment(run.started_at)} by {run.principal or '-'}",
        "because": run.because or "-",
        "took": duration(took(run)),
        "data": run.dataset or "-",
        "commit": _commit(run),
        "code": f"sha256 {run.code_digest[:DIGEST_SHOWN]}" if run.code_digest else "-",
        "environment": f"sha256 {run.environment_digest[:DIGEST_SHOWN]}",
        "version": run.model_version or "-",
        "kept": ", ".join(f"{name} {one[:DIGEST_SHOWN]}" for name, one in run.artifacts.items())
        or "-",
    }
    for key, value in facts.items():
        click.echo(f"{key:<11} {value}")
    for kind, held in (("parameter", run.parameters), ("metric", run.metrics)):
        if held:
            click.echo()
            rows = [(name, _value(value)) for name, value in sorted(held.items())]
            show.table((kind, "value"), rows, empty="")
    show_steps(details, now=now)
    if run.error:
        click.echo(f"\n{run.error}")


def show_compared(runs: tuple[Run, ...], rows: tuple[Compared, ...]) -> None:
    """Show runs side by side; what differs says so."""
    heads = ("", "", *(run.id[:ID_SHOWN] for run in runs), "")
    cells = [
        (one.kind, one.name, *map(_value, one.values), "differs" if one.differs else "")
        for one in rows
    ]
    show.table(heads, cells, empty="")


def show_diff(diff: RunDiff) -> None:
    """Show what changed from one run to another, as far as anything did."""
    for head, lines in _sections(diff):
        click.echo(click.style(head, bold=True))
        for line in lines:
            click.echo(f"  {click.style(line, fg=COLOURS.get(line[:1]))}")
    if not any(lines for _, lines in _sections(diff)):
        click.echo("Nothing differs: code, environment, data and parameters are the same.")


COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}


def _sections(diff: RunDiff) -> Iterator[tuple[str, tuple[str, ...]]]:
    changed = tuple(
        f"{one.name}: {_value(one.values[0])} became {_value(one.values[1])}"
        for one in diff.parameters
    )
    told = (
        ("parameters", changed),
        ("data", diff.data),
        ("environment", diff.environment),
        ("code", diff.code),
    )
    yield from ((head, lines) for head, lines in told if lines)


def show_steps(details: RunDetails, *, now: float) -> None:
    """Show the steps of a run as a timeline, and why attempts failed."""
    if not details.steps:
        return
    click.echo()
    start = details.run.started_at
    end = details.run.ended_at or max(now, start)
    rows = [
        (
            step.name,
            step.state,
            _line(step, start=start, end=end),
            duration(took(step)),
            duration(step.usage.cpu_s),
            show.size(step.usage.memory_bytes),
            step.because,
        )
        for step in details.steps
    ]
    heads = ("step", "state", f"0 to {duration(end - start)}", "took", "cpu", "memory", "because")
    show.table(heads, rows, empty="")
    for step in details.steps:
        for one in step.attempts:
            if one.error:
                click.echo(f"  {step.name}, attempt {one.number} failed: {one.error}")


def _line(step: Step, *, start: float, end: float) -> str:
    """Return the time of a step within its run, as a line of characters."""
    whole = max(end - start, 1e-9)
    first = min(int((step.started_at - start) / whole * LINE_WIDTH), LINE_WIDTH - 1)
    last = int(((step.ended_at or end) - start) / whole * LINE_WIDTH)
    length = max(min(last, LINE_WIDTH) - first, 1)
    return " " * first + FILLS.get(step.state, "█") * length


def _commit(run: Run) -> str:
    if run.commit is None:
        return "-"
    return f"{run.commit[:ID_SHOWN]}{' with changes' if run.dirty else ''}"


def _asked(run: Run, metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_value(run.metrics.get(name)) for name in metrics)


def _some(run: Run) -> str:
    told = [f"{name} {_value(value)}" for name, value in list(run.metrics.items())[:METRICS_SHOWN]]
    more = len(run.metrics) - METRICS_SHOWN
    return ", ".join(told) + (f" and {more} more" if more > 0 else "") or "-"


def _value(value: object) -> str:
    match value:
        case None:
            return "-"
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)

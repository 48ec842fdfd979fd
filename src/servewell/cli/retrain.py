"""`servewell retrain`: train again, and see what was, what is and what will be trained."""

import click

from servewell.cli import show
from servewell.cli.context import Session, command, dry_run
from servewell.core.catalog.retraining import Retraining
from servewell.core.operations.retraining import Step
from servewell.flows.retrain import (
    Attention,
    ask,
    ask_again,
    foresee,
    look,
    send_signal,
)
from servewell.flows.retrain import (
    pause as pause_workload,
)
from servewell.flows.retrain import (
    resume as resume_workload,
)

because = click.option("--because", default="", metavar="TEXT", help="Why, for the history.")


@click.group
def retrain() -> None:
    """Train workloads again, and see what started each training and what came of it."""


@retrain.command
@click.argument("workload")
@because
@click.option(
    "--again",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Do once more what this retraining was to do: a model that appeared is imported again.",
)
@dry_run
@command
def start(
    session: Session, workload: str, *, because: str, again: int | None, dry_run: bool
) -> int:
    """Ask for a training of WORKLOAD; the control process begins it.

    Example: servewell retrain start flight-delays --because "new features"
    """
    if dry_run:
        said = foresee(session.platform, workload, because=because)
        return _tell(session, workload, f"would {said.step}: {said.because}")
    if again is not None:
        return _say(session, (ask_again(session.platform, workload, again, because=because),))
    return _say(session, (ask(session.platform, workload, because=because),))


@retrain.command
@click.argument("name")
@click.option("--workload", help="Only this one; default: all that listen to it.")
@because
@dry_run
@command
def signal(
    session: Session, name: str, *, workload: str | None, because: str, dry_run: bool
) -> int:
    """Send the signal NAME: workloads whose `retrain.on_signal` lists it are trained.

    Example: servewell retrain signal drift --because "the inputs moved"
    """
    sent = send_signal(session.platform, name, because=because, workload=workload, dry_run=dry_run)
    return _say(session, sent)


@retrain.command
@click.argument("workload", required=False)
@command
def status(session: Session, workload: str | None) -> int:
    """Show when each workload is trained next, what it waits for, and what came of the last time.

    Example: servewell retrain status
    """
    return _show_status(session, look(session.platform, workload))


@retrain.command
@click.argument("workload", required=False)
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Newest so many."
)
@command
def history(session: Session, workload: str | None, *, limit: int) -> int:
    """Show what was asked for, what started it and what came of it, the newest last.

    Example: servewell retrain history flight-delays
    """
    found = session.platform.retrainings.list(workload)[-limit:]
    if session.as_json:
        show.as_json(found)
        return 0
    heads = ("#", "asked (UTC)", "workload", "by", "state", "why", "what came of it")
    show.table(heads, (_row(one) for one in found), empty="Nothing has been trained again yet.")
    return 0


@retrain.command
@click.argument("workload")
@because
@dry_run
@command
def pause(session: Session, workload: str, *, because: str, dry_run: bool) -> int:
    """Let nothing but `retrain start` train WORKLOAD, until `retrain resume`.

    Example: servewell retrain pause flight-delays --because "the feed is being moved"
    """
    known = pause_workload(session.platform, workload, because=because, dry_run=dry_run)
    return _tell(session, known.name, f"{_would(dry_run)}paused: {known.paused}")


@retrain.command
@click.argument("workload")
@because
@dry_run
@command
def resume(session: Session, workload: str, *, because: str, dry_run: bool) -> int:
    """Let its rules train WORKLOAD again; what was due while it was paused is not caught up.

    Example: servewell retrain resume flight-delays
    """
    known = resume_workload(session.platform, workload, because=because, dry_run=dry_run)
    return _tell(session, known.name, f"{_would(dry_run)}trained by its rules again")


def _would(dry_run: bool) -> str:
    return "would be " if dry_run else ""


def _say(session: Session, asked: tuple[Retraining, ...]) -> int:
    if session.as_json:
        show.as_json(asked)
        return 0
    for one in asked:
        named = f"retraining {one.id} is" if one.id else "a retraining would be"
        click.echo(f"{one.workload}: {named} asked for: {one.because}")
    click.echo("`servewell retrain status` shows when it begins and what came of it")
    return 0


def _tell(session: Session, workload: str, words: str) -> int:
    if session.as_json:
        show.as_json({"workload": workload, "state": words})
    else:
        click.echo(f"{workload}: {words}")
    return 0


def _show_status(session: Session, found: tuple[Attention, ...]) -> int:
    if session.as_json:
        show.as_json([_value(one) for one in found])
        return 0
    empty = "No workload yet. `servewell up FOLDER` adds one."
    heads = ("workload", "next (UTC)", "now", "last")
    rows = ((one.known.name, show.moment(one.next_at), _now(one), _last(one)) for one in found)
    show.table(heads, rows, empty=empty)
    return 0


def _value(one: Attention) -> dict[str, object]:
    return {
        "workload": one.known.name,
        "folder": one.known.folder,
        "next_at": one.next_at,
        "step": one.decision.step,
        "because": one.decision.because,
        "waits_until": one.decision.next_at if one.decision.step is Step.WAIT else None,
        "running": one.facts.running or None,
        "paused": one.known.paused,
        "fault": one.known.fault,
        "last": one.last,
    }


def _now(one: Attention) -> str:
    if one.facts.running and one.decision.step is Step.SKIP:
        return f"trains (retraining {one.facts.running})"
    words = {Step.START: "begins: ", Step.WAIT: "waits: ", Step.SKIP: ""}[one.decision.step]
    return words + one.decision.because


def _last(one: Attention) -> str:
    if one.last is None:
        return "-"
    return f"#{one.last.id} {one.last.state}: {_first_line(one.last.outcome)}"


def _row(one: Retraining) -> tuple[object, ...]:
    return (
        one.id,
        show.moment(one.asked_at),
        one.workload,
        one.trigger,
        one.state,
        one.because,
        _first_line(one.outcome) or "-",
    )


def _first_line(words: str) -> str:
    return words.partition("\n")[0]

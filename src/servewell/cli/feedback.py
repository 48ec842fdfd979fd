"""`servewell feedback`: what people say of the answers."""

from typing import Final

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.cli.keys import Duration
from servewell.core.catalog.feedback import CorrectionState, Feedback
from servewell.core.operations.monitoring.feedback import Move
from servewell.core.operations.monitoring.feedback_summary import FeedbackSummary, Opinion
from servewell.flows.monitoring.feedback_by_hand import (
    Erasure,
    SubjectExport,
    erase_subject,
    export_subject,
    list_feedback,
    move_correction,
    summarise,
)
from servewell.ports.feedback import FeedbackQuery

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
WINDOWS: Final = {"hour": HOUR_S, "day": DAY_S}
SHOWN_CHARS: Final = 60  # of a comment in a table
STARS: Final = ("1", "2", "3", "4", "5")


@click.group
def feedback() -> None:
    """See what people say of the answers, decide on corrections, export and erase."""


@feedback.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option("--last", type=Duration(), default="30d", show_default=True, help="How far back.")
@click.option(
    "--by",
    type=click.Choice(list(WINDOWS)),
    help="Show each hour or day, too (UTC).",
)
@command
def summary(session: Session, endpoint: str, *, last: float, by: str | None) -> int:
    """Say what was thought of the answers of ENDPOINT, by deployment.

    `satisfied` is the share of thumbs up and of 4 and 5 stars, among all but 3 stars, with its
    interval of 95 %.

    Example: servewell feedback summary flight-delays --last 7d --by day
    """
    platform = session.platform
    since = platform.clock.now() - last
    found = summarise(platform, endpoint, since=since, window_s=WINDOWS[by or "day"])
    if session.as_json:
        show.as_json(found)
    else:
        _show_summary(found, windows=by is not None)
    return 0


@feedback.command("list")
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option("--pending", is_flag=True, help="Only corrections that wait for a person.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most."
)
@command
def list_command(session: Session, endpoint: str, *, pending: bool, limit: int) -> int:
    """List what was said of the answers of ENDPOINT, newest first.

    Example: servewell feedback list flight-delays --pending
    """
    state = CorrectionState.PENDING if pending else None
    query = FeedbackQuery(endpoint=endpoint, state=state, limit=limit)
    found = list_feedback(session.platform, query)
    if session.as_json:
        show.as_json(found)
        return 0
    heads = ("id", "at (UTC)", "deployment", "rating", "correction", "", "comment", "prediction")
    what = "No correction waits." if pending else "Nothing was said of its answers yet."
    show.table(heads, map(_line, found), empty=what)
    return 0


@feedback.command
@click.argument("feedback_id")
@click.option("--because", default="", help="Why; it is kept with the decision.")
@dry_run
@command
def accept(session: Session, feedback_id: str, *, because: str, dry_run: bool) -> int:
    """Make the correction of FEEDBACK_ID a label: the truth of its prediction.

    Example: servewell feedback accept 875cd41e8e4a8551
    """
    return _move(session, feedback_id, Move.ACCEPT, because, dry_run=dry_run)


@feedback.command
@click.argument("feedback_id")
@click.option("--because", default="", help="Why; it is kept with the decision.")
@dry_run
@command
def reject(session: Session, feedback_id: str, *, because: str, dry_run: bool) -> int:
    """Leave the correction of FEEDBACK_ID alone; if it is a label, that is emptied.

    Example: servewell feedback reject 875cd41e8e4a8551 --because "it is of another flight"
    """
    return _move(session, feedback_id, Move.REJECT, because, dry_run=dry_run)


@feedback.command
@click.option("--subject", required=True, help="The person, as your application names them.")
@command
def export(session: Session, subject: str) -> int:
    """Print everything that is kept of what one person said, as JSON.

    Example: servewell feedback export --subject ada@example.org > ada.json
    """
    found = export_subject(session.platform, subject)
    show.as_json(found)
    if not session.as_json:
        click.echo(_exported(found), err=True)
    return 0


@feedback.command
@click.option("--subject", required=True, help="The person, as your application names them.")
@dry_run
@command
def erase(session: Session, subject: str, *, dry_run: bool) -> int:
    """Erase everything that one person said, and the labels that it became.

    Example: servewell feedback erase --subject ada@example.org
    """
    erased = erase_subject(session.platform, subject, dry_run=dry_run)
    if session.as_json:
        show.as_json(erased)
    else:
        _show_erasure(erased)
    return 0


def _move(session: Session, name: str, move: Move, because: str, *, dry_run: bool) -> int:
    moved = move_correction(session.platform, name, move, because=because, dry_run=dry_run)
    if session.as_json:
        show.as_json(moved)
        return 0
    would = "would be " if dry_run else ""
    what = f"the correction {moved.correction!r} of prediction {moved.prediction_id}"
    click.echo(f"{would}{moved.state}: {what}, row {moved.row}")
    click.echo(f"because: {moved.because}")
    return 0


def _show_summary(found: FeedbackSummary, *, windows: bool) -> None:
    if windows:
        heads = ("from (UTC)", *HEADS)
        rows = [(show.moment(one.start), *_opinion(one)) for one in found.windows]
        show.table(heads, rows, empty="Nothing was said in that time.")
        click.echo()
    empty = f"Nothing was said of the answers of `{found.endpoint}` in that time."
    show.table(HEADS, map(_opinion, found.deployments), empty=empty)
    pending = sum(one.pending for one in found.deployments)
    if pending:
        wait = "correction waits" if pending == 1 else "corrections wait"
        click.echo(f"{pending:,} {wait}: `servewell feedback list {found.endpoint} --pending`")


HEADS: Final = (
    "deployment",
    "said",
    "up",
    "down",
    "stars",
    "satisfied",
    "95 % interval",
    "consent",
    "comments",
    "pending",
    "labels",
)


def _opinion(one: Opinion) -> tuple[object, ...]:
    stars = {int(name): one.ratings.get(name, 0) for name in STARS}
    given = sum(stars.values())
    mean = sum(star * count for star, count in stars.items()) / given if given else 0.0
    known = one.satisfied is not None
    return (
        one.deployment or "(no known answer)",
        f"{one.total:,}",
        f"{one.ratings.get('up', 0):,}",
        f"{one.ratings.get('down', 0):,}",
        f"{mean:.2f} of {given:,}" if given else "-",
        f"{one.satisfied:.1%}" if one.satisfied is not None else "-",
        f"{one.low:.1%} to {one.high:.1%}" if known else "-",
        f"{one.consent:.0%}",
        f"{one.comments:,}",
        f"{one.pending:,}",
        f"{one.accepted:,}",
    )


def _line(one: Feedback) -> tuple[object, ...]:
    comment = " ".join(one.comment.split())
    more = "…" if len(comment) > SHOWN_CHARS else ""
    corrected = one.correction is not None
    return (
        one.id,
        show.moment(one.at),
        one.deployment or "(no known answer)",
        one.rating,
        one.correction if corrected else "-",
        one.state if corrected else "",
        f"{comment[:SHOWN_CHARS]}{more}" or "-",
        f"{one.prediction_id} row {one.row}",
    )


def _exported(found: SubjectExport) -> str:
    return f"{_pieces(len(found.feedback))}; texts of consent: {len(found.texts)}"


def _show_erasure(erased: Erasure) -> None:
    verb = "would be erased" if erased.dry_run else "erased"
    where = ", ".join(f"`{one}`" for one in erased.endpoints)
    click.echo(f"{_pieces(erased.feedback)} {verb}" + (f", of {where}" if where else ""))
    labels = "label that was a correction" if erased.labels == 1 else "labels that were corrections"
    click.echo(f"{erased.labels:,} {labels} {'would be emptied' if erased.dry_run else 'emptied'}")
    for path in erased.unreadable:
        click.echo(f"cannot be read, so nobody knows whose it is; remove it by hand: {path}")
    click.echo("What stays: prediction records, which name nobody, and backups that you made.")


def _pieces(count: int) -> str:
    return f"{count:,} {'piece' if count == 1 else 'pieces'} of feedback"

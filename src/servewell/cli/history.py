"""`servewell history`: who changed what, when and why; and what served at a time."""

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command
from servewell.cli.moments import Moment
from servewell.core.catalog.change import Change
from servewell.core.operations.serving_history import Served, serving_at
from servewell.core.operations.traffic import percent


@click.command
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@click.option("--at", type=Moment(), metavar="TIME", help="Say what served then; UTC by default.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Newest so many."
)
@command
def history(session: Session, endpoint: str | None, *, at: float | None, limit: int) -> int:
    """Show who changed what, when and why, the newest last; of one ENDPOINT, or of everything.

    With --at it says what served at that time, and who had changed it last.

    Example: servewell history flight-delays --at 2026-03-01T12:00
    """
    changes = session.platform.history.changes(endpoint, until=at)
    if endpoint is not None and not changes:
        session.platform.endpoints.get(endpoint)
    if at is not None:
        _show_served(session, serving_at(changes, at), at)
    else:
        _show_changes(session, changes[-limit:])
    return 0


def _show_changes(session: Session, changes: tuple[Change, ...]) -> None:
    if session.as_json:
        show.as_json(changes)
        return
    rows = [
        (one.revision, show.moment(one.at), one.principal, one.kind, one.subject, one.because)
        for one in changes
    ]
    heads = ("#", "time (UTC)", "who", "what", "of", "why")
    show.table(heads, rows, empty="Nothing has changed yet.")


def _show_served(session: Session, served: tuple[Served, ...], at: float) -> None:
    if session.as_json:
        show.as_json(served)
        return
    rows = [
        (
            one.endpoint,
            _shares(one),
            show.moment(one.change.at),
            one.change.principal,
            one.change.because,
        )
        for one in served
    ]
    heads = ("endpoint", "served", "since (UTC)", "by", "why")
    show.table(heads, rows, empty=f"Nothing was served at {show.moment(at)} UTC.")


def _shares(served: Served) -> str:
    parts = [
        f"{served.versions[name]} as `{name}` {percent(share)}"
        for name, share in served.traffic.items()
    ]
    return ", ".join(parts) or "nothing"

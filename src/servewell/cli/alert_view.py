"""Alerts in a terminal."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import click

from servewell.cli import show
from servewell.core.catalog.alert import Alert
from servewell.core.catalog.signal import Severity
from servewell.core.operations.monitoring.alerts_words import lines, span
from servewell.flows.monitoring.alert_replay import Difference, Replay

COLOURS: Final = {Severity.PAGE: "red", Severity.TICKET: "yellow", Severity.NOTE: "blue"}
WHAT_SHOWN: Final = 90


def rows_of(alerts: Iterable[Alert]) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a table of alerts: id, urgency, state, endpoint, since, what."""
    for one in alerts:
        folded = " (explained)" if one.cause else " (silent)" if one.silence else ""
        what = one.signal.what
        yield (
            one.id,
            one.severity,
            f"{one.state}{folded}",
            one.endpoint or "home",
            show.moment(one.signal.since),
            what if len(what) <= WHAT_SHOWN else f"{what[: WHAT_SHOWN - 1]}…",
        )


def alert_page(alert: Alert, *, now: float) -> None:
    """Print everything about an alert."""
    colour = COLOURS[alert.severity]
    head = f"{alert.endpoint or 'home'}: {alert.signal.what}"
    click.echo(click.style(head, fg=colour, bold=True))
    for line in lines(alert, now=now):
        click.echo(f"  {line}")
    click.echo(f"  key: {alert.key}")
    for name, text in (("explained by", alert.cause), ("silenced by", alert.silence)):
        if text:
            click.echo(f"  {name}: {text}")
    rows = [
        (show.moment(one.at), one.move, one.principal or "-", one.because) for one in alert.events
    ]
    click.echo()
    show.table(("when", "move", "by", "because"), rows, empty="It has not held for its time yet.")


def replay_page(found: Replay, *, by: str) -> None:
    """Print what would have been said by some rules."""
    kinds = Counter(one.notice.severity for one in found.told)
    told = ", ".join(f"{kinds[one]} as {one}" for one in Severity if kinds[one]) or "none"
    head = (
        f"{by}, {show.moment(found.since)} to {show.moment(found.until)}: "
        f"{len(found.alerts)} alerts, notices: {told}"
    )
    click.echo(click.style(head, bold=True))
    click.echo(f"{found.looks:,} looks, one every {span(found.every_s)}")
    heads = ("id", "urgency", "state", "endpoint", "since", "what")
    show.table(heads, rows_of(found.alerts), empty="These rules would have said nothing.")
    if found.told:
        click.echo()
    rows = [
        (
            show.moment(one.notice.at),
            one.notice.severity,
            one.notice.reason,
            " ".join(str(each.id) for each in one.notice.alerts),
            ", ".join(one.receivers) or "nobody: no receiver hears of it",
        )
        for one in found.told
    ]
    if rows:
        show.table(("told at", "urgency", "because it", "alerts", "to"), rows, empty="")
    if found.unasked:
        click.echo(f"not asked, since they know only the present: {', '.join(found.unasked)}")


def differences_page(found: Iterable[Difference]) -> None:
    """Print what two rules say otherwise: as it is, and as it would be."""
    click.echo(click.style("\nwhat is different", bold=True))
    rows = [
        (
            one.key,
            *(f"{before} -> {after}" for before, after in (one.alerts, one.told)),
            " -> ".join(each or "none" for each in one.severity),
            one.what,
        )
        for one in found
    ]
    heads = ("key", "alerts", "told", "urgency", "what")
    show.table(heads, rows, empty="Nothing: both say the same of every condition.")

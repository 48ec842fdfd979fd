"""`servewell alerts`: what is wrong, since when and since what, and who is told."""

import re
from pathlib import Path
from typing import Final

import click

from servewell.cli import show
from servewell.cli.alert_view import alert_page, differences_page, replay_page, rows_of
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.cli.runbooks import runbook
from servewell.core.catalog.alert import DeliveryState, Silence
from servewell.core.catalog.signal import SignalKind
from servewell.flows.monitoring.alert_page import alerts_page
from servewell.flows.monitoring.alert_replay import LOOKS_MAX, differences, looks_of
from servewell.flows.monitoring.alert_replay import replay as replay_days
from servewell.flows.monitoring.alerts import (
    end_silence,
    retry_dead,
    silence_alerts,
    take_alert,
    try_receivers,
)
from servewell.flows.monitoring.edited_workload import read_edited, with_workload

LISTED_MAX: Final = 1_000
NOT_DELIVERED: Final = 4  # as for what is in the way
UNITS: Final = {"m": 60, "h": 3_600, "d": 86_400}
SILENCE_MAX_S: Final = 30 * 86_400.0  # longer than that it is a rule, and belongs in the file


class Span(click.ParamType[float]):
    """A time span like `90m`, `2h` or `3d`; seconds."""

    name = "span"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        found = re.fullmatch(r"(\d{1,6})([mhd])", str(value))
        if found is None or int(found[1]) == 0:
            self.fail(f"`{value}` is no time span; write it like 90m, 2h or 3d", param, ctx)
        return float(int(found[1]) * UNITS[found[2]])


@click.group
def alerts() -> None:
    """See what is wrong and who is told: list, show, runbook, ack, silence, test, replay."""


alerts.add_command(runbook)


@alerts.command("list")
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@click.option("--all", "ended", is_flag=True, help="The last 1,000, those that have ended too.")
@command
def list_(session: Session, endpoint: str | None, *, ended: bool) -> int:
    """List the alerts that are open, the newest first; of one ENDPOINT, or of all.

    Example: servewell alerts list
    """
    alerts, now = session.platform.alerts, session.platform.clock.now()
    standing = [
        one for one in reversed(alerts.open(ended_after=now)) if endpoint in (None, one.endpoint)
    ]
    found = alerts.list(endpoint, limit=LISTED_MAX) if ended else standing
    if session.as_json:
        show.as_json(found)
        return 0
    heads = ("id", "urgency", "state", "endpoint", "since", "what")
    show.table(heads, rows_of(found), empty="No alert is open.")
    return 0


@alerts.command("show")
@click.argument("alert", type=int)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it with its plots as HTML to this file.",
)
@command
def show_(session: Session, alert: int, *, html: Path | None) -> int:
    """Show what an ALERT goes by, what came before it, and what to do next.

    Example: servewell alerts show 12
    """
    found = session.platform.alerts.get(alert)
    now = session.platform.clock.now()
    if html is not None:
        _write(html, alerts_page(f"Alert {found.id}", [found], now=now))
    if session.as_json:
        show.as_json(found)
        return 0
    alert_page(found, now=now)
    return 0


@alerts.command
@click.argument("alert", type=int)
@click.option("--because", default="", metavar="TEXT", help="Why, for the history.")
@dry_run
@command
def ack(session: Session, alert: int, *, because: str, dry_run: bool) -> int:
    """Take an ALERT: it is not told again, unless it gets worse.

    Example: servewell alerts ack 12 --because "on it"
    """
    taken = take_alert(session.platform, alert, because=because, dry_run=dry_run)
    would = "would be " if dry_run else ""
    return _say(session, taken, f"alert {taken.id}: {would}acknowledged by {taken.acknowledged_by}")


@alerts.command
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@click.option(
    "--for",
    "span",
    type=Span(),
    metavar="SPAN",
    help="How long: `90m`, `2h`, `3d`; 30 days at most.",
)
@click.option(
    "--kind", type=click.Choice([one.value for one in SignalKind]), help="Only alerts of this kind."
)
@click.option("--key", default="", metavar="KEY", help="Only this one; `alerts show` names it.")
@click.option("--because", default="", metavar="TEXT", help="Why, for the history.")
@click.option("--end", metavar="ID", help="End the silence of this id now, instead.")
@dry_run
@command
def silence(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str | None,
    *,
    span: float | None,
    kind: str | None,
    key: str,
    because: str,
    end: str | None,
    dry_run: bool,
) -> int:
    """Keep alerts quiet for a time: of an ENDPOINT, of a kind, or one.

    They are still kept and shown, and are told when it ends, if they still stand.

    Example: servewell alerts silence flight-delays --for 2h --because "airport moves"
    """
    would = "would be " if dry_run else ""
    if end is not None:
        ended = end_silence(session.platform, end, dry_run=dry_run)
        return _say(session, ended, f"silence {ended.id}: {would}ended")
    if span is None or not because:
        raise click.UsageError("a silence needs `--for` and `--because`; `--end ID` ends one")
    if span > SILENCE_MAX_S:
        raise click.UsageError("a silence lasts 30 days at most; mute the kind in servewell.yaml")
    now = session.platform.clock.now()
    wanted = Silence(
        id="",
        endpoint=endpoint or "",
        kind=kind or "",
        key=key,
        at=now,
        until=now + span,
        because=because,
        principal="",
    )
    made, fits = silence_alerts(session.platform, wanted, dry_run=dry_run)
    if session.as_json:
        show.as_json({"silence": made, "quiet": [one.id for one in fits]})
        return 0
    click.echo(f"{would}silent until {show.moment(made.until)}: {len(fits)} open alerts")
    click.echo(f"`servewell alerts silence --end {made.id}` ends it before")
    return 0


@alerts.command
@command
def silences(session: Session) -> int:
    """List the silences that are in force.

    Example: servewell alerts silences
    """
    found = session.platform.alerts.silences(now=session.platform.clock.now())
    if session.as_json:
        show.as_json(found)
        return 0
    rows = [
        (
            one.id,
            one.endpoint or "all",
            one.kind or "all",
            one.key or "all",
            show.moment(one.until),
            one.principal,
            one.because,
        )
        for one in found
    ]
    heads = ("id", "endpoint", "kind", "key", "until", "by", "because")
    show.table(heads, rows, empty="Nothing is silenced.")
    return 0


@alerts.command
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@dry_run
@command
def test(session: Session, endpoint: str | None, *, dry_run: bool) -> int:
    """Send a test through every receiver, and say what each answered.

    Secrets come from the environment of this command. It ends with 4 where one did not take it.

    Example: servewell alerts test
    """
    tried = try_receivers(session.platform, endpoint, dry_run=dry_run)
    failed = not dry_run and any(not one.delivered for one in tried)
    if session.as_json:
        show.as_json(tried)
        return NOT_DELIVERED if failed else 0
    rows = [
        (
            one.workload,
            one.receiver,
            one.to,
            "would be sent" if dry_run else "taken" if one.delivered else "FAILED",
            one.answer,
        )
        for one in tried
    ]
    heads = ("workload", "receiver", "to", "test", "answer")
    empty = "No receiver is declared: write `alerts: receivers:` into servewell.yaml."
    show.table(heads, rows, empty=empty)
    return NOT_DELIVERED if failed else 0


@alerts.command
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@click.option(
    "--days",
    type=click.FloatRange(min=0, max=400, min_open=True),
    default=7.0,
    show_default=True,
    help="How many days back.",
)
@click.option(
    "--every",
    type=Span(),
    default="15m",
    show_default=True,
    metavar="SPAN",
    help="From one look to the next.",
)
@click.option(
    "--workload",
    "file",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE",
    help="Also what an edited file, or the one in this folder, would have said.",
)
@command
def replay(
    session: Session, endpoint: str | None, *, days: float, every: float, file: Path | None
) -> int:
    """Say what the rules as they are now would have said over the last days.

    It asks the kept profiles and series again; nobody is told. With an edited workload file it says
    what that one would have said too, and what is different.

    Example: servewell alerts replay flight-delays --days 14 --workload new.yaml
    """
    if looks_of(days, every) > LOOKS_MAX:
        most = f"{LOOKS_MAX:,} looks at most: fewer `--days`, or a longer `--every`"
        raise click.UsageError(f"these are {looks_of(days, every):,} looks, and {most}")
    platform, until = session.platform, session.platform.clock.now()
    homes = [platform]
    if file is not None:
        homes.append(with_workload(platform, read_edited(platform, file)))
    found = [
        replay_days(one, days=days, every_s=every, endpoint=endpoint, until=until) for one in homes
    ]
    apart = differences(found[0], found[-1])
    if session.as_json:
        both = {"now": found[0], "edited": found[-1], "differences": apart}
        show.as_json(found[0] if file is None else both)
        return 0
    for name, one in zip(("as the rules are now", f"by `{file}`"), found, strict=False):
        replay_page(one, by=name)
    if file is not None:
        differences_page(apart)
    click.echo(f"a replay cannot know it all: {'; '.join(found[0].cannot)}")
    return 0


@alerts.command("dead-letters")
@command
def dead_letters(session: Session) -> int:
    """List what could not be delivered in as many tries as were declared.

    Example: servewell alerts dead-letters
    """
    found = session.platform.outbox.list(DeliveryState.DEAD, limit=LISTED_MAX)
    if session.as_json:
        show.as_json(found)
        return 0
    rows = [
        (
            one.id,
            f"{one.workload}/{one.receiver}",
            show.moment(one.made_at),
            one.tries,
            one.notice.alerts[0].signal.what,
            one.answer,
        )
        for one in found
    ]
    heads = ("id", "receiver", "made", "tries", "what", "last answer")
    show.table(heads, rows, empty="Everything was delivered, or is still tried.")
    return 0


@alerts.command
@click.argument("delivery", required=False)
@click.option("--all", "every", is_flag=True, help="All dead letters.")
@dry_run
@command
def retry(session: Session, delivery: str | None, *, every: bool, dry_run: bool) -> int:
    """Try a dead letter again, by the id of its DELIVERY.

    Example: servewell alerts retry --all
    """
    if (delivery is None) is not every:
        raise click.UsageError("name a dead letter, or say `--all`")
    tried = retry_dead(session.platform, delivery, dry_run=dry_run)
    would = "would be " if dry_run else ""
    return _say(session, tried, f"{len(tried)} dead letters {would}tried again")


def _say(session: Session, value: object, words: str) -> int:
    if session.as_json:
        show.as_json(value)
    else:
        click.echo(words)
    return 0


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(
            f"`{path}` cannot be written: {error.strerror}", param_hint="--html"
        ) from error

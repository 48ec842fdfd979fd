"""How drift and its kind look in a terminal."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import click

from servewell.cli import show
from servewell.cli.data_view import LEVELS
from servewell.core.catalog.drift import ColumnDrift, DriftReport, DriftVerdict
from servewell.core.catalog.signal import Distributions
from servewell.core.catalog.triage import Remedy, Triage
from servewell.core.operations.monitoring.drift_words import length

COLOURS: Final = {
    DriftVerdict.DRIFT: "red",
    DriftVerdict.WATCH: "yellow",
    DriftVerdict.FINE: "green",
    DriftVerdict.CANNOT_TELL: "cyan",
}
REMEDIES: Final = {
    Remedy.NOTHING: "green",
    Remedy.WAIT: "cyan",
    Remedy.RETRAIN: "yellow",
    Remedy.FIX_FEED: "red",
    Remedy.ROLL_BACK: "red",
}
SHOWN_MAX: Final = 16
DRAWN_MAX: Final = 3
PLACES_MAX: Final = 26
BAR: Final = 22  # letters of the longest bar


def show_drift(report: DriftReport) -> None:
    """Print one deployment: the verdict, a line for each column, and what moved most, drawn."""
    verdict = click.style(report.verdict.upper(), fg=COLOURS[report.verdict], bold=True)
    click.echo(f"{verdict}  {report.endpoint}/{report.deployment} ({report.version})")
    click.echo(f"{report.because}")
    if report.until > report.start:
        span = f"{show.moment(report.start)} to {show.moment(report.until)} UTC"
        click.echo(f"{report.rows:,} rows, {span} ({length(report.until - report.start)})")
    if report.columns:
        click.echo()
        heads = ("", "column", "slice", "index", "reference", "now", "what moved")
        show.table(heads, (_row(one) for one in report.columns[:SHOWN_MAX]), empty="")
        _tell_rest(report.columns[SHOWN_MAX:])
    moved = [one for one in report.columns if one.verdict is DriftVerdict.DRIFT]
    for one in moved[:DRAWN_MAX]:
        _draw(one)
    click.echo()


def _tell_rest(rest: Sequence[ColumnDrift]) -> None:
    counted = Counter(one.verdict for one in rest)
    if counted:
        told = ", ".join(f"{count} {verdict}" for verdict, count in counted.items())
        click.echo(f"and {len(rest)} more: {told}; `--json` and `--html` have them all")


def show_triage(verdict: Triage) -> None:
    """Print the kind of trouble, how it is known, and what helps."""
    colour = REMEDIES[verdict.remedy]
    kind = click.style(verdict.kind.upper(), fg=colour, bold=True)
    click.echo(f"{kind}  {verdict.endpoint}/{verdict.deployment}")
    click.echo(f"because:    {verdict.because}")
    if verdict.columns:
        click.echo(f"columns:    {', '.join(verdict.columns)}")
    click.echo(f"since:      {show.moment(verdict.since)} UTC")
    helps = click.style(verdict.remedy, fg=colour)
    click.echo(f"what helps: {helps}{_next(verdict)}")
    click.echo()


def _next(verdict: Triage) -> str:
    commands = {
        Remedy.RETRAIN: f"servewell retrain start WORKLOAD --because '{verdict.kind}'",
        Remedy.ROLL_BACK: f"servewell rollback {verdict.endpoint} --because '{verdict.kind}'",
        Remedy.FIX_FEED: f"servewell drift {verdict.endpoint}",
    }
    command = commands.get(verdict.remedy)
    return f" (`{command}`)" if command else ""


def _row(one: ColumnDrift) -> tuple[str, ...]:
    before, now = strips(one.distributions) if one.distributions else ("", "")
    told = one.what if one.verdict in (DriftVerdict.DRIFT, DriftVerdict.WATCH) else ""
    if one.verdict is DriftVerdict.CANNOT_TELL:
        needed = "more rows in the reference" if one.rows_needed is None else f"{one.rows_needed:,}"
        told = f"{one.rows:,} rows; it takes {needed}"
    return (one.verdict, one.column, one.slice or "-", f"{one.psi:.3f}", before, now, told)


def strips(found: Distributions) -> tuple[str, str]:
    """Return both distributions as blocks on one scale."""
    highest = max((*found.before, *found.now), default=0) or 1.0
    return _strip(found.before, highest), _strip(found.now, highest)


def _strip(shares: Sequence[float], highest: float) -> str:
    told = shares[:PLACES_MAX]
    last = len(LEVELS) - 1
    return "".join(
        LEVELS[min(last, int(one / highest * last + 0.5))] if one else " " for one in told
    )


def _draw(one: ColumnDrift) -> None:
    found = one.distributions
    if found is None:
        return
    where = f" of {one.slice}" if one.slice else ""
    heading = f"{one.column}{where}: share of rows, reference and now (index {one.psi:.2f})"
    click.echo("\n" + click.style(heading, bold=True))
    highest = max((*found.before, *found.now), default=0) or 1.0
    wide = max(map(len, found.bins), default=0)
    places = zip(found.bins, found.before, found.now, strict=True)
    for name, before, now in list(places)[:PLACES_MAX]:
        left = f"{_bar(before, highest, '░')} {before:6.1%}"
        click.echo(f"  {name:>{wide}}  {left}  {_bar(now, highest, '█')} {now:6.1%}".rstrip())


def _bar(share: float, highest: float, letter: str) -> str:
    return (letter * round(share / highest * BAR)).ljust(BAR)

"""`servewell gates`: judge a version, see what was found, and overrule it."""

from pathlib import Path
from typing import Final

import click

from servewell.cli import show
from servewell.cli.context import Session, command, dry_run
from servewell.cli.job_progress import JobProgress
from servewell.cli.model_study import version_of
from servewell.core.catalog.gate import GateReport, GateRow, GateVerdict
from servewell.core.operations.gates import groups_of
from servewell.flows.gates import judge_version
from servewell.flows.gates_by_hand import (
    Asked,
    newest_report,
    overridable,
    what_to_judge,
)
from servewell.flows.gates_by_hand import override as let_through
from servewell.ports.optimiser import Step

NOT_LET_THROUGH: Final = 4  # as for what is in the way
NONE: Final = "none"
COLOURS: Final = {
    GateVerdict.PASS: "green",
    GateVerdict.FAIL: "red",
    GateVerdict.CANNOT_TELL: "yellow",
}


@click.group
def gates() -> None:
    """Judge model versions before they may be deployed: run, show, list, override."""


@gates.command
@click.argument("model")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="The servewell.yaml with the gates, or its folder; default: where it was last up.",
)
@click.option(
    "--champion",
    metavar="MODEL",
    help="Compare with this version, or with `none`; default: what serves most.",
)
@click.option("--html", type=click.Path(path_type=Path), help="Write the page of the report there.")
@dry_run
@command
def run(  # noqa: PLR0913 - the words of the command
    session: Session,
    model: str,
    *,
    folder: Path | None,
    champion: str | None,
    html: Path | None,
    dry_run: bool,
) -> int:
    """Judge MODEL, as NAME or NAME:NUMBER, by the gates of its workload, and keep the report.

    With another champion than what serves most, or gates from another folder than where the
    workload was last up, the report is only shown: it does not count, and is not kept.
    Exits with 4 where the gates do not let the version through.

    Example: servewell gates run flight-delays:2
    """
    name, number = version_of(model)
    named = version_of(champion) if champion and champion != NONE else None
    asked = what_to_judge(
        session.platform,
        name,
        number,
        folder=folder,
        champion=named,
        alone=champion == NONE,
    )
    if dry_run:
        return _say_asked(session, asked)
    with JobProgress(shown=not session.as_json) as progress:
        report = judge_version(
            session.platform,
            asked.workload,
            asked.folder,
            asked.version,
            champion=asked.champion,
            progress=lambda words: progress.step(Step(done=0, total=0, words=words)),
            counts=not asked.only_look,
        )
    return _say_report(session, report, html, only_look=asked.only_look)


@gates.command(name="show")
@click.argument("model")
@click.option("--html", type=click.Path(path_type=Path), help="Write the page of the report there.")
@command
def show_report(session: Session, model: str, *, html: Path | None) -> int:
    """Show the newest report on MODEL, as NAME or NAME:NUMBER, row by row.

    Example: servewell gates show flight-delays:2 --html gates.html
    """
    _say_report(session, newest_report(session.platform, *version_of(model)), html)
    return 0


@gates.command(name="list")
@click.argument("model", required=False)
@command
def list_reports(session: Session, model: str | None) -> int:
    """List the reports, of one MODEL or of all, oldest first.

    Example: servewell gates list flight-delays
    """
    reports = session.platform.gates.list(model)
    if session.as_json:
        show.as_json([_as_value(one) for one in reports])
        return 0
    rows = [
        (
            show.moment(one.at),
            one.version,
            one.champion or "-",
            f"{one.verdict}{', overridden' if one.override else ''}",
            _short(one.because),
        )
        for one in reports
    ]
    heads = ("judged at (UTC)", "version", "champion", "verdict", "because")
    show.table(heads, rows, empty="nothing was judged yet: `servewell gates run MODEL` does it")
    return 0


@gates.command
@click.argument("model")
@click.option("--because", required=True, metavar="TEXT", help="Why; it is kept for ever.")
@dry_run
@command
def override(session: Session, model: str, *, because: str, dry_run: bool) -> int:
    """Let MODEL, as NAME:NUMBER, through although the gates do not, in your name.

    Example: servewell gates override flight-delays:2 --because "the champion is worse since June"
    """
    name, number = version_of(model)
    if dry_run:
        report = overridable(session.platform, name, number, because)
        said = f"would let {report.version} through, in the name of {session.platform.principal}"
        if session.as_json:
            show.as_json({"would": said, "report": _as_value(report)})
        else:
            click.echo(said)
        return 0
    report = let_through(session.platform, name, number, because=because)
    if session.as_json:
        show.as_json(_as_value(report))
        return 0
    click.echo(f"{report.version} is let through, in the name of {session.platform.principal}")
    click.echo(f"next: servewell rollouts start ENDPOINT {report.version}")
    return 0


def _say_asked(session: Session, asked: Asked) -> int:
    champion = asked.champion.name if asked.champion else None
    told = {
        "version": asked.version.name,
        "champion": champion,
        "workload": asked.workload.workload,
        "folder": str(asked.folder),
        "only_look": asked.only_look,
    }
    if session.as_json:
        show.as_json(told)
        return 0
    beside = f"against {champion}" if champion else "by itself"
    click.echo(f"would judge {asked.version.name} {beside}, by the gates in {asked.folder}")
    _say_only_look(asked.only_look)
    return 0


def _say_report(
    session: Session, report: GateReport, html: Path | None, *, only_look: str = ""
) -> int:
    if html is not None:
        page = session.platform.blobs.read(report.page).decode()
        session.platform.project.write(html, page)
    if session.as_json:
        show.as_json(_as_value(report) | {"only_look": only_look})
    else:
        _say(report, only_look=only_look)
        if html is not None:
            click.echo(f"page: {html}")
    return 0 if report.lets_through else NOT_LET_THROUGH


def _as_value(report: GateReport) -> dict[str, object]:
    return {
        "version": report.version,
        "lets_through": report.lets_through,
        "report": report,
    }


def _say_only_look(because: str) -> None:
    if because:
        click.echo(f"only a look, which is not kept and does not count: {because}")


def _say(report: GateReport, *, only_look: str) -> None:
    for group, rows in groups_of(report.rows).items():
        click.echo(click.style(group, bold=True))
        for one in rows:
            click.echo(f"  {_mark(one)}  {_named(one)}: {one.because}")
    champion = f" against {report.champion}" if report.champion else ""
    click.echo()
    verdict = click.style(report.verdict.value, fg=COLOURS[report.verdict], bold=True)
    click.echo(f"{report.version}{champion}: {verdict}, {report.because}")
    if report.override is not None:
        given = report.override
        at = show.moment(given.at)
        click.echo(f"let through by {given.principal} at {at} UTC: {given.because}")
    elif not (report.lets_through or only_look):
        click.echo(f'next: servewell gates override {report.version} --because "…", or mend it')
    _say_only_look(only_look)


def _mark(row: GateRow) -> str:
    words = row.verdict.value if row.required else f"({row.verdict.value})"
    return click.style(words.ljust(len("(cannot tell)")), fg=COLOURS[row.verdict])


def _named(row: GateRow) -> str:
    return f"{row.gate}, {row.slice}" if row.slice else row.gate


def _short(text: str) -> str:
    longest = 90
    return text if len(text) <= longest else f"{text[: longest - 1]}…"

"""`servewell doctor`: what is well, what is not, and what to do about it."""

from pathlib import Path
from typing import Final

import click

from servewell.cli import show
from servewell.cli.context import Session, command
from servewell.cli.failure import FIRST_FAMILY_EXIT
from servewell.core.operations.diagnosis import Finding, Level, worst_family
from servewell.flows.diagnose import examine

MARKS: Final = {
    Level.OK: ("ok     ", "green"),
    Level.WARNING: ("warning", "yellow"),
    Level.FAULT: ("fault  ", "red"),
}
CHECK_WIDTH: Final = 10
INDENT: Final = " " * 9


@click.command
@click.argument("workload", type=click.Path(path_type=Path), required=False)
@command
def doctor(session: Session, workload: Path | None) -> int:
    """Check this machine, this home, what runs from it, and WORKLOAD where one is named.

    Nothing is changed. Every fault says what to do next. The exit code is 0 where there is no
    fault, 7 where there is one of the machine or the home, 3 where it is in the workload.

    Example: servewell doctor examples/flight-delays
    """
    findings = examine(session.platform, workload)
    family = worst_family(findings)
    if session.as_json:
        show.as_json({"healthy": not family, "findings": findings})
    else:
        for finding in findings:
            _show(finding)
        _sum_up(findings)
    return FIRST_FAMILY_EXIT + family if family else 0


def _show(finding: Finding) -> None:
    mark, colour = MARKS[finding.level]
    click.echo(f"{click.style(mark, fg=colour)}  {finding.check:<{CHECK_WIDTH}} {finding.what}")
    if finding.level is Level.OK:
        return
    why = f"\n{INDENT}         ".join(line.strip() for line in finding.why.splitlines())
    click.echo(f"{INDENT}because: {why}")
    click.echo(f"{INDENT}next:    {finding.fix}")
    if finding.code:
        click.echo(f"{INDENT}code:    {finding.code}")


def _sum_up(findings: tuple[Finding, ...]) -> None:
    faults = sum(one.level is Level.FAULT for one in findings)
    warnings = sum(one.level is Level.WARNING for one in findings)
    click.echo()
    click.echo(f"{_count(faults, 'fault')}, {_count(warnings, 'warning')}")


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"

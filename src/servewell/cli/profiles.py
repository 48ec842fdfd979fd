"""`servewell profiles`: what deployments took and gave, against their reference."""

from typing import Final

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command
from servewell.cli.moments import Moment
from servewell.cli.profile_view import column_rows, lead, traffic_line, unseen_lines
from servewell.flows.monitoring.profiles import Profiled, profiles_of

DAY_S: Final = 86_400.0
HEADS: Final = ("column", "missing", "outside", "before", "now", "mean before", "mean now")


@click.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option("--since", type=Moment(), help="From when on; default: the last day.")
@click.option("--until", type=Moment(), help="Until when; default: now.")
@click.option("--deployment", metavar="NAME", help="This one alone.")
@command
def profiles(
    session: Session,
    endpoint: str,
    *,
    since: float | None,
    until: float | None,
    deployment: str | None,
) -> int:
    """Show how the requests of ENDPOINT went, and its columns against those of the reference.

    Bars are shares of the rows: of a number in each part of its range, of the most frequent texts.
    Whether a difference matters is what `servewell drift` says.

    Example: servewell profiles flight-delays --since 2026-03-01 --until 2026-03-08
    """
    last = session.platform.clock.now() if until is None else until
    first = last - DAY_S if since is None else since
    found = profiles_of(session.platform, endpoint, since=first, until=last, deployment=deployment)
    if session.as_json:
        show.as_json({"since": first, "until": last, "deployments": [_plain(one) for one in found]})
        return 0
    for one in found:
        click.echo(click.style(lead(one, endpoint, since=first, until=last), bold=True))
        if one.traffic is not None:
            click.echo(traffic_line(one.traffic, one.latency_ms))
        if one.window is not None and one.reference is not None:
            show.table(HEADS, column_rows(one.window, one.reference), empty="")
        for line in unseen_lines(one.unseen):
            click.echo(line)
        click.echo("")
    return 0


def _plain(one: Profiled) -> dict[str, object]:
    """Return what a program may want to know; the sketch of the latency is no text."""
    traffic = one.traffic
    return {
        "deployment": one.deployment,
        "version": one.reference.version if one.reference else "",
        "traffic": None
        if traffic is None
        else {
            name: getattr(traffic, name)
            for name in traffic.__dataclass_fields__
            if name not in ("latency", "endpoint", "deployment")
        },
        "latency_ms": None
        if one.latency_ms is None
        else dict(zip(("p50", "p95", "p99"), one.latency_ms, strict=True)),
        "unseen": one.unseen,
        "rows": one.window.rows if one.window else {},
        "counts": one.window.counts if one.window else {},
        "reference": one.reference,
    }

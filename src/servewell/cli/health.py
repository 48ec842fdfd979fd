"""`servewell health`: whether what is served is healthy, and why not."""

from collections.abc import Iterator
from typing import Final

import click

from servewell.cli import show
from servewell.cli.completion import endpoint_names
from servewell.cli.context import Session, command
from servewell.core.catalog.health import Health, HealthState
from servewell.flows.monitoring.health import health as look
from servewell.flows.monitoring.health import health_of

LOOK_EVERY_S: Final = 2.0
NOT_HEALTHY: Final = 4  # as for what is in the way
COLOURS: Final = {
    HealthState.HEALTHY: "green",
    HealthState.DEGRADED: "yellow",
    HealthState.UNHEALTHY: "red",
    HealthState.UNKNOWN: "cyan",
}


@click.command
@click.argument("endpoint", required=False, shell_complete=endpoint_names)
@click.option("--watch", is_flag=True, help="Look again every two seconds, until interrupted.")
@command
def health(session: Session, endpoint: str | None, *, watch: bool) -> int:
    """Say whether ENDPOINT is healthy, or each of them, and give the reasons.

    Ends with 4 where one of them is degraded or unhealthy. Unknown is neither: it says what is
    missing.

    Example: servewell health flight-delays
    """
    while True:
        found = _look(session, endpoint)
        if watch and not session.as_json:
            click.clear()
        _show(session, found, once=not watch)
        if not watch:
            bad = {HealthState.DEGRADED, HealthState.UNHEALTHY}
            return NOT_HEALTHY if bad & {one.state for one in found} else 0
        session.platform.clock.sleep(LOOK_EVERY_S)


def _look(session: Session, endpoint: str | None) -> tuple[Health, ...]:
    platform = session.platform
    now = platform.clock.now()
    return (health_of(platform, endpoint, now=now),) if endpoint else look(platform, now=now)


def _show(session: Session, found: tuple[Health, ...], *, once: bool) -> None:
    if session.as_json:
        if once:
            show.as_json(found)
        else:
            click.echo(show.line(found))
        return
    if not found:
        click.echo("No endpoint yet. `servewell up FOLDER` makes one.")
    for one in found:
        for line in _page(one):
            click.echo(line)


def _page(one: Health) -> Iterator[str]:
    word = click.style(one.state.value, fg=COLOURS[one.state], bold=True)
    yield f"{click.style(one.endpoint, bold=True)}  {word}: {one.because}"
    for reason in one.reasons:
        since = f", since {show.moment(reason.since)}" if reason.since else ""
        yield f"  {reason.state.value:<9}  {reason.what.rstrip('.')}{since}"
        if reason.command and reason.state is not HealthState.HEALTHY:
            yield f"             next: {reason.command}"
    until = show.moment(one.measured_until)
    yield f"  {one.requests:,.0f} requests in the last hour; counted until {until}"

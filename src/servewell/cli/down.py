"""`servewell down`: drain and stop."""

from typing import Final

import click

from servewell.cli import show
from servewell.cli.context import Session, command, dry_run

MARGIN_S: Final = 15.0


@click.command
@click.option(
    "--timeout", type=float, help="Seconds to wait; default: what the rules allow and 15 more."
)
@click.option(
    "--lame-duck",
    is_flag=True,
    help="Take requests for `serving.lame_duck_s` more, saying not ready, so that a load balancer "
    "can go elsewhere first.",
)
@dry_run
@command
def down(session: Session, *, timeout: float | None, lame_duck: bool, dry_run: bool) -> int:
    """Drain and stop everything that serves from this home.

    Requests in flight are answered; nothing is lost, and `servewell up` goes on from there.

    Example: servewell down
    """
    fleet = session.platform.fleet
    state = fleet.state()
    if dry_run:
        pids = [pid for pid in (state.supervisor, state.control, *state.workers.values()) if pid]
        words = f"would drain and stop {len(pids)} processes" if pids else "nothing runs"
        _say(session, stopped=False, words=words)
        return 0
    plan = state.plan
    needs_s = plan.drain_s + lame_duck * plan.lame_duck_s if plan else 0.0
    timeout_s = needs_s + MARGIN_S if timeout is None else timeout
    stopped = fleet.stop(timeout_s, lame_duck=lame_duck)
    _say(session, stopped=stopped, words="stopped" if stopped else "nothing was running")
    return 0


def _say(session: Session, *, stopped: bool, words: str) -> None:
    if session.as_json:
        show.as_json({"stopped": stopped, "words": words})
    else:
        click.echo(words)

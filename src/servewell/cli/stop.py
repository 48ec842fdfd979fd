"""`servewell stop` and `resume`: an endpoint in an emergency."""

from typing import Final

import click
import msgspec

from servewell.cli import show
from servewell.cli.completion import deployment_names, endpoint_names
from servewell.cli.context import Session, command, dry_run
from servewell.core.catalog.stop import EVERY, Constant
from servewell.core.operations.stopping import describe_stop
from servewell.flows.stopping import StopDone, resume_endpoint, stop_endpoint

LATER: Final = "the history cannot be told now; the control process does it later"


@click.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option(
    "--fallback",
    default="",
    metavar="DEPLOYMENT",
    help="Let this deployment answer every request.",
    shell_complete=deployment_names,
)
@click.option(
    "--constant",
    multiple=True,
    metavar="OUTPUT=VALUE",
    help="Answer every row with this; once for each output.",
)
@click.option("--because", required=True, metavar="TEXT", help="Why, for the history.")
@dry_run
@command
def stop(  # noqa: PLR0913 - the words of the command
    session: Session,
    endpoint: str,
    *,
    fallback: str,
    constant: tuple[str, ...],
    because: str,
    dry_run: bool,
) -> int:
    """Stop ENDPOINT in an emergency: refuse its requests, or answer them in another way.

    It takes effect at once in every worker, needs neither the database nor the control process,
    and holds over restarts until `servewell resume`. It fails where no worker obeys in a second.

    Example: servewell stop flight-delays --because "it calls every flight late"
    """
    done = stop_endpoint(
        session.platform,
        endpoint,
        fallback=fallback,
        constant=_outputs(constant),
        because=because,
        dry_run=dry_run,
    )
    return _say(session, done, dry_run=dry_run)


@click.command
@click.argument("endpoint", shell_complete=endpoint_names)
@click.option("--because", default="", metavar="TEXT", help="Why, for the history.")
@dry_run
@command
def resume(session: Session, endpoint: str, *, because: str, dry_run: bool) -> int:
    """Lift the emergency stop of ENDPOINT: its models answer again, by the traffic as it is.

    `*` is the stop of all others that comes into force where the earlier ones were damaged.

    Example: servewell resume flight-delays --because "rolled back to v1"
    """
    done = resume_endpoint(session.platform, endpoint, because=because, dry_run=dry_run)
    return _say(session, done, dry_run=dry_run)


def _outputs(words: tuple[str, ...]) -> dict[str, Constant]:
    return dict(_output(word) for word in words)


def _output(word: str) -> tuple[str, Constant]:
    name, equals, text = word.partition("=")
    if not name or not equals:
        raise click.BadParameter(
            f"`{word}` names no value; write it like `late=0.2`", param_hint="--constant"
        )
    try:
        return name, msgspec.json.decode(text, type=Constant)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return name, text


def _say(session: Session, done: StopDone, *, dry_run: bool) -> int:
    if session.as_json:
        show.as_json(done)
        return int(not done.holds)
    would = "would be " if dry_run else ""
    what = _what(done) if done.carried_out or dry_run else "it has no emergency stop"
    click.echo(f"{done.endpoint}: {would}{what}")
    if done.order and done.carried_out:
        click.echo(f"lift it with: servewell resume {done.endpoint}")
    if done.others and done.endpoint != EVERY:
        told = f"{describe_stop(done.others)}, because {done.others.because}"
        click.echo(f"each endpoint without a stop of its own is {told}")
        click.echo("order again those that are to hold, then lift it with: servewell resume '*'")
    for index in done.behind:
        click.echo(f"worker {index} does not obey yet; `servewell status` says why", err=True)
    if done.carried_out and not done.in_history:
        click.echo(LATER, err=True)
    return int(not done.holds)


def _what(done: StopDone) -> str:
    if done.order:
        return describe_stop(done.order)
    held = done.others and done.endpoint != EVERY
    return "its own stop is lifted" if held else "resumed: its models answer again"

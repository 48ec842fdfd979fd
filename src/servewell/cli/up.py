"""`servewell up`: from a workload file to a served model."""

import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

import click

from servewell.cli import show
from servewell.cli.context import Session, command, dry_run
from servewell.cli.failure import exit_code, explain
from servewell.cli.steps import Steps
from servewell.core.catalog.workload import Workload
from servewell.core.operations.clearance import Clearance
from servewell.flows.bring_up import BroughtUp, bring_up, foresee
from servewell.flows.clearance import kept_out
from servewell.flows.platform import Platform
from servewell.ports.fleet import NotServingError

LOOK_AGAIN_S: Final = 0.2
STOP_MARGIN_S: Final = 15.0
TOLD: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command
@click.argument("workload", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--detach", is_flag=True, help="Return once it serves, and leave it serving; --json implies it."
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Use another value for one key of the file, as in `--set serving.port=9000`.",
)
@dry_run
@command
def up(
    session: Session, workload: Path, *, detach: bool, overrides: tuple[str, ...], dry_run: bool
) -> int:
    """Train, check, register and serve what WORKLOAD describes.

    WORKLOAD is a servewell.yaml or the folder that holds one; the current folder by default. What
    has not changed since the last time is not done again, so it is safe to repeat at any time.

    Example: servewell up examples/flight-delays
    """
    platform = session.platform
    described, folder = platform.workload_files.read(workload, overrides)
    if dry_run:
        _show_plan(session, foresee(platform, described, folder))
        return 0
    stays = not (detach or session.as_json)
    with _stopped_with(platform, described) if stays else nullcontext():
        with Steps(quiet=session.as_json) as steps:
            steps.report("workload", f"{described.workload}: no faults")
            done = bring_up(platform, described, folder, report=steps.report, overrides=overrides)
        _show(session, done, detach=detach)
    if done.clearance.clearance is Clearance.KEEP_OUT:
        refusal = kept_out(done.endpoint.name, done.judged, done.clearance)
        explain(refusal, as_json=False)
        return _stay(platform, described) if stays else exit_code(refusal)
    return _stay(platform, described) if stays else 0


@contextmanager
def _stopped_with(platform: Platform, workload: Workload) -> Iterator[None]:
    """Stop what this command started when it is told to stop before it is done."""
    found = platform.fleet.state().supervisor is not None

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    for number in TOLD:
        signal.signal(number, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        if not found:
            platform.fleet.stop(workload.serving.drain_s + STOP_MARGIN_S)
        raise


def _show_plan(session: Session, plan: list[tuple[str, str]]) -> None:
    if session.as_json:
        show.as_json(dict(plan))
        return
    show.table(("step", "would"), plan, empty="nothing to do")


def _show(session: Session, done: BroughtUp, *, detach: bool) -> None:
    if session.as_json:
        show.as_json(_as_value(done))
        return
    name = done.endpoint.name
    click.echo()
    click.echo(click.style(f"{name} is served", bold=True) + f" at {done.url}/infer")
    if done.key is not None:
        click.echo(f"  key      {click.style(done.key.key, bold=True)}")
        click.echo("           shown this once; `servewell keys` makes, rotates and revokes keys")
    _show_trust(done)
    click.echo(f"  version  {done.version.name}, {_proof(done)}")
    click.echo(f"  gates    {done.judged.verdict}: {done.judged.because}")
    if done.rollout is not None:
        click.echo(f"  rollout  {done.rollout.stage}: {done.rollout.because}")
        click.echo(f"           servewell rollouts watch {name}")
    click.echo(f"  answer   {_answer(done)}")
    if done.plan_differs:
        click.echo(
            "  note     it runs with the serving rules that it was started with; `servewell down` "
            "and up again uses the new ones"
        )
    click.echo("  next     " + f"servewell predict {name} --row '{show.line(done.request)}'")
    click.echo("           " + f"servewell records {name}    servewell rollback {name}")
    last = "servewell down" if detach else "Ctrl-C, or `servewell down`, drains and stops"
    click.echo("           " + last)


def _show_trust(done: BroughtUp) -> None:
    """Say how a caller knows that it speaks to these workers."""
    if done.tls is None or done.certificate is None:
        return
    trusted = done.tls.authority or done.tls.certificate
    click.echo(f"  trust    {trusted}")
    click.echo(f"           SHA-256 of the certificate {done.certificate.fingerprint}")
    if done.key is not None and done.tls.authority:
        click.echo(
            f"  curl     curl --cacert {shlex.quote(trusted)} -H "
            f"'Authorization: Bearer {done.key.key}' {done.url}"
        )


def _proof(done: BroughtUp) -> str:
    proof = done.version.manifest.equivalence
    if not proof.rows:
        return "as it came"
    return (
        f"served answers equal the trained model's on {proof.rows:,} held-out rows "
        f"(largest difference {proof.largest_difference:.1e}, allowed {proof.tolerance:g})"
    )


def _answer(done: BroughtUp) -> str:
    outputs = {name: values[0] for name, values in done.answer.outputs.items()}
    return f"{show.line(outputs)} from `{done.answer.deployment}`, {done.answer.elapsed_ms:.1f} ms"


def _as_value(done: BroughtUp) -> dict[str, object]:
    return {
        "endpoint": done.endpoint.name,
        "url": done.url,
        "trust": done.tls and (done.tls.authority or done.tls.certificate),
        "certificate": done.certificate,
        "key": done.key.key if done.key else None,
        "dataset": done.dataset,
        "version": done.version.name,
        "because": done.made.because,
        "gates": {"verdict": done.judged.verdict, "because": done.judged.because},
        "clearance": done.clearance,
        "rollout": done.rollout and done.rollout.id,
        "equivalence": done.version.manifest.equivalence,
        "metrics": done.version.manifest.metrics,
        "workers": done.fleet.workers,
        "plan_differs": done.plan_differs,
        "request": done.request,
        "answer": done.answer,
    }


def _stay(platform: Platform, workload: Workload) -> int:
    """Stay until the service ends, or end it when told to."""
    told: list[int] = []
    for number in TOLD:
        signal.signal(number, lambda received, frame: told.append(received))  # noqa: ARG005 - the signal's own
    while not told and platform.fleet.state().supervisor is not None:
        time.sleep(LOOK_AGAIN_S)
    if told:
        click.echo("\ndraining …", err=True)
        serving = workload.serving
        lame_duck = signal.SIGTERM in told  # whoever sends it may have to be told that we go
        timeout_s = serving.drain_s + lame_duck * serving.lame_duck_s + STOP_MARGIN_S
        platform.fleet.stop(timeout_s, lame_duck=lame_duck)
    elif platform.fleet.state().workers:
        raise NotServingError(
            "The supervisor has died; its workers serve on.",
            why="it was killed, and nothing replaces a worker that dies now",
            fix="`servewell up` again repairs it without a gap; `servewell logs supervisor` shows "
            "its last words",
        )
    click.echo("stopped", err=True)
    return 0

"""`servewell status`: what runs, what it serves, and whether anything is wrong."""

import click

from servewell.cli import show
from servewell.cli.context import Session, command
from servewell.cli.rollout_view import line
from servewell.core.catalog.endpoint import Endpoint
from servewell.core.catalog.snapshot import Snapshot, SnapshotCorruptError
from servewell.core.catalog.stop import StopOrder
from servewell.core.operations.stopping import describe_stop
from servewell.core.operations.traffic import describe
from servewell.flows.platform import Platform
from servewell.flows.stopping import stops_of
from servewell.ports.certificates import CertificateFaultsError
from servewell.ports.fleet import FleetState
from servewell.ports.snapshots import WorkerReport
from servewell.ports.state import StateUnavailableError
from servewell.ports.stops import StopsCorruptError
from servewell.ports.storage import StorageError


@click.command
@command
def status(session: Session) -> int:
    """Show what runs, what it serves, and whether anything is wrong.

    Asks the snapshot and the processes only, so it answers with the database down.

    Example: servewell status
    """
    platform = session.platform
    state = platform.fleet.state()
    snapshot, fault = _snapshot(platform)
    stops, stops_fault = _stops(platform)
    workers = _workers(platform, state)
    if session.as_json:
        show.as_json(
            {
                "supervisor": state.supervisor,
                "control": state.control,
                "plan": state.plan,
                "started_at": state.started_at,
                "workers": workers,
                "snapshot": snapshot.version if snapshot else None,
                "fault": " ".join(one for one in (fault, stops_fault) if one),
                "endpoints": snapshot.endpoints if snapshot else (),
                "stops": stops,
            }
        )
        return 0
    _show_processes(state, workers)
    if fault:
        click.echo(f"{fault} What is shown below is the one before it.\n")
    _show_endpoints(state, snapshot)
    for one in stops:
        told = f"{one.endpoint}: {describe_stop(one)}, by {one.principal} because {one.because}"
        click.echo(click.style(told, bold=True))
    if stops_fault:
        click.echo(stops_fault)
    _show_trust(platform, state)
    _show_rollouts(platform)
    return 0


def _show_rollouts(platform: Platform) -> None:
    """Tell of rollouts last: the rest needs no database."""
    try:
        found = platform.rollouts.list(open_only=True)
    except StateUnavailableError:
        return
    if found:
        click.echo()
    for one in found:
        click.echo(line(one))


def _show_trust(platform: Platform, state: FleetState) -> None:
    """Say how a caller knows that it speaks to these workers."""
    tls = state.plan.tls if state.plan else None
    if tls is None:
        return
    click.echo(f"\ntrust     {tls.authority or tls.certificate}")
    try:
        found = platform.certificates.shown(tls)
    except CertificateFaultsError as error:
        click.echo(f"{error.what} Because: {error.why}.")
        return
    click.echo(f"sha256    {found.fingerprint}")
    click.echo(f"good for  {', '.join(found.names)}, until {show.moment(found.not_after)}")


def _snapshot(platform: Platform) -> tuple[Snapshot | None, str]:
    """Return the snapshot, or the one before it and what is wrong with the newest."""
    try:
        return platform.snapshots.current(), ""
    except SnapshotCorruptError as error:
        return platform.snapshots.previous(), f"{error.what} Because: {error.why}."


def _stops(platform: Platform) -> tuple[tuple[StopOrder, ...], str]:
    try:
        return stops_of(platform), ""
    except (StopsCorruptError, StorageError) as error:
        return (), f"{error.what} Because: {error.why}. Next: {error.fix}."


def _workers(platform: Platform, state: FleetState) -> list[WorkerReport]:
    reports = platform.snapshots.reports()
    return [report for report in reports if state.workers.get(report.worker) == report.pid]


def _show_processes(state: FleetState, workers: list[WorkerReport]) -> None:
    if state.supervisor is None and not state.workers:
        click.echo("Nothing runs. `servewell up FOLDER` starts it.")
        return
    if state.supervisor is None:
        click.echo(
            "The supervisor is dead; its workers serve on. `servewell up FOLDER` repairs it."
        )
    rows = [("supervisor", state.supervisor or "-", f"since {show.moment(state.started_at)}")]
    rows.append(("control", state.control or "-", "" if state.control else "not running"))
    spoken = {report.worker: report for report in workers}
    for index, pid in sorted(state.workers.items()):
        rows.append((f"worker {index}", pid, _word(spoken.get(index))))
    show.table(("process", "pid", ""), rows, empty="")
    click.echo()


def _word(report: WorkerReport | None) -> str:
    if report is None:
        return "starting"
    state = "ready" if report.ready else "not ready"
    fault = f": {report.fault}" if report.fault else ""
    return f"{state}, snapshot {report.snapshot}{fault}"


def _show_endpoints(state: FleetState, snapshot: Snapshot | None) -> None:
    endpoints: tuple[Endpoint, ...] = snapshot.endpoints if snapshot else ()
    plan = state.plan
    where = f"{plan.origin}/v2/models/" if plan else ""
    rows = [(one.name, describe(one.traffic), f"{where}{one.name}") for one in endpoints]
    show.table(("endpoint", "traffic", "address"), rows, empty="No endpoint yet.")
    for endpoint in endpoints:
        for one in endpoint.deployments:
            if one.quarantined:
                click.echo(
                    f"{endpoint.name}: {one.name} is in quarantine because {one.quarantined}"
                )

"""Make the state what the workers serve."""

from typing import Final

from servewell.core.catalog.snapshot import Snapshot, SnapshotCorruptError
from servewell.core.security.access import grants_at
from servewell.errors import ServewellError
from servewell.flows.platform import Platform


class StateBehindError(ServewellError):
    """The state knows fewer changes than the workers serve: it was lost, or is another one."""

    code = "SW-212"


ACKNOWLEDGED_WITHIN_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.02


def publish_snapshot(platform: Platform) -> Snapshot:
    """Publish a snapshot of the state as it is now.

    The revision is read first, so the content is at least as new as the version says.

    Raises: StateBehindError, StateUnavailableError, StorageError.
    """
    version = platform.history.revision()
    _refuse_lost_state(platform, version)
    now = platform.clock.now()
    snapshot = Snapshot(
        version=version,
        created_at=now,
        endpoints=platform.endpoints.list(),
        grants=grants_at(platform.keys.list(), now),
    )
    platform.snapshots.publish(snapshot)
    return snapshot


def _refuse_lost_state(platform: Platform, version: int) -> None:
    try:
        served = platform.snapshots.current()
    except SnapshotCorruptError:
        return  # publishing is what mends it
    if served is not None and served.version > version:
        raise StateBehindError(
            f"The state stands at revision {version}, and the workers serve {served.version}.",
            why="the database was lost, or `SERVEWELL_DATABASE_URL` names another one than before",
            fix="name the right database or restore it; to start over with this one, move the "
            "folder `snapshot` of the home away and run `servewell up` again",
        )


def wait_acknowledged(platform: Platform, version: int) -> tuple[int, ...]:
    """Wait until every live worker serves `version` or newer; return those that do not in time."""
    end = platform.clock.now() + ACKNOWLEDGED_WITHIN_S
    while late := behind(platform, version):
        if platform.clock.now() > end:
            return late
        platform.clock.sleep(LOOK_AGAIN_S)
    return ()


def behind(platform: Platform, version: int) -> tuple[int, ...]:
    """Return the live workers that do not serve `version` or newer yet."""
    reports = {report.worker: report for report in platform.snapshots.reports()}
    return tuple(
        index
        for index, pid in platform.fleet.state().workers.items()
        if (report := reports.get(index)) is None or report.pid != pid or report.snapshot < version
    )

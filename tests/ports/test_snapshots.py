"""The contract of `Snapshots`."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from servewell.adapters.embedded.secrets import FileSecrets
from servewell.adapters.embedded.signer import HomeSigner
from servewell.adapters.embedded.snapshots import FileSnapshots
from servewell.core.catalog.endpoint import Deployment, Endpoint
from servewell.core.catalog.key import Grant, Role
from servewell.core.catalog.snapshot import Snapshot, SnapshotCorruptError
from servewell.ports.snapshots import Snapshots, WorkerReport
from servewell.ports.storage import StorageError

CHAMPION = Deployment(
    name="champion", model="m", version=1, package="p", package_signature="s", share_bp=10_000
)
GRANT = Grant(id="i", digest="d", principal="p", role=Role.INVOKER, endpoints=("*",))


def snapshot(version: int, *, created_at: float = 1.0) -> Snapshot:
    """Return a snapshot with something of everything."""
    endpoint = Endpoint(name="e", workload="w", deployments=(CHAMPION,), revision=version)
    return Snapshot(version=version, created_at=created_at, endpoints=(endpoint,), grants=(GRANT,))


def report(worker: int, *, served: int = 1, fault: str = "") -> WorkerReport:
    """Return what a worker says."""
    return WorkerReport(
        worker=worker, pid=100 + worker, snapshot=served, ready=True, fault=fault, at=1.0
    )


def embedded(home: Path) -> Snapshots:
    """Return the snapshots of a home on this machine."""
    signer = HomeSigner(FileSecrets(home / "keys"))
    return FileSnapshots(home / "snapshot", reports=home / "run", signer=signer)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture(params=[pytest.param(embedded, id="embedded")])
def snapshots(request: pytest.FixtureRequest, home: Path) -> Snapshots:
    """Each adapter in turn."""
    make: Callable[[Path], Snapshots] = request.param
    return make(home)


def test_before_the_first_there_is_none(snapshots: Snapshots) -> None:
    """A new home has no snapshot, no former one, no token and no report."""
    assert snapshots.current() is None
    assert snapshots.previous() is None
    assert snapshots.token() is None
    assert snapshots.reports() == ()


def test_the_current_one_becomes_the_previous_one(snapshots: Snapshots, home: Path) -> None:
    """Every reader, in any process, sees the newest, and the one before it."""
    for version in (1, 2, 5):
        snapshots.publish(snapshot(version))
    for reader in (snapshots, embedded(home)):
        assert reader.current() == snapshot(5)
        assert reader.previous() == snapshot(2)


def test_an_older_one_never_replaces_a_newer_one(snapshots: Snapshots) -> None:
    """A late publisher changes nothing."""
    snapshots.publish(snapshot(3))
    token = snapshots.token()
    snapshots.publish(snapshot(2))
    assert snapshots.current() == snapshot(3)
    assert (snapshots.previous(), snapshots.token()) == (None, token)


def test_the_same_version_may_be_published_again(snapshots: Snapshots) -> None:
    """Publishing again repairs, and does not lose the previous one."""
    snapshots.publish(snapshot(1))
    snapshots.publish(snapshot(2))
    snapshots.publish(snapshot(2, created_at=9.0))
    assert snapshots.current() == snapshot(2, created_at=9.0)
    assert snapshots.previous() == snapshot(1)


def test_the_token_differs_after_each_replacement(snapshots: Snapshots) -> None:
    """A worker that compares tokens misses no snapshot, however fast they follow each other."""
    tokens = []
    for version in range(1, 31):
        snapshots.publish(snapshot(10 + version))
        tokens.append(snapshots.token())
        assert snapshots.token() == tokens[-1]
    assert len(set(tokens)) == len(tokens)


@pytest.mark.parametrize("damage", [b"", b"servewell-snapshot 1", b"\0" * 400])
def test_a_corrupt_one_is_refused_and_the_previous_remains(
    snapshots: Snapshots, home: Path, damage: bytes
) -> None:
    """What is not whole is never used; the one before it can still be; publishing repairs."""
    snapshots.publish(snapshot(1))
    snapshots.publish(snapshot(2))
    (home / "snapshot" / "current").write_bytes(damage)
    with pytest.raises(SnapshotCorruptError):
        snapshots.current()
    assert snapshots.previous() == snapshot(1)
    snapshots.publish(snapshot(2))
    assert (snapshots.current(), snapshots.previous()) == (snapshot(2), snapshot(1))


def test_damage_does_not_let_an_older_one_in(snapshots: Snapshots, home: Path) -> None:
    """With the current one corrupt, the previous one still bars what is older than it."""
    snapshots.publish(snapshot(4))
    snapshots.publish(snapshot(5))
    (home / "snapshot" / "current").write_bytes(b"damaged")
    snapshots.publish(snapshot(3))
    with pytest.raises(SnapshotCorruptError):
        snapshots.current()
    assert snapshots.previous() == snapshot(4)


def test_a_snapshot_of_another_home_is_refused(snapshots: Snapshots, tmp_path: Path) -> None:
    """A well-formed snapshot that this home did not sign is not served."""
    other = embedded(tmp_path / "other")
    other.publish(snapshot(7))
    snapshots.publish(snapshot(1))
    stolen = (tmp_path / "other" / "snapshot" / "current").read_bytes()
    (tmp_path / "home" / "snapshot" / "current").write_bytes(stolen)
    with pytest.raises(SnapshotCorruptError) as caught:
        snapshots.current()
    assert "not made with the key of this home" in caught.value.why


def test_what_cannot_be_read_is_corrupt_to_a_worker(snapshots: Snapshots, home: Path) -> None:
    """A fault of the disk is told like damage, so that a worker turns to the previous one."""
    (home / "snapshot" / "current").mkdir(parents=True)
    with pytest.raises(SnapshotCorruptError, match="cannot be read"):
        snapshots.current()


def test_publishing_into_a_file_is_a_storage_error(snapshots: Snapshots, home: Path) -> None:
    """A home that cannot be used gives the reason and the next step."""
    home.mkdir()
    (home / "snapshot").write_text("a file where the folder should be")
    with pytest.raises(StorageError) as caught:
        snapshots.publish(snapshot(1))
    assert caught.value.why == "a file stands where a folder must be"


def test_workers_reports_come_back_by_index(snapshots: Snapshots) -> None:
    """The last report of each worker, in the order of their indexes."""
    for one in (report(10), report(2), report(0, fault="old"), report(0, fault="new")):
        snapshots.report(one)
    assert snapshots.reports() == (report(0, fault="new"), report(2), report(10))


def test_unreadable_reports_are_passed_over(snapshots: Snapshots, home: Path) -> None:
    """A damaged report hides no other."""
    snapshots.report(report(1))
    (home / "run" / "worker-0.json").write_text("{")
    (home / "run" / "worker-2.json").mkdir()
    assert snapshots.reports() == (report(1),)


def test_a_report_that_cannot_be_written_stops_nobody(snapshots: Snapshots, home: Path) -> None:
    """Serving goes on when a worker cannot say what it serves."""
    home.mkdir()
    (home / "run").write_text("a file where the folder should be")
    snapshots.report(report(0))
    assert snapshots.reports() == ()


def test_publishers_at_once_leave_the_newest(snapshots: Snapshots) -> None:
    """Whatever the order of many publishers, the newest version is current in the end."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(snapshots.publish, map(snapshot, [3, 9, 1, 7, 2, 8, 5, 4, 6])))
    current, previous = snapshots.current(), snapshots.previous()
    assert current == snapshot(9)
    assert previous is None or previous.version < 9


PUBLISH_FOR_EVER = """
import sys
from itertools import count
from pathlib import Path
from servewell.adapters.embedded.secrets import FileSecrets
from servewell.adapters.embedded.signer import HomeSigner
from servewell.adapters.embedded.snapshots import FileSnapshots
from servewell.core.catalog.snapshot import Snapshot
home = Path(sys.argv[1])
signer = HomeSigner(FileSecrets(home / "keys"))
snapshots = FileSnapshots(home / "snapshot", reports=home / "run", signer=signer)
for version in count(1):
    snapshots.publish(Snapshot(version=version, created_at=0.0))
    print(version, flush=True)
"""


def test_a_reader_always_finds_a_whole_one(snapshots: Snapshots, home: Path) -> None:
    """While another process publishes, and after it is killed, what was acknowledged is there."""
    command = [sys.executable, "-c", PUBLISH_FOR_EVER, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(50):
            acknowledged = int(process.stdout.readline())
            assert _version(snapshots) >= acknowledged
        process.send_signal(signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout)])
    assert _version(snapshots) >= acknowledged
    assert snapshots.previous() is not None


def _version(snapshots: Snapshots) -> int:
    current = snapshots.current()
    assert current is not None
    return current.version

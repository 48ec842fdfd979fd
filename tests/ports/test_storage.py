"""What a person is told when the disk fails, from real failures where this machine allows it."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from servewell.adapters.embedded.atomic_file import storage_error, storage_faults, write_atomically
from servewell.adapters.embedded.blobs import FileBlobs
from servewell.adapters.embedded.database import open_database
from servewell.adapters.embedded.datasets import SqlDatasets
from servewell.adapters.embedded.secrets import FileSecrets
from servewell.adapters.embedded.signer import HomeSigner
from servewell.adapters.embedded.snapshots import FileSnapshots
from servewell.core.catalog.dataset import DatasetVersion
from servewell.core.catalog.snapshot import Snapshot
from servewell.ports.snapshots import WorkerReport
from servewell.ports.state import StateUnavailableError
from servewell.ports.storage import StorageError

DISK_BYTES = 1 << 20
REPORT = WorkerReport(worker=0, pid=1, snapshot=1, ready=True, fault="", at=1.0)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a small disk of its own; only root can, and not in every container."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(tmp_path)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this user cannot mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(disk: Path) -> None:
    """Leave no byte free."""
    with pytest.raises(OSError, match="No space left"):
        (disk / "filler").write_bytes(b"\0" * 2 * DISK_BYTES)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "no right"),
        (errno.EPERM, "no right"),
        (errno.ENOTDIR, "a file stands where a folder must be"),
        (errno.EIO, "the operating system says"),
    ],
)
def test_every_fault_says_why_and_what_to_do(number: int, why: str) -> None:
    """The file, a reason in plain words, and a next step."""
    with pytest.raises(StorageError, match=r"`/home/x` cannot be written") as caught:
        _fail(OSError(number, os.strerror(number)))
    assert why in caught.value.why
    assert caught.value.fix


def test_a_fault_without_a_number_still_says_something() -> None:
    """Some faults carry only a text."""
    assert storage_error(Path("x"), OSError("odd")).why == "the operating system says: odd"


def test_on_a_full_disk_nothing_is_lost_and_everything_is_said(disk: Path) -> None:
    """What was kept still reads; what cannot be kept says so; a worker's report stops nobody."""
    blobs, secrets = FileBlobs(disk / "blobs"), FileSecrets(disk / "keys")
    signer = HomeSigner(secrets)
    snapshots = FileSnapshots(disk / "snapshot", reports=disk / "run", signer=signer)
    digest = blobs.put(b"content")
    first = Snapshot(version=1, created_at=1.0)
    snapshots.publish(first)
    fill(disk)
    for act in (
        lambda: blobs.put(b"more" * 4_096),
        lambda: snapshots.publish(Snapshot(version=2, created_at=1.0)),
        lambda: secrets.get("pepper"),
    ):
        with pytest.raises(StorageError) as caught:
            act()
        assert caught.value.why == "the disk is full"
    snapshots.report(REPORT)
    assert blobs.put(b"content") == digest
    assert blobs.read(digest) == b"content"
    assert snapshots.current() == first
    assert secrets.find("pepper") is None


def test_on_a_full_disk_the_state_stays_whole(disk: Path) -> None:
    """Writes are refused with the reason, and what was kept is all there."""
    database = open_database(f"sqlite:///{disk / 'servewell.db'}")
    database.migrate()
    datasets = SqlDatasets(database)
    kept = [datasets.add(_version("first"))]
    fill(disk)
    with pytest.raises(StateUnavailableError) as caught:
        kept.extend(datasets.add(_version(str(number))) for number in range(1_000))
    assert caught.value.why == "the disk is full"
    assert datasets.list()[0] == kept[0]
    (disk / "filler").unlink()
    datasets.add(_version("last"))
    numbers = [one.number for one in datasets.list()]
    assert numbers == list(range(1, len(numbers) + 1))
    database.close()


def test_a_read_only_disk_still_serves(disk: Path) -> None:
    """What is there is read; what cannot be kept says so."""
    blobs = FileBlobs(disk / "blobs")
    digest = blobs.put(b"content")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StorageError) as caught:
        blobs.put(b"more")
    assert caught.value.why == "the file system is read-only"
    assert blobs.read(digest) == b"content"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else_is_explained(tmp_path: Path) -> None:
    """A home without the right to write says whose turn it is."""
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError) as caught:
        FileBlobs(tmp_path / "blobs").put(b"content")
    assert "no right" in caught.value.why


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    """Nothing half written takes the place of what was whole, and nothing stays beside it."""
    place = tmp_path / "file"
    write_atomically(place, b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "folder", b"new")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]
    assert place.read_bytes() == b"old"


def _fail(error: OSError) -> None:
    with storage_faults(Path("/home/x")):
        raise error


def _version(digest: str) -> DatasetVersion:
    return DatasetVersion(
        name="d",
        number=0,
        digest=digest,
        rows=1,
        size_bytes=1,
        columns=(),
        source="s" * 4_000,
        created_at=1.0,
    )

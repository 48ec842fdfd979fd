"""The contract of `Blobs`."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servewell.adapters.embedded.blobs import FileBlobs
from servewell.ports.blobs import BlobCorruptError, BlobMissingError, Blobs
from servewell.ports.storage import StorageError

ABSENT = hashlib.sha256(b"absent").hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the blobs are kept; it does not exist yet."""
    return tmp_path / "home" / "blobs"


@pytest.fixture(params=[pytest.param(FileBlobs, id="embedded")])
def blobs(request: pytest.FixtureRequest, folder: Path) -> Blobs:
    """Each adapter in turn."""
    made: Blobs = request.param(folder)
    return made


@settings(
    max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.binary(max_size=4_096))
def test_what_is_read_back_is_what_was_put(blobs: Blobs, data: bytes) -> None:
    """Putting twice is the same as once, and the digest is the content's SHA-256."""
    assert blobs.put(data) == blobs.put(data) == hashlib.sha256(data).hexdigest()
    assert blobs.read(blobs.put(data)) == data


def test_a_file_is_the_same_as_its_content(blobs: Blobs, tmp_path: Path) -> None:
    """A file larger than one piece is kept under the digest of its bytes."""
    data = os.urandom((1 << 20) + 7)
    source = tmp_path / "source"
    source.write_bytes(data)
    assert blobs.put_file(source) == blobs.put(data)
    assert blobs.path(blobs.put_file(source)).read_bytes() == data


def test_the_digest_of_a_file_keeps_nothing(blobs: Blobs, tmp_path: Path) -> None:
    """To know a digest is not to keep the content."""
    source = tmp_path / "source"
    source.write_bytes(b"content")
    digest = blobs.digest(source)
    assert not blobs.has(digest)
    assert blobs.put_file(source) == digest


def test_a_file_that_is_not_there_is_said_to_be_missing(blobs: Blobs, tmp_path: Path) -> None:
    """The caller's own mistake is not a fault of the disk; a folder cannot be read as a file."""
    for ask in (blobs.put_file, blobs.digest):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            ask(tmp_path / "nowhere")
        with pytest.raises(StorageError, match="cannot be read"):
            ask(tmp_path)


def test_kept_files_are_read_only(blobs: Blobs) -> None:
    """Nobody changes a kept file by accident, and other users cannot reach it."""
    place = blobs.path(blobs.put(b"content"))
    assert stat.S_IMODE(place.stat().st_mode) == 0o444
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("digest", [ABSENT, "", "../../etc/passwd", ABSENT.upper(), "é" * 64])
def test_a_missing_blob_is_named(blobs: Blobs, digest: str) -> None:
    """What was never put is missing, also when it is no digest at all."""
    assert not blobs.has(digest)
    for ask in (blobs.read, blobs.path):
        with pytest.raises(BlobMissingError, match="no blob") as caught:
            ask(digest)
        assert "servewell up" in caught.value.fix


@pytest.mark.parametrize("damage", [b"", b"conten", b"Content", b"content."])
def test_other_bytes_are_never_given(blobs: Blobs, damage: bytes) -> None:
    """A changed, cut or grown file is refused; putting the content again repairs it."""
    digest = blobs.put(b"content")
    _damage(blobs.path(digest), damage)
    for ask in (blobs.read, blobs.path):
        with pytest.raises(BlobCorruptError, match="corrupt"):
            ask(digest)
    blobs.put(b"content")
    assert blobs.read(digest) == b"content"


def test_many_may_put_the_same_at_once(blobs: Blobs, folder: Path) -> None:
    """Writers of one content do not disturb each other and leave one file."""
    data = os.urandom(1 << 16)
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(blobs.put, [data] * 16))
    assert [place.name for place in folder.rglob("*") if place.is_file()] == list(digests)


def test_a_file_in_the_way_is_a_storage_error(blobs: Blobs, folder: Path) -> None:
    """A home that cannot be used gives the reason and the next step."""
    folder.parent.write_text("a file where the home should be")
    with pytest.raises(StorageError) as caught:
        blobs.put(b"content")
    assert caught.value.why == "a file stands where a folder must be"
    assert "--home" in caught.value.fix


def test_what_a_killed_process_left_is_cleared(blobs: Blobs, folder: Path) -> None:
    """Unfinished files do not fill the disk: an hour later they go."""
    blobs.put(b"content")
    old, young = folder / "old.writing", folder / "young.writing"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    blobs.put(b"more")
    assert (old.exists(), young.exists()) == (False, True)


def test_what_is_removed_can_be_put_again(blobs: Blobs) -> None:
    """Removing takes one content, may be done twice, and does not stop it from coming back."""
    digest, other = blobs.put(b"content"), blobs.put(b"other")
    blobs.remove(digest)
    blobs.remove(digest)
    assert (blobs.has(digest), blobs.read(other)) == (False, b"other")
    assert blobs.read(blobs.put(b"content")) == b"content"


PUT_FOR_EVER = """
import os, sys
from pathlib import Path
from servewell.adapters.embedded.blobs import FileBlobs
blobs = FileBlobs(Path(sys.argv[1]))
while True:
    print(blobs.put(os.urandom(1 << 16)), flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(blobs: Blobs, folder: Path) -> None:
    """After `kill -9` in the middle of writes, every digest that was returned reads back."""
    command = [sys.executable, "-c", PUT_FOR_EVER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        digests = [process.stdout.readline().strip() for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        digests += [line.strip() for line in process.stdout]
    assert all(hashlib.sha256(blobs.read(one)).hexdigest() == one for one in digests)


def _damage(place: Path, data: bytes) -> None:
    place.chmod(0o644)
    place.write_bytes(data)

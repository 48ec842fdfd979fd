"""The contract of `Outputs`."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servewell.adapters.embedded.blobs import FileBlobs
from servewell.adapters.embedded.outputs import BlobOutputs
from servewell.ports.blobs import BlobCorruptError, BlobMissingError
from servewell.ports.outputs import OutputInvalidError, Outputs

NAMES = st.sampled_from(["a", "b c", "ü.txt", ".hidden", "x.parquet"])
FILES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=20), max_size=6
).filter(lambda files: not any(f"{one}/" in other for one in files for other in files))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of the blobs."""
    return tmp_path / "blobs"


@pytest.fixture(params=[pytest.param(BlobOutputs, id="blobs")])
def outputs(request: pytest.FixtureRequest, store: Path) -> Outputs:
    """Each adapter in turn."""
    made: Outputs = request.param(FileBlobs(store))
    return made


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """Return a folder with these files."""
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def held(folder: Path) -> dict[str, bytes | None]:
    """Return what a folder holds below it; None for a folder."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(files=FILES)
def test_what_is_brought_back_is_what_was_kept(
    outputs: Outputs, tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    """Names and contents, also empty ones; and the same folder elsewhere has the same digest."""
    folder = tmp_path_factory.mktemp("kept")
    kept = outputs.keep(written(folder / "one", files))
    assert (kept.files, kept.size_bytes) == (len(files), sum(map(len, files.values())))
    assert set(outputs.files(kept.digest)) == set(files)
    assert outputs.whole(kept.digest)
    assert held(outputs.bring(kept.digest, folder / "back")) == held(folder / "one")
    assert outputs.keep(folder / "back") == kept
    named = {name: folder / "one" / name for name in files}
    assert outputs.keep_files(named) == kept


def test_an_empty_folder_is_kept_too(outputs: Outputs, tmp_path: Path) -> None:
    """It counts for the digest, and comes back."""
    bare = outputs.keep(written(tmp_path / "bare", {}))
    (written(tmp_path / "one", {}) / "empty").mkdir()
    kept = outputs.keep(tmp_path / "one")
    assert kept.digest != bare.digest
    assert held(outputs.bring(kept.digest, tmp_path / "back")) == {"empty": None}


def test_a_folder_that_is_there_already_stays(outputs: Outputs, tmp_path: Path) -> None:
    """Bringing back twice is the same as once."""
    kept = outputs.keep(written(tmp_path / "one", {"a": b"1"}))
    place = outputs.bring(kept.digest, tmp_path / "back")
    (place / "b").touch()
    assert held(outputs.bring(kept.digest, place)) == {"a": b"1", "b": b""}


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "name"])
def test_what_cannot_be_kept_is_named(outputs: Outputs, tmp_path: Path, kind: str) -> None:
    """Links, pipes and names that are no text: nothing else could be brought back as it was."""
    folder = written(tmp_path / "one", {"a": b"1"})
    match kind:
        case "link":
            (folder / "b").symlink_to(folder / "a")
        case "dangling":
            (folder / "b").symlink_to("/nowhere")
        case "pipe":
            os.mkfifo(folder / "b")
        case _:
            Path(os.fsdecode(bytes(folder) + b"/b\xff")).touch()
    with pytest.raises(OutputInvalidError, match=r"b.*cannot be kept"):
        outputs.keep(folder)


def test_a_lost_or_damaged_file_is_noticed(outputs: Outputs, store: Path, tmp_path: Path) -> None:
    """Such an output is not whole, and nothing half of it is brought back."""
    kept = outputs.keep(written(tmp_path / "one", {"a": b"1", "b": b"2"}))
    digest = outputs.files(kept.digest)["b"]
    blob = store / digest[:2] / digest
    blob.chmod(0o600)
    blob.write_bytes(b"3")
    assert not outputs.whole(kept.digest)
    with pytest.raises(BlobCorruptError):
        outputs.bring(kept.digest, tmp_path / "back")
    blob.unlink()
    assert not outputs.whole(kept.digest)
    assert not outputs.whole("0" * 64)
    with pytest.raises(BlobMissingError):
        outputs.bring(kept.digest, tmp_path / "back")
    assert {one.name for one in tmp_path.iterdir()} == {"one", "blobs"}

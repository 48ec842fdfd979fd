"""The contract of `Arrivals`."""

import os
from pathlib import Path

import pytest

from servewell.adapters.embedded.arrivals import FileArrivals
from servewell.core.operations.retraining import DataFiles
from servewell.ports.arrivals import Arrivals


@pytest.fixture(params=[pytest.param(FileArrivals, id="files")])
def arrivals(request: pytest.FixtureRequest, tmp_path: Path) -> Arrivals:
    """Each adapter in turn."""
    made: Arrivals = request.param(tmp_path / "home" / "arrivals")
    return made


def test_the_stamp_of_data_changes_with_its_files(arrivals: Arrivals, tmp_path: Path) -> None:
    """One more, one less, one that grew, one that was replaced; and not by itself."""
    file, more = tmp_path / "rows.parquet", tmp_path / "incoming" / "may.parquet"
    more.parent.mkdir()
    patterns = ("rows.parquet", "incoming/*.parquet")
    seen = [arrivals.data(tmp_path, patterns)]
    assert seen == [DataFiles()]
    file.write_bytes(b"1")
    seen.append(arrivals.data(tmp_path, patterns))
    assert arrivals.data(tmp_path, patterns) == seen[-1]
    more.write_bytes(b"2")
    seen.append(arrivals.data(tmp_path, patterns))
    file.write_bytes(b"12")
    seen.append(arrivals.data(tmp_path, patterns))
    os.utime(file, ns=(1, 1))
    seen.append(arrivals.data(tmp_path, patterns))
    assert len({one.stamp for one in seen}) == len(seen)
    assert seen[-1].changed_at > 1e9, "a time that was set back does not make it old"


def test_what_is_being_written_is_not_seen(arrivals: Arrivals, tmp_path: Path) -> None:
    """Hidden files, and those whose names say so."""
    for name in (".hidden.onnx", "a.onnx.tmp", "a.onnx.part", "a.writing"):
        (tmp_path / name).write_bytes(b"half")
    assert arrivals.models(tmp_path) == ()
    assert arrivals.data(tmp_path, ("*",)) == DataFiles()


def test_models_are_files_and_folders_oldest_first(arrivals: Arrivals, tmp_path: Path) -> None:
    """A folder is one model, and changes with what is in it; where no folder is, nothing is."""
    place = tmp_path / "incoming"
    assert arrivals.models(place) == ()
    (place / "folder").mkdir(parents=True)
    (place / "folder" / "MLmodel").write_text("one")
    (place / "z.onnx").write_bytes(b"1")
    before = {one.path.name: one.stamp for one in arrivals.models(place)}
    assert set(before) == {"folder", "z.onnx"}
    (place / "folder" / "MLmodel").write_text("another")
    after = {one.path.name: one.stamp for one in arrivals.models(place)}
    assert after["z.onnx"] == before["z.onnx"]
    assert after["folder"] != before["folder"]
    assert [one.changed_at for one in arrivals.models(place)] == sorted(
        one.changed_at for one in arrivals.models(place)
    )


def test_a_copy_is_kept_anew(arrivals: Arrivals, tmp_path: Path) -> None:
    """Of a file or a folder; what an interrupted attempt left is gone."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "MLmodel").write_text("one")
    kept = arrivals.keep(tmp_path / "folder", "7")
    (tmp_path / "folder" / "MLmodel").write_text("changed")
    assert (kept / "MLmodel").read_text() == "one"
    (tmp_path / "a.onnx").write_bytes(b"1")
    again = arrivals.keep(tmp_path / "a.onnx", "7")
    assert again.read_bytes() == b"1"
    arrivals.discard("7")
    arrivals.discard("7")
    assert not again.parent.exists()
    assert not kept.exists()
